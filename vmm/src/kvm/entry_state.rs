//! The registers with which the boot vCPU enters a guest, for each way of booting.

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};

use crate::boot::entry::Entry;

/// Bits of `cr0` (Intel SDM volume 3, section 2.5).
mod cr0 {
    /// Protection enable.
    pub(super) const PE: u64 = 1 << 0;
    /// Extension type, fixed to 1.
    pub(super) const ET: u64 = 1 << 4;
    /// Not write-through.
    pub(super) const NW: u64 = 1 << 29;
    /// Cache disable.
    pub(super) const CD: u64 = 1 << 30;
    /// Paging.
    pub(super) const PG: u64 = 1 << 31;
}

/// Physical address extension, in `cr4`.
const CR4_PAE: u64 = 1 << 5;

/// Long mode enable and active, in `IA32_EFER`.
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

/// `rflags` with nothing set but the bit that always is: no interrupts, no tracing.
const RFLAGS_RESERVED: u64 = 1 << 1;

/// `edx` after reset holds the processor's signature; this is the family of a Pentium Pro and
/// later, which firmware tests for at most (Intel SDM volume 3, section 10.1.2).
const RESET_EDX: u64 = 0x600;

/// Segment types (Intel SDM volume 3, sections 3.4.5.1 and 3.5).
const TYPE_LDT: u8 = 0x2;
const TYPE_DATA_ACCESSED: u8 = 0x3;
const TYPE_CODE_ACCESSED: u8 = 0xb;
const TYPE_BUSY_TSS: u8 = 0xb;

/// Selectors of Linux' 64-bit boot protocol (`Documentation/arch/x86/boot.rst`).
const BOOT_CS: u16 = 0x10;
const BOOT_DS: u16 = 0x18;

/// The limit of a segment in real mode.
const REAL_MODE_LIMIT: u32 = 0xffff;

/// The least limit of a 32-bit task state segment, which PVH asks for.
const TSS_LIMIT: u32 = 0x67;

/// The special registers for `entry`; `current` gives what the entry does not say, such as the
/// address of the local APIC.
pub(super) fn special_registers(entry: &Entry, current: kvm_sregs) -> kvm_sregs {
    let sregs = kvm_sregs { cr2: 0, cr8: 0, interrupt_bitmap: [0; 4], ..current };
    match *entry {
        Entry::Reset => {
            let data = segment(0, 0, REAL_MODE_LIMIT, TYPE_DATA_ACCESSED);
            let table = kvm_dtable { base: 0, limit: 0xffff, ..Default::default() };
            kvm_sregs {
                cs: segment(0xf000, 0xffff_0000, REAL_MODE_LIMIT, TYPE_CODE_ACCESSED),
                ds: data,
                es: data,
                fs: data,
                gs: data,
                ss: data,
                tr: system_segment(TYPE_BUSY_TSS, REAL_MODE_LIMIT),
                ldt: system_segment(TYPE_LDT, REAL_MODE_LIMIT),
                gdt: table,
                idt: table,
                cr0: cr0::ET | cr0::NW | cr0::CD,
                cr3: 0,
                cr4: 0,
                efer: 0,
                ..sregs
            }
        }
        Entry::Pvh { .. } => {
            let data = flat(segment(BOOT_DS, 0, u32::MAX, TYPE_DATA_ACCESSED));
            kvm_sregs {
                cs: flat(segment(BOOT_CS, 0, u32::MAX, TYPE_CODE_ACCESSED)),
                ds: data,
                es: data,
                fs: data,
                gs: data,
                ss: data,
                tr: system_segment(TYPE_BUSY_TSS, TSS_LIMIT),
                ldt: system_segment(TYPE_LDT, 0),
                gdt: kvm_dtable::default(),
                idt: kvm_dtable::default(),
                cr0: cr0::PE | cr0::ET,
                cr3: 0,
                cr4: 0,
                efer: 0,
                ..sregs
            }
        }
        Entry::Linux64 { page_table, gdt, gdt_limit, .. } => {
            let data = flat(segment(BOOT_DS, 0, u32::MAX, TYPE_DATA_ACCESSED));
            let code = segment(BOOT_CS, 0, u32::MAX, TYPE_CODE_ACCESSED);
            kvm_sregs {
                // In 64-bit mode `l` excludes `db`.
                cs: kvm_segment { l: 1, g: 1, ..code },
                ds: data,
                es: data,
                fs: data,
                gs: data,
                ss: data,
                tr: system_segment(TYPE_BUSY_TSS, TSS_LIMIT),
                ldt: system_segment(TYPE_LDT, 0),
                gdt: kvm_dtable { base: gdt, limit: gdt_limit, ..Default::default() },
                idt: kvm_dtable::default(),
                cr0: cr0::PE | cr0::ET | cr0::PG,
                cr3: page_table,
                cr4: CR4_PAE,
                efer: EFER_LME | EFER_LMA,
                ..sregs
            }
        }
    }
}

/// The general registers for `entry`; those it does not speak of are 0.
pub(super) fn general_registers(entry: &Entry) -> kvm_regs {
    let regs = kvm_regs { rflags: RFLAGS_RESERVED, ..Default::default() };
    match *entry {
        Entry::Reset => kvm_regs { rip: 0xfff0, rdx: RESET_EDX, ..regs },
        Entry::Pvh { eip, start_info } => {
            kvm_regs { rip: u64::from(eip), rbx: u64::from(start_info), ..regs }
        }
        Entry::Linux64 { rip, boot_params, .. } => kvm_regs { rip, rsi: boot_params, ..regs },
    }
}

/// A code or data segment with 16-bit defaults and byte granularity.
fn segment(selector: u16, base: u64, limit: u32, type_: u8) -> kvm_segment {
    kvm_segment { base, limit, selector, type_, present: 1, s: 1, ..Default::default() }
}

/// The same with 32-bit defaults and page granularity.
fn flat(segment: kvm_segment) -> kvm_segment {
    kvm_segment { db: 1, g: 1, ..segment }
}

/// A task state segment or local descriptor table at 0.
fn system_segment(type_: u8, limit: u32) -> kvm_segment {
    kvm_segment { limit, type_, present: 1, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pvh_enters_flat_protected_mode_without_paging_as_its_specification_lists() {
        let entry = Entry::Pvh { eip: 0x10_0000, start_info: 0x7000 };
        let stale =
            kvm_sregs { cr3: 1, cr4: 2, efer: 3, apic_base: 0xfee0_0900, ..Default::default() };
        let sregs = special_registers(&entry, stale);
        assert_eq!(sregs.cr0 & (cr0::PE | cr0::PG), cr0::PE);
        assert_eq!((sregs.cr4, sregs.efer), (0, 0));
        for segment in [sregs.cs, sregs.ds, sregs.es, sregs.ss] {
            assert_eq!((segment.base, segment.limit, segment.db), (0, 0xffff_ffff, 1));
        }
        assert_eq!(sregs.cs.type_ & 0xa, 0xa, "readable code");
        assert_eq!(sregs.ss.type_ & 0xa, 0x2, "writable data");
        assert_eq!((sregs.tr.base, sregs.tr.limit), (0, 0x67));
        assert_eq!(sregs.apic_base, 0xfee0_0900, "the local APIC stays where it is");
        let regs = general_registers(&entry);
        assert_eq!((regs.rip, regs.rbx, regs.rflags), (0x10_0000, 0x7000, 2));
    }

    #[test]
    fn linux64_enters_64_bit_mode_with_boot_params_in_rsi_and_interrupts_off() {
        let entry = Entry::Linux64 {
            rip: 0x100_0200,
            boot_params: 0x7000,
            page_table: 0x9000,
            gdt: 0x500,
            gdt_limit: 31,
        };
        let sregs = special_registers(&entry, kvm_sregs::default());
        assert_eq!((sregs.cs.selector, sregs.cs.l, sregs.cs.db), (0x10, 1, 0));
        assert_eq!((sregs.ds.selector, sregs.es.selector, sregs.ss.selector), (0x18, 0x18, 0x18));
        assert_eq!(sregs.cr0 & (cr0::PE | cr0::PG), cr0::PE | cr0::PG);
        assert_eq!((sregs.cr3, sregs.cr4, sregs.efer), (0x9000, 0x20, 0x500));
        assert_eq!((sregs.gdt.base, sregs.gdt.limit), (0x500, 31));
        let regs = general_registers(&entry);
        assert_eq!((regs.rip, regs.rsi, regs.rflags & (1 << 9)), (0x100_0200, 0x7000, 0));
    }

    #[test]
    fn reset_starts_sixteen_bytes_below_four_gigabytes() {
        let sregs = special_registers(&Entry::Reset, kvm_sregs { cr3: 1, ..Default::default() });
        let regs = general_registers(&Entry::Reset);
        assert_eq!(sregs.cs.base + regs.rip, 0xffff_fff0);
        assert_eq!(sregs.cs.selector, 0xf000);
        assert_eq!(sregs.cr0, 0x6000_0010);
        assert_eq!((sregs.cr3, sregs.efer, regs.rdx), (0, 0, 0x600));
    }
}
