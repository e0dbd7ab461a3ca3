//! What follows construction: giving objects their work, and taking it back.

use crate::{error::BoxedError, object::Obj};

/// What gives a constructed object its work: realizes a device, binds a backend. The tree calls it
/// for each object of a plan, in the plan's order, after all of them are constructed and attached.
///
/// It may look at the tree, its policy and its taints, but not change it.
pub trait Completion {
    /// Lets the object take up its work.
    ///
    /// # Errors
    /// If it can't. Then it has undone its own part, and the tree undoes the rest of the plan.
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError>;

    /// Takes back what [`Completion::complete`] did, of an object that is about to go.
    fn undo(&mut self, object: &Obj);
}

/// Completes nothing, for objects that only are.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCompletion;

impl Completion for NoCompletion {
    fn complete(&mut self, _: &Obj) -> Result<(), BoxedError> {
        Ok(())
    }

    fn undo(&mut self, _: &Obj) {}
}
