//! A type of each security status for each way to create something, and one that is deprecated and one
//! that is unstable, so that a matrix of types, ways and policies has no blank.

mod accelerators;
mod blockdevs;
mod carriers;
mod chardevs;
mod cpus;
mod devices;
mod formats;
mod kernels;
mod machines;
mod netdevs;
mod objects;

/// Defines a type of each status by the macro that is named first, which is given the type's name
/// and the words of its statement.
macro_rules! in_each_status {
    ($define:ident: $secure:ident, $insecure:ident, $undeclared:ident) => {
        $define!($secure, secure,);
        $define!($insecure, insecure, reason = "an example",);
        $define!($undeclared,);
    };
}
use in_each_status;

/// Defines a secure type that is deprecated and one that is unstable, as [`in_each_status`] does.
macro_rules! with_each_feature {
    ($define:ident: $deprecated:ident, $unstable:ident) => {
        $define!($deprecated, secure, deprecated = "use another",);
        $define!($unstable, secure, unstable,);
    };
}
use with_each_feature;
