//! One queue at work: chains become requests to the disk, and answers go back.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use device_model::{
    block::{
        BlockQueue, Buffers, Command, Completion, ErrorAction, GuestRange, IoOperation, Request,
    },
    event_loop::{Next, Watch},
    prelude::Mutex,
    virtio::{Chain, Part, VirtQueue, VirtioDriver},
};
use vm_memory::GuestAddress;

use super::{
    disk::Disk,
    request::{Raw, Wanted, parse},
    slots::{InFlight, Slots, Stage},
    spec::{request, status},
};

/// How many chains are taken in one go, so that others are served who share the loop.
const IN_ONE_GO: usize = 256;
/// Lists of buffers that are kept for their room, and how long one of them is at most.
const KEPT: usize = 256;
const KEPT_LENGTH: usize = 8;

/// One queue at work for a driver.
pub(super) struct Lane {
    disk: Arc<Disk>,
    driver: VirtioDriver,
    queue: Arc<VirtQueue>,
    /// What failed is to be tried again.
    retries: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// The way to the disk; none once the queue has been taken from the device.
    block: Option<BlockQueue>,
    watch: Option<Watch>,
    slots: Slots,
    /// What is to be submitted.
    requests: Vec<Request>,
    /// What was done and has not been answered. Kept for its room, as that above.
    done: Vec<Completion>,
    /// What failed, and is tried again once the machine goes on. Nothing new is taken meanwhile.
    put_off: Vec<Request>,
    spare: Vec<Vec<GuestRange>>,
    /// Chains were given back of which the driver has not been told.
    has_used: bool,
}

/// What becomes of the bytes that precede a request's status.
#[derive(Clone, Copy)]
enum Data<'a> {
    /// They are as they were, or nobody knows.
    Untouched,
    /// The disk has filled them.
    Filled,
    /// These are written to them, if there is room.
    Bytes(&'a [u8]),
}

impl Lane {
    /// The lane of a queue, which the disk's answers reach on the driver's loop.
    pub(super) fn new(
        disk: &Arc<Disk>,
        driver: &VirtioDriver,
        queue: &Arc<VirtQueue>,
    ) -> io::Result<Arc<Self>> {
        let depth = usize::from(disk.layout().settings().queue_size);
        let block = disk.backend().queue(depth)?;
        let state = State {
            block: None,
            watch: None,
            slots: Slots::new(depth),
            requests: Vec::new(),
            done: Vec::new(),
            put_off: Vec::new(),
            spare: Vec::new(),
            has_used: false,
        };
        let lane = Arc::new(Self {
            disk: Arc::clone(disk),
            driver: driver.clone(),
            queue: Arc::clone(queue),
            retries: AtomicBool::new(false),
            state: Mutex::new(state),
        });
        let called: Weak<Self> = Arc::downgrade(&lane);
        let watch = driver.events().watch(&block, move || match called.upgrade() {
            Some(lane) => lane.answered(),
            None => Next::Pause,
        })?;
        {
            // Nothing is in flight yet, so that nobody has been called.
            let mut state = lane.state.lock();
            (state.block, state.watch) = (Some(block), Some(watch));
        }
        Ok(lane)
    }

    /// There may be something in the queue.
    pub(super) fn serve(&self) {
        let state = &mut *self.state.lock();
        if self.retries.swap(false, Ordering::AcqRel) {
            state.requests.append(&mut state.put_off);
            self.submit(state);
        }
        self.work(state);
    }

    /// Has what failed tried again, on the loop's thread.
    pub(super) fn retry(&self) {
        self.retries.store(true, Ordering::Release);
        self.driver.notify(self.queue.index());
    }

    /// The disk has done something.
    fn answered(&self) -> Next {
        let state = &mut *self.state.lock();
        let Some(block) = &state.block else { return Next::Pause };
        block.fetch(&mut state.done);
        self.settle(state);
        self.submit(state);
        self.work(state);
        Next::Continue
    }

    /// Takes chains while there are any and there is room for them, and signals once.
    fn work(&self, state: &mut State) {
        let mut budget = IN_ONE_GO;
        let mut is_empty = false;
        while !is_empty && budget > 0 && state.put_off.is_empty() && state.block.is_some() {
            // Those that have no room are taken when an answer makes some.
            if !state.slots.has_room() {
                break;
            }
            while budget > 0 && state.slots.has_room() {
                let Some(chain) = self.queue.pop() else {
                    is_empty = true;
                    break;
                };
                budget -= 1;
                self.take(state, chain);
            }
            self.submit(state);
        }
        if std::mem::take(&mut state.has_used) {
            self.queue.signal();
        }
        if budget == 0 && !is_empty {
            self.driver.notify(self.queue.index());
        }
    }

    /// Makes a request of a chain, or answers it at once.
    fn take(&self, state: &mut State, chain: Chain) {
        let writable = chain.writable_length();
        let mut raw = Raw {
            header: [0; request::HEADER],
            readable: u64::from(chain.readable_length()),
            segment: [0; request::SEGMENT],
            writable: u64::from(writable.saturating_sub(1)),
        };
        let got = {
            let mut buffers = self.queue.buffers(&chain);
            let got = buffers.read(&mut raw.header);
            if raw.has_segment() {
                buffers.read(&mut raw.segment);
            }
            got
        };
        if got < request::HEADER || writable == 0 {
            let why = format!(
                "queue {}: a request has {got} bytes of its header and {writable} of its answer, \
                 expected {} and 1 at least",
                self.queue.index(),
                request::HEADER
            );
            return self.driver.fail(&why);
        }
        raw.readable =
            raw.readable.saturating_sub(u64::try_from(request::HEADER).unwrap_or(u64::MAX));
        let wanted = match parse(&raw, self.disk.layout(), self.disk.sectors()) {
            Ok(wanted) => wanted,
            Err(status) => return self.finish(state, chain, status, Data::Untouched),
        };
        let (command, offset, length) = match wanted {
            Wanted::Id => {
                let serial = Data::Bytes(self.disk.serial());
                return self.finish(state, chain, status::OK, serial);
            }
            Wanted::Read { offset } => (Command::Read, offset, raw.writable),
            Wanted::Write { offset } => (Command::Write, offset, raw.readable),
            Wanted::Flush => (Command::Flush, 0, 0),
            Wanted::Discard { offset, length } => (Command::Discard, offset, length),
            Wanted::WriteZeroes { offset, length, unmap } => {
                (Command::WriteZeroes { unmap }, offset, length)
            }
        };
        let buffers = match command {
            Command::Read => buffers(state, &self.driver, chain.writable(), 0, writable - 1),
            Command::Write => {
                let header = u32::try_from(request::HEADER).unwrap_or(u32::MAX);
                let length = chain.readable_length().saturating_sub(header);
                buffers(state, &self.driver, chain.readable(), header, length)
            }
            _ => Buffers::None,
        };
        let writes = matches!(command, Command::Write | Command::WriteZeroes { .. });
        let stage = match writes && self.disk.is_writethrough(self.driver.features()) {
            true => Stage::BeforeFlush,
            false => Stage::Last,
        };
        let token = state.slots.put(InFlight { chain, command, offset, length, stage });
        state.requests.push(Request { token, command, offset, length, buffers });
    }

    /// Gives the disk what is to be submitted, and answers what it does at once.
    fn submit(&self, state: &mut State) {
        while !state.requests.is_empty() {
            let Some(block) = &mut state.block else { return };
            // Each has a slot, of which there are no more than the disk takes at once.
            block.submit(state.requests.drain(..), &mut state.done);
            self.settle(state);
        }
    }

    /// Answers what the disk has done.
    fn settle(&self, state: &mut State) {
        while let Some(completion) = state.done.pop() {
            let Completion { token, result, buffers } = completion;
            let Some(flying) = state.slots.get_mut(token) else { continue };
            let is_flush = flying.stage == Stage::Flush || flying.command == Command::Flush;
            let status = match result {
                Ok(()) if flying.stage == Stage::BeforeFlush => {
                    flying.stage = Stage::Flush;
                    state.requests.push(Request::flush(token));
                    continue;
                }
                Ok(()) => status::OK,
                Err(error) => {
                    let operation = match flying.command {
                        Command::Read => IoOperation::Read,
                        _ => IoOperation::Write,
                    };
                    match self.disk.failed(operation, is_flush, &error) {
                        ErrorAction::Ignore => status::OK,
                        ErrorAction::Report => status::IOERR,
                        ErrorAction::Stop => {
                            let InFlight { command, offset, length, .. } = *flying;
                            state.put_off.push(match flying.stage {
                                Stage::Flush => Request::flush(token),
                                _ => Request { token, command, offset, length, buffers },
                            });
                            continue;
                        }
                    }
                }
            };
            if let Buffers::Guest { mut ranges, .. } = buffers
                && ranges.capacity() <= KEPT_LENGTH
                && state.spare.len() < KEPT
            {
                ranges.clear();
                state.spare.push(ranges);
            }
            let Some(InFlight { chain, command, .. }) = state.slots.take(token) else { continue };
            let is_filled = command == Command::Read && status == status::OK;
            let data = if is_filled { Data::Filled } else { Data::Untouched };
            self.finish(state, chain, status, data);
        }
    }

    /// Gives a chain back with a status, its last byte.
    fn finish(&self, state: &mut State, chain: Chain, status: u8, data: Data<'_>) {
        state.has_used = true;
        let room = chain.writable_length().saturating_sub(1);
        self.queue.finish(chain, |buffers| {
            match data {
                Data::Untouched => buffers.skip(room),
                Data::Filled => buffers.filled(room),
                Data::Bytes(bytes) => {
                    let most = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
                    buffers.write(bytes.get(..most).unwrap_or_default());
                    buffers.skip(room.saturating_sub(buffers.written()));
                }
            }
            buffers.write(&[status]);
        });
    }

    /// The queue is no more the device's, and is stopped already: what is in flight ends here, and
    /// nobody is told what became of it.
    pub(super) fn stop(&self) {
        let (block, watch) = {
            let state = &mut *self.state.lock();
            (state.block.take(), state.watch.take())
        };
        if let Some(watch) = watch {
            self.driver.events().unwatch(watch);
        }
        // It waits for what is in flight, with no lock held that the loop may need for that.
        drop(block);
        let state = &mut *self.state.lock();
        state.slots.clear();
        for list in [&mut state.requests, &mut state.put_off] {
            *list = Vec::new();
        }
        (state.done, state.spare) = (Vec::new(), Vec::new());
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `length` bytes of a chain's buffers, from the byte `skip` on.
fn buffers(
    state: &mut State,
    driver: &VirtioDriver,
    parts: &[Part],
    skip: u32,
    length: u32,
) -> Buffers {
    let mut ranges = state.spare.pop().unwrap_or_default();
    let (mut skip, mut left) = (skip, length);
    for part in parts {
        let passed = skip.min(part.length);
        skip -= passed;
        let count = left.min(part.length - passed);
        if count == 0 {
            continue;
        }
        left -= count;
        // It was checked that the part is in memory.
        let address = GuestAddress(part.address.0.saturating_add(passed.into()));
        ranges.push(GuestRange { address, length: count });
    }
    Buffers::Guest { memory: Arc::clone(driver.memory()), ranges }
}
