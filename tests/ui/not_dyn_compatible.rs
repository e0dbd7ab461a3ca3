//! Everything that keeps a trait from being a class.
use qom_core::{Object, qom_interface, qom_type};

/// The class of devices.
#[qom_type(abstract, parent = Object)]
trait Device: Object + Clone {
    const PORTS: u16;
    type Register;
    fn new() -> u8;
    fn visit<V>(&self, visitor: V);
    fn duplicate(&self) -> Option<Self>;
    fn describe(&self) -> impl ToString;
    async fn wait(&self);
    fn create() -> u8
    where
        Self: Sized;
}

/// Something that can be unplugged.
#[qom_interface]
trait Hotplug<T> {}

fn main() {}
