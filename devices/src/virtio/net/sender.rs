//! One queue of frames to be sent: the driver's chains go to the network.

use std::{io::IoSlice, sync::Arc};

use device_model::{
    netdev::LONGEST_FRAME,
    prelude::*,
    virtio::{VirtQueue, VirtioDriver},
};

use super::{card::Card, header::outgoing, spec::header};

/// How many chains are taken in one go, so that others are served who share the loop.
const IN_ONE_GO: usize = 256;

/// A queue of frames to be sent at work for a driver.
pub(super) struct Sender {
    card: Arc<Card>,
    driver: VirtioDriver,
    queue: Arc<VirtQueue>,
    features: u64,
    /// The network's queue.
    to: u16,
    /// Held while the network takes a frame, and not by what it calls.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Room for a frame, once there has been one.
    buffer: Vec<u8>,
    /// Bytes of the frame in it that the network has not taken.
    waiting: Option<usize>,
}

impl Sender {
    /// The queue, for a driver with those features.
    pub(super) fn new(
        card: &Arc<Card>,
        driver: &VirtioDriver,
        queue: &Arc<VirtQueue>,
        features: u64,
        to: u16,
    ) -> Self {
        Self {
            card: Arc::clone(card),
            driver: driver.clone(),
            queue: Arc::clone(queue),
            features,
            to,
            state: Mutex::default(),
        }
    }

    /// Sends frames while there are any and the network takes them, and signals once.
    pub(super) fn serve(&self) {
        let state = &mut *self.state.lock();
        if state.waiting.is_some() && self.pass_on(state) == Sending::Later {
            return;
        }
        let mut budget = IN_ONE_GO;
        let mut has_used = false;
        while budget > 0 {
            let Some(chain) = self.queue.pop() else { break };
            budget -= 1;
            let length = chain.readable_length();
            let size = usize::try_from(length).unwrap_or(usize::MAX);
            if size < header::SIZE {
                let why = format!(
                    "queue {}: a frame has {length} bytes of its header, expected {}",
                    self.queue.index(),
                    header::SIZE
                );
                self.driver.fail(&why);
                break;
            }
            has_used = true;
            // It is copied, so that what is checked is what is sent and the driver has it back at
            // once. What is no frame is lost.
            let is_frame = (header::SIZE + 1..=LONGEST_FRAME).contains(&size);
            if is_frame && state.buffer.is_empty() {
                state.buffer.resize(LONGEST_FRAME, 0);
            }
            let room = if is_frame { state.buffer.get_mut(..size) } else { None };
            let read = self.queue.finish(chain, |buffers| room.map(|room| buffers.read(room)));
            if read.flatten() == Some(size) && self.prepare(state, size) {
                state.waiting = Some(size);
                if self.pass_on(state) == Sending::Later {
                    break;
                }
            }
        }
        if has_used {
            self.queue.signal();
        }
        if budget == 0 {
            self.driver.notify(self.queue.index());
        }
    }

    /// Puts what the network is handed of the header into its place. False if the frame is lost.
    fn prepare(&self, state: &mut State, size: usize) -> bool {
        let Some(place) = state.buffer.first_chunk_mut() else { return false };
        let prepared = outgoing(*place, size - header::SIZE, self.features);
        if let Some(header) = prepared {
            *place = header;
        }
        prepared.is_some()
    }

    /// Gives the network the frame that waits.
    fn pass_on(&self, state: &mut State) -> Sending {
        let (Some(size), Some(netdev)) = (state.waiting, self.card.netdev()) else {
            state.waiting = None;
            return Sending::Taken;
        };
        let start = if self.card.layout().has_header() { 0 } else { header::SIZE };
        let frame = state.buffer.get(start..size).unwrap_or_default();
        let outcome = netdev.send(self.to, &[IoSlice::new(frame)]);
        if outcome == Sending::Taken {
            state.waiting = None;
        }
        outcome
    }
}
