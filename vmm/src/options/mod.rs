//! The command line and configuration files: text in, typed requests out.
//!
//! Nothing here knows a type, a machine or a device, and nothing has an effect but reading the file
//! that `-readconfig` names. [`command_line::CommandLine`] is the whole of it; the other modules
//! each read one kind of value.

pub mod add_fd;
pub mod choice;
pub mod command_line;
pub mod config_file;
pub mod cpu_model;
pub(crate) mod excerpt;
pub mod globals;
pub mod identifier;
pub mod json;
pub mod key;
pub mod keyval;
pub mod nesting;
pub mod size;
pub mod smp;
pub mod stream;
