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
