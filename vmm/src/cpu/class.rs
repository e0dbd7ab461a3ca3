//! The class of processors, and the models that a user can choose.

use std::sync::Arc;

use device_model::{
    device::Device,
    prelude::{DeviceError, RealizeContext},
    qom_core::{Children, Configuration, PlanError, qom_type},
};

use super::{
    features::{self, Choice, UnknownFeature},
    model::Model,
    topology::Topology,
};
use crate::{
    accelerator::{Accelerator, AcceleratorClass},
    vcpu::VcpuSlot,
};

/// Behind the name of a processor's type, which users leave out.
pub const TYPE_SUFFIX: &str = "-x86_64-cpu";

/// A processor
#[qom_type(abstract, parent = Device, category = "CPU devices")]
pub trait Cpu: Device {
    /// What runs it; without, it tells of itself and stands still
    #[property(link = dyn Accelerator)]
    fn accel(&self) -> Option<Arc<dyn Accelerator>>;

    /// Its place among the machine's processors, from 0
    #[property(default = 0)]
    fn index(&self) -> u32;

    /// Sockets of the machine
    #[property(default = 1, range = 1..=255)]
    fn sockets(&self) -> u32;

    /// Cores of each socket
    #[property(default = 1, range = 1..=255)]
    fn cores(&self) -> u32;

    /// Threads of each core
    #[property(default = 1, range = 1..=255)]
    fn threads(&self) -> u32;

    /// Features switched on and off, as in +popcnt,-cx16
    #[property(default = String::new())]
    fn features(&self) -> String;

    /// Where the processor itself is.
    fn slot(&self) -> &VcpuSlot;

    /// Identifier of its local APIC; none if its place is outside the topology.
    fn apic_id(&self) -> Option<u32> {
        Topology::new(self.sockets(), self.cores(), self.threads()).ok()?.apic_id(self.index())
    }
}

/// What a processor is to be, for the accelerator that creates it.
#[derive(Clone, Debug)]
pub struct CpuSetup {
    /// Its model.
    pub model: Model,
    /// Features that the user chose.
    pub choices: Vec<Choice>,
    /// The arrangement of all the machine's processors.
    pub topology: Topology,
    /// Its place among them, from 0.
    pub index: u32,
}

/// All that Intel's and AMD's host processors can do that KVM gives guests
#[qom_type(
    secure,
    name = "host-x86_64-cpu",
    parent = Cpu,
    children = local_apic
)]
pub struct HostCpuDevice {
    slot: VcpuSlot,
}

/// The baseline that every 64-bit x86 processor has (psABI level 1)
#[qom_type(
    secure,
    name = "x86-64-v1-x86_64-cpu",
    parent = Cpu,
    children = local_apic
)]
pub struct BaselineCpuDevice {
    slot: VcpuSlot,
}

macro_rules! processor {
    ($type:ident, $model:expr) => {
        impl Device for $type {
            fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
                create(self, $model)
            }

            fn unrealize(&self) {
                self.slot.clear(self.index());
            }
        }

        impl Cpu for $type {
            fn slot(&self) -> &VcpuSlot {
                &self.slot
            }
        }
    };
}

processor!(HostCpuDevice, Model::Host);
processor!(BaselineCpuDevice, Model::X86_64V1);

fn create(cpu: &dyn Cpu, model: Model) -> Result<(), DeviceError> {
    let choices = choices(&cpu.features()).map_err(DeviceError::configuration)?;
    let topology = Topology::new(cpu.sockets(), cpu.cores(), cpu.threads())
        .map_err(DeviceError::configuration)?;
    let setup = CpuSetup { model, choices, topology, index: cpu.index() };
    if let Some(accelerator) = cpu.accel().filter(|accelerator| accelerator.runs_processors()) {
        cpu.slot().park(accelerator.create_vcpu(&setup)?);
    }
    Ok(())
}

/// Reads `+popcnt,-cx16`.
pub(crate) fn choices(text: &str) -> Result<Vec<Choice>, UnknownFeature> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    features::parse(words.map(|word| match word.strip_prefix('-') {
        Some(name) => (name, false),
        None => (word.strip_prefix('+').unwrap_or(word), true),
    }))
}

/// Each processor has the local APIC that its accelerator names; none if nothing runs it.
fn local_apic(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    // What the user misspelt is told before anything is created.
    choices(&config.get::<String>("features")?)
        .map_err(|error| PlanError::Refused(error.to_string()))?;
    let Some(accelerator) = config.linked("accel")? else { return Ok(()) };
    let class = accelerator.class().data::<AcceleratorClass>();
    if let Some(local_apic) = class.and_then(|class| class.local_apic) {
        children
            .add("lapic", local_apic)
            .link("accel", Some(accelerator.path()))
            .set("index", device_model::qom_core::Given::Json(config.get::<u32>("index")?.into()));
    }
    Ok(())
}
