//! `mc146818rtc`: the real-time clock at its ports, with the host's clock, a timer and a line.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use device_model::{event_loop::Timer, prelude::*};

use super::{
    base::Base,
    clock::{Clock, HostClock},
    rtc::Mc146818Rtc,
    spec::{DEFAULT_IOBASE, DEFAULT_IRQ, PORT_COUNT},
};

/// Real-time clock with CMOS memory
#[qom_type(
    secure,
    name = "mc146818rtc",
    parent = SysBusDevice,
    interfaces(PortIo),
    category = "Misc devices"
)]
#[derive(Debug)]
pub struct Mc146818RtcDevice {
    /// Time at start: 'utc' or a date such as 2006-06-17T16:01:21
    #[property]
    base: Base,
    /// Bytes of memory below 4 GiB, to be told in CMOS
    #[property(name = "memory-below-4g", default = Size(0))]
    memory_below_4g: Size,
    /// Bytes of memory above 4 GiB, to be told in CMOS
    #[property(name = "memory-above-4g", default = Size(0))]
    memory_above_4g: Size,
    /// The guest's time, in seconds since 1970
    #[property(get = Self::time)]
    time: Computed<i64>,
    /// Whether the interrupt line is asserted
    #[property(get = Self::interrupt)]
    interrupt: Computed<bool>,
    work: Arc<Work>,
}

/// What vCPUs and the timer meet at.
///
/// Lock order: this lock, then the interrupt controller's. Line and timer are set under the lock,
/// so that the levels that the controller sees come in the order in which the clock took them, and
/// the timer is set for the latest deadline. A controller never calls a device; setting a timer
/// calls nobody, it expires on the main thread.
#[derive(Debug, Default)]
struct Work(Mutex<State>);

#[derive(Debug)]
struct State {
    rtc: Mc146818Rtc<HostClock>,
    /// These two are none until the device is realized, and once it is gone.
    line: Option<InterruptLine>,
    timer: Option<Timer>,
    /// What the line was last driven to.
    level: bool,
    /// What the timer was last set for, in nanoseconds of the host's clock.
    deadline: Option<u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            rtc: Mc146818Rtc::new(HostClock),
            line: None,
            timer: None,
            level: false,
            deadline: None,
        }
    }
}

impl State {
    fn drive(&mut self) {
        let level = self.rtc.irq_level();
        if let Some(line) = &self.line
            && level != self.level
        {
            line.set_level(level);
            self.level = level;
        }
        let deadline = self.rtc.next_deadline();
        if let Some(timer) = &self.timer
            && deadline != self.deadline
        {
            // The timer counts real time. If the host's clock is set meanwhile, it expires early,
            // and is set again, or late, by as much as the clock was set ahead.
            timer.set(deadline.map(|at| Duration::from_nanos(at.saturating_sub(HostClock.now()))));
            self.deadline = deadline;
        }
    }
}

impl Work {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the clock and brings line and timer up to date.
    fn access<R>(&self, action: impl FnOnce(&mut Mc146818Rtc<HostClock>) -> R) -> R {
        let mut state = self.lock();
        let result = action(&mut state.rtc);
        state.drive();
        result
    }

    fn timer_expired(&self) {
        let mut state = self.lock();
        // It has to be set again even for the same deadline, if the host's clock went slower or was
        // set back.
        state.deadline = None;
        state.drive();
    }
}

impl Mc146818RtcDevice {
    fn time(&self) -> i64 {
        const NS_PER_SECOND: i128 = 1_000_000_000;
        let seen = self.work.access(|rtc| {
            // Brings what the clock has seen up to the present.
            rtc.irq_level();
            rtc.state().seen_ns
        });
        i64::try_from(seen.div_euclid(NS_PER_SECOND)).unwrap_or(i64::MAX)
    }

    fn interrupt(&self) -> bool {
        self.work.access(Mc146818Rtc::irq_level)
    }
}

impl Device for Mc146818RtcDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_ports(0, DEFAULT_IOBASE, PORT_COUNT)?;
        let line = cx.interrupt_line(DEFAULT_IRQ.into())?;
        // The loop must not keep the device alive, whose timer keeps the loop alive.
        let work = Arc::downgrade(&self.work);
        let timer = cx.timer(move || {
            if let Some(work) = work.upgrade() {
                work.timer_expired();
            }
        })?;
        let mut rtc = Mc146818Rtc::new(HostClock)
            .with_memory_size(self.memory_below_4g.0, self.memory_above_4g.0);
        if let Base::At(seconds) = self.base {
            rtc.set_time(seconds);
        }
        let mut state = self.work.lock();
        state.rtc = rtc;
        state.line = Some(line);
        state.timer = Some(timer);
        Ok(())
    }

    fn unrealize(&self) {
        let mut state = self.work.lock();
        if let Some(line) = state.line.take() {
            line.set_level(false);
        }
        state.timer = None;
    }

    fn reset(&self) {
        self.work.access(Mc146818Rtc::reset);
    }
}

impl SysBusDevice for Mc146818RtcDevice {}

impl PortIo for Mc146818RtcDevice {
    fn read(&self, _region: u8, offset: u16, data: &mut [u8]) {
        self.work.access(|rtc| rtc.read(offset.into(), data));
    }

    fn write(&self, _region: u8, offset: u16, data: &[u8]) {
        self.work.access(|rtc| rtc.write(offset.into(), data));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Instant,
    };

    use device_model::event_loop::EventLoop;

    use super::*;
    use crate::mc146818rtc::spec::{B_24_HOURS, B_UPDATE_ENDED, DATA, INDEX, REGISTER_B};

    #[test]
    fn a_timer_that_expires_too_early_is_set_again() {
        let events = Arc::new(EventLoop::new().unwrap());
        let work = Arc::new(Work::default());
        let expired = Arc::new(AtomicU32::new(0));
        let timer = {
            let (expired, stopping) = (Arc::clone(&expired), Arc::clone(&events));
            events
                .timer(move || {
                    expired.fetch_add(1, Ordering::Relaxed);
                    stopping.stop();
                })
                .unwrap()
        };
        work.access(|rtc| {
            rtc.write(INDEX, &[REGISTER_B]);
            rtc.write(DATA, &[B_24_HOURS | B_UPDATE_ENDED]);
        });
        {
            // As if it had been set, and the host's clock had been slower since.
            let mut state = work.lock();
            state.deadline = state.rtc.next_deadline();
            assert!(state.deadline.is_some());
            state.timer = Some(timer);
        }
        work.timer_expired();
        // The loop ends with the timer, which is due within a second; or with this.
        let start = Instant::now();
        let watchdog = {
            let (events, expired) = (Arc::clone(&events), Arc::clone(&expired));
            std::thread::spawn(move || {
                while expired.load(Ordering::Relaxed) == 0 && start.elapsed().as_secs() < 10 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                events.stop();
            })
        };
        events.run().unwrap();
        watchdog.join().unwrap();
        assert_eq!(expired.load(Ordering::Relaxed), 1);
    }
}
