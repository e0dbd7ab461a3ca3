//! A whole board, through its buses: every device at once, created as the monitor creates them.

use std::sync::Arc;

use device_model::{
    platform::Platform,
    prelude::*,
    qom_core::{
        Class, ClassType, Given, Globals, Policy, PolicyStatement, Registry, Request,
        SecurityStatus, Tree,
    },
    realize::DeviceRealizer,
    virtio::VirtioDevice,
};
use devices::virtio::mmio::spec::{DEFAULT_BASE, DEFAULT_GSI, WINDOW_SIZE};
use vm_memory::GuestAddress;
use vmm::accelerator::Accelerator;

use crate::{Target, board::Board, coverage::OF_TESTS, input::Input};

// Each device has a target of its own; what this adds is that they are together.
inventory::submit!(Target { name: "bus", covers: &[], run });

/// A sink of interrupts that keeps the routes that it is told
#[qom_type(
    insecure,
    reason = "it stands in for the processors of a machine without any",
    parent = Device,
    interfaces(MsiSink)
)]
#[derive(Debug)]
pub(crate) struct FuzzMsiSink {
    routes: Mutex<Vec<Option<Msi>>>,
}

impl Device for FuzzMsiSink {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_msi()
    }
}

impl MsiSink for FuzzMsiSink {
    fn send(&self, message: Msi) {
        assert_eq!(message.address >> 20, 0xfee, "{message:x?}");
    }

    fn route(&self, pin: u32, message: Option<Msi>) {
        let pin = usize::try_from(pin).expect("pins are few");
        assert!(pin < 24, "pin {pin}");
        let mut routes = self.routes.lock();
        routes.resize(24, None);
        routes[pin] = message;
    }
}

/// The devices that need neither an accelerator nor a backend: every secure one.
fn devices(registry: &Registry) -> Vec<&'static str> {
    let of_an_accelerator =
        |class: &Class| class.properties().any(|(property, _)| property.link == Some(ACCELERATOR));
    let needs_something = |class: &Class| class.properties().any(|(property, _)| property.required);
    let devices = registry.classes().filter(|class| {
        !class.is_abstract()
            && class.is_a(<dyn Device as ClassType>::NAME)
            && class.status() == SecurityStatus::Secure
            && class.statement().crate_name != OF_TESTS
            && !of_an_accelerator(class)
            && !needs_something(class)
    });
    devices.map(|class| class.name()).collect()
}

/// The class to which the devices of a certain accelerator have a link.
const ACCELERATOR: &str = <dyn Accelerator as ClassType>::NAME;

/// The last of the I/O APIC's pins.
const LAST_PIN: u32 = 23;

/// Bytes of the guest's memory, from address 0 on, which devices copy to and from.
const MEMORY: usize = 64 << 10;

/// Operations: 0xff is a reset of the machine, 0xfe the end of an interrupt, all else are accesses.
fn run(data: &[u8]) {
    let registry = Registry::global().expect("the devices' types are in order");
    let policy = PolicyStatement::parse("insecure-types", "accept").ok().flatten();
    let policy = Policy::of(&policy.into_iter().collect::<Vec<_>>());
    let tree = Tree::new(Arc::clone(registry), policy, Globals::new(Vec::new()))
        .expect("a tree can be made");
    let platform = Arc::new(Platform::new(tree.id()).expect("there are descriptors"));
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), MEMORY)]).expect("there is memory");
    platform.set_memory(Arc::new(memory));
    let devices = devices(registry);
    let named = |type_name: &'static str| Request::new(type_name, "/", type_name);
    // Controllers first, since lines lead there.
    let sink = std::iter::once(named("fuzz-msi-sink"));
    // A transport holds one device, and one is among the devices itself.
    let of_transports = devices.iter().filter(|name| {
        registry.class(name).is_some_and(|class| class.is_a(<dyn VirtioDevice as ClassType>::NAME))
    });
    let transports = (1_u32..).zip(of_transports.skip(1)).map(|(index, _)| {
        let base = DEFAULT_BASE + u64::from(index) * WINDOW_SIZE;
        let gsi = (DEFAULT_GSI + index).min(LAST_PIN);
        Request::new("virtio-mmio", "/", format!("transport{index}"))
            .set("index", Given::Json(index.into()))
            .set("base", Given::Json(base.into()))
            .set("gsi", Given::Json(gsi.into()))
    });
    let is_controller = |name: &&str| {
        let class = registry.class(name);
        class.is_some_and(|class| class.is_a(<dyn InterruptController as ClassType>::NAME))
    };
    let (controllers, others): (Vec<_>, Vec<_>) = devices.iter().copied().partition(is_controller);
    let (controllers, others) = (controllers.into_iter().map(named), others.into_iter().map(named));
    let requests: Vec<_> = sink.chain(controllers).chain(transports).chain(others).collect();
    tree.create(requests, &mut DeviceRealizer::new(&platform)).expect("the board can be built");

    let mut board = Board::new(Arc::clone(&platform));
    let mut input = Input::new(data);
    while let Some(op) = input.next() {
        match op {
            0xff => {
                let devices = tree.walk();
                devices
                    .iter()
                    .filter_map(Obj::cast::<dyn Device>)
                    .for_each(|device| device.reset());
            }
            0xfe => board.end_of_interrupt(input.byte()),
            _ => board.access(op, &mut input),
        }
    }
    assert!(platform.requests().take().len() <= 16, "a guest can pile up requests");
    assert!(platform.requests().take().is_empty());
    tree.clear(&mut DeviceRealizer::new(&platform));
    assert!(platform.ports().regions().is_empty(), "a device that is gone answers");
    assert!(platform.memory_io().regions().is_empty(), "a device that is gone answers");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_has_what_a_default_machine_has_and_what_users_plug() {
        let devices = devices(Registry::global().unwrap());
        for name in ["ioapic", "acpi-ged", "i8042", "isa-serial", "mc146818rtc", "pvpanic"] {
            assert!(devices.contains(&name), "{name}");
        }
        assert!(!devices.iter().any(|name| name.starts_with("kvm")), "{devices:?}");
    }
}
