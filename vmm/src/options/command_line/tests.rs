//! What the command line promises.

use super::*;
use crate::options::keyval::Given;
use crate::options::stream::Stream;
use proptest::prelude::*;
use std::io::Write;

fn try_parse(arguments: &[&str]) -> Result<CommandLine, CommandLineError> {
    CommandLine::parse(arguments.iter().map(OsString::from))
}

fn parse(arguments: &[&str]) -> CommandLine {
    try_parse(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

fn message(arguments: &[&str]) -> String {
    try_parse(arguments).unwrap_err().to_string()
}

fn names(line: &CommandLine) -> Vec<&str> {
    line.entries().iter().map(|entry| entry.name.as_str()).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn nothing_given_is_nothing_asked() {
    assert_eq!(parse(&[]), CommandLine::default());
}

#[test]
fn options_stay_in_order_whatever_their_kind() {
    let line = parse(&[
        "-device",
        "a",
        "-S",
        "-chardev",
        "null,id=c",
        "--device",
        "b",
        "-nodefaults",
        "-M",
        "q35",
        "-global",
        "x.y=z",
        "-device",
        "c",
    ]);
    assert_eq!(
        names(&line),
        ["device", "S", "chardev", "device", "nodefaults", "machine", "global", "device"]
    );
    let devices: Vec<_> = line.devices().map(|(_, args)| args.implied.as_deref()).collect();
    assert_eq!(devices, [Some("a"), Some("b"), Some("c")]);
}

#[test]
fn every_option_is_read_as_what_it_is() {
    let line = parse(&[
        "-accel",
        "kvm",
        "-cpu",
        "host,-x2apic",
        "-m",
        "1.5G",
        "-smp",
        "4,sockets=2",
        "-kernel",
        "vmlinux",
        "-initrd",
        "rd",
        "-append",
        "console=ttyS0",
        "-bios",
        "fw",
        "-serial",
        "stdio",
        "-serial",
        "chardev:con",
        "-nographic",
        "-display",
        "none",
        "-nodefaults",
        "-no-reboot",
        "-name",
        "guest=web,process=vm-web",
        "-S",
    ]);
    assert_eq!(line.accelerators().count(), 1);
    assert_eq!(line.cpu().unwrap().1.features, [("x2apic".to_owned(), false)]);
    assert_eq!(line.memory().unwrap().1, 3 << 29);
    let topology = line.topology().unwrap().1;
    assert_eq!((topology.cpus, topology.sockets, topology.cores), (4, 2, 2));
    assert_eq!(line.kernel().unwrap().1, Path::new("vmlinux"));
    assert_eq!(line.initrd().unwrap().1, Path::new("rd"));
    assert_eq!(line.append().unwrap().1, "console=ttyS0");
    assert_eq!(line.bios().unwrap().1, Path::new("fw"));
    let serials: Vec<_> = line.serials().map(|(_, serial)| serial.clone()).collect();
    assert_eq!(
        serials,
        [
            Stream::Backend { name: "stdio", properties: Vec::new() },
            Stream::Chardev("con".to_owned()),
        ]
    );
    assert_eq!(line.display().unwrap().1, Display::None);
    let name = line.guest_name().unwrap().1;
    assert_eq!((name.guest.as_str(), name.process.as_deref()), ("web", Some("vm-web")));
    assert!(line.is_nographic() && line.has_no_defaults());
    assert!(line.has_no_reboot() && line.is_paused());
}

#[test]
fn switches_that_are_not_given_are_off() {
    let line = parse(&["-m", "1"]);
    assert!(!line.is_nographic() && !line.has_no_defaults());
    assert!(!line.has_no_reboot() && !line.is_paused());
}

#[test]
fn a_value_may_look_like_an_option() {
    assert_eq!(parse(&["-append", "-foo"]).append().unwrap().1, "-foo");
    assert_eq!(parse(&["-append", "--kernel"]).append().unwrap().1, "--kernel");
    assert_eq!(parse(&["-append", ""]).append().unwrap().1, "");
    assert_eq!(parse(&["-append", "=x"]).append().unwrap().1, "=x");
    assert_eq!(parse(&["-append", "--"]).append().unwrap().1, "--");
    assert!(parse(&["-append", "-kernel"]).kernel().is_none());
}

#[test]
fn of_most_options_the_last_holds() {
    let line = parse(&["-kernel", "a", "-m", "1", "-cpu", "x", "-kernel", "b", "-m", "2G"]);
    assert_eq!(line.kernel().unwrap().1, Path::new("b"));
    assert_eq!(line.memory().unwrap().1, 2 << 30);
}

#[test]
fn machines_merge_key_by_key_and_remember_who_said_what() {
    let line = parse(&["-machine", "q35,usb=on,a=1", "-M", "a=2,b=3", "-machine", "type=pc,b=4"]);
    let machine = line.machine();
    let (entry, machine_type) = machine.machine_type.unwrap();
    assert_eq!((machine_type, entry.to_string().as_str()), ("pc", "-machine type=pc,b=4"));
    let properties: Vec<_> = machine
        .properties
        .iter()
        .map(|(entry, (key, value))| (*key, value.to_string(), entry.to_string()))
        .collect();
    let said = |key, value: &str, by: &str| (key, value.to_owned(), by.to_owned());
    assert_eq!(
        properties,
        [
            said("usb", "on", "-machine q35,usb=on,a=1"),
            said("a", "2", "-machine a=2,b=3"),
            said("b", "4", "-machine type=pc,b=4"),
        ]
    );
}

#[test]
fn topologies_merge_and_are_judged_together() {
    let line = parse(&["-smp", "4", "-smp", "sockets=2"]);
    assert_eq!(line.topology().unwrap().1.sockets, 2);
    // Neither is whole by itself, both together are.
    assert!(try_parse(&["-smp", "4,sockets=4", "-smp", "cpus=8,cores=2"]).is_ok());
    assert_eq!(
        message(&["-smp", "4", "-smp", "sockets=3"]),
        "-smp sockets=3: sockets * cores * threads: expected the product to be 4 (cpus), \
         given 3 * 1 * 1"
    );
}

#[test]
fn policy_statements_are_all_kept_with_their_origin() {
    let line = parse(&[
        "-machine",
        "q35,require-secure=yes",
        "-compat",
        "insecure-types=warn",
        "-machine",
        "require-secure=no,prohibit-insecure=on",
        "-compat",
        "insecure-input=crash",
    ]);
    let statements: Vec<_> =
        line.policy_statements().map(|(entry, said)| format!("-{} {said}", entry.name)).collect();
    assert_eq!(
        statements,
        [
            "-machine require-secure=yes",
            "-compat insecure-types=warn",
            "-machine require-secure=no",
            "-machine prohibit-insecure=yes",
            "-compat insecure-input=crash",
        ]
    );
    assert!(line.machine().properties.is_empty());
}

#[test]
fn statements_about_the_deprecated_and_the_unstable_are_kept_in_order() {
    let line = parse(&[
        "-compat",
        "deprecated-input=reject,insecure-types=warn",
        "-compat",
        r#"{"unstable-output":"hide"}"#,
        "-compat",
        "deprecated-input=warn",
    ]);
    let statements: Vec<_> = line.compat_statements().map(|said| said.to_string()).collect();
    let expected = ["deprecated-input=reject", "unstable-output=hide", "deprecated-input=warn"];
    assert_eq!(statements, expected);
    assert_eq!(line.policy_statements().count(), 1);
}

#[test]
fn help_is_a_request_of_its_own_kind() {
    use HelpTopic::*;
    let asked = |arguments: &[&str]| {
        parse(arguments).help_requests().map(|(_, asked)| asked.clone()).collect::<Vec<_>>()
    };
    for (option, topic) in [
        ("-machine", Machine),
        ("-M", Machine),
        ("-accel", Accelerator),
        ("-cpu", Cpu),
        ("-device", Device),
        ("-blockdev", Blockdev),
        ("-chardev", Chardev),
        ("-netdev", Netdev),
    ] {
        assert_eq!(asked(&[option, "help"]), [HelpRequest::Types(topic)], "{option}");
        assert_eq!(asked(&[option, "?"]), [HelpRequest::Types(topic)], "{option}");
    }
    let properties = |topic, name: &str| [HelpRequest::Properties(topic, name.to_owned())];
    assert_eq!(asked(&["-device", "isa-serial,help"]), properties(Device, "isa-serial"));
    assert_eq!(asked(&["-chardev", "socket,help"]), properties(Chardev, "socket"));
    assert_eq!(asked(&["-netdev", "stream,help"]), properties(Netdev, "stream"));
    assert_eq!(asked(&["-cpu", "host,help"]), properties(Cpu, "host"));
    assert_eq!(asked(&["-cpu", "host,+popcnt,?"]), properties(Cpu, "host"));
    for option in ["-drive", "-mon", "-smp", "-m", "-compat", "-add-fd", "-global"] {
        let keys = [HelpRequest::Keys(option.trim_start_matches('-').to_owned())];
        assert_eq!(asked(&[option, "help"]), keys, "{option}");
        assert_eq!(asked(&[option, "?"]), keys, "{option}");
    }
    assert_eq!(asked(&["-drive", "file=x,help"]), [HelpRequest::Keys("drive".to_owned())]);
    for option in ["-serial", "-qmp", "-qmp-pretty", "-qtest"] {
        assert_eq!(asked(&[option, "help"]), [HelpRequest::Streams], "{option}");
    }
    // What may be called so is.
    for option in ["-name", "-append", "-kernel"] {
        assert_eq!(asked(&[option, "help"]), [], "{option}");
    }
    assert_eq!(asked(&["-h"]), [HelpRequest::Usage]);
    assert_eq!(asked(&["--version", "-nonsense"]), [HelpRequest::Version]);
    assert_eq!(asked(&["-m", "rubbish", "--help"]), [HelpRequest::Usage]);
    assert_eq!(asked(&["-append", "--help"]), []);
}

#[test]
fn a_subcommand_stands_first_and_keeps_its_arguments() {
    let rest = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    assert_eq!(
        parse(&["types", "--secure", "-h"]).subcommand(),
        Some(&Subcommand::Types(rest(&["--secure", "-h"])))
    );
    assert_eq!(parse(&["demo"]).subcommand(), Some(&Subcommand::Demo(rest(&[]))));
    assert_eq!(message(&["-S", "demo"]), "'demo': unexpected argument, expected an option");
    assert_eq!(
        message(&["type"]),
        "'type': unexpected argument, expected an option; did you mean 'types'?"
    );
    assert_eq!(
        message(&["kernel", "x"]),
        "'kernel': unexpected argument, expected an option; did you mean '-kernel'?"
    );
}

#[test]
fn errors_start_with_the_option_as_written() {
    for (arguments, expected) in [
        (["-m", "0"], "-m 0: size: expected a size above zero, given '0'"),
        (["-display", "gtk"], "-display gtk: display: expected none, given 'gtk'"),
        (
            ["-serial", "stdoi"],
            "-serial stdoi: expected stdio, null, pty, none, file:PATH, pipe:PATH, unix:PATH, \
             tcp:HOST:PORT, udp:HOST:PORT or chardev:ID, given 'stdoi'; \
             did you mean 'stdio'?",
        ),
        (["-device", "id=a"], "-device id=a: Parameter 'driver' is missing"),
        (
            ["-device", "x,id=1"],
            "-device x,id=1: id: expected a letter, then letters, digits, '-', '.' or '_' \
             (at most 127), given '1'",
        ),
        (
            ["-device", "x,b c"],
            "-device x,b c: column 3: expected a key of letters, digits, \
             '-', '_' and '.', given 'b c'",
        ),
        (["-chardev", "null"], "-chardev null: Parameter 'id' is missing"),
        (["-netdev", "user"], "-netdev user: Parameter 'id' is missing"),
        (["-netdev", "id=n"], "-netdev id=n: Parameter 'type' is missing"),
        (["-kernel", ""], "-kernel: expected a file name, given an empty value"),
        (
            ["-name", "gest=x"],
            "-name gest=x: gest: unknown key, expected guest or process; did you mean 'guest'?",
        ),
        (["-name", "guest="], "-name guest=: Parameter 'guest' is missing"),
        (["-name", "x,process="], "-name x,process=: Parameter 'process' is missing"),
        (["-accel", ""], "-accel: Parameter 'accel' is missing"),
        (
            ["-serial", "chardev:"],
            "-serial chardev:: id: expected a letter, then letters, \
             digits, '-', '.' or '_' (at most 127), given ''",
        ),
        (
            ["-compat", "insecure-types=rejct"],
            "-compat insecure-types=rejct: Parameter 'insecure-types' does not accept value \
             'rejct' (expected accept, warn, reject or crash); did you mean 'reject'?",
        ),
    ] {
        assert_eq!(message(&arguments), expected);
    }
}

#[test]
fn a_files_options_stand_where_it_was_named() {
    let file = file("[device \"d\"]\ndriver = \"b,x\"\n[memory]\nsize = \"1G\"\n");
    let path = file.path().to_str().unwrap();
    let line = parse(&["-device", "a", "-readconfig", path, "-device", "c", "-m", "2G"]);
    assert_eq!(names(&line), ["device", "device", "m", "device", "m"]);
    assert_eq!(line.memory().unwrap().1, 2 << 30);
    let (entry, args) = line.devices().nth(1).unwrap();
    assert_eq!(args.implied.as_deref(), Some("b,x"));
    assert_eq!(args.get("id"), Some(&Given::Text("d".to_owned())));
    assert_eq!(entry.to_string(), format!("{path}:1"));
}

#[test]
fn a_file_gives_the_same_values_as_the_command_line() {
    let file = file(
        "[machine]\ntype = \"q35\"\nrequire-secure = \"on\"\nusb = \"off\"\n\
         [accel]\naccel = \"kvm\"\n[smp-opts]\ncpus = \"2\"\n[compat]\ninsecure-types = \"warn\"\n\
         deprecated-input = \"reject\"\nunstable-output = \"hide\"\n[global]\ndriver = \"a\"\nproperty = \"b\"\nvalue = \"c\"\n\
         [chardev \"con\"]\nbackend = \"null\"\n",
    );
    let from_file = parse(&["-readconfig", file.path().to_str().unwrap()]);
    let from_line = parse(&[
        "-machine",
        "q35,require-secure=on,usb=off",
        "-accel",
        "kvm",
        "-smp",
        "2",
        "-compat",
        "insecure-types=warn,deprecated-input=reject,unstable-output=hide",
        "-global",
        "a.b=c",
        "-chardev",
        "null,id=con",
    ]);
    assert_eq!(names(&from_file), names(&from_line));
    for (read, given) in from_file.entries().iter().zip(from_line.entries()) {
        match (&read.value, &given.value) {
            // The text shown differs, what it means does not.
            (OptionValue::Chardev(read), OptionValue::Chardev(given)) => {
                assert_eq!((&read.implied, &read.entries), (&given.implied, &given.entries));
            }
            (read, given) => assert_eq!(read, given),
        }
    }
    assert_eq!(from_file.topology().unwrap().1, from_line.topology().unwrap().1);
}

#[test]
fn mistakes_in_a_file_name_file_and_line() {
    for (text, expected) in [
        ("\n[memory]\nsize = \"0\"\n", ":3: size: expected a size above zero, given '0'"),
        ("[device]\n", ":1: Parameter 'driver' is missing"),
        (
            "[compat]\ninsecure-types=\"warn\"\ninsecure-input=\"no\"\n",
            ":3: Parameter 'insecure-input' does not accept value 'no' (expected accept, warn, \
             reject or crash)",
        ),
        (
            "[smp-opts]\ncpus=\"1\"\n\ncors=\"2\"\n",
            ":4: cors: unknown key, expected cpus, maxcpus, sockets, cores or threads; did you \
             mean 'cores'?",
        ),
        ("[machine \"m\"]\n", ":1: 'm': expected a section without an id"),
        (
            "[smp-opts]\ncpus=\"3\"\nsockets=\"2\"\n",
            ":1: sockets * cores * threads: expected the \
          product to be 3 (cpus), given 2 * 1 * 1",
        ),
    ] {
        let file = file(text);
        let path = file.path().to_str().unwrap();
        assert_eq!(message(&["-readconfig", path]), format!("{path}{expected}"));
    }
    assert_eq!(
        message(&["-readconfig", ""]),
        "-readconfig: expected a file name, given an empty value"
    );
    let missing = message(&["-readconfig", "/nonexistent"]);
    assert!(missing.starts_with("-readconfig /nonexistent: can't open it: "), "{missing}");
}

#[test]
fn every_defined_option_can_be_read() {
    for option in definitions::command().get_arguments() {
        let id = option.get_id().as_str();
        if id == "readconfig" {
            continue;
        }
        let unread = value::from_text(id, "x") == Err(ValueError::Unread);
        assert!(!unread, "-{id} is defined and has no reader");
    }
    for (group, option) in config_file::GROUPS {
        let section = config_file::Section {
            option,
            id: None,
            line: 1,
            pairs: Vec::new(),
            lines: Vec::new(),
        };
        assert_ne!(value::from_section(section), Err(ValueError::Unread), "[{group}]");
    }
}

#[test]
fn the_words_a_user_chose_are_kept() {
    let line = parse(&["-M", "q35,a=1,,2,", "-S"]);
    assert_eq!(line.entries()[0].to_string(), "-machine q35,a=1,,2,");
    assert_eq!(line.entries()[0].text.as_deref(), Some("q35,a=1,,2,"));
    assert_eq!(line.entries()[1].to_string(), "-S");
}

proptest! {
    #[test]
    fn any_arguments_are_survived(arguments in prop::collection::vec(
        prop_oneof![
            "--?(machine|M|cpu|m|smp|device|global|chardev|serial|name|compat|append|S|help)",
            "[a-z0-9.,=+-]{0,12}",
            ".{0,12}",
        ],
        0..8,
    )) {
        if let Err(error) = CommandLine::parse(arguments.iter().map(OsString::from)) {
            let text = error.to_string();
            prop_assert!(!text.contains('\n') && !text.ends_with('.'), "{}", text);
            prop_assert!(!matches!(error, CommandLineError::Parser(_)), "{}", text);
        }
    }

    #[test]
    fn any_value_of_append_passes_through(value in ".*") {
        let line = CommandLine::parse(["-append".into(), OsString::from(&value)]).unwrap();
        prop_assert_eq!(line.append().map(|(_, text)| text), Some(value.as_str()));
    }
}
