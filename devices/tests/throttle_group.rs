//! `throttle-group` as a device and a user meet it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use device_model::{
    clock::{Clock, SteppedClock},
    event_loop_base::EventLoopBase,
    prelude::*,
    qom_core::{Given, Request, SecurityStatus},
    realize::DeviceRealizer,
    testing::Machine,
    throttle::{Admission, Direction, MOST_WAITING, Throttle, ThrottleError, ThrottleMember},
};
use devices::throttle::ThrottleGroup;
use rustix::thread::gettid;
use serde_json::json;

const SECOND: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine whose clock is stepped by hand, and a group with these limits.
fn stepped(properties: &[(&str, &str)]) -> (Machine, Arc<SteppedClock>, Obj) {
    let machine = Machine::new();
    let hand = SteppedClock::new(0);
    assert!(machine.platform.set_clock(Clock::stepped(Arc::clone(&hand))));
    let group = machine.add("throttle-group", "limits0", properties);
    (machine, hand, group)
}

fn join(machine: &Machine, group: &Obj) -> Arc<dyn ThrottleMember> {
    let group = group.cast::<dyn Throttle>().unwrap();
    Arc::from(group.join(machine.platform.events()).unwrap())
}

/// Somebody who begins the next operation as soon as one has begun.
struct Busy {
    member: Arc<dyn ThrottleMember>,
    direction: Direction,
    bytes: u64,
    begun: Arc<AtomicU64>,
}

impl Busy {
    /// Begins, and tells how many operations have begun.
    fn start(member: &Arc<dyn ThrottleMember>, direction: Direction, bytes: u64) -> Arc<AtomicU64> {
        let begun = Arc::new(AtomicU64::new(0));
        let busy = Self { member: Arc::clone(member), direction, bytes, begun: Arc::clone(&begun) };
        Arc::new(busy).go_on();
        begun
    }

    fn go_on(self: &Arc<Self>) {
        loop {
            let this = Arc::clone(self);
            let go = Box::new(move || {
                this.begun.fetch_add(1, Ordering::Relaxed);
                this.go_on();
            });
            match self.member.ask(self.direction, self.bytes, go).unwrap() {
                Admission::Now(_) => self.begun.fetch_add(1, Ordering::Relaxed),
                Admission::Later => return,
            };
        }
    }
}

#[track_caller]
fn within_a_tenth(count: u64, expected: u64) {
    assert!(count.abs_diff(expected) * 10 <= expected, "{count}, expected about {expected}");
}

#[test]
fn it_is_declared_secure_and_found_by_its_class() {
    let machine = Machine::new();
    let group = machine.add("throttle-group", "limits0", &[]);
    assert_eq!(group.class().status(), SecurityStatus::Secure);
    assert!(group.is::<dyn Throttle>() && group.is::<dyn UserCreatable>());
}

#[test]
fn a_group_without_limits_holds_nobody_up() {
    let (machine, _, group) = stepped(&[]);
    let member = join(&machine, &group);
    for _ in 0..10_000 {
        let admission = member.ask(Direction::Write, u64::MAX, Box::new(|| ())).unwrap();
        assert!(matches!(admission, Admission::Now(_)));
    }
}

/// By a clock that is stepped, so that nothing but the arithmetic counts.
#[test]
fn a_rate_is_kept_to_within_a_tenth() {
    for (limit, bytes, expected) in
        [("x-iops-total", 512, 1000), ("x-bps-total", 100, 10), ("x-bps-read", 1, 1000)]
    {
        let (machine, hand, group) = stepped(&[(limit, "1000")]);
        let member = join(&machine, &group);
        let begun = Busy::start(&member, Direction::Read, bytes);
        // What may be done at once is done; then there is the rate alone.
        hand.advance_to(SECOND).unwrap();
        let before = begun.load(Ordering::Relaxed);
        hand.advance_to(11 * SECOND).unwrap();
        within_a_tenth(begun.load(Ordering::Relaxed) - before, expected * 10);
        member.cancel();
    }
}

/// The promise is about time as users have it: timers that are late, a loop that is woken, a host
/// that has other things to do. So it is measured once by the host's clock too, for a second and a
/// half. Operations are counted, and what they are divided by is the time that passed until they had
/// begun, so that the test depends on no sleep. Buckets leak by the clock, so that what is late is
/// caught up with, up to what they hold: here a whole second's, for the host's sake. As much begins
/// at once, and is no part of the rate.
#[test]
fn a_rate_is_kept_to_within_a_tenth_in_real_time() {
    const RATE: u64 = 500;
    let machine = Machine::new();
    let limits = [("x-iops-total", "500"), ("x-iops-total-max", "500")];
    let group = machine.add("throttle-group", "limits0", &limits);
    let member = join(&machine, &group);
    let start = Instant::now();
    let begun = Busy::start(&member, Direction::Read, 512);
    let at_once = begun.load(Ordering::Relaxed);
    assert!(at_once >= RATE);
    let _running = machine.run_events();
    while begun.load(Ordering::Relaxed) < at_once + RATE * 3 / 2 {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    let (count, elapsed) = (begun.load(Ordering::Relaxed) - at_once, start.elapsed());
    member.cancel();
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap();
    within_a_tenth(count * 1000 / milliseconds, RATE);
}

#[test]
fn members_share_the_rate_evenly() {
    let (machine, hand, group) = stepped(&[("x-bps-total", "1000000")]);
    let members: Vec<_> = (0..4).map(|_| join(&machine, &group)).collect();
    let begun: HashMap<_, _> = members
        .iter()
        .enumerate()
        .map(|(number, member)| {
            let direction = if number % 2 == 0 { Direction::Read } else { Direction::Write };
            (number, Busy::start(member, direction, 1000))
        })
        .collect();
    // The first took what may be done at once.
    let before: HashMap<_, _> =
        begun.iter().map(|(number, count)| (*number, count.load(Ordering::Relaxed))).collect();
    hand.advance_to(4 * SECOND).unwrap();
    for (number, count) in &begun {
        within_a_tenth(count.load(Ordering::Relaxed) - before[number], 1000);
    }
    for member in members {
        member.cancel();
    }
}

#[test]
fn an_operation_that_waits_begins_on_its_members_loop() {
    let machine = Machine::new();
    let iothread = machine.add("iothread", "io0", &[]);
    let events = iothread.cast::<dyn EventLoopBase>().unwrap().events().unwrap();
    let group = machine.add("throttle-group", "limits0", &[("x-iops-total", "100")]);
    let member = group.cast::<dyn Throttle>().unwrap().join(&events).unwrap();
    let _running = machine.run_events();
    let (begins, began) = mpsc::channel();
    let mut waits = 0;
    for _ in 0..20 {
        let begins = begins.clone();
        let go = Box::new(move || begins.send(gettid()).unwrap());
        waits += u32::from(matches!(member.ask(Direction::Read, 1, go), Ok(Admission::Later)));
    }
    assert!(waits > 0);
    let thread = iothread.get("thread-id").unwrap();
    for _ in 0..waits {
        let number = began.recv_timeout(PATIENCE).unwrap().as_raw_nonzero().get();
        assert_eq!(thread, number);
    }
}

#[test]
fn limits_that_are_changed_hold_for_those_who_wait_already() {
    let (machine, hand, group) = stepped(&[("limits", "{\"iops-total\": 1}")]);
    let member = join(&machine, &group);
    let begun = Busy::start(&member, Direction::Read, 1);
    hand.advance_to(10 * SECOND).unwrap();
    within_a_tenth(begun.load(Ordering::Relaxed), 11);
    let set = |limits| machine.tree.set(&group, "limits", &Given::Json(limits));
    set(json!({"iops-total": 1000})).unwrap();
    let before = begun.load(Ordering::Relaxed);
    hand.advance_to(20 * SECOND).unwrap();
    within_a_tenth(begun.load(Ordering::Relaxed) - before, 10_000);
    assert_eq!(group.get("limits").unwrap()["iops-total"], 1000);
    set(json!({"iops-total": 1})).unwrap();
    let before = begun.load(Ordering::Relaxed);
    hand.advance_to(30 * SECOND).unwrap();
    within_a_tenth(begun.load(Ordering::Relaxed) - before, 10);
    // A change that can't be leaves all as it was.
    let error = set(json!({"iops-total": 1, "iops-read": 1})).unwrap_err();
    assert!(error.to_string().contains("'iops-read'"), "{error}");
    assert_eq!(group.get("limits").unwrap()["iops-total"], 1);
    member.cancel();
}

#[test]
fn limits_are_given_together_or_one_by_one() {
    let machine = Machine::new();
    let one_by_one = [
        ("x-iops-read", "10"),
        ("x-iops-read-max", "20"),
        ("x-iops-read-max-length", "3"),
        ("x-iops-size", "4096"),
    ];
    let group = machine.add("throttle-group", "a", &one_by_one);
    let limits = group.get("limits").unwrap();
    assert_eq!(limits["iops-read"], 10);
    assert_eq!(limits["iops-read-max"], 20);
    assert_eq!(limits["iops-read-max-length"], 3);
    assert_eq!(limits["iops-size"], 4096);
    assert_eq!(limits["bps-total"], 0);
    let together = [("limits", "{\"bps-write\": 5}")];
    let group = machine.add("throttle-group", "b", &together);
    assert_eq!(group.get("limits").unwrap()["bps-write"], 5);
    let before = machine.paths();
    for (properties, text) in [
        (
            vec![("limits", "{\"bps-write\": 5}"), ("x-bps-read", "1")],
            "expected 'limits', or limits one by one, not both",
        ),
        (
            vec![("x-bps-total", "5"), ("x-bps-read", "1")],
            "the group of limits has 'bps-total' for both directions together and 'bps-read' for \
             one: expected one or the other",
        ),
        (
            vec![("x-bps-total-max", "5")],
            "the group of limits has 'bps-total-max', which needs 'bps-total'",
        ),
        (
            vec![("limits", "{\"iops-total\": 5, \"iops-total-max\": 4}")],
            "Parameter 'limits' expects 'iops-total-max' to be no less than 'iops-total', got 4 \
             and 5",
        ),
    ] {
        let error = machine.create("throttle-group", "c", &properties).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(machine.paths(), before);
    }
}

#[test]
fn what_waits_is_bounded_and_goes_with_its_member() {
    let (machine, hand, group) = stepped(&[("x-iops-total", "1")]);
    let member = join(&machine, &group);
    let kept = Arc::new(());
    let ask = || {
        let held = Arc::clone(&kept);
        member.ask(Direction::Write, 1, Box::new(move || drop(held)))
    };
    let mut waiting = 0;
    while waiting < MOST_WAITING {
        waiting += usize::from(matches!(ask(), Ok(Admission::Later)));
    }
    assert!(matches!(ask(), Err(ThrottleError::TooMany)));
    assert_eq!(Arc::strong_count(&kept), MOST_WAITING + 1);
    let other = join(&machine, &group);
    let begun = Busy::start(&other, Direction::Write, 1);
    drop(member);
    assert_eq!(Arc::strong_count(&kept), 1);
    hand.advance_to(10 * SECOND).unwrap();
    assert!(begun.load(Ordering::Relaxed) >= 9, "the other has it all");
    assert_eq!(other.cancel(), 1);
    assert_eq!(hand.next_deadline().map(|_| ()), Some(()), "the group looks once more");
    hand.advance_to(20 * SECOND).unwrap();
    assert_eq!(hand.next_deadline(), None);
}

/// Disk that a group limits
#[qom_type(secure, parent = Object, interfaces(UserCreatable))]
struct LimitedDisk {
    /// Group that limits it
    #[property(link = dyn Throttle)]
    throttle_group: Link<dyn Throttle>,
}

impl UserCreatable for LimitedDisk {}

#[test]
fn a_group_in_use_stays_and_one_that_has_gone_takes_nobody_in() {
    let machine = Machine::new();
    let group = machine.add("throttle-group", "limits0", &[]);
    let disk = machine.add("limited-disk", "disk", &[("throttle-group", "/limits0")]);
    let mut realizer = DeviceRealizer::new(&machine.platform);
    assert!(machine.tree.remove(&group, &mut realizer).is_err());
    machine.remove(&disk);
    let throttle = group.cast::<ThrottleGroup>().unwrap();
    machine.remove(&group);
    assert!(throttle.join(machine.platform.events()).is_err());
    let again = [Request::new("throttle-group", "/", "limits0")];
    assert!(machine.tree.create(again, &mut realizer).is_ok());
}
