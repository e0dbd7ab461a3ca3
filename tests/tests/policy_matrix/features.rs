//! What is deprecated or unstable, by every way to create it, under every policy about that.

use std::collections::BTreeSet;

use tests::matrix_vmm;

use super::{
    kinds::{NONE, STILL},
    policies::Action,
    registry::Registry,
    vm,
    ways::{Attempt, Outcome, Under, attempts},
};

/// Options, and what they make of what is deprecated and of what is unstable.
const POLICIES: [(&str, Action, Action); 6] = [
    ("", Action::Permit, Action::Permit),
    ("-compat deprecated-output=hide,unstable-output=hide", Action::Permit, Action::Permit),
    ("-compat deprecated-input=reject", Action::Refuse, Action::Permit),
    ("-compat unstable-input=reject,deprecated-input=warn", Action::Warn, Action::Refuse),
    ("-compat unstable-input=reject,unstable-input=warn", Action::Permit, Action::Warn),
    (
        "-machine prohibit-insecure=yes -compat deprecated-input=reject,unstable-input=reject",
        Action::Refuse,
        Action::Refuse,
    ),
];

/// Those of the matrix's own types that are deprecated or unstable or bring what is, and all the
/// types that each brings.
fn featured(registry: &Registry) -> Vec<(Attempt<'_>, Vec<String>)> {
    let own = attempts(registry).into_iter().filter(|attempt| registry.is_own(attempt.type_name));
    let with_types = own.map(|attempt| {
        let types = attempt.brings(attempt.kind.rest[0]);
        (attempt, types)
    });
    let is_featured = |name: &String| registry.features(name) != (false, false);
    with_types.filter(|(_, types)| types.iter().any(is_featured)).collect()
}

#[test]
fn what_is_deprecated_or_unstable_is_taken_warned_of_or_refused_by_every_way() {
    let registry = Registry::ask();
    let program = matrix_vmm();
    let featured = featured(&registry);
    // Two of each of seven kinds, of devices on a bus and of others, and one that brings another.
    assert_eq!(featured.len(), 17);
    let mut wrong = Vec::new();
    for (options, deprecated, unstable) in POLICIES {
        let action = |name: &String| {
            let (is_deprecated, is_unstable) = registry.features(name);
            let of = |has: bool, action| if has { action } else { Action::Permit };
            of(is_deprecated, deprecated).max(of(is_unstable, unstable))
        };
        let under = Under { program: &program, options };
        let mut vms = [STILL, NONE].map(|rest| (vm(options, rest), BTreeSet::new()));
        for (attempt, types) in &featured {
            let expected = types.iter().map(action).max().expect("there is one at least");
            let mut tried = |way: &str, outcome: Outcome| {
                if outcome != Outcome::Judged(expected) {
                    let name = attempt.type_name;
                    wrong.push(format!("{options}: {way}: {name}: {expected:?}, got {outcome:?}"));
                }
            };
            for rest in attempt.kind.rest {
                for form in attempt.forms(rest) {
                    tried(&format!("{form:?}"), attempt.start(under, rest, form));
                    tried(&format!("check {form:?}"), attempt.check(under, rest, form));
                }
            }
            for (vm, to_be_warned) in &mut vms {
                if let Some(outcome) = attempt.ask(vm) {
                    tried("check-security", outcome);
                }
                match attempt.command(vm) {
                    Some(Outcome::Judged(Action::Permit)) if expected == Action::Warn => {
                        let warned = types.iter().filter(|name| action(name) == Action::Warn);
                        to_be_warned.extend(warned.cloned());
                    }
                    Some(outcome) => tried("command", outcome),
                    None => {}
                }
            }
        }
        for (vm, to_be_warned) in vms {
            let log = vm.quit().code(0);
            let warnings: Vec<_> =
                log.lines().into_iter().filter(|line| line.contains(": warning: ")).collect();
            // Once of each, however often it was made.
            assert_eq!(warnings.len(), to_be_warned.len(), "{log}");
            for name in to_be_warned {
                let subject = format!("type '{name}' is ");
                assert!(warnings.iter().any(|line| line.contains(&subject)), "{name}: {log}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
