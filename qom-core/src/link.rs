//! Fields that refer to other objects.

use std::{cell::RefCell, collections::BTreeMap, fmt, sync::Arc};

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

/// What the links of one object point to, by property.
///
/// Every object holds the ones that it links to, and those hold others: let go of the usual way, the
/// last of a long chain would end all of them within each other, deeper than any stack. So what
/// is let go while another object ends waits until that has ended.
#[derive(Default)]
pub(crate) struct Links(BTreeMap<&'static str, Obj>);

impl Links {
    pub(crate) const fn new(links: BTreeMap<&'static str, Obj>) -> Self {
        Self(links)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Obj)> {
        self.0.iter().map(|(name, target)| (*name, target))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        thread_local! {
            /// What waits, while an object ends on this thread.
            static WAITING: RefCell<Option<Vec<Obj>>> = const { RefCell::new(None) };
        }
        let targets = std::mem::take(&mut self.0).into_values();
        // A thread that ends has no waiting list any more; then `targets` go here and now.
        let _ = WAITING.try_with(|waiting| {
            if let Some(waiting) = &mut *waiting.borrow_mut() {
                waiting.extend(targets);
                return;
            }
            *waiting.borrow_mut() = Some(targets.collect());
            loop {
                // Not within the borrow: what ends here adds to the list.
                let next = waiting.borrow_mut().as_mut().and_then(Vec::pop);
                let Some(next) = next else { break };
                drop(next);
            }
            *waiting.borrow_mut() = None;
        });
    }
}

/// What a link field gives to introspection: the path of the target.
#[doc(hidden)]
pub fn link_value<C: ?Sized + 'static>(link: &Link<C>) -> serde_json::Value {
    link.handle().and_then(Obj::path).map_or(serde_json::Value::Null, serde_json::Value::String)
}
