//! A monitor that has been started.

use std::{
    fs::File,
    io::{PipeReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::ioctl_fionread,
    process::{Pid, Resource, Signal, getrlimit, kill_process, prlimit},
};

use crate::{finished::Finished, output::Output, terminal::Terminal};

/// How long anything may take. Hosts that emulate every instruction are slow.
const PATIENCE: Duration = Duration::from_secs(100);

/// Bytes in a pipe that is nearly full: Linux gives it 64 KiB (`pipe(7)`), and a writer of single
/// bytes may leave a rest of a page.
const PIPE_FULL: u64 = 60 << 10;

/// A process that is ended with the value.
pub struct Running {
    command: String,
    child: Child,
    stdin: Option<ChildStdin>,
    unread: Option<ChildStdout>,
    /// The end of standard error that nobody reads.
    unheard: Option<PipeReader>,
    stdout: Output,
    stderr: Output,
}

impl Running {
    pub(crate) fn new(command: String, mut child: Child) -> Self {
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().map(Output::of).unwrap_or_default();
        // What the test does not hold it does not wait for.
        let nothing = || Output::of(std::io::empty());
        let stderr = child.stderr.take().map_or_else(nothing, Output::of);
        Self { command, child, stdin, unread: None, unheard: None, stdout, stderr }
    }

    pub(crate) fn unread(command: String, child: Child, unread: ChildStdout) -> Self {
        let mut running = Self::new(command, child);
        let (mut waiting, deadline) = (0, Instant::now() + PATIENCE);
        // A pipe doesn't tell its reader that it is full, but what waits in it.
        while waiting < PIPE_FULL {
            assert!(Instant::now() < deadline, "{waiting} bytes in its pipe\n{}", running.told());
            thread::sleep(Duration::from_millis(5));
            waiting = ioctl_fionread(&unread).expect("it is a pipe");
        }
        running.unread = Some(unread);
        running
    }

    pub(crate) fn unheard(command: String, child: Child, unheard: PipeReader) -> Self {
        let mut running = Self::new(command, child);
        running.unheard = Some(unheard);
        running
    }

    pub(crate) fn on(command: String, child: Child, terminal: &Terminal) -> Self {
        let mut running = Self::new(command, child);
        running.stdout = terminal.output();
        running
    }

    /// Reads from now on what nobody read.
    pub fn read_at_last(&mut self) {
        self.stdout = Output::of(self.unread.take().expect("nobody reads it"));
    }

    /// Waits until it has written `text` to standard output.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("{text:?} on standard output"), |so_far| so_far.contains(text));
    }

    /// Waits until its standard output satisfies `enough`, which `what` tells in words.
    pub fn wait_until(&self, what: &str, enough: impl Fn(&str) -> bool) {
        let found = self.stdout.wait(PATIENCE, |bytes| enough(&String::from_utf8_lossy(bytes)));
        assert!(found, "expected {what}\n{}", self.told());
    }

    /// Waits until it has written more to standard output than it has by now.
    pub fn goes_on(&self) {
        let before = self.stdout.length();
        let found = self.stdout.wait(PATIENCE, |bytes| bytes.len() > before);
        assert!(found, "expected more than {before} bytes of output\n{}", self.told());
    }

    /// Waits until it has written `text` to standard error.
    pub fn wait_for_error(&self, text: &str) {
        let found =
            self.stderr.wait(PATIENCE, |bytes| String::from_utf8_lossy(bytes).contains(text));
        assert!(found, "expected {text:?} on standard error\n{}", self.told());
    }

    /// Watches for so long that it writes nothing to standard output.
    pub fn is_silent_for(&self, time: Duration) {
        let wrote = self.stdout.wait(time, |bytes| !bytes.is_empty());
        assert!(!wrote, "expected silence\n{}", self.told());
    }

    /// Gives it something to read, on a thread of its own, since it may be slow to take it; then
    /// nothing more.
    pub fn give(&mut self, bytes: Vec<u8>) {
        let mut stdin = self.stdin.take().expect("standard input is a pipe, and open");
        // It may end before it has read all.
        thread::spawn(move || stdin.write_all(&bytes).is_ok());
    }

    /// Lets it find the end of standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Its descriptors that lead to `target`, such as `/dev/kvm`.
    pub fn has_open(&self, target: &str) -> bool {
        self.links().iter().any(|(_, link)| link == target)
    }

    /// Opens the first of its descriptors whose target starts with `target`, such as `/memfd:`, as
    /// another process can that may look into it.
    pub fn open(&self, target: &str) -> File {
        let folder = format!("/proc/{}/fd", self.child.id());
        let leads_there = |path: &PathBuf| {
            std::fs::read_link(path).is_ok_and(|link| link.to_string_lossy().starts_with(target))
        };
        let entries = std::fs::read_dir(folder).expect("the process runs");
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let path = paths.find(leads_there).unwrap_or_else(|| panic!("{target}\n{}", self.told()));
        File::options().read(true).write(true).open(path).expect("the process is ours")
    }

    /// The name of one of its threads, by the number that the kernel knows it by.
    pub fn thread(&self, number: i64) -> Option<String> {
        let name = format!("/proc/{}/task/{number}/comm", self.child.id());
        std::fs::read_to_string(name).ok().map(|name| name.trim_end().to_owned())
    }

    /// What is mapped in its memory, and how (`proc_pid_smaps(5)`).
    pub fn mappings(&self) -> String {
        let file = format!("/proc/{}/smaps", self.child.id());
        std::fs::read_to_string(file).expect("the process runs")
    }

    /// Lets it have no descriptors beside those that it has, or as many as before.
    pub fn take_descriptors(&self, none: bool) {
        let folder = format!("/proc/{}/fd", self.child.id());
        let is_open = |number: &u64| Path::new(&format!("{folder}/{number}")).is_symlink();
        let first_free = (0..).find(|number| !is_open(number));
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("it is a number"));
        let mut limit = getrlimit(Resource::Nofile);
        if none {
            limit.current = first_free;
        }
        prlimit(pid, Resource::Nofile, limit).expect("it is ours");
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let folder = format!("/proc/{}/task", self.child.id());
        std::fs::read_dir(folder)
            .expect("the process runs")
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .map(|name| name.trim_end().to_owned())
            .collect()
    }

    /// The host's memory that it takes, in bytes.
    pub fn resident(&self) -> usize {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        kibibytes.expect("the kernel tells it") << 10
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("processes have positive ids"), signal).expect("it is ours");
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// What each of its descriptors leads to, in order of these.
    pub fn descriptors(&self) -> Vec<String> {
        self.links().into_iter().map(|(number, link)| format!("{number} {link}")).collect()
    }

    /// The number of each descriptor, and what it leads to.
    fn links(&self) -> Vec<(u32, String)> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let entries = std::fs::read_dir(folder).expect("the process runs");
        let mut links: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let number = path.file_name()?.to_str()?.parse().ok()?;
                Some((number, std::fs::read_link(path).ok()?.display().to_string()))
            })
            .collect();
        links.sort_unstable();
        links
    }

    /// Waits until it ends by itself.
    pub fn finish(mut self) -> Finished {
        let status = self.wait();
        for output in [&self.stdout, &self.stderr] {
            // A terminal's output ends with the terminal.
            output.wait_for_end(Duration::from_millis(500));
        }
        Finished {
            command: std::mem::take(&mut self.command),
            status,
            stdout: self.stdout.bytes(),
            stderr: self.stderr.text(),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        // There is no waiting for a process with a time limit but this. A process closes its
        // streams when it ends, so that it is hardly ever asked for twice.
        self.stderr.wait_for_end(PATIENCE);
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.told());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn told(&self) -> String {
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        format!("of: {}\nstdout:\n{stdout}\nstderr:\n{stderr}", self.command)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or it is to end now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
