//! Tests of lines and what they are read as.

use proptest::prelude::*;

use super::*;

fn command(line: &str) -> Command {
    parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn refused(line: impl AsRef<[u8]>) -> String {
    parse(line.as_ref()).expect_err("it is no command").to_string()
}

#[test]
fn every_command_is_read_as_what_it_says() {
    use Width::{Byte, Long, Quad, Word};
    for (name, width) in [("b", Byte), ("w", Word), ("l", Long), ("q", Quad)] {
        let address = 0x1000;
        assert_eq!(command(&format!("read{name} 0x1000")), Command::Read { address, width });
        let write = Command::Write { address, width, value: 0xff };
        assert_eq!(command(&format!("write{name} 4096 255")), write);
    }
    for (name, width) in [("b", Byte), ("w", Word), ("l", Long)] {
        assert_eq!(command(&format!("in{name} 0xffff")), Command::In { port: 0xffff, width });
        let write = Command::Out { port: 0, width, value: 1 };
        assert_eq!(command(&format!("out{name} 0 1")), write);
    }
    let read = |encoding| Command::ReadData { address: 2, size: 3, encoding };
    assert_eq!(command("read 2 3"), read(Encoding::Hex));
    assert_eq!(command("b64read 2 3"), read(Encoding::Base64));
    let write = Command::WriteData { address: 2, data: vec![0xa, 0xff] };
    assert_eq!(command("write 0x2 0x2 0x0aFF"), write);
    assert_eq!(command("b64write 0x2 0x2 Cv8="), write);
    assert_eq!(command("memset 2 3 4"), Command::Fill { address: 2, size: 3, value: 4 });
    assert_eq!(command("clock_step"), Command::ClockStep(None));
    assert_eq!(command("clock_step 0"), Command::ClockStep(Some(0)));
    assert_eq!(command("clock_set 7"), Command::ClockSet(7));
    assert_eq!(command("irq_intercept_in /a"), Command::InterceptIn("/a".to_owned()));
    assert_eq!(command("irq_intercept_out a/b"), Command::InterceptOut("a/b".to_owned()));
    let set = Command::SetIrqIn { path: "/a".to_owned(), pin: 4, level: true };
    assert_eq!(command("set_irq_in /a unnamed-gpio-in 4 1"), set);
    assert_eq!(command("endianness"), Command::Endianness);
    assert_eq!(command("  endianness  "), Command::Endianness);
}

#[test]
fn what_is_no_command_is_refused_with_what_is_expected() {
    for (line, expected) in [
        ("", "expected a command, given an empty line"),
        ("   ", "expected a command, given an empty line"),
        ("redb 1", "unknown command 'redb'; did you mean 'readb'?"),
        ("READB 1", "unknown command 'READB'; did you mean 'readb'?"),
        ("readb\t1", "unknown command 'readb\\t1'"),
        ("inb", "expected 'inb ADDR', given no arguments"),
        ("inb 1 2", "expected 'inb ADDR', given 2 arguments"),
        ("outb 1", "expected 'outb ADDR VALUE', given 1 argument"),
        ("clock_step 1 2", "expected 'clock_step [NS]', given 2 arguments"),
        ("endianness 1 2 3 4 5 6 7", "expected 'endianness', given 1 argument"),
        ("inb 65536", "inb: ADDR: expected a number from 0 to 0xffff, given '65536'"),
        ("inb -1", "inb: ADDR: expected a number from 0 to 0xffff, given '-1'"),
        ("inb 010", "inb: ADDR: expected a number from 0 to 0xffff, given '010'"),
        ("writew 0 0x10000", "writew: VALUE: expected a number from 0 to 0xffff, given '0x10000'"),
        (
            "clock_step 18446744073709551616",
            "clock_step: NS: expected a number from 0 to 0xffffffffffffffff, given \
             '18446744073709551616'",
        ),
        (
            "readw 0xffffffffffffffff",
            "readw: 0x2 bytes at 0xffffffffffffffff go beyond the last address",
        ),
        ("read 0 0", "read: SIZE: expected a number from 1 to 0x100000, given '0'"),
        (
            "b64read 0 0x100001",
            "b64read: SIZE: expected a number from 1 to 0x100000, given '0x100001'",
        ),
        (
            "memset 0 67108865 0",
            "memset: SIZE: expected a number from 1 to 0x4000000, given '67108865'",
        ),
        ("write 0 1 01", "write: DATA: expected 0x and two hex digits a byte, given '01'"),
        ("write 0 1 0x1", "write: DATA: expected 0x and two hex digits a byte, given '0x1'"),
        ("write 0 1 0x0102", "write: DATA: expected 1 bytes, given 2"),
        ("write 0 1 0x", "write: DATA: expected 1 bytes, given 0"),
        ("b64write 0 1 AQ", "b64write: DATA: expected base64 with its padding, given 'AQ'"),
        ("b64write 0 2 AQ==", "b64write: DATA: expected 2 bytes, given 1"),
        ("set_irq_in /a b 0 1", "set_irq_in: NAME: expected 'unnamed-gpio-in', given 'b'"),
    ] {
        assert_eq!(refused(line), expected, "{line}");
    }
    assert_eq!(refused(b"inb \xff"), "expected UTF-8 text, given something else from byte 4 on");
    let long = refused(format!("inb {}", "9".repeat(1 << 20)));
    assert!(long.len() < 300, "{}", long.len());
}

#[test]
fn the_greatest_sizes_are_taken() {
    assert!(parse(b"read 0 0x100000").is_ok());
    assert!(parse(b"memset 0 0x4000000 0xff").is_ok());
    let line = format!("write 0 0x100000 0x{}", "5a".repeat(MOST_BYTES));
    assert!(line.len() <= crate::qtest::lines::MOST_LINE);
    assert_eq!(command(&line), Command::WriteData { address: 0, data: vec![0x5a; MOST_BYTES] });
}

/// Words that lines are made of: names, arguments good and bad.
fn word() -> impl Strategy<Value = String> {
    let names: Vec<_> = FORMS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    prop_oneof![
        prop::sample::select(names),
        any::<u64>().prop_map(|number| format!("{number:#x}")),
        (0_u64..300).prop_map(|number| number.to_string()),
        Just(UNNAMED_INPUTS.to_owned()),
        Just("0x0102".to_owned()),
        ".{0,8}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_a_command_or_an_error_of_one_line(line: Vec<u8>) {
        if let Err(error) = parse(&line) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn any_words_are_a_command_within_the_limits_or_an_error(words in prop::collection::vec(word(), 0..7)) {
        match parse(words.join(" ").as_bytes()) {
            Ok(Command::ReadData { address, size, .. }) => {
                prop_assert!((1..=MOST_BYTES).contains(&size));
                prop_assert!(address.checked_add(size as u64 - 1).is_some());
            }
            Ok(Command::WriteData { address, data }) => {
                prop_assert!((1..=MOST_BYTES).contains(&data.len()));
                prop_assert!(address.checked_add(data.len() as u64 - 1).is_some());
            }
            Ok(Command::Fill { address, size, .. }) => {
                prop_assert!((1..=MOST_FILLED).contains(&size));
                prop_assert!(address.checked_add(size - 1).is_some());
            }
            Ok(Command::Write { width, value, .. } | Command::Out { width, value, .. }) => {
                prop_assert!(value <= width.greatest());
            }
            Ok(_) => {}
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
