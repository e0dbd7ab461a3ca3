//! `-compat` for what is deprecated or unstable, as a user meets it: the reconnect of a socket, in
//! seconds, is deprecated.

use serde_json::{Value, json};
use tests::{Finished, Scratch, Vmm, qmp::Monitored};

/// Ends the process by a signal when it aborts.
const SIGABRT: i32 = 6;

const ASKED: &str = "-chardev socket,id=c,path=peer,server=off,reconnect=1";
const REFUSED: &str = "palisade: -chardev socket,id=c,path=peer,server=off,reconnect=1: Deprecated \
                       property 'chardev-socket.reconnect' disabled by policy";
const EXPLAINED: &str = "palisade: reason: use reconnect-ms, in milliseconds; to allow it: -compat \
                         deprecated-input=accept";
const WARNED: &str = "palisade: warning: -chardev socket,id=c,path=peer,server=off,reconnect=1: \
                      property 'chardev-socket.reconnect' is deprecated: use reconnect-ms, in \
                      milliseconds";

/// A VM in a folder of its own, where nobody has to listen as a peer, and a client.
fn monitored(options: &str) -> Monitored {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-machine none").and(options).within(scratch.path());
    Monitored::of(vmm, scratch)
}

fn start(options: &str) -> Finished {
    let scratch = Scratch::new();
    Vmm::line("-machine none").and(ASKED).and(options).within(scratch.path()).run()
}

#[test]
fn what_is_deprecated_is_refused_before_anything_is_made() {
    for options in [
        "-compat deprecated-input=reject",
        "-compat deprecated-input=accept -compat deprecated-input=reject",
        r#"-compat {"deprecated-input":"reject"}"#,
        // The policy is that of the whole line, wherever it stands, and that of security another.
        "-compat insecure-types=accept,deprecated-input=reject",
    ] {
        start(options).code(1).says_only("").complains_only(&[REFUSED, EXPLAINED]);
    }
}

#[test]
fn a_refusal_under_crash_aborts_so_that_a_test_harness_sees_it() {
    let crashed = start("-compat deprecated-input=crash").killed_by(SIGABRT).says_only("");
    crashed.complains_only(&[REFUSED, EXPLAINED]);
}

#[test]
fn what_is_deprecated_is_taken_unless_somebody_says_otherwise() {
    for options in [
        "",
        "-compat deprecated-input=accept",
        "-compat deprecated-input=reject,deprecated-input=accept",
        "-compat unstable-input=reject,unstable-output=hide,deprecated-output=hide",
    ] {
        monitored(&format!("{ASKED} {options}")).quit().code(0).complains_only(&[]);
    }
}

#[test]
fn a_warning_is_given_once_for_each_thing() {
    let other = "-chardev socket,id=d,path=peer,server=off,reconnect=2";
    let mut vm = monitored(&format!("{ASKED} {other} -compat deprecated-input=warn"));
    for id in ["e", "f"] {
        vm.qmp.execute("chardev-add", reconnecting(id));
    }
    // The command has a parameter of its own.
    let parameter = "palisade: warning: parameter 'backend.data.reconnect' is deprecated";
    vm.quit().code(0).complains_only(&[WARNED, parameter]);
}

#[test]
fn a_global_setting_is_refused_in_its_own_name() {
    let scratch = Scratch::new();
    let vmm = Vmm::line("-machine none -chardev socket,id=c,path=peer,server=off");
    let vmm = vmm.and("-global chardev-socket.reconnect=1 -compat deprecated-input=reject");
    let refused = "palisade: -global chardev-socket.reconnect=1: Deprecated property \
                   'chardev-socket.reconnect' disabled by policy";
    vmm.within(scratch.path()).run().code(1).complains_only(&[refused, EXPLAINED]);
}

#[test]
fn a_configuration_file_says_the_same_and_what_comes_later_holds() {
    let scratch = Scratch::new();
    scratch.file("vm.cfg", "[compat]\n  deprecated-input = \"reject\"\n");
    let vmm =
        |options: &str| Vmm::line("-machine none").and(ASKED).and(options).within(scratch.path());
    let refused = vmm("-readconfig vm.cfg").run().code(1);
    refused.complains_only(&[REFUSED, EXPLAINED]);
    let refused = vmm("-compat deprecated-input=warn -readconfig vm.cfg").run().code(1);
    refused.complains_only(&[REFUSED, EXPLAINED]);
    let warned = vmm("-readconfig vm.cfg -compat deprecated-input=warn");
    Monitored::of(warned, scratch).quit().code(0).complains_only(&[WARNED]);
}

#[test]
fn check_tells_what_would_be_refused_and_makes_nothing() {
    let check = |options: &str| Vmm::line("check -machine none").and(ASKED).and(options).run();
    let row = |finished: &Finished| {
        let table = finished.stdout();
        let row = table.lines().find(|line| line.contains("/chardevs/c"));
        row.unwrap_or_else(|| panic!("{finished}")).trim_end().to_owned()
    };
    let refused = check("-compat deprecated-input=reject").code(1);
    let reason = "refused    reconnect: deprecated: use reconnect-ms, in milliseconds";
    assert!(row(&refused).ends_with(reason), "{refused}");
    let warned = check("-compat deprecated-input=warn").code(0);
    assert!(row(&warned).contains(" warned "), "{warned}");
    // Nothing aborts where nothing is made.
    check("-compat deprecated-input=crash").code(1);
    let permitted = check("").code(0);
    assert!(row(&permitted).ends_with(" permitted"), "{permitted}");
    let answer = check("-compat deprecated-input=reject --json").code(1).stdout();
    let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
    assert_eq!(answer["holds"], false);
    let objects = answer["objects"].as_array().expect("a list");
    let socket = objects.iter().find(|object| object["path"] == "/chardevs/c").expect("it is");
    assert_eq!(socket["verdict"], "refused");
    assert_eq!(
        socket["objections"],
        json!([{
            "property": "reconnect",
            "feature": "deprecated",
            "what": "Deprecated property 'chardev-socket.reconnect' disabled by policy",
            "reason": "use reconnect-ms, in milliseconds",
        }])
    );
}

/// Arguments of `chardev-add` for a client that reconnects, in the deprecated words.
fn reconnecting(id: &str) -> Value {
    json!({"id": id, "backend": {"type": "socket", "data": {
        "addr": {"type": "unix", "data": {"path": "peer"}}, "server": false, "reconnect": 1,
    }}})
}

#[test]
fn a_monitors_client_is_refused_what_an_option_is() {
    let mut vm = monitored("-compat deprecated-input=reject");
    let before = vm.qmp.execute("query-chardev", json!({}));
    let text = "Deprecated parameter 'backend.data.reconnect' disabled by policy".to_owned();
    let refused = vm.qmp.refused("chardev-add", reconnecting("e"));
    assert_eq!(refused, ("GenericError".to_owned(), text));
    assert_eq!(vm.qmp.execute("query-chardev", json!({})), before);
    vm.quit().code(0).complains_only(&[]);
}

#[test]
fn a_monitors_client_crashes_the_program_where_that_is_asked_for() {
    let mut vm = monitored("-compat deprecated-input=crash");
    let add = json!({"execute": "chardev-add", "arguments": reconnecting("e")});
    vm.qmp.send(format!("{add}\n"));
    let said = "palisade: Deprecated parameter 'backend.data.reconnect' disabled by policy";
    let switch = "palisade: to allow it: -compat deprecated-input=accept";
    vm.running.finish().killed_by(SIGABRT).complains_only(&[said, switch]);
}

#[test]
fn what_is_hidden_is_told_nowhere() {
    let told = |options: &str| {
        let mut vm = monitored(options);
        let typename = json!({"typename": "chardev-socket"});
        let properties = vm.qmp.execute("qom-list-properties", typename);
        let schema = vm.qmp.execute("query-qmp-schema", json!({}));
        vm.quit().code(0).complains_only(&[]);
        [properties, schema]
    };
    let (all, left) = (told(""), told("-compat deprecated-output=hide"));
    let property = |answer: &Value, name: &str| {
        let list = answer.as_array().expect("a list");
        list.iter().find(|one| one["name"] == name).cloned()
    };
    let reconnect = property(&all[0], "reconnect").expect("it is told");
    assert_eq!(reconnect["deprecated"], true);
    assert_eq!(reconnect["replacement"], "use reconnect-ms, in milliseconds");
    assert_eq!(property(&left[0], "reconnect"), None);
    assert!(property(&left[0], "reconnect-ms").is_some());
    // The same of the arguments of a command, and of what the schema tells twice.
    let deprecated =
        |answer: &Value| answer.to_string().matches(r#""features":["deprecated"]"#).count();
    assert!(deprecated(&all[1]) >= 2, "the reconnect of chardev-add and the values of an enum");
    assert_eq!(deprecated(&left[1]), 0);
    let enums = |answer: &Value, key: &str| {
        let infos = answer.as_array().expect("a list");
        let enums = infos.iter().filter(|info| info["meta-type"] == "enum");
        enums.filter(|info| info.get(key).is_some()).count()
    };
    assert!(enums(&all[1], "values") > 5);
    assert_eq!(enums(&left[1], "values"), 0);
    assert_eq!(enums(&left[1], "members"), enums(&all[1], "members"));
}

#[test]
fn help_tells_what_is_deprecated_unless_that_is_hidden() {
    let help = |options: &str| {
        Vmm::line(options).and("-chardev socket,help").run().code(0).complains_only(&[]).stdout()
    };
    let deprecated = "(deprecated: use reconnect-ms, in milliseconds)";
    assert!(help("").contains(deprecated));
    let left = help("-compat deprecated-output=hide");
    assert!(!left.contains("reconnect=<") && left.contains("reconnect-ms=<"), "{left}");
    let explained = Vmm::line("check --explain chardev-socket").run().code(0);
    explained.says("      deprecated: use reconnect-ms, in milliseconds\n");
}

#[test]
fn a_word_that_is_none_is_refused_with_those_that_are() {
    Vmm::line("-compat deprecated-input=hide").run().refuses_to_start(
        "-compat deprecated-input=hide: Parameter 'deprecated-input' does not accept value 'hide' \
         (expected accept, reject, crash or warn)",
    );
    Vmm::line("-compat deprecated-inptu=reject")
        .run()
        .refuses_to_start_with(&["-compat deprecated-inptu=reject: ", "'deprecated-input'"]);
}
