//! `virtio-blk-device` before real files: as a driver has it, as a hostile guest has it, and as a user
//! sees it when a file fails.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde_json::json;
use tests::{
    Scratch, Vmm,
    qmp::Qmp,
    qtest::{PERMITTED, Qtest},
    virtio::{Descriptor, Queue, Transport, feature, register, status, wait},
    virtio_guest,
};

const FIRST: Transport = Transport::number(0);
const RINGS: u64 = 0x10_0000;
const TABLE: u64 = 0x18_0000;
const HEADER: u64 = 0x20_0000;
const DATA: u64 = 0x20_1000;
const STATUS: u64 = 0x20_3000;
/// Memory of the machine ends there.
const END: u64 = 16 << 20;
/// The disk's length, in sectors.
const SECTORS: u64 = 64;
const SIZE: u16 = 8;

const IN: u32 = 0;
const OUT: u32 = 1;
const OK: u64 = 0;
const IOERR: u64 = 1;

struct Disk {
    machine: Qtest,
    monitor: Qmp,
    queue: Queue,
    file: PathBuf,
}

impl Disk {
    /// A machine with a disk of a file of sevens, and a monitor.
    fn new(options: &str) -> Self {
        let scratch = Scratch::new();
        let file = scratch.file("image", vec![7; 512 * usize::try_from(SECTORS).unwrap()]);
        let socket = scratch.path().join("qmp");
        let node = format!("raw,node-name=d0,file.driver=file,file.filename={}", file.display());
        let vmm = Vmm::line("-accel qtest -nodefaults -m 16M")
            .and(PERMITTED)
            .args(["-blockdev", &*node])
            .args(["-device", &format!("virtio-blk-device,drive=d0,id=disk{options}")])
            .monitor(&socket);
        let mut machine = Qtest::of(vmm, scratch);
        let queue = Queue::new(0, SIZE, RINGS);
        FIRST.drive(&mut machine, feature::INDIRECT_DESC, &queue);
        Self { machine, monitor: Qmp::connect(&socket), queue, file }
    }

    fn header(&mut self, kind: u32, sector: u64) {
        let bytes = [&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.machine.ok(&format!("write {HEADER:#x} 16 0x{digits}"));
    }

    /// Asks for something in the usual framing, with so many sectors of data.
    fn ask(&mut self, kind: u32, sector: u64, count: u32) {
        self.header(kind, sector);
        self.machine.ok(&format!("memset {STATUS:#x} 1 0xff"));
        let data = match kind {
            IN => Descriptor::writable(DATA, 512 * count),
            _ => Descriptor::readable(DATA, 512 * count),
        };
        let queue = &mut self.queue;
        queue.describe(&mut self.machine, 0, Descriptor::readable(HEADER, 16).then(1));
        queue.describe(&mut self.machine, 1, data.then(2));
        queue.describe(&mut self.machine, 2, Descriptor::writable(STATUS, 1));
        queue.offer(&mut self.machine, 0);
        FIRST.notify(&mut self.machine, queue);
    }

    #[track_caller]
    fn answer(&mut self) -> u64 {
        assert_eq!(self.queue.take_used(&mut self.machine).0, 0);
        self.machine.number(&format!("readb {STATUS:#x}"))
    }

    #[track_caller]
    fn done(&mut self, kind: u32, sector: u64, count: u32) -> u64 {
        self.ask(kind, sector, count);
        self.answer()
    }

    fn drive(&mut self) {
        self.queue.restart();
        FIRST.drive(&mut self.machine, feature::INDIRECT_DESC, &self.queue);
    }
}

#[test]
fn a_guest_and_the_host_see_the_same_bytes() {
    for options in ["", ",write-cache=off", ",num-queues=4,queue-size=8"] {
        let mut disk = Disk::new(options);
        assert_eq!(FIRST.read(&mut disk.machine, register::DEVICE_ID), 2);
        disk.machine.ok(&format!("memset {DATA:#x} 1024 0x5a"));
        assert_eq!(disk.done(OUT, 3, 2), OK);
        let bytes = fs::read(&disk.file).unwrap();
        assert_eq!(bytes[1536..2560], [0x5a; 1024]);
        assert_eq!((bytes[1535], bytes[2560]), (7, 7));
        assert_eq!(disk.done(IN, 5, 1), OK);
        assert_eq!(disk.machine.ok(&format!("read {DATA:#x} 4")), "0x07070707");
        assert_eq!(disk.done(IN, SECTORS, 1), IOERR);
    }
}

/// What a hostile driver puts at descriptor 0, and why the device breaks.
type Hostile = (fn(&mut Qtest, &Queue), &'static str);

const HOSTILE: [Hostile; 9] = [
    // A loop of descriptors.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 16).then(1));
            queue.describe(machine, 1, Descriptor::readable(DATA, 512).then(0));
        },
        "queue 0: the chain has more than the 8 descriptors of its table",
    ),
    // Data out of memory.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 16).then(1));
            queue.describe(machine, 1, Descriptor::writable(END - 512, 1024).then(2));
            queue.describe(machine, 2, Descriptor::writable(STATUS, 1));
        },
        "queue 0: 1024 bytes at 0xfffe00 are not in the guest's memory",
    ),
    // A status out of memory.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 16).then(1));
            queue.describe(machine, 1, Descriptor::writable(END, 1));
        },
        "queue 0: 1 bytes at 0x1000000 are not in the guest's memory",
    ),
    // Lengths that overflow together.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(0, 0x80_0000).then(1));
            queue.describe(machine, 1, Descriptor::writable(DATA, u32::MAX));
        },
        "queue 0: the buffers of a chain have more than 4294967295 bytes together",
    ),
    // An indirect table in an indirect table.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::table(TABLE, 32));
            Queue::write_at(machine, TABLE, 0, Descriptor::readable(HEADER, 16).then(1));
            Queue::write_at(machine, TABLE, 1, Descriptor::table(TABLE, 32));
        },
        "queue 0: an indirect descriptor is in an indirect table",
    ),
    // Data to be read behind room for an answer.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::writable(STATUS, 1).then(1));
            queue.describe(machine, 1, Descriptor::readable(HEADER, 16));
        },
        "queue 0: a buffer to be read follows one to be written",
    ),
    // A short header.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 15).then(1));
            queue.describe(machine, 1, Descriptor::writable(STATUS, 1));
        },
        "queue 0: a request has 15 bytes of its header and 1 of its answer, expected 16 and 1 at \
         least",
    ),
    // No room for a status.
    (
        |machine, queue| queue.describe(machine, 0, Descriptor::readable(HEADER, 16)),
        "queue 0: a request has 16 bytes of its header and 0 of its answer, expected 16 and 1 at \
         least",
    ),
    // Room that has no bytes.
    (
        |machine, queue| {
            queue.describe(machine, 0, Descriptor::readable(HEADER, 16).then(1));
            queue.describe(machine, 1, Descriptor::writable(STATUS, 0));
        },
        "queue 0: a request has 16 bytes of its header and 0 of its answer, expected 16 and 1 at \
         least",
    ),
];

#[test]
fn a_chain_that_does_not_hold_breaks_the_disk_until_it_is_reset() {
    let mut disk = Disk::new("");
    let before = fs::read(&disk.file).unwrap();
    for (put, why) in HOSTILE {
        disk.drive();
        disk.header(OUT, 0);
        put(&mut disk.machine, &disk.queue);
        disk.queue.offer(&mut disk.machine, 0);
        FIRST.notify(&mut disk.machine, &disk.queue);
        FIRST.wait_until_broken(&mut disk.machine);
        let fault = disk.monitor.property("/machine/unattached/virtio-mmio[0]", "fault");
        assert_eq!(fault, why);
        assert_eq!(disk.queue.used_count(&mut disk.machine), 0, "{why}");
        disk.drive();
        assert_eq!(disk.done(IN, 0, 1), OK, "{why}");
    }
    assert_eq!(fs::read(&disk.file).unwrap(), before);
}

#[test]
fn features_that_are_changed_after_they_were_agreed_on_stay() {
    let mut disk = Disk::new("");
    FIRST.want(&mut disk.machine, u64::MAX);
    assert_eq!(disk.done(IN, 0, 1), OK);
    let state = FIRST.read(&mut disk.machine, register::STATUS);
    assert_eq!(state, status::DRIVEN);
}

#[test]
fn a_queue_can_not_be_resized_while_it_is_live() {
    let mut disk = Disk::new("");
    FIRST.write(&mut disk.machine, register::QUEUE_SEL, 0);
    FIRST.write(&mut disk.machine, register::QUEUE_NUM, 4);
    FIRST.write(&mut disk.machine, register::QUEUE_DESC_LOW, END);
    assert_eq!(disk.done(IN, 0, 1), OK);
}

#[test]
fn the_configuration_ends_where_it_ends() {
    let mut disk = Disk::new("");
    let at = |offset: u64| FIRST.at(register::CONFIG + offset);
    assert_eq!(disk.machine.number(&format!("readq {:#x}", at(0))), SECTORS);
    for offset in [60, 0x80, 0xfc] {
        assert_eq!(disk.machine.number(&format!("readl {:#x}", at(offset))), 0xffff_ffff);
        disk.machine.ok(&format!("writel {:#x} 0", at(offset)));
    }
    // Across its end.
    assert_eq!(disk.machine.number(&format!("readq {:#x}", at(56))), u64::MAX);
    assert_eq!(disk.done(IN, 0, 1), OK);
}

#[test]
fn a_guest_is_told_that_its_disk_has_grown() {
    let mut disk = Disk::new("");
    disk.monitor.execute("block_resize", json!({"node-name": "d0", "size": 1 << 16}));
    assert_eq!(FIRST.take_interrupt(&mut disk.machine) & 2, 2);
    let capacity = format!("readq {:#x}", FIRST.at(register::CONFIG));
    assert_eq!(disk.machine.number(&capacity), 128);
    assert_eq!(disk.done(IN, 127, 1), OK);
}

fn cut(file: &Path, length: u64) {
    File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn a_file_that_has_become_short_is_an_error_to_the_guest_and_an_event() {
    let mut disk = Disk::new("");
    cut(&disk.file, 1024);
    assert_eq!(disk.done(IN, 4, 1), IOERR);
    let event = disk.monitor.event("BLOCK_IO_ERROR");
    let data = &event["data"];
    assert_eq!(data["qom-path"], "/machine/peripheral/disk");
    assert_eq!((&data["device"], &data["node-name"]), (&json!("disk"), &json!("d0")));
    assert_eq!((&data["operation"], &data["action"]), (&json!("read"), &json!("report")));
    assert_eq!(disk.done(IN, 1, 1), OK);
    let state = disk.monitor.execute("query-status", json!({}));
    assert_eq!(state["status"], "running");
}

#[test]
fn the_machine_stops_on_an_error_and_the_request_is_done_once_it_goes_on() {
    let mut disk = Disk::new(",rerror=stop");
    cut(&disk.file, 1024);
    disk.ask(IN, 4, 1);
    assert_eq!(disk.monitor.event("BLOCK_IO_ERROR")["data"]["action"], "stop");
    disk.monitor.event("STOP");
    let state = disk.monitor.execute("query-status", json!({}));
    assert_eq!((&state["running"], &state["status"]), (&json!(false), &json!("io-error")));
    assert_eq!(disk.queue.used_count(&mut disk.machine), 0);
    // It fails again as long as nobody has mended it.
    disk.monitor.execute("cont", json!({}));
    assert_eq!(disk.monitor.event("BLOCK_IO_ERROR")["data"]["action"], "stop");
    disk.monitor.event("STOP");
    cut(&disk.file, 512 * SECTORS);
    disk.monitor.execute("cont", json!({}));
    assert_eq!(disk.answer(), OK);
    assert_eq!(disk.machine.ok(&format!("read {DATA:#x} 4")), "0x00000000");
}

#[test]
fn a_drive_for_virtio_is_a_node_and_a_disk() {
    let scratch = Scratch::new();
    let file = scratch.file("image", [7; 4096]);
    let socket = scratch.path().join("qmp");
    let drive = format!("if=virtio,file={},format=raw,cache=writethrough", file.display());
    let vmm = Vmm::line("-accel qtest -nodefaults -m 16M -device virtio-rng-device")
        .and(PERMITTED)
        .args(["-drive", &*format!("{drive},werror=report")])
        .monitor(&socket);
    let mut machine = Qtest::of(vmm, scratch);
    let mut monitor = Qmp::connect(&socket);
    let kinds: Vec<_> = (0..2)
        .map(|index| Transport::number(index).read(&mut machine, register::DEVICE_ID))
        .collect();
    assert_eq!(kinds, [4, 2], "behind the devices that were given in full");
    let path = "/machine/peripheral-anon/device[1]";
    for (property, value) in [
        ("type", "virtio-blk-device"),
        ("drive", "/blockdevs/virtio0"),
        ("write-cache", "off"),
        ("werror", "report"),
    ] {
        assert_eq!(monitor.property(path, property), value, "{property}");
    }
    wait("the disk", || Transport::number(1).read(&mut machine, register::DEVICE_ID) == 2);
}

#[test]
fn a_drive_that_can_not_be_is_told_at_its_option() {
    let scratch = Scratch::new();
    let file = scratch.file("image", [7; 4096]);
    let drive = |more: &str| format!("file={},format=raw,{more}", file.display());
    for (options, drive, why) in [
        ("", drive("if=none,werror=stop"), "Parameter 'werror' is unexpected"),
        ("", drive("if=none,cache=directsync"), "cache: expected"),
        ("", drive("if=ide"), "if: expected none or virtio, given 'ide'"),
        ("", drive("if=virtio,werror=maybe"), "Parameter 'werror' does not accept value 'maybe'"),
        (
            "-machine none",
            drive("if=virtio"),
            "No 'virtio-bus' bus found for device 'virtio-blk-device'",
        ),
    ] {
        let vmm = Vmm::line("-nodefaults -accel qtest").and(PERMITTED).and(options);
        let vmm = if options.is_empty() { vmm } else { Vmm::line(options) };
        vmm.args(["-drive", &drive]).run().code(1).complains(why);
    }
}

#[test]
fn a_guest_reads_what_the_host_wrote_and_the_host_what_the_guest_wrote() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(virtio_guest::copies_a_sector());
    for options in [
        "",
        "-accel kvm,kernel-irqchip=on",
        "-object iothread,id=io0 -global virtio-blk-device.iothread=io0",
    ] {
        let mut bytes = [0; 4096];
        bytes[..6].copy_from_slice(b"hello\n");
        let file = scratch.file("image", bytes);
        let drive = format!("if=virtio,format=raw,file={}", file.display());
        let vmm = Vmm::line("-no-reboot").and(options).args(["-drive", &*drive]);
        vmm.kernel(&kernel).run().code(0).says_only("hello\n");
        bytes.copy_within(..512, 512);
        assert_eq!(fs::read(&file).unwrap(), bytes, "{options}");
    }
}
