//! The operations of disks that a group limits: none is lost, doubled or overtaken, none waits
//! longer than it was told, and whoever looks again finds something to do.

use std::collections::{HashMap, VecDeque};

use device_model::{
    qom_core::PropertyType,
    throttle::{Direction, MOST_WAITING},
};
use devices::throttle::{
    limits::{Kind, Limits},
    scheduler::{Asked, MemberId, Scheduler},
};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "throttle", covers: &["throttle-group"], run });

/// Members, at most: an input is not the longer for it.
const MOST_MEMBERS: usize = 8;

/// What is known to wait, in the order in which it may begin.
type Waiting = HashMap<(MemberId, Direction), VecDeque<u64>>;

struct Group {
    scheduler: Scheduler<(Direction, u64)>,
    members: Vec<MemberId>,
    waiting: Waiting,
    now: u64,
    operations: u64,
}

fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut group = Group {
        scheduler: Scheduler::default(),
        members: Vec::new(),
        waiting: Waiting::new(),
        now: 0,
        operations: 0,
    };
    while let Some(first) = input.next() {
        match first & 7 {
            0 => group.join(),
            1 => group.leave(input.byte()),
            2 => group.set_limits(&mut input),
            3 => group.now = group.now.saturating_add(input.number()),
            4 => group.cancel(input.byte()),
            5 => group.look_again(),
            _ => group.ask(input.byte(), first & 1 == 0, input.number()),
        }
        let waiting: usize = group.waiting.values().map(VecDeque::len).sum();
        assert_eq!(group.scheduler.waiting(), waiting);
    }
}

impl Group {
    fn member(&self, byte: u8) -> Option<MemberId> {
        self.members.get(usize::from(byte) % self.members.len().max(1)).copied()
    }

    fn join(&mut self) {
        if self.members.len() < MOST_MEMBERS {
            let member = self.scheduler.join();
            assert!(!self.members.contains(&member));
            self.members.push(member);
        }
    }

    fn cancel(&mut self, byte: u8) {
        let Some(member) = self.member(byte) else { return };
        let cancelled = self.scheduler.cancel(member);
        self.expect_all(member, &cancelled);
    }

    fn leave(&mut self, byte: u8) {
        let Some(member) = self.member(byte) else { return };
        let cancelled = self.scheduler.leave(member);
        self.members.retain(|other| *other != member);
        self.expect_all(member, &cancelled);
        let gone = self.scheduler.ask(self.now, member, Direction::Read, 0, (Direction::Read, 0));
        assert!(matches!(gone, Asked::Refused(_)));
    }

    /// That it is all that waited of a member.
    fn expect_all(&mut self, member: MemberId, operations: &[(Direction, u64)]) {
        let directions = [Direction::Read, Direction::Write];
        let all = directions.into_iter().flat_map(|direction| {
            let queue = self.waiting.remove(&(member, direction)).unwrap_or_default();
            queue.into_iter().map(move |number| (direction, number))
        });
        assert_eq!(operations, all.collect::<Vec<_>>());
    }

    /// Numbers for some of the limits, which may contradict each other.
    fn set_limits(&mut self, input: &mut Input<'_>) {
        let mut numbers = HashMap::new();
        for _ in 0..input.byte() % 6 {
            let kind = Kind::ALL[usize::from(input.byte()) % Kind::ALL.len()];
            let name = kind.names()[usize::from(input.byte()) % 3];
            numbers.insert(name, input.number());
        }
        let limits = Limits::of(|name| numbers.get(name).copied());
        let Ok(limits) = limits else { return };
        assert_eq!(Limits::from_json(&limits.to_json()).as_ref(), Ok(&limits));
        self.scheduler.set_limits(self.now, &limits);
    }

    fn ask(&mut self, byte: u8, reads: bool, bytes: u64) {
        let Some(member) = self.member(byte) else { return };
        let direction = if reads { Direction::Read } else { Direction::Write };
        let number = self.operations;
        self.operations += 1;
        let operation = (direction, number);
        let before = self.scheduler.waiting();
        let queue = self.waiting.entry((member, direction)).or_default();
        match self.scheduler.ask(self.now, member, direction, bytes, operation) {
            Asked::Now(begun) => {
                assert_eq!(begun, operation);
                assert_eq!(before, 0, "others wait");
            }
            Asked::Later => queue.push_back(number),
            Asked::Refused(refused) => {
                assert_eq!(refused, operation);
                assert_eq!(queue.len(), MOST_WAITING);
            }
        }
    }

    /// Lets begin what may, waits as it is told, and lets begin what may then.
    fn look_again(&mut self) {
        self.grant_all();
        let Some(wait) = self.scheduler.next_in(self.now) else {
            return assert_eq!(self.scheduler.waiting(), 0);
        };
        assert!(wait > 0, "what may begin was told of");
        // Longer than can be told, and than anybody lives.
        let Some(then) = self.now.checked_add(wait).filter(|_| wait < u64::MAX) else { return };
        let before = self.scheduler.waiting();
        self.now = then;
        self.grant_all();
        assert!(self.scheduler.waiting() < before, "it waited in vain");
    }

    fn grant_all(&mut self) {
        while let Some((member, (direction, number))) = self.scheduler.grant(self.now) {
            let queue = self.waiting.get_mut(&(member, direction));
            let first = queue.and_then(VecDeque::pop_front);
            assert_eq!(first, Some(number), "it was another's turn");
        }
    }
}
