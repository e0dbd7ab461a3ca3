//! Registers and bits of the 16550A UART.
//!
//! Source: National Semiconductor, *PC16550D Universal Asynchronous Receiver/Transmitter with
//! FIFOs*, June 1995, section 8 "Registers" (table II for the addresses, a subsection for each
//! register's bits) and table I for the values after a reset.

/// The first port of a PC's first serial port (*PC AT Technical Reference*, "Serial/Parallel Adapter").
pub const DEFAULT_IOBASE: u16 = 0x3f8;
/// The interrupt line of a PC's first serial port (same place).
pub const DEFAULT_IRQ: u8 = 4;
/// The usual first ports of a PC's serial ports COM1 to COM4: the first two of *PC AT Technical
/// Reference*, the others by custom.
pub const COM_PORTS: [u16; 4] = [DEFAULT_IOBASE, 0x2f8, 0x3e8, 0x2e8];
/// Plug and Play identifier of a serial port with a 16550A-compatible UART (*Plug and Play BIOS
/// Specification*, device identifiers: PNP05xx, communications ports).
pub const HARDWARE_ID: &str = "PNP0501";
/// Ports that the registers take.
pub const REGISTER_COUNT: u8 = 8;

/// Receiver buffer (read, DLAB = 0).
pub const RBR: u64 = 0;
/// Transmitter holding register (write, DLAB = 0).
pub const THR: u64 = 0;
/// Divisor latch, least significant byte (DLAB = 1).
pub const DLL: u64 = 0;
/// Interrupt enable (DLAB = 0).
pub const IER: u64 = 1;
/// Divisor latch, most significant byte (DLAB = 1).
pub const DLM: u64 = 1;
/// Interrupt identification (read).
pub const IIR: u64 = 2;
/// FIFO control (write).
pub const FCR: u64 = 2;
/// Line control.
pub const LCR: u64 = 3;
/// Modem control.
pub const MCR: u64 = 4;
/// Line status.
pub const LSR: u64 = 5;
/// Modem status.
pub const MSR: u64 = 6;
/// Scratch.
pub const SCR: u64 = 7;

/// IER: received data available, and the receive FIFO's timeout (ERBFI).
pub const IER_RECEIVED_DATA: u8 = 1 << 0;
/// IER: transmitter holding register empty (ETBEI).
pub const IER_THR_EMPTY: u8 = 1 << 1;
/// IER: receiver line status (ELSI).
pub const IER_LINE_STATUS: u8 = 1 << 2;
/// IER: modem status (EDSSI).
pub const IER_MODEM_STATUS: u8 = 1 << 3;
/// IER: the bits that exist; the others are always 0.
pub const IER_MASK: u8 = 0x0f;

/// IIR: modem status, fourth and lowest priority.
pub const IIR_MODEM_STATUS: u8 = 0x00;
/// IIR: no interrupt is pending.
pub const IIR_NONE: u8 = 0x01;
/// IIR: transmitter holding register empty, third priority.
pub const IIR_THR_EMPTY: u8 = 0x02;
/// IIR: received data available, second priority.
pub const IIR_RECEIVED_DATA: u8 = 0x04;
/// IIR: receiver line status, first priority.
pub const IIR_LINE_STATUS: u8 = 0x06;
/// IIR: characters wait in the receive FIFO below its trigger level, second priority.
pub const IIR_TIMEOUT: u8 = 0x0c;
/// IIR: set while the FIFOs are enabled.
pub const IIR_FIFO_ENABLED: u8 = 0xc0;

/// FCR: enable both FIFOs; the other bits are programmed only with this one set.
pub const FCR_ENABLE: u8 = 1 << 0;
/// FCR: clear the receive FIFO (clears itself).
pub const FCR_CLEAR_RECEIVE: u8 = 1 << 1;
/// FCR: clear the transmit FIFO (clears itself).
pub const FCR_CLEAR_TRANSMIT: u8 = 1 << 2;
/// FCR: DMA mode select; the RXRDY and TXRDY pins that it is about aren't wired on a PC.
pub const FCR_DMA_MODE: u8 = 1 << 3;
/// FCR: receive trigger level, an index into [`TRIGGER_LEVELS`].
pub const FCR_TRIGGER_SHIFT: u32 = 6;
/// FCR: the bits that are kept.
pub const FCR_MASK: u8 = FCR_ENABLE | FCR_DMA_MODE | (0b11 << FCR_TRIGGER_SHIFT);

/// Characters in the receive FIFO at which the received-data interrupt is raised (FIFO Control Register,
/// bits 6 and 7).
pub const TRIGGER_LEVELS: [usize; 4] = [1, 4, 8, 14];
/// Characters that the receive FIFO holds.
pub const FIFO_SIZE: usize = 16;

/// LCR: divisor latch access bit (DLAB).
pub const LCR_DIVISOR_LATCH: u8 = 1 << 7;

/// MCR: data terminal ready.
pub const MCR_DTR: u8 = 1 << 0;
/// MCR: request to send.
pub const MCR_RTS: u8 = 1 << 1;
/// MCR: auxiliary output 1.
pub const MCR_OUT1: u8 = 1 << 2;
/// MCR: auxiliary output 2; on a PC it gates the interrupt line.
pub const MCR_OUT2: u8 = 1 << 3;
/// MCR: loopback.
pub const MCR_LOOPBACK: u8 = 1 << 4;
/// MCR: the bits that exist; the others are always 0.
pub const MCR_MASK: u8 = 0x1f;

/// LSR: a received character is ready.
pub const LSR_DATA_READY: u8 = 1 << 0;
/// LSR: a character was lost, since the receiver was full.
pub const LSR_OVERRUN: u8 = 1 << 1;
/// LSR: parity error of the oldest character.
pub const LSR_PARITY_ERROR: u8 = 1 << 2;
/// LSR: framing error of the oldest character.
pub const LSR_FRAMING_ERROR: u8 = 1 << 3;
/// LSR: the oldest character is a break.
pub const LSR_BREAK: u8 = 1 << 4;
/// LSR: the transmitter holding register is empty.
pub const LSR_THR_EMPTY: u8 = 1 << 5;
/// LSR: the transmitter is empty.
pub const LSR_TRANSMITTER_EMPTY: u8 = 1 << 6;
/// LSR: the receive FIFO holds a character with an error or a break.
pub const LSR_FIFO_ERROR: u8 = 1 << 7;

/// MSR: CTS changed since the last read.
pub const MSR_DELTA_CTS: u8 = 1 << 0;
/// MSR: DSR changed since the last read.
pub const MSR_DELTA_DSR: u8 = 1 << 1;
/// MSR: RI went from active to inactive since the last read (TERI).
pub const MSR_TRAILING_EDGE_RI: u8 = 1 << 2;
/// MSR: DCD changed since the last read.
pub const MSR_DELTA_DCD: u8 = 1 << 3;
/// MSR: clear to send; RTS in loopback.
pub const MSR_CTS: u8 = 1 << 4;
/// MSR: data set ready; DTR in loopback.
pub const MSR_DSR: u8 = 1 << 5;
/// MSR: ring indicator; OUT1 in loopback.
pub const MSR_RI: u8 = 1 << 6;
/// MSR: data carrier detect; OUT2 in loopback.
pub const MSR_DCD: u8 = 1 << 7;

/// Divisor after a reset here (9600 baud of a 1.8432 MHz clock); the chip leaves it undefined.
pub const DEFAULT_DIVISOR: u16 = 12;
