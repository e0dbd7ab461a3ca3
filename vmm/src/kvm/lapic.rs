//! The register page of a vCPU's local APIC (Intel SDM volume 3, section 11.4.1).

use kvm_bindings::kvm_lapic_state;

/// Offsets of registers, in bytes (table 11-1, "Local APIC Register Address Map").
pub mod offset {
    /// Local APIC id.
    pub const ID: usize = 0x20;
    /// Task priority.
    pub const TASK_PRIORITY: usize = 0x80;
    /// Spurious-interrupt vector; bit 8 switches the APIC on.
    pub const SPURIOUS: usize = 0xf0;
    /// In service, first of eight words.
    pub const IN_SERVICE: usize = 0x100;
    /// Trigger mode, first of eight words.
    pub const TRIGGER_MODE: usize = 0x180;
    /// Interrupt request, first of eight words.
    pub const REQUEST: usize = 0x200;
    /// Local vector table, timer.
    pub const LVT_TIMER: usize = 0x320;
    /// Local vector table, pin LINT0.
    pub const LVT_LINT0: usize = 0x350;
    /// Local vector table, pin LINT1.
    pub const LVT_LINT1: usize = 0x360;

    /// Each of them by name, as introspection shows them.
    pub const NAMED: [(&str, usize); 9] = [
        ("id", ID),
        ("task-priority", TASK_PRIORITY),
        ("spurious", SPURIOUS),
        ("in-service", IN_SERVICE),
        ("trigger-mode", TRIGGER_MODE),
        ("request", REQUEST),
        ("lvt-timer", LVT_TIMER),
        ("lvt-lint0", LVT_LINT0),
        ("lvt-lint1", LVT_LINT1),
    ];
}

/// Local vector table entry: deliver as the PIC's interrupt (bits 10:8 = 111b).
pub(super) const DELIVER_EXTINT: u32 = 0b111 << 8;
/// Local vector table entry: deliver as a non-maskable interrupt (bits 10:8 = 100b).
pub(super) const DELIVER_NMI: u32 = 0b100 << 8;

/// Bytes of a register.
const REGISTER_SIZE: usize = 4;

/// The registers of one vCPU's local APIC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LapicState(kvm_lapic_state);

impl LapicState {
    /// Takes what the kernel gave.
    pub(super) fn new(state: kvm_lapic_state) -> Self {
        Self(state)
    }

    /// As the kernel wants it.
    pub(super) fn as_kvm(&self) -> &kvm_lapic_state {
        &self.0
    }

    /// The register at `offset` bytes; none if it is not within the page.
    pub fn register(&self, offset: usize) -> Option<u32> {
        let field = self.0.regs.get(offset..offset.checked_add(REGISTER_SIZE)?)?;
        let mut bytes = [0; REGISTER_SIZE];
        for (to, from) in bytes.iter_mut().zip(field) {
            *to = from.cast_unsigned();
        }
        Some(u32::from_le_bytes(bytes))
    }

    /// Sets the register at `offset` bytes, and tells whether it is within the page.
    pub fn set_register(&mut self, offset: usize, value: u32) -> bool {
        let end = offset.saturating_add(REGISTER_SIZE);
        let Some(field) = self.0.regs.get_mut(offset..end) else {
            return false;
        };
        for (to, from) in field.iter_mut().zip(value.to_le_bytes()) {
            *to = from.cast_signed();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_reads_back_as_written_and_leaves_its_neighbours() {
        let mut lapic = LapicState::new(kvm_lapic_state::default());
        assert!(lapic.set_register(offset::LVT_LINT0, 0x8001_f0ff));
        assert_eq!(lapic.register(offset::LVT_LINT0), Some(0x8001_f0ff));
        assert_eq!(lapic.register(offset::LVT_LINT0 - 4), Some(0));
        assert_eq!(lapic.register(offset::LVT_LINT0 + 4), Some(0));
    }

    #[test]
    fn a_register_beyond_the_page_is_none() {
        let mut lapic = LapicState::new(kvm_lapic_state::default());
        for offset in [1021, 1024, usize::MAX] {
            assert_eq!(lapic.register(offset), None);
            assert!(!lapic.set_register(offset, 1));
        }
        assert_eq!(lapic.register(1020), Some(0));
    }
}
