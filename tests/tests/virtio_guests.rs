//! Guests under KVM that find virtio devices and drive them.

use serde_json::json;
use tests::{
    Scratch, Vmm, guest,
    qmp::{Monitored, Qmp},
    qtest::{PERMITTED, Qtest},
    virtio::{Transport, register},
    virtio_guest,
};

const RNG: &str = "-no-reboot -device virtio-rng-device";

#[test]
fn a_guest_reads_entropy_and_is_interrupted() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(virtio_guest::reads_entropy(5));
    let expected = "entropy\n".repeat(5) + "interrupted\n";
    for options in [
        "",
        "-accel kvm,kernel-irqchip=on",
        "-object iothread,id=io0 -global virtio-rng-device.iothread=io0",
    ] {
        Vmm::line(RNG).and(options).kernel(&kernel).run().code(0).says_only(&expected);
    }
}

#[test]
fn a_guest_finds_devices_in_its_acpi_tables_and_no_empty_transport() {
    let scratch = Scratch::new();
    for (name, answer) in [(*b"VR00", "told"), (*b"LNRO", "told"), (*b"VR01", "untold")] {
        let kernel = scratch.guest(guest::is_told_of(name));
        Vmm::line(RNG).kernel(kernel).run().code(0).says_only(answer);
    }
    let kernel = scratch.guest(guest::is_told_of(*b"LNRO"));
    Vmm::line("-no-reboot").kernel(kernel).run().code(0).says_only("untold");
}

#[test]
fn a_kernel_is_told_of_devices_on_its_command_line_unless_the_user_forbids_it() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(virtio_guest::tells_its_command_line());
    let two = "-no-reboot -device virtio-rng-device -append quiet \
               -device virtio-rng-device,bus=virtio-mmio-bus.3";
    let words = "quiet virtio_mmio.device=512@0xfeb00000:16 virtio_mmio.device=512@0xfeb00600:19";
    Vmm::line(two).kernel(&kernel).run().code(0).says_only(words);
    let off = "-machine auto-kernel-cmdline=off";
    Vmm::line(two).and(off).kernel(&kernel).run().code(0).says_only("quiet");
    Vmm::line("-no-reboot -append quiet").kernel(&kernel).run().code(0).says_only("quiet");
}

#[test]
fn a_command_line_without_room_for_the_devices_is_an_error() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(virtio_guest::tells_its_command_line());
    let append = "x".repeat(2040);
    let line = || Vmm::line(RNG).args(["-append", &append]).kernel(&kernel);
    line().run().code(1).complains("kernel command line of 2077 bytes, expected at most 2047");
    line().and("-machine auto-kernel-cmdline=off").run().code(0).says_only(&append);
}

#[test]
fn a_device_is_added_before_the_guest_runs_and_not_after() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(virtio_guest::reads_entropy(1));
    let vmm = Vmm::line("-no-reboot -S").kernel(kernel);
    let mut paused = Monitored::of(vmm, Scratch::new());
    let add = |bus| json!({ "driver": "virtio-rng-device", "bus": bus });
    let refused = paused.qmp.refused("device_add", add("virtio-mmio-bus.9"));
    assert!(refused.1.contains("Bus 'virtio-mmio-bus.9' not found"), "{refused:?}");
    paused.qmp.execute("device_add", add("virtio-mmio-bus.0"));
    let refused = paused.qmp.refused("device_add", add("virtio-mmio-bus.0"));
    assert!(refused.1.contains("Bus 'virtio-mmio-bus.0' is full"), "{refused:?}");
    paused.qmp.execute("cont", json!({}));
    paused.running.finish().code(0).says_only("entropy\ninterrupted\n");
}

#[test]
fn a_device_that_is_taken_away_before_the_guest_runs_leaves_its_place() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("qmp");
    let vmm = Vmm::line("-accel qtest -nodefaults -S -device virtio-rng-device,id=rng")
        .and(PERMITTED)
        .monitor(&socket);
    let mut machine = Qtest::of(vmm, scratch);
    let mut monitor = Qmp::connect(&socket);
    let first = Transport::number(0);
    assert_eq!(first.read(&mut machine, register::DEVICE_ID), 4);
    monitor.execute("device_del", json!({ "id": "rng" }));
    assert_eq!(first.read(&mut machine, register::DEVICE_ID), 0);
    monitor.execute("device_add", json!({ "driver": "virtio-rng-device", "id": "rng" }));
    assert_eq!(first.read(&mut machine, register::DEVICE_ID), 4);
}
