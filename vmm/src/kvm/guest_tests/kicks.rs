//! A vCPU thread leaves the guest when it is kicked, whatever the guest does.

use super::*;
use crate::kvm::{MpState, Role};

/// What a thread does until it is kicked: run the guest.
fn run_until_kicked(mut vcpu: Vcpu) -> VcpuThread<Vcpu> {
    VcpuThread::spawn("guest".into(), move |mut kicks| {
        let mut recorder = Recorder::default();
        while !kicks.take() {
            let outcome = vcpu.run(&mut recorder).unwrap();
            assert!(matches!(outcome, Outcome::Continue | Outcome::Interrupted), "{outcome:?}");
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
    vcpu.set_up(cpuid.as_slice(), &Role::Secondary, true).unwrap();
    assert_eq!(vcpu.id(), 1);
    let thread = run_until_kicked(vcpu);
    std::thread::sleep(Duration::from_millis(20));
    assert!(!thread.is_finished());
    thread.kick(LIMIT).unwrap();
    let vcpu = thread.join().unwrap();
    assert_eq!(vcpu.mp_state().unwrap(), MpState::WaitForInit);
}

#[test]
fn a_secondary_starts_where_the_boot_vcpu_sends_it() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let boot_code = [
        0xbb, 0x00, 0x00, 0xe0, 0xfe, // mov ebx, 0xfee00000: the local APIC
        0xc7, 0x83, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00, 0x00, // [ebx+0xf0] = 0x1ff: on
        0xc7, 0x83, 0x10, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, // [ebx+0x310]: APIC 1
        0xc7, 0x83, 0x00, 0x03, 0x00, 0x00, 0x00, 0x45, 0x00, 0x00, // [ebx+0x300]: INIT
        0xc7, 0x83, 0x10, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, // [ebx+0x310]: APIC 1
        0xc7, 0x83, 0x00, 0x03, 0x00, 0x00, 0x02, 0x46, 0x00,
        0x00, // [ebx+0x300]: SIPI, page 2
        0xf4, // hlt
    ];
    let secondary_code = [
        0xb0, 0x77, // mov al, 0x77
        0xe6, 0x80, // out 0x80, al
        0xf4, // hlt
    ];
    let (vm, memory) = vm_with_code(&system, Chip::Split, &boot_code);
    memory.write_slice(&secondary_code, GuestAddress(0x2000)).unwrap();
    let boot = boot_vcpu(&system, &vm, Chip::Split, FLAT32);
    let secondary = vm.create_vcpu(1).unwrap();
    let cpuid = system.supported_cpuid().unwrap();
    secondary.set_up(cpuid.as_slice(), &Role::Secondary, true).unwrap();

    let boot = run_until_kicked(boot);
    let last = PortWrite(0x80, vec![0x77]);
    let (secondary, recorder, _) = run_to_end(secondary, Recorder::default(), Some(last.clone()));
    boot.kick(LIMIT).unwrap();
    boot.join().unwrap();
    assert_eq!(recorder.events, [last]);
    let cs = secondary.special_registers().unwrap().cs;
    assert_eq!((cs.selector, cs.base), (0x200, 0x2000));
}
