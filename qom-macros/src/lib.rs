//! Attribute macros that make a Rust struct or trait a type of the object model.
