//! A machine protocol's client: it is sent nothing but messages, in-band answers come in the order of
//! their requests, no more wait than may, and the next client has nothing of the one before.

use std::sync::Arc;

use crate::{Target, input::Input};
use device_model::monitor::CommandError;
use serde_json::Value;
use vmm::monitor::qmp::{
    budget::Budget,
    framer::Framer,
    request::Request,
    session::{CommandTraits, Dispatch, Job, Session, Step},
    wire::{Version, Wire},
};

inventory::submit!(Target { name: "qmp-session", covers: &[], run });

/// A command in-band, one that may overtake it, and one that fails.
struct Commands;

impl Dispatch for Commands {
    fn find(&self, name: &str) -> Option<CommandTraits> {
        matches!(name, "stop" | "echo" | "fail")
            .then_some(CommandTraits { out_of_band: name == "echo" })
    }
}

impl Commands {
    fn call(&self, request: &Request) -> Result<Value, CommandError> {
        match request.command.as_str() {
            "fail" => Err(CommandError::generic("failed")),
            _ => Ok(Value::Object(request.arguments.clone())),
        }
    }
}

/// The client's end.
struct Client {
    session: Session,
    /// What was sent and is not read yet.
    unread: Vec<u8>,
    /// What runs, as long as the client lets it.
    running: Option<Job>,
}

/// A byte whose bits say how to write; then operations.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let wire = Wire { pretty: input.byte() & 1 != 0 };
    let version = Version { major: 10, minor: 0, micro: 0, package: "fuzz".to_owned() };
    let budget = Budget::new(10_000);
    let session = Session::new(version, wire, Framer::new(Arc::clone(&budget)));
    let mut client = Client { session, unread: Vec::new(), running: None };
    while let Some(op) = input.next() {
        match op % 8 {
            0..=3 => {
                let count = usize::from(input.byte());
                client.unread.extend(input.take(count));
            }
            4..=6 => {
                if let Some(job) = client.running.take() {
                    client.finish(job);
                }
            }
            _ => {
                let job = client.running.take();
                judge(&client.session.open());
                client.unread.clear();
                if let Some(job) = job {
                    let late = client.session.finish(job, &Ok(Value::Null));
                    assert!(late.is_none(), "a client is sent the answer to another's request");
                }
                assert_eq!(budget.used(), 0, "memory is kept for a client that left");
            }
        }
        client.take_steps();
    }
    while let Some(job) = client.running.take() {
        client.finish(job);
        client.take_steps();
    }
    assert!(client.session.accepts_input(), "nothing runs, and no input is taken");
    client.get_on();
    assert_eq!(budget.used(), 0, "memory is kept without a message");
}

impl Client {
    fn take_steps(&mut self) {
        let mut rest = &self.unread[..];
        let mut now = Vec::new();
        while let Some(step) = self.session.step(&mut rest, &Commands) {
            match step {
                Step::Reply(bytes) => drop(judge(&bytes)),
                Step::Run(job) => {
                    assert!(!job.request().out_of_band);
                    assert!(self.running.replace(job).is_none(), "two run at a time");
                }
                Step::RunNow(job) => {
                    assert_eq!(job.request().command, "echo", "a command that may not overtake");
                    now.push(job);
                }
            }
        }
        assert!(rest.is_empty() || !self.session.accepts_input(), "input is left for no reason");
        self.unread = rest.to_vec();
        now.into_iter().for_each(|job| self.finish(job));
    }

    fn finish(&mut self, job: Job) {
        let result = Commands.call(job.request());
        judge(&self.session.finish(job, &result).expect("its client is there"));
    }

    /// Whatever was before, a client that says so starts afresh.
    fn get_on(&mut self) {
        let mut answers = Vec::new();
        let end = b"\xff\n{'execute': 'no-such-cmd', 'id': 'last'}";
        self.session.serve(
            end,
            &Commands,
            |request| Commands.call(request),
            |bytes| answers.push(judge(&bytes)),
        );
        let last = answers.last().expect("a command is answered");
        assert_eq!(last["error"]["class"], "CommandNotFound");
        assert_eq!(last["id"], "last");
    }
}

/// Reads a message, which must have the form of one.
fn judge(bytes: &[u8]) -> Value {
    let text = bytes.strip_suffix(b"\r\n").expect("a message ends with CR and LF");
    assert!(text.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')), "not plain ASCII");
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let value: Value = serde::Deserialize::deserialize(&mut reader).expect("a message is JSON");
    reader.end().expect("a message is one value");
    let kinds = ["QMP", "return", "error"];
    assert_eq!(kinds.iter().filter(|kind| value.get(kind).is_some()).count(), 1, "{value}");
    value
}
