//! Types that the project does not know, in a monitor that a third party builds with them.

use serde_json::json;
use tests::{Scratch, Vmm, empty_vmm, guest, matrix_vmm, qmp::Monitored, third_party_vmm};

fn third_party(options: &str) -> Vmm {
    Vmm::of(third_party_vmm(), options.split_whitespace())
}

#[test]
fn a_named_crate_without_types_is_an_error_before_anything_else() {
    let error = "crate 'empty_vmm' was named for its types but registered none: it was not \
                 linked, defines no type, or calls itself by another name";
    for options in ["", "-machine none", "types", "-machine help", "-kernl"] {
        let vmm = Vmm::of(empty_vmm(), options.split_whitespace());
        vmm.run().refuses_to_start(error);
    }
}

#[test]
fn a_monitor_calls_itself_by_the_name_of_its_own_package() {
    let shown = |option| Vmm::of(third_party_vmm(), [option]).run().code(0).stdout();
    assert!(shown("--help").starts_with("Usage: third-party-vmm [OPTION]..."));
    assert_eq!(shown("--version"), format!("third-party-vmm {}\n", env!("CARGO_PKG_VERSION")));
    let refused = Vmm::of(third_party_vmm(), ["-kernl"]).run().code(1);
    refused.complains_only(&["third-party-vmm: -kernl: unknown option; did you mean '-kernel'?"]);
}

#[test]
fn an_undeclared_device_is_refused_by_default_and_told_apart_from_an_insecure_one() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::port_keeps(0x600, 0x5a));
    let vmm = third_party("-device undeclared-device -no-reboot").kernel(kernel);
    let refused = "third-party-vmm: -device undeclared-device: Type 'undeclared-device' is not declared \
                   as secure";
    let explained = "third-party-vmm: boundary: guest; reason: nobody has declared it secure yet; to \
                     allow it: -machine prohibit-insecure=yes";
    vmm.run().code(1).says_only("").complains_only(&[refused, explained]);
    for options in ["-machine require-secure=yes", "-compat insecure-types=reject"] {
        let by_statement = vmm.clone().and(options).run().code(1).says_only("");
        assert_eq!(by_statement.lines()[0], refused, "{by_statement}");
        assert!(by_statement.lines()[1].starts_with(explained), "{by_statement}");
    }
    let tainted = "third-party-vmm: tainted: '/machine/peripheral-anon/device[0]': Type \
                   'undeclared-device' is not declared as secure: nobody has declared it secure yet";
    for options in [
        "-machine prohibit-insecure=yes",
        "-compat insecure-types=accept",
        "-machine require-secure=no",
    ] {
        let ran = vmm.clone().and(options).run().code(0).says_only("kept");
        assert_eq!(ran.lines()[0], tainted, "{ran}");
    }
    let warned = vmm.and("-compat insecure-types=warn").run().code(0).says_only("kept");
    assert_eq!(warned.lines()[..2], [&refused.replacen(": ", ": warning: ", 1), tainted]);
}

#[test]
fn without_its_device_the_port_keeps_nothing() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::port_keeps(0x600, 0x5a));
    third_party("-no-reboot").kernel(kernel).run().code(0).says_only("lost");
}

#[test]
fn a_value_can_be_insecure_where_the_type_is_not() {
    let vmm = third_party("-machine none");
    for value in ["open", "ajar"] {
        let device = format!("-device conditional-device,door={value}");
        let refused = format!(
            "third-party-vmm: {device}: Property 'conditional-device.door' with value '{value}' is \
             declared as insecure"
        );
        let explained = "third-party-vmm: boundary: guest; reason: anybody comes in; to allow it: -compat \
                         insecure-types=accept";
        vmm.clone().and(&device).run().code(1).complains_only(&[&refused, explained]);
        // A value is judged as an insecure type, which this permits no more than that.
        let prohibited = vmm.clone().and(&device).and("-machine prohibit-insecure=yes").run();
        assert_eq!(prohibited.code(1).lines()[0], refused);
    }
}

#[test]
fn a_value_can_be_judged_by_the_whole_configuration_globals_included() {
    let vmm = third_party("-machine none");
    let reason = "reason: nobody watches a door that is not locked";
    let property = "Property 'conditional-device.guards' with value '0' is declared as insecure";
    for options in [
        "-device conditional-device,guards=0,locked=off",
        "-global conditional-device.locked=off -device conditional-device,guards=0",
        "-global isa-device.locked=off -device conditional-device,guards=0",
        "-device {\"driver\":\"conditional-device\",\"guards\":0,\"locked\":false}",
    ] {
        vmm.clone().and(options).run().code(1).complains(property).complains(reason);
    }
}

#[test]
fn a_value_that_is_fine_with_the_others_is_not_refused() {
    for device in ["conditional-device,guards=0", "conditional-device,locked=off,door=shut"] {
        // The second port is taken, so that the start ends after the judgement.
        let vmm = third_party("-machine none -device failing-device").args(["-device", device]);
        let failed = vmm.run().refuses_to_start_with(&["-device failing-device: "]);
        assert!(!failed.stderr().contains("conditional"), "{failed}");
    }
}

#[test]
fn a_value_that_is_changed_later_taints_as_one_that_is_given() {
    let device = "conditional-device,guards=0,id=d";
    let path = "/machine/peripheral/d";
    let property = "Property 'conditional-device.guards' with value '0' is declared as insecure";
    let reason = "nobody watches a door that is not locked";
    let unlock = json!({ "path": path, "property": "locked", "value": false });
    let vmm = third_party("-machine none").args(["-device", device]);
    let mut vm = Monitored::of(vmm.clone(), Scratch::new());
    assert_eq!(vm.qmp.refused("qom-set", unlock.clone()).1, property);
    assert_eq!(vm.qmp.property(path, "locked"), true);
    vm.quit().code(0).complains_only(&[]);
    let mut vm = Monitored::of(vmm.and("-compat insecure-types=warn"), Scratch::new());
    vm.qmp.execute("qom-set", unlock);
    let event = vm.qmp.event("SECURITY_TAINTED");
    assert_eq!(event["data"]["path"], path);
    assert_eq!(event["data"]["property"], "guards");
    let tainted = |word: &str| format!("third-party-vmm: {word}: '{path}': {property}: {reason}");
    vm.quit().code(0).complains_only(&[
        &format!("third-party-vmm: warning: -device {device}: {property}"),
        &tainted("tainted"),
        &tainted("was tainted"),
    ]);
}

#[test]
fn a_device_that_fails_fails_the_start_in_its_own_words() {
    let vmm = third_party("-machine none -device failing-device,iobase=0x620");
    vmm.run()
        .refuses_to_start("-device failing-device,iobase=0x620: the flux capacitor is missing");
}

#[test]
fn the_types_of_a_third_party_say_who_declared_them() {
    let version = env!("CARGO_PKG_VERSION");
    let types =
        Vmm::of(third_party_vmm(), ["types", "--json", "conditional-device", "undeclared-device"])
            .run()
            .code(0);
    let listed: serde_json::Value = serde_json::from_slice(types.bytes()).expect("it is JSON");
    for (index, security) in [(0, "secure"), (1, "undeclared")] {
        assert_eq!(listed[index]["security"], security, "{types}");
        let by = format!("third-party-vmm {version}");
        assert_eq!(listed[index]["stated-by"], by, "{types}");
    }
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{types}");
}

#[test]
fn help_on_a_type_shows_which_of_its_values_are_insecure_and_why() {
    let help = Vmm::of(third_party_vmm(), ["-device", "conditional-device,help"]).run().code(0);
    help.says("conditional-device options: (secure)\n")
        .says(
            " - How it listens (default: \"closed\"; insecure if open or ajar: anybody comes in)\n",
        )
        .says("insecure in some configurations: nobody watches a door that is not locked)\n")
        .says(" - Whether the door is locked (default: true)\n");
}

#[test]
fn help_shows_the_devices_of_a_third_party_with_what_they_declare() {
    let help = Vmm::of(third_party_vmm(), ["-device", "help"]).run().code(0);
    help.says(
        "name \"undeclared-device\", bus ISA, desc \"Port that reads as the last byte written to \
         it\"\n",
    )
    .says(
        "name \"conditional-device\", bus ISA, desc \"Device that is fit for use but in some \
         settings\" (secure)\n",
    );
}

#[test]
fn a_third_party_s_character_device_is_added_by_command_and_told_of_in_the_schema() {
    let vmm = Vmm::of(matrix_vmm(), ["-machine", "none", "-nodefaults"]);
    let mut vm = Monitored::of(vmm, Scratch::new());
    let backend = json!({"type": "secure", "data": {}});
    let asked = json!({"kind": "chardev", "id": "c0", "backend": backend});
    let verdicts = vm.qmp.execute("check-security", json!({"objects": [asked]}));
    assert_eq!(verdicts["holds"], true, "{verdicts}");
    vm.qmp.execute("chardev-add", json!({"id": "c0", "backend": backend}));
    assert_eq!(vm.qmp.property("/chardevs/c0", "type"), json!("chardev-secure"));
    let other = json!({"type": "secure", "data": {"colour": 1}});
    let (_, text) = vm.qmp.refused("chardev-add", json!({"id": "c1", "backend": other}));
    assert_eq!(text, "Parameter 'backend.data.colour' is unexpected");
    let schema = vm.qmp.execute("query-qmp-schema", json!({}));
    let words =
        schema.as_array().expect("a list").iter().filter_map(|it| it["variants"].as_array());
    let mut cases = words.flatten().map(|case| &case["case"]);
    assert!(cases.any(|case| *case == json!("secure")), "{schema}");
}
