//! Assembling a guest: 32-bit code at a fixed address.

use iced_x86::{IcedError, code_asm::CodeAssembler};
use thiserror::Error;

use crate::elf::PvhElf;

/// Guest-physical address of a guest's code: where kernels lie, above what boot loaders write.
pub const LOAD_ADDRESS: u32 = 0x10_0000;

/// Room for the code of a guest with zeroed memory behind it, in bytes.
const CODE_SPACE: u32 = 0x4000;

/// Why a guest can't be made.
#[derive(Debug, Error)]
pub enum GuestError {
    /// An instruction can't be encoded, or a label is wrong.
    #[error("the guest's code can't be assembled")]
    Assemble(#[from] IcedError),
    /// More code than there is room for before the zeroed memory.
    #[error("the guest's code has {bytes} bytes, expected at most {space}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// What there is.
        space: usize,
    },
    /// A loop of no rounds, which a counter that is tested at its end can't make.
    #[error("a guest's loop has at least one round")]
    NoRounds,
}

/// The ELF executable of what `write` assembles, in 32-bit mode at [`LOAD_ADDRESS`].
///
/// # Errors
/// Those of `write`, and what only shows when the whole is encoded.
pub fn assemble(
    write: impl FnOnce(&mut CodeAssembler) -> Result<(), GuestError>,
) -> Result<Vec<u8>, GuestError> {
    let mut code = CodeAssembler::new(32)?;
    write(&mut code)?;
    let code = code.assemble(LOAD_ADDRESS.into())?;
    Ok(PvhElf { address: LOAD_ADDRESS, code: &code, bss: 0 }.to_bytes())
}

/// As [`assemble`], with `bss` zeroed bytes behind the code, whose address `write` is told. They
/// start on a page of their own.
///
/// # Errors
/// Those of `write`, and what only shows when the whole is encoded.
pub fn assemble_with_bss(
    bss: u32,
    write: impl FnOnce(&mut CodeAssembler, u32) -> Result<(), GuestError>,
) -> Result<Vec<u8>, GuestError> {
    let mut code = CodeAssembler::new(32)?;
    write(&mut code, LOAD_ADDRESS + CODE_SPACE)?;
    let mut code = code.assemble(LOAD_ADDRESS.into())?;
    let space = CODE_SPACE as usize;
    if code.len() > space {
        return Err(GuestError::TooLong { bytes: code.len(), space });
    }
    code.resize(space, 0);
    Ok(PvhElf { address: LOAD_ADDRESS, code: &code, bss }.to_bytes())
}

/// Ends the guest: an exception without an interrupt descriptor table, which shuts the processor
/// down. PVH lets a guest start with an undefined table; monitors give it an empty one.
///
/// # Errors
/// None but the assembler's.
pub fn triple_fault(code: &mut CodeAssembler) -> Result<(), GuestError> {
    code.ud2()?;
    Ok(())
}
