//! Casts: a handle is cast to every class and interface of its object, and to nothing else.

use std::sync::Arc;

use qom_core::{
    Container, Globals, Instance, Link, NoCompletion, Obj, Object, Policy, Registry, Request, Tree,
    qom_interface, qom_type,
};

/// The first class.
#[qom_type(abstract, parent = Object)]
trait Animal: Object {
    fn legs(&self) -> u32;
}

/// A class below it.
#[qom_type(abstract, parent = Animal, interfaces(Named))]
trait Pet: Animal + Named {}

/// An interface.
#[qom_interface]
trait Named: Object {
    fn call(&self) -> String;
}

/// An interface that the type adds itself.
#[qom_interface]
trait Trained: Object {
    fn sit(&self) -> bool {
        true
    }
}

/// A dog.
#[qom_type(secure, parent = Pet, interfaces(Trained, Named))]
struct Dog {
    /// Its name.
    #[property(default = "Rex")]
    name: String,
    /// Another dog.
    #[property(link = dyn Animal)]
    friend: Link<dyn Animal>,
}

impl Animal for Dog {
    fn legs(&self) -> u32 {
        4
    }
}
impl Pet for Dog {}
impl Named for Dog {
    fn call(&self) -> String {
        self.name.clone()
    }
}
impl Trained for Dog {}

/// A wolf.
#[qom_type(secure, parent = Animal)]
struct Wolf;

impl Animal for Wolf {
    fn legs(&self) -> u32 {
        4
    }
}

fn tree() -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::default(), Globals::default()).expect("an empty tree")
}

fn create(tree: &Tree, request: Request) -> Obj {
    let created = tree.create([request], &mut NoCompletion).expect("it is secure");
    created.objects.last().expect("it").clone()
}

#[test]
fn an_object_is_each_of_its_classes() {
    let dog = create(&tree(), Request::new("dog", "/", "d"));
    assert_eq!(dog.cast::<dyn Animal>().map(|animal| animal.legs()), Some(4));
    assert!(dog.cast::<dyn Pet>().is_some_and(|pet| pet.call() == "Rex"));
    assert!(dog.cast::<dyn Object>().is_some());
    assert_eq!(dog.cast::<Dog>().map(|dog| dog.name.clone()).as_deref(), Some("Rex"));
}

#[test]
fn an_object_is_each_of_its_interfaces_its_own_and_inherited_ones() {
    let dog = create(&tree(), Request::new("dog", "/", "d"));
    assert_eq!(dog.cast::<dyn Named>().map(|named| named.call()).as_deref(), Some("Rex"));
    assert_eq!(dog.cast::<dyn Trained>().map(|trained| trained.sit()), Some(true));
}

#[test]
fn an_object_is_nothing_else() {
    let tree = tree();
    let wolf = create(&tree, Request::new("wolf", "/", "w"));
    assert!(wolf.is::<dyn Animal>() && wolf.is::<Wolf>());
    assert!(!wolf.is::<dyn Pet>() && !wolf.is::<dyn Named>() && !wolf.is::<Dog>());
    assert!(wolf.cast::<dyn Pet>().is_none() && wolf.cast::<Dog>().is_none());
    assert!(wolf.cast::<Instance>().is_none(), "a type that is no class at all");
    assert!(tree.root().is::<Container>() && !tree.root().is::<dyn Animal>());
}

#[test]
fn what_rust_can_cast_to_is_what_the_registry_says() {
    let dog = create(&tree(), Request::new("dog", "/", "d"));
    let class = dog.class();
    for (name, is) in [
        ("object", dog.is::<dyn Object>()),
        ("animal", dog.is::<dyn Animal>()),
        ("pet", dog.is::<dyn Pet>()),
        ("named", dog.is::<dyn Named>()),
        ("trained", dog.is::<dyn Trained>()),
        ("dog", dog.is::<Dog>()),
        ("wolf", dog.is::<Wolf>()),
        ("container", dog.is::<Container>()),
    ] {
        assert_eq!(class.is_a(name), is, "{name}");
    }
    assert!(class.is_a("interface"), "an interface is one");
}

#[test]
fn a_cast_is_the_object_itself_and_keeps_it() {
    let tree = tree();
    let dog = create(&tree, Request::new("dog", "/", "d"));
    let (one, other) = (dog.cast::<Dog>().unwrap(), dog.cast::<Dog>().unwrap());
    assert!(Arc::ptr_eq(&one, &other));
    tree.remove(&dog, &mut NoCompletion).expect("it is not in use");
    drop((dog, other));
    assert_eq!(one.call(), "Rex", "it outlives its place in the tree");
}

#[test]
fn a_link_is_cast_to_its_class_and_knows_its_handle() {
    let tree = tree();
    let wolf = create(&tree, Request::new("wolf", "/", "w"));
    let dog = create(&tree, Request::new("dog", "/", "d").set("friend", "/w"));
    let dog = dog.cast::<Dog>().expect("it is a dog");
    assert_eq!(dog.friend.get().map(|friend| friend.legs()), Some(4));
    assert!(dog.friend.handle().is_some_and(|handle| handle.same(&wolf)));
    assert_eq!(format!("{:?}", dog.friend), "Link(Some(\"/w\"))");
}

#[test]
fn a_handle_shows_type_and_path() {
    let tree = tree();
    let wolf = create(&tree, Request::new("wolf", "/forest", "w"));
    assert_eq!(format!("{wolf:?}"), "Obj(wolf at /forest/w)");
    tree.remove(&wolf, &mut NoCompletion).expect("it is not in use");
    assert_eq!(format!("{wolf:?}"), "Obj(wolf at no path)");
}
