//! How much memory the unfinished messages of all clients together may take.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What the clients of one process share unless it says otherwise, in bytes.
pub const DEFAULT_CAPACITY: usize = 256 << 20;

/// What the unfinished message of each client may take besides, in bytes, so that those who use up
/// what is shared keep nobody from giving a command.
pub const DEFAULT_RESERVE: usize = 4 << 10;

/// A number of bytes that clients share: each takes what its unfinished message needs and gives it
/// back once the message is whole, refused or dropped.
#[derive(Debug)]
pub struct Budget {
    capacity: usize,
    reserve: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of that many bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Arc<Self> {
        Self::with_reserve(capacity, 0)
    }

    /// A budget of `capacity` bytes, beside which each message has the first `reserve` bytes of it
    /// for itself.
    #[must_use]
    pub fn with_reserve(capacity: usize, reserve: usize) -> Arc<Self> {
        Arc::new(Self { capacity, reserve, used: AtomicUsize::new(0) })
    }

    /// How many bytes there are in all.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many bytes are taken.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes as many of the bytes wanted as are left.
    fn take(&self, wanted: usize) -> usize {
        // Only the number is shared, no memory is handed over by it: no ordering is needed.
        let mut used = self.used();
        loop {
            let taken = wanted.min(self.capacity.saturating_sub(used));
            match self.used.compare_exchange_weak(
                used,
                used.saturating_add(taken),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return taken,
                Err(now) => used = now,
            }
        }
    }
}

/// Why text can't grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// It is as long as it may be.
    Limit,
    /// The budget, or the process's memory, is used up.
    Budget,
}

/// Bytes whose memory is taken from a budget, and given back when they are taken or dropped.
#[derive(Debug)]
pub(super) struct Text {
    budget: Arc<Budget>,
    bytes: Vec<u8>,
    /// How much `bytes` has room for.
    room: usize,
    /// How much of that was taken from the budget.
    taken: usize,
}

impl Text {
    /// What the shortest message gets room for.
    const LEAST: usize = 256;

    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: Vec::new(), room: 0, taken: 0 }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a byte to text that may have `limit` bytes.
    pub(super) fn push(&mut self, byte: u8, limit: usize) -> Result<(), Full> {
        if self.bytes.len() >= limit {
            return Err(Full::Limit);
        }
        if self.bytes.len() == self.room {
            self.grow(limit)?;
        }
        self.bytes.push(byte);
        Ok(())
    }

    /// Makes room: twice as much as before, or what is left.
    fn grow(&mut self, limit: usize) -> Result<(), Full> {
        let wanted = self.room.max(Self::LEAST).min(limit.saturating_sub(self.room));
        let reserved = self.budget.reserve.saturating_sub(self.room).min(wanted);
        let taken = self.budget.take(wanted.saturating_sub(reserved));
        self.taken = self.taken.saturating_add(taken);
        let more = reserved.saturating_add(taken);
        self.room = self.room.saturating_add(more);
        if more == 0 || self.bytes.try_reserve_exact(more).is_err() {
            return Err(Full::Budget);
        }
        Ok(())
    }

    /// Frees the memory and gives back what was taken.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
        self.room = 0;
        // No more than was taken, so that it can't wrap.
        self.budget.used.fetch_sub(std::mem::take(&mut self.taken), Ordering::Relaxed);
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &mut Text, limit: usize) -> (usize, Full) {
        let mut count = 0;
        loop {
            match text.push(b'x', limit) {
                Ok(()) => count += 1,
                Err(full) => return (count, full),
            }
        }
    }

    #[test]
    fn text_is_as_long_as_its_limit_or_the_budget_allows() {
        let budget = Budget::new(1000);
        let mut one = Text::new(Arc::clone(&budget));
        assert_eq!(filled(&mut one, 700), (700, Full::Limit));
        assert_eq!(budget.used(), 700);
        let mut other = Text::new(Arc::clone(&budget));
        assert_eq!(filled(&mut other, 700), (300, Full::Budget));
        assert_eq!(budget.used(), 1000);
        one.clear();
        assert_eq!(filled(&mut other, 700), (400, Full::Limit));
    }

    #[test]
    fn a_short_message_finds_room_when_the_budget_is_used_up() {
        let budget = Budget::with_reserve(1000, 300);
        let mut greedy = Text::new(Arc::clone(&budget));
        assert_eq!(filled(&mut greedy, 10_000), (1300, Full::Budget));
        assert_eq!(budget.used(), 1000);
        let mut short = Text::new(Arc::clone(&budget));
        assert_eq!(filled(&mut short, 200), (200, Full::Limit));
        assert_eq!(filled(&mut short, 10_000), (100, Full::Budget));
        short.clear();
        assert_eq!(budget.used(), 1000, "what was not taken does not come back");
        greedy.clear();
        assert_eq!(budget.used(), 0);
        assert_eq!(filled(&mut short, 10_000), (1300, Full::Budget), "there is a reserve again");
    }

    #[test]
    fn what_was_taken_comes_back_once() {
        let budget = Budget::new(1000);
        let mut text = Text::new(Arc::clone(&budget));
        filled(&mut text, 700);
        text.clear();
        assert_eq!((budget.used(), text.bytes.capacity()), (0, 0));
        text.push(b'x', 700).unwrap();
        assert_eq!(budget.used(), Text::LEAST);
        drop(text);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let budget = Budget::new(10_000);
        let take = || (0..1000).map(|_| budget.take(7)).sum::<usize>();
        let taken = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(take));
            threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!((taken, budget.used()), (10_000, 10_000));
    }
}
