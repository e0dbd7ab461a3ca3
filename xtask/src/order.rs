//! `cargo xtask order`: the functions of the monitor in the order in which it first runs them.
//!
//! A page of the program that is touched is memory, and the kernel brings its neighbours with it
//! (`fault_around_bytes`). Functions that run at start lie all over the program unless the linker
//! is told to lay them side by side, and then most of the program is resident for the few of them.
//! The order is a file beside the program's crate, whose build script hands it to the linker. Names
//! in it that the program has no more do no harm, functions that it misses lie where they did
//! before: an old order is merely less good.
//!
//! A name ends in a hash, which is another with another compiler or version of the package: then
//! the order has to be written anew.

mod functions;
mod trace;

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    bench::{guest_images::GuestImages, programs::Monitor, programs::Programs},
    workspace,
};
use functions::Functions;

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing; tell how much of the order is in the program, and fail under nine tenths
    #[arg(long)]
    check: bool,
}

/// How long the monitor may take to listen while it is watched.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client asks of a monitor whose guest runs.
const REQUESTS: [&str; 4] = [
    r#"{"execute": "qmp_capabilities"}"#,
    r#"{"execute": "qom-get", "arguments": {"path": "/machine", "property": "memory-size"}}"#,
    r#"{"execute": "query-status"}"#,
    r#"{"execute": "quit"}"#,
];

/// Builds the program, watches it start, and writes the order; or checks the one that is there.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let programs = Programs::build()?;
    let images = GuestImages::write(1)?;
    let mut plain = programs.start(Monitor::Palisade, &images.hello);
    let functions = Functions::read(Path::new(plain.get_program()))?;
    let file = file();
    if options.check {
        let order =
            fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
        return Ok(check(&order, &functions));
    }
    let mut order = trace::first_calls(&mut plain, &functions)?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("monitor");
    let mut monitored = programs.start_monitored(&images.spin, &socket);
    let client = thread::spawn(move || converse(&socket));
    order.extend(trace::first_calls(&mut monitored, &functions)?);
    client.join().map_err(|_| anyhow::anyhow!("the client of the monitor panicked"))??;
    let mut written = HashSet::new();
    order.retain(|address| written.insert(*address));
    let mut text = Vec::new();
    for name in order.iter().flat_map(|address| functions.names(*address)) {
        writeln!(text, "{name}")?;
    }
    fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))?;
    println!("{}: {} of {} functions", file.display(), order.len(), functions.len());
    Ok(ExitCode::SUCCESS)
}

/// Where the order is.
fn file() -> PathBuf {
    workspace::root().join("vmm/palisade/start.order")
}

fn check(order: &str, functions: &Functions) -> ExitCode {
    let known: HashSet<&str> = functions.all_names().collect();
    let all = order.lines().count();
    let found = order.lines().filter(|name| known.contains(name)).count();
    println!("{found} of {all} functions of the order are in the program");
    if found * 10 >= all * 9 {
        return ExitCode::SUCCESS;
    }
    eprintln!("xtask: the order is old: write it anew with cargo xtask order");
    ExitCode::FAILURE
}

/// Asks everything of the monitor that comes to listen at `socket`.
fn converse(socket: &Path) -> Result<()> {
    let start = Instant::now();
    let stream = loop {
        match UnixStream::connect(socket) {
            Ok(stream) => break stream,
            Err(error) => ensure!(start.elapsed() < PATIENCE, "can't connect: {error}"),
        }
        thread::sleep(Duration::from_millis(5));
    };
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    for request in REQUESTS {
        stream.get_mut().write_all(format!("{request}\n").as_bytes())?;
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the monitor hung up at {request}");
        ensure!(!line.contains("\"error\""), "{request}: {line}");
    }
    Ok(())
}
