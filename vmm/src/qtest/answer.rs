//! What a client is told, a line each.

use super::{
    number::{to_base64, to_hex},
    protocol::Encoding,
};

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// What was read from memory as a number.
    Memory(u64),
    /// What was read from a port.
    Port(u32),
    /// What was read from memory as bytes.
    Data(Vec<u8>, Encoding),
    /// Where the clock stands, in nanoseconds.
    Time(u64),
    /// A word.
    Word(&'static str),
    /// It could not be done, and why.
    Failed(String),
}

impl Answer {
    /// The line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Done => "OK".to_owned(),
            Self::Memory(value) => format!("OK {value:#018x}"),
            Self::Port(value) => format!("OK {value:#06x}"),
            Self::Data(data, Encoding::Hex) => format!("OK {}", to_hex(data)),
            Self::Data(data, Encoding::Base64) => format!("OK {}", to_base64(data)),
            Self::Time(time) => format!("OK {time}"),
            Self::Word(word) => format!("OK {word}"),
            Self::Failed(why) => format!("FAIL {}", why.replace(char::is_control, " ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_one_line_in_the_protocols_words() {
        for (answer, line) in [
            (Answer::Done, "OK"),
            (Answer::Memory(0xff), "OK 0x00000000000000ff"),
            (Answer::Port(0x1c), "OK 0x001c"),
            (Answer::Port(0x1234_5678), "OK 0x12345678"),
            (Answer::Data(vec![1, 2], Encoding::Hex), "OK 0x0102"),
            (Answer::Data(vec![1, 2], Encoding::Base64), "OK AQI="),
            (Answer::Time(100), "OK 100"),
            (Answer::Word("little"), "OK little"),
            (Answer::Failed("a\nb".to_owned()), "FAIL a b"),
        ] {
            assert_eq!(answer.line(), line);
        }
    }
}
