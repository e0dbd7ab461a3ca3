//! Requests that are in flight when the queue, the device or the driver's sense goes.

use std::{thread, time::Duration};

use device_model::testing::wait_until;
use devices::virtio::{
    blk::spec::{request, status},
    mmio::spec::*,
};

use crate::driver::{Driver, Part, UNTOUCHED, header, usual};

/// Does something that waits for the node, which goes on only when it has been seen to wait.
fn waits_for_the_node(driver: &Driver, action: impl FnOnce(&Driver) + Send) {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| action(driver));
        thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished(), "it waits for what is in flight");
        driver.node.hold(false);
        driver.node.let_go();
        waiting.join().unwrap();
    });
}

#[test]
fn a_reset_waits_for_what_is_in_flight_and_tells_nobody_of_it() {
    for options in [&[][..], &[("iothread", "io0")]] {
        let mut driver = Driver::started(options, 0);
        driver.node.hold(true);
        let parts = usual(request::IN, 0, &[], 512);
        driver.offer(0, 0, &parts);
        driver.offer(0, 1, &usual(request::OUT, 1, &[1; 512], 0));
        driver.notify(0);
        wait_until("the requests", || driver.node.holding() == 2);
        waits_for_the_node(&driver, |driver| driver.write(STATUS, 0));
        assert_eq!(driver.used_count(0), 0);
        assert_eq!(driver.bytes(0, &parts).pop(), Some(UNTOUCHED), "no status");
        assert_eq!((driver.read(STATUS), driver.read(INTERRUPT_STATUS)), (0, 0));
        driver.start(0);
        assert_eq!(driver.ask(request::IN, 1, &[], 512).data, [1; 512], "it was done");
    }
}

#[test]
fn a_device_that_goes_waits_for_what_is_in_flight() {
    let mut driver = Driver::started(&[], 0);
    driver.node.hold(true);
    driver.offer(0, 0, &usual(request::IN, 0, &[], 512));
    driver.notify(0);
    wait_until("the request", || driver.node.holding() == 1);
    waits_for_the_node(&driver, |driver| driver.machine.remove(&driver.device));
    assert_eq!(driver.used_count(0), 0);
    // Nobody has the node any more.
    let node = driver.machine.tree.resolve("/n").unwrap();
    assert!(driver.machine.platform.block_users().of(&node).is_empty());
}

#[test]
fn a_queue_that_is_taken_away_waits_for_its_requests_and_for_no_others() {
    let mut driver = Driver::started(&[("num-queues", "2")], 0);
    driver.node.hold(true);
    let parts = usual(request::IN, 0, &[], 512);
    driver.offer(0, 0, &parts);
    driver.notify(0);
    wait_until("the request", || driver.node.holding() == 1);
    driver.write(QUEUE_SEL, 1);
    driver.write(QUEUE_READY, 0);
    driver.offer(1, 1, &usual(request::IN, 0, &[], 512));
    driver.notify(1);
    driver.write(QUEUE_SEL, 0);
    waits_for_the_node(&driver, |driver| driver.write(QUEUE_READY, 0));
    assert_eq!((driver.used_count(0), driver.used_count(1)), (0, 0));
    assert_eq!(driver.bytes(0, &parts).pop(), Some(UNTOUCHED), "no status");
    assert_eq!(driver.read(STATUS), 15, "the device goes on");
    // A queue is set up again after a reset only.
    driver.start(0);
    driver.offer(1, 1, &usual(request::IN, 0, &[], 512));
    driver.notify(1);
    assert_eq!(driver.used(1), (1, 513));
}

#[test]
fn no_more_is_in_flight_than_a_queue_has_descriptors() {
    let mut driver = Driver::started(&[("queue-size", "16")], 0);
    driver.node.hold(true);
    driver.offer(0, 0, &usual(request::IN, 0, &[], 512));
    for _ in 1..16 {
        driver.repeat(0, 0);
    }
    driver.notify(0);
    wait_until("the requests", || driver.node.holding() == 16);
    // A driver that does not wait for answers before it makes the same available again.
    for _ in 0..16 {
        driver.repeat(0, 0);
    }
    driver.notify(0);
    thread::sleep(Duration::from_millis(30));
    assert_eq!(driver.node.holding(), 16);
    driver.node.hold(false);
    driver.node.let_go();
    for _ in 0..32 {
        assert_eq!(driver.used(0), (0, 513));
    }
}

#[test]
fn requests_without_a_header_or_room_for_an_answer_break_the_device() {
    for parts in [
        vec![Part::Out(header(request::IN, 0)[..15].to_vec()), Part::In(513)],
        vec![Part::In(513)],
        vec![Part::Out(header(request::FLUSH, 0))],
        vec![Part::Out(header(request::FLUSH, 0)), Part::In(0)],
    ] {
        let mut driver = Driver::started(&[], 0);
        driver.offer(0, 0, &parts);
        driver.notify(0);
        driver.wait_until_broken();
        assert_eq!((driver.used_count(0), driver.node.came().len()), (0, 0));
        driver.start(0);
        assert_eq!(driver.ask(request::FLUSH, 0, &[], 0).status, status::OK);
    }
}
