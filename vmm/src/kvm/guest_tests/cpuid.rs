//! The kernel takes the CPUID that is built here, and the guest is told it.

use super::*;
use crate::cpu::cpuid::{CpuRequest, Cpuid, HostCpu};
use crate::cpu::features::{find, parse};
use crate::cpu::model::Model;
use crate::cpu::topology::Topology;

/// Asks CPUID for a leaf and subleaf and writes `eax`, `ebx`, `ecx`, `edx` to port 0x90.
fn ask(leaf: u8, subleaf: u8) -> [u8; 27] {
    [
        0xb8, leaf, 0x00, 0x00, 0x00, // mov eax, leaf
        0xb9, subleaf, 0x00, 0x00, 0x00, // mov ecx, subleaf
        0x0f, 0xa2, // cpuid
        0xe7, 0x90, // out 0x90, eax
        0x89, 0xd8, 0xe7, 0x90, // mov eax, ebx; out 0x90, eax
        0x89, 0xc8, 0xe7, 0x90, // mov eax, ecx; out 0x90, eax
        0x89, 0xd0, 0xe7, 0x90, // mov eax, edx; out 0x90, eax
        0x90, // nop
    ]
}

/// What a guest is told of leaf 1 and the first level of leaf 0xb, as its second vCPU.
fn told(system: &System, cpuid: &Cpuid, topology: &Topology) -> Vec<u32> {
    let code = [&ask(1, 0)[..], &ask(0xb, 0), &[0xf4]].concat(); // … hlt
    let (vm, _memory) = vm_with_code(system, Chip::None, &code);
    let vcpu = vm.create_vcpu(topology.apic_id(1).unwrap()).unwrap();
    vcpu.set_up(&cpuid.for_vcpu(1).unwrap(), &Role::Boot(FLAT32), false).unwrap();
    let (_, recorder, outcome) = run_to_end(vcpu, Recorder::default(), None);
    assert_eq!(outcome, Outcome::Halted);
    let value = |event: &Event| match event {
        PortWrite(0x90, data) => u32::from_le_bytes(data.as_slice().try_into().unwrap()),
        other => panic!("{other:?}"),
    };
    recorder.events.iter().map(value).collect()
}

#[test]
fn a_guest_finds_the_model_its_features_and_itself() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let host = HostCpu::of(&system).unwrap();
    let topology = Topology::new(1, 2, 2).unwrap();
    for model in [Model::Host, Model::X86_64V1] {
        // Only of `ecx`: some KVMs switch on in `edx` what they can't hide.
        let choices = parse([("cx16", false)]).unwrap();
        let request = CpuRequest { model, choices: &choices, topology, local_apic: false };
        let cpuid = Cpuid::build(&host, &request).unwrap();
        let told = told(&system, &cpuid, &topology);
        let [eax, ebx, ecx, edx, thread_bits, threads, level, x2apic_id] = told[..] else {
            panic!("{told:x?}")
        };
        assert_eq!(ebx >> 24, 1);
        assert_eq!((thread_bits, threads, level, x2apic_id), (1, 2, 0x100, 1));
        for (name, expected) in [("hypervisor", true), ("cx16", false)] {
            let set = ecx & find(name).unwrap().bits != 0;
            assert_eq!(set, expected, "{name}");
        }
        for name in ["sse2", "ht"] {
            assert_ne!(edx & find(name).unwrap().bits, 0, "{name}");
        }
        if model == Model::X86_64V1 {
            assert_eq!(eax, 0x0002_0ff2);
        }
    }
}

#[test]
fn the_kernel_takes_every_vcpus_cpuid_with_its_local_apics() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let host = HostCpu::of(&system).unwrap();
    let topology = Topology::new(1, 3, 1).unwrap();
    for model in [Model::Host, Model::X86_64V1] {
        let request = CpuRequest { model, choices: &[], topology, local_apic: true };
        let cpuid = Cpuid::build(&host, &request).unwrap();
        let (vm, _memory) = vm_with_code(&system, Chip::Split, &[]);
        for index in 0..topology.vcpus() {
            let role = if index == 0 { Role::Boot(FLAT32) } else { Role::Secondary };
            let vcpu = vm.create_vcpu(topology.apic_id(index).unwrap()).unwrap();
            vcpu.set_up(&cpuid.for_vcpu(index).unwrap(), &role, true).unwrap();
        }
    }
}
