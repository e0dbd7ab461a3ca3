//! Queues in the guest's memory, as the device uses them (virtio 1.2, section 2.7).

use std::{
    fmt,
    num::Wrapping,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
};

use parking_lot::Mutex;
use thiserror::Error;
use virtio_queue::{Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};

use super::{
    chain::{Chain, ChainError, Part},
    driver::VirtioSession,
    spec::{AVAIL_NO_INTERRUPT, feature},
};
use crate::platform::GuestMemory;

/// A queue as the driver sets it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSetup {
    /// The greatest size that the device allows, in descriptors.
    pub most: u16,
    /// Its size, in descriptors.
    pub size: u16,
    /// Where its descriptors are, guest-physical.
    pub descriptors: u64,
    /// Where the ring of available chains is.
    pub available: u64,
    /// Where the ring of used chains is.
    pub used: u64,
}

/// Why a queue can't be used, or not any more.
#[derive(Debug, Error)]
pub enum QueueError {
    /// Its size or one of its addresses.
    #[error("the queue's setup does not hold: {0}")]
    Setup(virtio_queue::Error),
    /// Its rings are not all in the guest's memory.
    #[error("the queue's rings are not in the guest's memory")]
    OutsideMemory,
    /// Its ring of available chains.
    #[error("the ring of available chains does not hold: {0}")]
    Ring(virtio_queue::Error),
    /// A chain in it.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl QueueSetup {
    /// A queue of that greatest size that the driver has not set up.
    #[must_use]
    pub const fn new(most: u16) -> Self {
        Self { most, size: 0, descriptors: 0, available: 0, used: 0 }
    }

    /// Checks that a queue can be set up like that: its size is a power of two and not above the
    /// greatest, its parts are aligned and in memory.
    ///
    /// # Errors
    /// If it can't be.
    pub fn check(&self, memory: &GuestMemory) -> Result<(), QueueError> {
        self.queue(memory).map(|_| ())
    }

    fn queue(&self, memory: &GuestMemory) -> Result<Queue, QueueError> {
        let mut queue = Queue::new(self.most).map_err(QueueError::Setup)?;
        queue.try_set_size(self.size).map_err(QueueError::Setup)?;
        queue
            .try_set_desc_table_address(GuestAddress(self.descriptors))
            .and_then(|()| queue.try_set_avail_ring_address(GuestAddress(self.available)))
            .and_then(|()| queue.try_set_used_ring_address(GuestAddress(self.used)))
            .map_err(QueueError::Setup)?;
        queue.set_ready(true);
        // A ring at address 0 is what the library takes for none.
        if self.available == 0 || !queue.is_valid(memory) {
            return Err(QueueError::OutsideMemory);
        }
        Ok(queue)
    }
}

/// A queue that a driver has made ready, for as long as it drives the device.
///
/// It may be used from several threads. No lock is held but while one of its methods runs.
pub struct VirtQueue {
    index: u16,
    memory: Arc<GuestMemory>,
    session: Arc<dyn VirtioSession>,
    indirect: bool,
    ring: Mutex<Ring>,
}

struct Ring {
    queue: Queue,
    /// Neither stopped nor broken.
    works: bool,
    /// The driver has been told that it need not tell of more.
    quiet: bool,
    /// How many chains had been given back when the driver was last signalled, or was not as it
    /// wanted no interrupt; wraps.
    signalled: Wrapping<u16>,
}

impl VirtQueue {
    /// The queue of that number, for a driver that has agreed on those features.
    ///
    /// # Errors
    /// If it can't be used as it is set up.
    pub fn new(
        index: u16,
        setup: &QueueSetup,
        features: u64,
        memory: Arc<GuestMemory>,
        session: Arc<dyn VirtioSession>,
    ) -> Result<Self, QueueError> {
        let mut queue = setup.queue(&memory)?;
        queue.set_event_idx(features & feature::EVENT_IDX != 0);
        let ring = Mutex::new(Ring { queue, works: true, quiet: false, signalled: Wrapping(0) });
        let indirect = features & feature::INDIRECT_DESC != 0;
        Ok(Self { index, memory, session, indirect, ring })
    }

    /// Its number among the device's.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// Its size, in descriptors.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.ring.lock().queue.size()
    }

    /// The guest's memory, which its buffers are in.
    #[must_use]
    pub const fn memory(&self) -> &Arc<GuestMemory> {
        &self.memory
    }

    /// Takes the next chain that the driver has made available. None: there is none at present, and
    /// the driver tells of the next; or the queue is used no more.
    ///
    /// While chains are found, the driver is asked not to tell of more. If what it put there does
    /// not hold, the device is broken from here on.
    pub fn pop(&self) -> Option<Chain> {
        let mut ring = self.ring.lock();
        if !ring.works || self.session.is_broken() {
            return None;
        }
        let popped = self.take(&mut ring);
        ring.works = popped.is_ok();
        drop(ring);
        popped.unwrap_or_else(|error| {
            self.session.fail(&format!("queue {}: {error}", self.index));
            None
        })
    }

    fn take(&self, ring: &mut Ring) -> Result<Option<Chain>, QueueError> {
        let memory = &*self.memory;
        let Ring { queue, quiet, .. } = ring;
        // Once more if one came before the driver was asked to tell of it again.
        for _ in 0..2 {
            let found = queue.iter(memory).map_err(QueueError::Ring)?.next();
            if let Some(found) = found {
                let head = found.head_index();
                if !*quiet {
                    queue.disable_notification(memory).map_err(QueueError::Ring)?;
                    *quiet = true;
                }
                let table = GuestAddress(queue.desc_table());
                let chain = Chain::read(memory, table, queue.size(), head, self.indirect)?;
                return Ok(Some(chain));
            }
            if !*quiet {
                break;
            }
            *quiet = false;
            if !queue.enable_notification(memory).map_err(QueueError::Ring)? {
                break;
            }
        }
        Ok(None)
    }

    /// Gives a chain back in which the device has written so many bytes, from the first one on.
    /// Nothing happens if the queue is used no more.
    pub fn push(&self, chain: &Chain, written: u32) {
        self.give_back(&mut self.ring.lock(), chain.head(), written);
    }

    /// Lets the device read and write a chain's buffers, and gives the chain back. Whatever takes the
    /// queue from the device waits for that; none of it happens if the queue is used no more.
    pub fn finish<R>(&self, chain: Chain, answer: impl FnOnce(&mut Buffers<'_>) -> R) -> Option<R> {
        let mut ring = self.ring.lock();
        if !ring.works {
            return None;
        }
        let mut buffers = self.buffers(&chain);
        let result = answer(&mut buffers);
        let written = buffers.written;
        self.give_back(&mut ring, chain.head(), written);
        Some(result)
    }

    /// As [`VirtQueue::finish`], for several chains, of which the driver sees all or none as given
    /// back. Tells whether it was done.
    pub fn finish_together(
        &self,
        chains: impl IntoIterator<Item = Chain>,
        mut answer: impl FnMut(&mut Buffers<'_>),
    ) -> bool {
        let mut ring = self.ring.lock();
        if !ring.works {
            return false;
        }
        let mut last = None;
        for chain in chains {
            let mut buffers = self.buffers(&chain);
            answer(&mut buffers);
            let entry = (chain.head(), buffers.written);
            if let Some((head, written)) = last.replace(entry) {
                self.enter(&mut ring.queue, head, written);
            }
        }
        if let Some((head, written)) = last {
            self.give_back(&mut ring, head, written);
        }
        true
    }

    /// Writes an entry of the ring of used chains, which the driver sees with the next one that is
    /// given back.
    fn enter(&self, queue: &mut Queue, head: u16, written: u32) {
        let next = queue.next_used();
        let entry = queue.used_ring() + 4 + u64::from(next % queue.size()) * 8;
        let [h0, h1, h2, h3] = u32::from(head).to_le_bytes();
        let [w0, w1, w2, w3] = written.to_le_bytes();
        // The ring is in memory as long as the queue is used.
        let bytes = [h0, h1, h2, h3, w0, w1, w2, w3];
        let _ = self.memory.write_slice(&bytes, GuestAddress(entry));
        queue.set_next_used(next.wrapping_add(1));
    }

    /// The buffers of a chain, to be read and written. A device that does so outside
    /// [`VirtQueue::finish`] ends it in [`VirtioDevice::queue_stopped`] and [`VirtioDevice::stop`].
    ///
    /// [`VirtioDevice::queue_stopped`]: super::VirtioDevice::queue_stopped
    /// [`VirtioDevice::stop`]: super::VirtioDevice::stop
    #[must_use]
    pub fn buffers<'a>(&'a self, chain: &'a Chain) -> Buffers<'a> {
        Buffers {
            memory: &self.memory,
            readable: Place { parts: chain.readable(), ..Place::default() },
            writable: Place { parts: chain.writable(), ..Place::default() },
            written: 0,
            has_gap: false,
        }
    }

    fn give_back(&self, ring: &mut Ring, head: u16, written: u32) {
        // Its rings are in memory as long as the queue is used, and the head was in the table.
        if ring.works && ring.queue.add_used(&*self.memory, head, written).is_err() {
            ring.works = false;
        }
    }

    /// Interrupts the driver, if it wants to hear of what was given back since this was last called.
    /// Once for all of several chains is best.
    pub fn signal(&self) {
        let wanted = {
            let mut ring = self.ring.lock();
            ring.works && self.wants_interrupt(&mut ring)
        };
        if wanted {
            self.session.queue_used(self.index);
        }
    }

    fn wants_interrupt(&self, ring: &mut Ring) -> bool {
        let (memory, queue) = (&*self.memory, &ring.queue);
        let word = |address| {
            let word = memory.load::<u16>(GuestAddress(address), Ordering::Relaxed);
            word.map(u16::from_le)
        };
        // The driver sees what was given back before it is looked at what the driver wants.
        fence(Ordering::SeqCst);
        let used = Wrapping(queue.next_used());
        let before = std::mem::replace(&mut ring.signalled, used);
        if !queue.event_idx_enabled() {
            return word(queue.avail_ring()).map_or(true, |flags| flags & AVAIL_NO_INTERRUPT == 0);
        }
        // Whether the chain is among those since then that it wants to hear of (section 2.7.7.1).
        let event = queue.avail_ring() + 4 + u64::from(queue.size()) * 2;
        word(event).map_or(true, |event| used - Wrapping(event) - Wrapping(1) < used - before)
    }

    /// Takes the queue from the device. When this returns, nothing touches its rings any more, nor
    /// the buffers of what [`VirtQueue::finish`] is at.
    pub fn stop(&self) {
        self.ring.lock().works = false;
    }

    /// Whether it is neither stopped nor broken.
    #[must_use]
    pub fn works(&self) -> bool {
        self.ring.lock().works
    }
}

impl fmt::Debug for VirtQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtQueue").field("index", &self.index).finish_non_exhaustive()
    }
}

/// The buffers of a chain: read from the front on, written from the front on.
#[derive(Debug)]
pub struct Buffers<'a> {
    memory: &'a GuestMemory,
    readable: Place<'a>,
    writable: Place<'a>,
    written: u32,
    /// Something was left as it was, so that what follows is not written from the first byte on.
    has_gap: bool,
}

/// How far something has come.
#[derive(Debug, Default)]
struct Place<'a> {
    parts: &'a [Part],
    /// Bytes of the first part that are behind.
    offset: u32,
}

impl Place<'_> {
    /// The next bytes that are in one piece, up to `most`.
    fn next(&mut self, most: usize) -> Option<(GuestAddress, usize)> {
        while let Some((part, rest)) = self.parts.split_first() {
            let left = part.length.saturating_sub(self.offset);
            let count = u32::try_from(most).unwrap_or(u32::MAX).min(left);
            if left == 0 {
                (self.parts, self.offset) = (rest, 0);
                continue;
            }
            let address = GuestAddress(part.address.0.checked_add(u64::from(self.offset))?);
            self.offset = self.offset.saturating_add(count);
            return Some((address, usize::try_from(count).ok()?));
        }
        None
    }
}

impl Place<'_> {
    /// Passes over as many bytes as there are, and tells how many.
    fn pass(&mut self, bytes: u32) -> u32 {
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let Some((_, count)) = self.next(most) else { break };
            left = left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
        }
        bytes - left
    }
}

impl Buffers<'_> {
    /// Reads as many bytes as there are, and tells how many.
    pub fn read(&mut self, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty())
            && let Some((address, count)) = self.readable.next(rest.len())
        {
            // The chain's buffers are in memory, which stays.
            let Some(rest) = rest.get_mut(..count) else { break };
            if self.memory.read_slice(rest, address).is_err() {
                break;
            }
            done += count;
        }
        done
    }

    /// Writes as many bytes as there is room for, and tells how many.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty())
            && let Some((address, count)) = self.writable.next(rest.len())
        {
            let Some(rest) = rest.get(..count) else { break };
            if self.memory.write_slice(rest, address).is_err() {
                break;
            }
            done += count;
        }
        self.count(u32::try_from(done).unwrap_or(u32::MAX));
        done
    }

    /// Passes over the next bytes to be written, which somebody else has filled, so that they count
    /// as written.
    pub fn filled(&mut self, bytes: u32) {
        let passed = self.writable.pass(bytes);
        self.count(passed);
    }

    /// Passes over the next bytes to be written and leaves them as they are. The driver is told of no
    /// byte behind them, though they may be written.
    pub fn skip(&mut self, bytes: u32) {
        self.has_gap |= self.writable.pass(bytes) > 0;
    }

    fn count(&mut self, bytes: u32) {
        if !self.has_gap {
            self.written = self.written.saturating_add(bytes);
        }
    }

    /// How many bytes were written so far, from the first one on.
    #[must_use]
    pub const fn written(&self) -> u32 {
        self.written
    }
}
