//! What requests do, and what the driver is told of the disk.

use device_model::{block::Command, qom_core::SecurityStatus, testing::wait_until};
use devices::virtio::{
    blk::spec::{feature, request, status},
    mmio::spec::*,
};

use crate::driver::{Answer, Driver, Part, UNTOUCHED, header, place, usual};

const OK: u8 = status::OK;

fn done(written: u32, data: Vec<u8>) -> Answer {
    Answer { status: OK, written, data }
}

#[test]
fn it_is_a_secure_block_device_with_the_queues_that_are_asked_for() {
    let driver = Driver::new(&[], &[("num-queues", "3"), ("queue-size", "64")]);
    assert_eq!(driver.device.class().status(), SecurityStatus::Secure);
    assert_eq!(driver.read(DEVICE_ID), 2);
    for (queue, most) in [(0, 64), (2, 64), (3, 0)] {
        driver.write(QUEUE_SEL, queue);
        assert_eq!(driver.read(QUEUE_NUM_MAX), most, "queue {queue}");
    }
    assert_eq!(u16::from_le_bytes(driver.config(34)), 3);
    assert_eq!(u64::from_le_bytes(driver.config(0)), 128, "64 KiB");
    // What is not of the configuration reads as ones.
    assert_eq!(driver.config::<4>(60), [0xff; 4]);
    assert_eq!(driver.config::<8>(56), [0xff; 8]);
}

#[test]
fn what_was_written_is_read() {
    for options in [&[][..], &[("iothread", "io0")]] {
        let mut driver = Driver::started(options, 0);
        let bytes: Vec<u8> = (0..1024_u32).map(|at| (at % 251) as u8).collect();
        assert_eq!(driver.ask(request::OUT, 3, &bytes, 0), done(1, Vec::new()));
        assert_eq!(driver.node.bytes()[1536..2560], bytes);
        assert_eq!(driver.ask(request::IN, 3, &[], 1024), done(1025, bytes.clone()));
        assert_eq!(driver.ask(request::IN, 4, &[], 512), done(513, bytes[512..].to_vec()));
        assert_eq!(driver.ask(request::IN, 127, &[], 512), done(513, vec![0; 512]));
        assert_eq!(driver.ask(request::IN, 0, &[], 0), done(1, Vec::new()), "nothing at all");
    }
}

#[test]
fn a_request_may_be_cut_into_buffers_anyhow() {
    let mut driver = Driver::started(&[], 0);
    let bytes: Vec<u8> = (0..512_u32).map(|at| (at % 251) as u8).collect();
    // Header and data in one buffer; header cut in two, and data behind the second half.
    let head = header(request::OUT, 5);
    let whole = [&head[..], &bytes].concat();
    driver.node.came();
    for cut in [528, 7, 16, 17, 100] {
        driver.node.bytes().fill(0);
        let mut parts = vec![Part::Out(whole[..cut].to_vec())];
        if cut < whole.len() {
            parts.push(Part::Out(whole[cut..].to_vec()));
        }
        parts.push(Part::In(1));
        assert_eq!(driver.chain(&parts), done(1, Vec::new()), "cut at {cut}");
        assert_eq!(driver.node.bytes()[2560..3072], bytes, "cut at {cut}");
        assert_eq!(driver.node.came(), [(Command::Write, 2560, 512)]);
    }
    // Data and status in one buffer, and cut at the status or before it.
    for cut in [513, 512, 1, 200] {
        let mut parts = vec![Part::Out(header(request::IN, 5)), Part::In(cut)];
        if cut < 513 {
            parts.push(Part::In(513 - cut));
        }
        assert_eq!(driver.chain(&parts), done(513, bytes.clone()), "cut at {cut}");
    }
}

#[test]
fn the_serial_number_is_told_as_far_as_there_is_room() {
    let id = |serial: &str, room| {
        let mut driver = Driver::started(&[("serial", serial)], 0);
        driver.ask(request::GET_ID, 0, &[], room)
    };
    let padded = |text: &[u8]| [text, &[0; 20][text.len()..]].concat();
    assert_eq!(id("disk0", 20), Answer { status: OK, written: 21, data: padded(b"disk0") });
    assert_eq!(id("", 20), done(21, vec![0; 20]));
    assert_eq!(
        id("0123456789abcdefghijklmn", 20),
        done(21, b"0123456789abcdefghij".to_vec()),
        "the first 20 bytes"
    );
    assert_eq!(id("disk0", 3), done(4, b"dis".to_vec()));
    let mut long = padded(b"disk0");
    long.extend([UNTOUCHED; 4]);
    assert_eq!(id("disk0", 24), done(20, long), "no byte behind a gap is told of");
}

#[test]
fn flushes_discards_and_zeroes_reach_the_node() {
    let mut driver = Driver::new(&[("discard", "unmap")], &[]);
    driver.start(0);
    driver.node.bytes().fill(7);
    assert_eq!(driver.ask(request::FLUSH, 0, &[], 0), done(1, Vec::new()));
    for (kind, flags) in
        [(request::DISCARD, 0), (request::WRITE_ZEROES, 0), (request::WRITE_ZEROES, 1)]
    {
        assert_eq!(driver.ask(kind, 0, &place(2, 3, flags), 0), done(1, Vec::new()));
    }
    assert_eq!(
        driver.node.came(),
        [
            (Command::Flush, 0, 0),
            (Command::Discard, 1024, 1536),
            (Command::WriteZeroes { unmap: false }, 1024, 1536),
            (Command::WriteZeroes { unmap: true }, 1024, 1536),
        ]
    );
    assert_eq!(driver.node.bytes()[1024..2560], [0; 1536]);
    assert_eq!(driver.node.bytes()[2560], 7);
}

#[test]
fn what_can_not_be_done_fails_and_never_reaches_the_node() {
    let mut driver = Driver::started(&[], 0);
    let data = [1; 512];
    for (kind, sector, out, room, status) in [
        (request::IN, 128, &[][..], 512, status::IOERR),
        (request::IN, 127, &[], 1024, status::IOERR),
        (request::IN, 0, &[], 100, status::IOERR),
        (request::IN, u64::MAX, &[], 512, status::IOERR),
        (request::OUT, 128, &data, 0, status::IOERR),
        (request::OUT, 0, &data[..100], 0, status::IOERR),
        (request::DISCARD, 0, &place(128, 1, 0), 0, status::IOERR),
        (request::DISCARD, 0, &place(0, u32::MAX, 0), 0, status::IOERR),
        (request::DISCARD, 0, &place(0, 1, 1), 0, status::UNSUPP),
        (request::WRITE_ZEROES, 0, &data[..15], 0, status::IOERR),
        (request::WRITE_ZEROES, 0, &place(0, 1, 2), 0, status::UNSUPP),
        (2, 0, &[], 32, status::UNSUPP),
        (14, 0, &place(0, 1, 0), 0, status::UNSUPP),
        (u32::MAX, 0, &[], 0, status::UNSUPP),
    ] {
        let answer = driver.ask(kind, sector, out, room);
        assert_eq!(answer.status, status, "{kind} {sector}");
        // Of the bytes that come first it has written none, so that it tells of none.
        assert_eq!(answer.written, u32::from(room == 0));
        assert!(answer.data.iter().all(|byte| *byte == UNTOUCHED), "{kind} {sector}");
    }
    assert_eq!(driver.node.came(), []);
}

#[test]
fn nothing_is_written_to_a_node_that_is_read_only() {
    let mut driver = Driver::new(&[("read-only", "on")], &[]);
    let features = u64::from(driver.offered());
    assert_ne!(features & feature::RO, 0);
    assert_eq!(features & (feature::DISCARD | feature::WRITE_ZEROES), 0);
    driver.start(0);
    for (kind, out) in [
        (request::OUT, vec![1; 512]),
        (request::DISCARD, place(0, 1, 0)),
        (request::WRITE_ZEROES, place(0, 1, 0)),
    ] {
        assert_eq!(driver.ask(kind, 0, &out, 0).status, status::IOERR);
    }
    assert_eq!(driver.node.came(), []);
    assert_eq!(driver.ask(request::IN, 0, &[], 512).status, OK);
}

#[test]
fn without_a_cache_every_write_is_flushed_before_it_is_done() {
    let write = (Command::Write, 0, 512);
    let zeroes = (Command::WriteZeroes { unmap: false }, 0, 512);
    let flush = (Command::Flush, 0, 0);
    let commands = |driver: &mut Driver| {
        driver.node.came();
        assert_eq!(driver.ask(request::OUT, 0, &[1; 512], 0).status, OK);
        assert_eq!(driver.ask(request::WRITE_ZEROES, 0, &place(0, 1, 0), 0).status, OK);
        driver.node.came()
    };
    let through = [write, flush, zeroes, flush];
    // The driver can flush, and is told that it has to.
    let mut driver = Driver::started(&[], 0);
    assert_eq!(driver.config(32), [1]);
    assert_eq!(commands(&mut driver), [write, zeroes]);
    // It switches the cache off, and on again.
    driver.set_writeback(0);
    assert_eq!(driver.config(32), [0]);
    assert_eq!(commands(&mut driver), through);
    driver.set_writeback(1);
    assert_eq!(commands(&mut driver), [write, zeroes]);
    // A reset brings back what the user wants.
    driver.set_writeback(0);
    driver.start(feature::CONFIG_WCE);
    assert_eq!(driver.config(32), [1]);
    assert_eq!(commands(&mut driver), [write, zeroes]);
    // A driver that can neither flush nor switch, and one that can't flush.
    driver.start(feature::CONFIG_WCE | feature::FLUSH);
    assert_eq!(commands(&mut driver), through);
    driver.start(feature::FLUSH);
    assert_eq!(driver.config(32), [0]);
    assert_eq!(commands(&mut driver), through);
    // The user wants none.
    for without in [0, feature::CONFIG_WCE] {
        let mut driver = Driver::started(&[("write-cache", "off")], without);
        assert_eq!(driver.config(32), [0]);
        assert_eq!(commands(&mut driver), through);
    }
    // The switch is not there.
    let driver = Driver::started(&[("config-wce", "off")], 0);
    driver.set_writeback(0);
    assert_eq!(driver.config(32), [1]);
}

#[test]
fn only_the_cache_s_switch_can_be_written_of_the_configuration() {
    let driver = Driver::started(&[], 0);
    let before = (0..60).map(|at| driver.config::<1>(at)).collect::<Vec<_>>();
    for at in 0..70 {
        let base = DEFAULT_BASE + CONFIG + at;
        for data in [&[0x5a; 2][..], &[0x5a; 4], &[0x5a; 8]] {
            driver.machine.write_memory(base, data);
        }
        if at != 32 {
            driver.machine.write_memory(base, &[0x5a]);
        }
    }
    assert_eq!((0..60).map(|at| driver.config::<1>(at)).collect::<Vec<_>>(), before);
}

#[test]
fn each_queue_is_served() {
    let mut driver = Driver::started(&[("num-queues", "4"), ("iothread", "io0")], 0);
    for queue in 0..4_u16 {
        driver.offer(queue.into(), queue, &usual(request::OUT, queue.into(), &[9; 512], 0));
    }
    for queue in 0..4 {
        driver.notify(queue);
    }
    for queue in 0..4_u16 {
        assert_eq!(driver.used(queue.into()), (queue, 1));
    }
    assert_eq!(driver.node.bytes()[..2048], [9; 2048]);
}

#[test]
fn a_disk_that_is_resized_tells_its_driver() {
    let mut driver = Driver::started(&[], 0);
    let node = driver.machine.tree.resolve("/n").unwrap();
    let generation = driver.read(CONFIG_GENERATION);
    driver.node.bytes().resize(1 << 17, 0);
    assert_eq!(u64::from_le_bytes(driver.config(0)), 128, "it has not been told yet");
    driver.machine.platform.block_users().resized(&node);
    wait_until("the interrupt", || driver.read(INTERRUPT_STATUS) & INTERRUPT_CONFIG != 0);
    assert_ne!(driver.read(CONFIG_GENERATION), generation);
    assert_eq!(u64::from_le_bytes(driver.config(0)), 256);
    assert_eq!(driver.ask(request::IN, 255, &[], 512).status, OK);
    driver.node.bytes().truncate(1 << 10);
    driver.machine.platform.block_users().resized(&node);
    assert_eq!(u64::from_le_bytes(driver.config(0)), 2);
    assert_eq!(driver.ask(request::IN, 2, &[], 512).status, status::IOERR);
}

#[test]
fn what_no_disk_can_be_is_refused_in_words() {
    let Driver { machine, device, .. } = Driver::new(&[], &[]);
    machine.remove(&device);
    for (property, value, why) in [
        (
            "logical_block_size",
            "1000",
            "logical_block_size must be a power of two from 512 to 2097152, not 1000",
        ),
        ("queue-size", "100", "queue-size must be a power of two from 4 to 1024, not 100"),
        ("num-queues", "0", "Parameter 'num-queues' expects a value from 1 to 256, got '0'"),
    ] {
        let properties = [("drive", "n"), (property, value)];
        let error = machine.create("virtio-blk-device", "bad", &properties).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let error = machine.create("virtio-blk-device", "bad", &[]).unwrap_err().to_string();
    assert!(error.contains("'drive'"), "{error}");
    // Nothing of them is left that would use the node.
    machine.add("virtio-blk-device", "disk", &[("drive", "n")]);
}
