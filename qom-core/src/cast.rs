//! Casts from an object to its classes: a table per type, written by the macros, with no `unsafe`.

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use crate::Object;

/// Puts an object, seen as one of its classes, into an `Option<Arc<dyn Class>>`.
type Put = fn(Arc<dyn Object>, &mut dyn Any);

/// The classes that objects of one type can be cast to.
#[derive(Debug, Default)]
pub struct CastTable {
    rows: Vec<(TypeId, Put)>,
}

impl CastTable {
    /// Adds the class `C`.
    #[doc(hidden)]
    pub fn add<C: ?Sized + 'static>(&mut self, put: Put) {
        let to = TypeId::of::<C>();
        // An interface can be reached by several ways up; one row serves.
        if !self.rows.iter().any(|(existing, _)| *existing == to) {
            self.rows.push((to, put));
        }
    }

    /// The object as a `C`, if that is one of its classes.
    pub(crate) fn cast<C: ?Sized + 'static>(&self, object: &Arc<dyn Object>) -> Option<Arc<C>> {
        let to = TypeId::of::<C>();
        let (_, put) = self.rows.iter().find(|(row, _)| *row == to)?;
        let mut slot: Option<Arc<C>> = None;
        put(Arc::clone(object), &mut slot);
        slot
    }

    pub(crate) fn reaches(&self, class: TypeId) -> bool {
        self.rows.iter().any(|(row, _)| *row == class)
    }
}

/// The body of every [`Put`]: `T` is the object's own type, `unsize` makes it a `C`.
#[doc(hidden)]
pub fn put<T: Object, C: ?Sized + 'static>(
    object: Arc<dyn Object>,
    slot: &mut dyn Any,
    unsize: fn(Arc<T>) -> Arc<C>,
) {
    let object: Arc<dyn Any + Send + Sync> = object;
    if let (Ok(object), Some(slot)) =
        (object.downcast::<T>(), slot.downcast_mut::<Option<Arc<C>>>())
    {
        *slot = Some(unsize(object));
    }
}
