//! Cuts a stream of bytes into JSON values. A value ends where its brackets balance, whatever lines
//! it is written on; a number or keyword on its own ends before what can't be part of it.
//!
//! Errors are told when the byte that makes them arrives. What follows an error that leaves the
//! structure in doubt is skipped until a new line or an opening brace, so that a client which has
//! lost its place gets on by sending the byte 0xff, which no JSON has, and a new line. What follows
//! in a message beyond a limit is skipped until that message's end; none of it is kept.

use std::sync::Arc;

use serde_json::Value;

use super::{
    budget::{Budget, Claim, Full, TOKEN_BYTES, Text},
    lexer::{Kind, Lexeme, Lexer},
    parse::parse,
};

/// How large one message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many arrays and objects may stand in one another.
    pub nesting: usize,
    /// How many bytes it may have.
    pub bytes: usize,
    /// How many strings, numbers, keywords, brackets, colons and commas it may have, if they find
    /// room in the budget: each takes [`TOKEN_BYTES`] of it.
    pub tokens: usize,
}

impl Default for Limits {
    /// QEMU's: qobject/json-streamer.c.
    fn default() -> Self {
        Self { nesting: 1024, bytes: 64 << 20, tokens: 2 << 20 }
    }
}

/// Input that is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A byte that can be nothing where it stands.
    #[error("JSON parse error, stray {}", Byte(*byte))]
    Stray {
        /// The byte.
        byte: u8,
    },
    /// A byte in a string that is not UTF-8 where it stands.
    #[error("JSON parse error, {} in a string is not UTF-8", Byte(*byte))]
    NotUtf8 {
        /// The byte.
        byte: u8,
    },
    /// A control character in a string.
    #[error("JSON parse error, control character {} in a string", Byte(*byte))]
    ControlInString {
        /// The character.
        byte: u8,
    },
    /// A bracket that closes another kind of bracket.
    #[error("JSON parse error, {} where {} is due", Byte(*found), Byte(*expected))]
    Mismatched {
        /// The bracket that would close the innermost one.
        expected: u8,
        /// The bracket that came.
        found: u8,
    },
    /// Tokens that make no value, or a key given twice.
    #[error("JSON parse error, {0}")]
    Syntax(String),
    /// Arrays and objects in one another.
    #[error("JSON message nests deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A message that is too long.
    #[error("JSON message is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A message that has too many tokens.
    #[error("JSON message has more than {limit} tokens")]
    TooManyTokens {
        /// The limit.
        limit: usize,
    },
    /// The messages of all clients, with what they are parsed into.
    #[error("JSON messages of all clients are longer than {capacity} bytes")]
    OutOfBudget {
        /// What all clients share.
        capacity: usize,
    },
}

impl FrameError {
    /// Whether the message is known to go on, so that its end can be found.
    const fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::TooDeep { .. }
                | Self::TooLong { .. }
                | Self::TooManyTokens { .. }
                | Self::OutOfBudget { .. }
        )
    }
}

/// A byte as an error shows it.
struct Byte(u8);

impl std::fmt::Display for Byte {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            byte @ 0x20..=0x7e => write!(f, "'{}'", char::from(byte)),
            byte => write!(f, "byte {byte:#04x}"),
        }
    }
}

/// A whole message, and what its memory takes of the budget.
#[derive(Debug)]
pub struct Message {
    value: Value,
    // After the value, as fields are dropped in their order.
    claim: Claim,
}

impl Message {
    /// What was read.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// What was read, and the claim to drop once nothing of it is left.
    #[must_use]
    pub fn into_parts(self) -> (Value, Claim) {
        (self.value, self.claim)
    }
}

/// What to do with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Make messages of them.
    Keep,
    /// Look for the end of a message that is too large.
    Skip,
    /// Look for a place where a message may begin.
    Recover,
}

/// Makes messages of a stream, which may come in any pieces.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    mode: Mode,
    lexer: Lexer,
    /// The brackets that are due, the innermost last. There are no more than may nest.
    due: Vec<u8>,
    /// How many brackets are open, those of a message being skipped too.
    depth: usize,
    tokens: usize,
    text: Text,
}

impl Framer {
    /// A framer with the usual limits.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self::with_limits(Limits::default(), budget)
    }

    /// A framer with limits of its own. Whoever allows more nesting needs a larger stack too.
    #[must_use]
    pub fn with_limits(limits: Limits, budget: Arc<Budget>) -> Self {
        Self {
            limits,
            mode: Mode::Keep,
            lexer: Lexer::default(),
            due: Vec::new(),
            depth: 0,
            tokens: 0,
            text: Text::new(budget),
        }
    }

    /// The next message or error, and takes from `input` what was needed to tell. With none, all
    /// of `input` was taken.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Result<Message, FrameError>> {
        while let Some((&byte, rest)) = input.split_first() {
            if self.mode == Mode::Recover {
                if !matches!(byte, b'\n' | b'{') {
                    *input = rest;
                    continue;
                }
                self.mode = Mode::Keep;
            }
            // The byte that ends a number or keyword belongs to what comes next.
            let message = if self.depth == 0 && self.lexer.ends_scalar(byte) {
                self.complete()
            } else {
                let message = self.take(byte);
                // A byte that is wrong where it is may yet be where to go on.
                if self.mode != Mode::Recover {
                    *input = rest;
                }
                message
            };
            if message.is_some() {
                return message;
            }
        }
        None
    }

    /// Forgets the message that is not finished.
    pub fn reset(&mut self) {
        self.mode = Mode::Keep;
        self.lexer = Lexer::default();
        self.due = Vec::new();
        self.depth = 0;
        self.tokens = 0;
        self.text.clear();
    }

    fn take(&mut self, byte: u8) -> Option<Result<Message, FrameError>> {
        let admitted = self.lexer.take(byte).and_then(|lexeme| {
            let kept = if self.mode == Mode::Skip { Ok(()) } else { self.keep(lexeme) };
            match kept {
                Err(error) if !error.is_limit() => Err(error),
                kept => Ok((lexeme, kept)),
            }
        });
        let (lexeme, kept) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                // That the message being skipped is wrong has been told already.
                let told = self.mode == Mode::Skip;
                self.reset();
                self.mode = Mode::Recover;
                return (!told).then_some(Err(error));
            }
        };
        match lexeme.kind {
            Kind::Open => self.depth = self.depth.saturating_add(1),
            Kind::Close(_) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if kept.is_err() {
            self.mode = Mode::Skip;
            self.due = Vec::new();
            self.text.clear();
        }
        let ended = self.depth == 0 && matches!(lexeme.kind, Kind::Close(_) | Kind::StringEnd);
        let message = if ended { self.complete() } else { None };
        message.or(kept.err().map(Err))
    }

    /// Makes the byte part of the message.
    fn keep(&mut self, lexeme: Lexeme) -> Result<(), FrameError> {
        let Limits { nesting, bytes, tokens } = self.limits;
        match lexeme.kind {
            Kind::Space if self.depth == 0 => return Ok(()),
            Kind::Separator if self.depth == 0 => {
                return Err(FrameError::Stray { byte: lexeme.byte() });
            }
            Kind::Open if self.due.len() >= nesting => {
                return Err(FrameError::TooDeep { limit: nesting });
            }
            // ASCII has each closing bracket two places after its opening one.
            Kind::Open => self.due.push(lexeme.byte().saturating_add(2)),
            Kind::Close(found) => match self.due.pop() {
                Some(expected) if expected == found => {}
                Some(expected) => return Err(FrameError::Mismatched { expected, found }),
                None => return Err(FrameError::Stray { byte: found }),
            },
            _ => {}
        }
        if lexeme.starts_token() {
            if self.tokens >= tokens {
                return Err(FrameError::TooManyTokens { limit: tokens });
            }
            self.tokens = self.tokens.saturating_add(1);
            self.text.charge(TOKEN_BYTES).map_err(|full| self.too_large(full))?;
        }
        for byte in lexeme.text() {
            self.text.push(*byte, bytes).map_err(|full| self.too_large(full))?;
        }
        Ok(())
    }

    fn too_large(&self, full: Full) -> FrameError {
        match full {
            Full::Limit => FrameError::TooLong { limit: self.limits.bytes },
            Full::Budget => FrameError::OutOfBudget { capacity: self.text.budget().capacity() },
        }
    }

    /// Ends the message; none if it was skipped.
    fn complete(&mut self) -> Option<Result<Message, FrameError>> {
        let message = (self.mode == Mode::Keep).then(|| self.read());
        self.reset();
        message
    }

    /// The message, which is whole.
    fn read(&mut self) -> Result<Message, FrameError> {
        // The strings that are parsed have no more bytes than the text, and are there beside it. One
        // with an escape is put together elsewhere first.
        let strings = self.text.bytes().len();
        let escapes = if self.text.bytes().contains(&b'\\') { strings } else { 0 };
        self.text.charge(strings.saturating_add(escapes)).map_err(|full| self.too_large(full))?;
        let value =
            parse(self.text.bytes()).map_err(|error| FrameError::Syntax(error.to_string()))?;
        let tokens = self.tokens.saturating_mul(TOKEN_BYTES);
        let claim = self.text.settle(strings.saturating_add(tokens));
        Ok(Message { value, claim })
    }
}

#[cfg(test)]
mod tests;
