//! Accelerators, machines, CPUs, memory, boot and the command line of a virtual machine monitor.

pub mod boot;
pub mod cpu;
pub mod kvm;
