//! A crate without types, which a monitor names for its types all the same.
