//! A VM for the tests of commands, and types that they create in it.

mod block;

use std::sync::{Arc, Weak, atomic::AtomicBool, atomic::Ordering};

use device_model::{
    chardev::Chardev,
    monitor::{
        Command, CommandContext, CommandError, CommandTable, ErrorClass, EventListener, Lifecycle,
        Occurrence, register_command,
    },
    netdev::Counters,
    prelude::*,
    qom_core::{
        BoxedError, CompatFinding, CompatPolicy, CompatStatement, InsecureTypes, Policy,
        PolicyStatement,
    },
    testing::Machine,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::creation::chardev::nowhere::nowhere;

/// Device without a bus, with a chip on it
#[qom_type(secure, parent = Device, class_data = HOTPLUGGABLE, children = chip)]
struct TestCard {
    /// Where it stands
    #[property(default = 1, live)]
    room: Live<u8>,
    /// What it works with
    #[property(link = dyn TestStore)]
    backend: Link<dyn TestStore>,
    /// What it reads from
    #[property(link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
    /// What it says
    #[property(default = "hello", live, insecure_if("secret", reason = "it tells"))]
    label: Live<String>,
}

static HOTPLUGGABLE: Plug = Plug { bus: None, hotpluggable: true };
static SOLDERED: Plug = Plug { bus: None, hotpluggable: false };

fn chip(_: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    children.add("chip", "test-soldered");
    Ok(())
}

impl Device for TestCard {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.connect(self, &self.chardev)
    }
}

impl ChardevFrontend for TestCard {
    fn can_receive(&self) -> usize {
        0
    }

    fn receive(&self, _bytes: &[u8]) {}
}

/// Device that can't be added later
#[qom_type(secure, parent = Device, class_data = SOLDERED)]
struct TestSoldered;

impl Device for TestSoldered {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Device that is insecure
#[qom_type(insecure, reason = "it leaks", parent = Device, class_data = HOTPLUGGABLE)]
struct TestLeakyCard;

impl Device for TestLeakyCard {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Device that will go
#[qom_type(
    secure, parent = Device, class_data = HOTPLUGGABLE, deprecated = "use test-trial-card"
)]
struct TestOldCard;

impl Device for TestOldCard {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Device with properties that will go or may change
#[qom_type(secure, parent = Device, class_data = HOTPLUGGABLE)]
struct TestTrialCard {
    /// Where it is
    #[property(deprecated = "give its room")]
    slot: Option<u8>,
    /// Where it stands
    #[property]
    room: Option<u8>,
    /// How it feels
    #[property(live, unstable)]
    mood: Live<String>,
}

impl Device for TestTrialCard {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

/// Command that will go: tells what it was told
struct TestOldEcho;

/// What it is told and tells.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Words {
    /// What is said.
    said: String,
    /// How loud.
    #[schemars(extend("unstable" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<u8>,
}

impl Command for TestOldEcho {
    const NAME: &'static str = "x-test-old-echo";
    type Arguments = Words;
    type Returns = Words;
    const LIFECYCLE: Lifecycle = Lifecycle::Deprecated("use your own voice");

    fn run(_: &CommandContext<'_>, words: Words) -> Result<Words, CommandError> {
        Ok(words)
    }
}

register_command!(TestOldEcho);

/// Device on the ISA bus
#[qom_type(secure, parent = IsaDevice)]
struct IsaTest;

impl Device for IsaTest {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl IsaDevice for IsaTest {}

/// What a card works with
#[qom_type(abstract, parent = Object)]
trait TestStore: Object {}

/// Object that users create
#[qom_type(secure, parent = TestStore, interfaces(UserCreatable))]
pub(in crate::monitor) struct TestBackend {
    /// How much it keeps
    #[property(required)]
    size: u64,
    /// Whether it can't take up its work
    #[property]
    fails: bool,
    is_at_work: AtomicBool,
}

impl TestBackend {
    pub(in crate::monitor) fn is_at_work(&self) -> bool {
        self.is_at_work.load(Ordering::Relaxed)
    }
}

impl TestStore for TestBackend {}

impl UserCreatable for TestBackend {
    fn complete(&self, _: &Obj, _: &Platform) -> Result<(), BoxedError> {
        if self.fails {
            return Err("the backend was told to fail".into());
        }
        self.is_at_work.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn undo(&self) {
        self.is_at_work.store(false, Ordering::Relaxed);
    }
}

/// Object that users create and that is insecure
#[qom_type(insecure, reason = "it leaks", parent = TestStore, interfaces(UserCreatable))]
struct TestLeakyBackend;

impl TestStore for TestLeakyBackend {}

impl UserCreatable for TestLeakyBackend {}

/// Stream that stands for a file
#[qom_type(secure, parent = Chardev, class_data = FILE)]
struct ChardevFile {
    /// Where output would go
    #[property(required)]
    path: String,
    /// Whether it would be added
    #[property]
    append: bool,
    /// After how many seconds it would be opened again
    #[property(deprecated = "open it once")]
    reopen: Option<u32>,
}

static FILE: ChardevClass = ChardevClass {
    members: &[DataMember { name: "out", required: true, value: MemberValue::Of("path") }],
    ..ChardevClass::PLAIN
};

/// Stream that stands for a pseudo-terminal
#[qom_type(secure, parent = Chardev)]
struct ChardevPty;

nowhere!(ChardevFile, "file");
nowhere!(ChardevPty, "pty:/dev/pts/7");

/// The parts of a network that leads nowhere.
macro_rules! cable {
    ($type:ident, $opens:expr) => {
        impl Netdev for $type {
            fn open(&self, _: &Obj, _: &Platform) -> Result<(), BoxedError> {
                let opens: fn(&Self) -> Result<(), BoxedError> = $opens;
                opens(self)
            }

            fn close(&self) {}

            fn connect(&self, _: PeerHandle) -> bool {
                true
            }

            fn disconnect(&self) {}

            fn send(&self, _: u16, _: &[std::io::IoSlice<'_>]) -> Sending {
                Sending::Taken
            }

            fn accept_frames(&self, _: u16) {}

            fn is_link_up(&self) -> bool {
                true
            }

            fn counters(&self) -> Counters {
                Counters::default()
            }

            fn info(&self) -> String {
                "cable".to_owned()
            }
        }
    };
}

/// Network that leads nowhere
#[qom_type(secure, parent = Netdev)]
struct NetdevTestCable {
    /// Where it would lead
    #[property(name = "to.host")]
    host: Option<String>,
    /// How deep it would lie
    #[property(name = "to.depth.most")]
    depth: u8,
    /// A descriptor of it
    #[property]
    fd: Option<DescriptorNumber>,
    /// Whether it can't be opened
    #[property]
    fails: bool,
}

/// Network that is insecure
#[qom_type(insecure, reason = "it leaks", parent = Netdev)]
struct NetdevTestLeakyCable;

cable!(NetdevTestCable, |cable| match cable.fails {
    true => Err("the cable was told to fail".into()),
    false => Ok(()),
});
cable!(NetdevTestLeakyCable, |_| Ok(()));

/// Network card
#[qom_type(secure, parent = Device, class_data = HOTPLUGGABLE)]
struct TestNicCard {
    /// The network that it is plugged into
    #[property(link = dyn Netdev)]
    netdev: Link<dyn Netdev>,
}

impl Device for TestNicCard {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.connect_network(self, &self.netdev, None)
    }
}

impl NetdevPeer for TestNicCard {
    fn receive(&self, _: u16, _: &[u8]) -> Receiving {
        Receiving::Taken
    }
}

/// The policy under which everything may exist.
pub(in crate::monitor) fn accept_all() -> Policy {
    Policy::of(&[PolicyStatement::InsecureTypes(InsecureTypes::Accept)])
}

/// Remembers what it hears.
#[derive(Default)]
struct Ear(Mutex<Vec<Value>>);

impl EventListener for Ear {
    fn hear(&self, occurrence: &Occurrence) {
        let mut event = json!({"event": occurrence.name});
        if let Some(data) = &occurrence.data {
            event["data"] = data.clone();
        }
        self.0.lock().push(event);
    }
}

/// A machine, and whoever gives it commands.
pub(in crate::monitor) struct Bench {
    pub(in crate::monitor) machine: Machine,
    ear: Arc<Ear>,
}

impl Bench {
    /// A machine that has not started, under the default policy.
    pub(in crate::monitor) fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    /// A machine that has not started.
    pub(in crate::monitor) fn with_policy(policy: Policy) -> Self {
        Self::of(Machine::with_policy(policy))
    }

    /// A machine that runs, under the default policy, with that stated of what is deprecated or
    /// unstable.
    pub(in crate::monitor) fn with_compat(statements: &[(&str, &str)]) -> Self {
        let parse = |(option, value): &(&str, &str)| {
            CompatStatement::parse(option, value).expect("a word").expect("an option")
        };
        let compat = CompatPolicy::of(statements.iter().map(parse));
        let bench = Self::of(Machine::with_policies(Policy::default(), compat));
        bench.ok("cont", json!({}));
        bench
    }

    fn of(machine: Machine) -> Self {
        machine.add("none-machine", "machine", &[]);
        let ear = Arc::new(Ear::default());
        let listener: Weak<Ear> = Arc::downgrade(&ear);
        machine.platform.listen(listener);
        Self { machine, ear }
    }

    /// A machine that runs, under the default policy.
    pub(in crate::monitor) fn running() -> Self {
        let bench = Self::new();
        bench.ok("cont", json!({}));
        bench
    }

    /// What was announced since this was last called.
    pub(in crate::monitor) fn events(&self) -> Vec<Value> {
        std::mem::take(&mut self.ear.0.lock())
    }

    /// What there was to warn of since this was last called.
    pub(in crate::monitor) fn warnings(&self) -> Vec<String> {
        self.machine.take_heeded().iter().map(CompatFinding::warning).collect()
    }

    /// The backend of that id.
    pub(in crate::monitor) fn backend(&self, id: &str) -> Arc<TestBackend> {
        let object = self.machine.tree.resolve(&format!("/objects/{id}")).expect("it is there");
        object.cast().expect("it is one")
    }

    /// Gives a command.
    pub(in crate::monitor) fn run(
        &self,
        name: &str,
        arguments: Value,
    ) -> Result<Value, CommandError> {
        let command = CommandTable::global().expect("no name twice").get(name);
        let command = command.unwrap_or_else(|| panic!("no command is called {name}"));
        let arguments = match arguments {
            Value::Object(arguments) => arguments,
            other => panic!("arguments are an object, not {other}"),
        };
        let answer = command.call(&CommandContext::new(&self.machine, None), arguments)?;
        Ok(answer.to_value())
    }

    /// Gives a command that succeeds.
    pub(in crate::monitor) fn ok(&self, name: &str, arguments: Value) -> Value {
        let shown = arguments.to_string();
        self.run(name, arguments).unwrap_or_else(|error| panic!("{name} {shown}: {error}"))
    }

    /// Gives a command that fails with these words, and changes and announces nothing.
    pub(in crate::monitor) fn refuses(
        &self,
        name: &str,
        arguments: &Value,
        class: ErrorClass,
        text: &str,
    ) {
        let (before, _) = (self.machine.paths(), self.events());
        let error = match self.run(name, arguments.clone()) {
            Ok(answer) => panic!("{name} {arguments} succeeded: {answer}"),
            Err(error) => error,
        };
        assert_eq!((error.class(), &*error.to_string()), (class, text), "{name} {arguments}");
        assert_eq!(self.machine.paths(), before, "{name} {arguments}");
        assert_eq!(self.events(), [] as [Value; 0], "{name} {arguments}");
    }
}
