//! A terminal is as it was before, however the program ends.

use std::{io::Write, thread, time::Duration};

use flate2::{Compression, write::GzEncoder};
use rustix::process::Signal;
use tests::{Scratch, Vmm, bzimage::bzimage, guest, palisade, terminal::Terminal};

#[test]
fn keys_reach_the_guest_one_by_one_and_the_terminal_is_restored_when_it_is_done() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::echo("ready\n", b'q'));
    let terminal = Terminal::new();
    let before = terminal.settings();
    let running = Vmm::line("-m 16M -no-reboot").kernel(kernel).start_on(&terminal);
    running.wait_for("ready");
    assert_ne!(terminal.settings(), before, "the guest gets keys, not lines");
    // No end of line, and nothing echoed but by the guest.
    terminal.press("a");
    running.wait_until("one a", |screen| screen.matches('a').count() == 2);
    terminal.press("q");
    running.finish().code(0);
    assert_eq!(terminal.settings(), before);
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::print_and_spin("ready\n"));
    for signal in [Signal::TERM, Signal::INT] {
        let terminal = Terminal::new();
        let before = terminal.settings();
        let running = Vmm::line("-m 16M").kernel(&kernel).start_on(&terminal);
        running.wait_for("ready");
        assert_ne!(terminal.settings(), before);
        running.signal(signal);
        running.finish().code(0);
        assert_eq!(terminal.settings(), before);
    }
}

#[test]
fn control_c_ends_the_program_or_is_the_guests_as_its_stream_is_told() {
    // In a session of its own, whose terminal this is: only then do its keys make signals.
    let on = |terminal: &Terminal, options: &str, kernel: &std::path::Path| {
        let vmm = Vmm::of("/usr/bin/setsid", ["--ctty"]).args([palisade()]).and(options);
        vmm.kernel(kernel).start_on(terminal)
    };
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::echo("ready\n", 3));
    let terminal = Terminal::new();
    let before = terminal.settings();
    let running = on(&terminal, "-m 16M -serial stdio", &kernel);
    running.wait_for("ready");
    terminal.press("\x03");
    running.finish().code(0).complains_only(&["palisade: terminating on signal 2"]);
    assert_eq!(terminal.settings(), before);

    let terminal = Terminal::new();
    let options = "-m 16M -no-reboot -chardev stdio,id=c,signal=off -serial chardev:c";
    let running = on(&terminal, options, &kernel);
    running.wait_for("ready");
    terminal.press("\x03");
    let ended = running.finish().code(0);
    assert!(!ended.stderr().contains("terminating on signal"), "{ended}");
    assert_eq!(ended.lines()[0], "palisade: warning: processor 0: triple fault", "{ended}");
}

#[test]
fn the_signals_of_a_terminal_leave_it_as_it_was() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guests::print_and_spin("ready\n"));
    // Whoever runs the tests may have them ignored, or blocked.
    let start = ["--default-signal=HUP,QUIT", "--block-signal=HUP,QUIT"];
    for (signal, number) in [(Signal::HUP, 1), (Signal::QUIT, 3)] {
        let terminal = Terminal::new();
        let before = terminal.settings();
        let vmm = Vmm::of("/usr/bin/env", start).args([palisade()]).and("-m 16M");
        let running = vmm.kernel(&kernel).start_on(&terminal);
        running.wait_for("ready");
        assert_ne!(terminal.settings(), before);
        running.signal(signal);
        let ended = running.finish().code(0);
        ended.complains_only(&[&format!("palisade: terminating on signal {number}")]);
        assert_eq!(terminal.settings(), before);
    }
}

#[test]
fn a_signal_while_the_machine_is_made_leaves_the_terminal_as_it_was() {
    // Takes long to unpack, so that the signal comes before there is a machine.
    let code = vec![0x90; 48 << 20];
    let image = guests::PvhElf { address: 0x10_0000, code: &code, bss: 0 }.to_bytes();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&image).expect("there is room");
    let scratch = Scratch::new();
    let kernel = scratch.file("large", bzimage(&packed.finish().expect("there is room")));
    for signal in [Signal::TERM, Signal::INT] {
        let terminal = Terminal::new();
        let before = terminal.settings();
        let running = Vmm::line("-m 128M").kernel(&kernel).start_on(&terminal);
        // A terminal doesn't tell that it was changed.
        while terminal.settings() == before {
            thread::sleep(Duration::from_millis(1));
        }
        running.signal(signal);
        running.finish().code(0);
        assert_eq!(terminal.settings(), before);
    }
}

#[test]
fn a_start_that_fails_leaves_the_terminal_as_it_was() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::power_off("off"));
    for options in [
        // Refused before anything is opened, and failing after the terminal was.
        "-device isa-debug-exit",
        "-device isa-serial",
        "-kernel /nonexistent",
        "-accel kvm,device=/dev/null",
        "-compat insecure-input=reject -device isa-debug-exit",
    ] {
        let terminal = Terminal::new();
        let before = terminal.settings();
        Vmm::line("-m 16M").kernel(&kernel).and(options).start_on(&terminal).finish().code(1);
        assert_eq!(terminal.settings(), before, "{options}");
    }
    let terminal = Terminal::new();
    let before = terminal.settings();
    Vmm::line("-m 16M").kernel(kernel).start_on(&terminal).finish().code(0);
    assert_eq!(terminal.settings(), before);
}
