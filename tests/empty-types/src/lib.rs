//! A crate that defines no type, for a monitor that names it all the same.
