//! What the devices of a machine say of themselves for its ACPI tables.

use device_model::{
    acpi::{AcpiDevice, AcpiNode},
    qom_core::Obj,
};

use crate::boot::acpi::tell_apart;

/// The entries of every realized device of the tree that `machine` stands in, in the order of their
/// paths.
pub(super) fn devices(machine: &Obj) -> Vec<AcpiDevice> {
    let mut waiting: Vec<_> =
        std::iter::successors(Some(machine.clone()), Obj::parent).last().into_iter().collect();
    let mut nodes = Vec::new();
    while let Some(object) = waiting.pop() {
        waiting.extend(object.children().into_iter().map(|(_, child)| child));
        if let Some(node) = object.cast::<dyn AcpiNode>().filter(|_| object.is_complete()) {
            nodes.push((object.path(), node));
        }
    }
    nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
    tell_apart(nodes.iter().flat_map(|(_, node)| node.acpi()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use device_model::{
        platform::Platform,
        prelude::*,
        qom_core::{Globals, Policy, Registry, Request, Tree},
        realize::DeviceRealizer,
    };

    /// A device that says of itself what a test tells it to
    #[qom_type(secure, parent = SysBusDevice, interfaces(AcpiNode))]
    struct AcpiTestDevice {
        /// Name that it would like
        #[property(default = "COM1")]
        acpi_name: String,
    }

    impl Device for AcpiTestDevice {
        fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
            Ok(())
        }
    }

    impl SysBusDevice for AcpiTestDevice {}

    impl AcpiNode for AcpiTestDevice {
        fn acpi(&self) -> Vec<AcpiDevice> {
            vec![AcpiDevice { name: self.acpi_name.clone(), ..AcpiDevice::default() }]
        }
    }

    #[test]
    fn every_device_of_the_tree_is_told_of_in_the_order_of_paths() {
        let registry = Arc::clone(Registry::global().expect("the registry is sound"));
        let tree = Tree::new(registry, Policy::default(), Globals::default()).expect("a tree");
        let platform = Platform::new(tree.id()).expect("there are descriptors");
        let device = |path, name, wish: &str| {
            Request::new("acpi-test-device", path, name).set("acpi-name", wish)
        };
        let requests = [
            Request::new("container", "/", "machine"),
            Request::new("container", "/machine", "peripheral"),
            device("/machine", "z", "COM1"),
            device("/", "elsewhere", "RTC_"),
            device("/machine/peripheral", "late", "COM1"),
            device("/machine/peripheral", "early", "COM2"),
        ];
        let created = tree.create(requests, &mut DeviceRealizer::new(&platform)).expect("all");
        let names = || -> Vec<_> {
            let machine = tree.resolve("/machine").expect("it is there");
            let named = |device: AcpiDevice| (device.name, device.unique_id);
            super::devices(&machine).into_iter().map(named).collect()
        };
        let expected = [("RTC_", 0), ("COM2", 1), ("COM1", 2), ("COM3", 3)];
        assert_eq!(names(), expected.map(|(name, id)| (name.to_owned(), id)));
        let gone = created.objects.iter().find(|object| object.name() == "early");
        tree.remove(gone.expect("it is there"), &mut DeviceRealizer::new(&platform)).expect("it");
        let expected = [("RTC_", 0), ("COM1", 1), ("COM2", 2)];
        assert_eq!(names(), expected.map(|(name, id)| (name.to_owned(), id)));
    }
}
