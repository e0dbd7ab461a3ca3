//! Limits on how much input and output devices do in a time.
//!
//! [`bucket`] is the arithmetic of one limit, [`limits`] what a user says of all of them,
//! [`account`] all limits together, and [`scheduler`] who begins next. None of them knows a clock, a
//! loop or a device. `group` joins them to these, and makes a type of it.

pub mod account;
pub mod bucket;
mod group;
pub mod limits;
mod members;
pub mod scheduler;

pub use group::ThrottleGroup;
