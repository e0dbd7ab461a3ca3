//! KVM as a type: the accelerator that runs guests on this host's processors.

use std::{io, ops::Range, os::fd::OwnedFd, path::Path, sync::Arc};

use device_model::{
    doorbell::Doorbells,
    interrupt::{Msi, MsiSink},
    platform::{GuestMemory, Platform},
    qom_core::{BoxedError, Obj, PlanError, PropertyEnum, qom_type},
};
use parking_lot::{Mutex, MutexGuard};

use super::{
    Access, ExitHandler, LapicState, Outcome, Role, Route, RouteTarget, RunError,
    SPLIT_IRQCHIP_PINS, System, Vcpu, Vm, doorbells::Attached,
};
use crate::{
    accelerator::{self, Accelerator, AcceleratorClass, Controller, Legacy, PIC, Setting},
    boot::entry::Entry,
    cpu::{
        CpuSetup,
        cpuid::{CpuRequest, Cpuid, HostCpu},
    },
    machine::OnOffAuto,
};

/// Where the interrupt chips of a machine are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
pub enum KernelIrqchip {
    /// Local APICs in the kernel, everything else here.
    #[default]
    Split,
    /// All of them in the kernel.
    On,
}

/// Linux KVM
#[qom_type(
    secure,
    parent = Accelerator,
    interfaces(MsiSink, Doorbells),
    class_data = CLASS
)]
pub struct KvmAccel {
    /// Node through which KVM is reached
    #[property(default = "/dev/kvm")]
    device: String,
    /// Where the interrupt chips are: the local APICs alone in the kernel, or all
    #[property(default = KernelIrqchip::Split)]
    kernel_irqchip: KernelIrqchip,
    opened: Mutex<Option<Opened>>,
    routes: Mutex<[Option<Msi>; SPLIT_IRQCHIP_PINS as usize]>,
    doorbells: Attached,
}

/// What there is between opening and closing.
struct Opened {
    system: System,
    vm: Arc<Vm>,
    /// What CPUID tells the processors, worked out for the first of them.
    cpuid: Option<Arc<Cpuid>>,
}

static CLASS: AcceleratorClass = AcceleratorClass { controllers, local_apic: Some("kvm-apic") };

/// The chips that stand for each place of the interrupt chips.
fn controllers(config: &dyn Setting, legacy: Legacy) -> Result<Vec<Controller>, PlanError> {
    let chip = |name, type_name| Controller { name, type_name, accelerator_link: Some("accel") };
    let split = config.text("kernel-irqchip")? == "split";
    let mut chips = Vec::new();
    if split {
        let pic = legacy.pic == OnOffAuto::On;
        if pic || legacy.pit {
            let which = if pic { "pic" } else { "pit" };
            return Err(PlanError::Refused(format!(
                "{which}=on needs the interrupt chips in the kernel: -accel kvm,kernel-irqchip=on"
            )));
        }
        chips.push(Controller { name: "ioapic", type_name: "ioapic", accelerator_link: None });
    } else {
        // The kernel makes its chips together: what exists is to have an object that stands for it.
        if legacy.pic == OnOffAuto::Off {
            let problem =
                "kernel-irqchip=on comes with its PIC: pic=off needs kernel-irqchip=split";
            return Err(PlanError::refused("pic", problem));
        }
        chips.push(chip("ioapic", "kvm-ioapic"));
        chips.push(chip(PIC, "kvm-i8259"));
        if legacy.pit {
            chips.push(chip("pit", "kvm-pit"));
        }
    }
    chips.push(chip("kvmclock", "kvmclock"));
    Ok(chips)
}

#[derive(Debug, thiserror::Error)]
#[error("the accelerator has not been opened")]
struct NotOpen;

impl KvmAccel {
    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock()
    }

    /// The VM, while the accelerator is open.
    pub(super) fn vm(&self) -> Option<Arc<Vm>> {
        self.opened().as_ref().map(|opened| Arc::clone(&opened.vm))
    }
}

impl Accelerator for KvmAccel {
    fn open(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let system = System::open(Path::new(&self.device))?;
        let vm = system.create_vm()?;
        *self.opened() = Some(Opened { system, vm, cpuid: None });
        platform.set_msi(object)?;
        Ok(platform.set_doorbells(object)?)
    }

    fn close(&self) {
        self.doorbells.clear();
        *self.opened() = None;
    }

    fn attach_memory(
        &self,
        memory: &Arc<GuestMemory>,
        read_only: Option<&Range<u64>>,
    ) -> Result<(), BoxedError> {
        let vm = self.vm().ok_or(NotOpen)?;
        vm.map_all(memory, |first| match read_only {
            Some(range) if range.contains(&first.0) => Access::ReadOnly,
            _ => Access::ReadWrite,
        })?;
        match self.kernel_irqchip {
            KernelIrqchip::Split => vm.create_split_irqchip()?,
            KernelIrqchip::On => vm.create_irqchip()?,
        }
        Ok(())
    }

    fn create_vcpu(&self, setup: &CpuSetup) -> Result<Box<dyn accelerator::Vcpu>, BoxedError> {
        let mut opened = self.opened();
        let opened = opened.as_mut().ok_or(NotOpen)?;
        let cpuid = match &opened.cpuid {
            Some(cpuid) => Arc::clone(cpuid),
            None => {
                let host = HostCpu::of(&opened.system)?;
                let request = CpuRequest {
                    model: setup.model,
                    choices: &setup.choices,
                    topology: setup.topology,
                    local_apic: true,
                };
                let cpuid = Arc::new(Cpuid::build(&host, &request)?);
                opened.cpuid = Some(Arc::clone(&cpuid));
                cpuid
            }
        };
        let apic_id = setup.topology.apic_id(setup.index);
        let (Some(apic_id), Some(leaves)) = (apic_id, cpuid.for_vcpu(setup.index)) else {
            return Err(Box::new(OutsideTopology { index: setup.index }));
        };
        let vcpu = opened.vm.create_vcpu(apic_id)?;
        vcpu.set_cpuid(&leaves)?;
        Ok(Box::new(KvmVcpu { vcpu }))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("processor {index} is outside the machine's topology")]
struct OutsideTopology {
    index: u32,
}

impl MsiSink for KvmAccel {
    fn send(&self, message: Msi) {
        if let Some(vm) = self.vm() {
            // A message that no processor takes is lost, as on a bus; so is one that the kernel
            // refuses for its form, which the guest chose.
            let _ = vm.signal_msi(message.address, message.data);
        }
    }

    fn route(&self, pin: u32, message: Option<Msi>) {
        let mut routes = self.routes.lock();
        let Some(slot) = usize::try_from(pin).ok().and_then(|pin| routes.get_mut(pin)) else {
            return;
        };
        if *slot == message {
            return;
        }
        *slot = message;
        let table: Vec<_> = (0_u32..)
            .zip(routes.iter())
            .filter_map(|(gsi, message)| {
                let Msi { address, data } = (*message)?;
                Some(Route { gsi, target: RouteTarget::Msi { address, data } })
            })
            .collect();
        if let Some(vm) = self.vm() {
            // Without the route, the guest's end of a level-triggered interrupt goes unreported:
            // the guest's own loss, and it alone chose what the kernel refuses.
            let _ = vm.set_routes(&table);
        }
    }
}

impl Doorbells for KvmAccel {
    fn attach(&self, address: u64, value: u32) -> io::Result<OwnedFd> {
        let vm = self.vm().ok_or(io::ErrorKind::NotConnected)?;
        self.doorbells.attach(&vm, address, value)
    }

    fn detach(&self, address: u64, value: u32) {
        if let Some(vm) = self.vm() {
            self.doorbells.detach(&vm, address, value);
        }
    }
}

/// A processor of KVM's.
struct KvmVcpu {
    vcpu: Vcpu,
}

impl accelerator::Vcpu for KvmVcpu {
    fn reset(&mut self, entry: Option<&Entry>) -> Result<(), BoxedError> {
        let role = entry.map_or(Role::Secondary, |entry| Role::Boot(*entry));
        Ok(self.vcpu.reset(&role, true)?)
    }

    fn run(&mut self, exits: &mut dyn ExitHandler) -> Result<Outcome, RunError> {
        self.vcpu.run(exits)
    }

    fn finish_access(&mut self, exits: &mut dyn ExitHandler) -> Result<(), RunError> {
        self.vcpu.complete_access(exits).map(|_| ())
    }

    fn registers(&self) -> String {
        match self.vcpu.dump() {
            Ok(dump) => dump.to_string(),
            Err(error) => format!("the registers can't be read: {error}"),
        }
    }

    fn local_apic(&self) -> Option<LapicState> {
        self.vcpu.lapic_state().ok()
    }
}
