//! `secret`: a password or key that other objects use and that nothing shows.

mod data;
pub mod decode;
mod object;

pub use object::{Secret, SecretError};
