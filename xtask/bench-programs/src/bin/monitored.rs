//! A monitor of its own with 1,000 types more than it needs, and with a device that can be plugged
//! into a running machine and needs no bus: what commands about types and devices are measured with.

use device_model::{
    device::{Device, Plug},
    prelude::{DeviceError, RealizeContext},
    qom_core::{
        __private::inventory, Boundaries, Boundary, ClassType, Container, Registration,
        SecurityStatus, Statement, TypeInfo, TypeKind, qom_type,
    },
};

static HOTPLUG: Plug = Plug { bus: None, hotpluggable: true };

/// A device that needs no bus
#[qom_type(abstract, parent = Device, class_data = HOTPLUG)]
pub trait BuslessDevice: Device {}

/// Device that does nothing
#[qom_type(secure, parent = BuslessDevice)]
#[derive(Debug)]
pub struct BenchDevice {}

impl Device for BenchDevice {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl BuslessDevice for BenchDevice {}

const fn type_info(name: &'static str) -> TypeInfo {
    let statement = Statement {
        crate_name: env!("CARGO_PKG_NAME"),
        crate_ident: env!("CARGO_CRATE_NAME"),
        crate_version: env!("CARGO_PKG_VERSION"),
        file: file!(),
        line: line!(),
    };
    // The code behind each: never run.
    let kind: TypeKind = <Container as ClassType>::INFO.kind;
    TypeInfo {
        parent: Some("object"),
        status: SecurityStatus::Secure,
        boundaries: Boundaries::of(&[Boundary::Guest]),
        ..TypeInfo::undeclared(name, "One of a thousand", kind, statement)
    }
}

macro_rules! submit {
    ($($digit:tt)*) => {
        const _: () = {
            static INFO: TypeInfo = type_info(concat!("load", $("-", $digit),*));
            inventory::submit!(Registration(&INFO));
        };
    };
}

bench_programs::each_number!(submit; hundreds tens ones;);

vmm::main!(devices);
