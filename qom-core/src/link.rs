//! Fields that refer to other objects.

use std::{fmt, sync::Arc};

use crate::Obj;

/// A reference from one object to another of class `C`. It is set at creation, from a handle that
/// the tree has checked, and keeps its target alive.
pub struct Link<C: ?Sized>(Option<(Obj, Arc<C>)>);

impl<C: ?Sized + 'static> Link<C> {
    pub(crate) fn to(target: Obj) -> Option<Self> {
        let object = target.cast::<C>()?;
        Some(Self(Some((target, object))))
    }

    /// The target, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<&Arc<C>> {
        self.0.as_ref().map(|(_, object)| object)
    }

    /// The target's handle.
    #[must_use]
    pub fn handle(&self) -> Option<&Obj> {
        self.0.as_ref().map(|(handle, _)| handle)
    }
}

impl<C: ?Sized> Default for Link<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C: ?Sized> fmt::Debug for Link<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((handle, _)) => f.debug_tuple("Link").field(&handle.path()).finish(),
            None => f.write_str("Link(none)"),
        }
    }
}

/// What a link field gives to introspection: the path of the target.
#[doc(hidden)]
pub fn link_value<C: ?Sized + 'static>(link: &Link<C>) -> serde_json::Value {
    link.handle().and_then(Obj::path).map_or(serde_json::Value::Null, serde_json::Value::String)
}
