//! The state in which the first vCPU enters a guest.

/// How the boot vCPU starts, as decided by what was loaded.
///
/// Secondary vCPUs always wait for INIT-SIPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The processor's own reset state: real mode at the reset vector, for firmware
    /// (Intel SDM volume 3, section 10.1.4, "First Instruction Executed").
    Reset,
    /// 32-bit protected mode without paging, flat segments, `ebx` holding the guest-physical
    /// address of `hvm_start_info` (Xen, `docs/misc/pvh.pandoc`).
    Pvh {
        /// First instruction, guest-physical.
        eip: u32,
        /// Address of `hvm_start_info`, guest-physical.
        start_info: u32,
    },
    /// 64-bit mode with identity-mapped paging, `rsi` holding the address of `boot_params`
    /// (Linux, `Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol").
    Linux64 {
        /// First instruction, guest-physical and virtual alike.
        rip: u64,
        /// Address of `boot_params`, the "zero page".
        boot_params: u64,
        /// Root of the identity-mapping page tables, for `cr3`.
        page_table: u64,
        /// Guest-physical address of the global descriptor table.
        gdt: u64,
        /// Limit of that table in bytes less one.
        gdt_limit: u16,
    },
}
