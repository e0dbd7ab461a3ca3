//! A guest that can't go on ends with the reason, and a dump that shows where it was.

use super::*;

#[test]
fn a_triple_fault_shuts_down_and_the_dump_shows_the_instruction() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0x0f, 0x0b, // ud2, with an empty interrupt descriptor table
    ];
    let (vcpu, _, recorder, outcome) = run_flat32(&system, &code);
    assert_eq!(outcome, Outcome::Shutdown);
    assert_eq!(recorder.events, []);
    // Some processors reset the guest's state at a shutdown; the dump is of what is left.
    let dump = vcpu.dump().unwrap().to_string();
    assert!(dump.contains("rip=") && dump.contains("cr0="), "{dump}");
}

/// Operands in memory that no slot covers make every KVM emulate the instruction, also where the
/// processor runs guests itself, and no KVM emulates POPCNT.
#[test]
fn an_instruction_that_kvm_cannot_emulate_is_reported_with_its_bytes() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let popcnt = [
        0xf3, 0x0f, 0xb8, 0x05, 0x00, 0x00, 0x00, 0xd0, // popcnt eax, [0xd0000000]
    ];
    let (vcpu, _, recorder, outcome) = run_flat32(&system, &popcnt);
    let Outcome::InternalError(error) = outcome else {
        panic!("expected an internal error, got {outcome:?}");
    };
    assert_eq!(error.suberror, 1);
    assert_eq!(recorder.events, []);
    let told = error.instruction.as_slice();
    assert!(told.is_empty() || told.starts_with(&popcnt), "{error}");
    let dump = vcpu.dump().unwrap();
    assert_eq!(dump.instruction_address, CODE);
    assert!(dump.instruction.as_slice().starts_with(&popcnt), "{dump}");
    assert!(dump.to_string().ends_with("f3 0f b8 05 00 00 00 d0 00 00 00 00 00 00 00"), "{dump}");
}

/// Without a memory operand it depends on the host: a processor that runs guests itself runs
/// POPCNT too, a KVM that emulates everything can't. Either has to be told truthfully.
#[test]
fn an_instruction_outside_the_emulator_is_run_or_reported_never_skipped() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0xb9, 0xff, 0x00, 0x00, 0x00, // mov ecx, 0xff
        0xf3, 0x0f, 0xb8, 0xc1, // popcnt eax, ecx
        0xe7, 0x90, // out 0x90, eax
        0xf4, // hlt
    ];
    let (_, _, recorder, outcome) = run_flat32(&system, &code);
    match outcome {
        Outcome::Halted => assert_eq!(recorder.events, [PortWrite(0x90, dword(8))]),
        Outcome::InternalError(error) => {
            assert_eq!(recorder.events, []);
            assert!(error.instruction.as_slice().starts_with(&code[5..9]), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dump_reads_an_instruction_across_pages_and_stops_where_memory_does() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, memory) = vm_with_code(&system, Chip::None, &[]);
    memory.write_slice(&[0x90; 32], GuestAddress(0x1ff0)).unwrap();
    let at = |eip| boot_at(&system, &vm, eip);
    let vcpu = at(0x1ffd);
    assert_eq!(vcpu.dump().unwrap().instruction.as_slice(), [0x90; 15]);
    vcpu.enter(&Entry::Pvh { eip: 0xfffd, start_info: 0 }).unwrap();
    assert_eq!(vcpu.dump().unwrap().instruction.as_slice(), [0; 3]);
    vcpu.enter(&Entry::Pvh { eip: 0xd000_0000, start_info: 0 }).unwrap();
    let dump = vcpu.dump().unwrap();
    assert_eq!(dump.instruction.as_slice(), [0_u8; 0]);
    assert!(dump.to_string().ends_with("at 00000000d0000000: (not readable)"), "{dump}");
}

#[test]
fn a_dump_of_64_bit_code_goes_through_the_guests_page_tables() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, memory) = vm_with_code(&system, Chip::None, &[0x0f, 0x0b]);
    let Entry::Linux64 { boot_params, page_table, gdt, gdt_limit, .. } = long_mode(&memory, 0)
    else {
        unreachable!()
    };
    let at = |rip| Entry::Linux64 { rip, boot_params, page_table, gdt, gdt_limit };
    // The second page of 2 MiB now shows the first, so that linear and physical differ.
    memory.write_obj(0x83_u64, GuestAddress(0xb008)).unwrap();
    let vcpu = boot_vcpu(&system, &vm, Chip::None, at(0x20_0000 + CODE));
    let dump = vcpu.dump().unwrap();
    assert!(dump.instruction.as_slice().starts_with(&[0x0f, 0x0b]), "{dump}");
    assert_eq!(vcpu.translate(0x20_0000 + CODE).unwrap(), Some(CODE));
    assert_eq!(vcpu.translate(1 << 40).unwrap(), None);
    vcpu.enter(&at(1 << 40)).unwrap();
    assert_eq!(vcpu.dump().unwrap().instruction.as_slice(), [0_u8; 0]);
}

/// vCPU 0 in flat 32-bit mode at `eip`.
fn boot_at(system: &System, vm: &Arc<Vm>, eip: u32) -> Vcpu {
    boot_vcpu(system, vm, Chip::None, Entry::Pvh { eip, start_info: 0 })
}

#[test]
fn an_msr_that_kvm_does_not_know_is_named() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::None, &[]);
    let vcpu = boot_vcpu(&system, &vm, Chip::None, FLAT32);
    // The first is IA32_SYSENTER_CS, which every KVM has; the second is none at all.
    match vcpu.set_msrs(&[(0x174, 8), (0x4b56_dead, 7), (0x175, 9)]) {
        Err(crate::kvm::VcpuError::MsrRefused { index: 0x4b56_dead, value: 7 }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(vcpu.msr(0x174).unwrap(), Some(8));
    assert_eq!(vcpu.msr(0x175).unwrap(), Some(0));
    assert_eq!(vcpu.msr(0x4b56_dead).unwrap(), None);
}
