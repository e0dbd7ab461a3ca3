//! Permits: the right to construct one object of one type, for one tree, once.

use std::{any::TypeId, sync::Arc};

use qom_core::{
    ClassType, CreateError, Globals, Implementation, InsecureTypes, Object, PermitError, Policy,
    PolicyStatement, Registry, Request, Tree, TypeInfo, TypeKind, qom_type,
};

/// A secure type.
#[qom_type(secure, parent = Object)]
struct Key {
    /// What it opens.
    #[property(required)]
    door: String,
}

/// Another secure type.
#[qom_type(secure, parent = Object)]
struct Lock;

/// A type that is not secure.
#[qom_type(insecure, reason = "anyone has one", parent = Object)]
struct Picklock;

fn tree_of(registry: Arc<Registry>, statements: &[PolicyStatement]) -> Tree {
    Tree::new(registry, Policy::of(statements), Globals::default()).expect("an empty tree")
}

fn tree(statements: &[PolicyStatement]) -> Tree {
    tree_of(Arc::clone(Registry::global().expect("the registry is sound")), statements)
}

fn lock() -> Request {
    Request::new("lock", "/objects", "l")
}

#[test]
fn a_permit_makes_the_object_that_it_is_for() {
    let tree = tree(&[]);
    let permit = tree.permit("lock").expect("it is secure");
    assert_eq!(permit.type_name(), "lock");
    let object = tree.create_permitted(permit, lock()).expect("it is permitted");
    assert_eq!((object.path().as_deref(), object.is::<Lock>()), (Some("/objects/l"), true));
}

#[test]
fn a_permit_is_for_the_type_whatever_it_needs_and_wherever_it_will_stand() {
    let tree = tree(&[]);
    let occupied = Request::new("lock", "/", "permit");
    tree.create([occupied], &mut qom_core::NoCompletion).expect("it is secure");
    let permit = tree.permit("key").expect("what it needs is given later");
    let request = Request::new("key", "/", "k").set("door", "front");
    tree.create_permitted(permit, request).expect("it is permitted");
}

#[test]
fn no_permit_is_minted_for_what_can_not_be() {
    let tree = tree(&[]);
    let error = |name| tree.permit(name).unwrap_err().to_string();
    assert_eq!(error("object"), "object type 'object' is abstract");
    assert_eq!(error("interface"), "object type 'interface' is abstract");
    assert_eq!(error("lokc"), "invalid object type: lokc; did you mean 'lock'?");
    assert_eq!(error("picklock"), "Type 'picklock' is declared as insecure");
    assert_eq!(tree.walk().len(), 1);
}

#[test]
fn a_permit_for_another_type_makes_nothing() {
    let tree = tree(&[]);
    let permit = tree.permit("lock").expect("it is secure");
    let request = Request::new("key", "/objects", "k").set("door", "back");
    let error = tree.create_permitted(permit, request).unwrap_err();
    let (permitted, requested) = ("lock", "key");
    assert!(
        matches!(&error, CreateError::Permit(found)
            if *found == PermitError::Type { permitted, requested }),
        "{error}"
    );
    assert_eq!(error.to_string(), "a permit for type 'lock' can't construct 'key'");
    assert_eq!(tree.walk().len(), 1, "not even the container is left");
}

#[test]
fn a_permit_of_another_tree_makes_nothing() {
    let lax = tree(&[PolicyStatement::InsecureTypes(InsecureTypes::Accept)]);
    let strict = tree(&[]);
    let permit = lax.permit("lock").expect("all is accepted");
    let error = strict.create_permitted(permit, lock()).unwrap_err();
    assert_eq!(error.to_string(), "a permit for type 'lock' was minted for another object tree");
    assert_eq!(strict.walk().len(), 1);
}

#[test]
fn a_permit_is_worth_no_more_than_the_policy_when_it_is_used() {
    let tree = tree(&[PolicyStatement::InsecureTypes(InsecureTypes::Accept)]);
    let permit = tree.permit("picklock").expect("all is accepted");
    tree.raise(PolicyStatement::RequireSecure(true)).expect("nothing exists");
    let error = tree.create_permitted(permit, Request::new("picklock", "/", "p")).unwrap_err();
    assert_eq!(error.to_string(), "Type 'picklock' is declared as insecure");
}

/// A registry in which a second name stands for the Rust type of `lock`, and a third, which calls
/// itself secure, for the code of `picklock`.
fn disguised() -> Arc<Registry> {
    let record = |name, kind| {
        let like = Lock::INFO;
        let info = TypeInfo {
            name,
            kind,
            description: like.description,
            parent: like.parent,
            interfaces: &[],
            status: like.status,
            boundaries: like.boundaries,
            category: None,
            deprecated: None,
            unstable: false,
            properties: &[],
            class_data: &[],
            statement: like.statement,
        };
        &*Box::leak(Box::new(info))
    };
    let TypeKind::Concrete(picklock) = Picklock::INFO.kind else { panic!("it is concrete") };
    let tool = Implementation {
        type_id: TypeId::of::<Lock>,
        construct: picklock.construct,
        casts: picklock.casts,
        children: None,
    };
    let tool = TypeKind::Concrete(Box::leak(Box::new(tool)));
    let global = Registry::global().expect("the registry is sound");
    let types = global.types().chain([record("padlock", Lock::INFO.kind), record("tool", tool)]);
    Arc::new(Registry::new(types).expect("nothing is wrong with the names"))
}

#[test]
fn a_permit_is_bound_to_the_name_where_one_rust_type_has_several() {
    let tree = tree_of(disguised(), &[]);
    let permit = tree.permit("padlock").expect("it is secure");
    let error = tree.create_permitted(permit, lock()).unwrap_err();
    assert_eq!(error.to_string(), "a permit for type 'padlock' can't construct 'lock'");
}

#[test]
fn a_permit_is_bound_to_the_rust_type_where_a_name_lies_about_it() {
    let tree = tree_of(disguised(), &[]);
    let tool = Request::new("tool", "/", "t");
    let error = tree.create([tool], &mut qom_core::NoCompletion).unwrap_err();
    assert!(
        matches!(
            &error,
            CreateError::Construct {
                error: qom_core::ConstructError::Permit(PermitError::Type {
                    permitted: "tool",
                    ..
                }),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(tree.walk().len(), 1);
}
