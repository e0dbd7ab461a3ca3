//! The record of everything that existed although require-secure would have refused it.

use crate::verdict::Refusal;

/// Why a VM is tainted: one object, or one value of a property, that is not declared secure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// What it is and why it is not secure.
    pub cause: Refusal,
    /// Whether the object has been removed since. It stays listed: what it may have done stays.
    pub removed: bool,
}
