//! What CPUID tells a guest: features by name, models and topology.

pub mod topology;
