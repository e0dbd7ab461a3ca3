//! Removal of objects: of one with all that it brought, or of all.

use std::collections::BTreeSet;

use super::{Completion, Tree};
use crate::{error::RemoveError, object::Obj, path};

impl Tree {
    /// Removes an object that was asked for, with all that it brought and all that it holds.
    ///
    /// # Errors
    /// If it is in use, a part of another, of another tree, or gone already.
    pub fn remove(&self, object: &Obj, completion: &mut dyn Completion) -> Result<(), RemoveError> {
        self.own(object)?;
        let _changing = self.changes.take()?;
        let Some(path) = object.path() else {
            return Err(RemoveError::Absent { class: object.class().name() });
        };
        if !object.is_requested() {
            let owner = std::iter::successors(object.parent(), Obj::parent)
                .find(Obj::is_requested)
                .and_then(|owner| owner.path());
            return Err(RemoveError::Part { path, owner: owner.unwrap_or_else(|| "/".to_owned()) });
        }
        let going = path::descendants(object);
        let serials: BTreeSet<_> = going.iter().map(Obj::serial).collect();
        let goes = |object: &Obj| serials.contains(&object.serial());
        for user in path::descendants(&self.root) {
            if user.links().any(|(_, target)| goes(target)) && !goes(&user) {
                return Err(RemoveError::InUse { path, user: user.path().unwrap_or_default() });
            }
        }
        self.undo(&going, completion);
        object.detach();
        Ok(())
    }

    /// Undoes and detaches everything, the last created first. For the end of a VM. Does nothing
    /// from within another change of the tree.
    pub fn clear(&self, completion: &mut dyn Completion) {
        let Ok(_changing) = self.changes.take() else { return };
        let all = path::descendants(&self.root);
        self.undo(&all[1..], completion);
        for (_, child) in self.root.children() {
            child.detach();
        }
    }

    /// Takes the work from objects that are about to go, the last created first, so that nothing
    /// goes before what refers to it; and marks what they tainted.
    fn undo(&self, going: &[Obj], completion: &mut dyn Completion) {
        let mut order: Vec<_> = going.iter().collect();
        order.sort_unstable_by_key(|object| std::cmp::Reverse(object.serial()));
        for object in order {
            if object.is_complete() {
                object.set_complete(false);
                completion.undo(object);
            }
        }
        self.state().taints.remove(&going.iter().map(Obj::serial).collect());
    }
}
