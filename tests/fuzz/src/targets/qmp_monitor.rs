//! A monitor for programs, whole: what its client sends, events, and clients that come and go, on
//! its own thread. It answers the next client, and ends when it is told.
//!
//! Its commands see a VM in which nothing can be created, so that no input reaches the host's files.

use std::sync::Arc;

use device_model::{
    chardev::{ChardevFrontend, Presence},
    control::{Order, RunState, VmControl},
    monitor::{CommandError, EventListener, Occurrence},
    platform::Platform,
    qom_core::{
        CompatFinding, CompatInput, CompatOutput, CompatPolicy, CompatStatement, CreateError,
        Created, Feature, Finding, Given, Obj, Origin, Policy, PolicyStatement, RaiseError,
        RemoveError, Request, SetError, Tree,
    },
    testing::{Machine, TestChardev, wait_until},
};
use vmm::monitor::{Monitor, MonitorQmp};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "qmp-monitor", covers: &["monitor-qmp"], run });

/// A VM in which nothing can be created.
struct Barren(Machine);

impl VmControl for Barren {
    fn tree(&self) -> &Tree {
        &self.0.tree
    }

    fn platform(&self) -> &Arc<Platform> {
        &self.0.platform
    }

    fn name(&self) -> Option<&str> {
        self.0.name()
    }

    fn run_state(&self) -> RunState {
        self.0.run_state()
    }

    fn create(&self, _: Vec<Request>) -> Result<Created, CreateError> {
        self.0.create("no-such-type", "none", &[]).map_err(|error| *error)
    }

    fn set(&self, object: &Obj, property: &str, value: &Given) -> Result<Vec<Finding>, SetError> {
        VmControl::set(&self.0, object, property, value)
    }

    fn remove(&self, object: &Obj) -> Result<(), RemoveError> {
        VmControl::remove(&self.0, object)
    }

    fn policy_statements(&self) -> Vec<(PolicyStatement, Origin)> {
        self.0.policy_statements()
    }

    fn raise_policy(
        &self,
        statement: PolicyStatement,
        origin: Origin,
    ) -> Result<Policy, RaiseError> {
        self.0.raise_policy(statement, origin)
    }

    fn heed(&self, findings: &[CompatFinding]) {
        self.0.heed(findings);
    }

    fn order(&self, order: Order) -> Result<(), CommandError> {
        self.0.order(order)
    }
}

/// Warns of and hides all that there is to.
fn watchful() -> CompatPolicy {
    let all = [Feature::Deprecated, Feature::Unstable];
    CompatPolicy::of(all.into_iter().flat_map(|feature| {
        [
            CompatStatement::Input(feature, CompatInput::Warn),
            CompatStatement::Output(feature, CompatOutput::Hide),
        ]
    }))
}

/// Operations, each with what it needs.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    // Half of the inputs have all that is deprecated or unstable found and left out.
    let machine = match data.len() % 2 {
        0 => Machine::new(),
        _ => Machine::with_policies(Policy::default(), watchful()),
    };
    let stream = machine.add("test-chardev", "stream", &[]);
    let object = machine.add("monitor-qmp", "monitor", &[("chardev", "/stream")]);
    let (stream, monitor) = (
        stream.cast::<TestChardev>().expect("it is one"),
        object.cast::<MonitorQmp>().expect("it is one"),
    );
    let vm = Arc::new(Barren(machine));
    monitor.connect(&object, &vm.0.platform).expect("nobody else reads");
    monitor.host_changed(Presence::Came);
    monitor.start(&object, vm.clone()).expect("the host has threads");
    while let Some(op) = input.next() {
        match op % 8 {
            0..=4 => {
                let count = usize::from(input.byte());
                stream.send(input.take(count));
            }
            5 => {
                monitor.host_changed(Presence::Left);
                monitor.host_changed(Presence::Came);
            }
            6 => monitor.hear(&Occurrence {
                name: "FUZZ",
                data: None,
                time: std::time::SystemTime::UNIX_EPOCH,
                caused_by_guest: input.byte() & 1 != 0,
            }),
            _ => drop(stream.take_output()),
        }
    }
    // Nobody sends anything before the greeting. What the one before sent may still be on its way
    // here, as it never is from a real stream, which drops it: hence the byte that ends it.
    stream.take_output();
    monitor.host_changed(Presence::Left);
    monitor.host_changed(Presence::Came);
    let mut said = Vec::new();
    wait_until("the next client is greeted", || {
        said.extend(stream.take_output());
        String::from_utf8_lossy(&said).contains("\"QMP\"")
    });
    stream.send(b"\xff\n{\"execute\": \"qmp_capabilities\", \"id\": \"last\"}\n");
    wait_until("the next client is answered", || {
        said.extend(stream.take_output());
        said.ends_with(b"{\"return\": {}, \"id\": \"last\"}\r\n")
    });
    monitor.stop();
    assert_eq!(monitor.can_receive(), 0, "it takes input after its end");
    vm.0.platform.release(&object);
}
