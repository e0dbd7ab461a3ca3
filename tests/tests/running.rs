//! What a running machine does: its processors, its serial port, its firmware, its waiting.

use std::time::Duration;

use rustix::process::Signal;
use tests::{Scratch, Vmm, guest};

#[test]
fn with_s_nothing_runs_and_a_signal_ends_it() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::print_and_spin("ran"));
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let running = Vmm::line("-m 16M -S").kernel(&kernel).start();
        running.is_silent_for(Duration::from_millis(300));
        running.signal(signal);
        let ended = running.finish().code(0).says_only("");
        ended.complains_only(&[&format!("palisade: terminating on signal {number}")]);
    }
}

#[test]
fn what_comes_in_by_standard_input_reaches_the_guest_and_comes_back_all_of_it() {
    const LENGTH: usize = 20_000;
    // No byte is the one that ends the guest but the last; a loss or a swap shows, as the period is
    // none of a buffer's.
    let mut sent: Vec<u8> = (b' '..b'z').cycle().take(LENGTH).collect();
    sent.push(b'~');
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::echo("", b'~'));
    let mut running = Vmm::line("-m 16M -no-reboot").kernel(kernel).start();
    running.give(sent.clone());
    let ended = running.finish().code(0);
    let first_difference = ended.bytes().iter().zip(&sent).position(|(got, gave)| got != gave);
    assert_eq!((ended.bytes().len(), first_difference), (sent.len(), None), "{}", ended.stderr());
}

#[test]
fn a_signal_ends_a_guest_whose_output_nobody_takes() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::flood("nobody reads this\n"));
    let running = Vmm::line("-m 16M").kernel(kernel).start_unread();
    running.signal(Signal::TERM);
    running.finish().code(0).complains_only(&["palisade: terminating on signal 15"]);
}

#[test]
fn a_guest_starts_its_second_processor() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::two_processors("one", "two"));
    for options in ["-smp 2", "-smp cpus=2,threads=2", "-machine kernel-irqchip=on -smp 2"] {
        let running = Vmm::line("-m 16M").and(options).kernel(&kernel).start();
        running.wait_for("two");
        running.signal(Signal::TERM);
        running.finish().code(0).says_only("onetwo");
    }
}

#[test]
fn firmware_runs_from_the_reset_vector() {
    let scratch = Scratch::new();
    let bios = scratch.file("bios.bin", guest::firmware("from the reset vector\n"));
    let running = Vmm::line("-m 16M -bios").args([bios]).start();
    running.wait_for("from the reset vector\n");
    running.signal(Signal::TERM);
    running.finish().code(0).says_only("from the reset vector\n");
}

#[test]
fn a_guest_runs_with_the_interrupt_chips_in_either_place_and_with_the_old_ones() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off("hello"));
    for options in [
        "",
        "-machine microvm",
        "-machine kernel-irqchip=split",
        "-machine kernel-irqchip=on",
        "-accel kvm,kernel-irqchip=on",
        "-machine kernel-irqchip=on,pic=on",
        "-machine kernel-irqchip=on,pit=on",
        "-machine kernel-irqchip=on,pic=on,pit=on",
        "-machine rtc=off",
    ] {
        let vmm = Vmm::line("-m 16M").and(options).kernel(&kernel);
        vmm.run().code(0).says_only("hello").complains_only(&[]);
    }
}

#[test]
fn the_serial_port_goes_where_it_is_led() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off("hello"));
    for (options, output) in [
        ("-serial stdio", "hello"),
        ("-nographic", "hello"),
        ("-nographic -nodefaults", "hello"),
        ("-chardev stdio,id=out -serial chardev:out", "hello"),
        ("-serial none -chardev stdio,id=c -device isa-serial,chardev=c", "hello"),
        ("-serial null", ""),
        ("-serial none", ""),
        ("-nodefaults", ""),
        ("-chardev null,id=out -serial chardev:out", ""),
    ] {
        let vmm = Vmm::line("-m 16M").and(options).kernel(&kernel);
        vmm.run().code(0).says_only(output).complains_only(&[]);
    }
}

#[test]
fn machine_none_runs_no_guest_and_does_not_touch_kvm() {
    for options in ["-machine none", "-M none", "--machine none -nodefaults"] {
        let running = Vmm::line(options).start();
        running.is_silent_for(Duration::from_millis(50));
        assert!(!running.has_open("/dev/kvm"));
        running.signal(Signal::TERM);
        let ended = running.finish().code(0).says_only("");
        ended.complains_only(&["palisade: terminating on signal 15"]);
    }
}
