//! A driver, and the card at work for it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
};

use device_model::{
    prelude::*,
    virtio::{Chain, VirtQueue, VirtioDriver},
};

use super::{
    card::Card,
    control::{Command, parse},
    filter::Filter,
    header::incoming,
    layout::{accepted, effective},
    receiver::Receiver,
    sender::Sender,
    spec::{control, feature, header},
};

/// How many commands are taken in one go.
const COMMANDS_IN_ONE_GO: usize = 64;

/// A driver and its queues.
pub(super) struct Work {
    card: Arc<Card>,
    driver: VirtioDriver,
    /// What was agreed on and holds.
    features: u64,
    /// What the driver takes unfinished at present, a part of that.
    unfinished: AtomicU64,
    filter: Mutex<Filter>,
    /// How many pairs of queues are used.
    pairs: AtomicU16,
    receivers: Vec<Option<Receiver>>,
    senders: Vec<Option<Sender>>,
    control: Option<Arc<VirtQueue>>,
}

impl Work {
    /// The card begins to work for a driver.
    ///
    /// # Errors
    /// If the network can't do any more what it could.
    pub(super) fn new(card: &Arc<Card>, driver: VirtioDriver) -> io::Result<Self> {
        let features = effective(driver.features());
        card.accept_unfinished(accepted(features))?;
        let merges = features & feature::MRG_RXBUF != 0;
        let pairs = 0..card.layout().pairs_of(features);
        let receivers = pairs.clone().map(|pair| {
            let queue = driver.queue(pair * 2)?;
            Some(Receiver::new(&driver, queue, merges))
        });
        let senders = pairs.map(|pair| {
            let queue = driver.queue(pair * 2 + 1)?;
            Some(Sender::new(card, &driver, queue, features, pair))
        });
        let control = card.layout().control_queue(features);
        Ok(Self {
            receivers: receivers.collect(),
            senders: senders.collect(),
            control: control.and_then(|control| driver.queue(control).cloned()),
            card: Arc::clone(card),
            features,
            unfinished: AtomicU64::new(features & feature::GUEST_OFFLOADS),
            filter: Mutex::new(Filter::new(card.address(), features)),
            // More are used once the driver says so (section 5.1.6.5.5).
            pairs: AtomicU16::new(1),
            driver,
        })
    }

    pub(super) const fn driver(&self) -> &VirtioDriver {
        &self.driver
    }

    /// There may be something in that queue.
    pub(super) fn notified(&self, queue: u16) {
        if let Some(control) = self.control.as_ref().filter(|control| control.index() == queue) {
            return self.command(control);
        }
        let pair = queue / 2;
        if pair >= self.pairs.load(Ordering::Acquire) {
            return;
        }
        let index = usize::from(pair);
        if queue.is_multiple_of(2) {
            if let Some(Some(receiver)) = self.receivers.get(index) {
                self.card.accept_frames(receiver.serve());
            }
        } else if let Some(Some(sender)) = self.senders.get(index) {
            sender.serve();
        }
    }

    /// The network takes frames again.
    pub(super) fn can_send(&self, queue: u16) {
        if let Some(queue) = queue.checked_mul(2) {
            self.driver.notify(queue.saturating_add(1));
        }
    }

    /// Takes a frame of that queue of the network's.
    pub(super) fn receive(&self, from: u16, frame: &[u8]) -> Receiving {
        let parts = match self.card.layout().has_header() {
            true => frame.split_first_chunk().map(|(header, frame)| (*header, frame)),
            false => Some(([0; header::SIZE], frame)),
        };
        let Some((header, frame)) = parts else { return Receiving::Taken };
        let Some(header) = incoming(header, self.unfinished.load(Ordering::Acquire)) else {
            return Receiving::Taken;
        };
        if self.features & feature::CTRL_RX != 0 && !self.filter.lock().accepts(frame) {
            return Receiving::Taken;
        }
        let pair = from % self.pairs.load(Ordering::Acquire).max(1);
        match self.receivers.get(usize::from(pair)) {
            Some(Some(receiver)) => receiver.receive(from, header, frame),
            // The driver has not made it ready.
            _ => Receiving::Taken,
        }
    }

    /// Does what the driver asks by the control queue.
    fn command(&self, queue: &Arc<VirtQueue>) {
        let mut has_used = false;
        let mut more_pairs = false;
        let mut budget = COMMANDS_IN_ONE_GO;
        while budget > 0 {
            let Some(chain) = queue.pop() else { break };
            budget -= 1;
            let Some(length) = self.command_length(queue, &chain) else { break };
            has_used = true;
            queue.finish(chain, |buffers| {
                let command = parse(buffers, length, self.features);
                more_pairs |= matches!(command, Some(Command::Pairs(_)));
                let done = command.is_some_and(|command| self.execute(command));
                buffers.write(&[if done { control::OK } else { control::ERR }]);
            });
        }
        if has_used {
            queue.signal();
        }
        if more_pairs {
            // What was put into a queue before it was used, and what waits for one that is not any
            // more.
            for queue in 0..self.pairs.load(Ordering::Acquire).saturating_mul(2) {
                self.driver.notify(queue);
            }
            self.card.accept_frames(0..self.card.layout().queues());
        }
        if budget == 0 {
            self.driver.notify(queue.index());
        }
    }

    /// Bytes of a command; none if it has no room for an answer or is none, and the device is broken.
    fn command_length(&self, queue: &Arc<VirtQueue>, chain: &Chain) -> Option<usize> {
        let (readable, writable) = (chain.readable_length(), chain.writable_length());
        let length = usize::try_from(readable).unwrap_or(usize::MAX);
        if length >= control::HEADER && writable > 0 {
            return Some(length);
        }
        let why = format!(
            "queue {}: a command has {readable} bytes and {writable} for its answer, expected {} \
             and 1 at least",
            queue.index(),
            control::HEADER
        );
        self.driver.fail(&why);
        None
    }

    fn execute(&self, command: Command) -> bool {
        match command {
            Command::Pairs(pairs) => {
                let exists = (1..=self.card.layout().pairs_of(self.features)).contains(&pairs);
                if exists {
                    self.pairs.store(pairs, Ordering::Release);
                }
                exists
            }
            Command::Offloads(wanted) => {
                let wanted = effective(wanted);
                let done = self.card.accept_unfinished(accepted(wanted)).is_ok();
                if done {
                    self.unfinished.store(wanted, Ordering::Release);
                }
                done
            }
            Command::Address(address) => {
                self.card.set_address(address);
                self.filter.lock().execute(Command::Address(address))
            }
            command => self.filter.lock().execute(command),
        }
    }
}
