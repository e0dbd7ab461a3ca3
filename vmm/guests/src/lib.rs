//! Guests of a few instructions, assembled when they are wanted, as files that a monitor boots.
//!
//! Each is a 64-bit ELF executable with a PVH note, so that it starts in 32-bit protected mode,
//! flat and without paging, and needs no firmware. None uses more than integer instructions: some
//! hosts emulate every instruction, and know few.
//!
//! ```
//! let image = guests::hello("Hello\n")?;
//! assert!(image.starts_with(b"\x7fELF"));
//! # Ok::<(), guests::GuestError>(())
//! ```
//!
//! Tests that need a guest of their own assemble it with [`assemble`]:
//!
//! ```
//! use guests::iced_x86::code_asm::{al, registers::dx};
//!
//! let image = guests::assemble(|code| {
//!     code.mov(dx, 0x3f8)?;
//!     code.mov(al, i32::from(b'A'))?;
//!     code.out(dx, al)?;
//!     guests::triple_fault(code)
//! })?;
//! # let _ = image;
//! # Ok::<(), guests::GuestError>(())
//! ```

#![forbid(unsafe_code)]

mod console;
mod demo;
mod elf;
mod exits;
mod program;

pub use console::{COM1, echo, hello, print, print_and_spin};
pub use demo::demo;
pub use elf::PvhElf;
pub use exits::{ExitLoop, exit_loop};
pub use iced_x86;
pub use program::{GuestError, LOAD_ADDRESS, assemble, assemble_with_bss, triple_fault};
