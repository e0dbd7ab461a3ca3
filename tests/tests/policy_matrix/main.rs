//! The policy matrix: everything that can be created, by every way to create it, under every policy,
//! is permitted, warned of or refused as it is declared.
//!
//! The rows come from what the program tells of its own types. Beside the project's, these are types
//! of each status for each way (`matrix-vmm`), so that no cell stays empty.

mod crash;
mod features;
mod forms;
mod help;
mod kinds;
mod live;
mod policies;
mod registry;
mod unchecked;
mod ways;

use std::{collections::BTreeSet, path::Path, thread};

use serde_json::json;
use tests::{matrix_vmm, qmp::Monitored};

use kinds::{KINDS, NONE, STILL};
use policies::{ACCEPT, Action, DEFAULT, POLICIES, Policy};
use registry::Registry;
use ways::{Attempt, Outcome, Under, attempts};

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
    if attempt.insecure.is_some() {
        statuses.push("insecure");
    }
    let actions = statuses.into_iter().map(|status| policy.action(status));
    actions.max().expect("there is one at least")
}

/// A VM with the matrix's types, with these options.
fn vm(options: &str, rest: &str) -> Monitored {
    Under { program: &matrix_vmm(), options }.vm(rest)
}

/// Every cell of a policy, tried on a program.
fn cells(registry: &Registry, program: &Path, policy: Policy) -> Vec<Cell> {
    let under = Under { program, options: policy.options };
    let attempts = attempts(registry);
    let mut cells = Vec::new();
    let machines = [STILL, NONE];
    let mut vms = machines.map(|rest| under.vm(rest));
    let mut to_be_warned = [Vec::new(), Vec::new()];
    for attempt in &attempts {
        let expected = expected(registry, attempt, policy);
        let is_certain = registry.is_own(attempt.type_name);
        let cell = |way: &str, outcome: Outcome| {
            let Attempt { kind, type_name, properties, .. } = attempt;
            let option = kind.option.0;
            let name = format!("{}: {way} of {option} {type_name} {properties:?}", policy.options);
            Cell { name, expected, outcome, is_certain }
        };
        for rest in attempt.kind.rest {
            for form in attempt.forms(rest) {
                let beside = format!("with {form:?} on '{rest}'");
                cells.push(cell(&format!("start {beside}"), attempt.start(under, rest, form)));
                cells.push(cell(&format!("check {beside}"), attempt.check(under, rest, form)));
            }
        }
        for ((vm, rest), to_be_warned) in vms.iter_mut().zip(machines).zip(&mut to_be_warned) {
            if let Some(outcome) = attempt.ask(vm) {
                cells.push(cell(&format!("check-security on '{rest}'"), outcome));
            }
            let commands = [("command", attempt.command(vm)), ("typed", attempt.typed(vm))];
            let given = commands.into_iter().filter_map(|(way, outcome)| Some((way, outcome?)));
            for (way, outcome) in given {
                // Whatever it warns of is in the log.
                if expected == Action::Warn && outcome == Outcome::Judged(Action::Permit) {
                    to_be_warned.push((cells.len(), attempt.warning()));
                }
                cells.push(cell(&format!("{way} on '{rest}'"), outcome));
            }
        }
    }
    for (vm, to_be_warned) in vms.into_iter().zip(to_be_warned) {
        let log = vm.quit().code(0);
        for (index, warning) in &to_be_warned {
            if log.stderr().contains(warning) {
                cells[*index].outcome = Outcome::Judged(Action::Warn);
            }
        }
        let is_expected = |line: &&str| to_be_warned.iter().any(|(_, told)| line.contains(told));
        let warnings = log.stderr().lines().filter(|line| line.contains(": warning: "));
        assert!(warnings.filter(|line| !is_expected(line)).count() == 0, "{log}");
    }
    cells
}

/// Every cell of each of those policies.
fn all_cells(registry: &Registry, program: &Path, policies: &[Policy]) -> Vec<Cell> {
    thread::scope(|scope| {
        let tried: Vec<_> = policies
            .iter()
            .map(|policy| scope.spawn(|| cells(registry, program, *policy)))
            .collect();
        let tried = tried.into_iter().map(|policy| policy.join().expect("a policy was tried"));
        tried.flatten().collect()
    })
}

#[test]
fn everything_is_permitted_warned_of_or_refused_as_declared_by_every_way_under_every_policy() {
    let cells = all_cells(&Registry::ask(), &matrix_vmm(), &POLICIES);
    assert!(cells.len() > 2000, "{} cells", cells.len());
    let wrong: Vec<_> = cells
        .iter()
        .filter(|cell| !cell.is_as_declared())
        .map(|cell| format!("{}: expected {:?}, got {:?}", cell.name, cell.expected, cell.outcome))
        .collect();
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_matrix_has_each_type_that_a_user_can_name() {
    let registry = Registry::ask();
    let tried: BTreeSet<_> = attempts(&registry).iter().map(|attempt| attempt.type_name).collect();
    let untried: Vec<_> = registry.concrete().filter(|name| !tried.contains(name)).collect();
    let mut vm = vm(ACCEPT.options, NONE);
    for name in untried {
        // Boards bring these.
        let known = ["container", "device"].iter().any(|class| registry.is_a(name, class));
        assert!(known, "nothing tries {name}");
        if registry.is_a(name, "device") {
            let (_, text) = vm.qmp.refused("device_add", json!({ "driver": name }));
            assert_eq!(text, "Parameter 'driver' expects a pluggable device type");
        }
    }
    // The matrix has a type of each status of each kind.
    for kind in KINDS.iter().filter(|kind| kind.is_complete) {
        let statuses: BTreeSet<_> = tried
            .iter()
            .filter(|name| registry.is_own(name) && registry.is_creatable(name, kind.class))
            .map(|name| registry.security(name))
            .collect();
        assert_eq!(statuses.len(), 3, "{}: {statuses:?}", kind.class);
    }
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
