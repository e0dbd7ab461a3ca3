//! The guest finds the state that each way of booting promises.

use super::*;
use crate::kvm::Window;

#[test]
fn linux64_runs_64_bit_code_with_boot_params_and_interrupts_off() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0x48, 0xb8, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34,
        0x12, // mov rax, 0x123456789abcdef0
        0x48, 0xc1, 0xc8, 0x20, // ror rax, 32
        0xe7, 0x90, // out 0x90, eax
        0x89, 0xf0, // mov eax, esi
        0xe7, 0x90, // out 0x90, eax
        0xbc, 0x00, 0x80, 0x00, 0x00, // mov esp, 0x8000
        0x9c, // pushfq
        0x58, // pop rax
        0xe7, 0x90, // out 0x90, eax
        0xf4, // hlt
    ];
    let (vm, memory) = vm_with_code(&system, Chip::None, &code);
    let vcpu = boot_vcpu(&system, &vm, Chip::None, long_mode(&memory, 0));
    let (_, recorder, outcome) = run_to_end(vcpu, Recorder::default(), None);
    assert_eq!(outcome, Outcome::Halted);
    let [PortWrite(0x90, high), PortWrite(0x90, params), PortWrite(0x90, flags)] =
        recorder.events.as_slice()
    else {
        panic!("{:?}", recorder.events)
    };
    assert_eq!((high, params), (&dword(0x1234_5678), &dword(0x7000)));
    assert_eq!(flags[1] & 0b10, 0, "interrupts are off");
}

#[test]
fn pvh_finds_its_start_info_in_ebx_and_no_paging() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0x89, 0xd8, // mov eax, ebx
        0xe7, 0x90, // out 0x90, eax
        0x0f, 0x20, 0xc0, // mov eax, cr0
        0x25, 0x01, 0x00, 0x00, 0x80, // and eax, 0x80000001 (PG, PE)
        0xe7, 0x90, // out 0x90, eax
        0xf4, // hlt
    ];
    let (_, _, recorder, outcome) = run_flat32(&system, &code);
    assert_eq!(outcome, Outcome::Halted);
    assert_eq!(recorder.events, [PortWrite(0x90, dword(0x7000)), PortWrite(0x90, dword(1))]);
}

#[test]
fn reset_starts_in_a_rom_below_four_gigabytes_that_cannot_be_written() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let reset_vector = [
        0xb0, 0x42, // mov al, 0x42
        0xe6, 0x80, // out 0x80, al
        0xb8, 0x00, 0xf0, // mov ax, 0xf000
        0x8e, 0xd8, // mov ds, ax
        0xa2, 0x00, 0x00, // mov [0], al: the copy of the ROM at 0xf0000
        0xf4, // hlt
    ];
    let vm = system.create_vm().unwrap();
    let top = GuestAddress(0xffff_0000);
    let rom = Arc::new(GuestMemoryMmap::from_ranges(&[(top, 0x10000)]).unwrap());
    rom.write_slice(&reset_vector, GuestAddress(0xffff_fff0)).unwrap();
    vm.map_all(&rom, |_| Access::ReadOnly).unwrap();
    let low = Window {
        guest: GuestAddress(0xf0000),
        source: top,
        size: 0x10000,
        access: Access::ReadOnly,
    };
    vm.map(&rom, low).unwrap();
    let vcpu = boot_vcpu(&system, &vm, Chip::None, Entry::Reset);
    assert_eq!(vcpu.dump().unwrap().instruction_address, 0xffff_fff0);
    assert!(vcpu.dump().unwrap().instruction.as_slice().starts_with(&reset_vector[..10]));
    let (_, recorder, outcome) = run_to_end(vcpu, Recorder::default(), None);
    assert_eq!(outcome, Outcome::Halted);
    assert_eq!(recorder.events, [PortWrite(0x80, vec![0x42]), MemoryWrite(0xf0000, vec![0x00])]);
    assert_eq!(rom.read_obj::<u8>(top).unwrap(), 0);
}
