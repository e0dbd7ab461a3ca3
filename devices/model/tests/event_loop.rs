//! The main thread's loop: descriptors, timers, and what callbacks may do to their own.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use device_model::event_loop::{EventLoop, Next, Timer, Watch};

/// Ends a test that would hang, so that it fails instead.
fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    is_done.recv_timeout(limit).expect("it ends in time")
}

const LIMIT: Duration = Duration::from_secs(20);

/// Stops the loop a while from now.
fn stop_after(events: &Arc<EventLoop>, after: Duration) -> Timer {
    let loop_to_stop = Arc::downgrade(events);
    let timer = events.timer(move || {
        if let Some(events) = loop_to_stop.upgrade() {
            events.stop();
        }
    });
    let timer = timer.expect("there are descriptors");
    timer.set(Some(after));
    timer
}

fn events() -> Arc<EventLoop> {
    Arc::new(EventLoop::new().expect("there are descriptors"))
}

#[test]
fn a_stop_before_the_run_ends_it_at_once_and_only_once() {
    within(LIMIT, || {
        let events = events();
        events.stop();
        events.stop();
        events.run().expect("it waits for nothing");
        let _timer = stop_after(&events, Duration::from_millis(20));
        let start = Instant::now();
        events.run().expect("it waits");
        assert!(start.elapsed() >= Duration::from_millis(20), "the earlier stop is used up");
    });
}

/// Processor time that this thread has used.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("it is positive"),
        u32::try_from(time.tv_nsec).expect("it is below a second"),
    )
}

#[test]
fn a_loop_that_was_stopped_waits_again_without_spinning() {
    within(LIMIT, || {
        let events = events();
        for _ in 0..3 {
            let stopping = Arc::clone(&events);
            let other = std::thread::spawn(move || stopping.stop());
            events.run().expect("it is stopped");
            other.join().expect("it stops the loop");
        }
        let _timer = stop_after(&events, Duration::from_millis(300));
        let start = thread_time();
        events.run().expect("it waits");
        let used = thread_time() - start;
        assert!(used < Duration::from_millis(20), "it used {used:?} to wait");
    });
}

#[test]
fn a_descriptor_calls_back_until_it_is_paused_and_again_once_resumed() {
    within(LIMIT, || {
        let events = events();
        let (mut ours, theirs) = UnixStream::pair().expect("there are descriptors");
        ours.write_all(b"never read").expect("there is room");
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let watch = events.watch(&theirs, move || {
            let calls = counted.fetch_add(1, Ordering::Relaxed) + 1;
            if calls.is_multiple_of(3) { Next::Pause } else { Next::Continue }
        });
        let watch = watch.expect("a socket can be waited for");
        let timer = stop_after(&events, Duration::from_millis(200));
        events.run().expect("it waits");
        assert_eq!(calls.load(Ordering::Relaxed), 3, "it paused at the third");
        events.resume(watch);
        events.resume(watch);
        timer.set(Some(Duration::from_millis(200)));
        events.run().expect("it waits");
        assert_eq!(calls.load(Ordering::Relaxed), 6, "it paused at the sixth");
        events.unwatch(watch);
        events.resume(watch);
        timer.set(Some(Duration::from_millis(20)));
        events.run().expect("it waits");
        assert_eq!(calls.load(Ordering::Relaxed), 6, "it ended");
    });
}

#[test]
fn a_resume_during_the_callback_that_pauses_is_not_lost() {
    within(LIMIT, || {
        let events = events();
        let (mut ours, theirs) = UnixStream::pair().expect("there are descriptors");
        ours.write_all(b"!").expect("there is room");
        let calls = Arc::new(AtomicU32::new(0));
        let own: Arc<OnceLock<Watch>> = Arc::default();
        let (counted, watch) = (Arc::clone(&calls), Arc::clone(&own));
        let weak = Arc::downgrade(&events);
        let callback = move || {
            let events = weak.upgrade().expect("the loop runs");
            match counted.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    let watch = *watch.get().expect("it is set before the run");
                    std::thread::spawn(move || events.resume(watch)).join().expect("it resumes");
                }
                _ => events.stop(),
            }
            Next::Pause
        };
        own.set(events.watch(&theirs, callback).expect("it can be waited for")).expect("once");
        events.run().expect("it is called a second time, and stops");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_plain_file_can_not_be_waited_for() {
    let file = std::fs::File::open("Cargo.toml").expect("tests run in their crate's folder");
    events().watch(&file, || Next::Continue).expect_err("it is always ready");
}

#[test]
fn the_loop_keeps_a_descriptor_of_its_own() {
    within(LIMIT, || {
        let events = events();
        let (mut ours, theirs) = UnixStream::pair().expect("there are descriptors");
        let weak = Arc::downgrade(&events);
        let stop = move || {
            if let Some(events) = weak.upgrade() {
                events.stop();
            }
            Next::Pause
        };
        events.watch(&theirs, stop).expect("it can be waited for");
        drop(theirs);
        ours.write_all(b"!").expect("the other end is open");
        events.run().expect("it calls back");
    });
}

#[test]
fn a_callback_can_end_its_own_registration() {
    within(LIMIT, || {
        let events = events();
        let (mut ours, theirs) = UnixStream::pair().expect("there are descriptors");
        ours.write_all(b"never read").expect("there is room");
        let calls = Arc::new(AtomicU32::new(0));
        let own: Arc<OnceLock<Watch>> = Arc::default();
        let (counted, watch) = (Arc::clone(&calls), Arc::clone(&own));
        let weak = Arc::downgrade(&events);
        let callback = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            if let (Some(events), Some(watch)) = (weak.upgrade(), watch.get()) {
                events.unwatch(*watch);
            }
            Next::Continue
        };
        own.set(events.watch(&theirs, callback).expect("it can be waited for")).expect("once");
        let _timer = stop_after(&events, Duration::from_millis(200));
        events.run().expect("it waits");
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(Arc::strong_count(&calls), 1, "the callback is gone");
    });
}

#[test]
fn a_callback_can_end_another_that_is_ready_too() {
    within(LIMIT, || {
        let events = events();
        let pairs: Vec<_> = (0..4).map(|_| UnixStream::pair().expect("there are")).collect();
        let watches: Arc<Mutex<Vec<Watch>>> = Arc::default();
        let calls = Arc::new(AtomicU32::new(0));
        for (ours, theirs) in &pairs {
            let mut ours: &UnixStream = ours;
            ours.write_all(b"!").expect("there is room");
            let (counted, all) = (Arc::clone(&calls), Arc::clone(&watches));
            let weak = Arc::downgrade(&events);
            let callback = move || {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(events) = weak.upgrade() {
                    all.lock().unwrap().iter().for_each(|watch| events.unwatch(*watch));
                }
                Next::Continue
            };
            let watch = events.watch(theirs, callback).expect("it can be waited for");
            watches.lock().unwrap().push(watch);
        }
        let _timer = stop_after(&events, Duration::from_millis(200));
        events.run().expect("it waits");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "the first ended all");
    });
}

#[test]
fn what_was_ready_at_a_stop_is_called_back_by_the_next_run() {
    within(LIMIT, || {
        let events = events();
        let pairs: Vec<_> = (0..8).map(|_| UnixStream::pair().expect("there are")).collect();
        let calls = Arc::new(AtomicU32::new(0));
        for (ours, theirs) in &pairs {
            let mut ours: &UnixStream = ours;
            ours.write_all(b"!").expect("there is room");
            let (counted, weak) = (Arc::clone(&calls), Arc::downgrade(&events));
            let callback = move || {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(events) = weak.upgrade() {
                    events.stop();
                }
                Next::Pause
            };
            events.watch(theirs, callback).expect("it can be waited for");
        }
        for run in 1..=8 {
            events.run().expect("one callback stops it");
            assert_eq!(calls.load(Ordering::Relaxed), run);
        }
    });
}

#[test]
fn a_timer_expires_once_each_time_it_is_set() {
    within(LIMIT, || {
        let events = events();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let timer = events.timer(count).expect("there are descriptors");
        let run = || {
            let _stop = stop_after(&events, Duration::from_millis(40));
            events.run().expect("it waits");
            calls.swap(0, Ordering::Relaxed)
        };
        assert_eq!(run(), 0, "it was not set");
        timer.set(Some(Duration::ZERO));
        assert_eq!(run(), 1, "it expires at once");
        timer.set(Some(Duration::from_secs(1000)));
        timer.set(Some(Duration::from_millis(1)));
        assert_eq!(run(), 1, "the later setting holds");
        timer.set(Some(Duration::from_millis(1)));
        timer.set(None);
        assert_eq!(run(), 0, "it was taken back");
        timer.set(Some(Duration::MAX));
        assert_eq!(run(), 0, "for ever is a long time");
        timer.set(Some(Duration::from_millis(1)));
        drop(timer);
        assert_eq!(run(), 0, "it ended");
        assert_eq!(Arc::strong_count(&calls), 1, "its callback is gone");
    });
}

#[test]
fn a_timer_can_be_dropped_within_its_own_callback() {
    within(LIMIT, || {
        let events = events();
        let slot: Arc<Mutex<Option<Timer>>> = Arc::default();
        let (own, weak) = (Arc::clone(&slot), Arc::downgrade(&events));
        let timer = events.timer(move || {
            drop(own.lock().unwrap().take());
            if let Some(events) = weak.upgrade() {
                events.stop();
            }
        });
        let timer = timer.expect("there are descriptors");
        timer.set(Some(Duration::ZERO));
        *slot.lock().unwrap() = Some(timer);
        events.run().expect("it stops itself");
        assert_eq!(Arc::strong_count(&slot), 1, "the callback is gone");
    });
}

#[test]
fn a_callback_that_owns_a_timer_can_be_dropped() {
    within(LIMIT, || {
        let events = events();
        let inner = events.timer(|| {}).expect("there are descriptors");
        let outer = events.timer(move || inner.set(None)).expect("there are descriptors");
        // The end of the outer one drops its callback, which ends the inner one.
        drop(outer);
        assert!(format!("{events:?}").contains("watched: 0"), "{events:?}");
    });
}
