//! Interception: a client hears of each change of the levels of a controller's inputs, or of a
//! device's interrupt lines.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt, mem,
};

use device_model::{
    interrupt::{InterruptController, LineWatcher},
    platform::Platform,
    qom_core::Obj,
};
use parking_lot::Mutex;
use thiserror::Error;

/// How many changes may wait for a client that takes none, before it is taken for dead.
const MOST_WAITING: usize = 4096;

/// The change of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrqChange {
    /// The controller's pin, or the number of the line among those of the device, from 0.
    pub number: u32,
    /// Whether it is high now.
    pub level: bool,
}

/// As the client is told of it.
impl fmt::Display for IrqChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IRQ {} {}", if self.level { "raise" } else { "lower" }, self.number)
    }
}

/// Why nothing is intercepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InterceptError {
    /// Something else is.
    #[error("interrupts are intercepted elsewhere already")]
    Elsewhere,
    /// No lines lead to the object.
    #[error("no interrupt lines lead to an object of type '{0}'")]
    NoInputs(&'static str),
    /// The object has no lines.
    #[error("the object of type '{0}' has no interrupt lines")]
    NoOutputs(&'static str),
    /// No such pin.
    #[error("there is no input {pin}: '{controller}' has 0 to {last}")]
    NoPin {
        /// The pin asked for.
        pin: u32,
        /// Type of the controller.
        controller: &'static str,
        /// Its last pin.
        last: u32,
    },
}

/// What changes a client hears of.
#[derive(Default)]
enum Tap {
    #[default]
    None,
    /// Those of the inputs of a controller.
    Inputs(Obj),
    /// Those of the lines of a device, which lead to these pins.
    Outputs(Obj, Vec<u32>),
}

#[derive(Default)]
struct State {
    tap: Tap,
    /// Pins that the client knows to be high, or that were so from the start.
    high: BTreeSet<u32>,
    waiting: VecDeque<IrqChange>,
    overflow: bool,
}

impl State {
    fn number(&self, pin: u32) -> Option<u32> {
        match &self.tap {
            Tap::None => None,
            Tap::Inputs(_) => Some(pin),
            Tap::Outputs(_, pins) => {
                pins.iter().position(|known| *known == pin).and_then(|at| u32::try_from(at).ok())
            }
        }
    }

    /// Whether there is news for the client.
    fn change(&mut self, pin: u32, level: bool) -> bool {
        let Some(number) = self.number(pin) else { return false };
        let changed = if level { self.high.insert(pin) } else { self.high.remove(&pin) };
        if !changed {
            return false;
        }
        if self.waiting.len() >= MOST_WAITING {
            self.overflow = true;
        } else {
            self.waiting.push_back(IrqChange { number, level });
        }
        true
    }
}

/// What a client wants to hear of, and what it has not been told yet.
pub struct Interception {
    state: Mutex<State>,
    /// Called when there is something to tell, on any thread, with a device's lock held.
    news: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Interception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.state.lock().waiting.len();
        f.debug_struct("Interception").field("waiting", &waiting).finish_non_exhaustive()
    }
}

impl Interception {
    /// One that intercepts nothing yet. `news` waits for nobody.
    pub fn new(news: impl Fn() + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), news: Box::new(news) }
    }

    /// Intercepts the inputs of a controller.
    ///
    /// # Errors
    /// If no lines lead to it, or something else is intercepted.
    pub fn intercept_inputs(
        &self,
        platform: &Platform,
        object: &Obj,
    ) -> Result<(), InterceptError> {
        controller(platform, object)?;
        self.intercept(platform, Tap::Inputs(object.clone()))
    }

    /// Intercepts the lines of a device.
    ///
    /// # Errors
    /// If it has none, or something else is intercepted.
    pub fn intercept_outputs(
        &self,
        platform: &Platform,
        object: &Obj,
    ) -> Result<(), InterceptError> {
        let lines = platform.lines();
        let lines = lines.iter().filter(|(_, owner)| owner.same(object));
        let pins: Vec<_> = lines.map(|(line, _)| line.pin()).collect();
        if pins.is_empty() {
            return Err(InterceptError::NoOutputs(object.class().name()));
        }
        self.intercept(platform, Tap::Outputs(object.clone(), pins))
    }

    fn intercept(&self, platform: &Platform, tap: Tap) -> Result<(), InterceptError> {
        let mut state = self.state.lock();
        match (&state.tap, &tap) {
            (Tap::None, _) => {
                state.tap = tap;
                // A line whose level changes meanwhile is either high here, or heard of afterwards.
                let lines = platform.lines();
                let high = lines.iter().filter(|(line, _)| line.level());
                state.high = high.map(|(line, _)| line.pin()).collect();
                Ok(())
            }
            // Once more, which changes nothing.
            (Tap::Inputs(there), Tap::Inputs(object))
            | (Tap::Outputs(there, _), Tap::Outputs(object, _))
                if there.same(object) =>
            {
                Ok(())
            }
            _ => Err(InterceptError::Elsewhere),
        }
    }

    /// Sets an input of a controller, as a line to it would.
    ///
    /// # Errors
    /// If no lines lead to the object, or it has no such pin.
    pub fn set_input(
        &self,
        platform: &Platform,
        object: &Obj,
        pin: u32,
        level: bool,
    ) -> Result<(), InterceptError> {
        let target = controller(platform, object)?;
        if pin >= target.pins() {
            let last = target.pins().saturating_sub(1);
            return Err(InterceptError::NoPin { pin, controller: object.class().name(), last });
        }
        target.set_level(pin, level);
        let mut state = self.state.lock();
        if matches!(state.tap, Tap::Inputs(_)) {
            // Whoever asked for it is at being answered, and hears of it before.
            state.change(pin, level);
        }
        Ok(())
    }

    /// The changes that the client has not been told, in order. False with them: there were more than
    /// are kept.
    pub fn take(&self) -> (VecDeque<IrqChange>, bool) {
        let mut state = self.state.lock();
        (mem::take(&mut state.waiting), !mem::take(&mut state.overflow))
    }

    /// Intercepts nothing any more, and forgets what waits.
    pub fn clear(&self) {
        // Handles are dropped after the lock.
        let _before = mem::take(&mut *self.state.lock());
    }
}

impl LineWatcher for Interception {
    fn line_changed(&self, pin: u32, level: bool) {
        let news = self.state.lock().change(pin, level);
        if news {
            (self.news)();
        }
    }
}

/// The object as the controller that the machine's lines lead to.
fn controller(
    platform: &Platform,
    object: &Obj,
) -> Result<std::sync::Arc<dyn InterruptController>, InterceptError> {
    platform
        .interrupts()
        .filter(|controller| controller.same(object))
        .and_then(|controller| controller.cast())
        .ok_or(InterceptError::NoInputs(object.class().name()))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use device_model::testing::{Machine, TestController};

    use super::*;

    struct Bench {
        machine: Machine,
        controller: Arc<TestController>,
        pic: Obj,
        interception: Interception,
        news: Arc<AtomicU32>,
    }

    impl Bench {
        fn new() -> Self {
            let (machine, controller) = Machine::with_controller();
            let pic = machine.tree.resolve("/pic").expect("it is there");
            let news = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&news);
            let interception = Interception::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            Self { machine, controller, pic, interception, news }
        }

        fn told(&self) -> Vec<String> {
            let (changes, complete) = self.interception.take();
            assert!(complete);
            changes.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn nothing_is_told_before_it_is_asked_for_nor_after_it_is_cleared() {
        let bench = Bench::new();
        bench.interception.line_changed(3, true);
        assert_eq!(bench.told(), [""; 0]);
        let platform = &bench.machine.platform;
        bench.interception.intercept_inputs(platform, &bench.pic).expect("lines lead to it");
        bench.interception.line_changed(3, true);
        bench.interception.line_changed(3, true);
        bench.interception.line_changed(3, false);
        assert_eq!(bench.told(), ["IRQ raise 3", "IRQ lower 3"]);
        assert_eq!(bench.news.load(Ordering::Relaxed), 2);
        bench.interception.line_changed(3, true);
        bench.interception.clear();
        bench.interception.line_changed(3, false);
        assert_eq!(bench.told(), [""; 0]);
    }

    #[test]
    fn an_input_is_set_as_a_line_would_set_it() {
        let bench = Bench::new();
        let platform = &bench.machine.platform;
        bench.interception.set_input(platform, &bench.pic, 5, true).expect("there is one");
        assert_eq!(bench.controller.take_changes(), [(5, true)]);
        assert_eq!(bench.told(), [""; 0]);
        let last = InterceptError::NoPin { pin: 24, controller: "test-controller", last: 23 };
        assert_eq!(bench.interception.set_input(platform, &bench.pic, 24, true), Err(last));
        let root = bench.machine.tree.resolve("/").expect("there is one");
        let none = InterceptError::NoInputs(root.class().name());
        assert_eq!(bench.interception.set_input(platform, &root, 0, true), Err(none));
    }

    #[test]
    fn a_client_that_takes_nothing_is_found_out_and_costs_no_more() {
        let bench = Bench::new();
        let platform = &bench.machine.platform;
        bench.interception.intercept_inputs(platform, &bench.pic).expect("lines lead to it");
        for change in 0..=MOST_WAITING {
            bench.interception.line_changed(1, change % 2 == 0);
        }
        let (changes, complete) = bench.interception.take();
        assert_eq!((changes.len(), complete), (MOST_WAITING, false));
        assert_eq!(bench.told(), [""; 0]);
    }
}
