//! A reset leaves nothing of what a guest set up in its processor.

use super::*;
use crate::kvm::MpState;

/// `IA32_TIME_STAMP_COUNTER`, `IA32_APIC_BASE`, `IA32_TSC_ADJUST`, `IA32_SYSENTER_CS`, `IA32_LSTAR`
/// (Intel SDM volume 4, table 2-2).
const TSC: u32 = 0x10;
const APIC_BASE: u32 = 0x1b;
const TSC_ADJUST: u32 = 0x3b;
const SYSENTER_CS: u32 = 0x174;
const LSTAR: u32 = 0xc000_0082;
/// In `IA32_APIC_BASE`: boot processor, x2APIC mode, switched on, at 0xfee00000.
const X2APIC: u32 = 0xfee0_0d00;
/// Paravirtual clock (`Documentation/virt/kvm/x86/msr.rst`): each vCPU's time, and the wall clock's
/// start.
const KVM_SYSTEM_TIME: u32 = 0x4b56_4d01;
const KVM_WALL_CLOCK: u32 = 0x4b56_4d00;
/// Where the guest has its clock, in memory that nothing else is in.
const CLOCK: u32 = 0x6000;
const CLOCK_SIZE: usize = 32;

/// `mov ecx, msr; mov eax, low; mov edx, high; wrmsr`
fn write_msr(msr: u32, low: u32, high: u32) -> Vec<u8> {
    let mut code = Vec::new();
    for (opcode, value) in [(0xb9, msr), (0xb8, low), (0xba, high)] {
        code.push(opcode);
        code.extend(value.to_le_bytes());
    }
    code.extend([0x0f, 0x30]);
    code
}

/// `mov ecx, msr; rdmsr; out 0x90, eax; mov eax, edx; out 0x91, eax`
fn tell_msr(msr: u32) -> Vec<u8> {
    let mut code = vec![0xb9];
    code.extend(msr.to_le_bytes());
    code.extend([0x0f, 0x32, 0xe7, 0x90, 0x89, 0xd0, 0xe7, 0x91]);
    code
}

/// A guest that tells what it finds, then sets all of it up for itself, and halts.
fn guest() -> Vec<u8> {
    let told = [APIC_BASE, SYSENTER_CS, LSTAR, KVM_SYSTEM_TIME, KVM_WALL_CLOCK];
    let mut code: Vec<u8> = told.into_iter().flat_map(tell_msr).collect();
    code.extend([0x0f, 0x21, 0xc0, 0xe7, 0x90]); // mov eax, dr0; out 0x90, eax
    code.extend([0x0f, 0x21, 0xf8, 0xe7, 0x90]); // mov eax, dr7; out 0x90, eax
    for (msr, low, high) in [
        (SYSENTER_CS, 0x1234, 0),
        (LSTAR, 0x5678_9abc, 0x1234),
        (KVM_SYSTEM_TIME, CLOCK | 1, 0),
        (KVM_WALL_CLOCK, CLOCK + 0x100, 0),
        (APIC_BASE, X2APIC, 0),
        (TSC, 0, 0x1000),
    ] {
        code.extend(write_msr(msr, low, high));
    }
    code.extend([0xb8, 0x55, 0, 0, 0]); // mov eax, 0x55
    code.extend([0x0f, 0x23, 0xc0]); // mov dr0, eax
    code.extend([0xe7, 0x92]); // out 0x92, eax
    code
}

#[test]
fn a_guest_finds_its_processor_as_at_power_on_and_its_memory_to_itself() {
    let Some(system) = system_or_skip() else {
        return;
    };
    for chip in [Chip::Split, Chip::Full] {
        let (vm, memory) = vm_with_code(&system, chip, &guest());
        let mut vcpu = vm.create_vcpu(0).unwrap();
        vcpu.set_cpuid(system.supported_cpuid().unwrap().as_slice()).unwrap();
        let clock = || {
            let mut bytes = [0; CLOCK_SIZE];
            memory.read_slice(&mut bytes, GuestAddress(CLOCK.into())).unwrap();
            bytes
        };
        let mut told = Vec::new();
        for _ in 0..3 {
            memory.write_slice(&[0xaa; CLOCK_SIZE], GuestAddress(CLOCK.into())).unwrap();
            vcpu.reset(&Role::Boot(FLAT32), true).unwrap();
            // Far enough to tell, and not to the clock that it sets up.
            let first = PortWrite(0x91, dword(0));
            let recorder;
            (vcpu, recorder, _) = run_to_end(vcpu, Recorder::default(), Some(first));
            assert_eq!(clock(), [0xaa; CLOCK_SIZE], "the clock of before the reset is written");
            told.extend(recorder.events);
            let recorder;
            let last = PortWrite(0x92, dword(0x55));
            (vcpu, recorder, _) = run_to_end(vcpu, Recorder::default(), Some(last));
            told.extend(recorder.events);
            assert_ne!(clock(), [0xaa; CLOCK_SIZE], "the guest has a clock");
            assert_eq!(vcpu.msr(LSTAR).unwrap(), Some(0x1234_5678_9abc));
            assert_eq!(vcpu.special_registers().unwrap().apic_base, u64::from(X2APIC));
            assert_ne!(vcpu.msr(TSC_ADJUST).unwrap(), Some(0), "the guest set its counter");
        }
        let word = |value| PortWrite(0x90, dword(value));
        let high = || PortWrite(0x91, dword(0));
        let mut once = vec![word(0xfee0_0900), high()];
        for _ in [SYSENTER_CS, LSTAR, KVM_SYSTEM_TIME, KVM_WALL_CLOCK] {
            once.extend([word(0), high()]);
        }
        once.extend([word(0), word(0x400), PortWrite(0x92, dword(0x55))]);
        assert_eq!(told, [&*once, &*once, &*once].concat());
        vcpu.reset(&Role::Boot(FLAT32), true).unwrap();
        assert_eq!(vcpu.msr(TSC_ADJUST).unwrap(), Some(0), "it counts as if never set");
    }
}

#[test]
fn a_secondary_processor_waits_again_with_nothing_left() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::Split, &[]);
    let mut vcpu = vm.create_vcpu(1).unwrap();
    vcpu.set_cpuid(system.supported_cpuid().unwrap().as_slice()).unwrap();
    vcpu.reset(&Role::Secondary, true).unwrap();
    let before = vcpu.special_registers().unwrap();
    vcpu.set_msrs(&[(SYSENTER_CS, 0x1234), (KVM_SYSTEM_TIME, u64::from(CLOCK | 1))]).unwrap();
    vcpu.enter(&FLAT32).unwrap();
    vcpu.set_mp_state(MpState::Runnable).unwrap();
    vcpu.reset(&Role::Secondary, true).unwrap();
    assert_eq!(vcpu.mp_state().unwrap(), MpState::WaitForInit);
    assert_eq!(vcpu.special_registers().unwrap(), before);
    for msr in [SYSENTER_CS, KVM_SYSTEM_TIME] {
        assert_eq!(vcpu.msr(msr).unwrap(), Some(0), "{msr:#x}");
    }
}
