//! Types that a third party would write, as the tests need them: undeclared, insecure by their
//! values, failing.

mod conditional;
mod failing;
mod undeclared;

pub use conditional::ConditionalDevice;
pub use failing::FailingDevice;
pub use undeclared::UndeclaredDevice;
