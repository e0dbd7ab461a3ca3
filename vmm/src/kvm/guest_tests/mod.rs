//! Tests of the KVM layer with guests of a few instructions, on the host's real KVM.
//!
//! They need `/dev/kvm`. Where it can't be had each says `skipped:` on standard error and returns;
//! with `PALISADE_REQUIRE_KVM` set it fails instead, so that a skip can't pass for a success.

mod cpuid;
mod entries;
mod faults;
mod interrupts;
mod io;
mod kicks;
mod memory;
mod resets;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::{Access, ExitHandler, OpenError, Outcome, Role, System, Vcpu, VcpuThread, Vm};
use crate::boot::entry::Entry;

/// Where tests put a guest's code.
const CODE: u64 = 0x1000;
/// Bytes of memory of a test's guest.
const MEMORY_SIZE: usize = 0x10000;
/// What a guest of a few instructions certainly ends within, on a slow host too.
const LIMIT: Duration = Duration::from_secs(60);

/// The host's KVM, or none after saying that the test is skipped.
pub(super) fn system_or_skip() -> Option<System> {
    let error = match System::open(Path::new("/dev/kvm")) {
        Ok(system) => return Some(system),
        Err(
            error @ (OpenError::Missing { .. }
            | OpenError::NoDriver { .. }
            | OpenError::PermissionDenied { .. }),
        ) => error,
        Err(error) => panic!("{error}"),
    };
    assert!(std::env::var_os("PALISADE_REQUIRE_KVM").is_none(), "KVM is required: {error}");
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    eprintln!("skipped: {test}: {error}");
    None
}

/// An access of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    PortRead(u16, usize),
    PortWrite(u16, Vec<u8>),
    MemoryRead(u64, usize),
    MemoryWrite(u64, Vec<u8>),
    Eoi(u8),
}

use Event::{Eoi, MemoryRead, MemoryWrite, PortRead, PortWrite};

/// Called on each event.
type Reaction = Box<dyn FnMut(&Event) + Send>;

/// Keeps what the guest did, and answers its reads with bytes 1, 2, 3, …
#[derive(Default)]
struct Recorder {
    events: Vec<Event>,
    answered: u8,
    react: Option<Reaction>,
}

impl Recorder {
    fn keep(&mut self, event: Event) {
        if let Some(react) = &mut self.react {
            react(&event);
        }
        self.events.push(event);
    }

    fn answer(&mut self, data: &mut [u8]) {
        for byte in data {
            self.answered += 1;
            *byte = self.answered;
        }
    }
}

impl ExitHandler for Recorder {
    fn pio_read(&mut self, port: u16, data: &mut [u8]) {
        self.answer(data);
        self.keep(PortRead(port, data.len()));
    }

    fn pio_write(&mut self, port: u16, data: &[u8]) {
        self.keep(PortWrite(port, data.to_vec()));
    }

    fn mmio_read(&mut self, address: u64, data: &mut [u8]) {
        self.answer(data);
        self.keep(MemoryRead(address, data.len()));
    }

    fn mmio_write(&mut self, address: u64, data: &[u8]) {
        self.keep(MemoryWrite(address, data.to_vec()));
    }

    fn ioapic_eoi(&mut self, vector: u8) {
        self.keep(Eoi(vector));
    }
}

/// Which interrupt chip a test's VM has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chip {
    None,
    Split,
    Full,
}

/// A VM with memory from 0 and `code` at [`CODE`].
fn vm_with_code(system: &System, chip: Chip, code: &[u8]) -> (Arc<Vm>, Arc<GuestMemoryMmap>) {
    let vm = system.create_vm().unwrap();
    let memory = Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_SIZE)]).unwrap());
    memory.write_slice(code, GuestAddress(CODE)).unwrap();
    vm.map_all(&memory, |_| Access::ReadWrite).unwrap();
    match chip {
        Chip::None => {}
        Chip::Split => vm.create_split_irqchip().unwrap(),
        Chip::Full => vm.create_irqchip().unwrap(),
    }
    (vm, memory)
}

/// Flat 32-bit protected mode at [`CODE`].
const FLAT32: Entry = Entry::Pvh { eip: 0x1000, start_info: 0x7000 };

/// vCPU 0 with the host's CPUID, entering by `entry`.
fn boot_vcpu(system: &System, vm: &Arc<Vm>, chip: Chip, entry: Entry) -> Vcpu {
    let vcpu = vm.create_vcpu(0).unwrap();
    let cpuid = system.supported_cpuid().unwrap();
    vcpu.set_up(cpuid.as_slice(), &Role::Boot(entry), chip != Chip::None).unwrap();
    vcpu
}

/// Runs `code` in flat 32-bit mode without an interrupt chip until it ends.
fn run_flat32(system: &System, code: &[u8]) -> (Vcpu, Arc<GuestMemoryMmap>, Recorder, Outcome) {
    let (vm, memory) = vm_with_code(system, Chip::None, code);
    let vcpu = boot_vcpu(system, &vm, Chip::None, FLAT32);
    let (vcpu, recorder, outcome) = run_to_end(vcpu, Recorder::default(), None);
    (vcpu, memory, recorder, outcome)
}

/// Runs until the guest ends or did `last`; fails if it does neither.
fn run_to_end(
    mut vcpu: Vcpu,
    mut recorder: Recorder,
    last: Option<Event>,
) -> (Vcpu, Recorder, Outcome) {
    let (done, finished) = std::sync::mpsc::channel();
    let thread = VcpuThread::spawn("guest".into(), move |mut kicks| {
        let mut outcome = Outcome::Continue;
        while !kicks.take() {
            outcome = vcpu.run(&mut recorder).unwrap();
            let ended = !matches!(outcome, Outcome::Continue | Outcome::Interrupted);
            if ended || (last.is_some() && recorder.events.last() == last.as_ref()) {
                let _ = done.send(());
                break;
            }
        }
        (vcpu, recorder, outcome)
    })
    .unwrap();
    let in_time = finished.recv_timeout(LIMIT);
    thread.kick(LIMIT).unwrap();
    let (vcpu, recorder, outcome) = thread.join().unwrap();
    assert!(
        in_time.is_ok(),
        "the guest did not end: {:?}\n{}",
        recorder.events,
        vcpu.dump().unwrap()
    );
    (vcpu, recorder, outcome)
}

/// Page tables, descriptors and the entry for 64-bit code at `CODE + offset`: identity of the
/// first GiB, and of the fourth, in which the local APIC lies.
fn long_mode(memory: &GuestMemoryMmap, offset: u64) -> Entry {
    const PML4: u64 = 0x9000;
    const PDPT: u64 = 0xa000;
    const GIB: u64 = 1 << 30;
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE_PAGE: u64 = 1 << 7;
    const GDT: u64 = 0x500;
    // Null twice, then 64-bit code for 0x10 and data for 0x18.
    const DESCRIPTORS: [u64; 4] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

    let write = |value: u64, at: u64| memory.write_obj(value, GuestAddress(at)).unwrap();
    write(PDPT | PRESENT_WRITABLE, PML4);
    for (gib, table) in [(0, 0xb000), (3, 0xc000)] {
        write(table | PRESENT_WRITABLE, PDPT + gib * 8);
        for page in 0..512 {
            let physical = gib * GIB + (page << 21);
            write(physical | PRESENT_WRITABLE | LARGE_PAGE, table + page * 8);
        }
    }
    for (index, descriptor) in (0..).zip(DESCRIPTORS) {
        write(descriptor, GDT + index * 8);
    }
    Entry::Linux64 {
        rip: CODE + offset,
        boot_params: 0x7000,
        page_table: PML4,
        gdt: GDT,
        gdt_limit: 31,
    }
}

/// A register for the comparison with what the guest wrote.
fn dword(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}
