//! Interrupt lines: when the controller is told, and what is left when the device has gone.

use std::{
    sync::{Arc, Weak},
    thread,
};

use device_model::{interrupt::LineWatcher, prelude::*, testing::Machine};

/// A device with a line that a test drives
#[qom_type(secure, parent = IsaDevice)]
struct Wired {
    line: Realized<InterruptLine>,
}

impl Device for Wired {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.line.set(cx.interrupt_line(7)?);
        Ok(())
    }
}

impl IsaDevice for Wired {}

fn line(device: &Obj) -> Arc<InterruptLine> {
    device.cast::<Wired>().and_then(|device| device.line.get()).expect("it is realized")
}

#[test]
fn a_controller_is_told_of_changes_only() {
    let (machine, controller) = Machine::with_controller();
    let line = line(&machine.add("wired", "wired", &[]));
    line.set_level(false);
    assert_eq!(controller.take_changes(), [], "it was low from the start");
    line.set_level(true);
    line.set_level(true);
    line.as_ref().clone().set_level(true);
    assert_eq!(controller.take_changes(), [(7, true)]);
    assert!(line.level());
    line.set_level(false);
    line.set_level(false);
    assert_eq!(controller.take_changes(), [(7, false)]);
    assert!(!line.level());
}

#[test]
fn a_line_of_a_device_that_is_gone_goes_low_and_stays_so() {
    let (machine, controller) = Machine::with_controller();
    let device = machine.add("wired", "wired", &[]);
    let line = line(&device);
    line.set_level(true);
    machine.remove(&device);
    assert_eq!(controller.take_changes(), [(7, true), (7, false)]);
    line.set_level(true);
    line.set_level(false);
    assert_eq!(controller.take_changes(), []);
    // The pin is another's then, which the old line can't disturb.
    let next = self::line(&machine.add("wired", "next", &[]));
    next.set_level(true);
    line.set_level(true);
    line.set_level(false);
    assert_eq!(controller.take_changes(), [(7, true)]);
}

/// Writes down what it hears.
#[derive(Default)]
struct Ear(Mutex<Vec<(u32, bool)>>);

impl LineWatcher for Ear {
    fn line_changed(&self, pin: u32, level: bool) {
        self.0.lock().push((pin, level));
    }
}

#[test]
fn a_watcher_hears_of_each_change_of_every_line_for_as_long_as_it_is_kept() {
    let (machine, controller) = Machine::with_controller();
    let before = machine.add("wired", "before", &[]);
    let ear = Arc::new(Ear::default());
    let watcher: Weak<Ear> = Arc::downgrade(&ear);
    assert!(machine.platform.watch_lines(watcher.clone()));
    assert!(!machine.platform.watch_lines(watcher), "there is one");
    line(&before).set_level(true);
    line(&before).set_level(true);
    machine.remove(&before);
    let after = machine.add("wired", "after", &[]);
    line(&after).set_level(true);
    let changes = [(7, true), (7, false), (7, true)];
    assert_eq!(*ear.0.lock(), changes);
    assert_eq!(controller.take_changes(), changes, "the controller is told as ever");
    let lines = machine.platform.lines();
    assert!(matches!(&*lines, [(line, owner)] if line.level() && owner.same(&after)));
    drop(ear);
    line(&after).set_level(false);
    assert_eq!(controller.take_changes(), [(7, false)]);
}

#[test]
fn callers_at_once_leave_the_controller_at_the_level_that_the_line_remembers() {
    let (machine, controller) = Machine::with_controller();
    let device = machine.add("wired", "wired", &[]);
    let line = line(&device);
    thread::scope(|scope| {
        for first in [true, false, true, false] {
            let line = &line;
            scope.spawn(move || {
                for round in 0..2000 {
                    line.set_level(first ^ (round % 3 == 0));
                }
            });
        }
    });
    assert_eq!(line.level(), controller.level(7));
    let changes = controller.take_changes();
    assert!(changes.first().is_some_and(|(_, level)| *level), "it starts low");
    assert!(changes.is_sorted_by(|a, b| a.1 != b.1), "each call changes the level");
}
