//! `palisade demo` shows what the project is about, and needs nothing but the program.

use tests::{Scratch, Vmm};

const CHECKS: [&str; 6] = [
    "clock has valid time",
    "keyboard controller has nothing to say",
    "pvpanic knows its three events",
    "debug console answers, and takes a line",
    "I/O APIC has 24 pins",
    "the clock interrupts the processor",
];

/// Path, type, boundary and crate of each object of the machine that the demo builds.
const OBJECTS: [(&str, &str, &str, &str); 28] = [
    ("/", "container", "none", "qom-core"),
    ("/accel", "kvm-accel", "guest", "vmm"),
    ("/chardevs", "container", "none", "qom-core"),
    ("/chardevs/log", "chardev-null", "client", "devices"),
    ("/chardevs/serial0", "chardev-stdio", "client", "devices"),
    ("/machine", "microvm-machine", "guest", "vmm"),
    ("/machine/kernel-loader", "elf-loader", "file", "vmm"),
    ("/machine/peripheral", "container", "none", "qom-core"),
    ("/machine/peripheral-anon", "container", "none", "qom-core"),
    ("/machine/peripheral/console", "isa-debugcon", "guest", "devices"),
    ("/machine/peripheral/panic", "pvpanic", "guest", "devices"),
    ("/machine/unattached", "container", "none", "qom-core"),
    ("/machine/unattached/cpu[0]", "host-x86_64-cpu", "guest", "vmm"),
    ("/machine/unattached/cpu[0]/lapic", "kvm-apic", "guest", "vmm"),
    ("/machine/unattached/ged", "acpi-ged", "guest", "devices"),
    ("/machine/unattached/i8042", "i8042", "guest", "devices"),
    ("/machine/unattached/ioapic", "ioapic", "guest", "devices"),
    ("/machine/unattached/kvmclock", "kvmclock", "guest", "vmm"),
    ("/machine/unattached/rtc", "mc146818rtc", "guest", "devices"),
    ("/machine/unattached/serial0", "isa-serial", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[0]", "virtio-mmio", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[1]", "virtio-mmio", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[2]", "virtio-mmio", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[3]", "virtio-mmio", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[4]", "virtio-mmio", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[5]", "virtio-mmio", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[6]", "virtio-mmio", "guest", "devices"),
    ("/machine/unattached/virtio-mmio[7]", "virtio-mmio", "guest", "devices"),
];

/// The lines of `text` from the one after `from` to the one before `to`, but empty ones.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let lines = text.lines().skip_while(|line| !line.starts_with(from)).skip(1);
    lines.take_while(|line| !line.starts_with(to)).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_demo_shows_objects_guest_and_refusal_and_ends_well_with_no_file_around() {
    let empty = Scratch::new();
    let finished = Vmm::line("demo").within(empty.path()).run().code(0).complains_only(&[]);
    let text = finished.stdout();

    let table = between(&text, "The objects", "The guest");
    let heading = ["object", "type", "security", "boundaries", "stated", "by"];
    assert_eq!(table[0].split_whitespace().collect::<Vec<_>>(), heading, "{finished}");
    let mut rows: Vec<Vec<_>> =
        table[1..].iter().map(|row| row.split_whitespace().collect()).collect();
    rows.sort();
    let version = env!("CARGO_PKG_VERSION");
    let expected: Vec<Vec<_>> = OBJECTS
        .iter()
        .map(|&(path, kind, boundary, from)| vec![path, kind, "secure", boundary, from, version])
        .collect();
    assert_eq!(rows, expected, "{finished}");

    let mut guest = vec!["guest: hello from a guest that this program assembled itself".to_owned()];
    guest.extend(CHECKS.iter().map(|check| format!("guest: checked: {check}")));
    guest.push("guest: all is well; switching off".to_owned());
    assert_eq!(between(&text, "The guest", "The same machine"), guest, "{finished}");

    let refusal = between(&text, "The same machine once more, with -device isa-debug-exit:", "\0");
    assert_eq!(refusal.len(), 2, "{finished}");
    assert_eq!(refusal[0], "-device isa-debug-exit: Type 'isa-debug-exit' is declared as insecure");
    assert!(refusal[1].starts_with("boundary: guest; reason: the guest ends the VMM's process"));
    assert!(refusal[1].ends_with("; to allow it: -compat insecure-types=accept"), "{finished}");
}

#[test]
fn the_demo_can_be_shown_again_and_again() {
    for _ in 0..3 {
        Vmm::line("demo").run().code(0).says("guest: all is well");
    }
}

#[test]
fn the_demo_takes_no_arguments() {
    Vmm::line("demo -m 64M").run().refuses_to_start("demo: unknown argument '-m'");
}
