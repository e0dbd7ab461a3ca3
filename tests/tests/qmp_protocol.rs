//! The machine protocol as QEMU's own tests hold a monitor to it. What those assert is checked here
//! against the real program, and close to the code where it needs no program:
//!
//! | QEMU | here |
//! |---|---|
//! | qmp-test, protocol and malformed input | this file; in pieces of any size: `vmm/src/monitor/qmp/session/tests.rs` |
//! | qmp-test, out-of-band | this file; `vmm/src/monitor/qmp/session/tests/order.rs`, with commands that may overtake |
//! | qmp-cmd-test | `qmp_commands.rs` |
//! | device-introspect-test, qom-test, machine-none-test | `qmp_introspection.rs` |
//! | check-qom-proplist | `qom-core/tests/properties.rs`, `paths.rs`, `tree.rs` |
//! | test-qdev-global-props | `qom-core/tests/globals.rs`; options: `qmp_introspection.rs` |
//!
//! What is asserted of broken clients beyond that is in `qmp_broken_clients.rs`.

use serde_json::{Value, json};
use tests::{
    Scratch, Vmm,
    qmp::{Monitored, Qmp, error_of},
    third_party_vmm,
};

/// A machine that is nothing but its monitor.
const NO_MACHINE: &str = "-nodefaults -machine none";

/// A VM, and a client that has been greeted and no more.
fn greeted() -> (Monitored, Qmp) {
    let scratch = Scratch::new();
    let socket = scratch.path().join("greeted");
    let vm = Monitored::of(Vmm::line(NO_MACHINE).monitor(&socket), scratch);
    (vm, Qmp::greeted(&socket))
}

#[track_caller]
fn is_error(answer: &Value, class: &str, text: &str) {
    let expected = Some((class.to_owned(), text.to_owned()));
    assert_eq!(error_of(answer), expected, "{answer}");
}

#[test]
fn the_greeting_tells_version_and_capabilities() {
    let (_vm, client) = greeted();
    let greeting = &client.greeting()["QMP"];
    for part in ["major", "minor", "micro"] {
        assert!(greeting["version"]["qemu"][part].is_u64(), "{greeting}");
    }
    assert!(greeting["version"]["package"].is_string(), "{greeting}");
    assert_eq!(greeting["capabilities"], json!(["oob"]));
}

#[test]
fn lines_are_ascii_and_end_as_those_of_a_terminal() {
    let (_vm, mut client) = greeted();
    client.send(r#"{"execute": "qmp_capabilities", "id": "élan\u0000"}"#);
    let line = client.line().expect("it answers");
    assert!(line.is_ascii(), "{line:?}");
    assert!(line.ends_with("\r\n"), "{line:?}");
    let answer: Value = serde_json::from_str(&line).expect("it is JSON");
    assert_eq!(answer, json!({ "return": {}, "id": "élan\0" }));
}

#[test]
fn before_the_handshake_every_other_command_is_not_found() {
    let (_vm, mut client) = greeted();
    let expecting = "Expecting capabilities negotiation with 'qmp_capabilities'";
    for command in ["query-version", "quit", "no-such-command"] {
        let answer = client.ask(&json!({ "execute": command, "id": 7 }));
        is_error(&answer, "CommandNotFound", expecting);
        assert_eq!(answer["id"], 7);
    }
    client.execute("qmp_capabilities", json!({}));
    client.execute("query-version", json!({}));
}

#[test]
fn the_handshake_is_not_repeated() {
    let mut vm = Monitored::start(NO_MACHINE);
    let (class, _) = vm.qmp.refused("qmp_capabilities", json!({}));
    assert_eq!(class, "CommandNotFound");
    vm.qmp.execute("query-version", json!({}));
}

#[test]
fn an_unknown_capability_is_refused_and_negotiation_goes_on() {
    let (_vm, mut client) = greeted();
    for enable in [json!(["warp"]), json!(["oob", "warp"]), json!(["oob", null]), json!("oob")] {
        let (class, _) = client.refused("qmp_capabilities", json!({ "enable": enable }));
        assert_eq!(class, "GenericError");
    }
    let (class, _) = client.refused("query-version", json!({}));
    assert_eq!(class, "CommandNotFound", "nothing has been negotiated");
    client.execute("qmp_capabilities", json!({ "enable": ["oob"] }));
    client.execute("query-version", json!({}));
}

#[test]
fn malformed_input_is_an_error_and_the_conversation_goes_on() {
    let mut vm = Monitored::start(NO_MACHINE);
    let client = &mut vm.qmp;
    // What follows some of them brings the client and the monitor together again.
    for input in [
        &b"{]\n"[..],
        b"\xff\n",
        b"{\"execute\": \xff\n",
        b"\x1f\n",
        b"{\"execute\": \"a\x01\n",
        b"{\"execute\": \"\xc3\x28\n",
        b"%p\n",
        b"{\"execute\": %p}\n",
        b"'a\n",
        b"null\n",
        b"{}\n",
        b"[]\n",
        b"\"query-version\"\n",
        b"{\"execute\": {}}\n",
        b"{\"execute\": true}\n",
        b"{\"execute\": null}\n",
        b"{\"arguments\": {}}\n",
        b"{\"execute\": \"query-version\", \"arguments\": []}\n",
        b"{\"execute\": \"query-version\", \"arguments\": null}\n",
        b"{\"execute\": \"query-version\", \"extra\": 1}\n",
        b"{\"execute\": \"query-version\", \"execute\": \"quit\"}\n",
        b"{\"execute\": \"query-version\", \"exec-oob\": \"query-version\"}\n",
        b"{\"execute\": \"query-version\", \"arguments\": {\"extra\": 1}}\n",
    ] {
        client.send(input);
        let answer = client.answer();
        let class = error_of(&answer).map(|(class, _)| class);
        let shown = String::from_utf8_lossy(input);
        assert_eq!(class.as_deref(), Some("GenericError"), "{shown:?}: {answer}");
        // Brackets that a mistake left open are none of what comes next.
        let after = client.ask(&json!({ "execute": "query-version", "id": 1 }));
        assert!(after.get("return").is_some() && after["id"] == 1, "{shown:?}, then {after}");
    }
}

#[test]
fn an_id_of_any_kind_comes_back_on_success_and_on_failure() {
    let mut vm = Monitored::start(NO_MACHINE);
    for id in [json!("cookie"), json!(12), json!(-1.5), json!(null), json!([1, { "a": [] }])] {
        let answer = vm.qmp.ask(&json!({ "execute": "query-name", "id": id }));
        assert_eq!(answer, json!({ "return": {}, "id": id }));
        let answer = vm.qmp.ask(&json!({ "execute": "no-such-command", "id": id }));
        let text = "The command no-such-command has not been found";
        is_error(&answer, "CommandNotFound", text);
        assert_eq!(answer["id"], id);
    }
    let answer = vm.qmp.ask(&json!({ "execute": "query-name" }));
    assert_eq!(answer, json!({ "return": {} }), "no id, unless it was given");
}

#[test]
fn out_of_band_is_for_commands_that_have_it_and_clients_that_negotiated_it() {
    let (mut vm, mut client) = greeted();
    let request = json!({ "exec-oob": "query-version", "id": 1 });
    let answer = vm.qmp.ask(&request);
    is_error(&answer, "GenericError", "QMP input member 'exec-oob' is unexpected");
    client.execute("qmp_capabilities", json!({ "enable": ["oob"] }));
    let answer = client.ask(&request);
    is_error(&answer, "GenericError", "The command query-version does not support OOB");
    assert_eq!(answer["id"], 1);
    let answer = client.ask(&json!({ "exec-oob": "no-such-command" }));
    is_error(&answer, "CommandNotFound", "The command no-such-command has not been found");
    client.execute("query-version", json!({}));
}

#[test]
fn out_of_band_overtakes_in_band() {
    // QEMU's commands that may overtake are there for migration and for what can be yanked, none of
    // which there is here; so these are a third party's.
    let vmm = Vmm::of(third_party_vmm(), NO_MACHINE.split_whitespace());
    let scratch = Scratch::new();
    let socket = scratch.path().join("overtaking");
    let vm = Monitored::of(vmm.monitor(&socket), scratch);
    let mut client = Qmp::connect_out_of_band(&socket);
    // It is answered once what comes last is, and what comes after it waits for it.
    client.send(r#"{"execute": "x-wait", "id": 1}{"execute": "query-name", "id": 2}"#);
    client.send(r#"{"exec-oob": "query-name", "id": 3}{"exec-oob": "x-let-go", "id": 4}"#);
    let answers = [(); 4].map(|()| client.answer());
    assert_eq!(answers.each_ref().map(|answer| &answer["id"]), [3, 4, 1, 2]);
    is_error(&answers[0], "GenericError", "The command query-name does not support OOB");
    assert_eq!(answers[1], json!({ "return": {}, "id": 4 }));
    drop(client);
    vm.quit().code(0);
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let (_vm, mut client) = greeted();
    client.execute("qmp_capabilities", json!({ "enable": ["oob"] }));
    let requests = (0..50).map(|id| match id % 3 {
        0 => json!({ "execute": "query-qmp-schema", "id": id }).to_string(),
        1 => json!({ "execute": "no-such-command", "id": id }).to_string(),
        _ => json!({ "execute": "query-name", "id": id }).to_string(),
    });
    client.send(requests.collect::<String>());
    for id in 0..50 {
        assert_eq!(client.answer()["id"], id);
    }
}

#[test]
fn events_have_the_time_at_which_they_came() {
    let mut vm = Monitored::start(NO_MACHINE);
    vm.qmp.execute("stop", json!({}));
    vm.qmp.execute("cont", json!({}));
    for name in ["STOP", "RESUME"] {
        let event = vm.qmp.event(name);
        let time = &event["timestamp"];
        // After the autumn of 2020, and a part of a second.
        assert!(time["seconds"].as_u64() > Some(1_600_000_000), "{event}");
        assert!(time["microseconds"].as_u64() < Some(1_000_000), "{event}");
    }
}

#[test]
fn a_message_may_be_laid_out_as_its_sender_likes() {
    let mut vm = Monitored::start(NO_MACHINE);
    vm.qmp.send("\r\n\t {\n  'execute' :\t'query-name',\r\n\n 'id':\n'it\\'s'}");
    assert_eq!(vm.qmp.answer(), json!({ "return": {}, "id": "it's" }));
}

#[test]
fn the_monitor_s_stream_can_be_defined_apart_and_laid_out_for_people() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("apart");
    let chardev = format!("socket,id=c,path={},server=on,wait=off", socket.display());
    let vmm = Vmm::line(NO_MACHINE).args(["-chardev", &chardev]);
    let vm = Monitored::of(vmm.and("-mon chardev=c,mode=control"), scratch);
    Qmp::connect(&socket).execute("query-name", json!({}));
    vm.quit().code(0);
}
