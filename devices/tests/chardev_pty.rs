//! `chardev-pty` as devices and whoever opens its other side meet it.

mod reader;

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use device_model::{prelude::*, qom_core::SecurityStatus, testing::Machine};
// For its types, which the linker would leave out otherwise.
use devices as _;
use reader::Reader;
use rustix::{
    fs::OFlags,
    termios::{LocalModes, tcgetattr},
};

use Presence::{Came, Left};

fn stream(machine: &Machine, properties: &[(&str, &str)]) -> (Obj, Arc<dyn Chardev>, String) {
    let object = machine.add("chardev-pty", "stream", properties);
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    let stream = object.cast::<dyn Chardev>().unwrap();
    let name = stream.filename();
    let path = name.strip_prefix("pty:").unwrap().to_owned();
    (object, stream, path)
}

fn other_side(path: &str) -> File {
    let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
    File::options().read(true).write(true).custom_flags(flags).open(path).unwrap()
}

#[test]
fn whoever_opens_it_comes_talks_and_goes() {
    let machine = Machine::new();
    let (_object, stream, path) = stream(&machine, &[]);
    assert!(path.starts_with("/dev/pts/"), "{path}");
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    stream.write(b"lost");
    assert_eq!(reader.presences(), []);
    for round in 1..3 {
        let mut terminal = other_side(&path);
        reader.wait_for_presences(2 * round - 1);
        assert!(!tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO), "raw");
        terminal.write_all(b"\x03keys\r").unwrap();
        assert_eq!(reader.wait_for(6), b"\x03keys\r");
        stream.write(b"shown\n");
        let mut shown = [0; 6];
        terminal.read_exact(&mut shown).unwrap();
        assert_eq!(&shown, b"shown\n");
        drop(terminal);
        reader.wait_for_presences(2 * round);
    }
    assert_eq!(reader.presences(), [Came, Left, Came, Left]);
}

#[test]
fn what_was_typed_before_anybody_looked_arrives() {
    let machine = Machine::new();
    let (_object, stream, path) = stream(&machine, &[]);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    other_side(&path).write_all(b"quick").unwrap();
    assert_eq!(reader.wait_for(5), b"quick");
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
}

#[test]
fn one_that_shows_nothing_holds_the_writer_up_until_it_goes_or_the_stream_closes() {
    let machine = Machine::new();
    let (_object, stream, path) = stream(&machine, &[]);
    let _running = machine.run_events();
    for room in [usize::MAX, 0] {
        let reader = Reader::with_room(&*stream, room);
        let mut terminal = other_side(&path);
        reader.wait_for_presences(1);
        terminal.write_all(b"keys").unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(|| stream.write(&[b'x'; 1 << 20]));
            thread::sleep(Duration::from_millis(300));
            assert!(!writer.is_finished());
            drop(terminal);
            writer.join().unwrap();
        });
        reader.make_room(&*stream, 100);
        reader.wait_for_presences(2);
        stream.disconnect();
    }
    let reader = Reader::of(&*stream);
    let _terminal = other_side(&path);
    reader.wait_for_presences(1);
    thread::scope(|scope| {
        let writer = scope.spawn(|| stream.write(&[b'x'; 1 << 20]));
        thread::sleep(Duration::from_millis(300));
        assert!(!writer.is_finished());
        stream.close();
        writer.join().unwrap();
    });
}

#[test]
fn a_link_leads_to_it_while_it_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("tty").to_str().unwrap().to_owned();
    let machine = Machine::new();
    let (object, _stream, path) = stream(&machine, &[("path", &link)]);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new(&path));
    let error = machine.create("chardev-pty", "other", &[("path", &link)]).unwrap_err();
    assert!(error.to_string().contains(&format!("'{link}': the path exists")), "{error}");
    machine.remove(&object);
    assert!(fs::symlink_metadata(&link).is_err());

    fs::write(&link, "precious").unwrap();
    machine.create("chardev-pty", "other", &[("path", &link)]).unwrap_err();
    assert_eq!(fs::read_to_string(&link).unwrap(), "precious");
}
