//! Who uses which node, and whether he writes: a node that is written to has one user.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use qom_core::Obj;

use super::{BlockBackend, BlockError, BlockNode};

/// A device that is told when the disk behind it changes.
pub trait BlockWatcher: Send + Sync {
    /// The disk has another length. Called on the thread of whoever changed it, with no lock held.
    fn resized(&self);
}

/// A use of a node.
#[derive(Clone)]
pub struct BlockUse {
    /// The node.
    pub node: Obj,
    /// Its parent, or the device in front of it.
    pub user: Obj,
    /// What the node is to the user: `file`, or `root` to a device.
    pub slot: String,
    /// Whether the user may write.
    pub writes: bool,
    /// A device's part.
    pub backend: Option<Weak<BlockBackend>>,
    pub(super) watcher: Option<Weak<dyn BlockWatcher>>,
}

impl BlockUse {
    /// The user as messages name it.
    fn describe(&self) -> String {
        let node = name(&self.node);
        let user = match self.user.cast::<dyn BlockNode>() {
            Some(parent) => format!("node '{}'", parent.node_name()),
            None => format!("device '{}'", self.user.path().unwrap_or_default()),
        };
        format!("{user} (uses node '{node}' as '{}' child)", self.slot)
    }
}

impl fmt::Debug for BlockUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

pub(super) fn name(node: &Obj) -> String {
    node.cast::<dyn BlockNode>().map(|node| node.node_name()).unwrap_or_default()
}

/// All uses of the nodes of one machine.
#[derive(Debug, Default)]
pub struct BlockUsers(Mutex<Vec<BlockUse>>);

impl BlockUsers {
    /// Notes a use.
    ///
    /// # Errors
    /// If somebody else writes to the node, or uses it while this one is to write.
    pub(super) fn add(&self, new: BlockUse) -> Result<(), BlockError> {
        let mut uses = self.0.lock();
        let conflict =
            uses.iter().find(|there| there.node.same(&new.node) && (there.writes || new.writes));
        if let Some(there) = conflict {
            let (writer, other) = if new.writes { (&new, there) } else { (there, &new) };
            return Err(BlockError::Permission {
                node: name(&new.node),
                writer: writer.describe(),
                other: other.describe(),
            });
        }
        uses.push(new);
        Ok(())
    }

    /// Forgets all that an object uses.
    pub(crate) fn release(&self, user: &Obj) {
        self.0.lock().retain(|there| !there.user.same(user));
    }

    /// Who uses a node.
    #[must_use]
    pub fn of(&self, node: &Obj) -> Vec<BlockUse> {
        self.0.lock().iter().filter(|there| there.node.same(node)).cloned().collect()
    }

    /// Every device's use.
    #[must_use]
    pub fn devices(&self) -> Vec<BlockUse> {
        self.0.lock().iter().filter(|there| there.backend.is_some()).cloned().collect()
    }

    /// Tells the devices above a node that it has another length.
    pub fn resized(&self, node: &Obj) {
        let mut watchers: Vec<Arc<dyn BlockWatcher>> = Vec::new();
        {
            let uses = self.0.lock();
            // Uses are in a tree's objects, which do not contain themselves: this ends.
            let mut changed = vec![node.clone()];
            while let Some(node) = changed.pop() {
                for above in uses.iter().filter(|there| there.node.same(&node)) {
                    watchers.extend(above.watcher.as_ref().and_then(Weak::upgrade));
                    if above.user.is::<dyn BlockNode>() {
                        changed.push(above.user.clone());
                    }
                }
            }
        }
        for watcher in watchers {
            watcher.resized();
        }
    }
}
