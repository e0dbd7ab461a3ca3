//! A virtual processor: its state before the first instruction, and running it.

use std::sync::Arc;

use kvm_bindings::{
    CpuId, KVM_MP_STATE_HALTED, KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED, Msrs,
    kvm_cpuid_entry2, kvm_fpu, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs,
};
use kvm_ioctls::VcpuFd;

use super::entry_state;
use super::error::IoctlFailed;
use super::lapic::{DELIVER_EXTINT, DELIVER_NMI, LapicState, offset};
use super::power_on::PowerOn;
use super::registers::RegisterDump;
use super::run::{self, ExitHandler, Outcome, RunError};
use super::vm::Vm;
use crate::boot::entry::Entry;

/// `IA32_MISC_ENABLE` (Intel SDM volume 4, table 2-2).
const MSR_MISC_ENABLE: u32 = 0x1a0;
/// In it: fast string operations, and neither branch trace nor precise sampling, as KVM has it.
const MISC_ENABLE_INITIAL: u64 = (1 << 0) | (1 << 11) | (1 << 12);
/// `IA32_MTRR_DEF_TYPE` (Intel SDM volume 3, section 12.11.2.1).
const MSR_MTRR_DEF_TYPE: u32 = 0x2ff;
/// In it: MTRRs on, and write-back where no range says otherwise.
const MTRR_ENABLE_WRITE_BACK: u64 = (1 << 11) | 6;

/// The x87 control word after FNINIT (Intel SDM volume 1, section 8.1.5).
const FPU_CONTROL_INITIAL: u16 = 0x37f;
/// `mxcsr` after reset (Intel SDM volume 1, section 10.2.3).
const MXCSR_INITIAL: u32 = 0x1f80;

/// Why a vCPU can't be brought into a state.
#[derive(Debug, thiserror::Error)]
pub enum VcpuError {
    /// The kernel refused.
    #[error(transparent)]
    Ioctl(#[from] IoctlFailed),
    /// More CPUID entries than the kernel takes.
    #[error("{given} CPUID entries are more than KVM takes")]
    TooManyCpuidEntries {
        /// Entries given.
        given: usize,
    },
    /// More MSRs than the kernel takes at a time.
    #[error("{given} MSRs are more than KVM takes at a time")]
    TooManyMsrs {
        /// MSRs given.
        given: usize,
    },
    /// The kernel does not know an MSR, or not such a value of it.
    #[error("KVM refused to set MSR {index:#x} to {value:#x}")]
    MsrRefused {
        /// The MSR.
        index: u32,
        /// The value.
        value: u64,
    },
}

/// What a vCPU is to the machine when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that enters the guest.
    Boot(Entry),
    /// One that waits for INIT and SIPI.
    Secondary,
}

/// Whether a vCPU executes (`struct kvm_mp_state`). The last two need a local APIC in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MpState {
    /// It executes.
    Runnable,
    /// It waits for INIT and SIPI.
    WaitForInit,
    /// It executed HLT and waits for an interrupt.
    Halted,
    /// Another state, by the kernel's number.
    Other(u32),
}

/// A virtual processor, made by [`Vm::create_vcpu`]. It is run by one thread at a time.
#[derive(Debug)]
pub struct Vcpu {
    // Dropped in this order: the kernel's vCPU keeps the kernel's VM, and so uses the memory
    // that `vm` holds.
    fd: VcpuFd,
    vm: Arc<Vm>,
    id: u32,
    /// The state that a reset brings back, once the first has kept it.
    power_on: Option<PowerOn>,
}

impl Vcpu {
    /// Takes over the descriptor of a new vCPU.
    pub(super) fn new(fd: VcpuFd, vm: Arc<Vm>, id: u32) -> Self {
        Self { fd, vm, id, power_on: None }
    }

    /// Its number, which is its first APIC id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The VM it belongs to.
    pub fn vm(&self) -> &Arc<Vm> {
        &self.vm
    }

    /// Brings a new vCPU into the state in which `role` starts: CPUID, MSRs, FPU, registers,
    /// and, with `local_apic` in the kernel, that APIC's pins and whether the vCPU waits.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_up(
        &self,
        cpuid: &[kvm_cpuid_entry2],
        role: &Role,
        local_apic: bool,
    ) -> Result<(), VcpuError> {
        self.set_cpuid(cpuid)?;
        self.start(role, local_apic)
    }

    fn start(&self, role: &Role, local_apic: bool) -> Result<(), VcpuError> {
        self.reset_fpu()?;
        match role {
            Role::Boot(entry) => {
                self.enter(entry)?;
                if local_apic {
                    self.wire_local_interrupts()?;
                    self.set_mp_state(MpState::Runnable)?;
                }
            }
            Role::Secondary => self.set_mp_state(MpState::WaitForInit)?,
        }
        Ok(())
    }

    /// Brings the vCPU into the state in which `role` starts, whether it has run or not, provided
    /// that it had a reset before it first ran; its CPUID stays as it was set before.
    ///
    /// # Errors
    /// The kernel's.
    pub fn reset(&mut self, role: &Role, local_apic: bool) -> Result<(), VcpuError> {
        match &self.power_on {
            None => self.power_on = Some(PowerOn::of(&self.fd, self.vm.msrs(), local_apic)?),
            Some(power_on) => power_on.restore(&self.fd)?,
        }
        self.start(role, local_apic)
    }

    /// Sets what CPUID tells the guest; only before it first runs.
    ///
    /// # Errors
    /// Too many entries; or the kernel's.
    pub fn set_cpuid(&self, entries: &[kvm_cpuid_entry2]) -> Result<(), VcpuError> {
        let cpuid = CpuId::from_entries(entries)
            .map_err(|_| VcpuError::TooManyCpuidEntries { given: entries.len() })?;
        Ok(self.fd.set_cpuid2(&cpuid).map_err(IoctlFailed::of("KVM_SET_CPUID2"))?)
    }

    /// Sets MSRs, in order, given as number and value.
    ///
    /// # Errors
    /// The first that the kernel refused, those before it being set; or the kernel's.
    pub fn set_msrs(&self, msrs: &[(u32, u64)]) -> Result<(), VcpuError> {
        let entries: Vec<_> = msrs
            .iter()
            .map(|&(index, data)| kvm_msr_entry { index, data, ..Default::default() })
            .collect();
        let list = Msrs::from_entries(&entries)
            .map_err(|_| VcpuError::TooManyMsrs { given: msrs.len() })?;
        let set = self.fd.set_msrs(&list).map_err(IoctlFailed::of("KVM_SET_MSRS"))?;
        match msrs.get(set) {
            Some(&(index, value)) => Err(VcpuError::MsrRefused { index, value }),
            None => Ok(()),
        }
    }

    /// The value of MSR `index`; none if the kernel does not know it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn msr(&self, index: u32) -> Result<Option<u64>, VcpuError> {
        let mut list = Msrs::from_entries(&[kvm_msr_entry { index, ..Default::default() }])
            .map_err(|_| VcpuError::TooManyMsrs { given: 1 })?;
        let read = self.fd.get_msrs(&mut list).map_err(IoctlFailed::of("KVM_GET_MSRS"))?;
        Ok(list.as_slice().get(..read).and_then(<[_]>::first).map(|entry| entry.data))
    }

    /// Sets x87 and SSE as after reset.
    ///
    /// # Errors
    /// The kernel's.
    pub fn reset_fpu(&self) -> Result<(), VcpuError> {
        let fpu = kvm_fpu { fcw: FPU_CONTROL_INITIAL, mxcsr: MXCSR_INITIAL, ..Default::default() };
        Ok(self.fd.set_fpu(&fpu).map_err(IoctlFailed::of("KVM_SET_FPU"))?)
    }

    /// Sets registers and MSRs so that the next instruction is the first of `entry`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn enter(&self, entry: &Entry) -> Result<(), VcpuError> {
        let sregs = entry_state::special_registers(entry, self.special_registers()?);
        self.fd.set_sregs(&sregs).map_err(IoctlFailed::of("KVM_SET_SREGS"))?;
        let regs = entry_state::general_registers(entry);
        self.fd.set_regs(&regs).map_err(IoctlFailed::of("KVM_SET_REGS"))?;
        match entry {
            // Firmware finds MTRRs off, and switches them on itself.
            Entry::Reset => {
                self.set_msrs(&[(MSR_MISC_ENABLE, MISC_ENABLE_INITIAL), (MSR_MTRR_DEF_TYPE, 0)])
            }
            // A kernel that is entered without firmware finds what firmware leaves.
            Entry::Pvh { .. } | Entry::Linux64 { .. } => self.set_msrs(&[
                (MSR_MISC_ENABLE, MISC_ENABLE_INITIAL),
                (MSR_MTRR_DEF_TYPE, MTRR_ENABLE_WRITE_BACK),
            ]),
        }
    }

    /// Connects the local APIC's pins as a boot processor's are: LINT0 to the PIC (virtual wire
    /// mode), LINT1 to NMI (Intel `MultiProcessor` Specification 1.4, section 3.6.2.2).
    ///
    /// # Errors
    /// The kernel's: `EINVAL` without a local APIC in the kernel.
    pub fn wire_local_interrupts(&self) -> Result<(), VcpuError> {
        let mut lapic = self.lapic_state()?;
        lapic.set_register(offset::LVT_LINT0, DELIVER_EXTINT);
        lapic.set_register(offset::LVT_LINT1, DELIVER_NMI);
        Ok(self.fd.set_lapic(lapic.as_kvm()).map_err(IoctlFailed::of("KVM_SET_LAPIC"))?)
    }

    /// State of its local APIC.
    ///
    /// # Errors
    /// The kernel's: `EINVAL` without a local APIC in the kernel.
    pub fn lapic_state(&self) -> Result<LapicState, VcpuError> {
        let state = self.fd.get_lapic().map_err(IoctlFailed::of("KVM_GET_LAPIC"))?;
        Ok(LapicState::new(state))
    }

    /// Whether it executes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn mp_state(&self) -> Result<MpState, VcpuError> {
        let state = self.fd.get_mp_state().map_err(IoctlFailed::of("KVM_GET_MP_STATE"))?;
        Ok(match state.mp_state {
            KVM_MP_STATE_RUNNABLE => MpState::Runnable,
            KVM_MP_STATE_UNINITIALIZED => MpState::WaitForInit,
            KVM_MP_STATE_HALTED => MpState::Halted,
            other => MpState::Other(other),
        })
    }

    /// Sets whether it executes.
    ///
    /// # Errors
    /// The kernel's: `EINVAL` for all but runnable without a local APIC in the kernel.
    pub fn set_mp_state(&self, state: MpState) -> Result<(), VcpuError> {
        let mp_state = match state {
            MpState::Runnable => KVM_MP_STATE_RUNNABLE,
            MpState::WaitForInit => KVM_MP_STATE_UNINITIALIZED,
            MpState::Halted => KVM_MP_STATE_HALTED,
            MpState::Other(other) => other,
        };
        Ok(self
            .fd
            .set_mp_state(kvm_mp_state { mp_state })
            .map_err(IoctlFailed::of("KVM_SET_MP_STATE"))?)
    }

    /// Its general registers.
    ///
    /// # Errors
    /// The kernel's.
    pub fn general_registers(&self) -> Result<kvm_regs, VcpuError> {
        Ok(self.fd.get_regs().map_err(IoctlFailed::of("KVM_GET_REGS"))?)
    }

    /// Its segment, control and descriptor table registers.
    ///
    /// # Errors
    /// The kernel's.
    pub fn special_registers(&self) -> Result<kvm_sregs, VcpuError> {
        Ok(self.fd.get_sregs().map_err(IoctlFailed::of("KVM_GET_SREGS"))?)
    }

    /// Runs the guest until its next exit and answers it through `handler`.
    ///
    /// # Errors
    /// Guest memory that the host can't provide; or the kernel's. The guest can't go on then.
    pub fn run<H: ExitHandler + ?Sized>(&mut self, handler: &mut H) -> Result<Outcome, RunError> {
        run::run(&mut self.fd, handler)
    }

    /// Has the kernel finish the access that the last exit was for, without running the guest
    /// on, so that the registers are those between two instructions. Before state is read.
    ///
    /// # Errors
    /// As for [`Vcpu::run`].
    pub fn complete_access<H: ExitHandler + ?Sized>(
        &mut self,
        handler: &mut H,
    ) -> Result<Outcome, RunError> {
        self.fd.set_kvm_immediate_exit(1);
        // An access in several parts exits for each of them. The longest has 16 bytes, across
        // two pages, in parts of at least one byte.
        let mut outcome = self.run(handler);
        for _ in 0..32 {
            match outcome {
                Ok(Outcome::Continue) => outcome = self.run(handler),
                _ => break,
            }
        }
        self.fd.set_kvm_immediate_exit(0);
        outcome
    }

    /// The guest-physical address of `linear`, by the guest's page tables as they are now; none
    /// if they don't map it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn translate(&self, linear: u64) -> Result<Option<u64>, VcpuError> {
        let found = self.fd.translate_gva(linear).map_err(IoctlFailed::of("KVM_TRANSLATE"))?;
        Ok((found.valid != 0).then_some(found.physical_address))
    }

    /// Everything that helps to understand why the guest stopped.
    ///
    /// # Errors
    /// The kernel's. Not if the instruction can't be read, which the dump then says.
    pub fn dump(&self) -> Result<RegisterDump, VcpuError> {
        RegisterDump::of(self)
    }
}
