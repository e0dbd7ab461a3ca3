//! Doing what a command says.

use std::sync::Arc;

use device_model::{
    clock::{MOST_EXPIRATIONS, StepError, SteppedClock},
    platform::Platform,
    qom_core::{Obj, PathError, Tree},
};
use parking_lot::Mutex;
use thiserror::Error;

use super::{
    QtestAccel,
    accel::QtestAccelError,
    access::GuestAccess,
    answer::Answer,
    irq::{InterceptError, Interception},
    protocol::{Command, Encoding, parse},
};
use crate::options::excerpt::excerpt;

/// Bytes that `memset` writes at a time.
const FILL_SIZE: usize = 4096;

/// Why a command was not done.
#[derive(Debug, Error)]
enum DriveError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Intercept(#[from] InterceptError),
    #[error("no timer is set, which the clock could be stepped to")]
    NoDeadline,
    #[error("{by} ns from {now} ns on is later than the clock can show")]
    ClockRange { now: u64, by: u64 },
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("the program is at its end")]
    Ending,
}

/// What drives a machine in place of its processors.
pub struct Driver {
    platform: Arc<Platform>,
    access: Mutex<GuestAccess>,
    clock: Arc<SteppedClock>,
    interception: Arc<Interception>,
}

impl Driver {
    /// Drives a machine all of whose devices are realized, and whose accelerator that is. What is
    /// intercepted on the way, `interception` keeps: its caller makes it the watcher of the
    /// platform's lines.
    ///
    /// # Errors
    /// If the accelerator is not open.
    pub fn new(
        platform: Arc<Platform>,
        accelerator: &QtestAccel,
        interception: Arc<Interception>,
    ) -> Result<Self, QtestAccelError> {
        let clock = accelerator.clock().ok_or(QtestAccelError::NoProcessors)?;
        let access = GuestAccess::new(Arc::clone(&platform), accelerator.read_only());
        Ok(Self { platform, access: Mutex::new(access), clock, interception })
    }

    /// Does what a line without its end says. `go_on` is called again and again while it takes
    /// long, and may end it.
    pub fn obey(&self, tree: &Tree, line: &[u8], go_on: &mut dyn FnMut() -> bool) -> Answer {
        match parse(line) {
            Ok(command) => self.execute(tree, &command, go_on),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    /// Does what a command says, as [`Driver::obey`].
    pub fn execute(
        &self,
        tree: &Tree,
        command: &Command,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Answer {
        self.drive(tree, command, go_on).unwrap_or_else(|error| Answer::Failed(error.to_string()))
    }

    fn drive(
        &self,
        tree: &Tree,
        command: &Command,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Answer, DriveError> {
        let mut access = self.access.lock();
        match *command {
            Command::Read { address, width } => {
                return Ok(Answer::Memory(access.read_number(address, width)));
            }
            Command::Write { address, width, value } => {
                access.write_number(address, width, value);
            }
            Command::In { port, width } => return Ok(Answer::Port(access.port_in(port, width))),
            Command::Out { port, width, value } => access.port_out(port, width, value),
            Command::ReadData { address, size, encoding } => {
                return read(&mut access, address, size, encoding, go_on);
            }
            Command::WriteData { address, ref data } => {
                write(&mut access, address, data, go_on)?;
            }
            Command::Fill { address, size, value } => {
                let pattern = [value; FILL_SIZE];
                let mut done = 0;
                while done < size {
                    let left = usize::try_from(size - done).unwrap_or(FILL_SIZE).min(FILL_SIZE);
                    write(&mut access, address.saturating_add(done), &pattern[..left], go_on)?;
                    done += left as u64;
                }
            }
            Command::ClockStep(by) => return self.step(by, go_on),
            Command::ClockSet(time) => return self.advance_to(time, go_on),
            Command::InterceptIn(ref path) => {
                let controller = find(tree, path)?;
                self.interception.intercept_inputs(&self.platform, &controller)?;
            }
            Command::InterceptOut(ref path) => {
                let device = find(tree, path)?;
                self.interception.intercept_outputs(&self.platform, &device)?;
            }
            Command::SetIrqIn { ref path, pin, level } => {
                let controller = find(tree, path)?;
                self.interception.set_input(&self.platform, &controller, pin, level)?;
            }
            Command::Endianness => return Ok(Answer::Word("little")),
        }
        Ok(Answer::Done)
    }

    fn step(&self, by: Option<u64>, go_on: &mut dyn FnMut() -> bool) -> Result<Answer, DriveError> {
        let now = self.clock.now();
        let time = match by {
            Some(by) => now.checked_add(by).ok_or(DriveError::ClockRange { now, by })?,
            None => self.clock.next_deadline().ok_or(DriveError::NoDeadline)?,
        };
        self.advance_to(time, go_on)
    }

    /// Brings the clock to a time, from one deadline to the next, so that what comes of each is told
    /// on the way.
    fn advance_to(&self, time: u64, go_on: &mut dyn FnMut() -> bool) -> Result<Answer, DriveError> {
        for _ in 0..MOST_EXPIRATIONS {
            match self.clock.next_deadline().filter(|deadline| *deadline <= time) {
                Some(deadline) => self.clock.advance_to(deadline)?,
                None => return Ok(Answer::Time(self.clock.advance_to(time)?)),
            };
            if !go_on() {
                return Err(DriveError::Ending);
            }
        }
        Err(StepError::TooManyExpirations { now: self.clock.now() }.into())
    }
}

fn find(tree: &Tree, path: &str) -> Result<Obj, DriveError> {
    tree.resolve(path).map_err(|error| match error {
        PathError::NotFound(path) => PathError::NotFound(excerpt(&path)).into(),
        PathError::Ambiguous(path) => PathError::Ambiguous(excerpt(&path)).into(),
    })
}

fn read(
    access: &mut GuestAccess,
    address: u64,
    size: usize,
    encoding: Encoding,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Answer, DriveError> {
    let mut data = vec![0; size];
    let mut done = 0;
    while let Some(rest) = data.get_mut(done..).filter(|rest| !rest.is_empty()) {
        done += access.read_some(address.saturating_add(done as u64), rest);
        if !go_on() {
            return Err(DriveError::Ending);
        }
    }
    Ok(Answer::Data(data, encoding))
}

fn write(
    access: &mut GuestAccess,
    address: u64,
    data: &[u8],
    go_on: &mut dyn FnMut() -> bool,
) -> Result<(), DriveError> {
    let mut done = 0;
    while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
        done += access.write_some(address.saturating_add(done as u64), rest);
        if !go_on() {
            return Err(DriveError::Ending);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use device_model::{
        clock::Timer,
        qom_core::{Policy, PolicyStatement},
        testing::Machine,
    };

    use super::*;
    use crate::accelerator::Accelerator;

    struct Bench {
        machine: Machine,
        driver: Driver,
        platform: Arc<Platform>,
    }

    impl Bench {
        fn new() -> Self {
            let machine =
                Machine::with_policy(Policy::of(&[PolicyStatement::ProhibitInsecure(true)]));
            let accel = machine.add("qtest-accel", "accel", &[]);
            let platform = Arc::clone(&machine.platform);
            let driven: Arc<QtestAccel> = accel.cast().expect("it is one");
            let interception = Arc::new(Interception::new(|| {}));
            let early = Driver::new(Arc::clone(&platform), &driven, Arc::clone(&interception));
            assert!(early.is_err(), "it is not open");
            driven.open(&accel, &platform).expect("it needs nothing of the host");
            let driver = Driver::new(Arc::clone(&platform), &driven, interception);
            Self { driver: driver.expect("it is open"), machine, platform }
        }

        fn obey(&self, line: &str) -> String {
            self.driver.obey(&self.machine.tree, line.as_bytes(), &mut || true).line()
        }

        /// A timer that nobody hears of.
        fn timer(&self, after: u64) -> Timer {
            let timer = self.platform.clock().timer(self.platform.events(), || {});
            let timer = timer.expect("it needs no descriptor");
            timer.set(Some(Duration::from_nanos(after)));
            timer
        }
    }

    #[test]
    fn the_clock_is_stepped_to_the_next_deadline_or_by_so_much() {
        let bench = Bench::new();
        let none = "FAIL no timer is set, which the clock could be stepped to";
        assert_eq!(bench.obey("clock_step"), none);
        let _timers = [bench.timer(30), bench.timer(10)];
        assert_eq!(bench.obey("clock_step"), "OK 10");
        assert_eq!(bench.obey("clock_step 5"), "OK 15");
        assert_eq!(bench.obey("clock_step"), "OK 30");
        assert_eq!(bench.obey("clock_step"), none);
        assert_eq!(bench.obey("clock_set 20"), "OK 30");
        assert_eq!(bench.obey("clock_set 0xffffffffffffffff"), format!("OK {}", u64::MAX));
        let late = format!("FAIL 1 ns from {} ns on is later than the clock can show", u64::MAX);
        assert_eq!(bench.obey("clock_step 1"), late);
    }

    #[test]
    fn what_takes_long_ends_when_it_is_told_to() {
        let bench = Bench::new();
        let _timer = bench.timer(10);
        for line in ["memset 0x1000 64 0", "read 0x1000 64", "write 0 2 0x0102", "clock_step 10"] {
            let mut calls = 0;
            let mut go_on = || {
                calls += 1;
                false
            };
            let answer = bench.driver.obey(&bench.machine.tree, line.as_bytes(), &mut go_on);
            assert_eq!(answer.line(), "FAIL the program is at its end", "{line}");
            assert_eq!(calls, 1, "{line}");
        }
    }

    #[test]
    fn a_machine_without_memory_and_devices_answers_as_an_empty_bus() {
        let bench = Bench::new();
        assert_eq!(bench.obey("readq 0"), "OK 0xffffffffffffffff");
        assert_eq!(bench.obey("inw 0"), "OK 0xffff");
        assert_eq!(bench.obey("writeb 0 1"), "OK");
        assert_eq!(bench.obey("b64read 0 3"), "OK ////");
        assert_eq!(bench.obey("irq_intercept_in /nowhere"), "FAIL Device '/nowhere' not found");
    }
}
