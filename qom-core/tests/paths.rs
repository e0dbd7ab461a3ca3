//! Paths: absolute ones lead to one object, partial ones to the only object that they fit.

use std::sync::Arc;

use proptest::prelude::*;
use qom_core::{
    Globals, Link, NoCompletion, Obj, Object, PathError, Policy, Registry, Request, Tree, qom_type,
};

/// An object that can link to another.
#[qom_type(secure, parent = Object)]
struct Node {
    /// The other.
    #[property(link = dyn Object)]
    other: Link<dyn Object>,
}

fn tree(paths: &[&str]) -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    let tree = Tree::new(Arc::clone(registry), Policy::default(), Globals::default()).unwrap();
    for path in paths {
        add(&tree, path, "");
    }
    tree
}

fn add(tree: &Tree, path: &str, other: &str) -> Obj {
    let (parent, name) = path.rsplit_once('/').expect("an absolute path");
    let request = Request::new("node", parent, name).set("other", other);
    let created = tree.create([request], &mut NoCompletion).expect("it is created");
    created.objects.last().expect("it").clone()
}

fn found(tree: &Tree, path: &str) -> Result<String, String> {
    let object = tree.resolve(path).map_err(|error| error.to_string())?;
    Ok(object.path().expect("what is found is in the tree"))
}

#[test]
fn every_object_is_found_at_its_canonical_path() {
    let tree = tree(&["/a/b/c", "/a/d", "/x"]);
    for object in tree.walk() {
        let path = object.path().expect("it is in the tree");
        assert!(tree.resolve(&path).expect("it is found").same(&object), "{path}");
    }
    assert_eq!(found(&tree, "/").as_deref(), Ok("/"));
}

#[test]
fn slashes_too_many_lead_to_the_same_object() {
    let tree = tree(&["/a/b"]);
    for path in ["//a/b", "/a//b", "/a/b/", "///a///b///"] {
        assert_eq!(found(&tree, path).as_deref(), Ok("/a/b"), "{path}");
    }
}

#[test]
fn a_path_to_nothing_is_an_error_that_names_it() {
    let tree = tree(&["/a/b"]);
    for path in ["/a/c", "/b", "/a/b/c", "c", "", "b/a", "a//b", "b/"] {
        let error = tree.resolve(path).unwrap_err();
        assert_eq!(error, PathError::NotFound(path.to_owned()));
        assert_eq!(error.to_string(), format!("Device '{path}' not found"));
    }
}

#[test]
fn a_partial_path_that_fits_one_object_leads_to_it() {
    let tree = tree(&["/m/peripheral/s0", "/m/unattached/bus/s1"]);
    for (partial, path) in [
        ("s0", "/m/peripheral/s0"),
        ("peripheral/s0", "/m/peripheral/s0"),
        ("m/peripheral/s0", "/m/peripheral/s0"),
        ("bus", "/m/unattached/bus"),
        ("bus/s1", "/m/unattached/bus/s1"),
    ] {
        assert_eq!(found(&tree, partial).as_deref(), Ok(path), "{partial}");
    }
}

#[test]
fn a_partial_path_that_fits_several_objects_is_ambiguous() {
    let tree = tree(&["/a/x/s", "/b/x/s", "/b/y/s"]);
    for partial in ["s", "x", "x/s"] {
        assert_eq!(found(&tree, partial), Err(format!("Path '{partial}' is ambiguous")));
    }
    assert_eq!(found(&tree, "y/s").as_deref(), Ok("/b/y/s"));
    assert_eq!(found(&tree, "a/x/s").as_deref(), Ok("/a/x/s"));
}

#[test]
fn a_partial_path_is_no_longer_ambiguous_once_one_of_the_objects_is_gone() {
    let tree = tree(&["/a/s", "/b/s"]);
    let first = tree.resolve("/a/s").expect("it is there");
    tree.remove(&first, &mut NoCompletion).expect("it is not in use");
    assert_eq!(found(&tree, "s").as_deref(), Ok("/b/s"));
}

#[test]
fn absolute_paths_follow_links_to_the_canonical_path() {
    let tree = tree(&["/a"]);
    add(&tree, "/b", "/a");
    add(&tree, "/c", "/b");
    assert_eq!(found(&tree, "/b/other").as_deref(), Ok("/a"));
    assert_eq!(found(&tree, "/c/other/other").as_deref(), Ok("/a"));
    assert!(found(&tree, "/a/other").is_err(), "an empty link leads nowhere");
    assert!(found(&tree, "b/other").is_err(), "a partial path is one of children");
}

#[test]
fn a_link_accepts_a_partial_path_of_what_exists_and_what_is_planned() {
    let tree = tree(&["/a/s", "/a/t"]);
    let linking = add(&tree, "/u", "s");
    assert_eq!(linking.get("other"), Some("/a/s".into()), "it shows the canonical path");
    let planned = [
        Request::new("node", "/b", "t"),
        Request::new("node", "/", "v").set("other", "b/t"),
        Request::new("node", "/", "w").set("other", "t"),
    ];
    let error = tree.create(planned.clone(), &mut NoCompletion).unwrap_err();
    assert_eq!(error.to_string(), "Path 't' is ambiguous");
    let [first, second, _] = planned;
    let created = tree.create([first, second], &mut NoCompletion).expect("one fits");
    let last = created.objects.last().expect("it");
    assert_eq!(last.get("other"), Some("/b/t".into()));
}

#[test]
fn the_order_of_creation_does_not_show_in_a_walk() {
    let order = |paths: &[&str]| -> Vec<_> {
        tree(paths).walk().iter().map(|object| object.path().unwrap()).collect()
    };
    let forward = order(&["/a", "/b/x", "/b/y", "/c"]);
    assert_eq!(forward, order(&["/c", "/b/y", "/b/x", "/a"]));
    assert_eq!(forward, ["/", "/a", "/b", "/b/x", "/b/y", "/c"]);
}

proptest! {
    #[test]
    fn no_path_is_too_odd(path in "[a/b.]{0,12}|\\PC{0,20}") {
        let tree = tree(&["/a/b", "/b/a/b", "/c"]);
        if let Ok(object) = tree.resolve(&path) {
            let canonical = object.path().expect("it is in the tree");
            let parts = |path: &str| {
                path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
            };
            prop_assert!(parts(&canonical).ends_with(&parts(&path)));
        }
    }
}
