//! Virtio devices behind MMIO registers, driven by the qtest protocol: as a driver does, and as a
//! hostile guest does.

use std::io::Write as _;

use serde_json::json;
use tests::{
    Scratch, Vmm,
    qmp::Qmp,
    qtest::{PERMITTED, Qtest},
    virtio::{Descriptor, Queue, Transport, feature, register, status, wait},
};

const FIRST: Transport = Transport::number(0);
const IOAPIC: &str = "/machine/unattached/ioapic";

/// Where a queue's three pages are; buffers follow from [`BUFFER`] on.
const RINGS: u64 = 0x10_0000;
const BUFFER: u64 = 0x20_0000;
/// A table of indirect descriptors.
const TABLE: u64 = 0x18_0000;
/// Memory of the machine ends there.
const END: u64 = 16 << 20;
/// The greatest size of the entropy device's queue.
const SIZE: u16 = 8;

const INDIRECT: u64 = feature::INDIRECT_DESC;

fn machine(more: &str) -> Qtest {
    Qtest::start(&format!("-m 16M -device virtio-rng-device {more}"))
}

/// A driven device and its queue.
fn driven(features: u64) -> (Qtest, Queue) {
    let mut machine = machine("");
    let queue = Queue::new(0, SIZE, RINGS);
    FIRST.drive(&mut machine, features, &queue);
    (machine, queue)
}

/// Asks for random bytes in one buffer, and waits for them.
#[track_caller]
fn works(machine: &mut Qtest, queue: &mut Queue) {
    machine.ok(&format!("memset {BUFFER:#x} 64 0"));
    queue.describe(machine, 0, Descriptor::writable(BUFFER, 64));
    queue.offer(machine, 0);
    FIRST.notify(machine, queue);
    assert_eq!(queue.take_used(machine), (0, 64));
    assert_ne!(machine.ok(&format!("read {BUFFER:#x} 64")), format!("0x{:0128}", 0));
}

#[test]
fn eight_transports_are_there_and_only_those_with_a_device_tell_of_one() {
    let mut machine = machine("");
    for index in 0..8 {
        let transport = Transport::number(index);
        assert_eq!(transport.read(&mut machine, register::MAGIC_VALUE), 0x7472_6976);
        assert_eq!(transport.read(&mut machine, register::VERSION), 2);
        let kind = if index == 0 { 4 } else { 0 };
        assert_eq!(transport.read(&mut machine, register::DEVICE_ID), kind, "{index}");
    }
    let none = Transport::number(8);
    assert_eq!(none.read(&mut machine, register::MAGIC_VALUE), 0xffff_ffff);
    // An empty one has nothing to set up.
    let empty = Transport::number(1);
    assert_eq!(empty.negotiate(&mut machine, feature::VERSION_1), 0);
    assert_eq!(empty.read(&mut machine, register::QUEUE_NUM_MAX), 0);
    assert!(!empty.set_up(&mut machine, &Queue::new(0, SIZE, RINGS)));
    empty.write(&mut machine, register::QUEUE_NOTIFY, 0);
}

#[test]
fn a_driver_that_does_all_in_order_is_served_and_interrupted() {
    let mut machine = machine("");
    machine.ok(&format!("irq_intercept_in {IOAPIC}"));
    let mut queue = Queue::new(0, SIZE, RINGS);
    FIRST.drive(&mut machine, 0, &queue);
    for _ in 0..3 * SIZE {
        works(&mut machine, &mut queue);
    }
    assert_eq!(FIRST.take_interrupt(&mut machine), 1);
    assert_eq!(FIRST.read(&mut machine, register::INTERRUPT_STATUS), 0);
    let mut heard = machine.interrupts();
    heard.dedup();
    assert_eq!(heard, ["raise 16", "lower 16"], "once, since none was acknowledged before");
}

#[test]
fn registers_are_words_and_what_is_none_reads_as_nothing() {
    let mut machine = machine("");
    for (line, value) in [
        ("readb 0xfeb00000", 0),
        ("readw 0xfeb00000", 0),
        ("readl 0xfeb00002", 0),
        ("readq 0xfeb00000", 0),
        ("readl 0xfeb000f8", 0),
    ] {
        assert_eq!(machine.number(line), value, "{line}");
    }
    for line in ["writeb 0xfeb00070 1", "writew 0xfeb00070 1", "writeq 0xfeb00070 1"] {
        machine.ok(line);
        assert_eq!(FIRST.read(&mut machine, register::STATUS), 0, "{line}");
    }
}

#[test]
fn features_that_the_device_lacks_are_refused() {
    let mut machine = machine("");
    let offered = FIRST.features(&mut machine);
    assert_eq!(offered, feature::VERSION_1 | feature::EVENT_IDX | feature::INDIRECT_DESC);
    let known = status::ACKNOWLEDGE | status::DRIVER;
    for wrong in [0, feature::EVENT_IDX, feature::VERSION_1 | 1, feature::VERSION_1 | 1 << 40] {
        assert_eq!(FIRST.negotiate(&mut machine, wrong), known, "{wrong:#x}");
        FIRST.write(&mut machine, register::STATUS, status::DRIVEN);
        assert_eq!(FIRST.read(&mut machine, register::STATUS), known, "nor is it driven");
    }
    assert_eq!(FIRST.negotiate(&mut machine, offered), known | status::FEATURES_OK);
}

#[test]
fn features_changed_after_features_ok_change_nothing() {
    let mut machine = machine("");
    let mut queue = Queue::new(0, SIZE, RINGS);
    FIRST.drive(&mut machine, 0, &queue);
    FIRST.want(&mut machine, u64::MAX);
    FIRST.write(&mut machine, register::STATUS, status::DRIVEN);
    assert_eq!(FIRST.read(&mut machine, register::STATUS), status::DRIVEN);
    works(&mut machine, &mut queue);
    // Indirect descriptors are not among what was agreed on.
    Queue::write_at(&mut machine, TABLE, 0, Descriptor::writable(BUFFER, 8));
    queue.describe(&mut machine, 0, Descriptor::table(TABLE, 16));
    queue.offer(&mut machine, 0);
    FIRST.notify(&mut machine, &queue);
    FIRST.wait_until_broken(&mut machine);
}

#[test]
fn the_configuration_space_ends_where_the_device_s_does() {
    let mut machine = machine("");
    for offset in [register::CONFIG, register::CONFIG + 0xfc] {
        assert_eq!(FIRST.read(&mut machine, offset), 0xffff_ffff, "it has none");
        FIRST.write(&mut machine, offset, 0);
    }
    machine.ok("writeq 0xfeb001fc 0x1122334455667788");
    assert_eq!(machine.number("readq 0xfeb001fc") & 0xffff_ffff, 0xffff_ffff);
    assert_eq!(Transport::number(1).read(&mut machine, register::MAGIC_VALUE), 0x7472_6976);
    assert_eq!(FIRST.read(&mut machine, register::CONFIG_GENERATION), 0);
}

#[test]
fn there_is_no_shared_memory() {
    let mut machine = machine("");
    for region in [0, 1, 0xffff_ffff] {
        FIRST.write(&mut machine, register::SHM_SEL, region);
        for offset in (register::SHM_LEN_LOW..=register::SHM_BASE_HIGH).step_by(4) {
            assert_eq!(FIRST.read(&mut machine, offset), 0xffff_ffff);
        }
    }
}

#[test]
fn queues_that_do_not_hold_do_not_get_ready() {
    let mut machine = machine("");
    FIRST.negotiate(&mut machine, feature::VERSION_1);
    let good = Queue::new(0, SIZE, RINGS);
    for wrong in [
        Queue { size: 0, ..good.clone() },
        Queue { size: 5, ..good.clone() },
        Queue { size: 16, ..good.clone() },
        Queue { index: 1, ..good.clone() },
        Queue { descriptors: RINGS + 8, ..good.clone() },
        Queue { available: RINGS + 0x1001, ..good.clone() },
        Queue { used: RINGS + 0x2002, ..good.clone() },
        Queue { descriptors: END - 16, ..good.clone() },
        Queue { available: END - 4, ..good.clone() },
        Queue { used: END - 4, ..good.clone() },
        Queue { used: 0xfeb0_0000, ..good.clone() },
        Queue { descriptors: 0xffff_ffff_ffff_fff0, ..good.clone() },
    ] {
        assert!(!FIRST.set_up(&mut machine, &wrong), "{wrong:?}");
    }
    // The queue that was chosen last is another one.
    assert!(FIRST.set_up(&mut machine, &good));
}

#[test]
fn a_queue_resized_or_moved_while_it_is_live_stays_as_it_is() {
    let (mut machine, mut queue) = driven(0);
    works(&mut machine, &mut queue);
    let other = Queue::new(0, 2, RINGS + 0x1_0000);
    assert!(FIRST.set_up(&mut machine, &other), "it is ready as it was");
    works(&mut machine, &mut queue);
    assert_eq!(other.used_count(&mut machine), 0);
    // Once it is not ready any more, it is used no more, until the device is reset.
    FIRST.write(&mut machine, register::QUEUE_READY, 0);
    assert_eq!(FIRST.read(&mut machine, register::QUEUE_READY), 0);
    assert!(!FIRST.set_up(&mut machine, &other));
    queue.describe(&mut machine, 0, Descriptor::writable(BUFFER, 64));
    let before = queue.used_count(&mut machine);
    queue.offer(&mut machine, 0);
    FIRST.notify(&mut machine, &queue);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(queue.used_count(&mut machine), before);
    queue.restart();
    FIRST.drive(&mut machine, 0, &queue);
    works(&mut machine, &mut queue);
}

/// What a hostile driver puts at descriptor 0, and why the device breaks.
type Hostile = (fn(&mut Qtest, &Queue), &'static str);

const HOSTILE: [Hostile; 14] = [
    // A loop of one.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(BUFFER, 8).then(0)),
        "queue 0: the chain has more than the 8 descriptors of its table",
    ),
    // A loop of two.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::writable(BUFFER, 8).then(1));
            queue.describe(machine, 1, Descriptor::writable(BUFFER, 8).then(0));
        },
        "queue 0: the chain has more than the 8 descriptors of its table",
    ),
    // A chain that leaves its table.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(BUFFER, 8).then(8)),
        "queue 0: descriptor 8 is not in its table of 8",
    ),
    // A buffer out of memory.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(END, 8)),
        "queue 0: 8 bytes at 0x1000000 are not in the guest's memory",
    ),
    // One that begins in memory.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(END - 4, 8)),
        "queue 0: 8 bytes at 0xfffffc are not in the guest's memory",
    ),
    // One that goes around all addresses.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(u64::MAX - 3, 8)),
        "queue 0: 8 bytes at 0xfffffffffffffffc are not in the guest's memory",
    ),
    // Lengths that overflow together.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::writable(0, 0x80_0000).then(1));
            queue.describe(machine, 1, Descriptor::writable(0, u32::MAX));
        },
        "queue 0: the buffers of a chain have more than 4294967295 bytes together",
    ),
    // One length that is more than there is.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::writable(0, u32::MAX)),
        "queue 0: 4294967295 bytes at 0x0 are not in the guest's memory",
    ),
    // What is read after what is written.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::writable(BUFFER, 8).then(1));
            queue.describe(machine, 1, Descriptor::readable(BUFFER, 8));
        },
        "queue 0: a buffer to be read follows one to be written",
    ),
    // An indirect table in an indirect table.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::table(TABLE, 16));
            Queue::write_at(machine, TABLE, 0, Descriptor::table(TABLE, 16));
        },
        "queue 0: an indirect descriptor is in an indirect table",
    ),
    // An indirect table out of memory.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::table(END - 16, 32)),
        "queue 0: 32 bytes at 0xfffff0 are not in the guest's memory",
    ),
    // One of no whole number of descriptors, or of more than the queue has.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::table(TABLE, 24)),
        "queue 0: an indirect table has 24 bytes, expected a multiple of 16 up to 128",
    ),
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::table(TABLE, 144)),
        "queue 0: an indirect table has 144 bytes, expected a multiple of 16 up to 128",
    ),
    // One that has a next descriptor beside it.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::table(TABLE, 16).then(1)),
        "queue 0: an indirect descriptor has a next one",
    ),
];

/// The device needs a reset and says why, and interrupts; then a reset mends it.
#[track_caller]
fn breaks(machine: &mut Qtest, monitor: &mut Qmp, queue: &mut Queue, why: &str) {
    FIRST.wait_until_broken(machine);
    assert_eq!(FIRST.take_interrupt(machine) & 2, 2, "the configuration's interrupt: {why}");
    let path = "/machine/unattached/virtio-mmio[0]";
    let fault = monitor.property(path, "fault");
    assert_eq!(fault, why);
    assert_eq!(queue.used_count(machine), 0, "{why}");
    // It does nothing any more, whatever it is told.
    queue.describe(machine, 0, Descriptor::writable(BUFFER, 8));
    queue.offer(machine, 0);
    FIRST.notify(machine, queue);
    FIRST.write(machine, register::STATUS, status::DRIVEN);
    assert_eq!(FIRST.read(machine, register::STATUS), status::DRIVEN | status::NEEDS_RESET);
    queue.restart();
    FIRST.drive(machine, INDIRECT, queue);
    works(machine, queue);
    FIRST.take_interrupt(machine);
    queue.restart();
}

/// A machine with a device, and a monitor to look at it.
fn watched() -> (Qtest, Qmp) {
    let scratch = Scratch::new();
    let socket = scratch.path().join("qmp");
    let vmm = Vmm::line("-accel qtest -nodefaults -m 16M -device virtio-rng-device")
        .and(PERMITTED)
        .monitor(&socket);
    let machine = Qtest::of(vmm, scratch);
    let monitor = Qmp::connect(&socket);
    (machine, monitor)
}

#[test]
fn a_chain_that_does_not_hold_breaks_the_device_until_it_is_reset() {
    let (mut machine, mut monitor) = watched();
    let mut queue = Queue::new(0, SIZE, RINGS);
    for (put, why) in HOSTILE {
        FIRST.drive(&mut machine, INDIRECT, &queue);
        put(&mut machine, &queue);
        queue.offer(&mut machine, 0);
        FIRST.notify(&mut machine, &queue);
        breaks(&mut machine, &mut monitor, &mut queue, why);
    }
}

#[test]
fn a_ring_that_does_not_hold_breaks_the_device_until_it_is_reset() {
    let (mut machine, mut monitor) = watched();
    let mut queue = Queue::new(0, SIZE, RINGS);
    // A head that is no descriptor.
    FIRST.drive(&mut machine, INDIRECT, &queue);
    queue.offer(&mut machine, 0xffff);
    FIRST.notify(&mut machine, &queue);
    let why = "queue 0: descriptor 65535 is not in its table of 8";
    breaks(&mut machine, &mut monitor, &mut queue, why);
    // More chains than there are descriptors.
    FIRST.drive(&mut machine, INDIRECT, &queue);
    machine.ok(&format!("writew {:#x} 9", queue.available + 2));
    FIRST.notify(&mut machine, &queue);
    let why = "queue 0: the ring of available chains does not hold: invalid available ring index \
               (more descriptors to process than queue size)";
    breaks(&mut machine, &mut monitor, &mut queue, why);
}

#[test]
fn nothing_but_the_buffers_is_written() {
    let (mut machine, mut queue) = driven(INDIRECT);
    machine.ok(&format!("memset {BUFFER:#x} 0x1000 0x5a"));
    // A direct part of 3 bytes, then a table with two of 5 and 7 bytes.
    Queue::write_at(&mut machine, TABLE, 0, Descriptor::writable(BUFFER + 0x100, 5).then(7));
    Queue::write_at(&mut machine, TABLE, 7, Descriptor::writable(BUFFER + 0x200, 7));
    queue.describe(&mut machine, 3, Descriptor::writable(BUFFER + 0x10, 3).then(1));
    queue.describe(&mut machine, 1, Descriptor::table(TABLE, 128));
    queue.offer(&mut machine, 3);
    FIRST.notify(&mut machine, &queue);
    assert_eq!(queue.take_used(&mut machine), (3, 15));
    let text = machine.ok(&format!("read {BUFFER:#x} 0x1000"));
    let bytes: Vec<_> = (1..=0x1000).map(|at| &text[2 * at..2 * at + 2]).collect();
    let is_buffer =
        |at| [0x10..0x13, 0x100..0x105, 0x200..0x207].iter().any(|part| part.contains(&at));
    for (at, byte) in bytes.iter().enumerate() {
        assert!(is_buffer(at) || *byte == "5a", "{at:#x}: {byte}");
    }
    assert!(bytes[0x200..0x207].iter().any(|byte| *byte != "5a"));
}

#[test]
fn no_interrupt_comes_that_the_driver_does_not_want() {
    let (mut machine, mut queue) = driven(0);
    queue.want_interrupts(&mut machine, false);
    works(&mut machine, &mut queue);
    works(&mut machine, &mut queue);
    assert_eq!(FIRST.read(&mut machine, register::INTERRUPT_STATUS), 0);
    queue.want_interrupts(&mut machine, true);
    works(&mut machine, &mut queue);
    assert_eq!(FIRST.take_interrupt(&mut machine), 1);
}

#[test]
fn with_event_idx_the_interrupt_comes_after_as_many_chains_as_the_driver_says() {
    let (mut machine, mut queue) = driven(feature::EVENT_IDX);
    queue.want_interrupt_after(&mut machine, 3);
    for _ in 0..2 {
        works(&mut machine, &mut queue);
        assert_eq!(FIRST.read(&mut machine, register::INTERRUPT_STATUS), 0);
    }
    works(&mut machine, &mut queue);
    assert_eq!(FIRST.take_interrupt(&mut machine), 1);
    works(&mut machine, &mut queue);
    assert_eq!(FIRST.read(&mut machine, register::INTERRUPT_STATUS), 0);
}

#[test]
fn a_reset_in_the_middle_of_a_request_leaves_the_guest_s_memory_alone() {
    let scratch = Scratch::new();
    let pipe = scratch.path().join("entropy");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let options = format!(
        "-m 16M -object rng-random,id=slow,filename={} -device virtio-rng-device,rng=slow",
        pipe.display()
    );
    let mut machine = Qtest::under("-compat insecure-types=accept", &options);
    let mut source = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut queue = Queue::new(0, SIZE, RINGS);
    machine.ok(&format!("memset {BUFFER:#x} 64 0"));
    FIRST.drive(&mut machine, 0, &queue);
    queue.describe(&mut machine, 0, Descriptor::writable(BUFFER, 4));
    queue.offer(&mut machine, 0);
    FIRST.notify(&mut machine, &queue);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(queue.used_count(&mut machine), 0, "there is nothing yet");
    FIRST.write(&mut machine, register::STATUS, 0);
    assert_eq!(FIRST.read(&mut machine, register::STATUS), 0);
    source.write_all(b"late").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(machine.ok(&format!("read {BUFFER:#x} 4")), "0x00000000");
    assert_eq!(queue.used_count(&mut machine), 0);
    assert_eq!(FIRST.read(&mut machine, register::INTERRUPT_STATUS), 0);
    // The next driver gets what there is.
    queue.restart();
    FIRST.drive(&mut machine, 0, &queue);
    queue.describe(&mut machine, 0, Descriptor::writable(BUFFER, 4));
    queue.offer(&mut machine, 0);
    FIRST.notify(&mut machine, &queue);
    assert_eq!(queue.take_used(&mut machine), (0, 4));
    assert_eq!(machine.ok(&format!("read {BUFFER:#x} 4")), "0x6c617465");
}

#[test]
fn a_reset_of_the_machine_resets_its_devices() {
    let (mut machine, mut monitor) = watched();
    let mut queue = Queue::new(0, SIZE, RINGS);
    FIRST.drive(&mut machine, 0, &queue);
    works(&mut machine, &mut queue);
    monitor.execute("system_reset", json!({}));
    wait("the reset", || FIRST.read(&mut machine, register::STATUS) == 0);
    assert_eq!(FIRST.read(&mut machine, register::INTERRUPT_STATUS), 0);
    queue.restart();
    FIRST.drive(&mut machine, 0, &queue);
    works(&mut machine, &mut queue);
}

#[test]
fn a_device_stands_on_the_bus_that_is_named_for_it_or_on_the_first_that_is_free() {
    let mut machine = machine(
        "-device virtio-rng-device,bus=virtio-mmio-bus.3 -device virtio-rng-device \
         -device virtio-rng-device,id=last,bus=virtio-mmio-bus.7",
    );
    let there: Vec<_> = (0..8)
        .filter(|index| Transport::number(*index).read(&mut machine, register::DEVICE_ID) == 4)
        .collect();
    assert_eq!(there, [0, 1, 3, 7]);
}

#[test]
fn a_device_without_a_place_is_refused() {
    let none_left = "-device virtio-rng-device ".repeat(9);
    for (options, why) in [
        (&*none_left, "No 'virtio-bus' bus found for device 'virtio-rng-device'"),
        ("-device virtio-rng-device,bus=virtio-mmio-bus.8", "Bus 'virtio-mmio-bus.8' not found"),
        ("-device virtio-rng-device,bus=isa.0", "Device 'virtio-rng-device' can't go on ISA bus"),
        (
            "-device virtio-rng-device,id=a -device virtio-rng-device,bus=virtio-mmio-bus.0",
            "Bus 'virtio-mmio-bus.0' is full: '/machine/peripheral/a' (type 'virtio-rng-device') \
             stands there",
        ),
        ("-device virtio-mmio", "Parameter 'driver' expects a pluggable device type"),
        ("-device virtio-device", "Parameter 'driver' expects a non-abstract device type"),
    ] {
        let line = format!("-accel qtest -nodefaults {PERMITTED} {options}");
        Vmm::line(&line).run().code(1).complains(why);
    }
}
