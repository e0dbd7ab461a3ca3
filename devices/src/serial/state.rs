//! The UART's saved state, and what is checked before one is taken over.

use super::receive::{ReceivedChar, capacity};
use super::spec::{
    FCR_ENABLE, FCR_MASK, IER_MASK, IER_THR_EMPTY, MCR_MASK, MSR_DELTA_CTS, MSR_DELTA_DCD,
    MSR_DELTA_DSR, MSR_TRAILING_EDGE_RI,
};
use super::uart::{ModemInputs, Uart};

/// Everything that a [`Uart`] remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UartState {
    /// Interrupt enable register.
    pub ier: u8,
    /// FIFO control register: enable, DMA mode and trigger level.
    pub fcr: u8,
    /// Line control register.
    pub lcr: u8,
    /// Modem control register.
    pub mcr: u8,
    /// Scratch register.
    pub scr: u8,
    /// Divisor latch.
    pub divisor: u16,
    /// Characters that the guest hasn't read yet, oldest first.
    pub received: Vec<ReceivedChar>,
    /// A character was lost, and LSR not read since.
    pub overrun: bool,
    /// The THR-empty interrupt is latched.
    pub thr_empty_pending: bool,
    /// The modem's outputs.
    pub modem_inputs: ModemInputs,
    /// MSR's low half: changes since it was last read.
    pub modem_deltas: u8,
}

/// Why a [`UartState`] isn't one that a UART can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UartStateError {
    /// A register has a bit set that doesn't exist or can't be kept.
    #[error("serial state: {register} is {value:#04x}, but only the bits {mask:#04x} exist")]
    ReservedBits {
        /// The register's name in the datasheet.
        register: &'static str,
        /// What was given.
        value: u8,
        /// The bits that may be set.
        mask: u8,
    },
    /// FIFO control bits are set while the FIFOs are off.
    #[error("serial state: FCR is {0:#04x}, but without bit 0 no other bit can be set")]
    FifoBitsWhileOff(u8),
    /// More characters than the receiver holds.
    #[error("serial state: {given} received characters, but the receiver holds {capacity}")]
    TooManyReceived {
        /// What was given.
        given: usize,
        /// What the receiver holds in this mode.
        capacity: usize,
    },
    /// The THR-empty interrupt is pending while it is disabled.
    #[error("serial state: the THR-empty interrupt is pending, but IER {0:#04x} disables it")]
    PendingWhileDisabled(u8),
}

impl Uart {
    /// What the UART remembers.
    pub fn state(&self) -> UartState {
        UartState {
            ier: self.ier,
            fcr: self.fcr,
            lcr: self.lcr,
            mcr: self.mcr,
            scr: self.scr,
            divisor: self.divisor,
            received: self.receiver.to_vec(),
            overrun: self.overrun,
            thr_empty_pending: self.thr_empty_pending,
            modem_inputs: self.modem_inputs,
            modem_deltas: self.modem_deltas,
        }
    }

    /// Takes a saved state over.
    ///
    /// # Errors
    /// If no UART can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &UartState) -> Result<(), UartStateError> {
        const DELTAS: u8 = MSR_DELTA_CTS | MSR_DELTA_DSR | MSR_TRAILING_EDGE_RI | MSR_DELTA_DCD;
        check_bits("IER", state.ier, IER_MASK)?;
        check_bits("FCR", state.fcr, FCR_MASK)?;
        check_bits("MCR", state.mcr, MCR_MASK)?;
        check_bits("MSR (deltas)", state.modem_deltas, DELTAS)?;
        let fifo_enabled = state.fcr & FCR_ENABLE != 0;
        if !fifo_enabled && state.fcr != 0 {
            return Err(UartStateError::FifoBitsWhileOff(state.fcr));
        }
        let capacity = capacity(fifo_enabled);
        if state.received.len() > capacity {
            return Err(UartStateError::TooManyReceived { given: state.received.len(), capacity });
        }
        if state.thr_empty_pending && state.ier & IER_THR_EMPTY == 0 {
            return Err(UartStateError::PendingWhileDisabled(state.ier));
        }

        self.ier = state.ier;
        self.fcr = state.fcr;
        self.lcr = state.lcr;
        self.mcr = state.mcr;
        self.scr = state.scr;
        self.divisor = state.divisor;
        self.receiver.load(&state.received);
        self.overrun = state.overrun;
        self.thr_empty_pending = state.thr_empty_pending;
        self.modem_inputs = state.modem_inputs;
        self.modem_deltas = state.modem_deltas;
        Ok(())
    }
}

fn check_bits(register: &'static str, value: u8, mask: u8) -> Result<(), UartStateError> {
    if value & !mask == 0 {
        Ok(())
    } else {
        Err(UartStateError::ReservedBits { register, value, mask })
    }
}
