//! The security policy: what is in force and since when it has been contradicted, what it would make
//! of something else, and its raising.

mod check;
mod policy;
