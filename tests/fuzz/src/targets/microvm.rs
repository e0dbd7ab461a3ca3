//! Machines under KVM with everything on them, made as the monitor makes them.

use std::{
    cell::RefCell,
    ffi::OsString,
    fs::File,
    os::fd::AsRawFd,
    os::unix::fs::FileExt,
    sync::{Arc, LazyLock},
};

use device_model::{prelude::*, qom_core::Registry};
use rustix::fs::{MemfdFlags, memfd_create};
use vmm::{
    boot::Entry, cpu::Cpu, machine::Machine, options::command_line::CommandLine, session::Vm,
};

use crate::board::Board;

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

/// A machine of [`MACHINES`], and how a processor of it reaches its board.
pub(super) struct Microvm {
    vm: Vm,
    pub(super) board: Board,
    /// Held while the machine may read it.
    _firmware: File,
}

thread_local! {
    /// Each is made once, since that takes as long as a thousand accesses. An input starts at a reset.
    static MADE: RefCell<[Option<Microvm>; MACHINES.len()]> =
        const { RefCell::new([const { None }; MACHINES.len()]) };
}

fn make([accelerator, cpu, machine]: [&str; 3]) -> Microvm {
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
    Microvm { vm, board, _firmware: firmware }
}

/// Whether there is KVM, which is said if there is not.
static PRESENT: LazyLock<bool> = LazyLock::new(|| match File::open(KVM) {
    Ok(_) => true,
    Err(error) => {
        eprintln!("fuzz: no machine was tried: can't open {KVM}: {error}");
        false
    }
});

/// Lets `try_out` have the machine that a byte chooses, fresh from a reset; does nothing without KVM.
pub(super) fn with(which: u8, try_out: impl FnOnce(&mut Microvm)) {
    if !*PRESENT {
        return;
    }
    let which = usize::from(which) % MACHINES.len();
    MADE.with_borrow_mut(|machines| {
        let machine = machines[which].get_or_insert_with(|| make(MACHINES[which]));
        machine.reset();
        machine.platform().requests().take();
        try_out(machine);
        machine.show();
        // Each device asks for each thing once, until it is answered.
        assert!(machine.platform().requests().take().len() <= 16, "requests pile up");
    });
}

impl Microvm {
    pub(super) fn platform(&self) -> &Arc<Platform> {
        self.board.platform()
    }

    /// The handles of the processors.
    pub(super) fn processors(&self) -> Vec<Obj> {
        self.vm.tree().walk().into_iter().filter(Obj::is::<dyn Cpu>).collect()
    }

    pub(super) fn cpus(&self) -> Vec<Arc<dyn Cpu>> {
        self.processors().iter().filter_map(Obj::cast::<dyn Cpu>).collect()
    }

    /// Starts the machine over, its processors being at rest.
    pub(super) fn reset(&self) {
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

    pub(super) fn enter(&self, entry: Entry) {
        for cpu in self.cpus() {
            let entry = (cpu.index() == 0).then_some(entry);
            let asked = cpu.slot().ask(cpu.index(), move |vcpu| vcpu.reset(entry.as_ref()));
            asked.expect("it is at rest").expect("a processor can always be reset");
        }
    }

    /// Reads every property of every object, as a monitor does.
    pub(super) fn show(&self) {
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
}
