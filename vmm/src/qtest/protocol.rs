//! From a line to a command.
//!
//! The words are QEMU's. It is stricter than QEMU's reader: numbers have to fit, data have to be as
//! long as they are said to be, and nothing may follow.

use device_model::qom_core::Suggestion;
use thiserror::Error;

use super::number::{base64, hex, number};
use crate::options::excerpt::excerpt;

/// Bytes that a command can read or write at once.
pub const MOST_BYTES: usize = 1 << 20;
/// Bytes that a command can set to one value.
pub const MOST_FILLED: u64 = 64 << 20;

/// The only name that `set_irq_in` knows: QEMU's for inputs without names of their own.
const UNNAMED_INPUTS: &str = "unnamed-gpio-in";

/// How wide an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Long,
    /// 64 bits.
    Quad,
}

impl Width {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Long => 4,
            Self::Quad => 8,
        }
    }

    const fn greatest(self) -> u64 {
        match self {
            Self::Byte => 0xff,
            Self::Word => 0xffff,
            Self::Long => 0xffff_ffff,
            Self::Quad => u64::MAX,
        }
    }
}

/// How bytes are written in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Two digits each, after `0x`.
    Hex,
    /// RFC 4648, section 4.
    Base64,
}

/// What a client wants. No range of addresses goes beyond the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `readb`, `readw`, `readl`, `readq`.
    Read {
        /// Guest-physical.
        address: u64,
        /// How wide.
        width: Width,
    },
    /// `writeb`, `writew`, `writel`, `writeq`.
    Write {
        /// Guest-physical.
        address: u64,
        /// How wide.
        width: Width,
        /// At most as wide.
        value: u64,
    },
    /// `inb`, `inw`, `inl`.
    In {
        /// The port.
        port: u16,
        /// How wide.
        width: Width,
    },
    /// `outb`, `outw`, `outl`.
    Out {
        /// The port.
        port: u16,
        /// How wide.
        width: Width,
        /// At most as wide.
        value: u64,
    },
    /// `read`, `b64read`.
    ReadData {
        /// Guest-physical.
        address: u64,
        /// How many bytes: 1 to [`MOST_BYTES`].
        size: usize,
        /// How the answer has them.
        encoding: Encoding,
    },
    /// `write`, `b64write`.
    WriteData {
        /// Guest-physical.
        address: u64,
        /// 1 to [`MOST_BYTES`].
        data: Vec<u8>,
    },
    /// `memset`.
    Fill {
        /// Guest-physical.
        address: u64,
        /// How many bytes: 1 to [`MOST_FILLED`].
        size: u64,
        /// What each is set to.
        value: u8,
    },
    /// `clock_step`: by so many nanoseconds, or to where the next timer expires.
    ClockStep(Option<u64>),
    /// `clock_set`, in nanoseconds.
    ClockSet(u64),
    /// `irq_intercept_in`, with a path.
    InterceptIn(String),
    /// `irq_intercept_out`, with a path.
    InterceptOut(String),
    /// `set_irq_in`.
    SetIrqIn {
        /// Path of the controller.
        path: String,
        /// Its pin.
        pin: u32,
        /// Whether the pin is to be high.
        level: bool,
    },
    /// `endianness`.
    Endianness,
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// It is no text.
    #[error("expected UTF-8 text, given something else from byte {0} on")]
    NotText(usize),
    /// It has no word.
    #[error("expected a command, given an empty line")]
    Empty,
    /// There is no such command.
    #[error("unknown command '{given}'{suggestion}")]
    Unknown {
        /// Its first word, shortened where it is long.
        given: String,
        /// The command most like it.
        suggestion: Suggestion,
    },
    /// It has too many words, or too few.
    #[error("expected '{}', given {}", usage(name, form), arguments(*.given))]
    Count {
        /// The command.
        name: &'static str,
        /// Its arguments.
        form: &'static str,
        /// How many were given. Not counted further than one too many.
        given: usize,
    },
    /// An argument is no number, or too great.
    #[error("{name}: {argument}: expected a number from {least} to {greatest:#x}, given '{given}'")]
    Number {
        /// The command.
        name: &'static str,
        /// The argument.
        argument: &'static str,
        /// The least that it can be.
        least: u64,
        /// The greatest that it can be.
        greatest: u64,
        /// What was given, shortened where it is long.
        given: String,
    },
    /// A range of addresses goes beyond the last.
    #[error("{name}: {size:#x} bytes at {address:#x} go beyond the last address")]
    Range {
        /// The command.
        name: &'static str,
        /// The first address.
        address: u64,
        /// How many bytes.
        size: u64,
    },
    /// Data that can't be read.
    #[error("{name}: DATA: expected {expected}, given '{given}'")]
    Data {
        /// The command.
        name: &'static str,
        /// What form they have to have.
        expected: &'static str,
        /// What was given, shortened where it is long.
        given: String,
    },
    /// More or fewer data than were announced.
    #[error("{name}: DATA: expected {size} bytes, given {given}")]
    DataSize {
        /// The command.
        name: &'static str,
        /// Announced.
        size: usize,
        /// Given.
        given: usize,
    },
    /// Inputs of a name that no controller has.
    #[error("{name}: NAME: expected '{UNNAMED_INPUTS}', given '{given}'")]
    Inputs {
        /// The command.
        name: &'static str,
        /// What was given, shortened where it is long.
        given: String,
    },
}

fn usage(name: &str, form: &str) -> String {
    format!("{name} {form}").trim_end().to_owned()
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    }
}

/// A command's name, its arguments in words, and what reads them. Those in brackets may be left out.
type Form = (&'static str, &'static str, fn(&Arguments<'_>) -> Result<Command, ProtocolError>);

const FORMS: &[Form] = &[
    ("readb", "ADDR", |given| read(given, Width::Byte)),
    ("readw", "ADDR", |given| read(given, Width::Word)),
    ("readl", "ADDR", |given| read(given, Width::Long)),
    ("readq", "ADDR", |given| read(given, Width::Quad)),
    ("writeb", "ADDR VALUE", |given| write(given, Width::Byte)),
    ("writew", "ADDR VALUE", |given| write(given, Width::Word)),
    ("writel", "ADDR VALUE", |given| write(given, Width::Long)),
    ("writeq", "ADDR VALUE", |given| write(given, Width::Quad)),
    ("inb", "ADDR", |given| port_in(given, Width::Byte)),
    ("inw", "ADDR", |given| port_in(given, Width::Word)),
    ("inl", "ADDR", |given| port_in(given, Width::Long)),
    ("outb", "ADDR VALUE", |given| port_out(given, Width::Byte)),
    ("outw", "ADDR VALUE", |given| port_out(given, Width::Word)),
    ("outl", "ADDR VALUE", |given| port_out(given, Width::Long)),
    ("read", "ADDR SIZE", |given| read_data(given, Encoding::Hex)),
    ("b64read", "ADDR SIZE", |given| read_data(given, Encoding::Base64)),
    ("write", "ADDR SIZE DATA", |given| write_data(given, Encoding::Hex)),
    ("b64write", "ADDR SIZE DATA", |given| write_data(given, Encoding::Base64)),
    ("memset", "ADDR SIZE VALUE", fill),
    ("clock_step", "[NS]", |given| {
        let by = given.words.first().map(|_| given.number(0, "NS", 0, u64::MAX));
        Ok(Command::ClockStep(by.transpose()?))
    }),
    ("clock_set", "NS", |given| Ok(Command::ClockSet(given.number(0, "NS", 0, u64::MAX)?))),
    ("irq_intercept_in", "QOM-PATH", |given| Ok(Command::InterceptIn(given.text(0).to_owned()))),
    ("irq_intercept_out", "QOM-PATH", |given| Ok(Command::InterceptOut(given.text(0).to_owned()))),
    ("set_irq_in", "QOM-PATH NAME N LEVEL", set_irq_in),
    ("endianness", "", |_| Ok(Command::Endianness)),
];

/// The most arguments that a command has.
const MOST_ARGUMENTS: usize = 4;

/// Reads a line without its end.
///
/// ```
/// use vmm::qtest::protocol::{Command, Width, parse};
///
/// assert_eq!(parse(b"inb 0x60"), Ok(Command::In { port: 0x60, width: Width::Byte }));
/// let error = parse(b"outb 0x60 256").unwrap_err().to_string();
/// assert_eq!(error, "outb: VALUE: expected a number from 0 to 0xff, given '256'");
/// ```
///
/// # Errors
/// If it is no command.
pub fn parse(line: &[u8]) -> Result<Command, ProtocolError> {
    let text =
        std::str::from_utf8(line).map_err(|error| ProtocolError::NotText(error.valid_up_to()))?;
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let given = words.next().ok_or(ProtocolError::Empty)?;
    let Some((name, form, read)) = FORMS.iter().find(|(name, ..)| *name == given) else {
        let given = excerpt(given);
        let suggestion = Suggestion::of(&given, FORMS.iter().map(|(name, ..)| *name));
        return Err(ProtocolError::Unknown { given, suggestion });
    };
    let words: Vec<_> = words.take(MOST_ARGUMENTS + 1).collect();
    let most = form.split_whitespace().count();
    let least = form.split_whitespace().filter(|argument| !argument.starts_with('[')).count();
    if !(least..=most).contains(&words.len()) {
        let given = words.len().min(most + 1);
        return Err(ProtocolError::Count { name, form, given });
    }
    read(&Arguments { name, words })
}

/// The arguments of a command, as many as it has.
struct Arguments<'a> {
    name: &'static str,
    words: Vec<&'a str>,
}

impl<'a> Arguments<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.words.get(at).copied().unwrap_or_default()
    }

    fn number(
        &self,
        at: usize,
        argument: &'static str,
        least: u64,
        greatest: u64,
    ) -> Result<u64, ProtocolError> {
        let (name, given) = (self.name, self.text(at));
        number(given).filter(|number| (least..=greatest).contains(number)).ok_or_else(|| {
            let given = excerpt(given);
            ProtocolError::Number { name, argument, least, greatest, given }
        })
    }

    /// The first argument as that of an access to so many bytes.
    fn address(&self, size: u64) -> Result<u64, ProtocolError> {
        let (name, address) = (self.name, self.number(0, "ADDR", 0, u64::MAX)?);
        match address.checked_add(size.saturating_sub(1)) {
            Some(_) => Ok(address),
            None => Err(ProtocolError::Range { name, address, size }),
        }
    }

    fn port(&self) -> Result<u16, ProtocolError> {
        let port = self.number(0, "ADDR", 0, u16::MAX.into())?;
        Ok(u16::try_from(port).unwrap_or(u16::MAX))
    }

    /// The second argument as a number of bytes that are read or written.
    fn data_size(&self) -> Result<usize, ProtocolError> {
        let size = self.number(1, "SIZE", 1, MOST_BYTES as u64)?;
        Ok(usize::try_from(size).unwrap_or(MOST_BYTES))
    }
}

fn read(given: &Arguments<'_>, width: Width) -> Result<Command, ProtocolError> {
    Ok(Command::Read { address: given.address(width.bytes() as u64)?, width })
}

fn write(given: &Arguments<'_>, width: Width) -> Result<Command, ProtocolError> {
    let address = given.address(width.bytes() as u64)?;
    let value = given.number(1, "VALUE", 0, width.greatest())?;
    Ok(Command::Write { address, width, value })
}

fn port_in(given: &Arguments<'_>, width: Width) -> Result<Command, ProtocolError> {
    Ok(Command::In { port: given.port()?, width })
}

fn port_out(given: &Arguments<'_>, width: Width) -> Result<Command, ProtocolError> {
    let (port, value) = (given.port()?, given.number(1, "VALUE", 0, width.greatest())?);
    Ok(Command::Out { port, width, value })
}

fn read_data(given: &Arguments<'_>, encoding: Encoding) -> Result<Command, ProtocolError> {
    let size = given.data_size()?;
    Ok(Command::ReadData { address: given.address(size as u64)?, size, encoding })
}

fn write_data(given: &Arguments<'_>, encoding: Encoding) -> Result<Command, ProtocolError> {
    let name = given.name;
    let size = given.data_size()?;
    let address = given.address(size as u64)?;
    let text = given.text(2);
    let (data, expected) = match encoding {
        Encoding::Hex => (hex(text), "0x and two hex digits a byte"),
        Encoding::Base64 => (base64(text), "base64 with its padding"),
    };
    let data = data.ok_or_else(|| ProtocolError::Data { name, expected, given: excerpt(text) })?;
    match data.len() {
        given if given == size => Ok(Command::WriteData { address, data }),
        given => Err(ProtocolError::DataSize { name, size, given }),
    }
}

fn fill(given: &Arguments<'_>) -> Result<Command, ProtocolError> {
    let size = given.number(1, "SIZE", 1, MOST_FILLED)?;
    let value = given.number(2, "VALUE", 0, Width::Byte.greatest())?;
    let value = u8::try_from(value).unwrap_or(u8::MAX);
    Ok(Command::Fill { address: given.address(size)?, size, value })
}

fn set_irq_in(given: &Arguments<'_>) -> Result<Command, ProtocolError> {
    if given.text(1) != UNNAMED_INPUTS {
        let (name, given) = (given.name, excerpt(given.text(1)));
        return Err(ProtocolError::Inputs { name, given });
    }
    let pin = given.number(2, "N", 0, u32::MAX.into())?;
    let pin = u32::try_from(pin).unwrap_or(u32::MAX);
    // Any level but 0 is high.
    let level = given.number(3, "LEVEL", 0, u32::MAX.into())? != 0;
    Ok(Command::SetIrqIn { path: given.text(0).to_owned(), pin, level })
}

#[cfg(test)]
mod tests;
