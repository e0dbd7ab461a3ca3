//! Devices that are driven by the qtest protocol, with no guest and no KVM.

use std::{thread, time::Duration};

use serde_json::json;
use tests::{
    Scratch, Vmm,
    qmp::Qmp,
    qtest::{PERMITTED, Qtest},
};

const IOAPIC: &str = "/machine/unattached/ioapic";
const SERIAL: &str = "/machine/unattached/serial0";

/// Reads a register of the real-time clock.
fn clock(machine: &mut Qtest, register: u8) -> u64 {
    machine.ok(&format!("outb 0x70 {register}"));
    machine.number("inb 0x71")
}

/// Writes a register of the real-time clock.
fn set_clock(machine: &mut Qtest, register: u8, value: u8) {
    machine.ok(&format!("outb 0x70 {register}"));
    machine.ok(&format!("outb 0x71 {value}"));
}

/// Reads a register of the I/O APIC.
fn ioapic(machine: &mut Qtest, index: u8) -> u64 {
    machine.ok(&format!("writel 0xfec00000 {index}"));
    machine.number("readl 0xfec00010")
}

/// Writes a register of the I/O APIC.
fn set_ioapic(machine: &mut Qtest, index: u8, value: u32) {
    machine.ok(&format!("writel 0xfec00000 {index}"));
    machine.ok(&format!("writel 0xfec00010 {value:#x}"));
}

#[test]
fn it_needs_neither_kvm_nor_a_kernel_and_runs_no_processor() {
    let mut machine = Qtest::start("-smp 4 -m 16M");
    assert_eq!(machine.ok("endianness"), "little");
    assert!(!machine.running.has_open("/dev/kvm"));
    let threads = machine.running.threads();
    assert!(threads.iter().any(|name| name == "qtest"), "{threads:?}");
    assert!(!threads.iter().any(|name| name.starts_with("vcpu")), "{threads:?}");
}

#[test]
fn the_serial_port_sends_what_is_written_to_it() {
    let mut machine = Qtest::start("-serial stdio");
    for byte in b"hello" {
        machine.ok(&format!("outb 0x3f8 {byte}"));
    }
    machine.running.wait_for("hello");
    // Line status: the transmitter is empty.
    assert_eq!(machine.ok("inb 0x3fd"), "0x0060");
}

#[test]
fn the_serial_port_s_interrupt_comes_with_input_and_goes_when_that_is_read() {
    let mut machine = Qtest::start("-serial stdio");
    machine.ok(&format!("irq_intercept_in {IOAPIC}"));
    // Interrupt enable: received data are available.
    machine.ok("outb 0x3f9 1");
    machine.running.give(b"x".to_vec());
    assert_eq!(machine.wait_for_interrupt(), "raise 4");
    // Interrupt identification: received data are available.
    assert_eq!(machine.number("inb 0x3fa") & 0xf, 4);
    assert_eq!(machine.number("inb 0x3f8"), u64::from(b'x'));
    assert_eq!(machine.interrupts(), ["lower 4"]);
}

#[test]
fn a_device_s_own_lines_are_numbered_from_0() {
    let mut machine = Qtest::start("-serial null");
    machine.ok(&format!("irq_intercept_out {SERIAL}"));
    machine.ok(&format!("irq_intercept_out {SERIAL}"));
    // Interrupt enable: the transmitter is empty.
    machine.ok("outb 0x3f9 2");
    assert_eq!(machine.interrupts(), ["raise 0"]);
    machine.ok("outb 0x3f9 0");
    assert_eq!(machine.interrupts(), ["lower 0"]);
    // Lines of other devices are none of its business.
    set_clock(&mut machine, 0xb, 0x42);
    machine.ok("clock_step");
    assert_eq!(machine.interrupts(), [""; 0]);
}

#[test]
fn the_clock_s_time_goes_by_in_steps_alone() {
    let mut machine = Qtest::start("-global mc146818rtc.base=2006-06-17T16:01:21");
    assert_eq!(clock(&mut machine, 0), 0x21);
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(clock(&mut machine, 0), 0x21);
    assert_eq!(machine.ok("clock_step 999999999"), "999999999");
    assert_eq!(clock(&mut machine, 0), 0x21);
    assert_eq!(machine.ok("clock_step 1"), "1000000000");
    assert_eq!(clock(&mut machine, 0), 0x22);
    // 23:59:59 and two seconds.
    assert_eq!(machine.ok("clock_set 28718000000000"), "28718000000000");
    assert_eq!([4, 2, 0].map(|register| clock(&mut machine, register)), [0x23, 0x59, 0x59]);
    assert_eq!(machine.ok("clock_step 2000000000"), "28720000000000");
    let date = [9, 8, 7, 4, 2, 0].map(|register| clock(&mut machine, register));
    assert_eq!(date, [0x06, 0x06, 0x18, 0, 0, 0x01]);
    assert_eq!(machine.ok("clock_set 5"), "28720000000000", "it never goes back");
}

#[test]
fn the_clock_s_periodic_interrupt_comes_as_time_is_stepped_to_it() {
    let mut machine = Qtest::start("");
    machine.ok(&format!("irq_intercept_in {IOAPIC}"));
    assert_eq!(machine.fails("clock_step"), "no timer is set, which the clock could be stepped to");
    // 1024 Hz, every 976,562.5 ns; in 24 hours, with the periodic interrupt.
    set_clock(&mut machine, 0xb, 0x42);
    for period in 1..=4_u64 {
        let due = (period * 1_953_125).div_ceil(2);
        assert_eq!(machine.interrupts(), [""; 0]);
        assert_eq!(machine.number("clock_step"), due);
        assert_eq!(machine.interrupts(), ["raise 8"]);
        // Nothing is due until it has been seen.
        machine.fails("clock_step");
        assert_eq!(clock(&mut machine, 0xc) & 0xf0, 0xc0);
        assert_eq!(machine.interrupts(), ["lower 8"]);
    }
}

#[test]
fn the_ioapic_has_its_registers_and_takes_interrupts_from_the_client() {
    let mut machine = Qtest::start("");
    assert_eq!(ioapic(&mut machine, 1), 0x0017_0020, "24 pins, version 0x20");
    machine.ok(&format!("irq_intercept_in {IOAPIC}"));
    // Pin 5: level-triggered, unmasked, vector 0x41, to processor 0.
    set_ioapic(&mut machine, 0x1a, 0x8041);
    assert_eq!(ioapic(&mut machine, 0x1a), 0x8041);
    machine.ok(&format!("set_irq_in {IOAPIC} unnamed-gpio-in 5 1"));
    assert_eq!(machine.interrupts(), ["raise 5"]);
    assert_eq!(ioapic(&mut machine, 0x1a), 0xc041, "its interrupt is being handled");
    machine.ok(&format!("set_irq_in {IOAPIC} unnamed-gpio-in 5 1"));
    assert_eq!(machine.interrupts(), [""; 0], "it is high already");
    machine.ok("set_irq_in ioapic unnamed-gpio-in 5 0");
    assert_eq!(machine.interrupts(), ["lower 5"]);
    // The end of the interrupt, at the register for it.
    machine.ok("writel 0xfec00040 0x41");
    assert_eq!(ioapic(&mut machine, 0x1a), 0x8041);
    assert_eq!(
        machine.fails(&format!("set_irq_in {IOAPIC} unnamed-gpio-in 24 1")),
        "there is no input 24: 'ioapic' has 0 to 23"
    );
}

#[test]
fn messages_that_no_processor_takes_are_seen_by_a_monitor_as_processors_are() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("qmp");
    let vmm = Vmm::line("-accel qtest -nodefaults -smp 2").and(PERMITTED);
    let mut machine = Qtest::of(vmm.monitor(&socket), scratch);
    let mut monitor = Qmp::connect(&socket);
    assert_eq!(monitor.property("/accel", "message-count"), json!(0));
    // Pin 6: edge-triggered, unmasked, vector 0x51; to processor 1.
    set_ioapic(&mut machine, 0x1d, 1 << 24);
    set_ioapic(&mut machine, 0x1c, 0x51);
    machine.ok("set_irq_in ioapic unnamed-gpio-in 6 1");
    assert_eq!(monitor.property("/accel", "message-count"), json!(1));
    let message = json!([{ "address": 0xfee0_1000_u32, "data": 0x51 }]);
    assert_eq!(monitor.property("/accel", "messages"), message);
    machine.ok("clock_step 12");
    assert_eq!(monitor.property("/accel", "time"), json!(12));
    let processors = monitor.execute("query-cpus-fast", json!({}));
    let paths: Vec<_> = processors
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|processor| &processor["qom-path"])
        .collect();
    assert_eq!(paths, ["/machine/unattached/cpu[0]", "/machine/unattached/cpu[1]"]);
    monitor.execute("system_reset", json!({}));
    // The machine starts over, and the pin is masked again.
    assert_eq!(ioapic(&mut machine, 0x1c), 0x1_0000);
}

#[test]
fn only_lines_that_there_are_are_intercepted_and_at_one_place() {
    let mut machine = Qtest::start("-serial null");
    for (line, why) in [
        (
            "irq_intercept_in /machine",
            "no interrupt lines lead to an object of type 'microvm-machine'",
        ),
        (
            "set_irq_in /machine/unattached/rtc unnamed-gpio-in 0 1",
            "no interrupt lines lead to an object of type 'mc146818rtc'",
        ),
        (
            "irq_intercept_out /machine/unattached/i8042",
            "the object of type 'i8042' has no interrupt lines",
        ),
        ("irq_intercept_in /machine/nothing", "Device '/machine/nothing' not found"),
    ] {
        assert_eq!(machine.fails(line), why);
    }
    machine.ok("irq_intercept_in ioapic");
    machine.ok("irq_intercept_in ioapic");
    let why = "interrupts are intercepted elsewhere already";
    assert_eq!(machine.fails(&format!("irq_intercept_out {SERIAL}")), why);
}

#[test]
fn the_keyboard_controller_resets_the_machine() {
    Qtest::start("-no-reboot").last("outb 0x64 0xfe").code(0);
    let mut machine = Qtest::start("-serial null");
    // A register that a reset clears.
    machine.ok("outb 0x3f9 2");
    machine.ok("outb 0x64 0xfe");
    for _ in 0..1000 {
        if machine.number("inb 0x3f9") == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("the machine was not reset");
}

#[test]
fn the_debug_exit_device_ends_the_monitor() {
    let accepted = "-compat insecure-types=accept";
    let machine = Qtest::under(accepted, "-device isa-debug-exit");
    machine.last("outb 0x501 3").code(7);
    // The policy that permits the protocol does not permit that device.
    let refused = Vmm::line("-accel qtest -device isa-debug-exit").and(PERMITTED).run();
    refused
        .code(1)
        .complains("-device isa-debug-exit: Type 'isa-debug-exit' is declared as insecure");
}

#[test]
fn pvpanic_tells_what_it_takes_and_a_panic_ends_the_monitor() {
    let mut machine = Qtest::start("-device pvpanic");
    assert_eq!(machine.ok("inb 0x505"), "0x0007");
    machine.ok("outb 0x505 2");
    machine.running.wait_for_error("the guest's kernel has crashed and runs its crash kernel");
    machine.last("outb 0x505 1").code(4).complains("the guest's kernel has panicked");
}

#[test]
fn the_sleep_register_switches_the_machine_off() {
    // Sleep type 5 and the bit that enables it.
    Qtest::start("").last("writeb 0xfea00000 0x34").code(0);
}

#[test]
fn memory_is_read_as_it_was_written_by_every_command() {
    let mut machine = Qtest::start("-m 16M");
    machine.ok("writeq 0x1000 0x1122334455667788");
    for (line, value) in [
        ("readb 0x1000", "0x0000000000000088"),
        ("readw 0x1001", "0x0000000000006677"),
        ("readl 0x1004", "0x0000000011223344"),
        ("readq 4096", "0x1122334455667788"),
        ("read 0x1000 8", "0x8877665544332211"),
        ("b64read 0x1000 3", "iHdm"),
    ] {
        assert_eq!(machine.ok(line), value, "{line}");
    }
    machine.ok("write 0x1001 2 0xbeef");
    machine.ok("b64write 0x1003 1 AA==");
    machine.ok("memset 0x1004 3 0x5a");
    machine.ok("writeb 0x1000 1");
    machine.ok("writew 0x1008 0x0203");
    machine.ok("writel 0x100a 0x04050607");
    assert_eq!(machine.ok("read 0x1000 14"), "0x01beef005a5a5a11030207060504");
    machine.ok("memset 0 0x1000000 0x33");
    assert_eq!(machine.ok("readq 0xfffff8"), "0x3333333333333333");
    let data = machine.ok("read 0 0x100000");
    assert_eq!(data, format!("0x{}", "33".repeat(1 << 20)));
}

#[test]
fn an_access_goes_to_memory_up_to_its_end_and_to_the_bus_beyond() {
    let mut machine = Qtest::start("-m 16M");
    machine.ok("memset 0xfffff8 16 0");
    assert_eq!(machine.ok("readq 0xfffffc"), "0xffffffff00000000");
    assert_eq!(machine.ok("read 0xfffffc 8"), "0x00000000ffffffff");
    assert_eq!(machine.ok("readl 0x1000000"), "0x00000000ffffffff");
    // Data for a device come to it as accesses that it can answer.
    machine.ok("write 0xfec00000 4 0x01000000");
    assert_eq!(machine.ok("read 0xfec00010 4"), "0x20001700");
    machine.ok("b64write 0xfec00000 4 AAAAAA==");
    assert_eq!(machine.ok("readl 0xfec00010"), "0x0000000000000000");
    assert_eq!(machine.ok("readb 0xffffffffffffffff"), "0x00000000000000ff");
}

#[test]
fn firmware_can_be_read_and_not_be_written_to() {
    let scratch = Scratch::new();
    let firmware = scratch.file("firmware", [0xa5; 64 << 10]);
    let vmm = Vmm::line("-accel qtest -nodefaults").and(PERMITTED);
    let mut machine = Qtest::of(vmm.args(["-bios".as_ref(), firmware.as_os_str()]), scratch);
    let before = machine.ok("readq 0xfffffff0");
    assert_eq!(before, "0xa5a5a5a5a5a5a5a5");
    machine.ok("writeq 0xfffffff0 0");
    machine.ok("memset 0xffff0000 0x10000 0");
    assert_eq!(machine.ok("readq 0xfffffff0"), before);
}

#[test]
fn a_machine_with_nothing_on_it_answers_too() {
    let vmm = Vmm::line("-accel qtest -machine none").and(PERMITTED);
    let mut machine = Qtest::of(vmm, Scratch::new());
    assert_eq!(machine.ok("readl 0x1000"), "0x00000000ffffffff");
    assert_eq!(machine.ok("inl 0x3f8"), "0xffffffff");
    assert_eq!(machine.ok("clock_step 7"), "7");
    machine.ok("memset 0xfffffffffffffff0 16 0");
}
