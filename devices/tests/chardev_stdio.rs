//! `chardev-stdio` in processes of its own, whose standard streams the test holds the other end of.
//!
//! Each test starts this program again as a VMM with a guest that answers in capitals, until it
//! reads a full stop.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use device_model::{
    chardev::Chardev,
    qom_core::SecurityStatus,
    testing::{Machine, wait_until},
};
use devices::serial::spec::{DEFAULT_IOBASE, FCR, FCR_ENABLE, LSR, LSR_DATA_READY, RBR, THR};
use rustix::{
    event::{PollFd, PollFlags, poll},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    stdio::stdin,
    termios::{LocalModes, OutputModes, Termios, tcgetattr},
    time::{ClockId, clock_gettime},
};

/// Says that a process is such a VMM, and with which properties of the stream.
const SIGNAL: &str = "CHARDEV_STDIO_TEST_SIGNAL";

fn port(register: u64) -> u16 {
    DEFAULT_IOBASE + u16::try_from(register).unwrap()
}

/// The guest: answers in capitals, up to a full stop.
fn run_guest(machine: &Machine) {
    loop {
        wait_until("a character", || machine.inb(port(LSR)) & LSR_DATA_READY != 0);
        let byte = machine.inb(port(RBR)).to_ascii_uppercase();
        machine.outb(port(THR), byte);
        if byte == b'.' {
            return;
        }
    }
}

/// Not a test, but the VMM that the tests start.
#[test]
#[ignore = "is started by the others"]
fn vmm() {
    let Ok(signal) = std::env::var(SIGNAL) else {
        return;
    };
    let (machine, _) = Machine::with_controller();
    let stdio = machine.add("chardev-stdio", "stdio", &[("signal", &signal)]);
    assert_eq!(stdio.class().status(), SecurityStatus::Secure);
    let com1 = machine.add("isa-serial", "com1", &[("chardev", "/stdio")]);
    // Before anything comes in: a change of the mode clears the receiver.
    machine.outb(port(FCR), FCR_ENABLE);
    let _running = machine.run_events();

    let error = machine.create("chardev-stdio", "another", &[]).unwrap_err();
    assert_eq!(error.to_string(), "standard input and output are in use by another chardev-stdio");
    run_guest(&machine);

    // With its input at an end, or full, the loop has nothing to do.
    let before = clock_gettime(ClockId::ProcessCPUTime);
    std::thread::sleep(Duration::from_millis(300));
    let used = clock_gettime(ClockId::ProcessCPUTime) - before;
    assert!(used.tv_sec == 0 && used.tv_nsec < 100_000_000, "busy for {used:?}");

    machine.remove(&com1);
    machine.remove(&stdio);
    let again = machine.add("chardev-stdio", "another", &[]);
    machine.remove(&again);
}

/// Not a test, but a VMM whose output nobody reads any more once its guest answers.
#[test]
#[ignore = "is started by another"]
fn unheard_vmm() {
    if std::env::var(SIGNAL).is_err() {
        return;
    }
    let (machine, _) = Machine::with_controller();
    machine.add("chardev-stdio", "stdio", &[]);
    machine.add("isa-serial", "com1", &[("chardev", "/stdio")]);
    // Before anything comes in: a change of the mode clears the receiver.
    machine.outb(port(FCR), FCR_ENABLE);
    let _running = machine.run_events();
    println!("ready");
    run_guest(&machine);
    // The harness could not print its result.
    std::process::exit(ANSWERED);
}

/// Status of a VMM whose guest has given all of its answer.
const ANSWERED: i32 = 43;

/// Not a test, but a VMM whose guest writes more than anybody reads.
#[test]
#[ignore = "is started by another"]
fn talkative_vmm() {
    if std::env::var(SIGNAL).is_err() {
        return;
    }
    let (machine, _) = Machine::with_controller();
    let stdio = machine.add("chardev-stdio", "stdio", &[]);
    let com1 = machine.add("isa-serial", "com1", &[("chardev", "/stdio")]);
    let held_up = std::thread::scope(|scope| {
        let guest = scope.spawn(|| {
            for _ in 0..1 << 17 {
                machine.outb(port(THR), b'x');
            }
        });
        std::thread::sleep(Duration::from_millis(500));
        let held_up = !guest.is_finished();
        machine.remove(&com1);
        machine.remove(&stdio);
        held_up
    });
    // The harness could not print its result.
    std::process::exit(if held_up { HELD_UP } else { 1 });
}

/// Not a test, but a VMM that has its guest not wait for a while.
#[test]
#[ignore = "is started by another"]
fn interrupted_vmm() {
    if std::env::var(SIGNAL).is_err() {
        return;
    }
    let (machine, _) = Machine::with_controller();
    let object = machine.add("chardev-stdio", "stdio", &[]);
    let stdio = object.cast::<dyn Chardev>().unwrap();
    machine.add("isa-serial", "com1", &[("chardev", "/stdio")]);
    let write = |count: u32| (0..count).for_each(|_| machine.outb(port(THR), b'x'));
    let first = std::thread::scope(|scope| {
        let guest = scope.spawn(|| write(1 << 17));
        std::thread::sleep(Duration::from_millis(500));
        let held_up = !guest.is_finished();
        stdio.set_nonblocking(true);
        guest.join().unwrap();
        held_up
    });
    stdio.set_nonblocking(false);
    // It was only for a while: the next writer waits for somebody to read.
    let second = std::thread::scope(|scope| {
        let guest = scope.spawn(|| write(1 << 13));
        std::thread::sleep(Duration::from_millis(500));
        let held_up = !guest.is_finished();
        stdio.close();
        held_up
    });
    // The harness could not print its result.
    std::process::exit(if first && second { HELD_UP } else { 1 });
}

/// Not a test, but a VMM of which a thread panics where that ends the process without more ado.
#[test]
#[ignore = "is started by another"]
fn panicking_vmm() {
    if std::env::var(SIGNAL).is_err() {
        return;
    }
    let (machine, _) = Machine::with_controller();
    machine.add("chardev-stdio", "stdio", &[]);
    wait_until("a key", || {
        let mut ready = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        poll(&mut ready, None) == Ok(1)
    });
    let panicked = std::thread::spawn(|| panic!("as it is told to")).join();
    assert!(panicked.is_err());
    std::process::abort();
}

/// Status of a VMM whose guest was held up, and went on when the stream was closed.
const HELD_UP: i32 = 42;

fn start(signal: &str, input: impl Into<Stdio>, output: impl Into<Stdio>) -> Child {
    start_as("vmm", signal, input, output)
}

fn start_as(name: &str, signal: &str, input: impl Into<Stdio>, output: impl Into<Stdio>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env(SIGNAL, signal)
        .stdin(input)
        .stdout(output)
        .spawn()
        .unwrap()
}

/// The other end of a VMM's terminal.
struct Terminal {
    controller: OwnedFd,
    device: OwnedFd,
    seen: Vec<u8>,
}

impl Terminal {
    fn new() -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let path = name.to_str().unwrap();
        let device = File::options().read(true).write(true).open(path).unwrap().into();
        Self { controller, device, seen: Vec::new() }
    }

    fn device(&self) -> OwnedFd {
        self.device.as_fd().try_clone_to_owned().unwrap()
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.device).unwrap()
    }

    fn press(&self, keys: &[u8]) {
        assert_eq!(rustix::io::write(&self.controller, keys), Ok(keys.len()));
    }

    fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 1024];
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let length = rustix::io::read(&self.controller, &mut buffer).unwrap();
            self.seen.extend(&buffer[..length]);
        }
    }
}

/// What ends a process that aborts.
const SIGABRT: i32 = 6;

/// What of a terminal's modes the stream changes.
fn raw_parts(modes: &Termios) -> (LocalModes, OutputModes) {
    let local = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    (modes.local_modes & local, modes.output_modes & OutputModes::OPOST)
}

fn assert_success(status: ExitStatus, output: &str) {
    assert!(status.success(), "{status}: {output}");
}

#[test]
fn a_pipe_carries_both_directions() {
    let mut vmm = start("on", Stdio::piped(), Stdio::piped());
    // More than the guest's port holds, and more than the loop reads at a time.
    let text = "every character arrives ".repeat(40);
    let mut input = vmm.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    input.write_all(b".").unwrap();
    let output = vmm.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains(&(text.to_uppercase() + ".")), "{shown}");
    assert_success(output.status, &shown);
}

#[test]
fn a_file_is_read_to_its_end() {
    let mut file = tempfile::tempfile().unwrap();
    let text = "a file can't be waited for ".repeat(40);
    write!(file, "{text}.").unwrap();
    file.rewind().unwrap();
    let vmm = start("on", file, Stdio::piped());
    let output = vmm.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains(&(text.to_uppercase() + ".")), "{shown}");
    assert_success(output.status, &shown);
}

#[test]
fn output_to_a_file_arrives_too() {
    let mut file = tempfile::tempfile().unwrap();
    let mut vmm = start("on", Stdio::piped(), file.try_clone().unwrap());
    vmm.stdin.take().unwrap().write_all(b"to a file.").unwrap();
    let status = vmm.wait().unwrap();
    let mut shown = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut shown).unwrap();
    assert!(shown.contains("TO A FILE."), "{shown}");
    assert_success(status, &shown);
}

#[test]
fn a_terminal_is_raw_while_the_stream_is_open_and_then_as_before() {
    let mut terminal = Terminal::new();
    let before = terminal.modes();
    let mut vmm = start("on", terminal.device(), terminal.device());
    wait_until("raw mode", || !terminal.modes().local_modes.contains(LocalModes::ICANON));
    assert_eq!(
        raw_parts(&terminal.modes()),
        (LocalModes::ISIG, OutputModes::OPOST),
        "Ctrl-C still stops the VMM, and lines still start at the left"
    );
    // No echo; each key at once.
    terminal.press(b"k");
    terminal.wait_for("K");
    terminal.press(b"ey.");
    terminal.wait_for("KEY.");
    assert_success(vmm.wait().unwrap(), "");
    assert_eq!(raw_parts(&terminal.modes()), raw_parts(&before));
    assert!(!String::from_utf8_lossy(&terminal.seen).contains("key"), "nothing was echoed");
}

#[test]
fn without_signals_even_ctrl_c_goes_to_the_guest() {
    let mut terminal = Terminal::new();
    let mut vmm = start("off", terminal.device(), terminal.device());
    wait_until("raw mode", || !terminal.modes().local_modes.contains(LocalModes::ICANON));
    assert_eq!(raw_parts(&terminal.modes()), (LocalModes::empty(), OutputModes::OPOST));
    terminal.press(b"\x03c.");
    terminal.wait_for("\x03C.");
    assert_success(vmm.wait().unwrap(), "");
}

#[test]
fn a_reader_that_went_away_does_not_stop_the_guest() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut vmm = start_as("unheard_vmm", "on", Stdio::piped(), writer);
    let mut lines = BufReader::new(reader).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("ready")));
    drop(lines);
    vmm.stdin.take().unwrap().write_all(b"nobody hears this.").unwrap();
    assert_eq!(vmm.wait().unwrap().code(), Some(ANSWERED));
}

#[test]
fn a_reader_that_takes_nothing_holds_the_guest_up_until_the_stream_is_closed() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut vmm = start_as("talkative_vmm", "on", Stdio::null(), writer);
    assert_eq!(vmm.wait().unwrap().code(), Some(HELD_UP));
}

#[test]
fn a_writer_that_waits_gives_up_when_it_is_told_to_and_only_then() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut vmm = start_as("interrupted_vmm", "on", Stdio::null(), writer);
    assert_eq!(vmm.wait().unwrap().code(), Some(HELD_UP));
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was() {
    let terminal = Terminal::new();
    let before = format!("{:?}", terminal.modes());
    let mut vmm = start_as("panicking_vmm", "on", terminal.device(), terminal.device());
    wait_until("raw mode", || !terminal.modes().local_modes.contains(LocalModes::ICANON));
    terminal.press(b"k");
    assert_eq!(vmm.wait().unwrap().signal(), Some(SIGABRT));
    assert_eq!(format!("{:?}", terminal.modes()), before);
}
