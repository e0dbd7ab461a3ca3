//! How much memory the messages of all clients together may take, from their first byte until what
//! they ask for has been done.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::monitor::heap;

/// What the clients of one process share unless it says otherwise, in bytes.
pub const DEFAULT_CAPACITY: usize = 256 << 20;

/// What each message may take besides, in bytes, so that those who use up what is shared keep nobody
/// from giving a command. A command has some 10 to 50 tokens.
pub const DEFAULT_RESERVE: usize = 16 << 10;

/// What a token of a message is taken to need once it is parsed, in bytes. The most is needed by
/// objects of one member in one another, of four tokens each: a node of the map, which has room for
/// eleven members, takes 640 bytes with the allocator's own, and the name 32. That makes 168 a token;
/// the rest is for memory that falls between what is allocated.
pub const TOKEN_BYTES: usize = 192;

/// What is worth giving back to the system, in bytes. It is what may stay with each thread.
const LARGE: usize = 1 << 20;

/// A number of bytes that clients share: each takes what its messages need and gives it back once
/// they have been handled, refused or dropped.
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

/// What one message takes of a budget. It is given back when this is dropped, which must not be
/// before what it was taken for.
#[derive(Debug)]
pub struct Claim {
    budget: Arc<Budget>,
    /// How many bytes the message may take, those of its reserve among them.
    held: usize,
    /// How many of them are of those that are shared.
    taken: usize,
}

impl Claim {
    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0, taken: 0 }
    }

    /// How many bytes the message may take.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Takes as many of the bytes wanted as there are.
    fn grow(&mut self, wanted: usize) -> usize {
        let reserved = self.budget.reserve.saturating_sub(self.held).min(wanted);
        let taken = self.budget.take(wanted.saturating_sub(reserved));
        let more = reserved.saturating_add(taken);
        self.taken = self.taken.saturating_add(taken);
        self.held = self.held.saturating_add(more);
        more
    }

    /// Gives back all but `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let freed = self.held.saturating_sub(bytes);
        if freed >= LARGE {
            // First: what another client takes must not come to what is still this one's.
            heap::give_back();
        }
        self.held = self.held.saturating_sub(freed);
        // No more than was taken, so that it can't wrap.
        let kept = self.taken.min(self.held.saturating_sub(self.budget.reserve));
        let back = self.taken.saturating_sub(kept);
        self.taken = kept;
        self.budget.used.fetch_sub(back, Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// The text of a message. Its memory is taken from a budget, as is that for what it is parsed into.
#[derive(Debug)]
pub(super) struct Text {
    bytes: Vec<u8>,
    /// How much `bytes` has room for.
    room: usize,
    /// What was taken for that, and for what else was charged.
    claim: Claim,
}

impl Text {
    /// What the shortest message gets room for.
    const LEAST: usize = 256;

    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self { bytes: Vec::new(), room: 0, claim: Claim::new(budget) }
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.claim.budget
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
        let more = self.claim.grow(wanted);
        self.room = self.room.saturating_add(more);
        if more == 0 || self.bytes.try_reserve_exact(more).is_err() {
            return Err(Full::Budget);
        }
        Ok(())
    }

    /// Takes that many bytes besides. What could be taken of them is kept until all is given back.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Full> {
        if self.claim.grow(bytes) < bytes { Err(Full::Budget) } else { Ok(()) }
    }

    /// Frees the text and gives out what was taken, down to `kept` bytes.
    pub(super) fn settle(&mut self, kept: usize) -> Claim {
        self.bytes = Vec::new();
        self.room = 0;
        let none = Claim::new(Arc::clone(&self.claim.budget));
        let mut claim = std::mem::replace(&mut self.claim, none);
        claim.shrink_to(kept);
        claim
    }

    /// Frees the memory and gives back what was taken.
    pub(super) fn clear(&mut self) {
        self.bytes = Vec::new();
        self.room = 0;
        self.claim.shrink_to(0);
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
    fn what_is_charged_besides_the_text_outlives_it() {
        let budget = Budget::with_reserve(1000, 300);
        let mut text = Text::new(Arc::clone(&budget));
        text.push(b'x', 700).unwrap();
        assert_eq!(budget.used(), 0, "the reserve comes first");
        text.charge(500).unwrap();
        assert_eq!(budget.used(), Text::LEAST + 500 - 300);
        let claim = text.settle(400);
        assert_eq!((claim.held(), budget.used()), (400, 100));
        text.push(b'x', 700).unwrap();
        assert_eq!(budget.used(), 100, "the next message has a reserve of its own");
        drop(text);
        assert_eq!(budget.used(), 100);
        drop(claim);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn more_than_is_left_can_not_be_charged() {
        let budget = Budget::with_reserve(1000, 300);
        let mut one = Text::new(Arc::clone(&budget));
        one.charge(1299).unwrap();
        assert_eq!(one.charge(2), Err(Full::Budget));
        let mut other = Text::new(Arc::clone(&budget));
        other.charge(300).unwrap();
        assert_eq!(other.charge(1), Err(Full::Budget));
        one.clear();
        other.charge(1).unwrap();
        drop((one, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_claim_only_shrinks() {
        let budget = Budget::new(1000);
        let mut text = Text::new(Arc::clone(&budget));
        text.charge(100).unwrap();
        let mut claim = text.settle(200);
        assert_eq!((claim.held(), budget.used()), (100, 100));
        claim.shrink_to(100);
        claim.shrink_to(101);
        assert_eq!((claim.held(), budget.used()), (100, 100));
        claim.shrink_to(1);
        assert_eq!((claim.held(), budget.used()), (1, 1));
    }

    /// The node of a map: names and values of eleven members, its parent, and two numbers.
    #[test]
    fn what_a_token_is_charged_is_what_it_may_need() {
        use serde_json::Value;
        let node = 11 * (size_of::<String>() + size_of::<Value>()) + 16;
        let with_the_allocators = (node + 8).next_multiple_of(16);
        let (name, tokens) = (32, 4);
        assert!((with_the_allocators + name) / tokens < TOKEN_BYTES);
        // An array of one element has room for four; its two tokens.
        assert!((4 * size_of::<Value>() + 16) / 2 < TOKEN_BYTES);
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
