//! The least program that runs a guest under KVM: what a monitor's costs are compared with.
//!
//! `bare-kvm GUEST.ELF` runs a guest with a PVH note until it shuts down by a triple fault: 128 MiB
//! of memory, the split interrupt chip, one processor. Bytes written to the first serial port go
//! to standard output at once, each by itself; its status reads as idle; everything else reads as
//! 0. There is no command line, no CPUID, no table for the guest, and no thread. It is built as cargo
//! builds by default.

mod image;

use std::{
    error::Error,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
};

use kvm_bindings::{KVM_CAP_SPLIT_IRQCHIP, kvm_enable_cap, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

/// Bytes of the guest's memory.
const MEMORY_SIZE: usize = 128 << 20;
/// Pins of an I/O APIC, for which the split interrupt chip reserves routes.
const PINS: u64 = 24;
/// The first serial port's data, and its line status with what an idle transmitter says there.
const COM1_DATA: u16 = 0x3f8;
const COM1_LINE_STATUS: u16 = 0x3fd;
const TRANSMITTER_EMPTY: u8 = 0x60;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: bare-kvm GUEST.ELF");
        return ExitCode::from(2);
    };
    match std::fs::read(path).map_err(Into::into).and_then(|file| run(&file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare-kvm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(file: &[u8]) -> Result<(), Box<dyn Error>> {
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), MEMORY_SIZE)])?;
    let vm = Kvm::new()?.create_vm()?;
    let entry = image::load(file, &memory)?;
    give_memory(&vm, &memory)?;
    let split =
        kvm_enable_cap { cap: KVM_CAP_SPLIT_IRQCHIP, args: [PINS, 0, 0, 0], ..Default::default() };
    vm.enable_cap(&split)?;
    let mut vcpu = vm.create_vcpu(0)?;
    enter_protected_mode(&vcpu, entry)?;
    run_until_shutdown(&mut vcpu)
}

/// Makes `memory` the guest's.
#[allow(unsafe_code)] // The kernel is given a bare address, whose mapping no type of its ties to it.
fn give_memory(vm: &VmFd, memory: &GuestMemoryMmap) -> Result<(), Box<dyn Error>> {
    let region = memory.iter().next().ok_or("no guest memory")?;
    let slot = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: region.len(),
        userspace_addr: region.as_ptr() as u64,
    };
    // SAFETY: the region is a mapping of that size, and `run` keeps it until the VM is gone.
    unsafe { vm.set_user_memory_region(slot)? };
    Ok(())
}

/// 32-bit protected mode, flat and without paging, at `entry` (Xen, `docs/misc/pvh.pandoc`).
fn enter_protected_mode(vcpu: &VcpuFd, entry: u32) -> Result<(), Box<dyn Error>> {
    let mut sregs = vcpu.get_sregs()?;
    let segments = [
        (&mut sregs.cs, 0x8, 0xb),
        (&mut sregs.ds, 0x10, 0x3),
        (&mut sregs.es, 0x10, 0x3),
        (&mut sregs.fs, 0x10, 0x3),
        (&mut sregs.gs, 0x10, 0x3),
        (&mut sregs.ss, 0x10, 0x3),
    ];
    for (segment, selector, type_) in segments {
        segment.base = 0;
        segment.limit = u32::MAX;
        segment.selector = selector;
        segment.type_ = type_;
        segment.present = 1;
        segment.dpl = 0;
        segment.s = 1;
        segment.db = 1;
        segment.l = 0;
        segment.g = 1;
    }
    sregs.cr0 |= 1;
    sregs.idt.limit = 0;
    vcpu.set_sregs(&sregs)?;
    let mut regs = vcpu.get_regs()?;
    regs.rip = entry.into();
    regs.rflags = 2;
    vcpu.set_regs(&regs)?;
    Ok(())
}

fn run_until_shutdown(vcpu: &mut VcpuFd) -> Result<(), Box<dyn Error>> {
    // Without the standard library's buffer, so that a byte is out before the guest goes on.
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    loop {
        match vcpu.run()? {
            VcpuExit::IoOut(COM1_DATA, data) => output.write_all(data)?,
            VcpuExit::IoOut(..) | VcpuExit::MmioWrite(..) => {}
            VcpuExit::IoIn(COM1_LINE_STATUS, data) => data.fill(TRANSMITTER_EMPTY),
            VcpuExit::IoIn(_, data) | VcpuExit::MmioRead(_, data) => data.fill(0),
            VcpuExit::Shutdown => return Ok(()),
            other => return Err(format!("the guest stopped for {other:?}").into()),
        }
    }
}
