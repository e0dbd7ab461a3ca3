//! A vCPU thread leaves the guest when it is kicked, whatever the guest does.

use super::*;
use crate::kvm::{MpState, Role};

/// What a thread does until it is kicked: run the guest.
fn run_until_kicked(mut vcpu: Vcpu) -> VcpuThread<Vcpu> {
    VcpuThread::spawn("guest".into(), move |mut kicks| {
        let mut recorder = Recorder::default();
        while !kicks.take() {
            let outcome = vcpu.run(&mut recorder).unwrap();
            assert!(
                matches!(outcome, Outcome::Continue | Outcome::Interrupted),
                "{outcome:?}"
            );
        }
        vcpu
    })
    .unwrap()
}

#[test]
fn a_spinning_guest_is_left_at_every_kick() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [0xeb, 0xfe]; // jmp to itself
    let (vm, _memory) = vm_with_code(&system, Chip::None, &code);
    let mut vcpu = boot_vcpu(&system, &vm, Chip::None, FLAT32);
    for _ in 0..20 {
        let thread = run_until_kicked(vcpu);
        thread.kick(LIMIT).unwrap();
        vcpu = thread.join().unwrap();
        assert_eq!(vcpu.general_registers().unwrap().rip, CODE);
    }
}

#[test]
fn a_halted_guest_that_waits_in_the_kernel_is_left() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [0xf4]; // hlt
    let (vm, _memory) = vm_with_code(&system, Chip::Split, &code);
    let vcpu = boot_vcpu(&system, &vm, Chip::Split, FLAT32);
    let thread = run_until_kicked(vcpu);
    std::thread::sleep(Duration::from_millis(20));
    thread.kick(LIMIT).unwrap();
    let vcpu = thread.join().unwrap();
    assert_eq!(vcpu.mp_state().unwrap(), MpState::Halted);
}

#[test]
fn a_secondary_waits_for_init_and_can_be_kicked_meanwhile() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::Split, &[0xf4]);
    let _boot = boot_vcpu(&system, &vm, Chip::Split, FLAT32);
    let vcpu = vm.create_vcpu(1).unwrap();
    let cpuid = system.supported_cpuid().unwrap();
    vcpu.set_up(cpuid.as_slice(), &Role::Secondary, true)
        .unwrap();
    assert_eq!(vcpu.id(), 1);
    let thread = run_until_kicked(vcpu);
    std::thread::sleep(Duration::from_millis(20));
    assert!(!thread.is_finished());
    thread.kick(LIMIT).unwrap();
    let vcpu = thread.join().unwrap();
    assert_eq!(vcpu.mp_state().unwrap(), MpState::WaitForInit);
}
