//! The places where untrusted input enters, and sets of them.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeSeq};

/// A place where input that nobody vouches for enters the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Boundary {
    /// The guest: devices, machines, accelerators, CPUs.
    Guest = 1,
    /// Files that somebody else made: disk images, kernels, firmware, and what unpacks them.
    File = 1 << 1,
    /// The network: network backends, block protocols, migration.
    Network = 1 << 2,
    /// Programs that connect to a display or a character device.
    Client = 1 << 3,
    /// Devices of the host that are handed to a guest.
    Passthrough = 1 << 4,
    /// The monitor. Who speaks to it is trusted, and must be kept apart from everyone else.
    Management = 1 << 5,
}

impl Boundary {
    /// Every boundary, in the order in which sets of them are shown.
    pub const ALL: [Self; 6] =
        [Self::Guest, Self::File, Self::Network, Self::Client, Self::Passthrough, Self::Management];

    /// The name as `boundary(…)` and introspection spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::File => "file",
            Self::Network => "network",
            Self::Client => "client",
            Self::Passthrough => "passthrough",
            Self::Management => "management",
        }
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of boundaries. An abstract class states its own; a descendant may add, never drop.
///
/// ```
/// use qom_core::{Boundaries, Boundary};
///
/// let disk = Boundaries::of(&[Boundary::Guest, Boundary::File]);
/// assert!(disk.contains(Boundary::File));
/// assert_eq!(disk.to_string(), "guest, file");
/// assert_eq!(Boundaries::NONE.to_string(), "none");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Boundaries(u8);

impl Boundaries {
    /// The empty set: nothing untrusted reaches the type.
    pub const NONE: Self = Self(0);

    /// The set of the boundaries given; naming one twice is the same as once.
    #[must_use]
    pub const fn of(boundaries: &[Boundary]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < boundaries.len() {
            bits |= boundaries[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Everything that is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set holds `boundary`.
    #[must_use]
    pub const fn contains(self, boundary: Boundary) -> bool {
        self.0 & boundary as u8 != 0
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the order of [`Boundary::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Boundary> {
        Boundary::ALL.into_iter().filter(move |boundary| self.contains(*boundary))
    }
}

impl fmt::Display for Boundaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, boundary) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(boundary.name())?;
        }
        Ok(())
    }
}

impl Serialize for Boundaries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        for boundary in self.iter() {
            sequence.serialize_element(boundary.name())?;
        }
        sequence.end()
    }
}
