//! The policy, as a user meets it: what is refused, what it takes to allow it, what is said.

use std::{net::TcpListener, os::fd::OwnedFd, process::Command};

use serde_json::json;
use tests::{Scratch, Vmm, guest, palisade, qmp::Monitored};

/// Ends the process by a signal when it aborts.
const SIGABRT: i32 = 6;

const REFUSED: &str =
    "palisade: -device isa-debug-exit: Type 'isa-debug-exit' is declared as insecure";
const EXPLAINED: &str = "palisade: boundary: guest; reason: the guest ends the VMM's process and \
                         picks its exit status, which whoever started the VMM may take for the \
                         VMM's own word; it is for test guests; to allow it: \
                         -compat insecure-types=accept";
const TAINTED: &str = "palisade: tainted: '/machine/peripheral-anon/device[0]': Type \
                       'isa-debug-exit' is declared as insecure: the guest ends the VMM's process \
                       and picks its exit status, which whoever started the VMM may take for the \
                       VMM's own word; it is for test guests";

/// What the end of the run says once more.
fn was_tainted() -> String {
    TAINTED.replacen("tainted", "was tainted", 1)
}

/// A guest that ends the monitor by its insecure device, so that a start that is not refused shows.
struct Insecure {
    _scratch: Scratch,
    vmm: Vmm,
}

impl Insecure {
    fn new(value: u8) -> Self {
        let scratch = Scratch::new();
        let kernel = scratch.guest(guest::debug_exit("ran", value));
        let vmm = Vmm::line("-device isa-debug-exit -m 16M").kernel(kernel);
        Self { _scratch: scratch, vmm }
    }

    fn with(&self, options: &str) -> Vmm {
        self.vmm.clone().and(options)
    }
}

#[test]
fn an_insecure_device_is_refused_unless_somebody_states_otherwise() {
    let insecure = Insecure::new(0);
    let refused = insecure.with("").run().code(1).says_only("");
    refused.complains_only(&[REFUSED, EXPLAINED]);
}

#[test]
fn each_statement_that_refuses_is_named_as_what_to_replace() {
    let insecure = Insecure::new(0);
    for (options, statement) in [
        ("-machine require-secure=yes", "require-secure=yes"),
        ("-machine prohibit-insecure=yes", "prohibit-insecure=yes"),
        ("-compat insecure-types=reject", "insecure-types=reject"),
        ("--machine microvm,require-secure=on", "require-secure=yes"),
    ] {
        let explained = format!("{EXPLAINED} in place of '{statement}'");
        let refused = insecure.with(options).run().code(1).says_only("");
        refused.complains_only(&[REFUSED, &explained]);
    }
}

#[test]
fn a_refusal_under_insecure_input_crash_aborts_so_that_a_fuzzer_sees_it() {
    let insecure = Insecure::new(0);
    let crashed = insecure.with("-compat insecure-input=crash").run().killed_by(SIGABRT);
    let crashed = crashed.says_only("");
    assert_eq!(crashed.lines()[0], REFUSED);
    assert!(crashed.lines()[1].starts_with(EXPLAINED), "{crashed}");
    // Nothing to refuse, nothing to crash for.
    Vmm::line("-compat insecure-input=crash -device pvpanic")
        .run()
        .refuses_to_start("-machine microvm: nothing to boot from: give -kernel or -bios");
}

#[test]
fn an_insecure_device_that_is_accepted_works_and_taints_the_vm() {
    for (value, status) in [(0, 1), (3, 7), (0x7f, 255), (0x80, 1)] {
        let insecure = Insecure::new(value);
        let ran = insecure.with("-compat insecure-types=accept").run().code(status);
        ran.says_only("ran").complains_only(&[TAINTED, &was_tainted()]);
    }
    let ran = Insecure::new(5).with("-machine require-secure=no").run().code(11);
    ran.says_only("ran").complains_only(&[TAINTED, &was_tainted()]);
}

#[test]
fn a_warning_is_a_line_of_its_own_beside_the_taint() {
    let warning = REFUSED.replace("palisade: ", "palisade: warning: ");
    for switch in ["insecure-types", "insecure-input"] {
        let ran = Insecure::new(5).with(&format!("-compat {switch}=warn")).run().code(11);
        ran.says_only("ran").complains_only(&[&warning, TAINTED, &was_tainted()]);
    }
}

#[test]
fn what_is_said_of_a_guest_with_a_name_starts_with_it() {
    let insecure = Insecure::new(5);
    let named = |line: &str| line.replacen("palisade: ", "palisade[web\\n1]: ", 1);
    // The name can't break the line.
    let ran = insecure.with("-compat insecure-types=warn").args(["-name", "web\n1"]).run().code(11);
    let warning = REFUSED.replace("palisade: ", "palisade: warning: ");
    let expected = [&*warning, TAINTED, &was_tainted()].map(named);
    ran.says_only("ran").complains_only(&expected.each_ref().map(String::as_str));
    // What never was has no name.
    insecure.with("-name web").run().code(1).complains_only(&[REFUSED, EXPLAINED]);
}

#[test]
fn of_several_statements_the_strictest_holds_in_whatever_order_they_come() {
    let insecure = Insecure::new(5);
    for options in [
        "-compat insecure-types=accept -machine require-secure=yes",
        "-machine require-secure=yes -compat insecure-types=accept",
        "-machine require-secure=no,require-secure=yes",
        "-machine require-secure=yes,require-secure=no",
        "-compat insecure-types=accept -compat insecure-types=reject",
        "-compat insecure-types=warn -machine prohibit-insecure=yes",
    ] {
        let refused = insecure.with(options).run().code(1).says_only("");
        assert_eq!(refused.lines()[0], REFUSED, "{refused}");
    }
    let warned = insecure.with("-compat insecure-types=accept,insecure-types=warn").run().code(11);
    assert_eq!(warned.lines().len(), 3, "{warned}");
    // No statement at all, so that the default still holds.
    insecure.with("-machine prohibit-insecure=no").run().code(1).complains(REFUSED);
}

#[test]
fn everything_that_is_refused_is_listed_at_once() {
    let refused = Insecure::new(0).with("-device isa-debug-exit,id=x,iobase=0x300").run().code(1);
    let second = "palisade: -device isa-debug-exit,id=x,iobase=0x300: Type 'isa-debug-exit' is \
                  declared as insecure";
    refused.complains_only(&[REFUSED, EXPLAINED, second, EXPLAINED]);
}

#[test]
fn a_refusal_comes_before_a_missing_kernel() {
    Vmm::line("-device isa-debug-exit").run().code(1).complains_only(&[REFUSED, EXPLAINED]);
}

#[test]
fn nothing_is_opened_for_a_machine_that_is_refused() {
    // Opening this accelerator would fail.
    let insecure = Insecure::new(0);
    let vmm = insecure.with("-accel kvm,device=/nonexistent");
    vmm.run().code(1).complains_only(&[REFUSED, EXPLAINED]);
}

/// What is told of a monitor whose character device a guest's device uses too.
fn shared(chardev: &str) -> String {
    format!("Property 'monitor-qmp.chardev' with value '{chardev}' is declared as insecure")
}

#[test]
fn a_monitor_on_a_chardev_that_a_guest_s_device_uses_is_refused_at_the_start() {
    for options in [
        "-mon chardev=c,mode=control -device isa-debugcon,chardev=c",
        "-device isa-debugcon,chardev=c -mon chardev=c,mode=control",
        "-mon chardev=c,mode=control -serial chardev:c",
    ] {
        let vmm = Vmm::line("-nodefaults -accel kvm -chardev ringbuf,id=c").and(options);
        let scratch = Scratch::new();
        let kernel = scratch.guest(guest::power_off("ran"));
        let refused = vmm.clone().kernel(&kernel).run().code(1).says_only("");
        assert!(refused.lines()[0].ends_with(&shared("/chardevs/c")), "{refused}");
        let why = "a guest's device uses the same character device, so that the guest could speak \
                   to the monitor";
        assert!(refused.lines()[1].contains(why), "{refused}");
    }
}

#[test]
fn a_guest_s_device_on_a_monitor_s_chardev_is_refused_later_too() {
    let scratch = Scratch::new();
    let vmm =
        Vmm::line("-machine none -nodefaults -S -chardev ringbuf,id=c -mon chardev=c,mode=control");
    let mut vm = Monitored::of(vmm, scratch);
    let console = json!({ "driver": "isa-debugcon", "id": "d", "chardev": "/chardevs/c" });
    let would_be = json!({ "objects": [{
        "kind": "device", "type": "isa-debugcon", "id": "d",
        "properties": { "chardev": "/chardevs/c" },
    }] });
    let verdicts = vm.qmp.execute("check-security", would_be);
    assert_eq!(verdicts["holds"], false);
    let monitor = verdicts["objects"].as_array().and_then(|all| all.last()).expect("a list");
    assert_eq!((&monitor["type"], &monitor["verdict"]), (&json!("monitor-qmp"), &json!("refused")));
    let (class, text) = vm.qmp.refused("device_add", console);
    assert_eq!((&*class, text), ("GenericError", shared("/chardevs/c")));
    assert_eq!(vm.qmp.execute("query-security", json!({}))["tainted"], false);
    vm.quit().code(0);
}

#[test]
fn standard_streams_that_are_another_host_s_are_judged_as_such() {
    // As who starts a process for each connection hands it over. A socket that is bound to all
    // addresses may lead anywhere, one that is bound to a loopback address may not.
    let start = |what: &[&str], address: &str, option: &str| {
        let socket = TcpListener::bind((address, 0)).expect("there is a port");
        let mut command = Command::new(palisade());
        command.args(what).args("-machine none -nodefaults".split(' ')).args(["-chardev", option]);
        command.args(["-mon", "chardev=c,mode=control"]).stdin(OwnedFd::from(socket));
        command.output().expect("it can be started")
    };
    let everywhere = start(&[], "0.0.0.0", "stdio,id=c");
    let told = String::from_utf8_lossy(&everywhere.stderr).into_owned();
    assert_eq!(everywhere.status.code(), Some(1), "{told}");
    assert!(told.contains("'chardev-stdio.remote' with value 'true' is declared as insecure"));
    assert!(everywhere.stdout.is_empty(), "no greeting");
    let off = start(&[], "0.0.0.0", "stdio,id=c,remote=off");
    let told = String::from_utf8_lossy(&off.stderr).into_owned();
    assert!(told.contains("'remote' is off"), "{told}");
    // It would run for ever.
    let here = start(&["check"], "127.0.0.1", "stdio,id=c");
    assert_eq!(here.status.code(), Some(0), "{}", String::from_utf8_lossy(&here.stdout));
}

#[test]
fn ports_that_others_reach_are_forwarded_to_no_guest_without_leave() {
    let start = |forward: &str| {
        Vmm::line("check -machine none -nodefaults")
            .and(&format!("-netdev user,id=n,hostfwd={forward}"))
            .run()
    };
    for forward in ["tcp::0-:22", "udp:0.0.0.0:0-:53"] {
        start(forward).code(1).says("a port on a non-loopback address");
    }
    start("tcp:127.0.0.1:0-:22").code(0);
}
