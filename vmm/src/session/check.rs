//! `palisade check`: whether a configuration holds, object by object, without starting it.

use std::{ffi::OsString, fmt::Write, sync::Arc};

use comfy_table::{Table, presets};
use device_model::qom_core::{Policy, Registry, Suggestion, TypeDescription, UNSTABLE, UNSTATED};
use serde::Serialize;

use super::{
    error::{OptionError, StartError},
    handed_over::handed_over,
    policy, report,
    requests::requests,
    run::Exit,
    tree,
};
use crate::{
    judgement::{Judgement, Verdict},
    options::command_line::CommandLine,
};

/// What can be asked besides the options of a VM.
#[derive(Debug, Default)]
struct Question {
    json: bool,
    explain: Vec<String>,
    options: Vec<OsString>,
}

/// The answer, as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    /// Whether everything would be created.
    holds: bool,
    policy: Policy,
    objects: &'a [Judgement],
}

/// Judges what the options ask for, or explains types.
pub(super) fn run(registry: &Arc<Registry>, arguments: &[OsString]) -> Result<Exit, StartError> {
    let question = question(arguments)?;
    if !question.explain.is_empty() {
        explain(registry, &question)?;
        return Ok(Exit::Finished);
    }
    let line = CommandLine::parse(question.options)?;
    let (policy, _) = policy(&line);
    let judged = judge(registry, &line)?;
    let holds = judged.iter().all(|object| object.verdict != Verdict::Refused);
    if question.json {
        let answer = Answer { holds, policy, objects: &judged };
        report::out(&(serde_json::to_string_pretty(&answer).unwrap_or_default() + "\n"))?;
    } else {
        report::out(&table(&judged))?;
    }
    Ok(if holds { Exit::Finished } else { Exit::StartFailed })
}

/// Plans what the options ask for, and judges each object of it. Nothing is created.
fn judge(registry: &Arc<Registry>, line: &CommandLine) -> Result<Vec<Judgement>, StartError> {
    let descriptors = handed_over(line)?;
    let requests = requests(line, registry, &descriptors)?;
    let tree = tree(registry, line, &descriptors)?;
    let plan = tree.plan(requests)?;
    for warning in tree.globals().warnings(registry) {
        report::warning(&warning);
    }
    Ok(Judgement::all(&plan, tree.policy(), tree.compat())?)
}

fn question(arguments: &[OsString]) -> Result<Question, StartError> {
    let mut question = Question::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let word = argument.to_string_lossy();
        let option = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        match option.map(|option| option.split_once('=').unwrap_or((option, ""))) {
            Some(("json", "")) => question.json = true,
            Some(("explain", "")) => {
                let name = rest.next().ok_or_else(|| refuse(OptionError::NoType))?;
                question.explain.push(name.to_string_lossy().into_owned());
            }
            Some(("explain", name)) => question.explain.push(name.to_owned()),
            _ => question.options.push(argument.clone()),
        }
    }
    Ok(question)
}

fn refuse(problem: OptionError) -> StartError {
    StartError::Option { place: "check --explain".to_owned(), problem }
}

fn table(objects: &[Judgement]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "object",
        "type",
        "security",
        "boundaries",
        "stated by",
        "verdict",
        "reason",
    ]);
    for object in objects {
        let reasons: Vec<_> = object
            .objections
            .iter()
            .map(|objection| {
                let reason = objection.reason.unwrap_or(UNSTATED);
                let parts = [objection.property, objection.feature, Some(reason)];
                parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
            })
            .collect();
        table.add_row([
            object.path.as_str(),
            object.type_name,
            object.security,
            &object.boundaries.join(", "),
            &object.stated_by,
            object.verdict.name(),
            &reasons.join("; "),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// All that is known of the types that were asked about.
fn explain(registry: &Registry, question: &Question) -> Result<(), StartError> {
    let mut described = Vec::new();
    for name in &question.explain {
        let class = registry.class(name).ok_or_else(|| {
            let names = registry.types().map(|info| info.name);
            refuse(OptionError::UnknownType(name.clone(), Suggestion::of(name, names)))
        })?;
        described.push(TypeDescription::of(class));
    }
    if question.json {
        let text = serde_json::to_string_pretty(&described).unwrap_or_default();
        return report::out(&(text + "\n"));
    }
    let texts: Vec<_> = described.iter().map(|described| text(registry, described)).collect();
    report::out(&texts.join("\n"))
}

fn text(registry: &Registry, described: &TypeDescription) -> String {
    let mut text = format!("{}: {}\n", described.name, described.description);
    // Writing to a string does not fail.
    let mut line = |what: &str, value: &str| {
        let _ = writeln!(text, "  {what:<11} {value}");
    };
    line("kind", described.kind);
    line("classes", &ancestry(registry, described.name).join(" < "));
    if !described.interfaces.is_empty() {
        line("interfaces", &described.interfaces.join(", "));
    }
    line("security", described.security);
    if let Some(reason) = described.reason {
        line("reason", reason);
    }
    line("boundaries", &described.boundaries.to_string());
    line("stated by", &format!("{} at {}", described.stated_by, described.stated_at));
    if let Some(deprecated) = described.deprecated {
        line("deprecated", deprecated);
    }
    if described.unstable {
        line("unstable", UNSTABLE);
    }
    if !described.properties.is_empty() {
        let _ = writeln!(text, "  properties");
    }
    for property in &described.properties {
        let default = match &property.default_value {
            serde_json::Value::Null => String::new(),
            default => format!(" (default: {default})"),
        };
        let _ = writeln!(
            text,
            "    {}=<{}> - {}{default}; {}, of {}",
            property.name,
            property.type_name,
            property.description,
            property.access,
            property.declared_by
        );
        if let Some(deprecated) = property.deprecated {
            let _ = writeln!(text, "      deprecated: {deprecated}");
        }
        if property.unstable {
            let _ = writeln!(text, "      unstable: {UNSTABLE}");
        }
        for statement in &property.insecure {
            let when = statement
                .when
                .as_str()
                .map_or_else(|| statement.when.to_string(), ToOwned::to_owned);
            let _ = writeln!(text, "      insecure ({when}): {}", statement.reason);
        }
    }
    text
}

/// The names of a type and of the classes above it, up to the root.
fn ancestry<'a>(registry: &'a Registry, name: &'a str) -> Vec<&'a str> {
    let parent = |name: &&'a str| registry.class(name).and_then(|class| class.info().parent);
    std::iter::successors(Some(name), parent).collect()
}
