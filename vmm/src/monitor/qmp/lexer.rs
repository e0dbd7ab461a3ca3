//! JSON's lexical structure, a byte at a time: what each byte is, and how it is written in plain
//! JSON. Beyond RFC 8259, a string may stand in single quotes and have `\'` in it, as QEMU's may.

use super::framer::FrameError;

/// What a byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Space between tokens.
    Space,
    /// An opening bracket.
    Open,
    /// This closing bracket.
    Close(u8),
    /// A colon or comma.
    Separator,
    /// The first byte of a string: a quote.
    StringStart,
    /// The first byte of a number or keyword.
    ScalarStart,
    /// Within a string, number or keyword.
    Inside,
    /// The last byte of a string: a quote.
    StringEnd,
}

/// A byte that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lexeme {
    pub(super) kind: Kind,
    /// How plain JSON writes it. It may stand for the byte before too, which had none.
    text: [u8; 2],
    length: u8,
}

impl Lexeme {
    const fn none(kind: Kind) -> Self {
        Self { kind, text: [0; 2], length: 0 }
    }

    const fn one(kind: Kind, byte: u8) -> Self {
        Self { kind, text: [byte, 0], length: 1 }
    }

    const fn escape(byte: u8) -> Self {
        Self { kind: Kind::Inside, text: [b'\\', byte], length: 2 }
    }

    pub(super) fn text(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The byte that it is, if it is one.
    pub(super) const fn byte(&self) -> u8 {
        self.text[0]
    }

    /// Whether a token begins here.
    pub(super) const fn starts_token(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::Inside | Kind::StringEnd)
    }
}

/// The bytes of a character that are still to come, and what the next one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Continuation {
    count: u8,
    least: u8,
    most: u8,
}

impl Continuation {
    /// After that first byte: Unicode 15.0, table 3-7, well-formed UTF-8 byte sequences.
    const fn after(first: u8) -> Option<Self> {
        let (count, least, most) = match first {
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xe1..=0xec | 0xee..=0xef => (2, 0x80, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return None,
        };
        Some(Self { count, least, most })
    }

    /// After that next byte, if it may be there.
    const fn then(self, byte: u8) -> Option<Self> {
        if byte < self.least || byte > self.most {
            return None;
        }
        Some(Self { count: self.count.saturating_sub(1), least: 0x80, most: 0xbf })
    }
}

/// Where in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    /// Between characters.
    Plain,
    /// After a backslash, which is not written yet.
    Escape,
    /// In a character of more than one byte.
    Character(Continuation),
}

/// Where in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between tokens.
    #[default]
    Between,
    /// In a number or keyword.
    Scalar,
    /// In a string that ends with that quote.
    String(u8, Within),
}

/// Tells what each byte of a stream is. It has no memory beyond the token that it is in, and never
/// counts brackets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lexer(State);

impl Lexer {
    /// Whether the number or keyword read so far ends before that byte, which begins something else.
    pub(super) const fn ends_scalar(self, byte: u8) -> bool {
        matches!(self.0, State::Scalar)
            && matches!(
                byte,
                b' ' | b'\t'
                    | b'\r'
                    | b'\n'
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b':'
                    | b','
                    | b'"'
                    | b'\''
            )
    }

    /// Reads the next byte. After an error the lexer must be replaced by a new one.
    pub(super) fn take(&mut self, byte: u8) -> Result<Lexeme, FrameError> {
        match self.0 {
            State::String(quote, within) => self.in_string(byte, quote, within),
            State::Scalar if matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.') => {
                Ok(Lexeme::one(Kind::Inside, byte))
            }
            State::Scalar | State::Between => self.between(byte),
        }
    }

    fn between(&mut self, byte: u8) -> Result<Lexeme, FrameError> {
        self.0 = State::Between;
        let kind = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => Kind::Space,
            b'{' | b'[' => Kind::Open,
            b'}' | b']' => Kind::Close(byte),
            b':' | b',' => Kind::Separator,
            b'"' | b'\'' => {
                self.0 = State::String(byte, Within::Plain);
                return Ok(Lexeme::one(Kind::StringStart, b'"'));
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                self.0 = State::Scalar;
                Kind::ScalarStart
            }
            _ => return Err(FrameError::Stray { byte }),
        };
        Ok(Lexeme::one(kind, byte))
    }

    fn in_string(&mut self, byte: u8, quote: u8, within: Within) -> Result<Lexeme, FrameError> {
        let plain = Lexeme::one(Kind::Inside, byte);
        let (within, lexeme) = match (within, byte) {
            (Within::Character(continuation), _) => {
                let next = continuation.then(byte).ok_or(FrameError::NotUtf8 { byte })?;
                match next.count {
                    0 => (Within::Plain, plain),
                    _ => (Within::Character(next), plain),
                }
            }
            (_, 0..=0x1f) => return Err(FrameError::ControlInString { byte }),
            (Within::Plain, b'\\') => (Within::Escape, Lexeme::none(Kind::Inside)),
            (Within::Plain, _) if byte == quote => {
                self.0 = State::Between;
                return Ok(Lexeme::one(Kind::StringEnd, b'"'));
            }
            // The other quote needs an escape now, or none any more.
            (Within::Plain, b'"') => (Within::Plain, Lexeme::escape(byte)),
            (Within::Escape, b'\'') => (Within::Plain, plain),
            (Within::Escape, 0..=0x7f) => (Within::Plain, Lexeme::escape(byte)),
            (Within::Plain, 0..=0x7f) => (Within::Plain, plain),
            (_, 0x80..) => {
                let next = Continuation::after(byte).ok_or(FrameError::NotUtf8 { byte })?;
                let escaped = within == Within::Escape;
                (Within::Character(next), if escaped { Lexeme::escape(byte) } else { plain })
            }
        };
        self.0 = State::String(quote, within);
        Ok(lexeme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut lexer = Lexer::default();
        let mut plain = Vec::new();
        for byte in text {
            plain.extend(lexer.take(*byte)?.text());
        }
        Ok(plain)
    }

    #[test]
    fn single_quotes_become_double_ones() {
        for (given, written) in [
            (r#"{'a': 'b'}"#, r#"{"a": "b"}"#),
            (r"'it\'s'", r#""it's""#),
            (r#"'say "x"'"#, r#""say \"x\"""#),
            (r#"'say \"x\"'"#, r#""say \"x\"""#),
            (r#""it's""#, r#""it's""#),
            (r#""it\'s""#, r#""it's""#),
            (r"'a\\'", r#""a\\""#),
            (r"'\u00e9\n'", r#""\u00e9\n""#),
        ] {
            assert_eq!(plain(given.as_bytes()).unwrap(), written.as_bytes(), "{given}");
        }
    }

    #[test]
    fn a_byte_that_can_be_nothing_is_an_error_where_it_stands() {
        for byte in b"%#$&()*/;<=>?@AZ^_`|~\\!+.\x00\x01\x0b\x7f\x80\xc3\xff" {
            assert_eq!(plain(&[b'{', *byte]), Err(FrameError::Stray { byte: *byte }));
        }
        for byte in 0..0x20 {
            assert_eq!(plain(&[b'"', byte]), Err(FrameError::ControlInString { byte }));
            assert_eq!(plain(&[b'"', b'\\', byte]), Err(FrameError::ControlInString { byte }));
        }
        assert_eq!(plain(b"1A"), Err(FrameError::Stray { byte: b'A' }));
    }

    proptest! {
        /// The standard library is the judge.
        #[test]
        fn a_string_holds_utf8_and_nothing_else(bytes in prop::collection::vec(
            prop_oneof![0x80..=0xff_u8, Just(b'x')], 0..6)
        ) {
            let text = [b"\"", &bytes[..], b"\""].concat();
            prop_assert_eq!(plain(&text).is_ok(), std::str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn any_character_may_stand_in_a_string(text in "[^\\p{Cc}\"\\\\]*") {
            let text = format!("\"{text}\"");
            prop_assert_eq!(plain(text.as_bytes()).unwrap(), text.as_bytes());
        }
    }
}
