//! Tests of a run whose processors do as they are told.

use std::io;

use device_model::qom_core::Obj;

use super::*;
use crate::{
    kvm::RunError,
    session::signals::EndSignals,
    vcpu::{
        SlotError,
        testing::{REGISTERS, machine, processor, wait_until_entered},
    },
};

fn inbox(platform: &Platform) -> Inbox {
    Inbox { news: Arc::default(), events: Arc::clone(platform.events()) }
}

/// A VM without a machine, whose processors run so.
fn vm(runs: &[&str]) -> (Vm, Vec<Obj>) {
    let (tree, platform) = machine();
    let cpus = (0..).zip(runs).map(|(index, run)| processor(&tree, &platform, index, run));
    let cpus = cpus.collect();
    let vm = Vm {
        tree,
        platform,
        stated: Vec::new(),
        reboots: true,
        name: None,
        paused: false,
        signals: EndSignals::take().unwrap(),
        loaders: Vec::new(),
    };
    (vm, cpus)
}

#[test]
fn when_a_processor_does_not_start_those_before_it_are_stopped() {
    let (vm, cpus) = vm(&["idle", "storm", "absent", "idle"]);
    let processors = Processors::of(&vm.tree, &vm.platform, &inbox(&vm.platform));
    let error = processors.start().unwrap_err();
    assert!(matches!(error, StartError::Processor(SlotError::Absent(2))), "{error}");
    let states: Vec<_> = cpus
        .iter()
        .map(|object| format!("{:?}", object.cast::<dyn Cpu>().expect("it is one").slot()))
        .collect();
    let parked = "VcpuSlot(parked)";
    assert_eq!(states, [parked, parked, "VcpuSlot(absent)", parked]);
}

#[test]
fn a_processor_that_does_not_stop_for_a_reset_ends_the_run_with_a_status_of_its_own() {
    let (vm, cpus) = vm(&["idle", "stuck"]);
    let platform = Arc::clone(&vm.platform);
    std::thread::spawn(move || {
        wait_until_entered(&cpus[1]);
        platform.requests().send(VmRequest::Reset);
    });
    assert_eq!(vm.run().expect("it was started"), Exit::Stuck);
}

#[test]
fn a_processor_that_the_host_can_not_run_ends_the_run() {
    let (vm, _cpus) = vm(&["idle", "fail"]);
    assert_eq!(vm.run().expect("it was started"), Exit::CantRun);
}

#[test]
fn each_end_is_told_with_the_registers() {
    let registers = || REGISTERS.to_owned();
    let error = RunError::Kernel(io::Error::other("no such luck"));
    assert_eq!(
        describe(&End::Failed { error, registers: registers() }),
        format!("KVM_RUN failed: no such luck\n{REGISTERS}")
    );
    assert_eq!(
        describe(&End::TripleFault { registers: registers() }),
        format!("triple fault\n{REGISTERS}")
    );
}
