//! `virtio-rng-device`, driven by the qtest protocol.

use std::{fs, thread, time::Duration};

use tests::{
    Scratch, Vmm,
    qtest::{PERMITTED, Qtest},
    virtio::{Descriptor, Queue, Transport, register},
};

const FIRST: Transport = Transport::number(0);
const RINGS: u64 = 0x10_0000;
const BUFFER: u64 = 0x20_0000;

fn driven(policy: &str, options: &str) -> (Qtest, Queue) {
    let mut machine = Qtest::under(policy, &format!("-m 16M {options}"));
    let queue = Queue::new(0, 8, RINGS);
    FIRST.drive(&mut machine, 0, &queue);
    (machine, queue)
}

/// Asks for so many bytes in one buffer.
#[track_caller]
fn ask(machine: &mut Qtest, queue: &mut Queue, length: u32) {
    queue.describe(machine, 0, Descriptor::writable(BUFFER, length));
    queue.offer(machine, 0);
    FIRST.notify(machine, queue);
}

/// Gives the device the time in which it would answer.
fn let_it_work() {
    thread::sleep(Duration::from_millis(50));
}

#[test]
fn it_is_an_entropy_device_with_one_queue_and_no_configuration() {
    let (mut machine, _) = driven(PERMITTED, "-device virtio-rng-device");
    assert_eq!(FIRST.read(&mut machine, register::DEVICE_ID), 4);
    FIRST.write(&mut machine, register::QUEUE_SEL, 0);
    assert_eq!(FIRST.read(&mut machine, register::QUEUE_NUM_MAX), 8);
    FIRST.write(&mut machine, register::QUEUE_SEL, 1);
    assert_eq!(FIRST.read(&mut machine, register::QUEUE_NUM_MAX), 0);
}

#[test]
fn every_buffer_is_filled_with_other_bytes() {
    let (mut machine, mut queue) = driven(PERMITTED, "-device virtio-rng-device");
    let mut seen = Vec::new();
    for _ in 0..4 {
        ask(&mut machine, &mut queue, 32);
        assert_eq!(queue.take_used(&mut machine), (0, 32));
        seen.push(machine.ok(&format!("read {BUFFER:#x} 32")));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_large_buffer_gets_as_much_as_one_answer_has() {
    let (mut machine, mut queue) = driven(PERMITTED, "-device virtio-rng-device");
    ask(&mut machine, &mut queue, 1 << 20);
    let (head, length) = queue.take_used(&mut machine);
    assert_eq!(head, 0);
    assert!((1..=64 << 10).contains(&length), "{length}");
}

#[test]
fn a_chain_without_room_is_given_back_empty() {
    let (mut machine, mut queue) = driven(PERMITTED, "-device virtio-rng-device");
    queue.describe(&mut machine, 1, Descriptor::readable(BUFFER, 16));
    for _ in 0..3 {
        queue.offer(&mut machine, 1);
    }
    FIRST.notify(&mut machine, &queue);
    for _ in 0..3 {
        assert_eq!(queue.take_used(&mut machine), (1, 0));
    }
    ask(&mut machine, &mut queue, 8);
    assert_eq!(queue.take_used(&mut machine), (0, 8));
}

#[test]
fn no_more_than_max_bytes_come_in_a_period() {
    let options = "-device virtio-rng-device,max-bytes=24,period=1000";
    let (mut machine, mut queue) = driven(PERMITTED, options);
    ask(&mut machine, &mut queue, 16);
    assert_eq!(queue.take_used(&mut machine), (0, 16));
    ask(&mut machine, &mut queue, 16);
    assert_eq!(queue.take_used(&mut machine), (0, 8), "what is left");
    ask(&mut machine, &mut queue, 16);
    let_it_work();
    assert_eq!(queue.used_count(&mut machine), 2);
    machine.ok("clock_step 999999999");
    let_it_work();
    assert_eq!(queue.used_count(&mut machine), 2, "the period is not over");
    machine.ok("clock_step 1");
    assert_eq!(queue.take_used(&mut machine), (0, 16), "the next period's");
    // A reset begins no period: a driver would get as much as it likes otherwise.
    queue.restart();
    FIRST.drive(&mut machine, 0, &queue);
    ask(&mut machine, &mut queue, 100);
    assert_eq!(queue.take_used(&mut machine), (0, 8));
    ask(&mut machine, &mut queue, 100);
    let_it_work();
    assert_eq!(queue.used_count(&mut machine), 1);
    machine.ok("clock_step 1000000000");
    assert_eq!(queue.take_used(&mut machine), (0, 24));
}

#[test]
fn it_takes_its_bytes_from_the_backend_that_it_is_linked_to() {
    let scratch = Scratch::new();
    let file = scratch.path().join("bytes");
    fs::write(&file, b"0123456789abcdef").unwrap();
    let options = format!(
        "-object rng-random,id=known,filename={} -device virtio-rng-device,rng=known",
        file.display()
    );
    let (mut machine, mut queue) = driven("-compat insecure-types=accept", &options);
    ask(&mut machine, &mut queue, 10);
    assert_eq!(queue.take_used(&mut machine), (0, 10));
    assert_eq!(machine.ok(&format!("read {BUFFER:#x} 10")), "0x30313233343536373839");
    ask(&mut machine, &mut queue, 10);
    assert_eq!(queue.take_used(&mut machine), (0, 6));
    // The file has no more: a buffer is given back with a byte at least, or not at all.
    ask(&mut machine, &mut queue, 10);
    FIRST.wait_until_broken(&mut machine);
    assert_eq!(queue.used_count(&mut machine), 2);
}

#[test]
fn its_queue_is_served_by_the_thread_that_is_named_for_it() {
    let options = "-object iothread,id=io0 -device virtio-rng-device,iothread=io0";
    let (mut machine, mut queue) = driven(PERMITTED, options);
    for _ in 0..20 {
        ask(&mut machine, &mut queue, 64);
        assert_eq!(queue.take_used(&mut machine), (0, 64));
    }
    let threads = machine.running.threads();
    assert!(threads.iter().any(|name| name == "IO io0"), "{threads:?}");
    // Reset after reset while it works there.
    for _ in 0..20 {
        queue.restart();
        FIRST.drive(&mut machine, 0, &queue);
        for _ in 0..4 {
            queue.describe(&mut machine, 0, Descriptor::writable(BUFFER, 4096));
            queue.offer(&mut machine, 0);
        }
        FIRST.notify(&mut machine, &queue);
        FIRST.write(&mut machine, register::STATUS, 0);
        let at_reset = queue.used_count(&mut machine);
        assert_eq!(queue.used_count(&mut machine), at_reset, "nothing comes after the reset");
        assert_eq!(FIRST.read(&mut machine, register::INTERRUPT_STATUS), 0);
    }
}

#[test]
fn limits_that_are_none_are_refused() {
    for wrong in ["max-bytes=0", "period=0", "max-bytes=-1", "period=4294967296"] {
        let line =
            format!("-accel qtest -nodefaults {PERMITTED} -device virtio-rng-device,{wrong}");
        let name = wrong.split('=').next().unwrap();
        Vmm::line(&line).run().code(1).complains(&format!("Parameter '{name}' expects"));
    }
}
