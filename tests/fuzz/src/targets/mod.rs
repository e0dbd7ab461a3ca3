//! The targets, a file each, which submits the target to the program. A test beside [`crate::find`]
//! notices a folder of seeds whose file is missing here.

mod boot;
mod bus;
mod bzimage;
mod chardev;
mod chardev_peers;
mod command_line;
mod config_file;
mod cpu_features;
mod cpu_model;
mod debug_exit;
mod debugcon;
mod decompress;
mod elf;
mod firmware;
mod ged;
mod globals;
mod guest_code;
mod i8042;
mod initrd;
mod ioapic;
mod json;
mod keyval;
mod machine;
mod mc146818rtc;
mod memory;
mod microvm;
mod none_machine;
mod pvpanic;
mod qmp_framer;
mod qmp_monitor;
mod qmp_session;
mod qtest_protocol;
mod serial;
mod size;
