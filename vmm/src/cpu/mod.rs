//! Processors: their class and models, and what CPUID tells a guest of them.

pub mod class;
pub mod cpuid;
mod dependencies;
mod feature_table;
pub mod features;
mod leaves;
pub mod model;
pub mod topology;
mod topology_leaves;
mod xsave;

pub use class::{Cpu, CpuSetup, TYPE_SUFFIX};
