//! The state in which the kernel makes a vCPU, kept to be brought back at a reset.

use std::fmt;

use kvm_bindings::{
    Msrs, kvm_debugregs, kvm_msr_entry, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcr, kvm_xcrs,
    kvm_xsave,
};
use kvm_ioctls::{KvmNestedStateBuffer, VcpuFd};

use super::abi;
use super::error::IoctlFailed;
use super::lapic::LapicState;

/// `IA32_TIME_STAMP_COUNTER` (Intel SDM volume 4, table 2-2). To KVM a 0 says: as the other vCPUs
/// have it.
const MSR_TSC: u32 = 0x10;

/// MSRs of which the kernel's list (`KVM_GET_MSR_INDEX_LIST`) does not tell, by first and last of
/// each range. KVM makes each with 0 (Intel SDM volume 4, table 2-2).
const UNLISTED: [(u32, u32); 9] = [
    // IA32_DEBUGCTL.
    (0x1d9, 0x1d9),
    // IA32_MTRR_PHYSBASE0 to IA32_MTRR_PHYSMASK7.
    (0x200, 0x20f),
    // IA32_MTRR_FIX64K_00000.
    (0x250, 0x250),
    // IA32_MTRR_FIX16K_80000 and the next.
    (0x258, 0x259),
    // IA32_MTRR_FIX4K_C0000 to IA32_MTRR_FIX4K_F8000.
    (0x268, 0x26f),
    // IA32_MC0_CTL2 and those of the 31 further banks that KVM has.
    (0x280, 0x29f),
    // IA32_MTRR_DEF_TYPE.
    (0x2ff, 0x2ff),
    // IA32_MC0_CTL to IA32_MC31_MISC.
    (0x400, 0x47f),
    // IA32_TSC_AUX, which some kernels list.
    (0xc000_0103, 0xc000_0103),
];

/// Listed MSRs that are not kept: Hyper-V's, which a guest has only if CPUID shows Hyper-V, which
/// makes the kernel allocate at the first look; VMX's capabilities, which no guest can write.
const NOT_KEPT: [(u32, u32); 2] = [(0x4000_0000, 0x4000_0fff), (0x480, 0x493)];

/// MSRs that the kernel takes or gives at a time.
const MOST_MSRS: usize = 256;

/// Debug status and control after a reset (Intel SDM volume 3, table 10-1).
const DR6_INITIAL: u64 = 0xffff_0ff0;
const DR7_INITIAL: u64 = 0x400;

/// `XCR0` after a reset: x87 alone (Intel SDM volume 1, section 13.3).
const XCR0_INITIAL: u64 = 1;

/// All that a guest can change of a vCPU, as it was when the kernel had made it, but for what has
/// the same value in every new vCPU.
pub(super) struct PowerOn {
    events: kvm_vcpu_events,
    special: kvm_sregs,
    lapic: Option<LapicState>,
    msrs: Vec<kvm_msr_entry>,
    /// None where the kernel has no nested guests.
    nested: Option<Box<KvmNestedStateBuffer>>,
}

impl fmt::Debug for PowerOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PowerOn").field("msrs", &self.msrs.len()).finish_non_exhaustive()
    }
}

impl PowerOn {
    /// Keeps the state of a vCPU that has not run, with its MSRs of those `listed`. It has its CPUID,
    /// on which depends which MSRs it has.
    pub(super) fn of(fd: &VcpuFd, listed: &[u32], local_apic: bool) -> Result<Self, IoctlFailed> {
        let lapic = match local_apic {
            true => Some(fd.get_lapic().map_err(IoctlFailed::of("KVM_GET_LAPIC"))?),
            false => None,
        };
        let mut nested = Box::new(KvmNestedStateBuffer::empty());
        Ok(Self {
            events: fd.get_vcpu_events().map_err(IoctlFailed::of("KVM_GET_VCPU_EVENTS"))?,
            special: fd.get_sregs().map_err(IoctlFailed::of("KVM_GET_SREGS"))?,
            lapic: lapic.map(LapicState::new),
            msrs: read(fd, listed.iter().copied())?,
            nested: fd.nested_state(&mut nested).is_ok().then_some(nested),
        })
    }

    /// Brings it back.
    pub(super) fn restore(&self, fd: &VcpuFd) -> Result<(), IoctlFailed> {
        // Out of a nested guest and of system management mode first: what is set from then on is
        // the vCPU's own.
        if let Some(nested) = &self.nested {
            fd.set_nested_state(nested).map_err(IoctlFailed::of("KVM_SET_NESTED_STATE"))?;
        }
        fd.set_vcpu_events(&self.events).map_err(IoctlFailed::of("KVM_SET_VCPU_EVENTS"))?;
        // With the base address and the mode of the local APIC, which its registers depend on.
        fd.set_sregs(&self.special).map_err(IoctlFailed::of("KVM_SET_SREGS"))?;
        fd.set_regs(&kvm_regs { rflags: 1 << 1, ..Default::default() })
            .map_err(IoctlFailed::of("KVM_SET_REGS"))?;
        restore_extended(fd)?;
        let debug = kvm_debugregs { dr6: DR6_INITIAL, dr7: DR7_INITIAL, ..Default::default() };
        fd.set_debug_regs(&debug).map_err(IoctlFailed::of("KVM_SET_DEBUGREGS"))?;
        self.restore_msrs(fd)?;
        if let Some(lapic) = &self.lapic {
            fd.set_lapic(lapic.as_kvm()).map_err(IoctlFailed::of("KVM_SET_LAPIC"))?;
        }
        Ok(())
    }

    /// Writes the MSRs that have changed.
    fn restore_msrs(&self, fd: &VcpuFd) -> Result<(), IoctlFailed> {
        let unlisted = UNLISTED.into_iter().flat_map(|(first, last)| first..=last);
        let unlisted = unlisted.map(|index| entry(index, 0));
        let initial: Vec<_> = self.msrs.iter().copied().chain(unlisted).collect();
        let now = read(fd, initial.iter().map(|msr| msr.index))?;
        let mut now = now.iter().peekable();
        let mut changed = vec![entry(MSR_TSC, 0)];
        for msr in initial {
            // One that can't be read is left out of `now`, which else has the order of `initial`.
            if let Some(current) = now.next_if(|current| current.index == msr.index)
                && current.data != msr.data
                && msr.index != MSR_TSC
            {
                changed.push(msr);
            }
        }
        write(fd, &changed)
    }
}

/// The MSRs to keep of those that the kernel lists.
pub(super) fn kept(listed: &[u32]) -> Vec<u32> {
    let within = |index: u32| move |&(first, last): &(u32, u32)| (first..=last).contains(&index);
    let mut kept: Vec<_> = listed
        .iter()
        .copied()
        .filter(|&index| !NOT_KEPT.iter().chain(&UNLISTED).any(within(index)))
        .collect();
    kept.truncate(MOST_MSRS);
    kept
}

/// `XCR0`, and the registers that it governs: none of them in use.
fn restore_extended(fd: &VcpuFd) -> Result<(), IoctlFailed> {
    abi::set_xsave(fd, &kvm_xsave::default()).map_err(IoctlFailed::of("KVM_SET_XSAVE"))?;
    let mut xcrs = fd.get_xcrs().map_err(IoctlFailed::of("KVM_GET_XCRS"))?;
    // A host without XSAVE has none.
    if xcrs.nr_xcrs == 0 {
        return Ok(());
    }
    xcrs = kvm_xcrs { nr_xcrs: 1, ..Default::default() };
    xcrs.xcrs[0] = kvm_xcr { xcr: 0, value: XCR0_INITIAL, ..Default::default() };
    fd.set_xcrs(&xcrs).map_err(IoctlFailed::of("KVM_SET_XCRS"))
}

fn entry(index: u32, data: u64) -> kvm_msr_entry {
    kvm_msr_entry { index, data, ..Default::default() }
}

/// Reads those of the MSRs that the vCPU has, in order.
fn read(
    fd: &VcpuFd,
    indices: impl Iterator<Item = u32>,
) -> Result<Vec<kvm_msr_entry>, IoctlFailed> {
    let wanted: Vec<_> = indices.map(|index| entry(index, 0)).collect();
    let mut found = Vec::with_capacity(wanted.len());
    in_parts(&wanted, |part| {
        let read = fd.get_msrs(part).map_err(IoctlFailed::of("KVM_GET_MSRS"))?;
        found.extend(part.as_slice().iter().take(read).copied());
        Ok(read)
    })?;
    Ok(found)
}

/// Writes MSRs. One that the kernel does not take from the host it did not take from the guest.
fn write(fd: &VcpuFd, msrs: &[kvm_msr_entry]) -> Result<(), IoctlFailed> {
    in_parts(msrs, |part| fd.set_msrs(part).map_err(IoctlFailed::of("KVM_SET_MSRS")))
}

/// Lets `transfer` have all MSRs, as many as the kernel takes at a time. It tells how many the kernel
/// took, which stops before the first that it refuses; that one is passed over.
fn in_parts(
    mut rest: &[kvm_msr_entry],
    mut transfer: impl FnMut(&mut Msrs) -> Result<usize, IoctlFailed>,
) -> Result<(), IoctlFailed> {
    while !rest.is_empty() {
        let part = rest.get(..MOST_MSRS).unwrap_or(rest);
        let Ok(mut list) = Msrs::from_entries(part) else { return Ok(()) };
        let taken = transfer(&mut list)?;
        let passed = if taken < part.len() { taken + 1 } else { taken };
        rest = rest.get(passed..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::guest_tests::system_or_skip;

    /// `IA32_SYSENTER_CS`, `IA32_LSTAR`, `IA32_TSC_AUX`, a variable MTRR, a machine check bank.
    const CHANGED: [u32; 5] = [0x174, 0xc000_0082, 0xc000_0103, 0x200, 0x401];
    /// Of the XSAVE area, in words: where `XSTATE_BV` is, and the first of XMM0 (Intel SDM volume 1,
    /// section 13.4).
    const XSTATE_BV: usize = 512 / 4;
    const XMM0: usize = 160 / 4;

    #[test]
    fn all_that_a_guest_can_change_is_as_it_was() {
        let Some(system) = system_or_skip() else {
            return;
        };
        let vm = system.create_vm().unwrap();
        vm.create_split_irqchip().unwrap();
        let fd = vm.fd().create_vcpu(0).unwrap();
        fd.set_cpuid2(&system.supported_cpuid().unwrap()).unwrap();
        let power_on = PowerOn::of(&fd, vm.msrs(), true).unwrap();
        let before = (
            read(&fd, CHANGED.into_iter()).unwrap(),
            fd.get_sregs().unwrap(),
            fd.get_debug_regs().unwrap(),
            fd.get_xcrs().unwrap(),
            fd.get_lapic().unwrap(),
            fd.get_xsave().unwrap().region[XMM0],
        );

        for msr in CHANGED {
            write(&fd, &[entry(msr, 0x1000)]).unwrap();
        }
        // x2APIC mode, in which the local APIC has other registers.
        let apic_base = before.1.apic_base | 1 << 10;
        fd.set_sregs(&kvm_sregs { cr3: 0x1000, apic_base, ..before.1 }).unwrap();
        let regs = kvm_debugregs { db: [1, 2, 3, 4], dr6: 0xffff_0ff1, dr7: 0x401, ..before.2 };
        fd.set_debug_regs(&regs).unwrap();
        let mut xcrs = before.3;
        if xcrs.nr_xcrs > 0 {
            xcrs.xcrs[0].value = 3;
            fd.set_xcrs(&xcrs).unwrap();
        }
        let mut xsave = kvm_xsave::default();
        xsave.region[XSTATE_BV] = 3;
        xsave.region[XMM0] = 7;
        abi::set_xsave(&fd, &xsave).unwrap();
        assert_eq!(fd.get_xsave().unwrap().region[XMM0], 7);
        let changed = read(&fd, CHANGED.into_iter()).unwrap();
        assert_eq!(changed.len(), before.0.len());
        assert!(changed.iter().filter(|msr| msr.data == 0x1000).count() >= 3, "{changed:?}");

        power_on.restore(&fd).unwrap();
        assert_eq!(read(&fd, CHANGED.into_iter()).unwrap(), before.0);
        assert_eq!(fd.get_sregs().unwrap(), before.1);
        assert_eq!(fd.get_debug_regs().unwrap(), before.2);
        assert_eq!(fd.get_xcrs().unwrap(), before.3);
        assert_eq!(fd.get_lapic().unwrap().regs, before.4.regs);
        assert_eq!(fd.get_xsave().unwrap().region[XMM0], before.5);
    }

    #[test]
    fn the_kernels_lists_of_msrs_are_kept_but_for_what_no_guest_can_write() {
        assert_eq!(kept(&[0x174, 0x480, 0x4000_0000, 0x2ff, 0x4b56_4d01]), [0x174, 0x4b56_4d01]);
        assert_eq!(kept(&vec![0x174; 1000]).len(), MOST_MSRS);
    }
}
