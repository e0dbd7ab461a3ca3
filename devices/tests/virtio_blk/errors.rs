//! Disks that fail: what the guest is told, what monitors are told, and what is tried again.

use std::sync::Arc;

use device_model::{
    block::Command,
    device::Device,
    monitor::{EventListener, Occurrence},
    prelude::{Mutex, Value},
    request::VmRequest,
    testing::wait_until,
};
use devices::virtio::blk::spec::{feature, request, status};

use crate::driver::{Driver, usual};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Notes events.
#[derive(Default)]
struct Notes(Mutex<Vec<Value>>);

impl EventListener for Notes {
    fn hear(&self, occurrence: &Occurrence) {
        assert_eq!(occurrence.name, "BLOCK_IO_ERROR");
        self.0.lock().push(occurrence.data.clone().expect("it tells something"));
    }
}

impl Notes {
    fn of(driver: &Driver) -> Arc<Self> {
        let notes = Arc::new(Self::default());
        let listener: Arc<dyn EventListener> = Arc::clone(&notes) as _;
        driver.machine.platform.listen(Arc::downgrade(&listener));
        notes
    }

    /// Operation and action of each.
    fn take(&self) -> Vec<(String, String)> {
        let events = std::mem::take(&mut *self.0.lock());
        let word = |value: &Value| value.as_str().expect("it is a word").to_owned();
        events.iter().map(|event| (word(&event["operation"]), word(&event["action"]))).collect()
    }
}

fn said(operation: &str, action: &str) -> Vec<(String, String)> {
    vec![(operation.to_owned(), action.to_owned())]
}

#[test]
fn a_failure_is_reported_to_the_guest_and_to_monitors() {
    let mut driver = Driver::started(&[], 0);
    let notes = Notes::of(&driver);
    for (kind, out, room, operation) in [
        (request::IN, &[][..], 512, "read"),
        (request::OUT, &[1; 512], 0, "write"),
        (request::FLUSH, &[], 0, "write"),
    ] {
        driver.node.fail([EIO]);
        let answer = driver.ask(kind, 0, out, room);
        assert_eq!((answer.status, answer.written), (status::IOERR, u32::from(room == 0)));
        assert_eq!(notes.take(), said(operation, "report"));
    }
    assert_eq!(driver.machine.requests(), [], "the machine goes on");
    assert_eq!(driver.ask(request::IN, 0, &[], 512).status, status::OK);
}

#[test]
fn an_event_names_the_disk() {
    let mut driver = Driver::new(&[("node-name", "n")], &[]);
    driver.start(0);
    let notes = Notes::of(&driver);
    driver.node.fail([EIO]);
    driver.ask(request::IN, 0, &[], 512);
    let event = notes.0.lock().pop().unwrap();
    assert_eq!((&event["qom-path"], &event["device"]), (&"/disk".into(), &"".into()));
    assert_eq!(event["node-name"], "n");
    assert!(event["reason"].as_str().is_some_and(|why| why.contains("Input/output")), "{event}");
}

#[test]
fn failures_may_be_ignored_but_for_those_to_flush() {
    let mut driver = Driver::started(&[("rerror", "ignore"), ("werror", "ignore")], 0);
    let notes = Notes::of(&driver);
    driver.node.fail([EIO]);
    assert_eq!(driver.ask(request::IN, 0, &[], 512).status, status::OK);
    assert_eq!(notes.take(), said("read", "ignore"));
    driver.node.fail([EIO]);
    assert_eq!(driver.ask(request::OUT, 0, &[1; 512], 0).status, status::OK);
    assert_eq!(notes.take(), said("write", "ignore"));
    driver.node.fail([EIO]);
    assert_eq!(driver.ask(request::FLUSH, 0, &[], 0).status, status::IOERR);
    assert_eq!(notes.take(), said("write", "report"));
    // A write that is done only once it has been flushed.
    driver.start(feature::FLUSH | feature::CONFIG_WCE);
    driver.node.hold(true);
    driver.offer(0, 0, &usual(request::OUT, 0, &[1; 512], 0));
    driver.notify(0);
    wait_until("the write", || driver.node.holding() == 1);
    driver.node.let_go();
    wait_until("the flush", || driver.node.holding() == 1);
    driver.node.fail([EIO]);
    driver.node.let_go();
    assert_eq!(driver.used(0), (0, 1));
    assert_eq!(notes.take(), said("write", "report"));
}

#[test]
fn the_machine_stops_and_what_failed_is_tried_again_when_it_goes_on() {
    let mut driver = Driver::started(&[("rerror", "stop"), ("werror", "stop")], 0);
    let notes = Notes::of(&driver);
    driver.node.bytes().fill(3);
    driver.node.fail([EIO]);
    let parts = usual(request::IN, 0, &[], 512);
    driver.offer(0, 0, &parts);
    driver.notify(0);
    wait_until("the machine's stop", || driver.machine.requests() == [VmRequest::StopOnIoError]);
    assert_eq!(notes.take(), said("read", "stop"));
    // Nothing new is taken meanwhile.
    driver.offer(0, 1, &usual(request::IN, 1, &[], 512));
    driver.notify(0);
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(driver.used_count(0), 0);
    assert_eq!(driver.node.came(), [(Command::Read, 0, 512)]);
    // It fails once more.
    driver.node.fail([EIO]);
    let device = driver.device.cast::<dyn Device>().unwrap();
    device.resumed();
    wait_until("another stop", || driver.machine.requests() == [VmRequest::StopOnIoError]);
    device.resumed();
    let mut used = [driver.used(0), driver.used(0)];
    used.sort_unstable();
    assert_eq!(used, [(0, 513), (1, 513)]);
    assert_eq!(driver.bytes(0, &parts), [&[3; 512][..], &[0]].concat());
    device.resumed();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(driver.used_count(0), 2, "nothing is tried twice");
}

#[test]
fn a_disk_without_room_stops_the_machine_unless_told_otherwise() {
    for (options, stops) in
        [(&[][..], true), (&[("werror", "enospc")], true), (&[("werror", "report")], false)]
    {
        let mut driver = Driver::started(options, 0);
        let notes = Notes::of(&driver);
        driver.node.fail([ENOSPC]);
        driver.offer(0, 0, &usual(request::OUT, 0, &[5; 512], 0));
        driver.notify(0);
        if stops {
            wait_until("the stop", || driver.machine.requests() == [VmRequest::StopOnIoError]);
            assert_eq!(notes.0.lock()[0]["nospace"], true);
            driver.device.cast::<dyn Device>().unwrap().resumed();
        }
        assert_eq!(driver.used(0), (0, 1));
        let written = driver.node.bytes()[0];
        assert_eq!(written, if stops { 5 } else { 0 });
    }
}

#[test]
fn a_flush_that_follows_a_write_is_tried_again_and_not_the_write() {
    let mut driver = Driver::started(&[("write-cache", "off"), ("werror", "stop")], 0);
    driver.node.hold(true);
    driver.offer(0, 0, &usual(request::OUT, 0, &[5; 512], 0));
    driver.notify(0);
    wait_until("the write", || driver.node.holding() == 1);
    driver.node.let_go();
    wait_until("the flush", || driver.node.holding() == 1);
    driver.node.fail([EIO]);
    driver.node.hold(false);
    driver.node.let_go();
    wait_until("the stop", || driver.machine.requests() == [VmRequest::StopOnIoError]);
    assert_eq!(driver.used_count(0), 0);
    driver.device.cast::<dyn Device>().unwrap().resumed();
    assert_eq!(driver.used(0), (0, 1));
    let flush = (Command::Flush, 0, 0);
    assert_eq!(driver.node.came(), [(Command::Write, 0, 512), flush, flush]);
}

#[test]
fn a_reset_forgets_what_was_to_be_tried_again() {
    let mut driver = Driver::started(&[("werror", "stop")], 0);
    driver.node.fail([EIO]);
    driver.offer(0, 0, &usual(request::OUT, 0, &[5; 512], 0));
    driver.notify(0);
    wait_until("the stop", || driver.machine.requests() == [VmRequest::StopOnIoError]);
    driver.start(0);
    driver.device.cast::<dyn Device>().unwrap().resumed();
    assert_eq!(driver.ask(request::IN, 0, &[], 512).data, [0; 512]);
    assert_eq!(driver.node.came(), [(Command::Write, 0, 512), (Command::Read, 0, 512)]);
}
