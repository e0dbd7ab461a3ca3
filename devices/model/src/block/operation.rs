//! What can be done with a node's bytes.

use vm_memory::VolatileSlice;

/// What can be done with a node's bytes. Positions and lengths are in bytes.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// Fills the buffers, one after the other, with what is at `offset`.
    Read {
        /// Where it begins.
        offset: u64,
        /// What is filled.
        into: &'a [VolatileSlice<'a>],
    },
    /// Puts what the buffers hold, one after the other, at `offset`.
    Write {
        /// Where it begins.
        offset: u64,
        /// What is written.
        from: &'a [VolatileSlice<'a>],
    },
    /// Makes all that was written before outlast a failure of the host.
    Flush,
    /// Says that nobody needs these bytes any more: what they read as from then on is undefined.
    Discard {
        /// Where it begins.
        offset: u64,
        /// How far it reaches.
        length: u64,
    },
    /// Writes zeroes.
    WriteZeroes {
        /// Where it begins.
        offset: u64,
        /// How far it reaches.
        length: u64,
        /// Whether what holds the bytes may give up the room for them.
        unmap: bool,
    },
}

impl<'a> Operation<'a> {
    /// Where it begins and how far it reaches; nowhere for a flush.
    #[must_use]
    pub fn range(&self) -> (u64, u64) {
        match *self {
            Self::Read { offset, into: buffers } | Self::Write { offset, from: buffers } => {
                (offset, total(buffers))
            }
            Self::Flush => (0, 0),
            Self::Discard { offset, length } | Self::WriteZeroes { offset, length, .. } => {
                (offset, length)
            }
        }
    }

    /// Whether it changes what is read afterwards.
    #[must_use]
    pub const fn writes(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::Flush)
    }

    /// The same, that many bytes further on. None beyond the end of all positions.
    #[must_use]
    pub fn moved(self, by: u64) -> Option<Self> {
        let moved = |offset: u64| offset.checked_add(by);
        Some(match self {
            Self::Read { offset, into } => Self::Read { offset: moved(offset)?, into },
            Self::Write { offset, from } => Self::Write { offset: moved(offset)?, from },
            Self::Flush => Self::Flush,
            Self::Discard { offset, length } => Self::Discard { offset: moved(offset)?, length },
            Self::WriteZeroes { offset, length, unmap } => {
                Self::WriteZeroes { offset: moved(offset)?, length, unmap }
            }
        })
    }
}

/// How many bytes buffers hold together.
fn total(buffers: &[VolatileSlice<'_>]) -> u64 {
    let lengths = buffers.iter().map(|buffer| u64::try_from(buffer.len()).unwrap_or(u64::MAX));
    lengths.fold(0, u64::saturating_add)
}

/// Fills buffers with zeroes.
pub fn zero(buffers: &[VolatileSlice<'_>]) {
    const ZEROES: [u8; 4096] = [0; 4096];
    for buffer in buffers {
        let mut done = 0;
        while done < buffer.len() {
            // It lies within, as `done` does.
            let Ok(rest) = buffer.offset(done) else { break };
            rest.copy_from(&ZEROES[..]);
            done += ZEROES.len().min(rest.len());
        }
    }
}
