//! One queue of received frames: frames from the network go into the driver's chains.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use device_model::{
    prelude::*,
    virtio::{Chain, VirtQueue, VirtioDriver},
};

use super::{
    header::{Header, with_buffers},
    spec::header,
};

/// A queue of received frames at work for a driver.
pub(super) struct Receiver {
    driver: VirtioDriver,
    queue: Arc<VirtQueue>,
    /// Frames may be spread over several chains.
    merges: bool,
    /// The queue's size, in descriptors.
    size: usize,
    state: Mutex<State>,
    /// Chains were given back of which the driver is to be told when it is the queue's turn, so that
    /// it is told of many frames at once.
    has_used: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Chains that were taken and have no frame yet.
    chains: VecDeque<Chain>,
    /// Bytes that they have room for.
    room: u64,
    /// Buffers that they are made of.
    parts: usize,
    /// The network's queues that were told to come again once there are more.
    refused: Vec<u16>,
}

impl State {
    fn put(&mut self, chain: Chain) {
        self.room += u64::from(chain.writable_length());
        self.parts += chain.writable().len();
        self.chains.push_back(chain);
    }

    /// How many of the chains, from the first on, have room for so many bytes; none if all together
    /// have not.
    fn count(&self, bytes: u64) -> Option<usize> {
        let mut room = 0;
        let lengths = self.chains.iter().map(|chain| u64::from(chain.writable_length()));
        let last = lengths.enumerate().find(|(_, length)| {
            room += length;
            room >= bytes
        });
        last.map(|(index, _)| index + 1)
    }

    fn leave(&mut self, chain: &Chain) {
        self.room = self.room.saturating_sub(u64::from(chain.writable_length()));
        self.parts = self.parts.saturating_sub(chain.writable().len());
    }
}

impl Receiver {
    pub(super) fn new(driver: &VirtioDriver, queue: &Arc<VirtQueue>, merges: bool) -> Self {
        Self {
            driver: driver.clone(),
            queue: Arc::clone(queue),
            merges,
            size: queue.size().into(),
            state: Mutex::default(),
            has_used: AtomicBool::new(false),
        }
    }

    /// Takes a frame of that queue of the network's.
    pub(super) fn receive(&self, from: u16, header: Header, frame: &[u8]) -> Receiving {
        let state = &mut *self.state.lock();
        let bytes = u64::try_from(header.len() + frame.len()).unwrap_or(u64::MAX);
        while if self.merges { state.room < bytes } else { state.chains.is_empty() } {
            // All that the driver can have made available is here, and is not enough.
            if state.parts >= self.size {
                return Receiving::Taken;
            }
            let Some(chain) = self.queue.pop() else {
                // Whoever is told to come again is let in when the driver tells of more.
                if !self.queue.works() {
                    return Receiving::Taken;
                }
                if !state.refused.contains(&from) {
                    state.refused.push(from);
                }
                return Receiving::Later;
            };
            let room = chain.writable_length();
            if usize::try_from(room).unwrap_or(usize::MAX) < header::SIZE {
                let why = format!(
                    "queue {}: a chain has room for {room} bytes of a frame, expected {} at least",
                    self.queue.index(),
                    header::SIZE
                );
                self.driver.fail(&why);
                return Receiving::Taken;
            }
            state.put(chain);
        }
        // One without merging, which may be too short: the frame is lost and the chain stays.
        let Some(count) = state.count(bytes).filter(|count| self.merges || *count == 1) else {
            return Receiving::Taken;
        };
        let header = with_buffers(header, u16::try_from(count).unwrap_or(u16::MAX));
        let taken: VecDeque<_> = match count {
            1 => VecDeque::new(),
            _ => state.chains.drain(..count).collect(),
        };
        let mut left = [&header[..], frame];
        let mut fill = |buffers: &mut device_model::virtio::Buffers<'_>| {
            for piece in &mut left {
                let written = buffers.write(piece);
                *piece = piece.get(written..).unwrap_or_default();
            }
        };
        if taken.is_empty() {
            let Some(chain) = state.chains.pop_front() else { return Receiving::Taken };
            state.leave(&chain);
            self.queue.finish(chain, fill);
        } else {
            taken.iter().for_each(|chain| state.leave(chain));
            self.queue.finish_together(taken, &mut fill);
        }
        if !self.has_used.swap(true, Ordering::AcqRel) {
            self.driver.notify(self.queue.index());
        }
        Receiving::Taken
    }

    /// Tells the driver of what was given back, and which queues of the network's are to come again.
    pub(super) fn serve(&self) -> Vec<u16> {
        if self.has_used.swap(false, Ordering::AcqRel) {
            self.queue.signal();
        }
        std::mem::take(&mut self.state.lock().refused)
    }
}
