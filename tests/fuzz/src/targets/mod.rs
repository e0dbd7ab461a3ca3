//! The targets, a file each.

pub(crate) mod boot;
pub(crate) mod bus;
pub(crate) mod bzimage;
pub(crate) mod command_line;
pub(crate) mod config_file;
pub(crate) mod cpu_features;
pub(crate) mod cpu_model;
pub(crate) mod debug_exit;
pub(crate) mod debugcon;
pub(crate) mod decompress;
pub(crate) mod elf;
pub(crate) mod ged;
pub(crate) mod globals;
pub(crate) mod i8042;
pub(crate) mod initrd;
pub(crate) mod ioapic;
pub(crate) mod json;
pub(crate) mod keyval;
pub(crate) mod mc146818rtc;
mod memory;
pub(crate) mod pvpanic;
pub(crate) mod serial;
pub(crate) mod size;
