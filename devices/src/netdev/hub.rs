//! A hub: what comes in by one port goes out by all others. It knows no threads, no objects and no
//! sockets.

use std::{collections::VecDeque, sync::Arc};

use device_model::prelude::*;

/// Frames that wait to go out by a port, at most. A hub has no way to slow its network down: what
/// comes while so many wait is lost.
pub(super) const MOST_WAITING: usize = 256;

/// A frame, which all ports share that it goes out by.
pub(super) type Frame = Arc<[u8]>;

/// The ports of one hub.
#[derive(Default)]
pub(super) struct Hub(Mutex<Vec<Arc<Lane>>>);

/// What waits to go out by one port.
pub(super) struct Lane {
    waiting: Mutex<VecDeque<Frame>>,
    /// Called, with no lock held, when something has begun to wait.
    wake: Box<dyn Fn() + Send + Sync>,
    /// Called when something is lost.
    lost: Box<dyn Fn() + Send + Sync>,
}

impl Lane {
    pub(super) fn new(
        wake: impl Fn() + Send + Sync + 'static,
        lost: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { waiting: Mutex::default(), wake: Box::new(wake), lost: Box::new(lost) }
    }

    /// The first frame that waits.
    pub(super) fn take(&self) -> Option<Frame> {
        self.waiting.lock().pop_front()
    }

    /// Puts a frame back that could not go out yet.
    pub(super) fn put_back(&self, frame: Frame) {
        self.waiting.lock().push_front(frame);
    }

    fn add(&self, frame: &Frame) {
        let fits = {
            let mut waiting = self.waiting.lock();
            let fits = waiting.len() < MOST_WAITING;
            if fits {
                waiting.push_back(Arc::clone(frame));
            }
            fits
        };
        if fits { (self.wake)() } else { (self.lost)() }
    }
}

impl Hub {
    /// Adds a port.
    pub(super) fn plug(&self, lane: &Arc<Lane>) {
        self.0.lock().push(Arc::clone(lane));
    }

    /// Takes a port away.
    pub(super) fn unplug(&self, lane: &Arc<Lane>) {
        self.0.lock().retain(|there| !Arc::ptr_eq(there, lane));
    }

    /// A frame has come in by a port.
    pub(super) fn flood(&self, from: &Arc<Lane>, frame: Frame) {
        let others: Vec<_> = {
            let lanes = self.0.lock();
            lanes.iter().filter(|lane| !Arc::ptr_eq(lane, from)).map(Arc::clone).collect()
        };
        for lane in others {
            lane.add(&frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn lane() -> (Arc<Lane>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
        let (woken, lost) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let count = |of: &Arc<AtomicUsize>| {
            let of = Arc::clone(of);
            move || {
                of.fetch_add(1, Ordering::Relaxed);
            }
        };
        (Arc::new(Lane::new(count(&woken), count(&lost))), woken, lost)
    }

    #[test]
    fn a_frame_goes_out_by_all_ports_but_its_own() {
        let hub = Hub::default();
        let lanes = [lane().0, lane().0, lane().0];
        lanes.iter().for_each(|lane| hub.plug(lane));
        hub.flood(&lanes[1], b"frame".as_slice().into());
        assert_eq!(lanes[0].take().as_deref(), Some(&b"frame"[..]));
        assert_eq!((lanes[0].take(), lanes[1].take()), (None, None));
        hub.unplug(&lanes[2]);
        assert_eq!(lanes[2].take().as_deref(), Some(&b"frame"[..]));
        hub.flood(&lanes[1], b"later".as_slice().into());
        assert_eq!(lanes[2].take(), None);
    }

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_lost() {
        let hub = Hub::default();
        let (from, ..) = lane();
        let (to, woken, lost) = lane();
        hub.plug(&to);
        for number in 0..MOST_WAITING + 3 {
            hub.flood(&from, number.to_le_bytes().as_slice().into());
        }
        assert_eq!(
            (woken.load(Ordering::Relaxed), lost.load(Ordering::Relaxed)),
            (MOST_WAITING, 3)
        );
        let first = to.take().unwrap();
        assert_eq!(*first, 0_usize.to_le_bytes());
        to.put_back(first);
        assert_eq!(to.take().as_deref(), Some(&0_usize.to_le_bytes()[..]));
    }
}
