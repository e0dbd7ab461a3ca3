//! The real-time clock's behaviour: ports, time keeping, flags, and when the next interrupt is due.
//!
//! There is no timer here. The guest's time is the host's plus an offset; what has happened since
//! the last look is worked out at the next. A caller that wants interrupts in time looks again at
//! [`Mc146818Rtc::next_deadline`], which is worth asking after every access.

use super::alarm::Alarm;
use super::clock::Clock;
use super::cmos::Cmos;
use super::encoding::{Format, decode_time, encode_time, is_time_register};
use super::spec::*;

const NS_PER_SECOND: i128 = 1_000_000_000;
/// 0000-01-01 00:00:00 and 9999-12-31 23:59:59, the times that the registers tell apart.
const REGISTER_SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// A real-time clock with 128 bytes of CMOS memory.
#[derive(Clone, Debug)]
pub struct Mc146818Rtc<C> {
    clock: C,

    // What the guest programmed.
    pub(super) index: u8,
    pub(super) register_a: u8,
    pub(super) register_b: u8,
    /// Alarm registers and memory; and while the clock stands, the time registers.
    pub(super) cmos: Cmos,

    // What happens to it.
    /// Register C without the interrupt bit, which follows from it and register B.
    pub(super) flags: u8,
    /// The guest's time less the host's, in nanoseconds.
    pub(super) offset: i128,
    /// The guest's time, in nanoseconds since 1970, up to which `flags` tell what happened.
    pub(super) seen: i128,
}

impl<C: Clock> Mc146818Rtc<C> {
    /// A clock as PC firmware leaves it: BCD, 24 hours, and the time that `clock` tells.
    pub fn new(clock: C) -> Self {
        let seen = i128::from(clock.now());
        Self {
            clock,
            index: 0,
            register_a: A_DEFAULT,
            register_b: B_DEFAULT,
            cmos: Cmos::new([0; CMOS_SIZE]),
            flags: 0,
            offset: 0,
            seen,
        }
    }

    /// What it takes the time from.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// Leaves the sizes of memory in CMOS where PC firmware looks for them.
    ///
    /// `below_4g` and `above_4g` are bytes of memory on either side of 4 GiB.
    #[must_use]
    pub fn with_memory_size(mut self, below_4g: u64, above_4g: u64) -> Self {
        self.cmos.set_memory_size(below_4g, above_4g);
        self
    }

    /// Sets the guest's time to `seconds` since 1970, or as near as years 0 to 9999 come to that.
    pub fn set_time(&mut self, seconds: i64) {
        self.catch_up();
        let seconds = seconds.clamp(*REGISTER_SECONDS.start(), *REGISTER_SECONDS.end());
        self.set_guest_time(nanoseconds(seconds));
        for (index, value) in encode_time(seconds, self.format()) {
            self.cmos.set(index, value);
        }
    }

    /// The RESET pin: interrupts are disabled and forgotten. Time, memory and the rest stay.
    pub fn reset(&mut self) {
        self.catch_up();
        self.index = 0;
        self.register_b &= !(B_PERIODIC | B_ALARM | B_UPDATE_ENDED | B_SQUARE_WAVE);
        self.flags = 0;
    }

    /// The guest reads at `offset` of the ports. The index port and bytes beyond read as 0xff.
    pub fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            if offset == DATA {
                *byte = self.read_register();
            }
        }
    }

    /// The guest writes at `offset` of the ports. Bytes beyond are ignored.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        for (offset, &byte) in (offset..=u64::MAX).zip(data) {
            match offset {
                INDEX => self.index = byte & INDEX_MASK,
                DATA => self.write_register(byte),
                _ => {}
            }
        }
    }

    /// The level of the interrupt line at present. It stays until register C is read.
    pub fn irq_level(&mut self) -> bool {
        self.catch_up();
        self.interrupt()
    }

    /// When the line will rise if nothing is accessed till then, in nanoseconds of the [`Clock`].
    /// `None` if it won't, or is high. It may be at most 8192 times a second, each time only after
    /// the guest has read register C.
    pub fn next_deadline(&mut self) -> Option<u64> {
        self.catch_up();
        if self.interrupt() {
            return None;
        }
        let enabled = |bit, time: Option<i128>| time.filter(|_| self.register_b & bit != 0);
        let second = whole_seconds(self.seen);
        let running = self.is_running();
        let next = [
            enabled(B_PERIODIC, self.next_periodic()),
            enabled(B_UPDATE_ENDED, running.then(|| nanoseconds(second + 1))),
            enabled(B_ALARM, self.alarm().next_after(second).filter(|_| running).map(nanoseconds)),
        ];
        let guest = next.into_iter().flatten().min()?;
        u64::try_from(guest - self.offset).ok()
    }

    fn read_register(&mut self) -> u8 {
        self.catch_up();
        match self.index {
            REGISTER_A => self.register_a | self.update_in_progress(),
            REGISTER_B => self.register_b,
            REGISTER_C => {
                let interrupt = if self.interrupt() { C_INTERRUPT } else { 0 };
                std::mem::take(&mut self.flags) | interrupt
            }
            REGISTER_D => D_VALID,
            index => {
                if is_time_register(index) && self.is_running() {
                    self.store_time();
                }
                self.cmos.get(index)
            }
        }
    }

    fn write_register(&mut self, value: u8) {
        self.catch_up();
        match self.index {
            REGISTER_A => self.reprogram(value & !A_UPDATE_IN_PROGRESS, self.register_b),
            REGISTER_B => {
                let set_rises = value & B_SET != 0 && self.register_b & B_SET == 0;
                let cleared = if set_rises { B_UPDATE_ENDED } else { 0 };
                self.reprogram(self.register_a, value & !cleared);
            }
            REGISTER_C | REGISTER_D => {}
            index if is_time_register(index) && self.is_running() => {
                self.store_time();
                self.cmos.set(index, value);
                self.load_time();
            }
            index => self.cmos.set(index, value),
        }
    }

    /// Changes registers A and B, and with them perhaps whether the clock stands.
    fn reprogram(&mut self, register_a: u8, register_b: u8) {
        let was_running = self.is_running();
        let was_held = self.divider_held();
        if was_running {
            // In the format that was: it is what the registers hold, and a standing clock's
            // registers don't change with the format.
            self.store_time();
        }
        self.register_a = register_a;
        self.register_b = register_b;
        if was_held && !self.divider_held() {
            let first_update = nanoseconds(whole_seconds(self.seen) + 1);
            self.set_guest_time(first_update - i128::from(DIVIDER_RELEASE_NS));
        }
        if !was_running && self.is_running() {
            self.load_time();
        }
    }

    /// Works out what has happened up to the present.
    fn catch_up(&mut self) {
        let from = self.seen;
        let now = i128::from(self.clock.now()) + self.offset;
        self.seen = now;
        if now <= from {
            // The host's clock was set back; what happens is counted from here.
            return;
        }
        if let Some(period) = self.period()
            && ticks(from).div_euclid(period) != ticks(now).div_euclid(period)
        {
            self.flags |= C_PERIODIC;
        }
        let (from, now) = (whole_seconds(from), whole_seconds(now));
        if self.is_running() && now > from {
            self.flags |= C_UPDATE_ENDED;
            if self.alarm().next_after(from).is_some_and(|at| at <= now) {
                self.flags |= C_ALARM;
            }
        }
    }

    fn interrupt(&self) -> bool {
        self.flags & self.register_b & C_FLAGS != 0
    }

    fn update_in_progress(&self) -> u8 {
        let announced = NS_PER_SECOND - i128::from(UPDATE_ANNOUNCED_NS);
        if self.is_running() && self.seen.rem_euclid(NS_PER_SECOND) >= announced {
            A_UPDATE_IN_PROGRESS
        } else {
            0
        }
    }

    /// The time of the next periodic flag.
    fn next_periodic(&self) -> Option<i128> {
        let period = self.period()?;
        let next = (ticks(self.seen).div_euclid(period) + 1) * period;
        // The first nanosecond that belongs to that tick.
        let ns = next * NS_PER_SECOND;
        let per_second = i128::from(TICKS_PER_SECOND);
        Some(ns.div_euclid(per_second) + i128::from(ns.rem_euclid(per_second) != 0))
    }

    /// The periodic interrupt's period in ticks, unless it is off or the divider held.
    fn period(&self) -> Option<i128> {
        period_ticks(self.register_a).filter(|_| !self.divider_held()).map(i128::from)
    }

    fn alarm(&self) -> Alarm {
        Alarm::decode(|index| self.cmos.get(index), self.format())
    }

    fn format(&self) -> Format {
        Format::of(self.register_b)
    }

    /// Whether update cycles happen. A divider setting for another crystal than the PC's is taken
    /// for the right one.
    fn is_running(&self) -> bool {
        self.register_b & B_SET == 0 && !self.divider_held()
    }

    fn divider_held(&self) -> bool {
        self.register_a & A_DIVIDER_RESET == A_DIVIDER_RESET
    }

    /// Puts the guest's time in the time registers.
    fn store_time(&mut self) {
        for (index, value) in encode_time(whole_seconds(self.seen), self.format()) {
            self.cmos.set(index, value);
        }
    }

    /// Takes the guest's time from the time registers. Where in the second it is stays.
    fn load_time(&mut self) {
        let seconds = decode_time(|index| self.cmos.get(index), self.format());
        let of_second = self.seen.rem_euclid(NS_PER_SECOND);
        self.set_guest_time(nanoseconds(seconds) + of_second);
    }

    fn set_guest_time(&mut self, ns: i128) {
        self.offset += ns - self.seen;
        self.seen = ns;
    }
}

fn nanoseconds(seconds: i64) -> i128 {
    i128::from(seconds) * NS_PER_SECOND
}

/// Whole seconds of a guest's time, which is far within an `i64`: see `state::MAX_OFFSET_NS`.
fn whole_seconds(ns: i128) -> i64 {
    i64::try_from(ns.div_euclid(NS_PER_SECOND)).unwrap_or(0)
}

fn ticks(ns: i128) -> i128 {
    (ns * i128::from(TICKS_PER_SECOND)).div_euclid(NS_PER_SECOND)
}
