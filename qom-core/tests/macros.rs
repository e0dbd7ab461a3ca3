//! What the macros make of types that are written as authors write them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use qom_core::{
    Access, Boundaries, Boundary, Children, ClassType, Computed, Configuration, Given, Globals,
    InsecureCondition, InsecureTypes, Link, Live, NoCompletion, Obj, Object, PlanError, Policy,
    PolicyStatement, PropertyEnum, PropertyInfo, PropertyType, Registry, Request, SecurityStatus,
    Size, Tree, TypeInfo, TypeKind, ValueError, qom_interface, qom_type,
};
use serde_json::json;

/// The class of everything that a guest sees.
///
/// More about it, which is no part of the description.
#[qom_type(abstract, secure, parent = Object, boundary(guest), new_category = "Test devices")]
trait Device: Object {
    /// How many of them there are.
    #[property(default = 2, range = 1..=MOST, live)]
    fn count(&self) -> u32;

    /// The bus that it is on.
    #[property(link = dyn Bus)]
    fn bus(&self) -> Option<Arc<dyn Bus>>;

    fn ports(&self) -> u16 {
        1
    }
}

const MOST: u8 = 8;

/// The class of buses. Its record names the class of devices, whose record names this one.
#[qom_type(abstract, parent = Object)]
trait Bus: Object {
    /// The device that the bus belongs to.
    #[property(link = dyn Device)]
    fn owner(&self) -> Option<Arc<dyn Device>>;
}

/// Something that can be unplugged.
#[qom_interface(name = "test-hotplug", insecure, reason = "Nobody tried.", boundary(management))]
trait Hotplug {
    fn unplug(&self) -> u32;
}

/// The class of devices on a slow bus.
#[qom_type(abstract, unstable, deprecated = "use a fast bus", parent = Device, interfaces(Hotplug))]
trait SlowDevice: Device + Hotplug {}

/// What is echoed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
enum Echo {
    #[default]
    Nothing,
    WholeLines,
    #[property(name = "x86_64")]
    Code,
}

/// Facts about a class.
struct Facts {
    lookups: AtomicU32,
}

static FACTS: Facts = Facts { lookups: AtomicU32::new(0) };

/// Another fact, of another type.
static LIMIT: u16 = 12;

const LARGEST_BUFFER: Size = Size(1 << 20);

const BEFORE_SERIAL: u32 = line!();
/// A serial port.
#[qom_type(
    insecure,
    reason = "It is a test.",
    name = "test-serial",
    parent = SlowDevice,
    boundary(file, client),
    children = children,
    class_data(FACTS, LIMIT)
)]
#[derive(Debug)]
struct Serial {
    /// What is echoed.
    #[property]
    echo: Echo,
    /// First port.
    #[property(required, range = 0..=0xfff8)]
    io_base: u16,
    /// Baud rate.
    #[property(live, default = 9600, range = 1..=115_200, insecure(reason = "It is odd."))]
    rate: Live<u32>,
    /// What is sent first.
    #[property(
        default = "hello",
        insecure_if("rm", String::from("mv"), reason = "It is a command."),
        insecure_when(shouts, reason = "It is loud.")
    )]
    greeting: String,
    #[property(name = "buffer", description = "Size of the buffer", default = Size(4 << 10), range = 1..=LARGEST_BUFFER)]
    buffer_size: Size,
    /// Twice the rate.
    #[property(get = Self::twice_the_rate)]
    twice: Computed<u64>,
    /// Another of its kind.
    #[property(link = dyn Hotplug)]
    twin: Link<dyn Hotplug>,
    /// An identifier, if it has one.
    #[property(deprecated = "look at its path", unstable)]
    id_number: Option<u8>,
    #[cfg(any())]
    #[property(description = "Not there", default = Nothing)]
    absent: NoSuchType,
    sent: Vec<u8>,
}

impl Serial {
    fn twice_the_rate(&self) -> u64 {
        u64::from(self.rate.get()) * 2 + self.sent.len() as u64
    }
}

impl Device for Serial {}
impl SlowDevice for Serial {}
impl Hotplug for Serial {
    fn unplug(&self) -> u32 {
        self.rate.get()
    }
}

fn shouts(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(configuration.get::<String>("greeting")?.ends_with('!'))
}

fn children(configuration: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    if configuration.get::<u32>("count")? > 2 {
        children.add("own-bus", <TestBus as ClassType>::NAME);
    }
    Ok(())
}

/// A bus.
#[qom_type(secure, parent = Bus)]
struct TestBus;

impl Bus for TestBus {}

/// The CPU of the host, in a name with an underscore.
#[qom_type(parent = Object)]
struct HostX86_64Cpu;

fn tree() -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    let policy = Policy::of(&[PolicyStatement::InsecureTypes(InsecureTypes::Accept)]);
    Tree::new(Arc::clone(registry), policy, Globals::default()).expect("an empty tree")
}

fn create(tree: &Tree, request: Request) -> Obj {
    let created = tree.create([request], &mut NoCompletion).expect("it is created");
    created.objects.into_iter().next_back().expect("what was asked for")
}

fn property(info: &'static TypeInfo, name: &str) -> &'static PropertyInfo {
    info.properties.iter().find(|property| property.name == name).expect("the property is there")
}

#[test]
fn a_record_says_what_the_author_wrote() {
    let info = Serial::INFO;
    assert_eq!(info.name, "test-serial");
    assert_eq!(info.description, "A serial port.");
    assert!(matches!(info.kind, TypeKind::Concrete(_)));
    assert_eq!(info.parent, Some("slow-device"));
    assert_eq!(info.status, SecurityStatus::Insecure { reason: "It is a test." });
    assert_eq!(info.boundaries, Boundaries::of(&[Boundary::File, Boundary::Client]));
    assert_eq!((info.category, info.deprecated, info.unstable), (None, None, false));

    let device = <dyn Device>::INFO;
    assert_eq!(device.name, "device");
    assert_eq!(device.description, "The class of everything that a guest sees.");
    assert!(matches!(device.kind, TypeKind::Abstract));
    assert_eq!(device.parent, Some("object"));
    assert_eq!(device.status, SecurityStatus::Secure);
    assert_eq!(device.category, Some("Test devices"));

    let slow = <dyn SlowDevice>::INFO;
    assert_eq!(slow.interfaces, ["test-hotplug"]);
    assert_eq!(slow.status, SecurityStatus::Undeclared);
    assert_eq!(slow.boundaries, Boundaries::NONE);
    assert_eq!((slow.deprecated, slow.unstable), (Some("use a fast bus"), true));

    let hotplug = <dyn Hotplug>::INFO;
    assert!(matches!(hotplug.kind, TypeKind::Interface));
    assert_eq!((hotplug.name, hotplug.parent), ("test-hotplug", Some("interface")));
    assert_eq!(hotplug.boundaries, Boundaries::of(&[Boundary::Management]));
}

#[test]
fn a_record_says_who_makes_the_statement_and_where_the_type_is_named() {
    let statement = Serial::INFO.statement;
    assert_eq!(statement.crate_name, env!("CARGO_PKG_NAME"));
    // This test is a crate of its own in the package.
    assert_eq!(statement.crate_ident, "macros");
    assert_eq!(elsewhere::Renamed::INFO.statement.crate_ident, "macros", "in a module");
    assert_eq!(statement.crate_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(statement.file, file!());
    // The line of `struct Serial`, behind the doc comment and the two attributes.
    assert_eq!(statement.line, BEFORE_SERIAL + 12);
}

#[test]
fn names_are_in_kebab_case_unless_stated() {
    assert_eq!(HostX86_64Cpu::NAME, "host-x86_64-cpu");
    assert_eq!(TestBus::INFO.name, "test-bus");
    let names: Vec<_> = Serial::INFO.properties.iter().map(|property| property.name).collect();
    assert_eq!(
        names,
        ["echo", "io-base", "rate", "greeting", "buffer", "twice", "twin", "id-number"]
    );
}

#[test]
fn properties_have_their_types_defaults_limits_and_access() {
    let echo = property(Serial::INFO, "echo");
    assert_eq!((echo.type_name().as_str(), echo.default_value()), ("Echo", json!("nothing")));
    assert_eq!((echo.access, echo.required, echo.range), (Access::Creation, false, None));

    let base = property(Serial::INFO, "io-base");
    assert_eq!((base.required, base.range), (true, Some((0, 0xfff8))));
    assert!(base.default.is_none(), "a required property has no default");
    assert_eq!(base.parse(&Given::from("0x2f8")), Ok(json!(0x2f8)));
    assert!(matches!(base.parse(&Given::from("65535")), Err(ValueError::OutOfRange { .. })));

    let rate = property(Serial::INFO, "rate");
    assert_eq!((rate.type_name().as_str(), rate.access), ("uint32", Access::Live));
    assert_eq!(rate.default_value(), json!(9600));

    let buffer = property(Serial::INFO, "buffer");
    assert_eq!(buffer.description, "Size of the buffer");
    assert_eq!(buffer.default_value(), json!(4096));
    assert_eq!(buffer.range, Some((1, 1 << 20)), "an end of the property's own type");

    let twice = property(Serial::INFO, "twice");
    assert_eq!((twice.type_name().as_str(), twice.access), ("uint64", Access::Computed));
    assert!(twice.default.is_none());

    assert_eq!(property(Serial::INFO, "twin").type_name(), "link<test-hotplug>");
    let number = property(Serial::INFO, "id-number");
    assert_eq!(number.default_value(), json!(null));
    assert_eq!((number.deprecated, number.unstable), (Some("look at its path"), true));
    assert_eq!((buffer.deprecated, buffer.unstable), (None, false));

    let count = property(<dyn Device>::INFO, "count");
    assert_eq!((count.access, count.range), (Access::Live, Some((1, 8))));
    assert_eq!(property(<dyn Bus>::INFO, "owner").link, Some("device"));
    assert_eq!(property(<dyn Device>::INFO, "bus").link, Some("bus"));
}

#[test]
fn statements_on_values_keep_their_conditions_and_reasons() {
    let rate = property(Serial::INFO, "rate").insecure;
    assert!(matches!(rate[0].condition, InsecureCondition::NotDefault));
    assert_eq!(rate[0].reason, "It is odd.");

    let [listed, judged] = property(Serial::INFO, "greeting").insecure else {
        panic!("two statements were made");
    };
    let InsecureCondition::Values(values) = listed.condition else {
        panic!("the first one lists values");
    };
    assert_eq!(values(), [json!("rm"), json!("mv")]);
    assert!(matches!(judged.condition, InsecureCondition::When(_)));
    assert_eq!((listed.reason, judged.reason), ("It is a command.", "It is loud."));
}

#[test]
fn words_are_read_and_anything_else_is_refused_with_the_words() {
    assert_eq!(Echo::from_text("whole-lines"), Ok(Echo::WholeLines));
    assert_eq!(Echo::from_json(&json!("x86_64")), Ok(Echo::Code));
    assert_eq!(Echo::Code.to_json(), json!("x86_64"));
    assert_eq!(Echo::value_type().words, ["nothing", "whole-lines", "x86_64"]);
    let error = Echo::from_text("wholelines").unwrap_err();
    assert_eq!(
        error,
        ValueError::Word {
            given: "wholelines".to_owned(),
            words: &["nothing", "whole-lines", "x86_64"]
        }
    );
    assert!(matches!(Echo::from_json(&json!(1)), Err(ValueError::Type { .. })));
}

#[test]
fn an_object_starts_with_what_was_given_and_else_the_defaults() {
    let tree = tree();
    let request = Request::new("test-serial", "/", "s").set("io-base", "0x2f8").set("count", "2");
    let object = create(&tree, request);
    let serial = object.cast::<Serial>().expect("it is a serial port");
    assert_eq!(serial.io_base, 0x2f8);
    assert_eq!((serial.echo, serial.id_number), (Echo::Nothing, None));
    assert_eq!((serial.rate.get(), serial.greeting.as_str()), (9600, "hello"));
    assert_eq!(serial.buffer_size, Size(4096));
    assert!(serial.twin.get().is_none() && serial.sent.is_empty());
    assert_eq!(object.get("twice"), Some(json!(19_200)));
    assert_eq!(object.get("echo"), Some(json!("nothing")));
}

#[test]
fn an_object_is_cast_to_all_its_classes_and_to_no_other() {
    let tree = tree();
    let object = create(&tree, Request::new("test-serial", "/", "s").set("io-base", "1"));
    assert_eq!(object.cast::<dyn Hotplug>().map(|object| object.unplug()), Some(9600));
    assert_eq!(object.cast::<dyn Device>().map(|object| object.ports()), Some(1));
    assert!(object.is::<dyn SlowDevice>() && object.is::<dyn Object>() && object.is::<Serial>());
    assert!(!object.is::<dyn Bus>() && !object.is::<TestBus>());
}

#[test]
fn a_class_keeps_the_properties_that_it_declares() {
    let tree = tree();
    create(&tree, Request::new("test-bus", "/", "bus"));
    let request = Request::new("test-serial", "/", "s").set("io-base", "1").set("bus", "/bus");
    let object = create(&tree, request);
    let device = object.cast::<dyn Device>().expect("it is a device");
    assert_eq!(device.count(), 2);
    let bus = device.bus().expect("the bus is linked");
    assert!(bus.owner().is_none());

    tree.set(&object, "count", &Given::from("5")).expect("it is live");
    assert_eq!(device.count(), 5);
    tree.set(&object, "count", &Given::from("9")).expect_err("it is out of range");
    assert_eq!(device.count(), 5);
}

#[test]
fn a_live_field_is_written_and_its_object_sees_it() {
    let tree = tree();
    let object = create(&tree, Request::new("test-serial", "/", "s").set("io-base", "1"));
    tree.set(&object, "rate", &Given::from("115200")).expect("it is live");
    assert_eq!(object.cast::<Serial>().map(|serial| serial.rate.get()), Some(115_200));
    assert_eq!(object.get("twice"), Some(json!(230_400)));
    tree.set(&object, "greeting", &Given::from("bye")).expect_err("it is not live");
}

#[test]
fn a_link_has_the_class_that_its_field_names() {
    let tree = tree();
    create(&tree, Request::new("test-serial", "/", "first").set("io-base", "1"));
    create(&tree, Request::new("test-bus", "/", "bus"));
    let second = Request::new("test-serial", "/", "second").set("io-base", "2");
    let object = create(&tree, second.clone().set("twin", "/first"));
    let serial = object.cast::<Serial>().expect("it is a serial port");
    assert_eq!(serial.twin.get().map(|twin| twin.unplug()), Some(9600));
    assert_eq!(object.get("twin"), Some(json!("/first")));
    tree.create([second.set("twin", "/bus")], &mut NoCompletion)
        .expect_err("a bus can't be unplugged");
}

#[test]
fn children_are_those_that_the_function_announces() {
    let tree = tree();
    let request = Request::new("test-serial", "/", "s").set("io-base", "1").set("count", "3");
    let plan = tree.plan([request]).expect("it can be planned");
    let paths: Vec<_> = plan.objects().iter().map(|planned| planned.path()).collect();
    assert_eq!(paths, ["/s", "/s/own-bus"]);
}

#[test]
fn class_data_is_the_static_itself() {
    let registry = Registry::global().expect("the registry is sound");
    let class = registry.class("test-serial").expect("it is registered");
    let facts = class.data::<Facts>().expect("it has facts");
    facts.lookups.fetch_add(1, Ordering::Relaxed);
    assert_eq!(FACTS.lookups.load(Ordering::Relaxed), 1);
    assert_eq!(class.data::<u16>(), Some(&12));
    assert_eq!(class.data::<u32>(), None);
}

mod elsewhere {
    //! Types whose attributes and items are written in less usual ways.

    use qom_core::{ClassType, Object, Registry, qom_type};

    mod renamed {
        pub(super) use qom_core as model;
    }

    /// A type of a crate that reaches qom-core by a way of its own.
    #[qom_type(parent = super::elsewhere::Object, crate = renamed::model)]
    pub(super) struct Renamed {
        #[property(description = "A raw identifier")]
        r#type: bool,
    }

    macro_rules! exits {
        ($($ident:ident, $name:literal, $port:expr;)*) => {$(
            #[doc = concat!("ignored: not literal")]
            /// An exit.
            #[qom_type(name = $name, parent = Object)]
            struct $ident {
                /// Port.
                #[property(default = $port)]
                port: u16,
            }
        )*};
    }

    exits! {
        FirstExit, "first-exit", 1 + 1;
        SecondExit, "second-exit", 3;
    }

    #[test]
    fn a_path_of_ones_own_and_a_raw_identifier_are_understood() {
        assert_eq!(Renamed::INFO.properties[0].name, "type");
        assert_eq!(Renamed::INFO.parent, Some("object"));
    }

    #[test]
    fn types_that_another_macro_writes_are_types() {
        assert_eq!(FirstExit::INFO.name, "first-exit");
        assert_eq!(FirstExit::INFO.properties[0].default_value(), 2);
        assert_eq!(SecondExit::INFO.description, "An exit.");
    }

    #[test]
    fn a_type_in_a_function_is_registered_too() {
        /// A type that nobody outside can name.
        #[qom_type(parent = Object)]
        struct Inner;

        let registry = Registry::global().expect("the registry is sound");
        assert!(registry.class("inner").is_some());
        assert_eq!(Inner::NAME, "inner");
    }
}
