//! What a guest executes: any instructions, in the states in which processors start. Whatever they
//! are, each processor comes out of the guest and can be reset.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use vm_memory::{Bytes, GuestAddress};
use vmm::{boot::Entry, cpu::Cpu, vcpu::End};

use super::microvm::{self, Microvm};
use crate::{Target, input::Input};

inventory::submit!(Target {
    name: "guest-code",
    covers: &["host-x86_64-cpu", "x86-64-v1-x86_64-cpu"],
    run,
});

/// Where the code of an input goes.
const CODE: u32 = 0x10_0000;
/// How much there may be of it, in bytes.
const MOST_CODE: usize = 4096;
/// How long that may run.
const RUNNING_TIME: Duration = Duration::from_millis(2);

/// A byte for the machine; one for how it starts, even: at the code, odd: at the reset vector, in a
/// read-only page of zeroes; then the code.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    microvm::with(input.byte(), |machine| {
        let from_reset = input.byte() & 1 != 0;
        execute(machine, from_reset, input.take(MOST_CODE));
    });
}

/// Has the processors run for a moment: from the reset vector, or from `code`, in 32-bit mode.
fn execute(machine: &Microvm, from_reset: bool, code: &[u8]) {
    let memory = machine.platform().memory().expect("there is memory");
    memory.write_slice(code, GuestAddress(CODE.into())).expect("there is memory");
    machine.enter(match from_reset {
        true => Entry::Reset,
        false => Entry::Pvh { eip: CODE, start_info: CODE },
    });
    let (ended, ends) = mpsc::channel();
    let handles = machine.processors();
    for cpu in &handles {
        let ended = ended.clone();
        let sink = move |index, end| {
            // Told too late, when nobody waits.
            let _ = ended.send((index, end));
        };
        let slot = cpu.cast::<dyn Cpu>().expect("it is a processor");
        slot.slot().start(cpu, machine.platform(), Arc::new(sink)).expect("the host has threads");
    }
    drop(ended);
    let mut end = ends.recv_timeout(RUNNING_TIME).ok();
    for cpu in machine.cpus() {
        cpu.slot().stop(cpu.index()).expect("a processor can always be stopped");
    }
    while let Some((index, why)) = end {
        // A guest may fault, and do what KVM does not emulate; no more.
        let its_own = matches!(why, End::TripleFault { .. } | End::Internal { .. });
        assert!(its_own, "processor {index}: {why:?}");
        end = ends.try_recv().ok();
    }
}
