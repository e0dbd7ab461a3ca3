//! The object tree and the types, as QEMU's `qom-*` commands show and change them.

mod list;
mod types;
mod values;

#[cfg(test)]
mod tests;
