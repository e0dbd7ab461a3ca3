//! The 16550A's behaviour: what each register access, received character and modem input does.
//!
//! No line is modelled: a character takes no time to transmit, so that the transmitter is always
//! empty, and baud rate, word length, parity and break are kept for reading back only.

use super::receive::{ReceivedChar, Receiver, Reception};
use super::spec::*;

/// The modem's outputs, which are the UART's inputs; `true` is asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModemInputs {
    /// Clear to send.
    pub cts: bool,
    /// Data set ready.
    pub dsr: bool,
    /// Ring indicator.
    pub ri: bool,
    /// Data carrier detect.
    pub dcd: bool,
}

impl ModemInputs {
    /// A peer that is connected and ready.
    pub const CONNECTED: Self = Self { cts: true, dsr: true, ri: false, dcd: true };

    /// No peer.
    pub const DISCONNECTED: Self = Self { cts: false, dsr: false, ri: false, dcd: false };

    fn msr_status(self) -> u8 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.cts, MSR_CTS)
            | bit(self.dsr, MSR_DSR)
            | bit(self.ri, MSR_RI)
            | bit(self.dcd, MSR_DCD)
    }
}

/// A 16550A UART.
///
/// ```
/// use devices::serial::{Uart, spec};
///
/// let mut uart = Uart::new();
/// assert_eq!(uart.write(spec::THR, b"A"), Some(b'A'));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uart {
    // What the guest programmed.
    pub(super) ier: u8,
    pub(super) fcr: u8,
    pub(super) lcr: u8,
    pub(super) mcr: u8,
    pub(super) scr: u8,
    pub(super) divisor: u16,

    // What happens to it.
    pub(super) receiver: Receiver,
    pub(super) overrun: bool,
    /// The THR-empty interrupt is latched: the register being empty isn't enough, it has to have
    /// become so, or the interrupt to have been enabled, since IIR last reported it. Never set
    /// while that interrupt is disabled.
    pub(super) thr_empty_pending: bool,
    pub(super) modem_inputs: ModemInputs,
    pub(super) modem_deltas: u8,
}

impl Default for Uart {
    fn default() -> Self {
        Self::new()
    }
}

impl Uart {
    /// A UART after a reset, with a connected peer.
    pub fn new() -> Self {
        Self {
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            scr: 0,
            divisor: DEFAULT_DIVISOR,
            receiver: Receiver::new(),
            overrun: false,
            thr_empty_pending: false,
            modem_inputs: ModemInputs::CONNECTED,
            modem_deltas: 0,
        }
    }

    /// Master reset: everything but the modem's inputs returns to what [`Uart::new`] gives.
    pub fn reset(&mut self) {
        *self = Self { modem_inputs: self.modem_inputs, ..Self::new() };
    }

    /// The guest reads `data.len()` bytes at `offset`. Bytes beyond the registers read as 0xff.
    pub fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            *byte = self.read_register(offset);
        }
    }

    /// The guest writes `data` at `offset`. Returns the character to transmit, if that was written.
    /// Bytes beyond the registers are ignored.
    #[must_use = "the character is lost unless it is handed to the backend"]
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Option<u8> {
        let mut transmitted = None;
        for (offset, &byte) in (offset..=u64::MAX).zip(data) {
            // Only one of the consecutive offsets is the THR.
            transmitted = transmitted.or(self.write_register(offset, byte));
        }
        transmitted
    }

    /// The level of the INTR pin.
    ///
    /// A PC wires it through a buffer that MCR's OUT2 enables. That is the board's affair, and
    /// boards that leave it out serve guests that never set OUT2; see [`Uart::out2`].
    pub fn irq_level(&self) -> bool {
        self.interrupt() != IIR_NONE
    }

    /// The level of the OUT2 output, which loopback forces inactive.
    pub fn out2(&self) -> bool {
        self.mcr & MCR_OUT2 != 0 && !self.loopback()
    }

    /// How many characters [`Uart::receive`] would take now. The host should stop reading from its
    /// backend while this is 0. In loopback the line isn't connected, so that it is 0 too.
    pub fn rx_capacity(&self) -> usize {
        if self.loopback() { 0 } else { self.receiver.room(self.fifo_enabled()) }
    }

    /// Characters come in from the line. Takes as many as [`Uart::rx_capacity`] says, and returns
    /// how many; the others stay with the caller, so that a host that waits loses nothing.
    pub fn receive(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(self.rx_capacity());
        for &value in data.iter().take(taken) {
            self.take_in(ReceivedChar { value, is_break: false });
        }
        taken
    }

    /// A break comes in from the line. Returns whether there was room for it.
    pub fn receive_break(&mut self) -> bool {
        let room = self.rx_capacity() > 0;
        if room {
            self.take_in(ReceivedChar { value: 0, is_break: true });
        }
        room
    }

    /// The modem's outputs change.
    pub fn set_modem_inputs(&mut self, inputs: ModemInputs) {
        let before = self.modem_status();
        self.modem_inputs = inputs;
        self.note_modem_changes(before);
    }

    fn read_register(&mut self, offset: u64) -> u8 {
        let [dll, dlm] = self.divisor.to_le_bytes();
        match offset {
            DLL if self.divisor_latch() => dll,
            DLM if self.divisor_latch() => dlm,
            RBR => self.receiver.pop().map_or(0, |char| char.value),
            IER => self.ier,
            IIR => self.read_iir(),
            LCR => self.lcr,
            MCR => self.mcr,
            LSR => self.read_lsr(),
            MSR => self.modem_status() | std::mem::take(&mut self.modem_deltas),
            SCR => self.scr,
            _ => 0xff,
        }
    }

    fn write_register(&mut self, offset: u64, value: u8) -> Option<u8> {
        let [dll, dlm] = self.divisor.to_le_bytes();
        match offset {
            DLL if self.divisor_latch() => self.divisor = u16::from_le_bytes([value, dlm]),
            DLM if self.divisor_latch() => self.divisor = u16::from_le_bytes([dll, value]),
            THR => return self.transmit(value),
            IER => self.write_ier(value),
            FCR => self.write_fcr(value),
            LCR => self.lcr = value,
            MCR => {
                let before = self.modem_status();
                self.mcr = value & MCR_MASK;
                self.note_modem_changes(before);
            }
            SCR => self.scr = value,
            // LSR is written in factory tests only, MSR has no use for it either.
            _ => {}
        }
        None
    }

    fn transmit(&mut self, value: u8) -> Option<u8> {
        // The character is gone at once, so that the register has become empty again.
        self.thr_empty_pending = self.ier & IER_THR_EMPTY != 0;
        if self.loopback() {
            self.take_in(ReceivedChar { value, is_break: false });
            return None;
        }
        Some(value)
    }

    fn write_ier(&mut self, value: u8) {
        let was_enabled = self.ier & IER_THR_EMPTY != 0;
        self.ier = value & IER_MASK;
        let enabled = self.ier & IER_THR_EMPTY != 0;
        // Enabling the interrupt while the register is empty raises it; drivers rely on that to
        // start a transmission, and test for it.
        self.thr_empty_pending = enabled && (!was_enabled || self.thr_empty_pending);
    }

    fn write_fcr(&mut self, value: u8) {
        let enable = value & FCR_ENABLE != 0;
        // Changing between the modes the FIFOs (FIFO Control Register, bit 0).
        if enable != self.fifo_enabled() || (enable && value & FCR_CLEAR_RECEIVE != 0) {
            self.receiver.clear();
        }
        self.fcr = if enable { value & FCR_MASK } else { 0 };
    }

    fn read_iir(&mut self) -> u8 {
        let interrupt = self.interrupt();
        if interrupt == IIR_THR_EMPTY {
            self.thr_empty_pending = false;
        }
        let fifo = if self.fifo_enabled() { IIR_FIFO_ENABLED } else { 0 };
        interrupt | fifo
    }

    fn read_lsr(&mut self) -> u8 {
        let value = self.line_status();
        self.overrun = false;
        self.receiver.acknowledge_front();
        value
    }

    fn line_status(&self) -> u8 {
        let mut value = LSR_THR_EMPTY | LSR_TRANSMITTER_EMPTY;
        if !self.receiver.is_empty() {
            value |= LSR_DATA_READY;
        }
        if self.overrun {
            value |= LSR_OVERRUN;
        }
        if self.receiver.front_is_break() {
            value |= LSR_BREAK;
        }
        if self.fifo_enabled() && self.receiver.has_error() {
            value |= LSR_FIFO_ERROR;
        }
        value
    }

    /// The pending interrupt of the highest priority (table IV), as IIR's low four bits.
    fn interrupt(&self) -> u8 {
        const ERRORS: u8 = LSR_OVERRUN | LSR_PARITY_ERROR | LSR_FRAMING_ERROR | LSR_BREAK;
        if self.ier & IER_LINE_STATUS != 0 && self.line_status() & ERRORS != 0 {
            IIR_LINE_STATUS
        } else if self.ier & IER_RECEIVED_DATA != 0 && !self.receiver.is_empty() {
            // Below the trigger level a FIFO waits for four character times without traffic. No
            // character is under way once the host has offered what it had, and characters take no
            // time here, so that the wait is over at once.
            if self.receiver.len() >= self.trigger_level() {
                IIR_RECEIVED_DATA
            } else {
                IIR_TIMEOUT
            }
        } else if self.thr_empty_pending {
            IIR_THR_EMPTY
        } else if self.ier & IER_MODEM_STATUS != 0 && self.modem_deltas != 0 {
            IIR_MODEM_STATUS
        } else {
            IIR_NONE
        }
    }

    fn trigger_level(&self) -> usize {
        if self.fifo_enabled() {
            let select = usize::from(self.fcr >> FCR_TRIGGER_SHIFT);
            TRIGGER_LEVELS.get(select).copied().unwrap_or(1)
        } else {
            1
        }
    }

    fn take_in(&mut self, char: ReceivedChar) {
        if self.receiver.push(char, self.fifo_enabled()) == Reception::Overrun {
            self.overrun = true;
        }
    }

    /// MSR's high half: the modem's outputs, or in loopback the UART's own (Modem Control Register,
    /// bit 4).
    fn modem_status(&self) -> u8 {
        if !self.loopback() {
            return self.modem_inputs.msr_status();
        }
        ModemInputs {
            cts: self.mcr & MCR_RTS != 0,
            dsr: self.mcr & MCR_DTR != 0,
            ri: self.mcr & MCR_OUT1 != 0,
            dcd: self.mcr & MCR_OUT2 != 0,
        }
        .msr_status()
    }

    fn note_modem_changes(&mut self, before: u8) {
        let after = self.modem_status();
        let changed = before ^ after;
        let mut deltas = 0;
        if changed & MSR_CTS != 0 {
            deltas |= MSR_DELTA_CTS;
        }
        if changed & MSR_DSR != 0 {
            deltas |= MSR_DELTA_DSR;
        }
        if changed & before & MSR_RI != 0 {
            deltas |= MSR_TRAILING_EDGE_RI;
        }
        if changed & MSR_DCD != 0 {
            deltas |= MSR_DELTA_DCD;
        }
        self.modem_deltas |= deltas;
    }

    fn fifo_enabled(&self) -> bool {
        self.fcr & FCR_ENABLE != 0
    }

    fn loopback(&self) -> bool {
        self.mcr & MCR_LOOPBACK != 0
    }

    fn divisor_latch(&self) -> bool {
        self.lcr & LCR_DIVISOR_LATCH != 0
    }
}
