//! The real-time clock's saved state, and what is checked before one is taken over.

use super::clock::Clock;
use super::cmos::Cmos;
use super::rtc::Mc146818Rtc;
use super::spec::{A_UPDATE_IN_PROGRESS, C_FLAGS, CMOS_SIZE, INDEX_MASK, REGISTER_A, REGISTER_D};

/// More than any registers make the offset, less than would trouble the arithmetic: the year of
/// 25755, which 165 in BCD for century and year gives, is 7.6 * 10^20 ns away.
const MAX_OFFSET_NS: i128 = 1_000_000_000_000_000_000_000;
/// The guest's time is the host's, which is a `u64`, and the offset.
const MAX_SEEN_NS: i128 = MAX_OFFSET_NS + (1 << 64);

/// Everything that a [`Mc146818Rtc`] remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtcState {
    /// The register that the data port shows.
    pub index: u8,
    /// Register A, without the update-in-progress bit.
    pub register_a: u8,
    /// Register B.
    pub register_b: u8,
    /// Register C, without the interrupt bit.
    pub flags: u8,
    /// Time, alarm and memory; 0 at the places of registers A to D.
    pub cmos: [u8; CMOS_SIZE],
    /// The guest's time less the host's, in nanoseconds.
    pub offset_ns: i128,
    /// The guest's time up to which `flags` tell what happened, in nanoseconds since 1970. An alarm
    /// between it and the restore goes off then.
    pub seen_ns: i128,
}

/// Why an [`RtcState`] isn't one that a real-time clock can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcStateError {
    /// A register has a bit set that isn't kept.
    #[error("rtc state: {register} is {value:#04x}, but only the bits {mask:#04x} are kept")]
    ReservedBits {
        /// Which.
        register: &'static str,
        /// What was given.
        value: u8,
        /// The bits that may be set.
        mask: u8,
    },
    /// CMOS holds something where registers are.
    #[error("rtc state: CMOS byte {index:#04x} is {value:#04x}, but must be 0: it is a register")]
    CmosUnderRegister {
        /// Which byte.
        index: u8,
        /// What was given.
        value: u8,
    },
    /// A time is farther away than the registers can say.
    #[error("rtc state: {field} is {given} ns, but must be within {limit} of 0")]
    TimeOutOfRange {
        /// Which.
        field: &'static str,
        /// What was given.
        given: i128,
        /// How far from 0 it may be.
        limit: i128,
    },
}

impl<C: Clock> Mc146818Rtc<C> {
    /// What the clock remembers.
    pub fn state(&self) -> RtcState {
        RtcState {
            index: self.index,
            register_a: self.register_a,
            register_b: self.register_b,
            flags: self.flags,
            cmos: self.cmos.bytes(),
            offset_ns: self.offset,
            seen_ns: self.seen,
        }
    }

    /// Takes a saved state over.
    ///
    /// # Errors
    /// If no clock can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &RtcState) -> Result<(), RtcStateError> {
        check_bits("the index", state.index, INDEX_MASK)?;
        check_bits("register A", state.register_a, !A_UPDATE_IN_PROGRESS)?;
        check_bits("register C", state.flags, C_FLAGS)?;
        let cmos = Cmos::new(state.cmos);
        for index in REGISTER_A..=REGISTER_D {
            let value = cmos.get(index);
            if value != 0 {
                return Err(RtcStateError::CmosUnderRegister { index, value });
            }
        }
        check_range("offset", state.offset_ns, MAX_OFFSET_NS)?;
        check_range("seen time", state.seen_ns, MAX_SEEN_NS)?;

        self.index = state.index;
        self.register_a = state.register_a;
        self.register_b = state.register_b;
        self.flags = state.flags;
        self.cmos = cmos;
        self.offset = state.offset_ns;
        self.seen = state.seen_ns;
        Ok(())
    }
}

fn check_bits(register: &'static str, value: u8, mask: u8) -> Result<(), RtcStateError> {
    if value & !mask == 0 {
        Ok(())
    } else {
        Err(RtcStateError::ReservedBits { register, value, mask })
    }
}

fn check_range(field: &'static str, given: i128, limit: i128) -> Result<(), RtcStateError> {
    if (-limit..=limit).contains(&given) {
        Ok(())
    } else {
        Err(RtcStateError::TimeOutOfRange { field, given, limit })
    }
}
