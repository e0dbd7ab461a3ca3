//! What a `chardev-socket` that can't be created leaves behind: nothing. Each in a process of its
//! own, so that nobody else opens descriptors or gets its signals.

use std::{
    fs, io,
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use device_model::{
    qom_core::CreateError,
    testing::{Machine, wait_until},
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::gettid,
};

/// Names the path of the socket to such a process.
const SOCKET: &str = "CHARDEV_SOCKET_TEST_PATH";

fn command(name: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env(SOCKET, path);
    command
}

fn descriptors() -> Vec<String> {
    let own = fs::read_dir("/proc/self/fd").unwrap();
    let mut open: Vec<_> = own
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        // That of the directory itself.
        .filter(|target| !target.contains("/fd"))
        .collect();
    open.sort_unstable();
    open
}

/// Not a test, but a VMM whose sockets all fail.
#[test]
#[ignore = "is started by another"]
fn failing_vmm() {
    let Ok(path) = std::env::var(SOCKET) else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let machine = Machine::new();
    // The loop makes what it keeps.
    let file = format!("{path}.file");
    fs::write(&file, "precious").unwrap();
    let below = format!("{path}/none");
    let before = descriptors();
    let server = [("server", "on"), ("wait", "off")];
    for properties in [
        &[("path", path.as_str())][..],
        &[&server[..], &[("path", &below)]].concat(),
        &[&server[..], &[("path", &file)]].concat(),
        &[&server[..], &[("host", "127.0.0.1"), ("port", &port)]].concat(),
        &[("fd", "99999")],
        // A user's mistake after the socket: what came before it is undone.
        &[("host", "127.0.0.1"), ("port", "1")],
    ] {
        machine.create("chardev-socket", "stream", properties).unwrap_err();
        assert_eq!(descriptors(), before, "{properties:?}");
        assert!(!Path::new(&path).exists(), "{properties:?}");
    }
    // Nor does one that was there leave anything when it goes.
    for _ in 0..3 {
        let there = [&server[..], &[("path", path.as_str())]].concat();
        let object = machine.add("chardev-socket", "stream", &there);
        machine.remove(&object);
        assert_eq!(descriptors(), before);
        assert!(!Path::new(&path).exists());
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

/// Not a test, but a VMM that waits for somebody, until a signal comes.
#[test]
#[ignore = "is started by another"]
fn waiting_vmm() {
    let Ok(path) = std::env::var(SOCKET) else { return };
    let signal = signal_hook::consts::SIGUSR1;
    let came = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal, Arc::clone(&came)).unwrap();
    let machine = Machine::new();
    fs::write(format!("{path}.thread"), gettid().as_raw_nonzero().to_string()).unwrap();
    let before = descriptors();
    let properties = [("path", path.as_str()), ("server", "on")];
    let error = machine.create("chardev-socket", "stream", &properties).unwrap_err();
    assert!(error.to_string().contains("a signal came before anybody connected"), "{error}");
    let CreateError::Complete { error, .. } = *error else { panic!("{error}") };
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    assert_eq!(kind, Some(io::ErrorKind::Interrupted));
    assert_eq!(descriptors(), before);
    assert!(!Path::new(&path).exists());
    assert!(machine.paths().is_empty());
}

#[test]
fn a_socket_that_can_t_be_created_leaves_no_descriptor_and_no_path() {
    let directory = tempfile::tempdir().unwrap();
    let status = command("failing_vmm", &directory.path().join("s")).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_signal_ends_the_wait_for_a_peer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let mut vmm = command("waiting_vmm", &path).spawn().unwrap();
    wait_until("the server", || path.exists());
    std::thread::sleep(Duration::from_millis(200));
    // A signal to a process that names one of its threads goes to that if it can.
    let thread = fs::read_to_string(directory.path().join("s.thread")).unwrap().parse().unwrap();
    kill_process(Pid::from_raw(thread).unwrap(), Signal::USR1).unwrap();
    wait_until("its end", || vmm.try_wait().unwrap().is_some());
    let status = vmm.wait().unwrap();
    assert!(status.success(), "{status}");
}
