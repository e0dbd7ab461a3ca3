//! `isa-serial`: a 16550A on the ISA bus, between the guest's ports and a character device.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device_model::prelude::*;

use super::{
    spec::{DEFAULT_IOBASE, DEFAULT_IRQ, REGISTER_COUNT},
    uart::{ModemInputs, Uart},
};

/// Serial port with a 16550A UART
#[qom_type(secure, parent = IsaDevice, interfaces(PortIo), category = "Input devices")]
#[derive(Debug)]
pub struct IsaSerial {
    /// First of the eight I/O ports
    #[property(default = DEFAULT_IOBASE)]
    iobase: u16,
    /// Interrupt line
    #[property(default = DEFAULT_IRQ, range = 0..=15)]
    irq: u8,
    /// Where characters go to and come from; without one, nothing is plugged into the port
    #[property(link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
    /// Received characters that the guest has not read yet
    #[property(get = Self::received)]
    received: Computed<u32>,
    /// Whether the interrupt line is asserted
    #[property(get = Self::interrupt)]
    interrupt: Computed<bool>,
    port: Arc<Port>,
}

/// What guest and character device meet at.
///
/// Lock order: this lock, then the interrupt controller's. The line is driven under the lock, so
/// that the levels that the controller sees come in the order in which the UART took them: two
/// vCPUs, or a vCPU and the main thread, can't leave an old level behind. A controller never calls
/// a device. A character device may, from [`Chardev::accept_input`] too, and may hold its caller
/// up in [`Chardev::write`]; it is called without the lock only. Output keeps its order even so:
/// an access ends only after its character is written, and a guest that orders two accesses of two
/// vCPUs waits for the first to end.
#[derive(Debug, Default)]
struct Port(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    uart: Uart,
    /// None until the device is realized, and once it is gone.
    line: Option<InterruptLine>,
    /// What the line was last driven to.
    level: bool,
}

impl State {
    /// Brings the line to the UART's level. A PC's serial port lets it through only while the guest
    /// sets OUT2; that is left out, so that simple guests need not know of it.
    fn drive(&mut self) {
        let level = self.uart.irq_level();
        if let Some(line) = &self.line
            && level != self.level
        {
            line.set_level(level);
            self.level = level;
        }
    }
}

impl Port {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the UART and brings the interrupt line up to date. Also tells whether
    /// the receiver was full before and is not now.
    fn access<R>(&self, action: impl FnOnce(&mut Uart) -> R) -> (R, bool) {
        let mut state = self.lock();
        let was_full = state.uart.rx_capacity() == 0;
        let result = action(&mut state.uart);
        state.drive();
        (result, was_full && state.uart.rx_capacity() > 0)
    }
}

impl ChardevFrontend for Port {
    fn can_receive(&self) -> usize {
        self.lock().uart.rx_capacity()
    }

    fn receive(&self, bytes: &[u8]) {
        // All fits, unless the guest has closed the receiver (loopback, FIFOs off) since it was
        // asked for room. Then the rest is lost, as it is on a wire.
        self.access(|uart| uart.receive(bytes));
    }
}

impl IsaSerial {
    /// Does something to the UART, and asks for more input if it made room for some.
    fn access<R>(&self, action: impl FnOnce(&mut Uart) -> R) -> R {
        let (result, has_room) = self.port.access(action);
        if has_room && let Some(chardev) = self.chardev.get() {
            chardev.accept_input();
        }
        result
    }

    fn received(&self) -> u32 {
        // At most the FIFO's size.
        u32::try_from(self.port.lock().uart.state().received.len()).unwrap_or(u32::MAX)
    }

    fn interrupt(&self) -> bool {
        self.port.lock().uart.irq_level()
    }
}

impl Device for IsaSerial {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_ports(0, self.iobase, REGISTER_COUNT)?;
        let line = cx.interrupt_line(self.irq.into())?;
        {
            let mut state = self.port.lock();
            state.line = Some(line);
            if self.chardev.get().is_none() {
                state.uart.set_modem_inputs(ModemInputs::DISCONNECTED);
                // The inputs were so from the start: they have not changed.
                state.uart.reset();
            }
        }
        // Last, so that nothing can fail after it. The UART takes characters from here on.
        if let Some(chardev) = self.chardev.get()
            && !chardev.connect(Arc::clone(&self.port) as Arc<dyn ChardevFrontend>)
        {
            let backend = self.chardev.handle().and_then(Obj::path).unwrap_or_default();
            return Err(DeviceError::BackendInUse { backend });
        }
        Ok(())
    }

    fn unrealize(&self) {
        if let Some(chardev) = self.chardev.get() {
            chardev.disconnect();
        }
        let mut state = self.port.lock();
        if let Some(line) = state.line.take() {
            line.set_level(false);
        }
    }

    fn reset(&self) {
        self.access(Uart::reset);
    }
}

impl IsaDevice for IsaSerial {}

impl PortIo for IsaSerial {
    fn read(&self, _region: u8, offset: u16, data: &mut [u8]) {
        self.access(|uart| uart.read(offset.into(), data));
    }

    fn write(&self, _region: u8, offset: u16, data: &[u8]) {
        let transmitted = self.access(|uart| uart.write(offset.into(), data));
        if let (Some(byte), Some(chardev)) = (transmitted, self.chardev.get()) {
            chardev.write(&[byte]);
        }
    }
}
