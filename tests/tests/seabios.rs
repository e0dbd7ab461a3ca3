//! Firmware that others wrote, with a driver that others wrote: SeaBIOS finds a virtio disk on the
//! board, starts its boot sector, and serves it.

use std::fs;

use rustix::process::Signal;
use tests::{
    Scratch, Vmm,
    boot_sector::{READ, SECTOR, VERDICT, disk, disk_afterwards},
    seabios,
};

/// A machine that SeaBIOS starts on and that ends at a reset, with its log in the scratch folder.
fn machine(scratch: &Scratch, options: &str) -> Vmm {
    let log = scratch.path().join("log");
    Vmm::line("-nodefaults -serial stdio -m 64M")
        .and(options)
        .args(["-bios".as_ref(), seabios().as_os_str()])
        .args(["-chardev".into(), format!("file,id=log,path={}", log.display())])
        .and("-device isa-debugcon,iobase=0x402,chardev=log")
}

fn drive(image: &std::path::Path) -> [String; 2] {
    ["-drive".to_owned(), format!("if=virtio,format=raw,file={}", image.display())]
}

fn log(scratch: &Scratch) -> String {
    fs::read_to_string(scratch.path().join("log")).expect("firmware wrote its log")
}

#[test]
fn a_boot_sector_reads_and_writes_its_disk_by_the_firmwares_own_driver() {
    for options in [
        "",
        "-accel kvm,kernel-irqchip=on -machine pit=on,pic=on",
        "-global fw_cfg_io.dma-enabled=off",
    ] {
        let scratch = Scratch::new();
        let image = scratch.file("disk", disk());
        let vmm = machine(&scratch, options).and("-no-reboot").args(drive(&image));
        vmm.run().code(0).says(VERDICT).complains_only(&[]);
        assert!(fs::read(&image).unwrap() == disk_afterwards(), "{options}: the disk is otherwise");
        let log = log(&scratch);
        assert!(log.contains("found virtio-blk-mmio at 0xfeb00000"), "{options}: {log}");
        assert_eq!(log.contains("DMA interface supported"), !options.contains("dma"), "{log}");
    }
}

#[test]
fn a_disk_on_another_transport_is_found_by_the_tables() {
    let scratch = Scratch::new();
    let image = scratch.file("disk", disk());
    let vmm = machine(&scratch, "-no-reboot -object iothread,id=io0")
        .args(["-blockdev".into(), format!("file,node-name=f0,filename={}", image.display())])
        .and("-blockdev raw,node-name=d0,file=f0 -device virtio-rng-device")
        .and("-device virtio-blk-device,drive=d0,bus=virtio-mmio-bus.5,iothread=io0");
    vmm.run().code(0).says(VERDICT).complains_only(&[]);
    assert!(fs::read(&image).unwrap() == disk_afterwards());
    assert!(log(&scratch).contains("found virtio-blk-mmio at 0xfeb00a00"), "{}", log(&scratch));
}

#[test]
fn firmware_learns_of_memory_on_both_sides_of_the_device_window() {
    let scratch = Scratch::new();
    let image = scratch.file("disk", disk());
    let vmm = machine(&scratch, "-no-reboot -m 3584M -smp 3").args(drive(&image));
    vmm.run().code(0).says(VERDICT);
    let log = log(&scratch);
    for line in [
        "qemu/e820: addr 0x0000000000000000 len 0x00000000c0000000 [RAM]",
        "qemu/e820: addr 0x0000000100000000 len 0x0000000020000000 [RAM]",
        "Found 3 cpu(s) max supported 3 cpu(s)",
    ] {
        assert!(log.contains(line), "expected {line:?} in\n{log}");
    }
}

#[test]
fn a_reset_machine_starts_from_its_firmware_again() {
    let scratch = Scratch::new();
    let image = scratch.file("disk", disk());
    let running = machine(&scratch, "").args(drive(&image)).start();
    running.wait_until("two starts", |said| said.matches(VERDICT).count() >= 2);
    running.signal(Signal::TERM);
    running.finish().code(0).complains("terminating on signal 15");
    assert!(fs::read(&image).unwrap() == disk_afterwards());
}

#[test]
fn what_goes_wrong_the_boot_sector_hears_of_or_sees() {
    let mut other = disk();
    other[usize::from(READ) * SECTOR] ^= 1;
    for (contents, options, verdict) in
        [(disk(), ",read-only=on", "can't write\n"), (other, "", "wrong data\n")]
    {
        let scratch = Scratch::new();
        let image = scratch.file("disk", &contents);
        let [option, value] = drive(&image);
        let vmm = machine(&scratch, "-no-reboot").args([option, value + options]);
        vmm.run().code(0).says(verdict).complains_only(&[]);
        assert!(fs::read(&image).unwrap() == contents);
    }
}

#[test]
fn without_a_disk_firmware_says_so() {
    let scratch = Scratch::new();
    let running = machine(&scratch, "").start();
    running.wait_for("No bootable device.");
    running.signal(Signal::TERM);
    running.finish().code(0);
}

#[test]
fn the_configuration_device_comes_with_firmware_only() {
    let check = |vmm: Vmm| vmm.run().code(0).stdout();
    let with = check(Vmm::line("check -bios").args([seabios()]));
    assert!(with.contains("fw_cfg_io"), "{with}");
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::hello("x"));
    let without = check(Vmm::line("check").kernel(kernel));
    assert!(!without.contains("fw_cfg_io"), "{without}");
}
