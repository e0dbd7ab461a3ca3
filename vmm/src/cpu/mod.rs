//! What CPUID tells a guest: features by name, models and topology.

pub mod cpuid;
mod dependencies;
mod feature_table;
pub mod features;
mod leaves;
pub mod model;
pub mod topology;
mod topology_leaves;
mod xsave;
