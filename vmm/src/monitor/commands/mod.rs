//! The commands of monitors, each registered where it is written.

mod introspection;
