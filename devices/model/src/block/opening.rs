//! Opening and closing nodes: those that were described in place with their parents, before them and
//! after them.

use std::sync::{Arc, Weak};

use qom_core::Obj;

use super::{
    BlockBackend, BlockChild, BlockError, BlockNode, BlockUse, BlockWatcher, announcement,
    users::name,
};
use crate::platform::Platform;

/// How a node uses its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It writes, unless it is read-only itself.
    AsParent,
    /// It reads only.
    Read,
}

/// What a node has to open itself with.
#[derive(Debug)]
pub struct OpenContext<'a> {
    object: &'a Obj,
    platform: &'a Platform,
}

impl OpenContext<'_> {
    /// The handle of the node itself.
    #[must_use]
    pub const fn object(&self) -> &Obj {
        self.object
    }

    /// The machine's platform.
    #[must_use]
    pub const fn platform(&self) -> &Platform {
        self.platform
    }

    /// The child in that place, which the user has referred to or described.
    ///
    /// A node that would write to a child that can't be written to becomes read-only itself if it is
    /// configured so: the child tells.
    ///
    /// # Errors
    /// If there is none, it can't be written to, or others use it in a way that excludes this one.
    pub fn child(&self, slot: &str, access: Access) -> Result<BlockChild, BlockError> {
        let link = format!("{slot}{}", announcement::LINK_SUFFIX);
        let linked = self.object.links().find(|(name, _)| *name == link);
        let child = linked
            .map(|(_, child)| child.clone())
            .or_else(|| self.object.child(slot))
            .ok_or_else(|| BlockError::NoChild { slot: slot.to_owned() })?;
        let missing = || BlockError::NoChild { slot: slot.to_owned() };
        let node = child.cast::<dyn BlockNode>().ok_or_else(missing)?;
        let this = self.object.cast::<dyn BlockNode>().ok_or_else(missing)?;
        let mut writes = access == Access::AsParent && !this.read_only();
        if writes && !node.is_writable() {
            if !this.auto_read_only() {
                return Err(BlockError::ReadOnly { node: node.node_name() });
            }
            writes = false;
        }
        self.platform.block_users().add(BlockUse {
            node: child,
            user: self.object.clone(),
            slot: slot.to_owned(),
            writes,
            backend: None,
            watcher: None,
        })?;
        Ok(BlockChild::new(node, writes))
    }
}

/// Whether a node was described in place, so that its parent opens and closes it.
fn is_part(object: &Obj) -> bool {
    object.parent().is_some_and(|parent| parent.is::<dyn BlockNode>())
}

/// The nodes that were described in place.
fn parts(object: &Obj) -> impl DoubleEndedIterator<Item = Obj> {
    let children = object.children().into_iter().map(|(_, child)| child);
    children.filter(Obj::is::<dyn BlockNode>)
}

/// Opens a node and what was described with it, from the bottom up. A part of another does nothing,
/// as that has opened it.
///
/// # Errors
/// If one of them can't be opened. Then none is open.
pub fn open(object: &Obj, platform: &Platform) -> Result<(), BlockError> {
    if is_part(object) {
        return Ok(());
    }
    if object.tree() != platform.tree() {
        return Err(BlockError::Foreign { type_name: object.class().name() });
    }
    open_all(object, platform)
}

/// As deep as a plan can be, which is bounded.
fn open_all(object: &Obj, platform: &Platform) -> Result<(), BlockError> {
    let Some(node) = object.cast::<dyn BlockNode>() else { return Ok(()) };
    let mut opened: Vec<Obj> = Vec::new();
    let mut result = Ok(());
    for part in parts(object) {
        result = open_all(&part, platform);
        if result.is_err() {
            break;
        }
        opened.push(part);
    }
    let result = result.and_then(|()| node.open(&OpenContext { object, platform }));
    if result.is_err() {
        platform.block_users().release(object);
        for part in opened.iter().rev() {
            close_all(part, platform);
        }
    }
    result
}

/// Closes a node and what was described with it, from the top down. A part of another does nothing,
/// as that closes it.
pub fn close(object: &Obj, platform: &Platform) {
    if !is_part(object) {
        close_all(object, platform);
    }
}

fn close_all(object: &Obj, platform: &Platform) {
    let Some(node) = object.cast::<dyn BlockNode>() else { return };
    node.close();
    platform.block_users().release(object);
    for part in parts(object).rev() {
        close_all(&part, platform);
    }
}

/// Gives a device the node in front of which it stands.
///
/// # Errors
/// If it is to write and the node can't be written to, or others use that in a way that excludes
/// this one.
pub(crate) fn attach(
    platform: &Platform,
    device: &Obj,
    node_object: &Obj,
    writes: bool,
    watcher: Weak<dyn BlockWatcher>,
) -> Result<Arc<BlockBackend>, BlockError> {
    let foreign = |object: &Obj| BlockError::Foreign { type_name: object.class().name() };
    for object in [device, node_object] {
        if object.tree() != platform.tree() || object.path().is_none() {
            return Err(foreign(object));
        }
    }
    let node = node_object.cast::<dyn BlockNode>().ok_or_else(|| foreign(node_object))?;
    if writes && !node.is_writable() {
        return Err(BlockError::ReadOnly { node: name(node_object) });
    }
    let backend = BlockBackend::new(BlockChild::new(node, writes));
    platform.block_users().add(BlockUse {
        node: node_object.clone(),
        user: device.clone(),
        slot: "root".to_owned(),
        writes,
        backend: Some(Arc::downgrade(&backend)),
        watcher: Some(watcher),
    })?;
    Ok(backend)
}
