//! The record of everything that existed although require-secure would have refused it.

use std::collections::BTreeSet;

use crate::{object::Serial, verdict::Refusal};

/// Why a VM is tainted: one object, or one value of a property, that is not declared secure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// What it is and why it is not secure.
    pub cause: Refusal,
    /// Whether the object has been removed since. It stays listed: what it may have done stays.
    pub removed: bool,
}

/// How many removed objects are listed one by one. Of later ones only the first of each kind of
/// cause is kept, by type and property, so that who creates and removes for ever fills no memory.
const MOST_REMOVED: usize = 1024;

/// How many values of one property of one object are listed.
const MOST_VALUES: usize = 64;

/// All taints of one tree, in the order in which they came. Each belongs to an object, not to its
/// path, which another object can have later.
#[derive(Debug, Default)]
pub(crate) struct TaintRecord {
    taints: Vec<(Serial, Taint)>,
    removed: usize,
    removed_kinds: BTreeSet<Kind>,
}

/// Type and property of a cause.
type Kind = (&'static str, Option<&'static str>);

fn kind(cause: &Refusal) -> Kind {
    (cause.type_name(), cause.property().map(|(property, _)| property))
}

impl TaintRecord {
    /// Lists a cause, of an object that has just been created.
    pub(crate) fn add(&mut self, object: Serial, cause: Refusal) {
        self.taints.push((object, Taint { cause, removed: false }));
    }

    /// Lists a cause, of an object that was changed; who changes it to and fro adds nothing.
    pub(crate) fn add_change(&mut self, object: Serial, cause: Refusal) {
        let same = |(serial, taint): &&(Serial, Taint)| {
            *serial == object && kind(&taint.cause) == kind(&cause)
        };
        let listed = self.taints.iter().filter(same);
        let known = listed.clone().any(|(_, taint)| taint.cause == cause);
        if !known && listed.count() < MOST_VALUES {
            self.add(object, cause);
        }
    }

    /// Marks all taints of these objects as those of removed ones.
    pub(crate) fn remove(&mut self, objects: &BTreeSet<Serial>) {
        self.taints.retain_mut(|(serial, taint)| {
            if taint.removed || !objects.contains(serial) {
                return true;
            }
            let new = self.removed_kinds.insert(kind(&taint.cause));
            if self.removed >= MOST_REMOVED && !new {
                return false;
            }
            taint.removed = true;
            self.removed += 1;
            true
        });
    }

    pub(crate) fn list(&self) -> Vec<Taint> {
        self.taints.iter().map(|(_, taint)| taint.clone()).collect()
    }
}
