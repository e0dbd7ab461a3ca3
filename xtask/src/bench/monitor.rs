//! What a command costs whoever controls a VM, beside a server that does nothing.
//!
//! Client and server each have a processor to themselves, the same ones for either server, so that
//! what the host's scheduler makes of them is the same. What the server's threads spent on a
//! processor is the kernel's own account (`/proc/PID/task/*/schedstat`, first number).

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

use super::programs::Programs;

/// What is asked over and over, and what it answers.
const REQUEST: &str = concat!(
    r#"{"execute": "qom-get", "arguments": {"path": "/machine", "property": "memory-size"}}"#,
    "\n"
);
const ANSWER: &str = r#"{"return": 134217728}"#;

/// How long a server may take to come up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was measured in one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// One `qom-get`, there and back, in microseconds; of the monitor and of the bare server.
    pub(super) round_trip: (f64, f64),
    /// Of that, what the threads of each spent on a processor.
    pub(super) processor_time: (f64, f64),
    /// `qom-list-types` with 1,000 types, there and back, in milliseconds.
    pub(super) list_types: f64,
    /// `device_add` and `device_del` of a device without a bus, in microseconds.
    pub(super) hotplug: f64,
}

/// Asks so often.
pub(super) fn run(programs: &Programs, count: u32) -> Result<Measured> {
    let placement = Placement::take()?;
    let folder = tempfile::tempdir()?;
    let (bare, bare_spent) = {
        let socket = folder.path().join("bare");
        let mut server = Server::start(&mut programs.ping_pong(&socket, ANSWER), &placement)?;
        let mut client = server.connect(&socket)?;
        let before = server.processor_time()?;
        let round_trip = client.round_trips(count)?;
        (round_trip, server.processor_time()? - before)
    };
    let socket = folder.path().join("monitor");
    let mut server = Server::start(&mut programs.monitored(&socket), &placement)?;
    let mut client = server.connect(&socket)?;
    client.read()?;
    client.call("qmp_capabilities", &Value::Null)?;
    let before = server.processor_time()?;
    let round_trip = client.round_trips(count)?;
    let spent = server.processor_time()? - before;
    let each = |total: Duration, count: u32| total.as_secs_f64() * 1e6 / f64::from(count);

    let few = (count / 100).max(1);
    let mut listed = String::new();
    let start = Instant::now();
    for _ in 0..few {
        client.send(r#"{"execute": "qom-list-types"}"#)?;
        listed = client.read()?;
    }
    let list_types = each(start.elapsed(), few) / 1e3;
    // What the client makes of it is its own affair.
    let types: Value = serde_json::from_str(&listed)?;
    let all = types["return"].as_array().map_or(0, Vec::len);
    ensure!(all > 1000, "expected more than 1,000 types, given {all}");

    let start = Instant::now();
    for number in 0..few {
        let id = format!("bench{number}");
        client.call("device_add", &json!({ "driver": "bench-device", "id": id }))?;
        client.call("device_del", &json!({ "id": id }))?;
    }
    let hotplug = each(start.elapsed(), few);
    client.call("quit", &Value::Null)?;
    server.wait()?;
    Ok(Measured {
        round_trip: (each(round_trip, count), each(bare, count)),
        processor_time: (each(spent, count), each(bare_spent, count)),
        list_types,
        hotplug,
    })
}

/// Where client and server run.
struct Placement {
    /// Where this thread could run before.
    whole: CpuSet,
    server: usize,
}

impl Placement {
    /// Puts this thread onto the first processor that it may use; servers get the second.
    fn take() -> Result<Self> {
        let whole = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|cpu| whole.is_set(*cpu));
        let first = usable.next().context("no processor to run on")?;
        let server = usable.next().unwrap_or(first);
        let mut client = CpuSet::new();
        client.set(first);
        sched_setaffinity(None, &client)?;
        Ok(Self { whole, server })
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        // It was allowed before.
        let _ = sched_setaffinity(None, &self.whole);
    }
}

/// A server that runs, and ends with this.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, placement: &Placement) -> Result<Self> {
        let mut pinned = Command::new("taskset");
        pinned.args(["--cpu-list", &placement.server.to_string()]);
        pinned.arg(command.get_program()).args(command.get_args());
        pinned.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(pinned.spawn().context("can't run taskset")?))
    }

    /// Connects once it listens.
    fn connect(&mut self, socket: &Path) -> Result<Client> {
        let start = Instant::now();
        loop {
            match UnixStream::connect(socket) {
                Ok(stream) => return Ok(Client(BufReader::new(stream))),
                Err(error) => ensure!(start.elapsed() < PATIENCE, "can't connect: {error}"),
            }
            ensure!(self.0.try_wait()?.is_none(), "the server has ended");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What its threads have spent on a processor so far.
    fn processor_time(&self) -> Result<Duration> {
        let mut spent = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().context("schedstat is empty")?;
            spent += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(spent))
    }

    fn wait(&mut self) -> Result<()> {
        let status = self.0.wait()?;
        ensure!(status.success(), "the server failed ({status})");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The client of a server.
struct Client(BufReader<UnixStream>);

impl Client {
    fn send(&mut self, line: &str) -> Result<()> {
        Ok(self.0.get_mut().write_all(format!("{line}\n").as_bytes())?)
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the server has hung up");
        Ok(line)
    }

    /// What a command gives; events on the way are passed over.
    fn call(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let mut request = json!({ "execute": command });
        if !arguments.is_null() {
            request["arguments"] = arguments.clone();
        }
        self.send(&request.to_string())?;
        loop {
            let mut answer: Value = serde_json::from_str(&self.read()?)?;
            if answer.get("event").is_none() {
                let value = answer.get_mut("return").map(Value::take);
                return value.with_context(|| format!("{command}: {answer}"));
            }
        }
    }

    /// The time that so many `qom-get` take.
    fn round_trips(&mut self, count: u32) -> Result<Duration> {
        let mut line = String::new();
        let start = Instant::now();
        for _ in 0..count {
            self.0.get_mut().write_all(REQUEST.as_bytes())?;
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "the server has hung up");
            ensure!(line.trim_end() == ANSWER, "expected {ANSWER}, given {line}");
        }
        Ok(start.elapsed())
    }
}
