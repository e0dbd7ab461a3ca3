//! Types that a third party would write, as the tests need them: undeclared, insecure by their
//! values, failing; and commands of which one overtakes another.

mod conditional;
mod failing;
mod out_of_band;
mod undeclared;

pub use conditional::ConditionalDevice;
pub use failing::FailingDevice;
pub use undeclared::UndeclaredDevice;
