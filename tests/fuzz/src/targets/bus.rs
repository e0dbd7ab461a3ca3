//! A whole board, through its buses: every device at once, created as the monitor creates them.

use std::sync::Arc;

use device_model::{
    platform::Platform,
    prelude::*,
    qom_core::{Globals, Policy, PolicyStatement, Registry, Request, Tree},
    realize::DeviceRealizer,
};
use devices as _;

use crate::input::{Access, Input, buffer};

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

/// Where accesses go: the windows of the devices, and a gap.
const PORTS: [u64; 9] = [0x60, 0x64, 0x70, 0x402, 0x501, 0x505, 0x3f8, 0x3fe, 0x80];
const ADDRESSES: [u64; 5] =
    [0xfec0_0000, 0xfec0_0010, 0xfea0_0000, 0xd000_0000, 0xffff_ffff_ffff_fffc];

fn requests() -> impl Iterator<Item = Request> {
    [
        ("fuzz-msi-sink", "sink"),
        ("ioapic", "ioapic"),
        ("i8042", "i8042"),
        ("mc146818rtc", "rtc"),
        ("isa-serial", "serial"),
        ("isa-debugcon", "debugcon"),
        ("isa-debug-exit", "exit"),
        ("pvpanic", "pvpanic"),
        ("acpi-ged", "ged"),
    ]
    .into_iter()
    .map(|(type_name, name)| Request::new(type_name, "/", name))
}

/// For each access a byte that says where, then the access.
pub(crate) fn run(data: &[u8]) {
    let registry = Registry::global().expect("the devices' types are in order");
    let policy = PolicyStatement::parse("insecure-types", "accept").ok().flatten();
    let policy = Policy::of(&policy.into_iter().collect::<Vec<_>>());
    let tree = Tree::new(Arc::clone(registry), policy, Globals::new(Vec::new()))
        .expect("a tree can be made");
    let platform = Platform::new(tree.id()).expect("there are descriptors");
    tree.create(requests(), &mut DeviceRealizer::new(&platform)).expect("the board can be built");

    let mut input = Input::new(data);
    while let Some(place) = input.next() {
        let first = input.byte();
        if place == 0xff {
            let devices = tree.walk();
            devices.iter().filter_map(Obj::cast::<dyn Device>).for_each(|device| device.reset());
            continue;
        }
        let at = usize::from(place >> 1);
        let access = input.access(first);
        if place & 1 == 0 {
            let base = PORTS[at % PORTS.len()];
            match access {
                Access::Read(offset, length) => {
                    let mut data = buffer(length.min(4));
                    platform.ports().read((base + offset % 8) & 0xffff, &mut data);
                    assert!(base != 0x80 || data.iter().all(|byte| *byte == 0xff));
                }
                Access::Write(offset, data) => {
                    let data = &data[..data.len().min(4)];
                    platform.ports().write((base + offset % 8) & 0xffff, data);
                }
            }
        } else {
            let base = ADDRESSES[at % ADDRESSES.len()];
            match access {
                Access::Read(offset, length) => {
                    let mut data = buffer(length.min(8));
                    platform.memory_io().read(base.saturating_add(offset % 0x80), &mut data);
                    assert!(base != 0xd000_0000 || data.iter().all(|byte| *byte == 0xff));
                }
                Access::Write(offset, data) => {
                    let data = &data[..data.len().min(8)];
                    platform.memory_io().write(base.saturating_add(offset % 0x80), data);
                }
            }
        }
    }
    assert!(platform.requests().take().len() <= 16, "a guest can pile up requests");
    assert!(platform.requests().take().is_empty());
    tree.clear(&mut DeviceRealizer::new(&platform));
    assert!(platform.ports().regions().is_empty(), "a device that is gone answers");
    assert!(platform.memory_io().regions().is_empty(), "a device that is gone answers");
}
