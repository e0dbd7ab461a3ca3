//! Clocks: the host's, and one that is stepped by hand.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use device_model::{
    clock::{Clock, MOST_EXPIRATIONS, StepError, SteppedClock, Timer},
    event_loop::EventLoop,
    testing::Machine,
};

const SECOND: u64 = 1_000_000_000;

fn events() -> Arc<EventLoop> {
    Arc::new(EventLoop::new().expect("there are descriptors"))
}

/// A clock, and what its timers wrote down.
struct Bench {
    hand: Arc<SteppedClock>,
    clock: Clock,
    events: Arc<EventLoop>,
    expired: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

impl Bench {
    fn new() -> Self {
        let hand = SteppedClock::new(0);
        let clock = Clock::stepped(Arc::clone(&hand));
        Self { hand, clock, events: events(), expired: Arc::default() }
    }

    fn timer(&self, name: &'static str) -> Timer {
        let (clock, expired) = (self.clock.clone(), Arc::clone(&self.expired));
        let callback = move || expired.lock().unwrap().push((name, clock.now()));
        self.clock.timer(&self.events, callback).expect("it needs no descriptor")
    }

    fn take(&self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut *self.expired.lock().unwrap())
    }
}

fn after(nanoseconds: u64) -> Option<Duration> {
    Some(Duration::from_nanos(nanoseconds))
}

#[test]
fn the_hosts_clock_goes_on_by_itself() {
    let clock = Clock::default();
    let (now, day) = (clock.now(), clock.time_of_day());
    std::thread::sleep(Duration::from_millis(2));
    assert!(clock.now() >= now + 2_000_000);
    // 2020-01-01: what the host's clock tells is a time of day.
    assert!(day > 1_577_836_800 * SECOND, "{day}");
}

#[test]
fn a_stepped_clock_stands_still_between_steps() {
    let hand = SteppedClock::new(7 * SECOND);
    let clock = Clock::stepped(Arc::clone(&hand));
    assert_eq!((clock.now(), clock.time_of_day()), (0, 7 * SECOND));
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(clock.now(), 0);
    assert_eq!(hand.advance_to(5), Ok(5));
    assert_eq!((clock.now(), clock.time_of_day()), (5, 7 * SECOND + 5));
    assert_eq!(hand.advance_to(3), Ok(5), "it never goes back");
    assert_eq!(hand.advance_to(u64::MAX), Ok(u64::MAX));
    assert_eq!(clock.time_of_day(), u64::MAX);
}

#[test]
fn timers_expire_in_the_order_of_their_deadlines_at_their_own_time() {
    let bench = Bench::new();
    let (a, b, c) = (bench.timer("a"), bench.timer("b"), bench.timer("c"));
    a.set(after(30));
    b.set(after(10));
    c.set(after(30));
    assert_eq!(bench.hand.next_deadline(), Some(10));
    assert_eq!(bench.hand.advance_to(9), Ok(9));
    assert_eq!(bench.take(), []);
    assert_eq!(bench.hand.advance_to(100), Ok(100));
    assert_eq!(bench.take(), [("b", 10), ("a", 30), ("c", 30)]);
    assert_eq!(bench.hand.next_deadline(), None);
    // Each expired once.
    assert_eq!(bench.hand.advance_to(1000), Ok(1000));
    assert_eq!(bench.take(), []);
}

#[test]
fn a_timer_can_be_set_anew_and_ended() {
    let bench = Bench::new();
    let (a, b) = (bench.timer("a"), bench.timer("b"));
    a.set(after(10));
    a.set(after(20));
    b.set(after(15));
    b.set(None);
    let gone = bench.timer("gone");
    gone.set(after(5));
    drop(gone);
    assert_eq!(bench.hand.advance_to(40), Ok(40));
    assert_eq!(bench.take(), [("a", 20)]);
    // At once is in the shortest time that there is.
    a.set(after(0));
    assert_eq!(bench.hand.next_deadline(), Some(41));
    a.set(Some(Duration::MAX));
    assert_eq!(bench.hand.next_deadline(), Some(u64::MAX));
}

/// A timer that sets itself again, which its own callback keeps.
fn again(bench: &Bench, period: u64) -> Arc<Mutex<Option<Timer>>> {
    let timer: Arc<Mutex<Option<Timer>>> = Arc::default();
    let (this, expired, clock) =
        (Arc::downgrade(&timer), Arc::clone(&bench.expired), bench.clock.clone());
    let callback = move || {
        expired.lock().unwrap().push(("again", clock.now()));
        if let Some(this) = Weak::upgrade(&this)
            && let Some(timer) = &*this.lock().unwrap()
        {
            timer.set(after(period));
        }
    };
    let made = bench.clock.timer(&bench.events, callback).expect("it needs no descriptor");
    made.set(after(period));
    *timer.lock().unwrap() = Some(made);
    timer
}

#[test]
fn a_timer_that_sets_itself_again_expires_as_often_as_it_is_due() {
    let bench = Bench::new();
    let _again = again(&bench, 10);
    assert_eq!(bench.hand.advance_to(35), Ok(35));
    assert_eq!(bench.take(), [("again", 10), ("again", 20), ("again", 30)]);
}

#[test]
fn a_step_ends_even_if_a_timer_sets_itself_again_and_again() {
    let bench = Bench::new();
    let _again = again(&bench, 0);
    let now = u64::from(MOST_EXPIRATIONS);
    assert_eq!(
        bench.hand.advance_to(u64::MAX),
        Err(StepError::TooManyExpirations { now }),
        "each takes a nanosecond"
    );
    assert_eq!(bench.hand.now(), now);
}

#[test]
fn a_machine_has_the_hosts_clock_unless_it_gets_another_first() {
    let machine = Machine::new();
    assert!(machine.platform.clock().now() > 0);
    assert!(!machine.platform.set_clock(Clock::stepped(SteppedClock::new(0))), "it has one");
    let machine = Machine::new();
    assert!(machine.platform.set_clock(Clock::stepped(SteppedClock::new(0))));
    assert_eq!(machine.platform.clock().now(), 0);
}
