//! Making socket character devices, and the other ends of them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::Read,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use device_model::{prelude::*, testing::Machine};
// For its types, which the linker would leave out otherwise.
use devices as _;
use tempfile::TempDir;

pub(crate) const SERVER: [(&str, &str); 2] = [("server", "on"), ("wait", "off")];

pub(crate) fn stream(machine: &Machine, properties: &[(&str, &str)]) -> (Obj, Arc<dyn Chardev>) {
    let object = machine.add("chardev-socket", "stream", properties);
    let stream = object.cast::<dyn Chardev>().unwrap();
    (object, stream)
}

pub(crate) fn refusal(machine: &Machine, properties: &[(&str, &str)]) -> String {
    machine.create("chardev-socket", "refused", properties).unwrap_err().to_string()
}

/// A directory, and the path of a socket in it.
pub(crate) fn place() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s").to_str().unwrap().to_owned();
    (directory, path)
}

pub(crate) fn server(machine: &Machine, path: &str) -> (Obj, Arc<dyn Chardev>) {
    stream(machine, &[&SERVER[..], &[("path", path)]].concat())
}

/// The port of a server or client, as its filename ends.
pub(crate) fn shown_port(stream: &dyn Chardev) -> u16 {
    let name = stream.filename();
    let name = name.strip_suffix(",server=on").unwrap_or(&name).to_owned();
    name.rsplit_once(':').unwrap().1.parse().unwrap()
}

pub(crate) fn is_closed(mut client: impl Read) -> bool {
    // Closed with something unread, it is reset.
    client.read(&mut [0]).map_or(true, |length| length == 0)
}

/// Writes more than any buffer holds, until `free` frees the writer.
pub(crate) fn hold_up(stream: &dyn Chardev, free: impl FnOnce()) {
    thread::scope(|scope| {
        let writer = scope.spawn(|| stream.write(&vec![b'x'; 16 << 20]));
        thread::sleep(Duration::from_millis(300));
        assert!(!writer.is_finished(), "the peer takes all");
        let start = Instant::now();
        free();
        writer.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(2));
    });
}
