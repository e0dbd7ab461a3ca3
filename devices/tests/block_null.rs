//! `null-co`: a disk that keeps nothing.

mod disk;

use std::time::{Duration, Instant};

use device_model::{
    block::{Buffers, Request},
    testing::Machine,
};
use disk::TestDisk;

#[test]
fn it_has_a_length_and_takes_what_lies_within() {
    let machine = Machine::new();
    machine.add("blockdev-null-co", "n", &[("size", "1M"), ("read-zeroes", "on")]);
    let disk = TestDisk::before(&machine, "n");
    assert_eq!(disk.backend().length(), 1 << 20);
    assert_eq!(disk.read(0, 5000).expect("it is readable"), [0; 5000]);
    disk.write((1 << 20) - 2, b"ab").expect("it is writable");
    for (offset, length) in [((1 << 20) - 2, 3), (1 << 20, 1), (u64::MAX, 1)] {
        let error = disk.read(offset, length).expect_err("it lies beyond the end");
        assert_eq!(error.to_string(), "it lies beyond the end of the disk");
    }
    for request in [
        Request::flush(0),
        Request::discard(0, 0, 1 << 20),
        Request::write_zeroes(0, 0, 1 << 20, true),
        Request::read(0, 1 << 20, Buffers::None),
    ] {
        disk.one(request).expect("it does nothing, and that well");
    }
    let beyond = Request::write_zeroes(0, 1, u64::MAX, false);
    disk.one(beyond).expect_err("it lies beyond the end");
}

#[test]
fn buffers_are_left_alone_unless_it_reads_as_zeroes() {
    let machine = Machine::new();
    machine.add("blockdev-null-co", "n", &[]);
    let disk = TestDisk::before(&machine, "n");
    assert_eq!(disk.backend().length(), 1 << 30, "by default");
    assert_eq!(disk.read(0, 3).expect("it is readable"), [0xee; 3]);
}

#[test]
fn requests_take_as_long_as_they_are_told_to_several_at_a_time() {
    let machine = Machine::new();
    machine.add("blockdev-null-co", "n", &[("latency-ns", "20000000")]);
    let disk = TestDisk::before(&machine, "n");
    let reads = |count: u64| (0..count).map(|at| Request::read(at, at, Buffers::None)).collect();
    let start = Instant::now();
    assert_eq!(disk.run(reads(8)).len(), 8);
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(20), "{taken:?}");
    assert!(taken < Duration::from_millis(8 * 20), "one after the other: {taken:?}");
}

#[test]
fn nobody_writes_to_one_that_is_read_only() {
    let machine = Machine::new();
    machine.add("blockdev-null-co", "n", &[("read-only", "on"), ("node-name", "n")]);
    let text = disk::refusal(&machine, "test-disk", &[("drive", "n")]);
    assert_eq!(text, "Block node 'n' is read-only");
    let reader = machine.add("test-disk", "d", &[("drive", "n"), ("reads", "on")]);
    let reader = reader.cast::<TestDisk>().expect("it is one");
    reader.read(0, 1).expect("it is readable");
    let error = reader.write(0, b"x").expect_err("it is not writable");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
}
