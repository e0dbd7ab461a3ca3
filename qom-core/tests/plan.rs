//! Plans: everything that a request brings is known and judged before anything is constructed.

use std::{cell::Cell, sync::Arc};

use qom_core::{
    Children, Configuration, CreateError, Given, Global, Globals, InsecureTypes, Link,
    NoCompletion, Object, Origin, PlanError, Policy, PolicyStatement, Registry, Request, Source,
    Tree, qom_type,
};
use serde_json::json;

thread_local! {
    /// How many objects were constructed on this thread, each test being one of its own.
    static CONSTRUCTED: Cell<u32> = const { Cell::new(0) };
}

/// Notes that an object is constructed.
struct Note;

impl Default for Note {
    fn default() -> Self {
        CONSTRUCTED.set(CONSTRUCTED.get() + 1);
        Self
    }
}

/// The top of three generations.
#[qom_type(secure, parent = Object, children = parents)]
struct Grandparent {
    /// Whether a grandchild is insecure.
    #[property]
    rebel: bool,
    _note: Note,
}

fn parents(configuration: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    for name in ["one", "two"] {
        let rebel = configuration.get::<bool>("rebel")? && name == "two";
        children.add(name, "parent").set("rebel", Given::Json(json!(rebel)));
    }
    Ok(())
}

/// The middle.
#[qom_type(secure, parent = Object, children = children)]
struct Parent {
    /// Whether the child is insecure.
    #[property]
    rebel: bool,
    _note: Note,
}

fn children(configuration: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    let rebel = configuration.get::<bool>("rebel")?;
    children.add("child", if rebel { "rebel" } else { "child" });
    Ok(())
}

/// A secure child.
#[qom_type(secure, parent = Object)]
struct Child {
    /// The one before it.
    #[property(link = dyn Object)]
    after: Link<dyn Object>,
    _note: Note,
}

/// An insecure child.
#[qom_type(insecure, reason = "it does as it likes", parent = Object)]
struct Rebel {
    _note: Note,
}

/// A type that announces another of itself without end.
#[qom_type(secure, parent = Object, children = itself)]
struct Mirror {
    _note: Note,
}

fn itself(_: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    children.add("left", "mirror");
    children.add("right", "mirror");
    Ok(())
}

/// A type that has as many children as its user likes.
#[qom_type(secure, parent = Object, children = many)]
struct Crowd {
    /// How many.
    #[property]
    count: u32,
}

fn many(configuration: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    for at in 0..configuration.get::<u32>("count")? {
        children.add(at.to_string(), "child");
    }
    Ok(())
}

/// A type that refuses some configurations, and names its children badly on demand.
#[qom_type(secure, parent = Object, children = picky)]
struct Picky {
    /// What to do.
    #[property]
    order: String,
}

fn picky(configuration: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    let child = match &*configuration.get::<String>("order")? {
        "refuse" => return Err(PlanError::Refused("not like this".to_owned())),
        "unknown" => children.add("child", "no-such-type"),
        "abstract" => children.add("child", "object"),
        "linked" => {
            let before = children.path_of("elder");
            children.add("elder", "child");
            children.add("younger", "child").link("after", Some(before));
            return Ok(());
        }
        "twice" => {
            children.add("child", "child");
            children.add("child", "child")
        }
        "containers" => {
            children.add("a/b/c", "child");
            children.add_container("a");
            children.add_container("a/d");
            children.add("e", "container");
            children.add("e/f", "child")
        }
        name => children.add(name, "child"),
    };
    child.link("after", None);
    Ok(())
}

fn tree_with(globals: Globals, statements: &[PolicyStatement]) -> Tree {
    CONSTRUCTED.set(0);
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::of(statements), globals).expect("an empty tree")
}

fn tree() -> Tree {
    tree_with(Globals::default(), &[])
}

fn refuse(tree: &Tree, request: Request) -> String {
    let before = tree.walk().len();
    let error = tree.create([request], &mut NoCompletion).expect_err("it can't be");
    assert_eq!(tree.walk().len(), before, "a failure leaves nothing");
    assert_eq!(CONSTRUCTED.get(), 0, "nothing was constructed");
    error.to_string()
}

#[test]
fn a_plan_holds_all_generations_in_the_order_of_creation() {
    let origin = Origin::new("-object grandparent,id=g");
    let request = Request::new("grandparent", "/objects", "g").from(origin.clone());
    let plan = tree().plan([request]).expect("it can be planned");
    let planned: Vec<_> = plan
        .objects()
        .iter()
        .map(|planned| (planned.path(), planned.class().name(), planned.is_requested()))
        .collect();
    assert_eq!(
        planned,
        [
            ("/objects", "container", false),
            ("/objects/g", "grandparent", true),
            ("/objects/g/one", "parent", false),
            ("/objects/g/one/child", "child", false),
            ("/objects/g/two", "parent", false),
            ("/objects/g/two/child", "child", false),
        ]
    );
    assert!(plan.objects().iter().all(|planned| *planned.origin() == origin));
    assert_eq!(CONSTRUCTED.get(), 0, "nothing was constructed");
}

#[test]
fn a_refused_grandchild_is_refused_before_anything_is_constructed() {
    let tree = tree();
    let request = Request::new("grandparent", "/", "g");
    let error = refuse(&tree, request.clone().set("rebel", "on"));
    assert_eq!(error, "Type 'rebel' is declared as insecure");
    tree.create([request], &mut NoCompletion).expect("without the rebel it may");
    assert_eq!(CONSTRUCTED.get(), 5);
}

#[test]
fn a_later_request_that_is_refused_stops_the_earlier_ones() {
    let tree = tree();
    let requests = [Request::new("child", "/", "a"), Request::new("rebel", "/", "b")];
    tree.create(requests, &mut NoCompletion).expect_err("the second is insecure");
    assert_eq!((CONSTRUCTED.get(), tree.walk().len()), (0, 1));
}

#[test]
fn only_containers_take_children_that_were_not_announced() {
    let tree = tree();
    tree.create([Request::new("child", "/", "c")], &mut NoCompletion).unwrap();
    CONSTRUCTED.set(0);
    assert_eq!(
        refuse(&tree, Request::new("child", "/c", "d")),
        "'/c' (type 'child') takes no children but those that its class announces"
    );
    assert_eq!(
        refuse(&tree, Request::new("child", "/c/deeper", "d")),
        "'/c' (type 'child') takes no children but those that its class announces"
    );
    let both = [Request::new("child", "/", "new"), Request::new("child", "/new", "d")];
    let error = tree.create(both, &mut NoCompletion).unwrap_err().to_string();
    assert_eq!(error, "'/new' (type 'child') takes no children but those that its class announces");
}

#[test]
fn a_class_that_announces_itself_for_ever_is_bounded() {
    let error = refuse(&tree(), Request::new("mirror", "/", "m"));
    assert!(error.starts_with("the plan exceeds 64 levels: the last object was '/m/left/left"));
}

#[test]
fn a_class_that_announces_too_many_is_bounded() {
    let tree = tree();
    for count in ["65536", "100000", "1000000"] {
        let error = refuse(&tree, Request::new("crowd", "/", "c").set("count", count));
        assert!(error.starts_with("the plan exceeds 65536 objects"), "{error}");
    }
    let plan = tree.plan([Request::new("crowd", "/", "c").set("count", "65535")]);
    assert_eq!(plan.expect("it is no more than the bound").objects().len(), 65_536);
}

#[test]
fn a_path_that_is_too_deep_is_refused() {
    let error = refuse(&tree(), Request::new("child", "/x".repeat(64), "c"));
    assert!(error.starts_with("the plan exceeds 64 levels"), "{error}");
}

#[test]
fn what_a_class_announces_badly_is_an_error_of_whoever_asked() {
    let tree = tree();
    let order = |order: &str| refuse(&tree, Request::new("picky", "/", "p").set("order", order));
    assert_eq!(order("refuse"), "not like this");
    assert_eq!(order("unknown"), "invalid object type: no-such-type");
    assert_eq!(order("abstract"), "object type 'object' is abstract");
    assert_eq!(
        order("twice"),
        "attempt to add duplicate property 'child' to object (type 'picky')"
    );
    // Its children are properties like any other: a name stands for one thing.
    assert_eq!(
        order("order"),
        "attempt to add duplicate property 'order' to object (type 'picky')"
    );
    for name in ["", "a//b", "/a", "a/", "a\nb"] {
        assert!(order(name).contains("can't name an object"), "{name:?}");
    }
    let request = Request::new("picky", "/", "p").set("order", "refuse");
    let origin = Origin::new("-object picky");
    let error = tree.plan([request.from(origin.clone())]).unwrap_err();
    assert_eq!(error.origin(), Some(&origin));
}

#[test]
fn children_in_containers_bring_each_container_once() {
    let request = Request::new("picky", "/", "p").set("order", "containers");
    let plan = tree().plan([request]).expect("it can be planned");
    let paths: Vec<_> = plan.objects().iter().map(|planned| planned.path()).collect();
    assert_eq!(paths, ["/p", "/p/a", "/p/a/b", "/p/a/b/c", "/p/a/d", "/p/e", "/p/e/f"]);
}

#[test]
fn a_child_is_linked_to_its_elder_sibling() {
    let tree = tree();
    let request = Request::new("picky", "/", "p").set("order", "linked");
    let created = tree.create([request], &mut NoCompletion).expect("it can be planned");
    let younger = created.objects.last().and_then(|object| object.cast::<Child>());
    let target = younger.as_ref().and_then(|child| child.after.handle());
    assert_eq!(target.and_then(qom_core::Obj::path).as_deref(), Some("/p/elder"));
}

#[test]
fn unknown_and_abstract_types_are_refused_in_these_words() {
    let tree = tree();
    assert_eq!(
        refuse(&tree, Request::new("chidl", "/", "c")),
        "invalid object type: chidl; did you mean 'child'?"
    );
    assert_eq!(refuse(&tree, Request::new("object", "/", "c")), "object type 'object' is abstract");
    assert_eq!(
        refuse(&tree, Request::new("interface", "/", "c")),
        "object type 'interface' is abstract"
    );
}

#[test]
fn a_configuration_tells_each_value_and_where_it_came_from() {
    let globals = Globals::new(vec![Global::new("crowd", "count", "0")]);
    let tree = tree_with(globals, &[]);
    let requests = [
        Request::new("crowd", "/", "a"),
        Request::new("crowd", "/", "b").set("count", "1"),
        Request::new("picky", "/", "c").set("order", "x"),
        Request::new("grandparent", "/", "d"),
    ];
    let plan = tree.plan(requests).expect("it can be planned");
    let of = |path: &str| {
        let position = plan.objects().iter().position(|planned| planned.path() == path);
        plan.configuration(position.expect("it is planned")).expect("it is there")
    };
    assert_eq!(of("/a").source("count"), Ok(Source::Global));
    assert_eq!(of("/b").source("count"), Ok(Source::Given));
    assert_eq!((of("/b").get::<u32>("count"), of("/b").get::<u8>("count")), (Ok(1), Ok(1)));
    assert_eq!(of("/d").source("rebel"), Ok(Source::Default));
    assert_eq!(of("/d/one").source("rebel"), Ok(Source::Given), "its parent gave it");
    let error = of("/c").get::<u32>("order").unwrap_err();
    assert!(matches!(error, PlanError::Value { .. }), "{error}");
    let error = of("/c").source("none").unwrap_err();
    assert_eq!(error.to_string(), "Property 'picky.none' not found");
    assert!(plan.configuration(plan.objects().len()).is_none());
}

#[test]
fn a_plan_makes_no_promise_for_a_policy_that_was_raised_since() {
    let tree =
        tree_with(Globals::default(), &[PolicyStatement::InsecureTypes(InsecureTypes::Accept)]);
    let plan = tree.plan([Request::new("rebel", "/", "r")]).expect("it can be planned");
    tree.raise(PolicyStatement::RequireSecure(true)).expect("nothing exists yet");
    let error = tree.create_planned(plan, &mut NoCompletion).unwrap_err();
    assert!(matches!(error, CreateError::Refused(_)), "{error}");
    assert_eq!(CONSTRUCTED.get(), 0);
}
