//! A client of the qtest protocol, and the monitor that it drives: devices without a guest.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{Finished, Running, Scratch, Vmm};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What permits the types that the protocol needs, and no insecure ones.
pub const PERMITTED: &str = "-machine prohibit-insecure=yes";

/// A machine whose devices are driven.
pub struct Qtest {
    /// The monitor.
    pub running: Running,
    client: Client,
    socket: PathBuf,
    _scratch: Scratch,
}

impl Qtest {
    /// Starts `palisade` with the accelerator and the server, with no more devices than these
    /// options ask for, under the policy that permits no insecure types.
    pub fn start(options: &str) -> Self {
        Self::under(PERMITTED, options)
    }

    /// The same under another policy.
    pub fn under(policy: &str, options: &str) -> Self {
        let scratch = Scratch::new();
        let vmm = Vmm::line("-accel qtest -nodefaults").and(policy).and(options);
        Self::of(vmm, scratch)
    }

    /// Starts a monitor with a server, and connects to that.
    pub fn of(vmm: Vmm, scratch: Scratch) -> Self {
        let socket = scratch.path().join("qtest");
        let stream = format!("unix:{},server=on,wait=off", socket.display());
        let running = vmm.args(["-qtest", &stream]).start();
        let client = Client::connect(&socket);
        Self { running, client, socket, _scratch: scratch }
    }

    /// Hangs up, and connects anew.
    pub fn reconnect(&mut self) {
        self.client.hang_up();
        self.client = Client::connect(&self.socket);
    }

    /// Gives a command that is done. What it answers after `OK`, nothing if it says no more.
    #[track_caller]
    pub fn ok(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        match answer.strip_prefix("OK") {
            Some(value) => value.trim_start().to_owned(),
            None => panic!("{line}: {answer}"),
        }
    }

    /// Gives a command that is answered with a number.
    #[track_caller]
    pub fn number(&mut self, line: &str) -> u64 {
        let text = self.ok(line);
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.unwrap_or_else(|_| panic!("{line}: OK {text}"))
    }

    /// Gives a line that fails. Why it does.
    #[track_caller]
    pub fn fails(&mut self, line: &str) -> String {
        let answer = self.ask(line);
        match answer.strip_prefix("FAIL ") {
            Some(why) => why.to_owned(),
            None => panic!("{line}: {answer}"),
        }
    }

    /// Gives a line. Its answer, as it is.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.answer()
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.stream.get_ref().write_all(bytes.as_ref()).expect("the server takes it");
    }

    /// Sends bytes for as long as the server takes them, and reads nothing. How many it took.
    pub fn flood(&mut self, bytes: &[u8]) -> usize {
        let mut stream = self.client.stream.get_ref();
        stream.set_write_timeout(Some(Duration::from_millis(500))).expect("it is a socket");
        let mut taken = 0;
        while let Ok(some) = stream.write(bytes) {
            taken += some;
        }
        taken
    }

    /// The next answer. Interrupts that come before it are kept for [`Qtest::interrupts`].
    #[track_caller]
    pub fn answer(&mut self) -> String {
        loop {
            let line = self.client.line();
            match line.strip_prefix("IRQ ") {
                Some(change) => self.client.interrupts.push(change.to_owned()),
                None => return line,
            }
        }
    }

    /// Which interrupts came before the last answer, as in `raise 4`.
    pub fn interrupts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.client.interrupts)
    }

    /// Waits for an interrupt that no command brings about.
    #[track_caller]
    pub fn wait_for_interrupt(&mut self) -> String {
        let line = self.client.line();
        line.strip_prefix("IRQ ")
            .unwrap_or_else(|| panic!("expected IRQ, was told {line}"))
            .to_owned()
    }

    /// Gives a line after which the monitor ends, whether or not it is answered.
    #[track_caller]
    pub fn last(mut self, line: &str) -> Finished {
        self.send(format!("{line}\n"));
        self.running.finish()
    }
}

/// One connection.
struct Client {
    stream: BufReader<UnixStream>,
    interrupts: Vec<String>,
}

impl Client {
    fn connect(socket: &Path) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => panic!("{}: {error}", socket.display()),
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        Self { stream: BufReader::new(stream), interrupts: Vec::new() }
    }

    fn hang_up(&self) {
        // It may have been hung up on.
        let _ = self.stream.get_ref().shutdown(std::net::Shutdown::Both);
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => panic!("the server hung up"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer came"),
            Err(error) => panic!("{error}"),
        }
        assert!(line.ends_with('\n'), "the server hung up after {line:?}");
        line.pop();
        line
    }
}
