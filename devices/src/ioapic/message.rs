//! The message that a redirection table entry stands for.

use super::redirection::RedirectionEntry;
use super::spec::*;

/// A message-signalled interrupt in the format that the x86 local APICs take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiMessage {
    /// Where it is written.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

impl From<RedirectionEntry> for MsiMessage {
    /// The message of an entry, whether or not the entry is masked.
    fn from(entry: RedirectionEntry) -> Self {
        let mut address =
            MSI_ADDRESS_BASE | u64::from(entry.destination()) << MSI_ADDRESS_DESTINATION_SHIFT;
        if entry.is_logical() {
            address |= MSI_ADDRESS_LOGICAL;
        }
        if entry.delivery_mode() == DELIVERY_LOWEST_PRIORITY {
            address |= MSI_ADDRESS_REDIRECTION_HINT;
        }
        let mut data = u32::from(entry.vector())
            | u32::from(entry.delivery_mode()) << MSI_DATA_DELIVERY_MODE_SHIFT;
        if entry.is_level() {
            data |= MSI_DATA_LEVEL | MSI_DATA_ASSERT;
        }
        Self { address, data }
    }
}
