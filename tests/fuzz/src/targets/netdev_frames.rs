//! Networks: whatever comes by a socket or from a guest, a card is given frames as they were sent and
//! as many as it has room for, and the network goes on working.

mod guest;
mod plain;

use std::sync::Arc;

use device_model::{
    qom_core::{InsecureTypes, Policy, PolicyStatement, Request},
    testing::{Machine, TestNic},
};

use super::chardev::look_twice;
use crate::{Target, input::Input};

inventory::submit!(Target { name: "netdev-frames", covers: &TYPES, run });

/// What it covers.
const TYPES: [&str; 5] =
    ["netdev-stream", "netdev-dgram", "netdev-hubport", "netdev-tap", "netdev-user"];

/// Turns of the loop after which everything that was ready has been seen to.
const TURNS: usize = 16;

/// A machine whose loop runs when it is told to.
struct Scene {
    machine: Machine,
}

impl Scene {
    fn new() -> Self {
        let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
        let machine = Machine::with_policy(Policy::of(&[accept]));
        look_twice(machine.platform.events());
        Self { machine }
    }

    /// A network, and a card that is plugged into it.
    fn network(&self, name: &str, type_name: &str, properties: &[(&str, &str)]) -> Arc<TestNic> {
        self.machine.add(type_name, name, properties);
        TestNic::plugged(&self.machine, &format!("{name}-nic"), &format!("/{name}")).1
    }

    fn turn(&self, count: usize) {
        for _ in 0..count {
            self.machine.platform.events().run().expect("waiting does not fail");
        }
    }
}

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 6 {
        0 => plain::stream(&mut input),
        1 => plain::dgram(&mut input),
        2 => plain::hub(&mut input),
        3 => plain::tap(&mut input),
        4 => guest::user(&mut input),
        _ => plan(&mut input),
    }
}

/// Room for as many frames as a byte says, or for all.
fn room(byte: u8) -> Option<usize> {
    (byte != 0xff).then_some(byte.into())
}

/// Plans a network with whatever properties, which must neither panic nor leave anything.
fn plan(input: &mut Input<'_>) {
    let machine = Machine::new();
    let registry = Arc::clone(machine.tree.registry());
    let name = TYPES[usize::from(input.byte()) % TYPES.len()];
    let class = registry.class(name).expect("it is linked");
    let properties: Vec<_> = class.properties().map(|(property, _)| property.name).collect();
    let mut request = Request::new(name, "/", "n");
    while let Some(property) = input.next() {
        let property = properties[usize::from(property) % properties.len()];
        let length = input.byte().into();
        let value = String::from_utf8_lossy(input.take(length)).into_owned();
        request = request.set(property, value);
    }
    // Nothing is opened, so that nothing is to be taken back.
    if let Ok(plan) = machine.tree.plan([request]) {
        let _ = plan.judge(Policy::default());
    }
    assert!(machine.paths().is_empty());
}
