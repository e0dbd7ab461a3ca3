//! Global settings: what a user sets for all objects of a class.

use std::sync::Arc;

use qom_core::{
    Computed, Global, Globals, NoCompletion, Object, Origin, Policy, Registry, Request, Tree,
    qom_type,
};
use serde_json::{Value, json};

/// The class of a family, with a property of its own.
#[qom_type(abstract, parent = Object)]
trait Family: Object {
    /// A property that all of them have.
    #[property(default = 200)]
    fn prop1(&self) -> u32;
}

/// A member.
#[qom_type(secure, parent = Family)]
struct Member {
    /// A property of its own.
    #[property(default = 100, range = 0..=1000)]
    prop2: u32,
    /// A secret.
    #[property(insecure(reason = "it is out"))]
    secret: bool,
    /// Never written.
    #[property(get = Self::sum)]
    sum: Computed<u32>,
}

impl Family for Member {}

impl Member {
    fn sum(&self) -> u32 {
        self.prop1() + self.prop2
    }
}

/// A member without properties of its own.
#[qom_type(secure, parent = Family)]
struct Cousin;

impl Family for Cousin {}

/// A type that needs a value.
#[qom_type(secure, parent = Object)]
struct Needy {
    /// What it needs.
    #[property(required)]
    need: u8,
}

fn tree(globals: Vec<Global>) -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::default(), Globals::new(globals)).expect("a tree")
}

fn create(tree: &Tree, request: Request) -> Result<[Option<Value>; 2], String> {
    let created = tree.create([request], &mut NoCompletion).map_err(|error| error.to_string())?;
    let object = created.objects.last().expect("it");
    Ok([object.get("prop1"), object.get("prop2")])
}

fn member() -> Request {
    Request::new("member", "/", "m")
}

fn values(prop1: u32, prop2: u32) -> Result<[Option<Value>; 2], String> {
    Ok([Some(json!(prop1)), Some(json!(prop2))])
}

fn warnings(tree: &Tree) -> Vec<String> {
    tree.globals().warnings(tree.registry())
}

#[test]
fn without_globals_the_defaults_hold() {
    assert_eq!(create(&tree(Vec::new()), member()), values(200, 100));
}

#[test]
fn a_global_replaces_the_default_of_one_property() {
    let tree = tree(vec![Global::new("member", "prop2", "5")]);
    assert_eq!(create(&tree, member()), values(200, 5));
    assert!(warnings(&tree).is_empty());
}

#[test]
fn whoever_asks_for_an_object_overrides_a_global() {
    let tree = tree(vec![Global::new("member", "prop2", "5")]);
    assert_eq!(create(&tree, member().set("prop2", "6")), values(200, 6));
}

#[test]
fn a_global_of_an_abstract_class_holds_for_all_that_descend_from_it() {
    let tree = tree(vec![Global::new("family", "prop1", "101")]);
    assert_eq!(create(&tree, member()), values(101, 100));
    assert_eq!(create(&tree, Request::new("cousin", "/", "c")), Ok([Some(json!(101)), None]));
    assert!(warnings(&tree).is_empty());
}

#[test]
fn of_two_globals_the_later_holds_whichever_class_it_names() {
    let (family, member_too) = ("family", "member");
    let last = |first, second| {
        let globals = vec![Global::new(first, "prop1", "1"), Global::new(second, "prop1", "2")];
        create(&tree(globals), member())
    };
    assert_eq!(last(family, member_too), values(2, 100));
    assert_eq!(last(member_too, family), values(2, 100));
    assert_eq!(last(family, family), values(2, 100));
}

#[test]
fn a_global_of_a_class_passes_over_descendants_without_the_property() {
    let tree = tree(vec![Global::new("family", "prop2", "9")]);
    assert_eq!(create(&tree, Request::new("cousin", "/", "c")), Ok([Some(json!(200)), None]));
    assert_eq!(warnings(&tree), ["global family.prop2=9 not used"], "so far");
    assert_eq!(create(&tree, member()), values(200, 9));
    assert!(warnings(&tree).is_empty());
}

#[test]
fn a_bad_value_fails_the_creation_in_these_words_and_nothing_else() {
    let tree = tree(vec![Global::new("member", "prop2", "1001")]);
    assert_eq!(
        create(&tree, member()).unwrap_err(),
        "can't apply global member.prop2=1001: Parameter 'prop2' expects a value from 0 to 1000, \
         got '1001'"
    );
    assert_eq!(tree.walk().len(), 1);
    create(&tree, Request::new("cousin", "/", "c")).expect("it has no such property");
}

#[test]
fn a_mistake_is_told_of_whoever_made_the_setting() {
    let from = |property: &str, value: &str| {
        Global::new("member", property, value).from(Origin::new("-global member"))
    };
    let told = |globals: Vec<Global>, request: Request| {
        let refused = tree(globals).create([request], &mut NoCompletion).expect_err("a mistake");
        (refused.origin().map(ToString::to_string).unwrap_or_default(), refused.to_string())
    };
    let asker = || Origin::new("-device member");
    let by_global = |problem: &str| ("-global member".to_owned(), problem.to_owned());
    assert_eq!(
        told(vec![from("prop2", "1001")], member().from(asker())),
        by_global("Parameter 'prop2' expects a value from 0 to 1000, got '1001'")
    );
    assert_eq!(
        told(vec![from("prop3", "1")], member().from(asker())),
        by_global("Property 'member.prop3' not found; did you mean 'prop1'?")
    );
    let insecure = "Property 'member.secret' with value 'true' is declared as insecure";
    assert_eq!(told(vec![from("secret", "on")], member().from(asker())), by_global(insecure));
    // Whoever gives the property has it over the setting, and the later setting over the earlier.
    let by_asker = ("-device member".to_owned(), insecure.to_owned());
    for globals in [
        vec![from("secret", "off")],
        vec![Global::new("member", "secret", "off"), from("secret", "off")],
    ] {
        assert_eq!(told(globals, member().set("secret", "on").from(asker())), by_asker);
    }
    let nobodys = vec![from("secret", "off"), Global::new("member", "secret", "on")];
    assert_eq!(told(nobodys, member().from(asker())), by_asker);
}

#[test]
fn a_bad_value_is_an_error_even_if_another_would_override_it() {
    let tree = tree(vec![Global::new("member", "prop2", "many")]);
    create(&tree, member().set("prop2", "6")).expect_err("the global is wrong all the same");
}

#[test]
fn unknown_and_computed_properties_fail_the_creation() {
    let unknown = tree(vec![Global::new("member", "prop3", "1")]);
    assert_eq!(
        create(&unknown, member()).unwrap_err(),
        "can't apply global member.prop3=1: Property 'member.prop3' not found; did you mean \
         'prop1'?"
    );
    let computed = tree(vec![Global::new("family", "sum", "1")]);
    assert_eq!(
        create(&computed, member()).unwrap_err(),
        "can't apply global family.sum=1: Property 'member.sum' is read-only"
    );
}

#[test]
fn a_global_gives_what_is_required() {
    let tree = tree(vec![Global::new("needy", "need", "1")]);
    create(&tree, Request::new("needy", "/", "n")).expect("the global gives it");
}

#[test]
fn a_global_is_judged_as_what_was_given() {
    let tree = tree(vec![Global::new("member", "secret", "on")]);
    assert_eq!(
        create(&tree, member()).unwrap_err(),
        "Property 'member.secret' with value 'true' is declared as insecure"
    );
    create(&tree, member().set("secret", "off")).expect("the value that holds is secure");
}

#[test]
fn globals_that_name_nothing_or_were_not_used_are_warned_about() {
    let tree = tree(vec![
        Global::new("membre", "prop1", "1"),
        Global::new("family", "prop1", "1"),
        Global::new("needy", "need", "1"),
    ]);
    assert_eq!(
        warnings(&tree),
        [
            "global membre.prop1=1 has invalid class name; did you mean 'member'?",
            "global family.prop1=1 not used",
            "global needy.need=1 not used",
        ]
    );
    create(&tree, member()).expect("it is fine");
    assert_eq!(
        warnings(&tree),
        [
            "global membre.prop1=1 has invalid class name; did you mean 'member'?",
            "global needy.need=1 not used"
        ]
    );
}
