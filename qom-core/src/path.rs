//! Paths through the object tree.

use crate::{error::PathError, object::Obj};

/// An object and everything below it, parents first and siblings sorted by name.
pub(crate) fn descendants(top: &Obj) -> Vec<Obj> {
    let mut found = Vec::new();
    let mut open = vec![top.clone()];
    while let Some(object) = open.pop() {
        open.extend(object.children().into_iter().rev().map(|(_, child)| child));
        found.push(object);
    }
    found
}

/// All that are in the tree and link to `target`.
pub(crate) fn users(target: &Obj) -> Vec<Obj> {
    let top = std::iter::successors(Some(target.clone()), Obj::parent).last();
    let mut all = top.map(|top| descendants(&top)).unwrap_or_default();
    all.retain(|object| object.links().any(|(_, linked)| linked.same(target)));
    all
}

/// Follows an absolute path from the root, through children and links; finds the one object whose
/// canonical path ends in a partial one.
pub(crate) fn resolve(root: &Obj, path: &str) -> Result<Obj, PathError> {
    let not_found = || PathError::NotFound(path.to_owned());
    if path.starts_with('/') {
        let names = path.split('/').filter(|name| !name.is_empty());
        return names
            .into_iter()
            .try_fold(root.clone(), |at, name| step(&at, name))
            .ok_or_else(not_found);
    }
    if path.is_empty() {
        return Err(not_found());
    }
    let mut found: Option<Obj> = None;
    for object in descendants(root) {
        let target = path.split('/').try_fold(object, |at, name| step_down(&at, name));
        if let Some(target) = target {
            if found.as_ref().is_some_and(|found| !found.same(&target)) {
                return Err(PathError::Ambiguous(path.to_owned()));
            }
            found = Some(target);
        }
    }
    found.ok_or_else(not_found)
}

fn step_down(at: &Obj, name: &str) -> Option<Obj> {
    at.child(name)
}

fn step(at: &Obj, name: &str) -> Option<Obj> {
    at.child(name).or_else(|| {
        at.links().find(|(property, _)| *property == name).map(|(_, target)| target.clone())
    })
}
