//! Each statement has its reason.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial {
    /// First port.
    #[property(insecure)]
    plain: u16,
    /// First port.
    #[property(insecure_if(5, 6), insecure_if(7, reason = "Seven."))]
    values: u16,
    /// First port.
    #[property(insecure_when = judge)]
    judged: u16,
    /// First port.
    #[property(insecure_if(5), insecure_if(6), reason = "Both.")]
    ambiguous: u16,
    /// First port.
    #[property(reason = "None.")]
    lone: u16,
    /// First port.
    #[property(insecure_if(reason = "No value."), insecure_if(5, reson = "Misspelt."))]
    malformed: u16,
    /// First port.
    #[property(insecure(reason = ""))]
    empty: u16,
}

fn main() {}
