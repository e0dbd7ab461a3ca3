//! Properties at creation and after: what is accepted, in which form, and the exact words for what
//! is not.

use std::sync::Arc;

use proptest::prelude::*;
use qom_core::{
    Computed, Given, Globals, InsecureTypes, Live, NoCompletion, Obj, Object, Policy,
    PolicyStatement, PropertyEnum, PropertyType, Registry, Request, SetError, Size, Tree, qom_type,
};
use serde_json::{Value, json};

/// An animal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
enum Animal {
    #[default]
    Frog,
    Alligator,
    Platypus,
}

/// A type with a property of each kind.
#[qom_type(secure, parent = Object)]
struct Dummy {
    /// A boolean.
    #[property]
    bv: bool,
    /// A word.
    #[property]
    av: Animal,
    /// A text.
    #[property(default = "none")]
    sv: String,
    /// A number that can change, from 1 to 100.
    #[property(live, default = 7, range = 1..=100)]
    number: Live<u8>,
    /// A size.
    #[property(default = Size(1 << 20))]
    size: Size,
    /// Twice the number.
    #[property(get = Self::twice)]
    twice: Computed<u16>,
}

impl Dummy {
    fn twice(&self) -> u16 {
        u16::from(self.number.get()) * 2
    }
}

/// A type that can't be without a value.
#[qom_type(secure, parent = Object)]
struct Needy {
    /// What it needs.
    #[property(required)]
    need: String,
    /// The dummy that it needs.
    #[property(required, link = dyn Object)]
    dummy: qom_core::Link<dyn Object>,
}

/// A type whose values differ in security, in all three ways to say so.
#[qom_type(secure, parent = Object)]
struct Disk {
    /// How the image is read.
    #[property(
        live,
        default = "qcow2",
        insecure_if("guess", "vvfat", reason = "the guest chooses")
    )]
    format: Live<String>,
    /// Whether others may write too.
    #[property(live, insecure(reason = "nobody guards the image"))]
    share: Live<bool>,
    /// Most bytes at once.
    #[property(live, default = 512, insecure_when(too_much, reason = "it starves others"))]
    burst: Live<u32>,
}

fn too_much(configuration: &qom_core::Configuration<'_>) -> Result<bool, qom_core::PlanError> {
    match configuration.get::<u32>("burst")? {
        0 => Err(qom_core::PlanError::Refused("a burst of nothing".to_owned())),
        burst => Ok(burst > 4096),
    }
}

fn tree_with(globals: Globals, statements: &[PolicyStatement]) -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::of(statements), globals).expect("an empty tree")
}

fn tree() -> Tree {
    tree_with(Globals::default(), &[])
}

fn create(tree: &Tree, request: Request) -> Result<Obj, String> {
    match tree.create([request], &mut NoCompletion) {
        Ok(created) => Ok(created.objects.last().expect("something was created").clone()),
        Err(error) => {
            assert!(tree.resolve("/o").is_err(), "a refused object must leave nothing");
            Err(error.to_string())
        }
    }
}

fn dummy() -> Request {
    Request::new("dummy", "/", "o")
}

#[test]
fn texts_become_values_as_their_types_read_them() {
    let tree = tree();
    let request = dummy().set("bv", "yes").set("av", "platypus").set("sv", "Hiss hiss hiss");
    let object = create(&tree, request.set("size", "2k")).expect("all values are good");
    let dummy = object.cast::<Dummy>().expect("it is a dummy");
    assert!(dummy.bv);
    assert_eq!((dummy.av, dummy.sv.as_str()), (Animal::Platypus, "Hiss hiss hiss"));
    assert_eq!(dummy.size, Size(2048));
    assert_eq!(object.get("av"), Some(json!("platypus")));
    assert_eq!(object.get("size"), Some(json!(2048)));
}

#[test]
fn json_values_must_be_of_the_type_already() {
    let tree = tree();
    let json = |property, value: Value| create(&tree, dummy().set(property, value));
    assert_eq!(
        json("bv", json!("yes")).unwrap_err(),
        "Parameter 'bv' expects a boolean, got '\"yes\"'"
    );
    assert_eq!(
        json("number", json!("7")).unwrap_err(),
        "Parameter 'number' expects an integer from 0 to 255, got '\"7\"'"
    );
    assert_eq!(json("sv", json!(7)).unwrap_err(), "Parameter 'sv' expects a string, got '7'");
    json("number", json!(8)).expect("it is a number");
}

#[test]
fn a_word_that_is_none_of_an_enumeration_is_refused_in_these_words() {
    let tree = tree();
    let error = create(&tree, dummy().set("av", "yeti")).unwrap_err();
    assert_eq!(error, "Parameter 'av' does not accept value 'yeti'");
}

#[test]
fn an_unknown_property_is_refused_with_the_near_miss() {
    let tree = tree();
    let error = create(&tree, dummy().set("nubmer", "3")).unwrap_err();
    assert_eq!(error, "Property 'dummy.nubmer' not found; did you mean 'number'?");
}

#[test]
fn a_number_out_of_its_range_is_refused_with_the_range() {
    let tree = tree();
    for given in ["0", "101"] {
        let error = create(&tree, dummy().set("number", given)).unwrap_err();
        let expected = format!("Parameter 'number' expects a value from 1 to 100, got '{given}'");
        assert_eq!(error, expected);
    }
    for given in ["1", "100"] {
        let object = create(&tree, dummy().set("number", given)).expect("it is in the range");
        tree.remove(&object, &mut NoCompletion).expect("it is not in use");
    }
}

#[test]
fn the_last_of_several_values_for_one_property_holds() {
    let object = create(&tree(), dummy().set("number", "1").set("number", "2")).unwrap();
    assert_eq!(object.get("number"), Some(json!(2)));
}

#[test]
fn every_value_of_several_for_one_property_must_be_good() {
    let error = create(&tree(), dummy().set("number", "none").set("number", "2")).unwrap_err();
    assert_eq!(error, "Parameter 'number' expects an integer from 0 to 255, got 'none'");
}

#[test]
fn a_computed_property_is_read_and_never_written() {
    let tree = tree();
    let error = create(&tree, dummy().set("twice", "4")).unwrap_err();
    assert_eq!(error, "Property 'dummy.twice' is read-only");
    let object = create(&tree, dummy()).expect("it is fine");
    assert_eq!(object.get("twice"), Some(json!(14)));
    let error = tree.set(&object, "twice", &Given::from("4")).unwrap_err();
    assert_eq!(error.to_string(), "Property 'dummy.twice' is read-only");
}

#[test]
fn what_is_required_must_be_given_and_nothing_is_not_given() {
    let tree = tree();
    create(&tree, Request::new("dummy", "/", "d")).unwrap();
    let needy = || Request::new("needy", "/", "o").set("need", "love");
    let missing = "Parameter 'dummy' is missing";
    assert_eq!(create(&tree, needy()).unwrap_err(), missing);
    assert_eq!(create(&tree, needy().set("dummy", "")).unwrap_err(), missing);
    assert_eq!(create(&tree, needy().set("dummy", Value::Null)).unwrap_err(), missing);
    let error = create(&tree, Request::new("needy", "/", "o").set("dummy", "/d")).unwrap_err();
    assert_eq!(error, "Parameter 'need' is missing");
    create(&tree, needy().set("dummy", "/d")).expect("nothing is missing");
}

#[test]
fn only_live_properties_change_and_their_values_are_checked_as_at_creation() {
    let tree = tree();
    let object = create(&tree, dummy()).unwrap();
    tree.set(&object, "number", &Given::from("0x10")).expect("it is live");
    assert_eq!(object.get("number"), Some(json!(16)));
    let error = tree.set(&object, "number", &Given::from("0")).unwrap_err();
    assert_eq!(error.to_string(), "Parameter 'number' expects a value from 1 to 100, got '0'");
    let error = tree.set(&object, "bv", &Given::from("on")).unwrap_err();
    assert_eq!(error.to_string(), "Property 'dummy.bv' can't be changed once the object exists");
    let error = tree.set(&object, "none", &Given::from("on")).unwrap_err();
    assert_eq!(error.to_string(), "Property 'dummy.none' not found");
    assert_eq!(object.get("number"), Some(json!(16)), "what was refused changed nothing");
    assert_eq!(object.get("none"), None);
}

#[test]
fn an_object_that_has_left_the_tree_is_not_changed() {
    let tree = tree();
    let object = create(&tree, dummy()).unwrap();
    tree.remove(&object, &mut NoCompletion).expect("it is not in use");
    let error = tree.set(&object, "number", &Given::from("9")).unwrap_err();
    assert_eq!(error, SetError::Absent { class: "dummy" });
    assert_eq!(object.get("number"), Some(json!(7)));
}

#[test]
fn an_insecure_value_is_refused_at_creation_whichever_way_it_was_declared() {
    let tree = tree();
    let refused = |property, value: &str| {
        create(&tree, Request::new("disk", "/", "o").set(property, value)).unwrap_err()
    };
    for format in ["guess", "vvfat"] {
        assert_eq!(
            refused("format", format),
            format!("Property 'disk.format' with value '{format}' is declared as insecure")
        );
    }
    assert_eq!(
        refused("share", "on"),
        "Property 'disk.share' with value 'true' is declared as insecure"
    );
    assert_eq!(
        refused("burst", "4097"),
        "Property 'disk.burst' with value '4097' is declared as insecure"
    );
    let secure = Request::new("disk", "/", "o").set("format", "raw").set("share", "off");
    create(&tree, secure.set("burst", "4096")).expect("every value is secure");
}

#[test]
fn an_insecure_value_is_refused_on_the_living_object_and_changes_nothing() {
    let tree = tree();
    let object = create(&tree, Request::new("disk", "/", "o")).unwrap();
    for (property, value) in [("format", "guess"), ("share", "on"), ("burst", "5000")] {
        let before = object.get(property);
        let error = tree.set(&object, property, &Given::from(value)).unwrap_err();
        assert!(
            matches!(&error, SetError::Refused(refusal)
            if refusal.property().is_some_and(|(name, _)| name == property)),
            "{error}"
        );
        assert_eq!(object.get(property), before);
    }
    assert!(tree.taints().is_empty());
    tree.set(&object, "format", &Given::from("raw")).expect("raw is secure");
}

#[test]
fn what_can_not_be_judged_is_not_created_nor_set() {
    let tree = tree();
    let error = create(&tree, Request::new("disk", "/", "o").set("burst", "0")).unwrap_err();
    assert_eq!(error, "a burst of nothing");
    let object = create(&tree, Request::new("disk", "/", "o")).unwrap();
    let error = tree.set(&object, "burst", &Given::from("0")).unwrap_err();
    assert_eq!(error.to_string(), "a burst of nothing");
    assert_eq!(object.get("burst"), Some(json!(512)));
}

#[test]
fn a_failing_judge_fails_whatever_the_policy_permits() {
    let tree =
        tree_with(Globals::default(), &[PolicyStatement::InsecureTypes(InsecureTypes::Accept)]);
    let error = create(&tree, Request::new("disk", "/", "o").set("burst", "0")).unwrap_err();
    assert_eq!(error, "a burst of nothing");
}

proptest! {
    #[test]
    fn no_text_is_too_odd_for_any_type(text in any::<String>()) {
        let _ = bool::from_text(&text);
        let _ = i8::from_text(&text);
        let _ = u64::from_text(&text);
        let _ = Size::from_text(&text);
        let _ = Animal::from_text(&text);
        let _ = Value::from_text(&text);
        let _ = Option::<i64>::from_text(&text);
    }

    #[test]
    fn no_number_is_too_odd_for_a_size(text in "-?(0x)?[0-9a-f]{0,24}(\\.[0-9]{0,20})?[a-zA-Z]?") {
        if let Ok(Size(size)) = Size::from_text(&text) {
            prop_assert_eq!(Size::from_json(&json!(size)), Ok(Size(size)));
        }
    }

    #[test]
    fn an_integer_survives_its_text_and_its_json(number in any::<i64>()) {
        prop_assert_eq!(i64::from_text(&number.to_string()), Ok(number));
        prop_assert_eq!(i64::from_json(&number.to_json()), Ok(number));
        prop_assert_eq!(i16::from_text(&number.to_string()).ok(), i16::try_from(number).ok());
    }

    #[test]
    fn no_request_is_too_odd_for_a_tree(
        type_name in "dummy|disk|\\PC{0,12}",
        parent in "/|/objects|\\PC{0,12}",
        name in any::<String>(),
        property in "bv|av|number|burst|\\PC{0,12}",
        value in any::<String>(),
    ) {
        let tree = tree();
        let before = tree.walk().len();
        let request = Request::new(type_name, parent, name).set(property, value);
        if tree.create([request], &mut NoCompletion).is_err() {
            prop_assert_eq!(tree.walk().len(), before);
        }
    }
}
