//! Conversations: what QEMU's own tests of the protocol (tests/qtest/qmp-test.c) hold a server to.

mod order;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::monitor::qmp::{
    budget::{Budget, TOKEN_BYTES},
    framer::Limits,
};

/// Commands that a client can tell apart.
struct Commands;

impl Dispatch for Commands {
    fn find(&self, name: &str) -> Option<CommandTraits> {
        let out_of_band = match name {
            "echo" | "fail" => false,
            "oob-echo" => true,
            _ => return None,
        };
        Some(CommandTraits { out_of_band })
    }
}

impl Commands {
    fn call(&self, request: &Request) -> Result<Value, CommandError> {
        match request.command.as_str() {
            "fail" => Err(CommandError::new(ErrorClass::DeviceNotFound, "Device 'x' not found")),
            _ => Ok(Value::Object(request.arguments.clone())),
        }
    }
}

/// A client, and the session that it talks to.
struct Client {
    session: Session,
    budget: Arc<Budget>,
    /// What the session has not taken yet.
    unread: Vec<u8>,
}

fn version() -> Version {
    Version { major: 10, minor: 1, micro: 0, package: "palisade".to_owned() }
}

impl Client {
    fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    fn with_limits(limits: Limits) -> Self {
        let budget = Budget::new(1 << 20);
        let framer = Framer::with_limits(limits, Arc::clone(&budget));
        let mut session = Session::new(version(), Wire::default(), framer);
        session.open();
        Self { session, budget, unread: Vec::new() }
    }

    fn ready() -> Self {
        let mut client = Self::new();
        assert_eq!(client.ask("{'execute': 'qmp_capabilities'}"), [json!({"return": {}})]);
        client
    }

    fn with_oob() -> Self {
        let mut client = Self::new();
        let request = "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}";
        assert_eq!(client.ask(request), [json!({"return": {}})]);
        client
    }

    /// What it is answered by a driver that does everything at once.
    fn ask(&mut self, input: impl AsRef<[u8]>) -> Vec<Value> {
        let mut answers = Vec::new();
        self.session.serve(
            input.as_ref(),
            &Commands,
            |request| Commands.call(request),
            |bytes| answers.push(read(&bytes)),
        );
        answers
    }

    /// The steps for what it sends, of which nothing is finished yet.
    fn steps(&mut self, input: &str) -> Vec<Step> {
        self.unread.extend(input.as_bytes());
        let (mut rest, mut steps) = (&self.unread[..], Vec::new());
        while let Some(step) = self.session.step(&mut rest, &Commands) {
            steps.push(step);
        }
        self.unread = rest.to_vec();
        steps
    }

    fn finish(&mut self, job: Job) -> Option<Value> {
        let result = Commands.call(job.request());
        self.session.finish(job, &result).map(|bytes| read(&bytes))
    }

    /// It is told of one mistake, at once, and gets on.
    fn is_told_of(&mut self, input: &[u8]) -> String {
        let answers = self.ask(input);
        let [answer] = &answers[..] else { panic!("{input:?}: {answers:?}") };
        assert_eq!(answer["error"]["class"], "GenericError", "{answer}");
        let desc = answer["error"]["desc"].as_str().unwrap().to_owned();
        let answer = self.ask("{ \"execute\": \"no-such-cmd\" }\n").remove(0);
        assert_eq!(answer["error"]["class"], "CommandNotFound", "{input:?}: {answer}");
        desc
    }
}

/// What one message says, which has the form of all.
fn read(bytes: &[u8]) -> Value {
    let line = bytes.strip_suffix(b"\r\n").expect("CR and LF end a message");
    assert!(line.is_ascii() && !line.contains(&b'\n'));
    serde_json::from_slice(line).expect("a message is JSON")
}

fn error(class: &str, desc: &str) -> Value {
    json!({"error": {"class": class, "desc": desc}})
}

fn request(member: &str, command: &str, id: u32) -> String {
    format!("{{'{member}': '{command}', 'id': {id}}}")
}

fn run(step: Option<Step>) -> Job {
    match step {
        Some(Step::Run(job)) => job,
        other => panic!("{other:?}"),
    }
}

fn reply(step: Option<Step>) -> Value {
    match step {
        Some(Step::Reply(bytes)) => read(&bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_is_greeted() {
    let mut session = Session::new(version(), Wire::default(), Framer::new(Budget::new(1000)));
    let numbers = json!({"major": 10, "minor": 1, "micro": 0});
    let version = json!({"qemu": numbers, "package": "palisade"});
    let greeting = json!({"QMP": {"version": version, "capabilities": ["oob"]}});
    assert_eq!(read(&session.open()), greeting);
}

#[test]
fn a_command_before_the_handshake_is_not_found() {
    let expecting = "Expecting capabilities negotiation with 'qmp_capabilities'";
    for command in ["echo", "no-such-cmd"] {
        let answers = Client::new().ask(request("execute", command, 7));
        let mut expected = error("CommandNotFound", expecting);
        expected["id"] = json!(7);
        assert_eq!(answers, [expected]);
    }
}

#[test]
fn the_handshake_makes_commands_work_and_is_not_repeated() {
    let mut client = Client::ready();
    assert_eq!(
        client.ask("{'execute': 'echo', 'arguments': {'a': 1}}"),
        [json!({"return": {"a": 1}})]
    );
    let complete = "Capabilities negotiation is already complete, command ignored";
    assert_eq!(client.ask("{'execute': 'qmp_capabilities'}"), [error("CommandNotFound", complete)]);
    assert_eq!(client.ask("{'execute': 'echo'}"), [json!({"return": {}})]);
}

#[test]
fn malformed_input_is_an_error_at_once_and_the_conversation_goes_on() {
    for mut client in [Client::new(), Client::ready(), Client::with_oob()] {
        for input in [
            &b"{]"[..],
            b"{\xff",
            b"{\x01",
            b"{'bad \xff",
            b"{'execute': 'nonexistent', 'id':'\n",
            b"%p",
        ] {
            let desc = client.is_told_of(input);
            assert!(desc.starts_with("JSON parse error, "), "{desc}");
        }
        for (input, desc) in [
            ("null\n", "QMP input must be a JSON object"),
            ("[]", "QMP input must be a JSON object"),
            ("{}", "QMP input lacks member 'execute'"),
            ("{'execute': true}", "QMP input member 'execute' must be a string"),
            (
                "{'execute': 'no-such-cmd', 'arguments': []}",
                "QMP input member 'arguments' must be an object",
            ),
            ("{'execute': 'no-such-cmd', 'extra': true}", "QMP input member 'extra' is unexpected"),
        ] {
            assert_eq!(client.is_told_of(input.as_bytes()), desc);
        }
    }
}

#[test]
fn a_keyword_without_an_end_is_told_of_once_it_has_one() {
    let mut client = Client::ready();
    assert_eq!(client.ask("null"), [] as [Value; 0]);
    let answers = client.ask("{'execute': 'echo', 'id': 1}");
    let must = error("GenericError", "QMP input must be a JSON object");
    assert_eq!(answers, [must, json!({"return": {}, "id": 1})]);
}

#[test]
fn an_id_comes_back_on_success_and_on_failure() {
    let mut client = Client::ready();
    for id in [json!(null), json!(1), json!("é"), json!([]), json!({"a": {}})] {
        for (command, member) in [("echo", "return"), ("fail", "error"), ("no-such-cmd", "error")] {
            let answer = client.ask(json!({"execute": command, "id": id}).to_string()).remove(0);
            assert!(answer.get(member).is_some(), "{answer}");
            assert_eq!(answer.get("id"), Some(&id));
        }
    }
    let answer = client.ask("{'execute': 1, 'id': 5}").remove(0);
    assert_eq!(answer["id"], 5, "a request that is none has an id too");
    assert_eq!(client.ask("{'execute': 'fail'}")[0].get("id"), None);
}

#[test]
fn a_command_that_fails_tells_class_and_description() {
    let answers = Client::ready().ask("{'execute': 'fail'}{'execute': 'no-such-cmd'}");
    let failed = error("DeviceNotFound", "Device 'x' not found");
    let missing = error("CommandNotFound", "The command no-such-cmd has not been found");
    assert_eq!(answers, [failed, missing]);
}

#[test]
fn an_unknown_capability_is_refused_and_negotiation_goes_on() {
    let mut client = Client::new();
    for (arguments, desc) in [
        ("{'enable': ['cap-does-not-exist']}", "Invalid parameter 'cap-does-not-exist'"),
        ("{'enable': ['oob', 'x']}", "Invalid parameter 'x'"),
        ("{'enable': 'oob'}", "Invalid parameter type for 'enable', expected: array"),
        ("{'enable': ['oob', 1]}", "Invalid parameter type for 'enable[1]', expected: string"),
        ("{'disable': []}", "Parameter 'disable' is unexpected"),
    ] {
        let input = format!("{{'execute': 'qmp_capabilities', 'arguments': {arguments}}}");
        assert_eq!(client.ask(input), [error("GenericError", desc)]);
    }
    assert_eq!(client.ask("{'execute': 'echo'}")[0]["error"]["class"], "CommandNotFound");
    let input = "{'execute': 'qmp_capabilities', 'arguments': {'enable': []}}";
    assert_eq!(client.ask(input), [json!({"return": {}})]);
    let unexpected = error("GenericError", "QMP input member 'exec-oob' is unexpected");
    assert_eq!(client.ask("{'exec-oob': 'oob-echo'}"), [unexpected], "it was not asked for");
}

#[test]
fn exec_oob_is_unexpected_before_the_handshake() {
    let unexpected = error("GenericError", "QMP input member 'exec-oob' is unexpected");
    assert_eq!(Client::new().ask("{'exec-oob': 'oob-echo'}"), [unexpected]);
}

#[test]
fn exec_oob_of_a_command_without_it_fails() {
    let mut client = Client::with_oob();
    for command in ["echo", "qmp_capabilities"] {
        let desc = format!("The command {command} does not support OOB");
        let answers = client.ask(format!("{{'exec-oob': '{command}'}}"));
        assert_eq!(answers, [error("GenericError", &desc)]);
    }
    let missing = error("CommandNotFound", "The command x has not been found");
    assert_eq!(client.ask("{'exec-oob': 'x'}"), [missing]);
    assert_eq!(client.ask("{'exec-oob': 'oob-echo'}"), [json!({"return": {}})]);
    assert_eq!(client.ask("{'execute': 'oob-echo'}"), [json!({"return": {}})]);
}

#[test]
fn a_request_keeps_its_memory_until_it_is_answered() {
    let mut client = Client::with_oob();
    let zeros = vec![0; 200];
    let text =
        |name: &str| json!({"execute": name, "arguments": {"a": zeros}, "id": zeros}).to_string();
    let tokens = 2 * 2 * zeros.len() * TOKEN_BYTES;
    let mut job = run(client.steps(&text("echo")).pop());
    let used = client.budget.used();
    assert!(used >= tokens, "it runs: {used}");
    client.steps(&text("echo"));
    assert!(client.budget.used() >= 2 * used, "another waits");
    client.steps(&text("nothing"));
    let answer = client.budget.used() - 2 * used;
    assert!((400..tokens).contains(&answer), "of one refused there is its answer: {answer}");
    assert_eq!(job.take_arguments()["a"], json!(zeros));
    client.finish(job);
    assert_eq!(client.budget.used(), used + answer, "it has been answered");
    let job = run(client.steps("").pop());
    assert_eq!(client.budget.used(), used + answer, "the other runs");
    client.finish(job);
    assert!(matches!(client.steps("")[..], [Step::Reply(_)]));
    assert_eq!(client.budget.used(), 0);
}

#[test]
fn a_new_client_has_nothing_of_the_one_before() {
    let mut client = Client::with_oob();
    let job = run(client.steps(&request("execute", "echo", 1)).pop());
    client.steps(&(request("execute", "echo", 2) + "{'execute': 'ec"));
    assert_ne!(client.budget.used(), 0);
    client.session.close();
    assert_eq!(client.budget.used(), job.claim.held(), "what runs is still there");
    assert!(read(&client.session.open()).get("QMP").is_some());
    assert!(client.session.accepts_input());
    assert_eq!(client.finish(job), None, "its answer is for nobody");
    assert_eq!(client.budget.used(), 0);
    let answer = client.ask("{'execute': 'echo', 'id': 3}").remove(0);
    assert_eq!((&answer["error"]["class"], &answer["id"]), (&json!("CommandNotFound"), &json!(3)));
}

#[test]
fn an_old_clients_command_does_not_end_a_new_ones() {
    let mut client = Client::ready();
    let old = run(client.steps(&request("execute", "echo", 1)).pop());
    client.session.open();
    client.ask("{'execute': 'qmp_capabilities'}");
    let new = run(client.steps(&request("execute", "echo", 2)).pop());
    assert_eq!(client.finish(old), None);
    assert!(!client.session.accepts_input());
    assert_eq!(client.finish(new), Some(json!({"return": {}, "id": 2})));
}

#[test]
fn events_are_for_clients_that_are_ready() {
    let occurrence = Occurrence {
        name: "STOP",
        data: None,
        time: std::time::UNIX_EPOCH,
        caused_by_guest: false,
    };
    assert_eq!(Client::new().session.event(&occurrence), None);
    let bytes = Client::ready().session.event(&occurrence).unwrap();
    assert_eq!(read(&bytes)["event"], "STOP");
}

#[test]
fn an_error_does_not_repeat_a_name_of_any_length() {
    let mut client = Client::ready();
    let answer = client.ask(request("execute", &"x".repeat(100_000), 1)).remove(0);
    assert!(answer.to_string().len() < 1000);
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(
            &[
                "{'execute': 'qmp_capabilities'}",
                "{'execute': 'qmp_capabilities', 'arguments': {'enable': ['oob']}}",
                "{'execute': 'echo', 'id': 1}",
                "{'exec-oob': 'oob-echo', 'id': 2}",
                "{'execute': 'fail'}",
                "{",
                "}",
                "[",
                "]",
                "'",
                "\"",
                "\\",
                ",",
                ":",
                "\n",
                "null ",
            ][..]
        )
        .prop_map(|piece| piece.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_make_no_difference(input in input()) {
        let (mut whole, mut single) = (Client::new(), Client::new());
        let answers = whole.ask(&input);
        let singly: Vec<_> = input.iter().flat_map(|byte| single.ask([*byte])).collect();
        prop_assert_eq!(answers, singly);
    }

    #[test]
    fn a_client_that_is_lost_gets_on(input in input()) {
        let mut client = Client::with_limits(Limits { nesting: 4, bytes: 60, tokens: 20 });
        client.ask(&input);
        client.ask(b"\xff\n");
        prop_assert_eq!(client.budget.used(), 0);
        let answer = client.ask("{'execute': 'no-such-cmd', 'id': 4}").remove(0);
        prop_assert_eq!(&answer["error"]["class"], "CommandNotFound");
        prop_assert_eq!(&answer["id"], 4);
    }
}
