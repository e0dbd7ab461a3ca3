//! What the program tells about itself: help in QEMU's layout, types, its version.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::{Profile, Vmm, palisade, palisade_of};

fn shown(options: &str) -> String {
    Vmm::line(options).run().code(0).complains_only(&[]).stdout()
}

#[test]
fn help_fits_a_terminal_and_one_dash_is_as_good_as_two() {
    let help = shown("--help");
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(help.starts_with("Usage: palisade [OPTION]..."));
    for option in ["-machine, -M TYPE", "-kernel FILE", "-compat WHAT=ACTION", "-readconfig"] {
        assert!(help.contains(&format!("\n  {option}")), "{option}");
    }
    for other in ["-help", "-h", "--h", "-S -help -nonsense"] {
        assert_eq!(shown(other), help, "{other}");
    }
}

#[test]
fn each_word_that_stands_first_has_a_usage_of_its_own() {
    assert!(shown("--help").contains("\n       palisade types [--json] [TYPE]...  "));
    for (word, start) in [
        ("demo", "Usage: palisade demo\n\n"),
        ("check", "Usage: palisade check [OPTION]... [--json | --explain TYPE]\n\n"),
        ("types", "Usage: palisade types [--json] [TYPE]...\n\n"),
    ] {
        let help = shown(&format!("{word} --help"));
        assert!(help.starts_with(start), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        for other in ["-help", "-h", "--h"] {
            assert_eq!(shown(&format!("{word} {other}")), help, "{other}");
        }
    }
    assert_eq!(shown("types --json -h isa-serial"), shown("types -h"));
}

#[test]
fn help_tells_every_action_of_the_policy() {
    let help = shown("--help");
    for word in ["accept", "warn", "reject", "crash", "insecure-input=", "unstable-output=", "hide"]
    {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    for option in ["--version", "-version"] {
        assert_eq!(shown(option), format!("palisade {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn machines_are_listed_in_columns_with_default_and_status() {
    let expected = "Supported machines are:\n\
        microvm              Machine with a serial port, a clock and no bus to probe (default) \
        (secure)\n\
        none                 A machine with nothing in it but a processor if one is asked for, for tools that ask what there is \
        (secure)\n";
    for option in ["-machine help", "-M help", "--machine=help", "-M ?"] {
        assert_eq!(shown(option), expected, "{option}");
    }
}

#[test]
fn accelerators_and_backends_are_listed_by_their_names() {
    assert_eq!(
        shown("-accel help"),
        "Accelerators supported in this binary:\nkvm (secure)\nqtest\n"
    );
    let chardevs = shown("-chardev help");
    assert!(chardevs.starts_with("Available chardev backend types:\n  "), "{chardevs}");
    for chardev in ["null", "stdio"] {
        assert!(chardevs.contains(&format!("\n  {chardev} (secure)\n")), "{chardevs}");
    }
    assert_eq!(
        shown("-netdev help"),
        "Available netdev backend types:\n  dgram (secure)\n  hubport (secure)\n  stream (secure)\n  \
         tap (secure)\n  user (secure)\n"
    );
}

#[test]
fn block_drivers_are_listed_and_a_child_is_one_key() {
    let drivers = shown("-blockdev help");
    assert_eq!(
        drivers,
        "Available block driver types:\n  file (secure)\n  null-co (secure)\n  raw (secure)\n"
    );
    let raw = shown("-blockdev raw,help");
    for line in [
        "raw options: (secure)",
        "  file=<blockdev>        - The node below it (the name of a node, or its own keys)",
        "  offset=<size>          - Where it begins in the file (default: 0)",
        "  cache.direct=<bool>    - Whether the host's cache is avoided (default: false)",
        "  discard=<BlockdevDiscardOptions> - What becomes of requests to discard (ignore or unmap; \
         default: \"ignore\")",
    ] {
        assert!(raw.lines().any(|there| there == line), "{line}:\n{raw}");
    }
    assert!(!raw.contains("file-node") && !raw.contains("file-options"), "{raw}");
}

#[test]
fn processors_are_listed_with_the_features_that_can_be_named() {
    let help = shown("-cpu help");
    assert!(help.starts_with("Available CPUs:\n  host                 All that"), "{help}");
    let (models, flags) = help.split_once("\nRecognized CPUID flags:\n").expect("two parts");
    assert!(models.lines().skip(1).all(|line| line.ends_with(" (secure)")), "{help}");
    let flags: Vec<_> = flags.split_whitespace().collect();
    assert!(flags.is_sorted() && flags.contains(&"popcnt") && flags.contains(&"cx16"), "{help}");
}

#[test]
fn devices_are_listed_by_category_with_bus_description_and_status() {
    let help = shown("-device help");
    assert_eq!(shown("-device ?"), help);
    let mut categories = Vec::new();
    let mut names = BTreeMap::new();
    for line in help.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("name \"") {
            None => categories.push(line),
            Some(rest) => {
                let (name, rest) = rest.split_once('"').expect("QEMU's form");
                let (_, rest) = rest.split_once(", desc \"").expect("QEMU's form");
                names.insert(name, rest);
            }
        }
    }
    assert!(categories.is_sorted(), "{help}");
    for category in ["Input devices:", "Misc devices:"] {
        assert!(categories.contains(&category), "{help}");
    }
    for device in ["isa-debug-exit", "isa-debugcon", "isa-serial", "pvpanic"] {
        assert!(names.contains_key(device), "{device}: {help}");
    }
    assert!(help.contains("name \"isa-serial\", bus ISA, desc \""), "{help}");
    assert!(names["isa-debug-exit"].ends_with("\" (insecure)"), "{help}");
    assert!(names["isa-serial"].ends_with("\" (secure)"), "{help}");
}

#[test]
fn the_properties_of_a_type_are_listed_with_type_description_and_default() {
    assert_eq!(
        shown("-device pvpanic,help"),
        "pvpanic options: (secure)\n  \
         events=<uint8>         - Mask of the events that are offered: 1 panic, 2 crash kernel \
         loaded, 4 shutdown (0 to 7; default: 7)\n  \
         ioport=<uint16>        - I/O port (default: 1285)\n"
    );
    for (option, property) in [
        ("-machine microvm,help", "  rtc=<bool>             - Whether it has the clock"),
        ("-accel kvm,help", "  device=<str>           - Node through which KVM is reached"),
        (
            "-accel kvm,help",
            "  kernel-irqchip=<KernelIrqchip> - Where the interrupt chips are: the local APICs alone \
             in the kernel, or all (split or on; default: \"split\")",
        ),
        (
            "-machine microvm,help",
            "  cores=<uint32>         - Cores of each socket (1 to 255; default: 1)",
        ),
        ("-chardev stdio,id=a,help", "  signal=<bool>          - Whether keys"),
        (
            "-netdev tap,help",
            "  script=<str>           - Program that is run with the interface's name once it is there, \
             or no (default: \"no\"; insecure in some configurations: runs a program that the \
             configuration names, with all rights of this one)",
        ),
        ("-netdev user,id=n,help", "  hostfwd=<list<str>>    - Ports of this host that are"),
        (
            "-machine microvm,help",
            "  cpus=<uint32>          - Number of processors (1 to 255; default: 1)",
        ),
        (
            "-machine none,help",
            "  cpus=<uint32>          - Number of processors (0 to 1; default: 1)",
        ),
        ("-machine microvm,help", "  require-secure=<bool>  - Refuse all that is not"),
        ("-machine microvm,help", "  prohibit-insecure=<bool> - Refuse only"),
        ("-machine microvm,help", "  kernel-irqchip=<KernelIrqchip> - Where the"),
        ("-device isa-debug-exit,help", "isa-debug-exit options: (insecure)"),
    ] {
        let help = shown(option);
        assert!(help.lines().any(|line| line.starts_with(property)), "{option}:\n{help}");
    }
}

#[test]
fn what_is_computed_cannot_be_given_and_is_no_option() {
    for (option, type_name) in [
        ("-accel kvm,help", "kvm-accel"),
        ("-device isa-serial,help", "isa-serial"),
        ("-device pvpanic,help", "pvpanic"),
    ] {
        let described = json(&format!("types --json {type_name}"));
        let properties = described[0]["properties"].as_array().expect("it has some");
        for property in properties {
            let row = format!("\n  {}=<", property["name"].as_str().expect("each has a name"));
            let listed = shown(option).contains(&row);
            assert_eq!(listed, property["access"] != "computed", "{option}: {property}");
        }
    }
}

#[test]
fn types_are_a_table_for_people_with_a_row_for_each_of_json() {
    let table = shown("types");
    let names: Vec<_> =
        table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, names_of(&json("types --json")));
    let row = table.lines().find(|line| line.trim_start().starts_with("isa-debug-exit"));
    let row: Vec<_> = row.expect("it is listed").split_whitespace().take(4).collect();
    assert_eq!(row, ["isa-debug-exit", "concrete", "insecure", "guest"]);
    let one = shown("types isa-debug-exit");
    assert_eq!(one.lines().count(), 2, "{one}");
}

fn json(options: &str) -> Vec<Value> {
    serde_json::from_str(&shown(options)).expect("it is a list in JSON")
}

fn names_of(types: &[Value]) -> Vec<&str> {
    types.iter().filter_map(|described| described["name"].as_str()).collect()
}

#[test]
fn json_tells_all_of_a_type() {
    let types = json("types --json");
    let by_name: BTreeMap<_, _> = names_of(&types).into_iter().zip(&types).collect();
    let exit = by_name["isa-debug-exit"];
    assert_eq!(exit["security"], "insecure");
    assert!(exit["reason"].as_str().is_some_and(|reason| reason.contains("exit status")));
    assert_eq!(exit["boundaries"], serde_json::json!(["guest"]));
    for described in &types {
        let parent = described["parent"].as_str();
        assert!(parent.is_none_or(|parent| by_name.contains_key(parent)), "{described}");
        let status = described["security"].as_str().expect("each has a status");
        assert!(["secure", "insecure", "undeclared"].contains(&status), "{described}");
        assert_eq!(status == "insecure", described["reason"].is_string(), "{described}");
        let place = described["stated-at"].as_str().expect("each was stated somewhere");
        assert!(place.contains(".rs:") && !place.starts_with('/'), "{described}");
    }
}

#[test]
fn every_concrete_type_of_the_program_has_a_statement_but_those_for_tests() {
    let types = json("types --json");
    let undeclared = types.iter().filter(|described| {
        described["kind"] == "concrete" && described["security"] == "undeclared"
    });
    let undeclared: Vec<_> = undeclared.map(|described| &described["name"]).collect();
    assert_eq!(undeclared, ["qtest", "qtest-accel"]);
}

#[test]
fn output_that_cannot_be_kept_is_an_error_unless_nobody_wants_it() {
    let into = |arguments: &str, to: &str| {
        let script = format!("\"$0\" {arguments} {to}");
        Vmm::of("/bin/sh", ["-c", &script]).args([palisade()]).run()
    };
    for arguments in ["types --json", "--help", "--version", "-machine help", "-device help"] {
        let failed = into(arguments, "> /dev/full");
        failed.refuses_to_start_with(&["can't write to standard output: No space left on device"]);
        // The shell has the status of the last program; a complaint of ours would be seen.
        into(arguments, "| true").code(0).complains_only(&[]);
    }
}

#[test]
fn types_are_the_same_in_the_same_order_however_the_program_was_built() {
    let [dev, release] = [Profile::Dev, Profile::Release].map(|profile| {
        Vmm::of(palisade_of(profile), ["types", "--json"])
            .run()
            .code(0)
            .complains_only(&[])
            .stdout()
    });
    assert_eq!(dev, release);
    let types: Vec<Value> = serde_json::from_str(&dev).expect("it is a list in JSON");
    let names = names_of(&types);
    assert!(names.is_sorted() && names.len() > 20, "{names:?}");
}
