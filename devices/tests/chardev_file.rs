//! `chardev-file`, `chardev-pipe` and `chardev-ringbuf` as devices and users meet them.

mod reader;

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use device_model::{
    prelude::*,
    qom_core::{Request, SecurityStatus},
    realize::DeviceRealizer,
    testing::{Machine, wait_until},
};
use devices::chardev::ChardevRingbuf;
use reader::Reader;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

fn stream(machine: &Machine, kind: &str, properties: &[(&str, &str)]) -> (Obj, Arc<dyn Chardev>) {
    let object = machine.add(kind, "stream", properties);
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    let stream = object.cast::<dyn Chardev>().unwrap();
    (object, stream)
}

fn place() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f").to_str().unwrap().to_owned();
    (directory, path)
}

fn make_pipe(path: &str) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn open_pipe(path: &str) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn a_file_is_replaced_by_the_first_output_and_not_before() {
    let (_directory, path) = place();
    fs::write(&path, "what was there, and was longer").unwrap();
    let machine = Machine::new();
    let (object, stream) = stream(&machine, "chardev-file", &[("path", &path)]);
    assert_eq!(stream.filename(), "file");
    let reader = Reader::of(&*stream);
    assert_eq!(reader.presences(), [Presence::Came]);
    stream.write(b"");
    assert_eq!(fs::read_to_string(&path).unwrap(), "what was there, and was longer");
    stream.write(b"new");
    stream.write(b" text");
    stream.disconnect();
    machine.remove(&object);
    assert_eq!(fs::read_to_string(&path).unwrap(), "new text");
    stream.write(b"closed");
    assert_eq!(fs::read_to_string(&path).unwrap(), "new text");
}

#[test]
fn a_file_can_be_appended_to() {
    let (_directory, path) = place();
    fs::write(&path, "old").unwrap();
    let machine = Machine::new();
    let (_object, stream) = stream(&machine, "chardev-file", &[("path", &path), ("append", "on")]);
    stream.write(b" and new");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old and new");
}

#[test]
fn if_something_after_it_fails_the_file_is_as_before() {
    let (directory, path) = place();
    fs::write(&path, "precious").unwrap();
    let new = directory.path().join("new").to_str().unwrap().to_owned();
    let machine = Machine::new();
    let requests = [
        Request::new("chardev-file", "/", "one").set("path", path.as_str()),
        Request::new("chardev-file", "/", "two").set("path", new.as_str()),
        Request::new("chardev-file", "/", "three").set("path", format!("{path}/none")),
    ];
    let error = machine.tree.create(requests, &mut DeviceRealizer::new(&machine.platform));
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&format!("can't open '{path}/none'")), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert!(!Path::new(&new).exists());
}

#[test]
fn a_file_s_input_is_read_to_its_end() {
    let (directory, path) = place();
    let input = directory.path().join("input").to_str().unwrap().to_owned();
    let sent = b"every byte ".repeat(1000);
    fs::write(&input, &sent).unwrap();
    let machine = Machine::new();
    let properties = [("path", path.as_str()), ("input-path", input.as_str())];
    let (_object, stream) = stream(&machine, "chardev-file", &properties);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 7);
    reader.wait_for(7);
    reader.make_room(&*stream, sent.len());
    assert_eq!(reader.wait_for(sent.len() - 7), sent[7..]);
    assert_eq!(reader.wait_for_presences(2), [Presence::Came, Presence::Left]);
    stream.write(b"after the end");
    assert_eq!(fs::read_to_string(&path).unwrap(), "after the end");
    let properties = [("path", path.as_str()), ("input-path", "/nonexistent")];
    machine.create("chardev-file", "other", &properties).unwrap_err();
}

#[test]
fn a_pipe_that_nobody_reads_from_is_no_file() {
    let (_directory, path) = place();
    make_pipe(&path);
    let error = Machine::new().create("chardev-file", "f", &[("path", &path)]).unwrap_err();
    assert!(error.to_string().contains(&format!("can't open '{path}'")), "{error}");
}

#[test]
fn two_pipes_carry_both_directions() {
    let (_directory, path) = place();
    make_pipe(&format!("{path}.in"));
    make_pipe(&format!("{path}.out"));
    let machine = Machine::new();
    let (object, stream) = stream(&machine, "chardev-pipe", &[("path", &path)]);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    for text in ["to the device", "and again"] {
        // Whoever writes comes and goes.
        open_pipe(&format!("{path}.in")).write_all(text.as_bytes()).unwrap();
        assert_eq!(reader.wait_for(text.len()), text.as_bytes());
    }
    stream.write(b"to the host");
    let mut heard = [0; 11];
    open_pipe(&format!("{path}.out")).read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"to the host");

    thread::scope(|scope| {
        let writer = scope.spawn(|| stream.write(&[b'x'; 1 << 20]));
        thread::sleep(Duration::from_millis(200));
        assert!(!writer.is_finished());
        stream.close();
        writer.join().unwrap();
    });
    stream.disconnect();
    machine.remove(&object);
    assert!(Path::new(&format!("{path}.in")).exists());
}

#[test]
fn one_pipe_serves_both_directions() {
    let (_directory, path) = place();
    make_pipe(&path);
    let machine = Machine::new();
    let (_object, stream) = stream(&machine, "chardev-pipe", &[("path", &path)]);
    stream.write(b"heard");
    let mut heard = [0; 5];
    open_pipe(&path).read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"heard");
}

#[test]
fn what_is_no_pipe_is_refused_and_not_touched() {
    let (_directory, path) = place();
    let machine = Machine::new();
    machine.create("chardev-pipe", "p", &[("path", &path)]).unwrap_err();
    fs::write(&path, "precious").unwrap();
    let error = machine.create("chardev-pipe", "p", &[("path", &path)]).unwrap_err();
    assert!(error.to_string().contains("is no named pipe"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_ring_keeps_the_last_output_up_to_its_size() {
    let machine = Machine::new();
    let (object, stream) = stream(&machine, "chardev-ringbuf", &[("size", "8")]);
    let ring = object.cast::<ChardevRingbuf>().unwrap();
    stream.write(b"abcde");
    assert_eq!(ring.take(2), b"ab");
    stream.write(b"fghijk");
    assert_eq!(ring.len(), 8);
    assert_eq!(ring.take(usize::MAX), b"defghijk");
    assert!(ring.is_empty());
    stream.write(b"longer than it is");
    ring.put(b"!");
    assert_eq!(ring.take(100), b"n it is!");
    let reader = Reader::of(&*stream);
    stream.accept_input();
    assert_eq!(reader.count(), 0);
}

#[test]
fn a_ring_has_a_power_of_two_as_its_size() {
    let machine = Machine::new();
    for size in ["0", "3", "65535", "2G"] {
        let error = machine.create("chardev-ringbuf", "ring", &[("size", size)]).unwrap_err();
        assert!(error.to_string().contains("Parameter 'size' expects a power of two"), "{error}");
    }
    machine.add("chardev-ringbuf", "ring", &[]);
}

#[test]
fn a_file_that_was_made_and_not_written_to_goes_with_the_stream() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (object, _stream) = stream(&machine, "chardev-file", &[("path", &path)]);
    wait_until("the file", || Path::new(&path).exists());
    machine.remove(&object);
    assert!(!Path::new(&path).exists());
}
