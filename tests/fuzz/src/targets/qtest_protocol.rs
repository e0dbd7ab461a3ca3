//! A client of the qtest protocol: the pieces that its lines come in make no difference, each line has
//! one answer of one line, time never goes back, and what is told of interrupts is how they change.

use std::{cell::RefCell, collections::BTreeMap, ffi::OsString, sync::Arc};

use device_model::{device::Device, qom_core::Registry};
use vmm::{
    options::command_line::CommandLine,
    qtest::{
        QtestAccel,
        driver::Driver,
        irq::Interception,
        lines::{LineReader, LineTooLong},
    },
    session::Vm,
};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "qtest-protocol", covers: &["qtest", "qtest-accel"], run });

/// How many steps a line may take, of accesses to devices, pages of memory and expirations.
const MOST_STEPS: u32 = 10_000;
/// Pins of the machine's interrupt controller.
const PINS: u32 = 24;
/// Where a machine's clock may stand for another input, in nanoseconds.
const LATEST: u64 = 3_600_000_000_000;

/// A machine, and what drives it.
struct Driven {
    vm: Vm,
    driver: Driver,
    interception: Arc<Interception>,
}

thread_local! {
    /// Kept until its clock is late: an input starts at a reset.
    static MADE: RefCell<Option<Driven>> = const { RefCell::new(None) };
}

type Line = Result<Vec<u8>, LineTooLong>;

fn lines(reader: &mut LineReader, mut bytes: &[u8], lines: &mut Vec<Line>) {
    while let Some(line) = reader.next(&mut bytes) {
        lines.push(line);
    }
    assert!(bytes.is_empty(), "input is left without a line to tell of");
}

/// A byte: how many bytes come at a time, less one. The rest is what comes.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let piece = usize::from(input.byte()) + 1;
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    lines(&mut LineReader::default(), input.rest(), &mut whole);
    let mut reader = LineReader::default();
    input.rest().chunks(piece).for_each(|piece| lines(&mut reader, piece, &mut pieces));
    assert_eq!(whole, pieces, "lines depend on the pieces that they came in");
    let whole: Vec<_> = whole.into_iter().flatten().collect();
    if whole.is_empty() {
        return;
    }
    MADE.with_borrow_mut(|made| {
        let machine = made.get_or_insert_with(machine);
        drive(machine, &whole);
        if machine.vm.platform().clock().now() > LATEST {
            *made = None;
        }
    });
}

fn machine() -> Driven {
    let words = [
        ["-accel", "qtest"],
        ["-machine", "microvm,prohibit-insecure=yes"],
        ["-m", "4M"],
        ["-serial", "null"],
        ["-device", "pvpanic"],
        // So that a run does not depend on when it is.
        ["-global", "mc146818rtc.base=2006-06-17T16:01:21"],
    ];
    let line = CommandLine::parse(words.into_iter().flatten().map(OsString::from));
    let registry = Registry::global().expect("the types are in order");
    let vm = Vm::create(registry, &line.expect("these are options"));
    let vm = vm.expect("it needs nothing of the host");
    let accelerator = vm.tree().resolve("/accel").expect("there is one");
    let accelerator: Arc<QtestAccel> = accelerator.cast().expect("it is that");
    let interception = Arc::new(Interception::new(|| {}));
    let watcher = Arc::downgrade(&interception);
    assert!(vm.platform().watch_lines(watcher), "there is a watcher already");
    let platform = Arc::clone(vm.platform());
    let driver = Driver::new(platform, &accelerator, Arc::clone(&interception));
    let driver = driver.expect("the accelerator is open");
    Driven { vm, driver, interception }
}

fn drive(Driven { vm, driver, interception }: &Driven, lines: &[Vec<u8>]) {
    interception.clear();
    for object in vm.tree().walk() {
        if let Some(device) = object.cast::<dyn Device>() {
            device.reset();
        }
    }
    let mut time = 0;
    let mut levels = BTreeMap::new();
    for line in lines {
        let mut steps = 0;
        let mut go_on = || {
            judge_interrupts(interception, &mut levels);
            steps += 1;
            steps < MOST_STEPS
        };
        let answer = driver.obey(vm.tree(), line, &mut go_on).line();
        let known = answer == "OK" || answer.starts_with("OK ") || answer.starts_with("FAIL ");
        assert!(known && !answer.contains(char::is_control), "{answer:?}");
        judge_interrupts(interception, &mut levels);
        let now = vm.platform().clock().now();
        assert!(now >= time, "time goes back");
        time = now;
    }
    // Each device asks for each thing once, until it is answered.
    assert!(vm.platform().requests().take().len() <= 16, "requests pile up");
}

/// Interrupts of the same number go up and down by turns. Where the first starts, nobody was told.
fn judge_interrupts(interception: &Interception, levels: &mut BTreeMap<u32, bool>) {
    let (changes, complete) = interception.take();
    assert!(complete, "changes were lost within one step");
    for change in changes {
        assert!(change.number < PINS, "{change}");
        let before = levels.insert(change.number, change.level);
        assert_ne!(before, Some(change.level), "{change}");
    }
}
