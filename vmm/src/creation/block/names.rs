//! Names of nodes: one for each, whether it was defined by itself or within another.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use device_model::{
    block::BlockNode,
    qom_core::{Obj, Suggestion, Tree},
};

use super::BlockdevError;
use crate::options::{excerpt::excerpt, identifier};

/// The longest name, in bytes, that QEMU's clients count on.
const LONGEST: usize = 31;

/// The nodes that there are and that are about to be, by name.
#[derive(Debug, Default)]
pub struct NodeNames(BTreeMap<String, String>);

impl NodeNames {
    /// Those of a tree.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        let named = |object: Obj| {
            let name = object.cast::<dyn BlockNode>()?.node_name();
            Some((name, object.path()?))
        };
        Self(tree.walk().into_iter().filter_map(named).collect())
    }

    /// The path of the node of that name.
    pub(super) fn path(&self, name: &str) -> Result<&str, BlockdevError> {
        self.0.get(name).map(String::as_str).ok_or_else(|| BlockdevError::NoNode {
            name: excerpt(name),
            suggestion: Suggestion::of(name, self.0.keys().map(String::as_str)),
        })
    }

    /// Gives the node at a path a name.
    pub(super) fn claim(&mut self, name: &str, path: &str) -> Result<(), BlockdevError> {
        if name.len() > LONGEST {
            return Err(BlockdevError::NameLength);
        }
        if identifier::check(name).is_err() {
            return Err(BlockdevError::Name { name: excerpt(name) });
        }
        if self.0.contains_key(name) {
            return Err(BlockdevError::Duplicate { name: name.to_owned() });
        }
        self.0.insert(name.to_owned(), path.to_owned());
        Ok(())
    }

    /// Gives the node at a path a name that no user can give.
    pub(super) fn generate(&mut self, path: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("#block{:03}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.0.insert(name.clone(), path.to_owned());
        name
    }
}
