//! Requests of devices to the machine: none is lost, none crowds out another, and whoever waits for
//! them is woken.

use std::{sync::Arc, time::Duration};

use device_model::{
    event_loop::{EventLoop, Next},
    request::{
        VmRequest::{Exit, GuestCrashLoaded, GuestPanicked, PowerOff, Reset},
        VmRequests,
    },
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

fn readable(requests: &VmRequests) -> bool {
    let mut fds = [PollFd::new(requests, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("it can be polled") == 1
}

#[test]
fn requests_are_taken_in_their_order_and_wake_until_then() {
    let requests = VmRequests::new().expect("there are descriptors");
    assert!(!readable(&requests) && requests.take().is_empty());
    requests.send(Reset);
    requests.send(PowerOff);
    assert!(readable(&requests));
    assert_eq!(requests.take(), [Reset, PowerOff]);
    assert!(!readable(&requests) && requests.take().is_empty());
    requests.send(Reset);
    assert!(readable(&requests), "it wakes again");
}

#[test]
fn a_guest_that_repeats_itself_keeps_no_other_request_out() {
    let requests = VmRequests::new().expect("there are descriptors");
    for status in 0..=255 {
        requests.send(Exit(status));
        requests.send(Reset);
    }
    for request in [PowerOff, GuestPanicked, GuestCrashLoaded] {
        requests.send(request);
    }
    let taken = requests.take();
    assert_eq!(taken, [Exit(0), Reset, PowerOff, GuestPanicked, GuestCrashLoaded]);
}

#[test]
fn a_loop_is_woken_for_requests_of_other_threads() {
    let events = Arc::new(EventLoop::new().expect("there are descriptors"));
    let requests = Arc::new(VmRequests::new().expect("there are descriptors"));
    let (seen, is_seen) = std::sync::mpsc::channel();
    let (source, weak) = (Arc::clone(&requests), Arc::downgrade(&events));
    let callback = move || {
        for request in source.take() {
            let _ = seen.send(request);
            if let (PowerOff, Some(events)) = (request, weak.upgrade()) {
                events.stop();
            }
        }
        Next::Continue
    };
    events.watch(&*requests, callback).expect("it can be waited for");
    let sending = std::thread::spawn(move || {
        requests.send(Reset);
        std::thread::sleep(Duration::from_millis(20));
        requests.send(Exit(1));
        requests.send(PowerOff);
    });
    events.run().expect("it is stopped by the last");
    sending.join().expect("it sends");
    assert_eq!(is_seen.try_iter().collect::<Vec<_>>(), [Reset, Exit(1), PowerOff]);
}
