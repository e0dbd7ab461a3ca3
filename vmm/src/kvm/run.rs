//! Running a vCPU until the guest needs something, and giving it that.
//!
//! The hot path: a port or memory access costs one call of the handler and no allocation or lock
//! of ours.
#![allow(unsafe_code)] // A port exit's data has to be cut by a size that only `kvm_run` tells.

use std::fmt;
use std::io;
use std::slice;

use kvm_bindings::KVM_EXIT_UNKNOWN;
use kvm_ioctls::{VcpuExit, VcpuFd};
use rustix::io::Errno;

use super::abi;
use super::internal_error::InternalError;

/// Answers the guest's accesses that neither memory nor the kernel answers.
///
/// Everything here comes from the guest. A read is called with `data` full of ones, which is
/// what a bus without a device reads as.
pub trait ExitHandler {
    /// The guest reads 1, 2 or 4 bytes from `port`.
    fn pio_read(&mut self, port: u16, data: &mut [u8]);

    /// The guest writes 1, 2 or 4 bytes to `port`.
    fn pio_write(&mut self, port: u16, data: &[u8]);

    /// The guest reads 1 to 8 bytes at guest-physical `address`.
    fn mmio_read(&mut self, address: u64, data: &mut [u8]);

    /// The guest writes 1 to 8 bytes at guest-physical `address`, which may be in read-only
    /// memory.
    fn mmio_write(&mut self, address: u64, data: &[u8]);

    /// A local APIC ended a level-triggered interrupt with this vector, with a split chip.
    fn ioapic_eoi(&mut self, vector: u8);
}

/// How [`Vcpu::run`](super::Vcpu::run) came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An access was answered; run on.
    Continue,
    /// A signal came, or [`Vcpu::complete_access`](super::Vcpu::complete_access) is due: look
    /// for a request of the owner, then run on.
    Interrupted,
    /// The guest executed HLT. Only without a local APIC in the kernel, which else waits itself.
    Halted,
    /// A triple fault.
    Shutdown,
    /// A request of the guest to the system.
    SystemEvent {
        /// `KVM_SYSTEM_EVENT_…`.
        kind: u32,
    },
    /// The kernel can't go on with the guest.
    InternalError(InternalError),
    /// The processor refused the guest's state.
    FailEntry {
        /// The hardware's reason.
        reason: u64,
        /// The host's processor.
        cpu: u32,
    },
    /// An exit that the kernel does not know itself (`KVM_EXIT_UNKNOWN`).
    UnknownHardwareExit {
        /// The hardware's reason.
        reason: u64,
    },
    /// An exit that nothing here asked the kernel for, by its number (`KVM_EXIT_…`).
    Unknown(u32),
}

/// Why the vCPU came back, for people.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => f.write_str("an access was answered"),
            Self::Interrupted => f.write_str("a signal came"),
            Self::Halted => f.write_str("the guest halted, with no interrupt chip to wake it"),
            Self::Shutdown => f.write_str("triple fault"),
            Self::SystemEvent { kind } => {
                write!(f, "the guest made a request to the system, KVM_SYSTEM_EVENT number {kind}")
            }
            Self::InternalError(error) => write!(f, "{error}"),
            Self::FailEntry { reason, cpu } => {
                write!(
                    f,
                    "the host's processor {cpu} refused the guest's state, reason {reason:#x}"
                )
            }
            Self::UnknownHardwareExit { reason } => {
                write!(f, "an exit that KVM does not know, hardware's reason {reason:#x}")
            }
            Self::Unknown(exit) => {
                write!(f, "an exit that was not asked for, KVM_EXIT number {exit}")
            }
        }
    }
}

/// Why a vCPU can't be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The guest used memory that the host can't give it.
    #[error("the host cannot provide guest memory at {address:#x} ({size:#x} bytes)")]
    MemoryFault {
        /// First guest-physical address.
        address: u64,
        /// Bytes.
        size: u64,
    },
    /// The kernel refused.
    #[error("KVM_RUN failed")]
    Kernel(#[source] io::Error),
}

/// Runs `vcpu` until its next exit and answers it through `handler`.
pub(super) fn run<H: ExitHandler + ?Sized>(
    vcpu: &mut VcpuFd,
    handler: &mut H,
) -> Result<Outcome, RunError> {
    let exit = match vcpu.run() {
        Ok(exit) => exit,
        Err(errno) => return failed_run(errno),
    };
    Ok(match exit {
        VcpuExit::IoOut(port, data) => {
            let (start, length) = (data.as_ptr(), data.len());
            let size = abi::port_access_size(vcpu.get_kvm_run()).max(1);
            // SAFETY: exactly the slice that the exit gave, which lies behind `kvm_run` in the
            // same mapping and stays valid until `vcpu` runs again, which takes the exclusive
            // borrow that this function holds. `get_kvm_run` borrowed the structure in front of
            // it only, and that borrow is over.
            let data = unsafe { slice::from_raw_parts(start, length) };
            // A repeated string instruction exits once with all of its accesses.
            for access in data.chunks_exact(size) {
                handler.pio_write(port, access);
            }
            Outcome::Continue
        }
        VcpuExit::IoIn(port, data) => {
            let (start, length) = (data.as_mut_ptr(), data.len());
            let size = abi::port_access_size(vcpu.get_kvm_run()).max(1);
            // SAFETY: as for the write above; the slice was mutable and is borrowed by none.
            let data = unsafe { slice::from_raw_parts_mut(start, length) };
            // What is there is left from an earlier exit and must not reach the guest.
            data.fill(0xff);
            for access in data.chunks_exact_mut(size) {
                handler.pio_read(port, access);
            }
            Outcome::Continue
        }
        VcpuExit::MmioRead(address, data) => {
            data.fill(0xff);
            handler.mmio_read(address, data);
            Outcome::Continue
        }
        VcpuExit::MmioWrite(address, data) => {
            handler.mmio_write(address, data);
            Outcome::Continue
        }
        VcpuExit::IoapicEoi(vector) => {
            handler.ioapic_eoi(vector);
            Outcome::Continue
        }
        VcpuExit::Intr => Outcome::Interrupted,
        VcpuExit::Hlt => Outcome::Halted,
        VcpuExit::Shutdown => Outcome::Shutdown,
        VcpuExit::SystemEvent(kind, _) => Outcome::SystemEvent { kind },
        VcpuExit::FailEntry(reason, cpu) => Outcome::FailEntry { reason, cpu },
        VcpuExit::InternalError => {
            let (suberror, words, data) = abi::internal_error(vcpu.get_kvm_run());
            Outcome::InternalError(InternalError::parse(suberror, words, data))
        }
        VcpuExit::MemoryFault { gpa, size, .. } => {
            return Err(RunError::MemoryFault { address: gpa, size });
        }
        _ => {
            let run = vcpu.get_kvm_run();
            match run.exit_reason {
                KVM_EXIT_UNKNOWN => {
                    Outcome::UnknownHardwareExit { reason: abi::hardware_exit_reason(run) }
                }
                reason => Outcome::Unknown(reason),
            }
        }
    })
}

/// Tells the failures of `KVM_RUN` that are none.
fn failed_run(errno: kvm_ioctls::Error) -> Result<Outcome, RunError> {
    let source = io::Error::from(errno);
    match Errno::from_io_error(&source) {
        Some(Errno::INTR) => Ok(Outcome::Interrupted),
        // A secondary vCPU was woken from waiting for INIT and SIPI.
        Some(Errno::AGAIN) => Ok(Outcome::Continue),
        _ => Err(RunError::Kernel(source)),
    }
}
