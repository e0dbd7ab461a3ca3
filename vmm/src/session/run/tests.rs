//! Tests of a run whose processors do as they are told.

use std::io;

use device_model::qom_core::Obj;

use super::*;
use crate::{
    cpu::Cpu,
    kvm::{Outcome, RunError},
    session::{control::Control, signals::EndSignals},
    vcpu::{
        SlotError,
        testing::{REGISTERS, machine, processor, wait_until_entered},
    },
};

/// A VM without a machine, whose processors run so.
fn vm(runs: &[&str]) -> (Vm, Vec<Obj>) {
    let (tree, platform) = machine();
    let cpus = (0..).zip(runs).map(|(index, run)| processor(&tree, &platform, index, run));
    let cpus = cpus.collect();
    let vm = Vm {
        control: Arc::new(Control::new(tree, platform, Vec::new(), None)),
        reboots: true,
        paused: false,
        signals: EndSignals::take().unwrap(),
        loaders: Vec::new(),
    };
    (vm, cpus)
}

#[test]
fn when_a_processor_does_not_start_those_before_it_are_stopped() {
    let (vm, cpus) = vm(&["idle", "storm", "absent", "idle"]);
    let processors = Processors::of(vm.tree(), vm.platform(), &vm.control.inbox);
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
    let platform = Arc::clone(vm.platform());
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
    for (outcome, words) in [
        (
            Outcome::FailEntry { reason: 0x8000_0021, cpu: 3 },
            "the host's processor 3 refused the guest's state, reason 0x80000021",
        ),
        (Outcome::Unknown(24), "an exit that was not asked for, KVM_EXIT number 24"),
    ] {
        assert_eq!(
            describe(&End::Unexpected { outcome, registers: registers() }),
            format!("stopped: {words}\n{REGISTERS}")
        );
    }
    assert_eq!(
        describe(&End::TripleFault { registers: registers() }),
        format!("triple fault\n{REGISTERS}")
    );
}

/// Gives orders to a VM that runs, from another thread, and quits it.
fn ordered(runs: &[&str], paused: bool, orders: impl FnOnce(&Control) + Send + 'static) -> Exit {
    let (mut vm, _cpus) = vm(runs);
    vm.paused = paused;
    let control = Arc::clone(&vm.control);
    let client = std::thread::spawn(move || {
        orders(&control);
        control.order(Order::Quit)
    });
    let exit = vm.run().expect("it was started");
    client.join().expect("the client's claims hold").expect("it quits");
    exit
}

#[test]
fn processors_stop_and_go_on_as_they_are_told() {
    let exit = ordered(&["storm", "idle"], false, |vm| {
        for _ in 0..3 {
            vm.order(Order::Stop).expect("it stops");
            assert_eq!(vm.run_state(), RunState::Paused);
            vm.order(Order::Stop).expect("it is stopped already");
            vm.order(Order::Continue).expect("it goes on");
            assert_eq!(vm.run_state(), RunState::Running);
            vm.order(Order::Continue).expect("it runs already");
        }
    });
    assert_eq!(exit, Exit::Finished);
}

#[test]
fn a_vm_that_was_started_paused_runs_once_it_is_told() {
    ordered(&["idle"], true, |vm| {
        assert_eq!(vm.run_state(), RunState::Prelaunch);
        vm.order(Order::Reset).expect("a machine at rest can start over");
        assert_eq!(vm.run_state(), RunState::Prelaunch);
        vm.order(Order::Continue).expect("it goes on");
        assert_eq!(vm.run_state(), RunState::Running);
        vm.order(Order::Reset).expect("it starts over");
        assert_eq!(vm.run_state(), RunState::Running);
    });
}

#[test]
fn orders_after_the_end_are_errors() {
    let (vm, _cpus) = vm(&["fail"]);
    let control = Arc::clone(&vm.control);
    assert_eq!(vm.run().expect("it was started"), Exit::CantRun);
    let error = control.order(Order::Stop).expect_err("nobody is there to stop it");
    assert_eq!(error.to_string(), "the VM is at its end");
}
