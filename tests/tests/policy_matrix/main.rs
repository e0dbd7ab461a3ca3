//! The policy matrix: everything that can be created, by every way to create it, under every policy,
//! is permitted, warned of or refused as it is declared.
//!
//! The rows come from what the program tells of its own types. Beside the project's, these are types
//! of each status for each way (`matrix-vmm`), so that no cell stays empty.

mod features;
mod policies;
mod registry;
mod ways;

use std::collections::BTreeSet;

use serde_json::json;
use tests::{
    Scratch, Vmm, matrix_vmm,
    qmp::{Monitored, error_of},
};

use policies::{ACCEPT, Action, DEFAULT, POLICIES, Policy};
use registry::Registry;
use ways::{Attempt, NONE, Outcome, STILL, attempts};

/// One cell: what was tried, and what came of it, and of what should have come of it.
struct Cell {
    name: String,
    expected: Action,
    outcome: Outcome,
    /// Whether nothing but the policy can keep it from being.
    is_certain: bool,
}

impl Cell {
    fn is_as_declared(&self) -> bool {
        match &self.outcome {
            Outcome::Judged(action) => *action == self.expected,
            // What the policy permits may still be impossible here, as a device is without its bus.
            Outcome::Failed(_) => self.expected != Action::Refuse && !self.is_certain,
        }
    }
}

/// What a policy is to make of an attempt: the strictest of what it makes of each object that would
/// come to be.
fn expected(registry: &Registry, attempt: &Attempt<'_>, policy: Policy) -> Action {
    let mut statuses = vec![registry.security(attempt.type_name)];
    let brought = attempt.brings(attempt.kind.rest[0]);
    statuses.extend(brought.iter().map(|name| registry.security(name)));
    if attempt.has_insecure_value {
        statuses.push("insecure");
    }
    let actions = statuses.into_iter().map(|status| policy.action(status));
    actions.max().expect("there is one at least")
}

fn vm(options: &str, rest: &str) -> Monitored {
    let words = options.split_whitespace().chain(rest.split_whitespace());
    Monitored::of(Vmm::of(matrix_vmm(), words).and("-nodefaults -S"), Scratch::new())
}

/// Every cell of a policy, tried on a program that is under it, or under another.
fn cells(registry: &Registry, policy: Policy, in_force: Policy) -> Vec<Cell> {
    let attempts = attempts(registry);
    let mut cells = Vec::new();
    let machines = [STILL, NONE];
    let mut vms = machines.map(|rest| vm(in_force.options, rest));
    let mut to_be_warned = [BTreeSet::new(), BTreeSet::new()];
    for attempt in &attempts {
        let expected = expected(registry, attempt, policy);
        let is_certain = registry.is_own(attempt.type_name);
        let mut tried = |way: &str, outcome: Outcome| {
            let Attempt { kind, type_name, properties, .. } = attempt;
            let name =
                format!("{}: {way} of {} {type_name} {properties:?}", policy.options, kind.class);
            cells.push(Cell { name, expected, outcome, is_certain });
        };
        for rest in attempt.kind.rest {
            for form in attempt.forms() {
                tried(
                    &format!("start with {form:?} on '{rest}'"),
                    attempt.start(in_force.options, rest, *form),
                );
            }
            tried(&format!("check on '{rest}'"), attempt.check(in_force.options, rest));
        }
        for ((vm, rest), to_be_warned) in vms.iter_mut().zip(machines).zip(&mut to_be_warned) {
            if let Some(outcome) = attempt.ask(vm) {
                tried(&format!("check-security on '{rest}'"), outcome);
            }
            let commands = [("command", attempt.command(vm)), ("typed", attempt.typed(vm))];
            let given = commands.into_iter().filter_map(|(way, outcome)| Some((way, outcome?)));
            for (way, outcome) in given {
                let done = outcome == Outcome::Judged(Action::Permit);
                let warned = done && expected == Action::Warn;
                if warned {
                    to_be_warned.extend(attempt.warning());
                }
                let outcome = if warned { Outcome::Judged(Action::Warn) } else { outcome };
                tried(&format!("{way} on '{rest}'"), outcome);
            }
        }
    }
    for (vm, to_be_warned) in vms.into_iter().zip(to_be_warned) {
        let log = vm.quit().code(0);
        let warned = |warning: &String| log.stderr().contains(warning);
        assert!(in_force.options != policy.options || to_be_warned.iter().all(warned), "{log}");
        let expected = |line: &&str| to_be_warned.iter().any(|warning| line.contains(warning));
        let warnings = log.stderr().lines().filter(|line| line.contains(": warning: "));
        assert!(warnings.filter(|line| !expected(line)).count() == 0, "{log}");
    }
    cells
}

#[test]
fn everything_is_permitted_warned_of_or_refused_as_declared_by_every_way_under_every_policy() {
    let registry = Registry::ask();
    let mut wrong = Vec::new();
    for policy in POLICIES {
        let cells = cells(&registry, policy, policy);
        assert!(cells.len() > 100, "{} cells", cells.len());
        wrong.extend(cells.into_iter().filter(|cell| !cell.is_as_declared()).map(|cell| {
            format!("{}: expected {:?}, got {:?}", cell.name, cell.expected, cell.outcome)
        }));
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn without_the_check_every_cell_that_refuses_is_found_wrong() {
    let registry = Registry::ask();
    let cells = cells(&registry, DEFAULT, ACCEPT);
    let refusing = cells.iter().filter(|cell| cell.expected == Action::Refuse);
    let unnoticed: Vec<_> =
        refusing.clone().filter(|cell| cell.is_as_declared()).map(|cell| &cell.name).collect();
    assert!(refusing.count() > 50);
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

#[test]
fn the_matrix_has_each_type_that_a_user_can_name() {
    let registry = Registry::ask();
    let tried: BTreeSet<_> = attempts(&registry).iter().map(|attempt| attempt.type_name).collect();
    let untried: Vec<_> = registry.concrete().filter(|name| !tried.contains(name)).collect();
    // What stands behind these is made by options of another name, and no other can be chosen.
    let made_otherwise = ["loader", "monitor", "container", "device"];
    let mut vm = vm(ACCEPT.options, NONE);
    for name in untried {
        let known = made_otherwise.iter().any(|class| registry.is_a(name, class));
        assert!(known || name == "qtest", "nothing tries {name}");
        if registry.is_a(name, "device") {
            let (_, text) = vm.qmp.refused("device_add", json!({ "driver": name }));
            assert_eq!(text, "Parameter 'driver' expects a pluggable device type");
        }
    }
    // The matrix has a type of each status of each kind.
    for kind in &ways::KINDS {
        let statuses: BTreeSet<_> = tried
            .iter()
            .filter(|name| registry.is_own(name) && registry.is_creatable(name, kind.class))
            .map(|name| registry.security(name))
            .collect();
        assert_eq!(statuses.len(), 3, "{}: {statuses:?}", kind.class);
    }
}

#[test]
fn a_value_that_is_insecure_is_refused_when_it_is_set_later_as_when_it_is_given() {
    let registry = Registry::ask();
    let mut tried = 0;
    for policy in [DEFAULT, ACCEPT] {
        let mut vm = vm(policy.options, NONE);
        for attempt in attempts(&registry).iter().filter(|attempt| !attempt.has_insecure_value) {
            let live = registry.insecure_values(attempt.type_name);
            for insecure in live.iter().filter(|value| value.live) {
                let path = attempt.create(&mut vm);
                let before = vm.qmp.property(&path, &insecure.property);
                let set = json!({
                    "execute": "qom-set",
                    "arguments":
                        { "path": path, "property": insecure.property, "value": insecure.value },
                });
                let error = error_of(&vm.qmp.ask(&set));
                let now = vm.qmp.property(&path, &insecure.property);
                if policy.insecure == Action::Refuse {
                    let (_, text) = error.expect("it is refused");
                    assert!(text.contains("is declared as insecure"), "{text}");
                    assert_eq!(now, before);
                } else {
                    assert_eq!((error, &now), (None, &insecure.value));
                }
                tried += 1;
                attempt.remove(&mut vm);
            }
        }
    }
    assert!(tried >= 2);
}

#[test]
fn a_hundred_refusals_leave_what_the_first_left() {
    let registry = Registry::ask();
    for rest in [STILL, NONE] {
        let mut vm = vm(DEFAULT.options, rest);
        let attempts = attempts(&registry);
        let refused: Vec<_> = attempts
            .iter()
            .filter(|attempt| expected(&registry, attempt, DEFAULT) == Action::Refuse)
            .filter(|attempt| attempt.kind.commands.is_some())
            .collect();
        assert!(refused.len() >= 6);
        let refuse_all = |vm: &mut Monitored| {
            for attempt in &refused {
                // None if the command can't name it.
                if let Some(outcome) = attempt.command(vm) {
                    assert_eq!(outcome, Outcome::Judged(Action::Refuse), "{}", attempt.type_name);
                }
            }
            let mut threads = vm.running.threads();
            threads.sort_unstable();
            (vm.qmp.tree(), vm.running.descriptors(), threads)
        };
        let first = refuse_all(&mut vm);
        for _ in 1..100 {
            let later = refuse_all(&mut vm);
            assert_eq!(later, first);
        }
        vm.quit().code(0);
    }
}
