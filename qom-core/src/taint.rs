//! The record of everything that existed although require-secure would have refused it.

use crate::{object::Serial, verdict::Refusal};

/// Why a VM is tainted: one object, or one value of a property, that is not declared secure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// What it is and why it is not secure.
    pub cause: Refusal,
    /// Whether the object has been removed since. It stays listed: what it may have done stays.
    pub removed: bool,
}

/// How many removed objects are listed one by one. Of later ones only the first of each cause is
/// kept, by type and property, so that who creates and removes for ever fills no memory.
const MOST_REMOVED: usize = 1024;

/// All taints of one tree, in the order in which they came. Each belongs to an object, not to its
/// path, which another object can have later.
#[derive(Debug, Default)]
pub(crate) struct TaintRecord {
    taints: Vec<(Serial, Taint)>,
    removed: usize,
}

impl TaintRecord {
    /// Lists a cause, of an object that exists.
    pub(crate) fn add(&mut self, object: Serial, cause: Refusal) {
        self.taints.push((object, Taint { cause, removed: false }));
    }

    /// Marks all taints of an object as those of a removed one.
    pub(crate) fn remove(&mut self, object: Serial) {
        for at in (0..self.taints.len()).rev() {
            if self.taints[at].0 != object || self.taints[at].1.removed {
                continue;
            }
            if self.removed >= MOST_REMOVED && self.has_removed_like(at) {
                self.taints.remove(at);
            } else {
                self.taints[at].1.removed = true;
                self.removed += 1;
            }
        }
    }

    fn has_removed_like(&self, at: usize) -> bool {
        let key = |taint: &Taint| {
            (taint.cause.type_name(), taint.cause.property().map(|(property, _)| property))
        };
        let like = key(&self.taints[at].1);
        self.taints.iter().any(|(_, taint)| taint.removed && key(taint) == like)
    }

    pub(crate) fn list(&self) -> Vec<Taint> {
        self.taints.iter().map(|(_, taint)| taint.clone()).collect()
    }
}
