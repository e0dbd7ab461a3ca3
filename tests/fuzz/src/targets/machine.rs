//! A machine under KVM with everything on it, made as the monitor makes it: what its processors'
//! exits bring, what its interrupt chips are told, and code for its processors to run.

use std::{
    cell::RefCell,
    ffi::OsString,
    fs::File,
    os::fd::AsRawFd,
    os::unix::fs::FileExt,
    sync::{Arc, mpsc},
    time::Duration,
};

use device_model::{
    interrupt::{InterruptController, Msi},
    prelude::*,
    qom_core::Registry,
};
use rustix::fs::{MemfdFlags, memfd_create};
use vm_memory::{Bytes, GuestAddress};
use vmm::{
    boot::Entry, cpu::Cpu, machine::Machine, options::command_line::CommandLine, session::Vm,
    vcpu::End,
};

use crate::{Target, board::Board, input::Input};

inventory::submit!(Target {
    name: "machine",
    covers: &[
        "host-x86_64-cpu",
        "kvm-accel",
        "kvm-apic",
        "kvm-i8259",
        "kvm-ioapic",
        "kvm-pit",
        "kvmclock",
        "microvm-machine",
        "x86-64-v1-x86_64-cpu",
    ],
    run,
});

/// The node through which KVM is reached.
const KVM: &str = "/dev/kvm";
/// The machines: each place of the interrupt chips, and each model of processor.
const MACHINES: [[&str; 3]; 4] = [
    ["kvm,kernel-irqchip=split", "host", "microvm"],
    ["kvm,kernel-irqchip=split", "x86-64-v1", "microvm"],
    ["kvm,kernel-irqchip=on", "host", "microvm,pic=on,pit=on"],
    ["kvm,kernel-irqchip=on", "x86-64-v1", "microvm,pic=on,pit=on"],
];
/// Size of the firmware, which is zeroes, in bytes.
const FIRMWARE_SIZE: usize = 64 << 10;
/// Where the code of an input goes.
const CODE: u32 = 0x10_0000;
/// How long that may run.
const RUNNING_TIME: Duration = Duration::from_millis(2);
/// How many times an input may have its code run.
const MOST_RUNS: u32 = 2;

/// A machine of [`MACHINES`], and how a processor of it reaches its board.
struct Made {
    vm: Vm,
    board: Board,
    /// Held while the machine may read it.
    _firmware: File,
}

thread_local! {
    /// Each is made once, since that takes as long as a thousand accesses. An input starts at a reset.
    static MADE: RefCell<[Option<Made>; MACHINES.len()]> = const { RefCell::new([const { None }; 4]) };
}

fn make([accelerator, cpu, machine]: [&str; 3]) -> Made {
    let firmware = File::from(memfd_create("firmware", MemfdFlags::CLOEXEC).expect("memory"));
    firmware.write_all_at(&[0; FIRMWARE_SIZE], 0).expect("there is memory");
    let path = format!("/proc/self/fd/{}", firmware.as_raw_fd());
    let words = [
        ["-accel", accelerator],
        ["-cpu", cpu],
        ["-machine", machine],
        ["-bios", &path],
        ["-m", "4M"],
        ["-smp", "2"],
        ["-serial", "null"],
        ["-device", "pvpanic"],
    ];
    let line = CommandLine::parse(words.into_iter().flatten().map(OsString::from));
    let registry = Registry::global().expect("the types are in order");
    let vm = Vm::create(registry, &line.expect("these are options")).expect("the host has KVM");
    let board = Board::new(Arc::clone(vm.platform()));
    Made { vm, board, _firmware: firmware }
}

/// A byte for the machine; then operations: 0xf0 to 0xff are as [`Made::step`] has them, all else are
/// accesses.
fn run(data: &[u8]) {
    static ABSENT: std::sync::Once = std::sync::Once::new();
    if let Err(error) = File::open(KVM) {
        ABSENT.call_once(|| eprintln!("fuzz: 'machine' tries nothing: can't open {KVM}: {error}"));
        return;
    }
    let mut input = Input::new(data);
    let which = usize::from(input.byte()) % MACHINES.len();
    MADE.with_borrow_mut(|machines| {
        let machine = machines[which].get_or_insert_with(|| make(MACHINES[which]));
        machine.reset();
        machine.platform().requests().take();
        let mut runs = 0;
        while let Some(op) = input.next() {
            machine.step(op, &mut input, &mut runs);
        }
        machine.show();
        // Each device asks for each thing once, until it is answered.
        assert!(machine.platform().requests().take().len() <= 16, "requests pile up");
    });
}

impl Made {
    fn platform(&self) -> &Platform {
        self.board.platform()
    }

    fn step(&mut self, op: u8, input: &mut Input<'_>, runs: &mut u32) {
        let split =
            self.platform().interrupts().is_some_and(|chip| chip.class().name() == "ioapic");
        match op {
            0xf0 => self.reset(),
            0xf1 => self.board.end_of_interrupt(input.byte()),
            0xf2 | 0xf3 => {
                if let Some(chip) = self.platform().interrupts()
                    && let Some(chip) = chip.cast::<dyn InterruptController>()
                {
                    chip.set_level(u32::from(input.byte()), op & 1 != 0);
                }
            }
            0xf4 => {
                let message = message(input);
                self.platform().msi().expect("the accelerator takes messages").send(message);
            }
            // With all chips in the kernel, nothing here tells routes.
            0xf5 | 0xf6 if split => {
                let pin = u32::from(input.byte());
                let message = (op & 1 != 0).then(|| message(input));
                self.platform().msi().expect("the accelerator takes messages").route(pin, message);
            }
            0xf7 => self.show(),
            0xf8..=0xff if *runs < MOST_RUNS => {
                *runs += 1;
                let length = usize::from(input.byte());
                self.execute(op & 1 != 0, input.take(length));
            }
            _ => self.board.access(op, input),
        }
    }

    fn cpus(&self) -> Vec<Arc<dyn Cpu>> {
        self.vm.tree().walk().iter().filter_map(Obj::cast::<dyn Cpu>).collect()
    }

    /// Starts the machine over, its processors being at rest.
    fn reset(&self) {
        for object in self.vm.tree().walk() {
            if let Some(device) = object.cast::<dyn Device>() {
                device.reset();
            }
        }
        let machine = self.vm.tree().resolve("/machine").expect("there is a machine");
        let board = machine.cast::<dyn Machine>().expect("it is one");
        let entry = board.boot(&machine, self.platform()).expect("its firmware is there");
        self.enter(entry.expect("a guest runs on it"));
    }

    fn enter(&self, entry: Entry) {
        for cpu in self.cpus() {
            let entry = (cpu.index() == 0).then_some(entry);
            let asked = cpu.slot().ask(cpu.index(), move |vcpu| vcpu.reset(entry.as_ref()));
            asked.expect("it is at rest").expect("a processor can always be reset");
        }
    }

    /// Reads every property of every object, as a monitor does.
    fn show(&self) {
        for object in self.vm.tree().walk() {
            for (property, _) in object.class().properties() {
                let value = object.get(property.name).expect("there is such a property");
                assert!(
                    property.link.is_some() || !value.is_null(),
                    "{object:?} {}",
                    property.name
                );
            }
        }
    }

    /// Has the processors run for a moment: from the reset vector, or from `code`, in 32-bit mode.
    fn execute(&self, from_reset: bool, code: &[u8]) {
        let memory = self.platform().memory().expect("there is memory");
        memory.write_slice(code, GuestAddress(CODE.into())).expect("there is memory");
        self.enter(match from_reset {
            true => Entry::Reset,
            false => Entry::Pvh { eip: CODE, start_info: CODE },
        });
        let (ended, ends) = mpsc::channel();
        let cpus = self.cpus();
        for cpu in &cpus {
            let ended = ended.clone();
            let sink = move |index, end| {
                // Told too late, when nobody waits.
                let _ = ended.send((index, end));
            };
            let exits = self.board.exits();
            cpu.slot().start(cpu.index(), exits, Arc::new(sink)).expect("the host has threads");
        }
        drop(ended);
        let mut end = ends.recv_timeout(RUNNING_TIME).ok();
        for cpu in &cpus {
            cpu.slot().stop(cpu.index()).expect("a processor can always be stopped");
        }
        while let Some((index, why)) = end {
            // A guest may fault, and do what KVM does not emulate; no more.
            let its_own = matches!(why, End::TripleFault { .. } | End::Internal { .. });
            assert!(its_own, "processor {index}: {why:?}");
            end = ends.try_recv().ok();
        }
    }
}

fn message(input: &mut Input<'_>) -> Msi {
    let data = u32::from(u16::from_le_bytes([input.byte(), input.byte()]));
    let address = match input.byte() {
        0xff => input.number(),
        // The local APIC of a processor.
        destination => 0xfee0_0000 | u64::from(destination) << 12,
    };
    Msi { address, data }
}
