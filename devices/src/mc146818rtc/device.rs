//! `mc146818rtc`: the real-time clock at its ports, with the machine's clock, a timer and a line.

use std::time::Duration;

use device_model::{clock::Clock, prelude::*};

use super::{
    base::Base,
    rtc::Mc146818Rtc,
    spec::{DEFAULT_IOBASE, DEFAULT_IRQ, HARDWARE_ID, PORT_COUNT},
};

/// Real-time clock with CMOS memory
#[qom_type(secure, name = "mc146818rtc", parent = SysBusDevice, interfaces(PortIo, AcpiNode))]
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
    /// What vCPUs and the timer meet at.
    ///
    /// Lock order: this lock, then the interrupt controller's. Line and timer are set under the
    /// lock, so that the levels that the controller sees come in the order in which the clock took
    /// them, and the timer is set for the latest deadline. A controller never calls a device;
    /// setting a timer calls nobody, it expires on the main thread.
    state: Mutex<State>,
    line: Realized<InterruptLine>,
    timer: Realized<Timer>,
}

#[derive(Debug)]
struct State {
    rtc: Mc146818Rtc<Clock>,
    /// What the timer was last set for, in nanoseconds of the time of day.
    deadline: Option<u64>,
}

impl Default for State {
    fn default() -> Self {
        // Until it is realized.
        Self { rtc: Mc146818Rtc::new(Clock::host()), deadline: None }
    }
}

impl Mc146818RtcDevice {
    /// Does something to the clock and brings line and timer up to date.
    fn access<R>(&self, action: impl FnOnce(&mut Mc146818Rtc<Clock>) -> R) -> R {
        let mut state = self.state.lock();
        let result = action(&mut state.rtc);
        self.drive(&mut state);
        result
    }

    fn drive(&self, state: &mut State) {
        let level = state.rtc.irq_level();
        self.line.with(|line| line.set_level(level));
        let deadline = state.rtc.next_deadline();
        if deadline != state.deadline {
            // The timer counts time that goes by. If the time of day is set meanwhile, as the host's
            // may be, it expires early, and is set again, or late, by as much as that was set ahead.
            let now = state.rtc.clock().time_of_day();
            let after = deadline.map(|at| Duration::from_nanos(at.saturating_sub(now)));
            self.timer.with(|timer| timer.set(after));
            state.deadline = deadline;
        }
    }

    fn timer_expired(&self) {
        let mut state = self.state.lock();
        // It has to be set again even for the same deadline, if the host's clock went slower or was
        // set back.
        state.deadline = None;
        self.drive(&mut state);
    }

    fn time(&self) -> i64 {
        const NS_PER_SECOND: i128 = 1_000_000_000;
        let seen = self.access(|rtc| {
            // Brings what the clock has seen up to the present.
            rtc.irq_level();
            rtc.state().seen_ns
        });
        i64::try_from(seen.div_euclid(NS_PER_SECOND)).unwrap_or(i64::MAX)
    }

    fn interrupt(&self) -> bool {
        self.access(Mc146818Rtc::irq_level)
    }
}

impl Device for Mc146818RtcDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        {
            let rtc = &mut self.state.lock().rtc;
            *rtc = Mc146818Rtc::new(cx.clock().clone())
                .with_memory_size(self.memory_below_4g.0, self.memory_above_4g.0);
            if let Base::At(seconds) = self.base {
                rtc.set_time(seconds);
            }
        }
        cx.claim_ports(0, DEFAULT_IOBASE, PORT_COUNT.into())?;
        self.line.set(cx.interrupt_line(DEFAULT_IRQ.into())?);
        self.timer.set(cx.timer(self, Self::timer_expired)?);
        Ok(())
    }

    fn unrealize(&self) {
        self.timer.clear();
    }

    fn reset(&self) {
        self.access(Mc146818Rtc::reset);
    }
}

impl SysBusDevice for Mc146818RtcDevice {}

impl PortIo for Mc146818RtcDevice {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.access(|rtc| rtc.read(offset, data));
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        self.access(|rtc| rtc.write(offset, data));
    }
}

impl AcpiNode for Mc146818RtcDevice {
    fn acpi(&self) -> Vec<AcpiDevice> {
        vec![AcpiDevice {
            name: "RTC_".to_owned(),
            hardware_id: HARDWARE_ID.to_owned(),
            unique_id: 0,
            coherent: None,
            events: None,
            resources: vec![
                Resource::Ports { start: DEFAULT_IOBASE, count: PORT_COUNT },
                Resource::isa_interrupt(DEFAULT_IRQ.into()),
            ],
        }]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use device_model::testing::{Machine, wait_until};

    use super::*;
    use crate::mc146818rtc::spec::{B_24_HOURS, B_UPDATE_ENDED, DATA, INDEX, REGISTER_B};

    #[test]
    fn a_timer_that_expires_too_early_is_set_again() {
        let (machine, controller) = Machine::with_controller();
        let rtc = machine.add("mc146818rtc", "rtc", &[]);
        let device: Arc<Mc146818RtcDevice> = rtc.cast().unwrap();
        device.access(|rtc| {
            rtc.write(INDEX, &[REGISTER_B]);
            rtc.write(DATA, &[B_24_HOURS | B_UPDATE_ENDED]);
        });
        // As if it had expired, and the host's clock had been slower.
        device.timer.with(|timer| timer.set(None)).unwrap();
        assert!(device.state.lock().deadline.is_some());
        device.timer_expired();
        // The clock's second ends within one.
        let _running = machine.run_events();
        wait_until("the interrupt", || controller.level(DEFAULT_IRQ.into()));
    }
}
