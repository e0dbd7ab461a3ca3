//! What the program says of itself: errors, warnings, taint.

use std::{
    io::{ErrorKind, Write},
    sync::OnceLock,
};

use device_model::{
    causes::with_causes,
    qom_core::{
        Action, CompatFinding, CreateError, Finding, PlanError, PolicyStatement, Refusal,
        Suggestion, Taint, UNSTATED, ValueError,
    },
};

use super::error::StartError;
use crate::options::{choice::phrase, excerpt::excerpt};

/// The start of each line: the program's name.
static PROGRAM: OnceLock<&str> = OnceLock::new();
/// The guest's name, once there is one.
static GUEST: OnceLock<String> = OnceLock::new();

/// Says what the program is called.
pub(super) fn call(program: &'static str) {
    // There is one program in a process.
    let _ = PROGRAM.set(program);
}

/// Says whom all further lines are about, for somebody who reads those of many.
pub(super) fn name_guest(guest: &str) {
    let _ = GUEST.set(excerpt(guest));
}

/// Writes to standard output. A reader that has gone away wants no more, which is no error.
///
/// # Errors
/// If it can't be written for another reason: whoever keeps it would take a part for the whole.
pub(crate) fn out(text: &str) -> Result<(), StartError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(StartError::Host { action: "write to standard output", source: error })
        }
        _ => Ok(()),
    }
}

/// What each line starts with: the program's name, and the guest's once there is one.
pub(super) fn prefix() -> String {
    let program = PROGRAM.get().unwrap_or(&env!("CARGO_PKG_NAME"));
    let guest = GUEST.get().map(|guest| format!("[{guest}]")).unwrap_or_default();
    format!("{program}{guest}")
}

/// Writes a line about the program's own work to standard error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}: {text}", prefix());
}

pub(crate) fn warning(text: &str) {
    line(&format!("warning: {text}"));
}

pub(super) fn start_error(error: &StartError) {
    match error {
        StartError::Refused { refusals, stated } => {
            for refusal in refusals {
                refused(refusal, stated);
            }
        }
        StartError::Create(CreateError::Incompatible(findings)) => {
            for finding in findings {
                incompatible(finding);
            }
        }
        StartError::Create(create) => line(&located(create)),
        StartError::Registry(errors) => {
            for error in &errors.0 {
                line(&error.to_string());
            }
        }
        StartError::Boot(error) => line(&with_causes(&**error)),
        other => line(&with_causes(other)),
    }
}

/// The one line that everybody gets, and a second one for people.
pub(crate) fn refused(refusal: &Refusal, stated: &[PolicyStatement]) {
    line(&format!("{}: {refusal}", refusal.origin()));
    line(&refusal.explanation(stated));
}

/// As [`refused`], of what the compatibility policy refuses.
pub(super) fn incompatible(finding: &CompatFinding) {
    line(&with_origin(finding, &finding.to_string()));
    line(&finding.explanation());
}

/// A text about something that somebody gave, with who did if he does not get an answer anyway.
pub(super) fn with_origin(finding: &CompatFinding, text: &str) -> String {
    match &finding.origin {
        Some(origin) => format!("{origin}: {text}"),
        None => text.to_owned(),
    }
}

/// An error with who asked.
fn located(error: &CreateError) -> String {
    let problem = match error {
        CreateError::Complete { error, .. } => with_causes(&**error),
        other => with_causes(other),
    };
    let expected = match error {
        CreateError::Plan { error, .. } => expected(error),
        _ => String::new(),
    };
    match error.origin() {
        Some(origin) => format!("{origin}: {problem}{expected}"),
        None => problem,
    }
}

/// What would have been accepted in place of a word: the sentence that programs get does not say.
fn expected(error: &PlanError) -> String {
    match error.value() {
        Some(ValueError::Word { given, words }) => {
            let suggestion = Suggestion::of(given, words.iter().copied());
            format!(" (expected {}){suggestion}", phrase(words.iter().copied()))
        }
        _ => String::new(),
    }
}

/// That the VM is tainted, with what and why.
pub(super) fn taints(findings: &[Finding]) {
    for finding in findings {
        let cause = &finding.refusal;
        if finding.action == Action::Warn {
            warning(&format!("{}: {cause}", cause.origin()));
        }
        line(&because(cause));
    }
}

/// That the VM was tainted, once it is at its end.
pub(super) fn tainted(taint: &Taint) -> String {
    let removed = if taint.removed { " (removed since)" } else { "" };
    format!("was {}{removed}", because(&taint.cause))
}

fn because(cause: &Refusal) -> String {
    let reason = cause.reason().unwrap_or(UNSTATED);
    format!("tainted: '{}': {cause}: {reason}", cause.path())
}
