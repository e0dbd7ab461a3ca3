//! Loops that users create for the work of devices, apart from the main thread's.

use std::sync::Arc;

use qom_core::{Object, qom_type};

use crate::event_loop::EventLoop;

/// Loop that serves descriptors and timers
///
/// A device that is linked to one has its queues served there. It watches its descriptors and makes
/// its timers on [`EventLoopBase::events`] when it is realized, and ends them when it is unrealized;
/// what calls it there is the loop's thread, so that it shares nothing with the main thread but what
/// it locks. The link keeps the loop from being deleted.
#[qom_type(abstract, parent = Object)]
pub trait EventLoopBase: Object {
    /// The loop; none before the object has taken up its work and after it was deleted.
    fn events(&self) -> Option<Arc<EventLoop>>;
}
