//! Who begins next: members that wait take turns, an operation each.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use device_model::throttle::{Direction, MOST_WAITING};

use super::{account::Account, limits::Limits};

/// A member of a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(u64);

/// The operations that wait, and the account that they wait for. `T` is what begins one.
pub struct Scheduler<T> {
    account: Account,
    members: BTreeMap<MemberId, Queues<T>>,
    next: u64,
    /// Whose turn it was last.
    turn: MemberId,
    waiting: usize,
}

/// What becomes of an operation that wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<T> {
    /// It may at once.
    Now(T),
    /// It waits.
    Later,
    /// It can't wait, since [`MOST_WAITING`] of its member and direction do already.
    Refused(T),
}

/// What waits of one member.
struct Queues<T> {
    reads: VecDeque<(u64, T)>,
    writes: VecDeque<(u64, T)>,
    /// What its next turn is for, if both wait.
    next: Direction,
}

const fn other(direction: Direction) -> Direction {
    match direction {
        Direction::Read => Direction::Write,
        Direction::Write => Direction::Read,
    }
}

impl<T> Queues<T> {
    fn of(&mut self, direction: Direction) -> &mut VecDeque<(u64, T)> {
        match direction {
            Direction::Read => &mut self.reads,
            Direction::Write => &mut self.writes,
        }
    }

    fn has(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => !self.reads.is_empty(),
            Direction::Write => !self.writes.is_empty(),
        }
    }

    fn len(&self) -> usize {
        self.reads.len() + self.writes.len()
    }
}

impl<T> Default for Scheduler<T> {
    fn default() -> Self {
        Self {
            account: Account::default(),
            members: BTreeMap::new(),
            next: 0,
            turn: MemberId(0),
            waiting: 0,
        }
    }
}

impl<T> Scheduler<T> {
    /// Takes in a member.
    pub fn join(&mut self) -> MemberId {
        let id = MemberId(self.next);
        self.next += 1;
        let queues =
            Queues { reads: VecDeque::new(), writes: VecDeque::new(), next: Direction::Read };
        self.members.insert(id, queues);
        id
    }

    /// Lets a member go. What waited of it is given back.
    pub fn leave(&mut self, member: MemberId) -> Vec<T> {
        let waiting = self.cancel(member);
        self.members.remove(&member);
        waiting
    }

    /// Takes out all that waits of a member.
    pub fn cancel(&mut self, member: MemberId) -> Vec<T> {
        let Some(queues) = self.members.get_mut(&member) else { return Vec::new() };
        self.waiting -= queues.len();
        let reads = queues.reads.drain(..);
        reads.chain(queues.writes.drain(..)).map(|(_, operation)| operation).collect()
    }

    /// How many operations wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts the limits in force.
    pub fn set_limits(&mut self, now: u64, limits: &Limits) {
        if self.account.limits() != limits {
            self.account.advance(now);
            self.account.set_limits(limits.clone());
        }
    }

    /// An operation of so many bytes wants to begin at that time, in nanoseconds. While others wait
    /// it waits too, so that none of them is overtaken. One whose member has left is refused.
    pub fn ask(
        &mut self,
        now: u64,
        member: MemberId,
        direction: Direction,
        bytes: u64,
        operation: T,
    ) -> Asked<T> {
        let Some(queues) = self.members.get_mut(&member) else {
            return Asked::Refused(operation);
        };
        self.account.advance(now);
        if self.waiting == 0 && self.account.wait(direction) == 0 {
            self.account.charge(direction, bytes);
            self.turn = member;
            return Asked::Now(operation);
        }
        let queue = queues.of(direction);
        if queue.len() >= MOST_WAITING {
            return Asked::Refused(operation);
        }
        queue.push_back((bytes, operation));
        self.waiting += 1;
        Asked::Later
    }

    /// The next operation that may begin at that time, and whose it is. None if none waits, or all
    /// have to wait on.
    pub fn grant(&mut self, now: u64) -> Option<(MemberId, T)> {
        if self.waiting == 0 {
            return None;
        }
        self.account.advance(now);
        let free = |direction| self.account.wait(direction) == 0;
        let (reads, writes) = (free(Direction::Read), free(Direction::Write));
        if !reads && !writes {
            return None;
        }
        let may = |queues: &Queues<T>, direction| {
            let free = match direction {
                Direction::Read => reads,
                Direction::Write => writes,
            };
            free && queues.has(direction)
        };
        let chosen = |queues: &Queues<T>| {
            [queues.next, other(queues.next)].into_iter().find(|direction| may(queues, *direction))
        };
        let after = MemberId(self.turn.0.saturating_add(1));
        let in_turn = self.members.range(after..).chain(self.members.range(..after));
        let (id, direction) =
            in_turn.into_iter().find_map(|(id, queues)| Some((*id, chosen(queues)?)))?;
        let queues = self.members.get_mut(&id)?;
        let (bytes, operation) = queues.of(direction).pop_front()?;
        queues.next = other(direction);
        self.turn = id;
        self.waiting -= 1;
        self.account.charge(direction, bytes);
        Some((id, operation))
    }

    /// How many nanoseconds after that time the next operation that waits may begin; none if none
    /// waits.
    #[must_use]
    pub fn next_in(&mut self, now: u64) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        self.account.advance(now);
        let waits = |direction| self.members.values().any(|queues| queues.has(direction));
        [Direction::Read, Direction::Write]
            .into_iter()
            .filter(|direction| waits(*direction))
            .map(|direction| self.account.wait(direction))
            .min()
    }
}

impl<T> fmt::Debug for Scheduler<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("members", &self.members.len())
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use device_model::qom_core::PropertyType;
    use serde_json::{Value, json};

    use super::*;
    use Direction::{Read, Write};

    const SECOND: u64 = 1_000_000_000;

    fn scheduler<T>(limits: &Value) -> Scheduler<T> {
        let mut scheduler = Scheduler::default();
        scheduler.set_limits(0, &Limits::from_json(limits).unwrap());
        scheduler
    }

    /// Everything that is granted up to a time, with when it was.
    fn run<T>(scheduler: &mut Scheduler<T>, from: u64, until: u64) -> Vec<(u64, MemberId, T)> {
        let (mut now, mut granted) = (from, Vec::new());
        loop {
            while let Some((id, operation)) = scheduler.grant(now) {
                granted.push((now, id, operation));
            }
            match scheduler.next_in(now) {
                Some(wait) if now + wait <= until => now += wait,
                _ => return granted,
            }
        }
    }

    #[test]
    fn without_limits_all_begin_at_once() {
        let mut scheduler = Scheduler::default();
        let member = scheduler.join();
        for number in 0..1000 {
            assert_eq!(scheduler.ask(0, member, Write, u64::MAX, number), Asked::Now(number));
        }
        assert_eq!(scheduler.next_in(0), None);
    }

    #[test]
    fn operations_of_one_direction_begin_in_their_order() {
        let mut scheduler = scheduler(&json!({"iops-total": 1}));
        let member = scheduler.join();
        for number in 0..10 {
            let _ = scheduler.ask(0, member, Read, 1, number);
        }
        let order: Vec<_> =
            run(&mut scheduler, 0, 100 * SECOND).into_iter().map(|it| it.2).collect();
        assert_eq!(order, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn members_share_the_rate_evenly_however_much_each_asks_for() {
        let mut scheduler = scheduler(&json!({"iops-total": 100}));
        let (greedy, modest) = (scheduler.join(), scheduler.join());
        for _ in 0..10_000 {
            let _ = scheduler.ask(0, greedy, Read, 512, ());
        }
        for _ in 0..500 {
            let _ = scheduler.ask(0, modest, Write, 512, ());
        }
        let mut shares: HashMap<_, u64> = HashMap::new();
        for (_, id, ()) in run(&mut scheduler, 0, 5 * SECOND) {
            *shares.entry(id).or_default() += 1;
        }
        assert!(shares[&greedy].abs_diff(shares[&modest]) <= 1, "{shares:?}");
        assert!((490..=510).contains(&(shares[&greedy] + shares[&modest])), "{shares:?}");
    }

    #[test]
    fn reads_and_writes_of_one_member_take_turns() {
        let mut scheduler = scheduler(&json!({"iops-total": 10}));
        let member = scheduler.join();
        for _ in 0..100 {
            let _ = scheduler.ask(0, member, Read, 1, Read);
            let _ = scheduler.ask(0, member, Write, 1, Write);
        }
        let granted = run(&mut scheduler, 0, 5 * SECOND);
        let reads = granted.iter().filter(|(_, _, direction)| *direction == Read).count();
        assert!(reads.abs_diff(granted.len() - reads) <= 1, "{reads} of {}", granted.len());
    }

    #[test]
    fn a_direction_that_has_to_wait_does_not_hold_the_other_up() {
        let mut scheduler = scheduler(&json!({"iops-read": 1}));
        let member = scheduler.join();
        for number in 0..3 {
            let _ = scheduler.ask(0, member, Read, 1, number);
        }
        let _ = scheduler.ask(0, member, Write, 1, 7);
        assert_eq!(scheduler.grant(0).map(|it| it.1), Some(7));
        assert_eq!(scheduler.grant(0), None);
        assert_eq!(scheduler.next_in(0), Some(SECOND - SECOND / 10));
    }

    #[test]
    fn whoever_comes_while_others_wait_takes_turns_with_them() {
        let mut scheduler = scheduler(&json!({"iops-total": 1}));
        let (first, second) = (scheduler.join(), scheduler.join());
        assert_eq!(scheduler.ask(0, first, Read, 1, "now"), Asked::Now("now"));
        assert_eq!(scheduler.ask(0, first, Read, 1, "first"), Asked::Later);
        // By then the first may begin, but has not been told.
        assert_eq!(scheduler.ask(SECOND, second, Read, 1, "second"), Asked::Later);
        // It had a turn, and the other none.
        assert_eq!(scheduler.grant(SECOND), Some((second, "second")));
        assert_eq!(scheduler.grant(SECOND), None);
        assert_eq!(scheduler.grant(2 * SECOND), Some((first, "first")));
    }

    #[test]
    fn what_waits_of_a_member_goes_with_it() {
        let mut scheduler = scheduler(&json!({"iops-total": 1}));
        let (gone, left) = (scheduler.join(), scheduler.join());
        for number in 0..4 {
            let _ = scheduler.ask(0, gone, Read, 1, number);
        }
        let _ = scheduler.ask(0, left, Write, 1, 9);
        assert_eq!(scheduler.leave(gone), [1, 2, 3]);
        assert_eq!(scheduler.waiting(), 1);
        assert_eq!(run(&mut scheduler, 0, 10 * SECOND)[0].2, 9);
        assert_eq!(scheduler.ask(20 * SECOND, left, Read, 1, 10), Asked::Now(10));
        assert_eq!(scheduler.ask(20 * SECOND, gone, Read, 1, 11), Asked::Refused(11));
        assert_eq!(scheduler.waiting(), 0);
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut scheduler = scheduler(&json!({"iops-total": 1}));
        let member = scheduler.join();
        for _ in 0..=MOST_WAITING {
            assert_ne!(scheduler.ask(0, member, Read, 1, ()), Asked::Refused(()));
        }
        assert_eq!(scheduler.ask(0, member, Read, 1, ()), Asked::Refused(()));
        assert_eq!(scheduler.ask(0, member, Write, 1, ()), Asked::Later);
    }

    #[test]
    fn other_limits_hold_at_once() {
        let mut scheduler = scheduler(&json!({"iops-total": 1}));
        let member = scheduler.join();
        for number in 0..100 {
            let _ = scheduler.ask(0, member, Read, 1, number);
        }
        assert_eq!(scheduler.grant(0), None);
        let faster = Limits::from_json(&json!({"iops-total": 10})).unwrap();
        scheduler.set_limits(0, &faster);
        assert_eq!(run(&mut scheduler, 0, 2 * SECOND).len(), 21);
        scheduler.set_limits(2 * SECOND, &Limits::default());
        assert_eq!(run(&mut scheduler, 2 * SECOND, 2 * SECOND).len(), 78);
    }
}
