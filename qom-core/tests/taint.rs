//! Taint: whatever existed although require-secure would have refused it stays on record, and each
//! entry belongs to one object, not to a path.

use std::sync::Arc;

use qom_core::{
    BoxedError, Completion, Given, Globals,
    InsecureTypes::{Accept, Warn},
    Live, NoCompletion, Obj, Object, Policy,
    PolicyStatement::{self, InsecureTypes, ProhibitInsecure, RequireSecure},
    Registry, Request, Tree, qom_type,
};

/// A secure type with a setting that is not.
#[qom_type(secure, parent = Object)]
struct Fence {
    /// Whether it is open.
    #[property(live, insecure(reason = "anyone walks in"))]
    open: Live<bool>,
    /// How high it is.
    #[property(live, default = 1000, insecure(reason = "it was measured once"))]
    height: Live<u32>,
}

/// An insecure type.
#[qom_type(insecure, reason = "it is a hole", parent = Object)]
struct Hole;

/// A type of which nobody has said anything.
#[qom_type(parent = Object)]
struct Blank;

fn tree(statements: &[PolicyStatement]) -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::of(statements), Globals::default()).expect("a tree")
}

fn create(tree: &Tree, type_name: &str, name: &str) -> Obj {
    let request = Request::new(type_name, "/objects", name);
    let created = tree.create([request], &mut NoCompletion).expect("it may be");
    created.objects.last().expect("it").clone()
}

fn remove(tree: &Tree, object: &Obj) {
    tree.remove(object, &mut NoCompletion).expect("it is not in use");
}

/// Path, type and whether it is removed, of each taint.
fn taints(tree: &Tree) -> Vec<(String, &'static str, bool)> {
    let taints = tree.taints();
    taints
        .iter()
        .map(|taint| (taint.cause.path().to_owned(), taint.cause.type_name(), taint.removed))
        .collect()
}

fn entry(name: &str, type_name: &'static str, removed: bool) -> (String, &'static str, bool) {
    (format!("/objects/{name}"), type_name, removed)
}

#[test]
fn what_is_secure_taints_nothing_under_any_policy() {
    for statements in [&[][..], &[InsecureTypes(Accept)], &[InsecureTypes(Warn)]] {
        let tree = tree(statements);
        create(&tree, "fence", "f");
        assert!(tree.taints().is_empty());
    }
}

#[test]
fn what_require_secure_would_refuse_taints_even_if_it_is_permitted() {
    let tree = tree(&[ProhibitInsecure(true)]);
    create(&tree, "blank", "b");
    assert_eq!(taints(&tree), [entry("b", "blank", false)]);
    assert_eq!(tree.taints()[0].cause.to_string(), "Type 'blank' is not declared as secure");
}

#[test]
fn a_removed_object_stays_listed_as_removed() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let (hole, blank) = (create(&tree, "hole", "h"), create(&tree, "blank", "b"));
    remove(&tree, &hole);
    assert_eq!(taints(&tree), [entry("h", "hole", true), entry("b", "blank", false)]);
    remove(&tree, &blank);
    assert_eq!(taints(&tree), [entry("h", "hole", true), entry("b", "blank", true)]);
}

#[test]
fn the_next_object_at_a_path_is_another_object() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let first = create(&tree, "hole", "x");
    remove(&tree, &first);
    let second = create(&tree, "hole", "x");
    assert_eq!(taints(&tree), [entry("x", "hole", true), entry("x", "hole", false)]);
    tree.raise(RequireSecure(true)).expect_err("the second exists");
    remove(&tree, &second);
    create(&tree, "fence", "x");
    assert_eq!(taints(&tree), [entry("x", "hole", true), entry("x", "hole", true)]);
    tree.raise(RequireSecure(true)).expect("a secure object at the path contradicts nothing");
}

#[test]
fn the_removal_of_a_container_marks_all_that_it_held() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let container = Request::new("container", "/", "objects");
    let created = tree.create([container], &mut NoCompletion).expect("it is secure");
    create(&tree, "hole", "h");
    create(&tree, "blank", "b");
    remove(&tree, &created.objects[0]);
    assert_eq!(taints(&tree), [entry("h", "hole", true), entry("b", "blank", true)]);
}

#[test]
fn the_end_of_the_tree_marks_all_taints() {
    let tree = tree(&[InsecureTypes(Accept)]);
    create(&tree, "hole", "h");
    tree.clear(&mut NoCompletion);
    assert_eq!(taints(&tree), [entry("h", "hole", true)]);
}

#[test]
fn a_value_that_is_insecure_taints_and_goes_on_to_when_it_is_set_back() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let fence = create(&tree, "fence", "f");
    tree.set(&fence, "open", &Given::from("on")).expect("it is accepted");
    tree.set(&fence, "open", &Given::from("off")).expect("it is secure");
    let taints = tree.taints();
    assert_eq!(taints.len(), 1);
    let cause = &taints[0].cause;
    assert_eq!(
        cause.to_string(),
        "Property 'fence.open' with value 'true' is declared as insecure"
    );
    assert_eq!((cause.reason(), taints[0].removed), (Some("anyone walks in"), false));
    assert_eq!(cause.property(), Some(("open", &true.into())));
    tree.raise(RequireSecure(true)).expect("no value is insecure now");
}

#[test]
fn changing_to_and_fro_for_ever_fills_no_memory() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let fence = create(&tree, "fence", "f");
    for round in 0..300 {
        tree.set(&fence, "open", &Given::from(if round % 2 == 0 { "on" } else { "off" }))
            .expect("it is accepted");
        tree.set(&fence, "height", &Given::from(round.to_string())).expect("it is accepted");
    }
    let count = |name| {
        let taints = tree.taints();
        let of = |taint: &&qom_core::Taint| {
            taint.cause.property().is_some_and(|(property, _)| property == name)
        };
        taints.iter().filter(of).count()
    };
    assert_eq!((count("open"), count("height")), (1, 64));
}

#[test]
fn type_and_value_of_one_object_are_taints_each() {
    /// An insecure type with an insecure value.
    #[qom_type(insecure, reason = "it is old", parent = Object)]
    struct Ruin {
        /// How many stones are loose.
        #[property(insecure(reason = "they fall"))]
        loose: u8,
    }
    let tree = tree(&[InsecureTypes(Accept)]);
    let request = Request::new("ruin", "/", "r").set("loose", "3");
    let created = tree.create([request], &mut NoCompletion).expect("it is accepted");
    assert_eq!(created.findings.len(), 2);
    assert_eq!(tree.taints().len(), 2);
    remove(&tree, &created.objects[0]);
    assert!(tree.taints().iter().all(|taint| taint.removed));
}

/// Fails at one path.
struct FailAt(&'static str);

impl Completion for FailAt {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        if object.path().as_deref() == Some(self.0) { Err("no luck".into()) } else { Ok(()) }
    }

    fn undo(&mut self, _: &Obj) {}
}

#[test]
fn what_took_up_its_work_before_another_failed_was_there_and_what_did_not_was_not() {
    let tree = tree(&[InsecureTypes(Accept)]);
    let requests = || ["h", "i"].map(|name| Request::new("hole", "/objects", name));
    tree.create(requests(), &mut FailAt("/objects/h")).expect_err("the first fails");
    assert!(tree.taints().is_empty(), "nothing took up its work");
    tree.create(requests(), &mut FailAt("/objects/i")).expect_err("the second fails");
    assert_eq!(taints(&tree), [entry("h", "hole", true)]);
}

#[test]
fn creating_and_removing_for_ever_fills_no_memory_and_loses_no_cause() {
    let tree = tree(&[InsecureTypes(Accept)]);
    for round in 0..1100 {
        let object = create(&tree, "hole", &round.to_string());
        remove(&tree, &object);
    }
    let blank = create(&tree, "blank", "b");
    assert_eq!(tree.taints().len(), 1025);
    remove(&tree, &blank);
    assert_eq!(taints(&tree).last(), Some(&entry("b", "blank", true)), "its cause is a new one");
    create(&tree, "hole", "last");
    assert_eq!(taints(&tree).last(), Some(&entry("last", "hole", false)), "what exists is listed");
}
