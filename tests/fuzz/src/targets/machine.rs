//! A machine under KVM: what its processors' exits bring, what its interrupt chips are told, and
//! what it shows of itself.

use device_model::interrupt::{InterruptController, Msi};

use super::microvm::{self, Microvm};
use crate::{Target, input::Input};

inventory::submit!(Target {
    name: "machine",
    covers: &[
        "kvm-accel",
        "kvm-apic",
        "kvm-i8259",
        "kvm-ioapic",
        "kvm-pit",
        "kvmclock",
        "microvm-machine",
    ],
    run,
});

/// A byte for the machine; then operations, as [`step`] has them.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    microvm::with(input.byte(), |machine| {
        while let Some(op) = input.next() {
            step(machine, op, &mut input);
        }
    });
}

/// From 0xf0 to 0xf7: a reset, the end of an interrupt, a pin low or high, a message, a pin's route
/// there or gone, every property read. All else are accesses.
fn step(machine: &mut Microvm, op: u8, input: &mut Input<'_>) {
    let split = machine.platform().interrupts().is_some_and(|chip| chip.class().name() == "ioapic");
    match op {
        0xf0 => machine.reset(),
        0xf1 => machine.board.end_of_interrupt(input.byte()),
        0xf2 | 0xf3 => {
            if let Some(chip) = machine.platform().interrupts()
                && let Some(chip) = chip.cast::<dyn InterruptController>()
            {
                chip.set_level(u32::from(input.byte()), op & 1 != 0);
            }
        }
        0xf4 => {
            let message = message(input);
            machine.platform().msi().expect("the accelerator takes messages").send(message);
        }
        // With all chips in the kernel, nothing here tells routes.
        0xf5 | 0xf6 if split => {
            let pin = u32::from(input.byte());
            let message = (op & 1 != 0).then(|| message(input));
            machine.platform().msi().expect("the accelerator takes messages").route(pin, message);
        }
        0xf7 => machine.show(),
        _ => machine.board.access(op, input),
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
