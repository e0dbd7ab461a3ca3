//! The interrupt chips of a machine: where the user says that they are, which objects stand for
//! them, and what those show of them.

use std::{
    ffi::OsString,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use device_model::{
    device::Device,
    interrupt::InterruptController,
    qom_core::{Obj, Registry},
};
use guests::iced_x86::code_asm::{al, dword_ptr};
use machine_tests::has_kvm;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use vmm::{
    accelerator::Accelerator, cpu::Cpu, machine::Machine, options::command_line::CommandLine,
    session::Vm,
};

/// How long a guest of a few instructions may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Mask of the first 8259 (Intel 8259A, OCW1).
const PIC_MASK: (i32, u8) = (0x21, 0xa5);
/// Control word of the 8254 (Intel 8254): channel 0, both bytes of the count, rate generator; the
/// channel's count.
const PIT: [(i32, u8); 3] = [(0x43, 0x34), (0x40, 0x34), (0x40, 0x12)];
/// Index and data registers of the I/O APIC (Intel 82093AA, section 3.2), and its entry for pin 4:
/// masked, vector 0x31.
const IOAPIC: (u32, u32) = (0xfec0_0000, 0xfec0_0010);
const PIN_4: (u32, u32) = (0x10 + 2 * 4, 0x1_0031);
/// Spurious-interrupt vector of a local APIC (Intel SDM volume 3, section 11.9), which also switches
/// it on.
const SPURIOUS: (u32, u32) = (0xfee0_00f0, 0x1fe);
/// Command port of the keyboard controller, and its command to pulse the reset line.
const RESET: (i32, u8) = (0x64, 0xfe);

/// A machine with its guest, which programs each chip and then asks for a reset.
struct Board {
    vm: Vm,
    _kernel: NamedTempFile,
}

/// The machine with those options; none where there is no KVM.
fn board(options: &str) -> Option<Board> {
    if !has_kvm() {
        return None;
    }
    let mut kernel = NamedTempFile::new().expect("there is room");
    kernel.write_all(&guest()).expect("there is room");
    let mut words = vec!["-m", "4M", "-serial", "null", "-machine", options, "-kernel"];
    words.push(kernel.path().to_str().expect("it is text"));
    let line =
        CommandLine::parse(words.into_iter().map(OsString::from)).expect("these are options");
    let registry = Registry::global().expect("the types are in order");
    let vm = Vm::create(registry, &line).unwrap_or_else(|error| panic!("{options}: {error}"));
    Some(Board { vm, _kernel: kernel })
}

fn guest() -> Vec<u8> {
    let image = guests::assemble(|code| {
        for (port, value) in [&[PIC_MASK][..], &PIT, &[RESET]].concat() {
            if (port, value) == RESET {
                code.mov(dword_ptr(IOAPIC.0), PIN_4.0)?;
                code.mov(dword_ptr(IOAPIC.1), PIN_4.1)?;
                code.mov(dword_ptr(SPURIOUS.0), SPURIOUS.1)?;
            }
            code.mov(al, i32::from(value))?;
            code.out(port, al)?;
        }
        let mut end = code.create_label();
        code.set_label(&mut end)?;
        code.jmp(end)?;
        Ok(())
    });
    image.expect("it can be assembled")
}

impl Board {
    fn object(&self, path: &str) -> Obj {
        self.vm.tree().resolve(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A property of an interrupt chip.
    fn shows(&self, chip: &str, property: &str) -> Value {
        let object = self.object(&format!("/machine/unattached/{chip}"));
        object.get(property).unwrap_or_else(|| panic!("{chip} has no {property}"))
    }

    /// Name and type of each interrupt chip and timer.
    fn chips(&self) -> Vec<(String, &'static str)> {
        const TYPES: [&str; 6] =
            ["ioapic", "kvm-apic", "kvm-i8259", "kvm-ioapic", "kvm-pit", "kvmclock"];
        let of_object = |object: Obj| {
            let path = object.path()?;
            let name = path.strip_prefix("/machine/unattached/")?.to_owned();
            let type_name = object.class().name();
            TYPES.contains(&type_name).then_some((name, type_name))
        };
        let mut chips: Vec<_> = self.vm.tree().walk().into_iter().filter_map(of_object).collect();
        chips.sort();
        chips
    }

    /// Runs the guest until it has programmed the chips.
    fn run(&self) {
        let platform = self.vm.platform();
        let machine = self.object("/machine");
        let board = machine.cast::<dyn Machine>().expect("it is one");
        let entry = board.boot(&machine, platform).expect("it can be booted");
        let processor = self.object("/machine/unattached/cpu[0]");
        let cpu = processor.cast::<dyn Cpu>().expect("it is one");
        let reset = cpu.slot().ask(0, move |vcpu| vcpu.reset(entry.as_ref()));
        reset.expect("it is at rest").expect("it can be reset");
        let ended = Arc::new(|_, end| panic!("the guest ended: {end:?}"));
        cpu.slot().start(&processor, platform, ended).expect("the host has a thread");
        let deadline = Instant::now() + PATIENCE;
        while platform.requests().take().is_empty() {
            assert!(Instant::now() < deadline, "the guest does not come to its end");
            std::thread::sleep(Duration::from_millis(1));
        }
        cpu.slot().stop(0).expect("it comes out of the guest");
    }

    fn set_level(&self, pin: u32, level: bool) {
        let controller = self.vm.platform().interrupts().expect("the machine has one");
        let controller = controller.cast::<dyn InterruptController>().expect("it is one");
        controller.set_level(pin, level);
    }

    fn reset(&self) {
        for object in self.vm.tree().walk() {
            if let Some(device) = object.cast::<dyn Device>() {
                device.reset();
            }
        }
    }
}

#[test]
fn an_object_stands_for_each_chip_that_there_is() {
    let lapic = ("cpu[0]/lapic", "kvm-apic");
    let clock = ("kvmclock", "kvmclock");
    let split = vec![lapic, ("ioapic", "ioapic"), clock];
    let on = vec![lapic, ("i8259", "kvm-i8259"), ("ioapic", "kvm-ioapic"), clock];
    let mut with_pit = on.clone();
    with_pit.push(("pit", "kvm-pit"));
    for (options, expected) in [
        ("microvm", &split),
        ("kernel-irqchip=split", &split),
        ("kernel-irqchip=split,pic=off", &split),
        ("kernel-irqchip=on", &on),
        ("kernel-irqchip=on,pic=auto", &on),
        ("kernel-irqchip=on,pic=on", &on),
        ("kernel-irqchip=on,pit=on", &with_pit),
        ("kernel-irqchip=on,pic=on,pit=on", &with_pit),
    ] {
        let Some(board) = board(options) else { return };
        let chips = board.chips();
        let chips: Vec<_> = chips.iter().map(|(name, type_name)| (&**name, *type_name)).collect();
        assert_eq!(&chips, expected, "{options}");
    }
}

#[test]
fn a_raised_line_shows_in_both_interrupt_controllers_until_it_is_lowered() {
    let Some(board) = board("kernel-irqchip=on") else { return };
    let requests = |board: &Board| {
        let chips = board.shows("i8259", "chips");
        (board.shows("ioapic", "irr"), chips[0]["irr"].clone(), chips[1]["irr"].clone())
    };
    // Pin 2 has the second 8259 behind the first, whose inputs are 8 and up.
    let none = (json!(0), json!(0), json!(0));
    assert_eq!(requests(&board), none);
    board.set_level(5, true);
    assert_eq!(requests(&board), (json!(1 << 5), json!(1 << 5), json!(0)));
    board.set_level(12, true);
    let (ioapic, _, second) = requests(&board);
    assert_eq!((ioapic, second), (json!(1 << 5 | 1 << 12), json!(1 << 4)));
    board.set_level(5, false);
    board.set_level(12, false);
    assert_eq!(board.shows("ioapic", "irr"), json!(0));
}

#[test]
fn the_chips_of_the_kernel_show_what_a_guest_programmed_until_a_reset() {
    let Some(board) = board("kernel-irqchip=on,pit=on") else { return };
    let shown = |board: &Board| {
        let pin = board.shows("ioapic", "redirections")[4].as_u64().expect("a number a pin");
        let mask = board.shows("i8259", "chips")[0]["imr"].clone();
        let timer = board.shows("pit", "channels")[0].clone();
        (pin & 0x1_00ff, mask, timer["mode"].clone(), timer["count"].clone())
    };
    let at_power_on = shown(&board);
    assert_eq!((at_power_on.0 >> 16, &at_power_on.1), (1, &json!(0)));
    board.run();
    let programmed = (u64::from(PIN_4.1), json!(PIC_MASK.1), json!(2), json!(0x1234));
    assert_eq!(shown(&board), programmed);
    let local = |board: &Board| board.shows("cpu[0]/lapic", "registers")["spurious"].clone();
    assert_eq!(local(&board), json!(SPURIOUS.1));
    board.reset();
    assert_eq!(shown(&board), at_power_on);
}

#[test]
fn the_clock_of_the_kernel_goes_on() {
    let Some(board) = board("kernel-irqchip=split") else { return };
    let clock = || board.shows("kvmclock", "clock").as_u64().expect("nanoseconds");
    let first = clock();
    std::thread::sleep(Duration::from_millis(10));
    let passed = clock() - first;
    assert!((10_000_000..PATIENCE.as_nanos().try_into().expect("it fits")).contains(&passed));
}

#[test]
fn what_can_not_be_read_is_null() {
    let Some(board) = board("kernel-irqchip=on,pit=on") else { return };
    let accelerator = board.object("/accel").cast::<dyn Accelerator>().expect("it is one");
    accelerator.close();
    for (chip, property) in [
        ("kvmclock", "clock"),
        ("ioapic", "irr"),
        ("ioapic", "redirections"),
        ("i8259", "chips"),
        ("pit", "channels"),
    ] {
        assert_eq!(board.shows(chip, property), Value::Null, "{chip}.{property}");
    }
}
