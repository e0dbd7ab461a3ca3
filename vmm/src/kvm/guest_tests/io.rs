//! Port and memory accesses reach the handler with the guest's size, order and data.

use vm_memory::{Bytes, GuestAddress};

use super::*;

#[test]
fn single_port_accesses() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0xb0, 0x41, // mov al, 'A'
        0xee, // out dx, al
        0xe4, 0x60, // in al, 0x60
        0xe6, 0x80, // out 0x80, al
        0xb8, 0x78, 0x56, 0x34, 0x12, // mov eax, 0x12345678
        0xe7, 0x90, // out 0x90, eax
        0xf4, // hlt
    ];
    let (_, _, recorder, outcome) = run_flat32(&system, &code);
    assert_eq!(outcome, Outcome::Halted);
    assert_eq!(
        recorder.events,
        [
            PortWrite(0x3f8, vec![b'A']),
            PortRead(0x60, 1),
            PortWrite(0x80, vec![1]),
            PortWrite(0x90, dword(0x1234_5678)),
        ]
    );
}

#[test]
fn string_port_accesses_reach_the_handler_one_by_one_in_their_size() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0xbe, 0x00, 0x10, 0x00, 0x00, // mov esi, 0x1000 (this code)
        0x66, 0xba, 0xf0, 0x01, // mov dx, 0x1f0
        0xb9, 0x03, 0x00, 0x00, 0x00, // mov ecx, 3
        0xfc, // cld
        0x66, 0xf3, 0x6f, // rep outsw
        0xbf, 0x00, 0x21, 0x00, 0x00, // mov edi, 0x2100
        0xb9, 0x03, 0x00, 0x00, 0x00, // mov ecx, 3
        0x66, 0xf3, 0x6d, // rep insw
        0xb9, 0x02, 0x00, 0x00, 0x00, // mov ecx, 2
        0xf3, 0x6c, // rep insb
        0xf4, // hlt
    ];
    let (_, memory, recorder, outcome) = run_flat32(&system, &code);
    assert_eq!(outcome, Outcome::Halted);
    assert_eq!(
        recorder.events,
        [
            PortWrite(0x1f0, vec![0xbe, 0x00]),
            PortWrite(0x1f0, vec![0x10, 0x00]),
            PortWrite(0x1f0, vec![0x00, 0x66]),
            PortRead(0x1f0, 2),
            PortRead(0x1f0, 2),
            PortRead(0x1f0, 2),
            PortRead(0x1f0, 1),
            PortRead(0x1f0, 1),
        ]
    );
    let mut stored = [0; 9];
    memory.read_slice(&mut stored, GuestAddress(0x2100)).unwrap();
    assert_eq!(stored, [1, 2, 3, 4, 5, 6, 7, 8, 0]);
}

#[test]
fn memory_accesses_outside_slots() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0xa1, 0x00, 0x00, 0x00, 0xd0, // mov eax, [0xd0000000]
        0xa3, 0x00, 0x20, 0x00, 0x00, // mov [0x2000], eax
        0x66, 0xa3, 0x10, 0x00, 0x00, 0xd0, // mov [0xd0000010], ax
        0xc6, 0x05, 0x21, 0x00, 0x00, 0xd0, 0x7f, // mov byte [0xd0000021], 0x7f
        0xf4, // hlt
    ];
    let (_, memory, recorder, outcome) = run_flat32(&system, &code);
    assert_eq!(outcome, Outcome::Halted);
    assert_eq!(
        recorder.events,
        [
            MemoryRead(0xd000_0000, 4),
            MemoryWrite(0xd000_0010, vec![1, 2]),
            MemoryWrite(0xd000_0021, vec![0x7f]),
        ]
    );
    assert_eq!(memory.read_obj::<u32>(GuestAddress(0x2000)).unwrap(), 0x0403_0201);
}

/// A device that claims nothing.
struct Absent;

impl ExitHandler for Absent {
    fn pio_read(&mut self, _: u16, _: &mut [u8]) {}
    fn pio_write(&mut self, _: u16, _: &[u8]) {}
    fn mmio_read(&mut self, _: u64, _: &mut [u8]) {}
    fn mmio_write(&mut self, _: u64, _: &[u8]) {}
    fn ioapic_eoi(&mut self, _: u8) {}
}

#[test]
fn a_read_that_nobody_answers_gives_ones_and_nothing_of_earlier_exits() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0xb8, 0x78, 0x56, 0x34, 0x12, // mov eax, 0x12345678
        0xe7, 0x90, // out 0x90, eax
        0xe5, 0x60, // in eax, 0x60
        0x89, 0xc3, // mov ebx, eax
        0xc7, 0x05, 0x10, 0x00, 0x00, 0xd0, 0x78, 0x56, 0x34,
        0x12, // mov dword [0xd0000010], 0x12345678
        0xa1, 0x00, 0x00, 0x00, 0xd0, // mov eax, [0xd0000000]
        0xf4, // hlt
    ];
    let (vm, _memory) = vm_with_code(&system, Chip::None, &code);
    let mut vcpu = boot_vcpu(&system, &vm, Chip::None, FLAT32);
    while vcpu.run(&mut Absent).unwrap() != Outcome::Halted {}
    let regs = vcpu.general_registers().unwrap();
    assert_eq!((regs.rbx, regs.rax), (0xffff_ffff, 0xffff_ffff));
}

#[test]
fn an_access_can_be_completed_without_running_on() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0xe4, 0x60, // in al, 0x60
        0x43, // inc ebx
        0xf4, // hlt
    ];
    let (vm, _memory) = vm_with_code(&system, Chip::None, &code);
    let mut vcpu = boot_vcpu(&system, &vm, Chip::None, FLAT32);
    let mut recorder = Recorder::default();
    assert_eq!(vcpu.run(&mut recorder).unwrap(), Outcome::Continue);
    assert_eq!(recorder.events, [PortRead(0x60, 1)]);
    assert_eq!(vcpu.complete_access(&mut recorder).unwrap(), Outcome::Interrupted);
    let regs = vcpu.general_registers().unwrap();
    assert_eq!((regs.rip, regs.rax, regs.rbx), (CODE + 2, 1, 0x7000));
    assert_eq!(vcpu.run(&mut recorder).unwrap(), Outcome::Halted);
    assert_eq!(vcpu.general_registers().unwrap().rbx, 0x7001);
    assert_eq!(recorder.events.len(), 1, "the access is made once");
}
