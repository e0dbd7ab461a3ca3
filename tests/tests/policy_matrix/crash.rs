//! `insecure-types=crash`: whatever would be refused ends the process at once, and what only asks
//! does not.

use serde_json::json;
use tests::matrix_vmm;

use super::{
    expected,
    kinds::{NONE, STILL},
    policies::{Action, DEFAULT},
    registry::Registry,
    ways::{Outcome, Under, attempts},
};

#[test]
fn under_crash_each_refusal_aborts_and_each_question_is_answered() {
    let registry = Registry::ask();
    let program = matrix_vmm();
    let attempts = attempts(&registry);
    let refused: Vec<_> = attempts
        .iter()
        .filter(|attempt| expected(&registry, attempt, DEFAULT) == Action::Refuse)
        .collect();
    // Its other spelling, `insecure-input`, is the same statement to all that comes after.
    let under = Under { program: &program, options: "-compat insecure-types=crash" };
    let mut asked = [STILL, NONE].map(|rest| under.vm(rest));
    let (mut at_start, mut by_command) = (0, 0);
    for attempt in refused {
        let name = format!("{} {}", attempt.kind.option.0, attempt.type_name);
        for rest in attempt.kind.rest {
            for form in attempt.forms(rest) {
                attempt.crashes(under, rest, form);
                let checked = attempt.check(under, rest, form);
                assert_eq!(checked, Outcome::Judged(Action::Refuse), "{name} {form:?}");
                at_start += 1;
            }
        }
        for vm in &mut asked {
            if let Some(outcome) = attempt.ask(vm) {
                assert_eq!(outcome, Outcome::Judged(Action::Refuse), "{name}");
            }
        }
        by_command += usize::from(attempt.crashes_by_command(under.vm(NONE)));
    }
    assert!(at_start > 50 && by_command >= 6, "{at_start}, {by_command}");
    for mut vm in asked {
        assert_eq!(vm.qmp.execute("query-security", json!({}))["tainted"], false);
        vm.quit().code(0);
    }
}
