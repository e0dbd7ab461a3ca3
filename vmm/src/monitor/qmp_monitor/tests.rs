//! Tests of what a monitor's client gets of what is deprecated or unstable, as it goes over the wire.

use std::sync::Arc;

use device_model::{
    chardev::{ChardevFrontend, Presence},
    control::VmControl,
    monitor::{Event, Lifecycle, register_event},
    qom_core::{CompatPolicy, CompatStatement, Obj, Policy},
    testing::{Machine, TestChardev, wait_until},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{super::Monitor, MonitorQmp};

/// A bell rings.
#[derive(Serialize, JsonSchema)]
struct Rung {
    bell: u8,
    #[schemars(extend("deprecated" = true))]
    tone: u8,
}

impl Event for Rung {
    const NAME: &'static str = "X_TEST_RUNG";
    const CAUSED_BY_GUEST: bool = false;
}

register_event!(Rung);

/// The same, before there was more than one.
#[derive(Serialize, JsonSchema)]
struct TheBellRung {}

impl Event for TheBellRung {
    const NAME: &'static str = "X_TEST_THE_BELL_RUNG";
    const LIFECYCLE: Lifecycle = Lifecycle::Deprecated("X_TEST_RUNG");
    const CAUSED_BY_GUEST: bool = false;
}

register_event!(TheBellRung);

/// A monitor with a client that has negotiated.
struct Conversation {
    vm: Arc<Machine>,
    object: Obj,
    stream: Arc<TestChardev>,
    monitor: Arc<MonitorQmp>,
}

impl Conversation {
    fn new(option: &str, value: &str) -> Self {
        let statement = CompatStatement::parse(option, value).expect("a word");
        let vm = Machine::with_policies(Policy::default(), CompatPolicy::of(statement));
        let stream = vm.add("test-chardev", "stream", &[]).cast().expect("it is one");
        let object = vm.add("monitor-qmp", "monitor", &[("chardev", "/stream")]);
        let monitor: Arc<MonitorQmp> = object.cast().expect("it is one");
        monitor.connect(&object, &vm.platform).expect("nobody else reads");
        let vm = Arc::new(vm);
        let controlled: Arc<dyn VmControl> = vm.clone();
        monitor.start(&object, controlled).expect("the host has threads");
        monitor.host_changed(Presence::Came);
        let conversation = Self { vm, object, stream, monitor };
        conversation.ask(&json!({"execute": "qmp_capabilities"}), 1);
        conversation
    }

    /// What the client is told once it has asked for something, greeting and events included, of
    /// which there are `more` before the answer.
    fn ask(&self, command: &Value, more: usize) -> Vec<Value> {
        self.stream.send(format!("{command}\n").as_bytes());
        let mut said = Vec::new();
        wait_until("the client is told all", || {
            said.extend(self.stream.take_output());
            said.iter().filter(|byte| **byte == b'\n').count() > more
        });
        let lines = String::from_utf8(said).expect("it is ASCII");
        lines.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
    }

    fn told_of_bells(&self, count: usize) -> Vec<Value> {
        self.vm.platform.announce(&TheBellRung {});
        self.vm.platform.announce(&Rung { bell: 3, tone: 110 });
        let mut told = self.ask(&json!({"execute": "query-status"}), count);
        assert!(told.pop().is_some_and(|answer| answer.get("return").is_some()));
        for event in &mut told {
            event.as_object_mut().expect("it is an object").remove("timestamp");
        }
        told
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.monitor.stop();
        self.vm.platform.release(&self.object);
    }
}

#[test]
fn events_and_their_members_are_told_unless_they_are_hidden() {
    assert_eq!(
        Conversation::new("deprecated-output", "accept").told_of_bells(2),
        [
            json!({"event": "X_TEST_THE_BELL_RUNG"}),
            json!({"event": "X_TEST_RUNG", "data": {"bell": 3, "tone": 110}}),
        ]
    );
    assert_eq!(
        Conversation::new("deprecated-output", "hide").told_of_bells(1),
        [json!({"event": "X_TEST_RUNG", "data": {"bell": 3}})]
    );
}

#[test]
fn a_refused_command_is_not_found_and_the_conversation_goes_on() {
    let echo = json!({"execute": "x-test-old-echo", "arguments": {"said": "hello"}, "id": 7});
    let conversation = Conversation::new("deprecated-input", "reject");
    assert_eq!(
        conversation.ask(&echo, 0),
        [json!({
            "error": {
                "class": "CommandNotFound",
                "desc": "Deprecated command x-test-old-echo disabled by policy",
            },
            "id": 7,
        })]
    );
    let names = conversation.ask(&json!({"execute": "query-commands"}), 0);
    let names = names[0]["return"].as_array().expect("a list");
    assert!(names.iter().any(|command| command["name"] == "x-test-old-echo"), "it is told");
    let told = Conversation::new("deprecated-input", "warn").ask(&echo, 0);
    assert_eq!(told, [json!({"return": {"said": "hello"}, "id": 7})]);
}
