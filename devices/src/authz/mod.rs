//! Authorization: lists of rules, and a single name.

pub mod glob;
mod list;
pub mod rules;
mod simple;

pub use list::AuthzList;
pub use simple::AuthzSimple;
