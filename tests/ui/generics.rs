//! Types that would need many records.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial<T> {
    buffer: Vec<T>,
}

/// A serial port.
#[qom_type(parent = Object)]
struct Borrowed<'a> {
    buffer: &'a [u8],
}

fn main() {}
