//! What a device has only while it is realized.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;

/// A field of a device that is filled when the device is realized: a timer, an interrupt line, a
/// model that is made from properties.
///
/// It is empty at first. [`Device::realize`](crate::device::Device::realize) fills it once, from
/// `&self`; [`Device::unrealize`](crate::device::Device::unrealize) empties it if what it holds must
/// not outlive the device's place in the machine, as a [`Timer`](crate::clock::Timer) must not:
/// a handle to the device may. What only answers the guest needs no emptying, since no access
/// begins any more by then.
///
/// Readers take no lock and never wait, nor does whoever empties it: an access that is under way on
/// another thread finishes with what it found.
///
/// ```
/// use device_model::prelude::*;
///
/// let requests = Realized::default();
/// assert_eq!(requests.with(|queue: &VmRequests| queue.take()), None);
/// requests.set(VmRequests::new()?);
/// requests.with(|queue| queue.send(VmRequest::PowerOff));
/// assert_eq!(requests.with(|queue| queue.take()), Some(vec![VmRequest::PowerOff]));
/// requests.clear();
/// assert!(requests.get().is_none());
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Realized<T>(ArcSwapOption<T>);

impl<T> Realized<T> {
    /// Fills it. What was there before is replaced.
    pub fn set(&self, value: T) {
        self.0.store(Some(Arc::new(value)));
    }

    /// Empties it. What it held is dropped here, or by the last access that still uses it.
    pub fn clear(&self) {
        self.0.store(None);
    }

    /// Whether it holds anything.
    pub fn is_set(&self) -> bool {
        self.0.load().is_some()
    }

    /// Does something with what it holds; nothing, and returns none, while it is empty.
    pub fn with<R>(&self, action: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.load().as_deref().map(action)
    }

    /// What it holds, to be kept for longer than a call.
    pub fn get(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }
}

impl<T> Default for Realized<T> {
    /// An empty one.
    fn default() -> Self {
        Self(ArcSwapOption::empty())
    }
}

impl<T> fmt::Debug for Realized<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.load().is_some() { "Realized" } else { "Realized(none)" })
    }
}
