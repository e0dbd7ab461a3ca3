//! What the kernel says when it can't go on with a guest (`KVM_EXIT_INTERNAL_ERROR`).

use std::fmt;

use kvm_bindings::{
    KVM_INTERNAL_ERROR_DELIVERY_EV, KVM_INTERNAL_ERROR_EMULATION,
    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, KVM_INTERNAL_ERROR_SIMUL_EX,
    KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
};

/// The longest instruction of the architecture in bytes (Intel SDM volume 2, section 2.3.11).
const LONGEST_INSTRUCTION: usize = 15;

/// Data words that `KVM_INTERNAL_ERROR_EMULATION` needs to tell the instruction: the flags, and
/// two that hold its length and bytes (`struct kvm_run`, `emulation_failure`).
const EMULATION_DATA_WORDS: u32 = 3;

/// The bytes of one instruction, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstructionBytes {
    bytes: [u8; LONGEST_INSTRUCTION],
    length: usize,
}

impl InstructionBytes {
    /// Takes up to 15 bytes; more are not part of any instruction and dropped.
    pub fn new(given: &[u8]) -> Self {
        let mut bytes = [0; LONGEST_INSTRUCTION];
        let mut length = 0;
        for (to, from) in bytes.iter_mut().zip(given) {
            *to = *from;
            length += 1;
        }
        Self { bytes, length }
    }

    /// The bytes; none if they are not known.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// In hexadecimal, separated by blanks, as a disassembler prints them.
impl fmt::Display for InstructionBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.as_slice().iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{byte:02x}")?;
        }
        Ok(())
    }
}

/// An internal error of the kernel's KVM; the guest can't be run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalError {
    /// The kernel's code, `KVM_INTERNAL_ERROR_…`.
    pub suberror: u32,
    /// The instruction that it couldn't emulate, and what follows it in memory; empty if the
    /// kernel did not say.
    pub instruction: InstructionBytes,
}

impl InternalError {
    /// Reads the data of the exit: its sub-error, its number of data words and these words.
    pub(super) fn parse(suberror: u32, words: u32, data: [u64; 16]) -> Self {
        let [flags, first, second, ..] = data;
        let told = suberror == KVM_INTERNAL_ERROR_EMULATION
            && words >= EMULATION_DATA_WORDS
            && flags & u64::from(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0;
        let instruction = if told {
            // One byte of length and fifteen of instruction, in memory order.
            let [length, low @ ..] = first.to_le_bytes();
            let mut bytes = [0; LONGEST_INSTRUCTION];
            for (to, from) in bytes.iter_mut().zip(low.into_iter().chain(second.to_le_bytes())) {
                *to = from;
            }
            InstructionBytes { bytes, length: usize::from(length).min(LONGEST_INSTRUCTION) }
        } else {
            InstructionBytes::default()
        };
        Self { suberror, instruction }
    }
}

impl fmt::Display for InternalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.suberror {
            KVM_INTERNAL_ERROR_EMULATION => write!(f, "KVM cannot emulate an instruction")?,
            KVM_INTERNAL_ERROR_SIMUL_EX => {
                write!(f, "exceptions at the same time while KVM delivered one")?;
            }
            KVM_INTERNAL_ERROR_DELIVERY_EV => {
                write!(f, "an exit that KVM cannot handle while it delivered an event")?;
            }
            KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON => {
                write!(f, "an exit of the processor that KVM does not know")?;
            }
            other => write!(f, "KVM internal error {other}")?,
        }
        if !self.instruction.as_slice().is_empty() {
            write!(f, ", at bytes {}", self.instruction)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `flags`, then the length and the bytes `0f c7 08`, padded as the kernel pads.
    fn cmpxchg8b_data(flags: u64, length: u8) -> [u64; 16] {
        let mut data = [0; 16];
        data[0] = flags;
        data[1] = u64::from_le_bytes([length, 0x0f, 0xc7, 0x08, 0x90, 0x90, 0x90, 0x90]);
        data[2] = u64::from_le_bytes([0xf4; 8]);
        data
    }

    #[test]
    fn the_bytes_of_an_unemulatable_instruction_are_read_in_memory_order() {
        let error = InternalError::parse(1, 3, cmpxchg8b_data(1, 15));
        assert_eq!(error.instruction.as_slice()[..3], [0x0f, 0xc7, 0x08]);
        assert_eq!(error.instruction.as_slice()[7..], [0xf4; 8]);
        let error = InternalError::parse(1, 3, cmpxchg8b_data(1, 3));
        assert_eq!(error.to_string(), "KVM cannot emulate an instruction, at bytes 0f c7 08");
    }

    #[test]
    fn no_bytes_are_made_up_when_the_kernel_gives_none() {
        for (suberror, words, flags) in [(1, 3, 0), (1, 2, 1), (1, 0, 1), (2, 3, 1)] {
            let error = InternalError::parse(suberror, words, cmpxchg8b_data(flags, 3));
            assert_eq!(error.instruction.as_slice(), [0_u8; 0], "{suberror} {words} {flags}");
        }
    }

    #[test]
    fn a_length_beyond_any_instruction_is_cut() {
        let error = InternalError::parse(1, 3, cmpxchg8b_data(1, 255));
        assert_eq!(error.instruction.as_slice().len(), 15);
    }
}
