//! A client of the machine protocol, which says what it is told to, and the monitor that it controls.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, ErrorKind, IoSlice, Write},
    mem::MaybeUninit,
    net::Shutdown,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    cmsg_space,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use serde_json::{Value, json};

use crate::{Finished, Running, Scratch, Vmm};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many descriptors a message may pass.
const MOST_PASSED: usize = 64;

/// How long a server may take nothing before it is known to take no more.
const TAKES_NOTHING: Duration = Duration::from_millis(500);

/// One connection.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
    greeting: Value,
    /// Those that came and that nobody has asked for.
    events: VecDeque<Value>,
}

impl Qmp {
    /// Connects, once somebody listens, and negotiates no capabilities.
    #[track_caller]
    pub fn connect(socket: &Path) -> Self {
        let mut client = Self::greeted(socket);
        client.execute("qmp_capabilities", json!({}));
        client
    }

    /// Connects, and has commands that overtake others.
    #[track_caller]
    pub fn connect_out_of_band(socket: &Path) -> Self {
        let mut client = Self::greeted(socket);
        client.execute("qmp_capabilities", json!({ "enable": ["oob"] }));
        client
    }

    /// Connects and reads the greeting, and no more: nothing has been negotiated.
    #[track_caller]
    pub fn greeted(socket: &Path) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => panic!("{}: {error}", socket.display()),
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        };
        Self::over(stream).expect("the monitor greets")
    }

    /// Connects if somebody listens and greets, and negotiates no capabilities.
    fn try_connect(socket: &Path) -> Option<Self> {
        let mut client = Self::over(UnixStream::connect(socket).ok()?)?;
        client.execute("qmp_capabilities", json!({}));
        Some(client)
    }

    /// A client that has been greeted; none if the monitor hangs up instead.
    fn over(stream: UnixStream) -> Option<Self> {
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        let stream = BufReader::new(stream);
        let mut client = Self { stream, greeting: Value::Null, events: VecDeque::new() };
        client.greeting = client.message()?;
        assert!(client.greeting.get("QMP").is_some(), "{}", client.greeting);
        Some(client)
    }

    /// What it was greeted with.
    pub fn greeting(&self) -> &Value {
        &self.greeting
    }

    /// Gives a command that succeeds. What it returns.
    #[track_caller]
    pub fn execute(&mut self, command: &str, arguments: Value) -> Value {
        let request = json!({ "execute": command, "arguments": arguments });
        let mut answer = self.ask(&request);
        match answer.get_mut("return") {
            Some(value) => value.take(),
            None => panic!("{request}: {answer}"),
        }
    }

    /// Gives a command that fails. Class and text of the error.
    #[track_caller]
    pub fn refused(&mut self, command: &str, arguments: Value) -> (String, String) {
        let request = json!({ "execute": command, "arguments": arguments });
        let answer = self.ask(&request);
        error_of(&answer).unwrap_or_else(|| panic!("{request}: {answer}"))
    }

    /// The value of a property.
    #[track_caller]
    pub fn property(&mut self, path: &str, property: &str) -> Value {
        self.execute("qom-get", json!({ "path": path, "property": property }))
    }

    /// The paths of all objects, each before its children.
    #[track_caller]
    pub fn tree(&mut self) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk(|_, path, _| paths.push(path.to_owned()));
        paths
    }

    /// Goes through all objects, each before its children: has its path and what `qom-list` tells of
    /// it visited.
    #[track_caller]
    pub fn walk(&mut self, mut visit: impl FnMut(&mut Self, &str, &[Value])) {
        let mut paths = vec!["/".to_owned()];
        let mut next = 0;
        while let Some(path) = paths.get(next).cloned() {
            next += 1;
            let listed = self.execute("qom-list", json!({ "path": path }));
            let properties = listed.as_array().expect("a list");
            let children = properties.iter().filter(|property| is_child(property));
            paths.extend(children.map(|child| {
                let name = child["name"].as_str().expect("children have names");
                format!("{}/{name}", path.trim_end_matches('/'))
            }));
            visit(self, &path, properties);
        }
    }

    /// Gives a command for people. The text that they see.
    #[track_caller]
    pub fn human(&mut self, line: &str) -> String {
        let text = self.execute("human-monitor-command", json!({ "command-line": line }));
        text.as_str().expect("it is text").to_owned()
    }

    /// Sends a message. Its whole answer.
    #[track_caller]
    pub fn ask(&mut self, message: &Value) -> Value {
        self.send(format!("{message}\n"));
        self.answer()
    }

    /// Sends a message, and passes descriptors along with it. Its whole answer.
    #[track_caller]
    pub fn pass(&mut self, message: &Value, descriptors: &[BorrowedFd<'_>]) -> Value {
        send_with(self.stream.get_ref(), format!("{message}\n").as_bytes(), descriptors);
        self.answer()
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_ref().write_all(bytes.as_ref()).expect("the monitor takes it");
    }

    /// Sends bytes as they are, unless the monitor hangs up. Whether it took all of them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_ref().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the same bytes over and over for as long as the monitor takes them, and reads nothing.
    /// How many it took.
    pub fn flood(&mut self, bytes: &[u8]) -> usize {
        let mut stream = self.stream.get_ref();
        stream.set_write_timeout(Some(TAKES_NOTHING)).expect("it is a socket");
        let mut taken = 0;
        while let Ok(some) = stream.write(bytes) {
            taken += some;
        }
        stream.set_write_timeout(None).expect("it is a socket");
        taken
    }

    /// The next message that is no event. Events that come before it are kept.
    #[track_caller]
    pub fn answer(&mut self) -> Value {
        loop {
            let message = self.message().expect("the monitor answers");
            if message.get("event").is_none() {
                return message;
            }
            self.events.push_back(message);
        }
    }

    /// The first event of that name, whenever it comes. Others that come before it are dropped.
    #[track_caller]
    pub fn event(&mut self, name: &str) -> Value {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => match self.message() {
                    Some(message) if message.get("event").is_some() => message,
                    other => panic!("expected the event {name}, was told {other:?}"),
                },
            };
            if event["event"] == name {
                return event;
            }
        }
    }

    /// The names of all events that came before the last answer and that nobody has asked for.
    pub fn events(&mut self) -> Vec<String> {
        let name = |event: Value| event["event"].as_str().expect("it has a name").to_owned();
        self.events.drain(..).map(name).collect()
    }

    /// The next line, whatever it is, with its end; none if the monitor has hung up.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing came"),
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn message(&mut self) -> Option<Value> {
        let line = self.line()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}")))
    }

    /// Sends no more. What was sent is answered all the same.
    pub fn end_input(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).expect("it is connected");
    }

    /// The connection itself.
    pub fn stream(&self) -> &UnixStream {
        self.stream.get_ref()
    }
}

/// Sends bytes, and passes descriptors along with them.
#[track_caller]
pub fn send_with(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_PASSED))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)), "too many");
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::empty());
    assert_eq!(sent, Ok(bytes.len()), "whoever is at the other end takes it");
}

/// Whether an entry of `qom-list` is an object's child.
pub fn is_child(property: &Value) -> bool {
    property["type"].as_str().is_some_and(|name| name.starts_with("child<"))
}

/// Class and text of the error that an answer is, if it is one.
pub fn error_of(answer: &Value) -> Option<(String, String)> {
    let error = answer.get("error")?;
    let text = |key: &str| Some(error.get(key)?.as_str()?.to_owned());
    Some((text("class")?, text("desc")?))
}

/// A VM with a monitor that listens, and the first client of that.
pub struct Monitored {
    /// The VM.
    pub running: Running,
    /// Its first client.
    pub qmp: Qmp,
    scratch: Scratch,
    socket: PathBuf,
}

impl Monitored {
    /// Starts `palisade` with these options, and with a monitor.
    #[track_caller]
    pub fn start(options: &str) -> Self {
        Self::of(Vmm::line(options), Scratch::new())
    }

    /// Starts a VM with a monitor beside those that it has, and connects to that.
    #[track_caller]
    pub fn of(vmm: Vmm, scratch: Scratch) -> Self {
        let socket = scratch.path().join("qmp");
        let running = vmm.monitor(&socket).start();
        let qmp = Qmp::connect(&socket);
        Self { running, qmp, scratch, socket }
    }

    /// The same for a VM that may not start: what came of it then.
    ///
    /// # Errors
    /// If it ended before it had a monitor.
    pub fn try_of(vmm: Vmm, scratch: Scratch) -> Result<Self, Finished> {
        let socket = scratch.path().join("qmp");
        let mut running = vmm.monitor(&socket).start();
        loop {
            if running.has_ended() {
                return Err(running.finish());
            }
            if let Some(qmp) = Qmp::try_connect(&socket) {
                return Ok(Self { running, qmp, scratch, socket });
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Where the monitor listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Files for it.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Has its client end the VM.
    #[track_caller]
    pub fn quit(mut self) -> Finished {
        self.qmp.execute("quit", json!({}));
        self.running.finish()
    }
}
