//! A virtual machine: what holds its memory, interrupt chip and vCPUs together.

use std::sync::Arc;

use kvm_bindings::kvm_clock_data;
use kvm_ioctls::VmFd;
use vm_memory::{Address, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

use super::error::IoctlFailed;
use super::slots::{Access, MapError, SlotId, Slots, Window};
use super::vcpu::{Vcpu, VcpuError};

/// A virtual machine, made by [`System::create_vm`](super::System::create_vm).
///
/// Every vCPU holds one, so that the memory outlives all that runs in it.
#[derive(Debug)]
pub struct Vm {
    // Dropped in this order: the kernel lets go of the memory before the table of slots does.
    fd: VmFd,
    slots: Slots,
    /// The MSRs of a vCPU that a reset brings back.
    msrs: Vec<u32>,
}

impl Vm {
    /// Takes over the descriptor of a new VM, whose vCPUs have those `msrs` to bring back.
    pub(super) fn new(fd: VmFd, msrs: Vec<u32>) -> Self {
        Self { fd, slots: Slots::default(), msrs }
    }

    /// The MSRs of a vCPU that a reset brings back.
    pub(super) fn msrs(&self) -> &[u32] {
        &self.msrs
    }

    /// The kernel's VM.
    pub(super) fn fd(&self) -> &VmFd {
        &self.fd
    }

    /// Maps `window` of `memory` into the guest, and holds `memory` for as long as needed.
    ///
    /// Before the interrupt chip is created this is several milliseconds cheaper than after it
    /// on some hosts.
    ///
    /// # Errors
    /// A window that is not whole pages, not within one region of `memory`, or that overlaps
    /// what is mapped; or the kernel's.
    pub fn map(&self, memory: &Arc<GuestMemoryMmap>, window: Window) -> Result<SlotId, MapError> {
        self.slots.map(&self.fd, memory, window)
    }

    /// Maps every region of `memory` where it says it is, with the access that `access` tells for
    /// its first address.
    ///
    /// # Errors
    /// As [`Vm::map`]; what was mapped by then is unmapped again.
    pub fn map_all(
        &self,
        memory: &Arc<GuestMemoryMmap>,
        access: impl Fn(GuestAddress) -> Access,
    ) -> Result<Vec<SlotId>, MapError> {
        let mut slots = Vec::with_capacity(memory.num_regions());
        for region in memory.iter() {
            let guest = region.start_addr();
            let access = access(guest);
            let window = Window { guest, source: guest, size: region.len(), access };
            match self.map(memory, window) {
                Ok(slot) => slots.push(slot),
                Err(error) => {
                    for slot in slots {
                        self.unmap(slot)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(slots)
    }

    /// Unmaps `slot` and lets go of its memory.
    ///
    /// # Errors
    /// If there is no such slot; or the kernel's.
    pub fn unmap(&self, slot: SlotId) -> Result<(), MapError> {
        self.slots.unmap(&self.fd, slot)
    }

    /// Reads the guest's memory at guest-physical `address`, ROM as well as RAM, and gives the
    /// number of bytes that were there to read.
    pub fn read_memory(&self, address: GuestAddress, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(from) = u64::try_from(done).ok().and_then(|done| address.checked_add(done))
            else {
                break;
            };
            match self.slots.read(from, rest) {
                0 => break,
                read => done += read,
            }
        }
        done
    }

    /// Creates vCPU `id`, which is also the APIC id that it starts with, so that it comes from
    /// the [topology](crate::cpu::topology::Topology::apic_id).
    ///
    /// # Errors
    /// The kernel's: `EEXIST` if there is one of that number, `EINVAL` if the number is not
    /// below [`System::max_vcpu_id`](super::System::max_vcpu_id).
    pub fn create_vcpu(self: &Arc<Self>, id: u32) -> Result<Vcpu, VcpuError> {
        let fd = self.fd.create_vcpu(u64::from(id)).map_err(IoctlFailed::of("KVM_CREATE_VCPU"))?;
        Ok(Vcpu::new(fd, Arc::clone(self), id))
    }

    /// The guest's paravirtual clock, in nanoseconds since the VM was created.
    ///
    /// # Errors
    /// The kernel's.
    pub fn clock(&self) -> Result<kvm_clock_data, IoctlFailed> {
        self.fd.get_clock().map_err(IoctlFailed::of("KVM_GET_CLOCK"))
    }

    /// Sets the guest's paravirtual clock to `nanoseconds`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_clock(&self, nanoseconds: u64) -> Result<(), IoctlFailed> {
        let clock = kvm_clock_data { clock: nanoseconds, ..Default::default() };
        self.fd.set_clock(&clock).map_err(IoctlFailed::of("KVM_SET_CLOCK"))
    }
}
