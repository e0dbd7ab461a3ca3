//! What a node asks of operations.

/// What a node asks of operations, in bytes. Whoever does not keep to it is served all the same, but
/// slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What positions and lengths are best multiples of; a power of two.
    pub alignment: u32,
    /// What positions and lengths of discards are best multiples of; a power of two.
    pub discard_alignment: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { alignment: 1, discard_alignment: 1 }
    }
}

impl Limits {
    /// What both ask.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            alignment: self.alignment.max(other.alignment),
            discard_alignment: self.discard_alignment.max(other.discard_alignment),
        }
    }
}
