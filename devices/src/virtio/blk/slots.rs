//! What is in flight for one queue, by numbers that come back with the answers.

use device_model::{block::Command, virtio::Chain};

/// A chain whose request the disk is at.
pub(super) struct InFlight {
    pub(super) chain: Chain,
    pub(super) command: Command,
    /// Where it begins and how far it reaches, in bytes.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// How far it has come.
    pub(super) stage: Stage,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is done with this.
    Last,
    /// A flush follows.
    BeforeFlush,
    /// It is that flush.
    Flush,
}

/// Numbered places, at most so many, which are made as they are needed.
pub(super) struct Slots {
    places: Vec<Option<InFlight>>,
    free: Vec<usize>,
    most: usize,
}

impl Slots {
    pub(super) const fn new(most: usize) -> Self {
        Self { places: Vec::new(), free: Vec::new(), most }
    }

    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.places.len() < self.most
    }

    /// Puts something into a place, and tells its number. There is room.
    pub(super) fn put(&mut self, what: InFlight) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(what);
        }
        u64::try_from(index).unwrap_or(u64::MAX)
    }

    fn index(token: u64) -> usize {
        usize::try_from(token).unwrap_or(usize::MAX)
    }

    pub(super) fn get_mut(&mut self, token: u64) -> Option<&mut InFlight> {
        self.places.get_mut(Self::index(token))?.as_mut()
    }

    pub(super) fn take(&mut self, token: u64) -> Option<InFlight> {
        let index = Self::index(token);
        let taken = self.places.get_mut(index)?.take();
        if taken.is_some() {
            self.free.push(index);
        }
        taken
    }

    /// Forgets everything, and gives its room back.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.most);
    }
}
