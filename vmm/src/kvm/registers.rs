//! A readable dump of a vCPU's registers, for reports of a guest that can't go on.

use std::fmt;

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};
use vm_memory::GuestAddress;

use super::internal_error::InstructionBytes;
use super::vcpu::{Vcpu, VcpuError};

/// Bytes of the longest instruction.
const LONGEST_INSTRUCTION: u64 = 15;
/// Bytes of the smallest page; translations hold that far.
const PAGE_SIZE: u64 = 4096;
/// Long mode active, in `IA32_EFER`.
const EFER_LMA: u64 = 1 << 10;

/// Bits of `rflags` and their names, lowest first (Intel SDM volume 1, section 3.4.3).
const FLAGS: [(u32, &str); 16] = [
    (0, "CF"),
    (2, "PF"),
    (4, "AF"),
    (6, "ZF"),
    (7, "SF"),
    (8, "TF"),
    (9, "IF"),
    (10, "DF"),
    (11, "OF"),
    (14, "NT"),
    (16, "RF"),
    (17, "VM"),
    (18, "AC"),
    (19, "VIF"),
    (20, "VIP"),
    (21, "ID"),
];

/// The registers of a vCPU at one time, and the instruction it is at.
///
/// Printing it gives several lines of text without a newline at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegisterDump {
    /// General registers, `rip` and `rflags`.
    pub general: kvm_regs,
    /// Segment, control and descriptor table registers.
    pub special: kvm_sregs,
    /// Linear address of the instruction.
    pub instruction_address: u64,
    /// The bytes there, as far as the guest's page tables map memory.
    pub instruction: InstructionBytes,
}

impl RegisterDump {
    /// Reads it from `vcpu`.
    pub(super) fn of(vcpu: &Vcpu) -> Result<Self, VcpuError> {
        let general = vcpu.general_registers()?;
        let special = vcpu.special_registers()?;
        // In 64-bit code the base of `cs` counts as 0.
        let long = special.efer & EFER_LMA != 0 && special.cs.l != 0;
        let instruction_address = if long {
            general.rip
        } else {
            (special.cs.base.wrapping_add(general.rip)) & u64::from(u32::MAX)
        };
        Ok(Self {
            general,
            special,
            instruction_address,
            instruction: read_instruction(vcpu, instruction_address),
        })
    }
}

/// Reads the bytes at `linear`, which may go on in a second page.
fn read_instruction(vcpu: &Vcpu, linear: u64) -> InstructionBytes {
    let mut found = Vec::new();
    let mut at = linear;
    let end = linear.saturating_add(LONGEST_INSTRUCTION);
    while at < end {
        let Ok(Some(physical)) = vcpu.translate(at) else {
            break;
        };
        let in_page = PAGE_SIZE - at % PAGE_SIZE;
        let wanted = usize::try_from(in_page.min(end - at)).unwrap_or(0);
        let mut bytes = vec![0; wanted];
        let read = vcpu.vm().read_memory(GuestAddress(physical), &mut bytes);
        found.extend(bytes.into_iter().take(read));
        if read < wanted {
            break;
        }
        at = at.saturating_add(in_page);
    }
    InstructionBytes::new(&found)
}

impl fmt::Display for RegisterDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (r, s) = (&self.general, &self.special);
        writeln!(f, "rax={:016x} rbx={:016x} rcx={:016x} rdx={:016x}", r.rax, r.rbx, r.rcx, r.rdx)?;
        writeln!(f, "rsi={:016x} rdi={:016x} rbp={:016x} rsp={:016x}", r.rsi, r.rdi, r.rbp, r.rsp)?;
        writeln!(f, "r8 ={:016x} r9 ={:016x} r10={:016x} r11={:016x}", r.r8, r.r9, r.r10, r.r11)?;
        writeln!(f, "r12={:016x} r13={:016x} r14={:016x} r15={:016x}", r.r12, r.r13, r.r14, r.r15)?;
        write!(f, "rip={:016x} rflags={:08x} [", r.rip, r.rflags)?;
        let set = FLAGS.iter().filter(|(bit, _)| r.rflags & (1 << bit) != 0);
        for (index, (_, name)) in set.enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { " " })?;
        }
        writeln!(f, "]")?;
        for (name, segment) in [
            ("cs", &s.cs),
            ("ds", &s.ds),
            ("es", &s.es),
            ("fs", &s.fs),
            ("gs", &s.gs),
            ("ss", &s.ss),
            ("tr", &s.tr),
            ("ldt", &s.ldt),
        ] {
            write_segment(f, name, segment)?;
        }
        write_table(f, "gdt", &s.gdt)?;
        write_table(f, "idt", &s.idt)?;
        writeln!(f, "cr0={:08x} cr2={:016x} cr3={:016x} cr4={:08x}", s.cr0, s.cr2, s.cr3, s.cr4)?;
        writeln!(f, "cr8={:x} efer={:x} apic_base={:x}", s.cr8, s.efer, s.apic_base)?;
        write!(f, "at {:016x}: ", self.instruction_address)?;
        if self.instruction.as_slice().is_empty() {
            write!(f, "(not readable)")
        } else {
            write!(f, "{}", self.instruction)
        }
    }
}

/// One segment register with its hidden part.
fn write_segment(f: &mut fmt::Formatter<'_>, name: &str, s: &kvm_segment) -> fmt::Result {
    write!(f, "{name:<3} {:04x} base={:016x} limit={:08x}", s.selector, s.base, s.limit)?;
    write!(f, " type={:x} s={} dpl={} p={}", s.type_, s.s, s.dpl, s.present)?;
    writeln!(f, " avl={} l={} db={} g={}", s.avl, s.l, s.db, s.g)
}

/// One descriptor table register.
fn write_table(f: &mut fmt::Formatter<'_>, name: &str, table: &kvm_dtable) -> fmt::Result {
    writeln!(f, "{name}      base={:016x} limit={:04x}", table.base, table.limit)
}
