//! The qtest protocol as a client meets it that may be broken: what is refused, what is answered,
//! what is never waited for.

use std::{
    fs,
    time::{Duration, Instant},
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use rustix::process::Signal;
use tests::{
    Scratch, Vmm,
    qtest::{PERMITTED, Qtest},
};

/// Bytes of the longest line.
const MOST_LINE: usize = (2 << 20) + 1024;

#[test]
fn by_default_it_is_refused_as_undeclared() {
    let explained = |boundary: &str| {
        format!(
            "palisade: boundary: {boundary}; reason: nobody has declared it secure yet; to allow \
             it: -machine prohibit-insecure=yes"
        )
    };
    Vmm::line("-accel qtest -qtest stdio -nodefaults").run().code(1).says_only("").complains_only(
        &[
            "palisade: -accel qtest: Type 'qtest-accel' is not declared as secure",
            &explained("guest"),
            "palisade: -qtest stdio: Type 'qtest' is not declared as secure",
            &explained("management"),
        ],
    );
    Vmm::line("-machine none -accel qtest").run().code(1).complains_only(&[
        "palisade: -accel qtest: Type 'qtest-accel' is not declared as secure",
        &explained("guest"),
    ]);
}

#[test]
fn it_is_accepted_where_only_what_is_insecure_is_refused_and_taints_the_vm() {
    let machine = Qtest::start("");
    machine.running.signal(Signal::TERM);
    machine.running.finish().code(0).complains_only(&[
        "palisade: tainted: '/accel': Type 'qtest-accel' is not declared as secure: nobody has \
         declared it secure yet",
        "palisade: tainted: '/monitors/qtest': Type 'qtest' is not declared as secure: nobody has \
         declared it secure yet",
        "palisade: terminating on signal 15",
        "palisade: was tainted: '/accel': Type 'qtest-accel' is not declared as secure: nobody has \
         declared it secure yet",
        "palisade: was tainted: '/monitors/qtest': Type 'qtest' is not declared as secure: nobody \
         has declared it secure yet",
    ]);
}

#[test]
fn options_that_miss_one_another_are_refused() {
    let refused = |options: &str, line: &str| {
        Vmm::line(options).and(PERMITTED).run().refuses_to_start(line);
    };
    refused(
        "-accel qtest -qtest-log f",
        "-qtest-log f: expected -qtest with it, of which it is the log",
    );
    refused(
        "-machine none -qtest stdio",
        "-qtest stdio: expected -accel qtest with it, under which no processors run",
    );
    refused(
        "-accel qtest -machine pic=on",
        "-machine microvm: pic=on needs the interrupt chips of KVM: -accel kvm,kernel-irqchip=on",
    );
    refused(
        "-accel qtest -qtest chardev:no",
        "-qtest chardev:no: no character device is called 'no'",
    );
    let folder = Scratch::new();
    let log = folder.path().display().to_string();
    let options = format!("-accel qtest -nodefaults -qtest null -qtest-log {log}");
    Vmm::line(&options).and(PERMITTED).run().refuses_to_start_with(&[
        "-qtest null: can't open the log",
        &log,
        "Is a directory",
    ]);
    let kvm = Vmm::line("-accel kvm -nodefaults -machine none -qtest null").and(PERMITTED);
    kvm.run().refuses_to_start(
        "-qtest null: expected the accelerator 'qtest-accel', which leaves devices to a client; \
         given 'kvm-accel'",
    );
}

#[test]
fn it_is_spoken_on_standard_input_and_output_too() {
    for stream in ["-qtest stdio", "-qtest none -chardev stdio,id=q -qtest chardev:q"] {
        let vmm = Vmm::line("-machine accel=qtest -nodefaults").and(stream).and(PERMITTED);
        let mut running = vmm.start();
        running.give(b"endianness\nclock_step 5\r\n".to_vec());
        running.wait_for("OK little\nOK 5\n");
        running.signal(Signal::INT);
        running.finish().code(0).says_only("OK little\nOK 5\n");
    }
}

#[test]
fn each_malformed_line_fails_and_the_next_is_answered() {
    let mut machine = Qtest::start("");
    for line in [
        "",
        " ",
        "nonsense",
        "INB 0x60",
        "inb",
        "inb 1 2",
        "inb 0x10000",
        "inb -1",
        "inb +1",
        "inb 0x",
        "inb 1.5",
        "inb 010",
        "inl ä",
        "outb 0 0x100",
        "outw 0 65536",
        "readq 1e3",
        "readw 0xffffffffffffffff",
        "readq 0x10000000000000000",
        "writel 0 0x100000000",
        "read 0 0",
        "read 0 -1",
        "read 0 0x100001",
        "read 0 18446744073709551615",
        "b64read 0 99999999999999999999",
        "write 0 1",
        "write 0 1 ab",
        "write 0 2 0xab",
        "write 0 1 0xabc",
        "write 0 1 0xzz",
        "b64write 0 1 ====",
        "b64write 0 4 AQIDBA",
        "memset 0 0 0",
        "memset 0 0x4000001 0",
        "memset 0 1 256",
        "memset 0xfffffffffffffff0 17 0",
        "clock_step x",
        "clock_set",
        "clock_set -5",
        "irq_intercept_in",
        "irq_intercept_in /nothing",
        "irq_intercept_out ..",
        "set_irq_in",
        "set_irq_in ioapic unnamed-gpio-in 0",
        "set_irq_in ioapic other 0 1",
        "set_irq_in ioapic unnamed-gpio-in 4294967296 1",
        "endianness big",
        "\u{7f}\u{1}\0",
    ] {
        machine.fails(line);
        assert_eq!(machine.ok("endianness"), "little", "after {line:?}");
    }
}

#[test]
fn binary_input_is_answered_line_by_line() {
    let mut machine = Qtest::start("");
    let every_byte: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    machine.send(&every_byte);
    machine.send("\n");
    for _ in 0..=every_byte.iter().filter(|byte| **byte == b'\n').count() {
        let answer = machine.answer();
        assert!(answer.starts_with("FAIL "), "{answer}");
    }
    assert_eq!(machine.ok("endianness"), "little");
}

#[test]
fn a_line_without_end_fails_once_and_costs_no_more_memory_than_one_may() {
    let mut machine = Qtest::start("");
    let before = memory(&machine);
    let part = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        machine.send(&part);
    }
    assert!(memory(&machine) < before + (16 << 20), "{} after {before}", memory(&machine));
    let expected = format!("expected at most {MOST_LINE} bytes in a line, given more");
    assert_eq!(machine.fails(""), expected);
    assert_eq!(machine.ok("endianness"), "little");
}

/// The monitor's memory, in bytes.
fn memory(machine: &Qtest) -> usize {
    machine.running.resident()
}

#[test]
fn the_greatest_data_go_in_and_come_back() {
    let mut machine = Qtest::start("-m 16M");
    let digits: String = (0..1 << 20).map(|at| format!("{:02x}", at % 251)).collect();
    machine.ok(&format!("write 0x100000 0x100000 0x{digits}"));
    assert_eq!(machine.ok("read 0x100000 0x100000"), format!("0x{digits}"));
}

#[test]
fn a_client_that_reads_nothing_holds_nobody_up() {
    let mut machine = Qtest::start("-m 16M");
    let taken = machine.flood("read 0 0x10000\n".repeat(1000).as_bytes());
    assert!(taken > 0);
    let start = Instant::now();
    machine.running.signal(Signal::TERM);
    machine.running.finish().code(0);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn who_comes_next_finds_nothing_of_who_left() {
    let mut machine = Qtest::start("");
    machine.ok("irq_intercept_in ioapic");
    machine.ok("clock_step 10");
    machine.send("endianness without an end");
    machine.reconnect();
    assert_eq!(machine.ok("endianness"), "little");
    machine.ok("set_irq_in ioapic unnamed-gpio-in 3 1");
    assert_eq!(machine.interrupts(), [""; 0], "it asked for none");
    // The machine is as it was left.
    assert_eq!(machine.ok("clock_step 0"), "10");
    machine.ok("irq_intercept_out rtc");
}

#[test]
fn a_log_has_every_line_with_direction_and_time() {
    let scratch = Scratch::new();
    let log = scratch.file("log", "of another run");
    let mut machine = Qtest::start(&format!("-qtest-log {}", log.display()));
    machine.ok("irq_intercept_in ioapic");
    machine.ok("set_irq_in ioapic unnamed-gpio-in 3 1");
    machine.fails("nonsense");
    machine.running.signal(Signal::TERM);
    machine.running.finish().code(0);
    let log = fs::read_to_string(log).expect("it is there");
    let said: Vec<_> = log
        .lines()
        .map(|line| {
            let (time, said) = line[4..].split_once("] ").expect("a time");
            assert!(line.starts_with('[') && line[2..].starts_with(" +"), "{line}");
            assert!(time.parse::<f64>().is_ok_and(|time| time >= 0.0), "{line}");
            format!("{} {said}", &line[1..2])
        })
        .collect();
    assert_eq!(
        said[..8],
        [
            "I OPENED",
            "R irq_intercept_in ioapic",
            "S OK",
            "R set_irq_in ioapic unnamed-gpio-in 3 1",
            "S IRQ raise 3",
            "S OK",
            "R nonsense",
            "S FAIL unknown command 'nonsense'",
        ]
    );
}

#[test]
fn without_being_asked_for_there_is_no_log() {
    let mut machine = Qtest::start("-qtest-log /nowhere/log -qtest-log none");
    machine.ok("endianness");
    machine.running.signal(Signal::TERM);
    let finished = machine.running.finish().code(0);
    assert!(!finished.stderr().contains("endianness"), "{finished}");
}

/// Lines of words that commands have, and of anything else. None asks the machine to end: numbers
/// are none of the ports and addresses that do.
fn line() -> impl Strategy<Value = Vec<u8>> {
    const NAMES: &[&str] = &[
        "readb",
        "readq",
        "writew",
        "writeq",
        "inb",
        "inl",
        "outb",
        "outl",
        "read",
        "b64read",
        "write",
        "b64write",
        "memset",
        "clock_step",
        "clock_set",
        "irq_intercept_in",
        "irq_intercept_out",
        "set_irq_in",
        "endianness",
    ];
    let word = prop_oneof![
        prop::sample::select(&["0", "1", "0x70", "0x71", "0x3f8", "0xfec00000", "0xfec00010"][..])
            .prop_map(str::to_owned),
        (0x1000_u64..0x2000).prop_map(|number| number.to_string()),
        prop::sample::select(
            &["ioapic", "/machine/unattached/rtc", "unnamed-gpio-in", "0xabcd", "AQ=="][..]
        )
        .prop_map(str::to_owned),
        "[ -~]{0,6}",
    ];
    let command = (prop::sample::select(NAMES), vec(word, 0..5))
        .prop_map(|(name, words)| format!("{name} {}", words.join(" ")).into_bytes());
    let junk = vec(any::<u8>().prop_filter("lines end elsewhere", |byte| *byte != b'\n'), 0..60);
    prop_oneof![4 => command, 1 => junk]
}

#[test]
fn any_line_is_answered_once() {
    let machine = std::cell::RefCell::new(Qtest::start("-serial null -m 16M"));
    let mut runner =
        TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let judged = runner.run(&vec(line(), 1..40), |lines| {
        let mut machine = machine.borrow_mut();
        for line in &lines {
            machine.send([line, &b"\n"[..]].concat());
        }
        for line in &lines {
            let answer = machine.answer();
            let known = answer == "OK" || answer.starts_with("OK ") || answer.starts_with("FAIL ");
            prop_assert!(known, "{}: {answer}", line.escape_ascii());
        }
        prop_assert_eq!(machine.ok("endianness"), "little");
        Ok(())
    });
    judged.unwrap_or_else(|error| panic!("{error}"));
}
