//! Reads and writes what of the kernel's KVM interface types don't tell all of, C unions above all,
//! so that no other file need to.
#![allow(unsafe_code)] // Which field of a union is valid is known from the ioctl, not from types.

use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, kvm_ioapic_state,
    kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1, kvm_irq_routing_irqchip,
    kvm_irq_routing_msi, kvm_irqchip, kvm_pic_state, kvm_run, kvm_xsave,
};
use kvm_ioctls::{VcpuFd, VmFd};

/// State of the kernel's I/O APIC (`struct kvm_ioapic_state`, Intel 82093AA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoapicState {
    /// Guest-physical address of its registers.
    pub base_address: u64,
    /// Index register.
    pub select: u32,
    /// APIC id.
    pub id: u32,
    /// Lines asserted, one bit a pin.
    pub irr: u32,
    /// Redirection table, one entry a pin.
    pub redirection: [u64; 24],
}

/// Reads one of the two kernel PICs: `chip` is `KVM_IRQCHIP_PIC_MASTER` or `_SLAVE`.
pub(super) fn pic_state(vm: &VmFd, chip: u32) -> Result<kvm_pic_state, kvm_ioctls::Error> {
    let mut state = kvm_irqchip { chip_id: chip, ..Default::default() };
    vm.get_irqchip(&mut state)?;
    // SAFETY: the union was zeroed and the kernel filled in `pic`, as the chip asked for is a
    // PIC; every bit pattern is a valid `kvm_pic_state`.
    Ok(unsafe { state.chip.pic })
}

/// Reads the kernel's I/O APIC.
pub(super) fn ioapic_state(vm: &VmFd) -> Result<IoapicState, kvm_ioctls::Error> {
    let mut state = kvm_irqchip { chip_id: KVM_IRQCHIP_IOAPIC, ..Default::default() };
    vm.get_irqchip(&mut state)?;
    // SAFETY: the union was zeroed and the kernel filled in `ioapic`, as that chip was asked
    // for; every bit pattern is a valid `kvm_ioapic_state`.
    let ioapic: kvm_ioapic_state = unsafe { state.chip.ioapic };
    Ok(IoapicState {
        base_address: ioapic.base_address,
        select: ioapic.ioregsel,
        id: ioapic.id,
        irr: ioapic.irr,
        // SAFETY: both fields of the union are 64 plain bits.
        redirection: ioapic.redirtbl.map(|entry| unsafe { entry.bits }),
    })
}

/// A route of `gsi` to an MSI.
pub(super) fn msi_route(gsi: u32, address: u64, data: u32) -> kvm_irq_routing_entry {
    let (address_lo, address_hi) = halves(address);
    kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_MSI,
        u: kvm_irq_routing_entry__bindgen_ty_1 {
            msi: kvm_irq_routing_msi { address_lo, address_hi, data, ..Default::default() },
        },
        ..Default::default()
    }
}

/// A route of `gsi` to a pin of one of the kernel's chips.
pub(super) fn chip_route(gsi: u32, irqchip: u32, pin: u32) -> kvm_irq_routing_entry {
    kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_IRQCHIP,
        u: kvm_irq_routing_entry__bindgen_ty_1 {
            irqchip: kvm_irq_routing_irqchip { irqchip, pin },
        },
        ..Default::default()
    }
}

/// Bytes of each access of the port exit that `run` tells of: 1, 2 or 4.
pub(super) fn port_access_size(run: &kvm_run) -> usize {
    // SAFETY: the field is one plain byte, and the whole union is initialized: it lies in a page
    // that the kernel zeroed and wrote.
    usize::from(unsafe { run.__bindgen_anon_1.io.size })
}

/// The sub-error, the number of data words and the data words of the internal error that `run`
/// tells of.
pub(super) fn internal_error(run: &kvm_run) -> (u32, u32, [u64; 16]) {
    // SAFETY: plain integers in a page that the kernel zeroed and wrote.
    let internal = unsafe { run.__bindgen_anon_1.internal };
    (internal.suberror, internal.ndata, internal.data)
}

/// The hardware's exit reason of the unknown exit that `run` tells of (`KVM_EXIT_UNKNOWN`).
pub(super) fn hardware_exit_reason(run: &kvm_run) -> u64 {
    // SAFETY: plain integers in a page that the kernel zeroed and wrote.
    unsafe { run.__bindgen_anon_1.hw.hardware_exit_reason }
}

/// Sets every register that XSAVE covers; those that the area does not speak of as after a reset.
pub(super) fn set_xsave(vcpu: &VcpuFd, area: &kvm_xsave) -> Result<(), kvm_ioctls::Error> {
    // SAFETY: the kernel reads more than this structure only if the process asked for features of
    // more state (`ARCH_REQ_XCOMP_GUEST_PERM`, arch_prctl(2)), which it never does.
    unsafe { vcpu.set_xsave(area) }
}

/// The low and the high 32 bits of an address.
#[allow(clippy::cast_possible_truncation)] // Taking the halves is the purpose.
pub(super) fn halves(address: u64) -> (u32, u32) {
    (address as u32, (address >> 32) as u32)
}
