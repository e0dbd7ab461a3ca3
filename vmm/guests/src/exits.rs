//! Guests that leave to the monitor many times, to find out what that costs.

use iced_x86::code_asm::{al, dword_ptr, dx, eax, ecx};

use crate::{
    console::print,
    program::{GuestError, assemble, triple_fault},
};

/// What each round of [`exit_loop`] does besides counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitLoop {
    /// Nothing: what the loop itself costs, to be taken off the others. It has as many instructions.
    Nothing,
    /// Reads a byte from a port.
    Port(u16),
    /// Reads four bytes at a guest-physical address without memory.
    Memory(u32),
}

/// A guest that writes `A`, makes `rounds` rounds, writes `B` and ends by a triple fault.
///
/// # Errors
/// No rounds; else none but the assembler's.
pub fn exit_loop(each: ExitLoop, rounds: u32) -> Result<Vec<u8>, GuestError> {
    if rounds == 0 {
        return Err(GuestError::NoRounds);
    }
    assemble(|code| {
        print(code, "A")?;
        code.mov(ecx, rounds)?;
        if let ExitLoop::Port(port) = each {
            code.mov(dx, i32::from(port))?;
        }
        let mut round = code.create_label();
        code.set_label(&mut round)?;
        match each {
            ExitLoop::Nothing => code.nop()?,
            ExitLoop::Port(_) => code.in_(al, dx)?,
            ExitLoop::Memory(address) => code.mov(eax, dword_ptr(address))?,
        }
        code.dec(ecx)?;
        code.jne(round)?;
        print(code, "B")?;
        triple_fault(code)
    })
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions, Mnemonic};

    use super::*;
    use crate::LOAD_ADDRESS;

    /// The mnemonics of a guest's code, which follows the page of headers.
    fn mnemonics(image: &[u8]) -> Vec<Mnemonic> {
        let code = &image[0x1000..];
        let decoder = Decoder::with_ip(32, code, LOAD_ADDRESS.into(), DecoderOptions::NONE);
        decoder.into_iter().map(|instruction| instruction.mnemonic()).collect()
    }

    #[test]
    fn the_loops_differ_in_the_one_instruction() {
        use Mnemonic::{Dec, In, Jne, Mov, Nop, Out, Ud2};
        let print = [Mov, Mov, Out];
        let body =
            |setup: &[Mnemonic], one| [&print, setup, &[one, Dec, Jne], &print, &[Ud2]].concat();
        let of = |each| mnemonics(&exit_loop(each, 7).unwrap());
        assert_eq!(of(ExitLoop::Nothing), body(&[Mov], Nop));
        assert_eq!(of(ExitLoop::Port(0x3fd)), body(&[Mov, Mov], In));
        assert_eq!(of(ExitLoop::Memory(0xfec0_0000)), body(&[Mov], Mov));
    }

    #[test]
    fn a_loop_needs_a_round() {
        let error = exit_loop(ExitLoop::Nothing, 0).unwrap_err();
        assert_eq!(error.to_string(), "a guest's loop has at least one round");
    }
}
