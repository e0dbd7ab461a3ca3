//! `isa-serial`: a 16550A on the ISA bus, between the guest's ports and a character device.

use device_model::prelude::*;

use super::{
    spec::{COM_PORTS, DEFAULT_IOBASE, DEFAULT_IRQ, HARDWARE_ID, REGISTER_COUNT},
    uart::{ModemInputs, Uart},
};

/// What a port is called that is at no usual address: COM5, or higher if there are more.
const FIRST_FREE_NUMBER: u32 = 5;

/// Serial port with a 16550A UART
#[qom_type(secure, parent = IsaDevice, interfaces(PortIo, AcpiNode), category = "Input devices")]
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
    /// What guest and character device meet at.
    ///
    /// Lock order: this lock, then the interrupt controller's. The line is driven under the lock, so
    /// that the levels that the controller sees come in the order in which the UART took them: two
    /// vCPUs, or a vCPU and the main thread, can't leave an old level behind. A controller never
    /// calls a device. A character device may, from [`Chardev::accept_input`] too, and may hold its
    /// caller up in [`Chardev::write`]; it is called without the lock only. Output keeps its order
    /// even so: an access ends only after its character is written, and a guest that orders two
    /// accesses of two vCPUs waits for the first to end.
    uart: Mutex<Uart>,
    line: Realized<InterruptLine>,
}

impl IsaSerial {
    /// Does something to the UART and brings the interrupt line to its level; asks for more input if
    /// that made room for some. A PC's serial port lets the interrupt through only while the guest
    /// sets OUT2; that is left out, so that simple guests need not know of it.
    fn access<R>(&self, action: impl FnOnce(&mut Uart) -> R) -> R {
        let (result, makes_room) = {
            let mut uart = self.uart.lock();
            let was_full = uart.rx_capacity() == 0;
            let result = action(&mut uart);
            self.line.with(|line| line.set_level(uart.irq_level()));
            (result, was_full && uart.rx_capacity() > 0)
        };
        if makes_room && let Some(chardev) = self.chardev.get() {
            chardev.accept_input();
        }
        result
    }

    fn received(&self) -> u32 {
        // At most the FIFO's size.
        u32::try_from(self.uart.lock().state().received.len()).unwrap_or(u32::MAX)
    }

    fn interrupt(&self) -> bool {
        self.uart.lock().irq_level()
    }
}

impl ChardevFrontend for IsaSerial {
    fn can_receive(&self) -> usize {
        self.uart.lock().rx_capacity()
    }

    fn receive(&self, bytes: &[u8]) {
        // All fits, unless the guest has closed the receiver (loopback, FIFOs off) since it was
        // asked for room. Then the rest is lost, as it is on a wire.
        self.access(|uart| uart.receive(bytes));
    }
}

impl Device for IsaSerial {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_ports(0, self.iobase, REGISTER_COUNT.into())?;
        self.line.set(cx.interrupt_line(self.irq.into())?);
        if self.chardev.get().is_none() {
            let mut uart = self.uart.lock();
            uart.set_modem_inputs(ModemInputs::DISCONNECTED);
            // The inputs were so from the start: they have not changed.
            uart.reset();
        }
        // Last: the UART takes characters from here on.
        cx.connect(self, &self.chardev)
    }

    fn reset(&self) {
        self.access(Uart::reset);
    }
}

impl IsaDevice for IsaSerial {}

impl PortIo for IsaSerial {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.access(|uart| uart.read(offset, data));
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        let transmitted = self.access(|uart| uart.write(offset, data));
        if let (Some(byte), Some(chardev)) = (transmitted, self.chardev.get()) {
            chardev.write(&[byte]);
        }
    }
}

impl AcpiNode for IsaSerial {
    fn acpi(&self) -> Vec<AcpiDevice> {
        let place = COM_PORTS.iter().zip(1..).find(|(iobase, _)| **iobase == self.iobase);
        let number = place.map_or(FIRST_FREE_NUMBER, |(_, number)| number);
        vec![AcpiDevice {
            name: format!("COM{number}"),
            hardware_id: HARDWARE_ID.to_owned(),
            unique_id: number,
            coherent: None,
            events: None,
            resources: vec![
                Resource::Ports { start: self.iobase, count: REGISTER_COUNT },
                Resource::isa_interrupt(self.irq.into()),
            ],
        }]
    }
}
