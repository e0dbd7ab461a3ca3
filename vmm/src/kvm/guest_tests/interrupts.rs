//! Interrupts reach a guest's handler in long mode, by every way the VMM can send them.

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::kvm::{EventAddress, EventMatch, Route, RouteTarget, lapic_offset};

/// The vector that the guest below handles.
const VECTOR: u8 = 0x41;
/// The local APIC of APIC id 0, physical destination (Intel SDM volume 3, section 11.11.1).
const MSI_ADDRESS: u64 = 0xfee0_0000;
/// Bit 15 of an MSI's data: level-triggered, and bit 14: asserted.
const MSI_LEVEL: u32 = 0b11 << 14;

/// Guest that asks for an interrupt at port 0x10, answers it at port 0x11, and says so at 0x12.
const GUEST: [u8; 0x46] = [
    0xbc, 0x00, 0x80, 0x00, 0x00, // mov esp, 0x8000
    0x0f, 0x01, 0x1c, 0x25, 0x00, 0x30, 0x00, 0x00, // lidt [0x3000]
    0xbb, 0x00, 0x00, 0xe0, 0xfe, // mov ebx, 0xfee00000
    0xc7, 0x83, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00,
    0x00, // mov dword [rbx+0xf0], 0x1ff: switch the local APIC on
    0xfb, // sti
    0xe6, 0x10, // out 0x10, al
    // wait:
    0x80, 0x3c, 0x25, 0x00, 0x20, 0x00, 0x00, 0x00, // cmp byte [0x2000], 0
    0x74, 0xf6, // je wait
    0xe6, 0x12, // out 0x12, al
    0xeb, 0xfe, // jmp to itself
    // handler, at HANDLER:
    0x50, // push rax
    0xb0, 0x55, // mov al, 0x55
    0xe6, 0x11, // out 0x11, al
    0xfe, 0x04, 0x25, 0x00, 0x20, 0x00, 0x00, // inc byte [0x2000]
    0xc7, 0x83, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, // mov dword [rbx+0xb0], 0: end of interrupt
    0x58, // pop rax
    0x48, 0xcf, // iretq
];
const HANDLER: u64 = CODE + 0x2d;

/// Routes pin 20 of the kernel's I/O APIC, which the PICs don't have, to the vector,
/// level-triggered, then goes to the guest.
const IOAPIC_SETUP: [u8; 23] = [
    0xb9, 0x00, 0x00, 0xc0, 0xfe, // mov ecx, 0xfec00000
    0xc7, 0x01, 0x38, 0x00, 0x00, 0x00, // mov dword [rcx], 0x38: select pin 20, low half
    0xc7, 0x41, 0x10, 0x41, 0x80, 0x00, 0x00, // mov dword [rcx+0x10], 0x8041
    0xe9, 0xe9, 0xfe, 0xff, 0xff, // jmp CODE
];
const IOAPIC_SETUP_OFFSET: u64 = 0x100;

/// Writes an interrupt descriptor table with the handler and the pointer to it at 0x3000.
fn write_idt(memory: &GuestMemoryMmap) {
    const IDT: u64 = 0x4000;
    const CODE_SELECTOR: u64 = 0x10;
    // Present 64-bit interrupt gate (Intel SDM volume 3, section 7.14.1).
    const GATE: u64 = 0x8e << 40;
    let gate = (HANDLER & 0xffff) | CODE_SELECTOR << 16 | GATE;
    memory.write_obj(gate, GuestAddress(IDT + u64::from(VECTOR) * 16)).unwrap();
    memory.write_obj(0xfff_u16, GuestAddress(0x3000)).unwrap();
    memory.write_obj(IDT, GuestAddress(0x3002)).unwrap();
}

/// Runs the guest with `send` as what its request at port 0x10 does, and gives its accesses.
fn run_guest(
    system: &System,
    chip: Chip,
    send: impl Fn(&Vm) + Send + 'static,
    prepare: impl FnOnce(&Vm),
) -> Vec<Event> {
    let (vm, memory) = vm_with_code(system, chip, &GUEST);
    write_idt(&memory);
    prepare(&vm);
    let vcpu = boot_vcpu(system, &vm, chip, long_mode(&memory, 0));
    let sender = Arc::clone(&vm);
    let react: Reaction = Box::new(move |event| {
        if matches!(event, PortWrite(0x10, _)) {
            send(&sender);
        }
    });
    let recorder = Recorder { react: Some(react), ..Default::default() };
    // The guest's `al` is 0 when it says that it is done.
    let (_, recorder, _) = run_to_end(vcpu, recorder, Some(PortWrite(0x12, vec![0])));
    recorder.events
}

/// What the guest does when one edge arrives.
fn one_interrupt() -> [Event; 3] {
    [PortWrite(0x10, vec![0]), PortWrite(0x11, vec![0x55]), PortWrite(0x12, vec![0])]
}

#[test]
fn a_message_reaches_the_handler_with_either_chip() {
    let Some(system) = system_or_skip() else {
        return;
    };
    for chip in [Chip::Split, Chip::Full] {
        let send = |vm: &Vm| assert!(vm.signal_msi(MSI_ADDRESS, u32::from(VECTOR)).unwrap());
        assert_eq!(run_guest(&system, chip, send, |_| {}), one_interrupt());
    }
}

#[test]
fn a_message_to_no_apic_is_not_delivered_and_one_without_a_chip_is_an_error() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::Split, &[]);
    let _vcpu = boot_vcpu(&system, &vm, Chip::Split, FLAT32);
    let apic_77 = MSI_ADDRESS | 77 << 12;
    assert!(!vm.signal_msi(apic_77, u32::from(VECTOR)).unwrap());
    let (bare, _memory) = vm_with_code(&system, Chip::None, &[]);
    assert!(bare.signal_msi(MSI_ADDRESS, u32::from(VECTOR)).is_err());
    assert!(bare.set_irq_line(4, true).is_err());
}

#[test]
fn a_level_triggered_pin_of_the_split_chip_reports_its_end_of_interrupt() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let pin = 10;
    let data = u32::from(VECTOR) | MSI_LEVEL;
    let send = move |vm: &Vm| vm.set_irq_line(pin, true).unwrap();
    let events = run_guest(&system, Chip::Split, send, |vm| {
        let target = RouteTarget::Msi { address: MSI_ADDRESS, data };
        vm.set_routes(&[Route { gsi: pin, target }]).unwrap();
    });
    let [asked, answered, done] = one_interrupt();
    assert_eq!(events, [asked, answered, Eoi(VECTOR), done]);
}

#[test]
fn an_edge_triggered_pin_of_the_split_chip_reports_no_end_of_interrupt() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let send = |vm: &Vm| vm.set_irq_line(10, true).unwrap();
    let events = run_guest(&system, Chip::Split, send, |vm| {
        let target = RouteTarget::Msi { address: MSI_ADDRESS, data: VECTOR.into() };
        vm.set_routes(&[Route { gsi: 10, target }]).unwrap();
    });
    assert_eq!(events, one_interrupt());
}

#[test]
fn an_irqfd_reaches_the_handler() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let event = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    let sender = Arc::clone(&event);
    let send = move |_: &Vm| sender.write(1).unwrap();
    let events = run_guest(&system, Chip::Split, send, |vm| {
        let target = RouteTarget::Msi { address: MSI_ADDRESS, data: VECTOR.into() };
        vm.set_routes(&[Route { gsi: 30, target }]).unwrap();
        vm.register_irqfd(&event, 30).unwrap();
        assert!(vm.register_irqfd(&event, 30).is_err(), "in use");
    });
    assert_eq!(events, one_interrupt());
}

#[test]
fn a_level_irqfd_interrupts_once_and_reports_the_end_once() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, memory) = vm_with_code(&system, Chip::Full, &GUEST);
    memory.write_slice(&IOAPIC_SETUP, GuestAddress(CODE + IOAPIC_SETUP_OFFSET)).unwrap();
    write_idt(&memory);
    let event = EventFd::new(EFD_NONBLOCK).unwrap();
    let resample = EventFd::new(EFD_NONBLOCK).unwrap();
    vm.register_level_irqfd(&event, &resample, 20).unwrap();
    assert!(resample.read().is_err(), "nothing has ended yet");
    let entry = long_mode(&memory, IOAPIC_SETUP_OFFSET);
    let vcpu = boot_vcpu(&system, &vm, Chip::Full, entry);
    let sender = event.try_clone().unwrap();
    let react: Reaction = Box::new(move |event| {
        if matches!(event, PortWrite(0x10, _)) {
            sender.write(1).unwrap();
        }
    });
    let recorder = Recorder { react: Some(react), ..Default::default() };
    let (_, recorder, _) = run_to_end(vcpu, recorder, Some(PortWrite(0x12, vec![0])));
    assert_eq!(recorder.events, one_interrupt());
    assert_eq!(resample.read().unwrap(), 1);
    assert_eq!(vm.ioapic_state().unwrap().redirection[20] & 0x1_80ff, 0x8041);
    vm.unregister_irqfd(&event, 20).unwrap();
}

#[test]
fn a_registered_write_signals_its_event_and_does_not_exit() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let code = [
        0xb0, 0x07, // mov al, 7
        0xe6, 0x10, // out 0x10, al: any value
        0xe6, 0x11, // out 0x11, al: 7, as asked for
        0xb0, 0x08, // mov al, 8
        0xe6, 0x11, // out 0x11, al: another value
        0xa3, 0x00, 0x00, 0x00, 0xd0, // mov [0xd0000000], eax
        0xf4, // hlt
    ];
    let (vm, _memory) = vm_with_code(&system, Chip::None, &code);
    let event = |address, value| {
        let event = EventFd::new(EFD_NONBLOCK).unwrap();
        vm.register_ioevent(&event, address, value).unwrap();
        event
    };
    let any = event(EventAddress::Port(0x10), EventMatch::Any);
    let seven = event(EventAddress::Port(0x11), EventMatch::Byte(7));
    let memory = event(EventAddress::Memory(0xd000_0000), EventMatch::Dword(8));
    assert!(
        vm.register_ioevent(&any, EventAddress::Port(0x10), EventMatch::Any).is_err(),
        "registered twice"
    );
    let vcpu = boot_vcpu(&system, &vm, Chip::None, FLAT32);
    let (vcpu, recorder, outcome) = run_to_end(vcpu, Recorder::default(), None);
    assert_eq!(outcome, Outcome::Halted);
    assert_eq!(recorder.events, [PortWrite(0x11, vec![8])]);
    for event in [&any, &seven, &memory] {
        assert_eq!(event.read().unwrap(), 1);
    }
    vm.unregister_ioevent(&any, EventAddress::Port(0x10), EventMatch::Any).unwrap();
    vcpu.enter(&FLAT32).unwrap();
    let (_, recorder, _) = run_to_end(vcpu, Recorder::default(), None);
    assert_eq!(recorder.events, [PortWrite(0x10, vec![7]), PortWrite(0x11, vec![8])]);
}

#[test]
fn the_kernels_chips_show_their_state_after_reset() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::Full, &[]);
    vm.create_pit().unwrap();
    let vcpu = boot_vcpu(&system, &vm, Chip::Full, FLAT32);
    let [master, slave] = vm.pic_states().unwrap();
    assert_eq!((master.isr, slave.isr), (0, 0));
    // The second PIC has other lines that can be level-triggered (ELCR, Intel 82371).
    assert_eq!((master.elcr_mask, slave.elcr_mask), (0xf8, 0xde));
    let ioapic = vm.ioapic_state().unwrap();
    assert_eq!(ioapic.base_address, 0xfec0_0000);
    let masked = 1 << 16;
    assert!(ioapic.redirection.iter().all(|entry| entry & masked != 0), "{ioapic:?}");
    assert_eq!(vm.pit_state().unwrap().channels.len(), 3);
    let lapic = vcpu.lapic_state().unwrap();
    assert_eq!(lapic.register(lapic_offset::LVT_LINT0), Some(0x700));
    assert_eq!(lapic.register(lapic_offset::LVT_LINT1), Some(0x400));
    assert_eq!(lapic.register(lapic_offset::ID), Some(0));
}

#[test]
fn a_raised_line_shows_in_the_kernels_ioapic_and_pic() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::Full, &[]);
    vm.set_irq_line(5, true).unwrap();
    assert_eq!(vm.pic_states().unwrap()[0].irr & 1 << 5, 1 << 5);
    vm.set_irq_line(5, false).unwrap();
    let moved = [
        Route { gsi: 5, target: RouteTarget::PicSlave(1) },
        Route { gsi: 6, target: RouteTarget::Ioapic(7) },
        Route { gsi: 7, target: RouteTarget::PicMaster(2) },
    ];
    vm.set_routes(&moved).unwrap();
    vm.set_irq_line(5, true).unwrap();
    assert_eq!(vm.pic_states().unwrap()[1].irr & 1 << 1, 1 << 1);
    let beyond = Route { gsi: 5, target: RouteTarget::PicMaster(99) };
    assert!(vm.set_routes(&[beyond]).is_err());
}

#[test]
fn states_of_chips_that_are_not_there_are_errors() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::None, &[]);
    let vcpu = boot_vcpu(&system, &vm, Chip::None, FLAT32);
    assert!(vm.pic_states().is_err());
    assert!(vm.ioapic_state().is_err());
    assert!(vm.pit_state().is_err());
    assert!(vm.create_pit().is_err());
    assert!(vcpu.lapic_state().is_err());
    assert!(vm.create_irqchip().is_err(), "after a vCPU");
    let (split, _memory) = vm_with_code(&system, Chip::Split, &[]);
    assert!(split.create_split_irqchip().is_err(), "twice");
    assert!(split.pic_states().is_err());
}

#[test]
fn the_clock_goes_on_from_where_it_is_set() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let (vm, _memory) = vm_with_code(&system, Chip::Split, &[]);
    let hour = 3_600_000_000_000;
    vm.set_clock(hour).unwrap();
    let now = vm.clock().unwrap().clock;
    assert!((hour..hour + hour / 10).contains(&now), "{now}");
}
