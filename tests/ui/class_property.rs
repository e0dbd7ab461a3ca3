//! A property of a class is a method without a body.
use qom_core::{Live, Object, qom_type};

/// The class of devices.
#[qom_type(abstract, parent = Object)]
trait Device: Object {
    /// First port.
    #[property(default = 5)]
    fn with_body(&self) -> u16 {
        5
    }
    /// First port.
    #[property]
    fn with_argument(&self, index: u16) -> u16;
    /// First port.
    #[property]
    fn by_value(self) -> u16;
    /// First port.
    #[property]
    fn of_nothing(&self);
    /// First port.
    #[property(get = Self::rate)]
    fn computed(&self) -> u16;
    /// First port.
    #[property(live)]
    fn wrapped(&self) -> Live<u16>;
    #[property]
    fn undescribed(&self) -> u16;
    /// First port.
    #[property]
    fn generic<'a>(&'a self) -> u16;
}

fn main() {}
