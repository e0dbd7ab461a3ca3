//! Objects that users create by themselves: when they take up their work, and when they give it back.

use std::{
    error::Error,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use device_model::{
    control::{Order, RunState, VmControl},
    monitor::{EventListener, Occurrence},
    prelude::*,
    testing::Machine,
};
use qom_core::{BoxedError, InsecureTypes, Origin, Policy, PolicyStatement, Request};
use serde_json::{Value, json};

/// Object that is at work between its completion and its removal
#[qom_type(insecure, reason = "an example", parent = Object, interfaces(UserCreatable))]
struct Worker {
    /// Whether it can't begin
    #[property]
    ill: bool,
    works: AtomicBool,
}

impl UserCreatable for Worker {
    fn complete(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        assert_eq!(object.tree(), platform.tree());
        if self.ill {
            return Err("it is ill".into());
        }
        self.works.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn undo(&self) {
        self.works.store(false, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Ear(Mutex<Vec<(&'static str, Option<Value>)>>);

impl EventListener for Ear {
    fn hear(&self, occurrence: &Occurrence) {
        self.0.lock().push((occurrence.name, occurrence.data.clone()));
    }
}

fn machine() -> Machine {
    Machine::with_policy(Policy::of(&[PolicyStatement::InsecureTypes(InsecureTypes::Accept)]))
}

fn worker(ill: bool) -> Vec<Request> {
    vec![Request::new("worker", "/objects", "w0").set("ill", Value::from(ill))]
}

#[test]
fn an_object_works_from_its_completion_to_its_removal() -> Result<(), Box<dyn Error>> {
    let machine = machine();
    let created = machine.create("worker", "w0", &[])?;
    let object = created.objects.last().ok_or("one was asked for")?;
    let worker = object.cast::<Worker>().ok_or("it is one")?;
    assert!(worker.works.load(Ordering::Relaxed));
    machine.remove(object);
    assert!(!worker.works.load(Ordering::Relaxed));
    Ok(())
}

#[test]
fn what_taints_is_announced_and_what_fails_is_not() -> Result<(), Box<dyn Error>> {
    let machine = machine();
    let ear = Arc::new(Ear::default());
    let listener: Weak<Ear> = Arc::downgrade(&ear);
    machine.platform.listen(listener);
    let error = VmControl::create(&machine, worker(true)).unwrap_err();
    assert_eq!(error.to_string(), "it is ill");
    assert!(ear.0.lock().is_empty());
    VmControl::create(&machine, worker(false))?;
    let data = json!({
        "path": "/objects/w0",
        "type": "worker",
        "status": "insecure",
        "reason": "an example",
    });
    assert_eq!(*ear.0.lock(), [("SECURITY_TAINTED", Some(data))]);
    Ok(())
}

#[test]
fn a_stream_tells_who_reads_from_it() {
    let machine = Machine::new();
    let stream = machine.add("test-chardev", "stream", &[]);
    assert!(machine.platform.reader(&stream).is_none());
    let reader = machine.add("listener", "reader", &[("chardev", "/stream")]);
    assert!(machine.platform.reader(&stream).is_some_and(|found| found.same(&reader)));
    assert!(machine.platform.reader(&reader).is_none(), "it is no stream");
    machine.remove(&reader);
    assert!(machine.platform.reader(&stream).is_none());
}

/// Device that reads from a stream
#[qom_type(secure, parent = IsaDevice)]
struct Listener {
    /// What it reads from
    #[property(link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
}

impl ChardevFrontend for Listener {
    fn can_receive(&self) -> usize {
        0
    }

    fn receive(&self, _: &[u8]) {}
}

impl Device for Listener {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.connect(self, &self.chardev)
    }
}

impl IsaDevice for Listener {}

#[test]
fn the_machine_of_a_test_obeys_and_remembers() -> Result<(), Box<dyn Error>> {
    let machine = machine();
    assert_eq!(machine.run_state(), RunState::Prelaunch);
    machine.order(Order::Stop)?;
    assert_eq!(machine.run_state(), RunState::Prelaunch, "nothing ran");
    machine.order(Order::Continue)?;
    assert_eq!(machine.run_state(), RunState::Running);
    machine.order(Order::Stop)?;
    assert_eq!(machine.run_state(), RunState::Paused);
    assert_eq!(machine.take_orders(), [Order::Stop, Order::Continue, Order::Stop]);
    let policy =
        machine.raise_policy(PolicyStatement::RequireSecure(true), Origin::new("a monitor"))?;
    assert_eq!(policy, Policy::default());
    let statements: Vec<_> =
        machine.policy_statements().into_iter().map(|(statement, _)| statement).collect();
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    assert_eq!(statements, [accept, PolicyStatement::RequireSecure(true)]);
    Ok(())
}
