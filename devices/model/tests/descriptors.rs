//! What users hand over: how much of it is kept, and that whoever opens a file for them opens that.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::Arc,
};

use device_model::{
    descriptors::{DescriptorError, Descriptors},
    testing::{Machine, TestChardev},
};
use rustix::fs::{Mode, OFlags};

fn null() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/null").expect("it is there").into()
}

/// A folder that goes with the value.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("there is room");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn there_is_an_end_to_what_is_kept_and_room_again_once_something_is_taken_back() {
    let kept = Descriptors::default();
    for number in 0..512 {
        kept.name(&format!("n{number}"), null()).expect("there is room");
        kept.add(Some(number), None, null()).expect("there is room");
    }
    assert_eq!(kept.name("more", null()), Err(DescriptorError::TooMany));
    assert_eq!(kept.add(None, None, null()), Err(DescriptorError::TooMany));
    kept.name("n0", null()).expect("it replaces another");
    kept.unname("n1").expect("it is there");
    kept.name("more", null()).expect("there is room");
    kept.remove(7, None).expect("it is there");
    assert_eq!(kept.add(None, None, null()).expect("there is room").0, 7, "it is the free number");
}

#[test]
fn a_number_is_a_user_s_only_if_the_descriptor_was_handed_over() {
    let machine = Machine::new();
    let kept = machine.platform.descriptors();
    let kind = |number: &str| {
        let duplicate = kept.duplicate(number.parse().expect("it is a number"));
        duplicate.map(drop).map_err(|error| error.kind())
    };
    let (own, inherited, passed) = (null(), null(), null());
    let own = own.as_raw_fd().to_string();
    let [number] = machine.hand_over([&inherited]);
    assert_eq!(kind(&number), Ok(()));
    assert_eq!(kind(&own), Err(ErrorKind::PermissionDenied));
    assert_eq!(kind("99999"), Err(ErrorKind::NotFound));
    assert_eq!(kind("4294967295"), Err(ErrorKind::NotFound));

    let number = passed.as_raw_fd().to_string();
    kept.name("passed", passed).expect("there is room");
    assert_eq!(kind(&number), Ok(()));
    // Until nobody holds it: whatever has its number then is the program's own.
    let held = kept.named("passed").expect("it is there");
    kept.unname("passed").expect("it is there");
    assert_eq!(kind(&number), Ok(()));
    drop(held);
    let taken = kept.duplicate(number.parse().expect("it is a number"));
    assert!(taken.is_err(), "{taken:?}");
    // Sets stand for files, and their members are no sockets.
    let (_, member) = kept.add(None, None, null()).expect("there is room");
    assert_eq!(kind(&member.to_string()), Err(ErrorKind::PermissionDenied));
}

#[test]
fn names_and_descriptions_are_of_bounded_length() {
    let kept = Descriptors::default();
    let (longest, longer) = ("n".repeat(1024), "n".repeat(1025));
    kept.name(&longest, null()).expect("it is not too long");
    let too_long = |parameter| DescriptorError::TooLong { parameter };
    assert_eq!(kept.name(&longer, null()), Err(too_long("fdname")));
    kept.add(None, Some(longest), null()).expect("it is not too long");
    assert_eq!(kept.add(None, Some(longer), null()), Err(too_long("opaque")));
}

#[test]
fn what_an_object_was_made_of_stays_open_as_long_as_that_is_there() {
    let machine = Machine::new();
    let kept = machine.platform.descriptors();
    let is_open = |number: i32| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    machine.add("test-chardev", "a", &[]);
    let object = machine.tree.resolve("/a").expect("it is there");
    assert!(object.is::<TestChardev>());
    kept.name("n", null()).expect("there is room");
    let descriptor = kept.named("n").expect("it is there");
    // A number that nobody else's descriptor gets while the tests run beside this one.
    let number = descriptor.as_raw_fd();
    let link = fs::read_link(format!("/proc/self/fd/{number}")).expect("it is open");
    assert_eq!(link, Path::new("/dev/null"));
    kept.keep(&object, Arc::clone(&descriptor));
    kept.unname("n").expect("it is there");
    drop(descriptor);
    assert!(is_open(number), "it is judged by its number");
    let weak = {
        kept.name("m", null()).expect("there is room");
        Arc::downgrade(&kept.named("m").expect("it is there"))
    };
    assert!(weak.upgrade().is_some());
    kept.unname("m").expect("it is there");
    assert!(weak.upgrade().is_none(), "nothing was made of it");
}

#[test]
fn a_file_is_opened_by_its_path_and_created_if_it_is_to_be() {
    let machine = Machine::new();
    let folder = Folder::new("opened");
    let path = folder.0.join("file");
    let open = |flags| machine.platform.open_file(&path, flags, Mode::from_bits_truncate(0o600));
    let error = open(OFlags::RDONLY).expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let new = open(OFlags::WRONLY | OFlags::CREATE).expect("there is room");
    assert!(new.is_new && !new.is_handed_over);
    File::from(new.descriptor).write_all(b"kept").expect("there is room");
    let again = open(OFlags::RDWR | OFlags::CREATE).expect("it is there");
    assert!(!again.is_new);
    let mut text = String::new();
    File::from(again.descriptor).read_to_string(&mut text).expect("it is ours");
    assert_eq!(text, "kept");
}

#[test]
fn a_set_stands_for_a_file_with_just_the_access_that_is_asked_for() {
    let machine = Machine::new();
    let folder = Folder::new("set");
    let path = folder.0.join("file");
    fs::write(&path, "0123456789").expect("there is room");
    let kept = machine.platform.descriptors();
    let open = |flags| {
        let set = Path::new("/dev/fdset/4");
        machine.platform.open_file(set, flags, Mode::empty()).map_err(|error| error.to_string())
    };
    assert_eq!(open(OFlags::RDONLY).unwrap_err(), "there is no set 4 of descriptors");
    let mut mine = File::open(&path).expect("it is ours");
    kept.add(Some(4), None, mine.try_clone().expect("it is ours").into()).expect("there is room");
    let refused = "set 4 has no descriptor that is open for both reading and writing";
    assert_eq!(open(OFlags::RDWR).unwrap_err(), refused);
    let refused = "set 4 has no descriptor that is open for writing";
    // It is neither emptied nor created, whatever is asked for.
    assert_eq!(open(OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC).unwrap_err(), refused);
    mine.seek(SeekFrom::Start(7)).expect("it is a file");
    let opened = open(OFlags::RDONLY).expect("it can be read");
    assert!(opened.is_handed_over && !opened.is_new);
    let mut rest = String::new();
    File::from(opened.descriptor).read_to_string(&mut rest).expect("it can be read");
    assert_eq!(rest, "789", "where its user was");
}

#[test]
fn neither_a_socket_nor_a_directory_passes_for_a_file() {
    let machine = Machine::new();
    let kept = machine.platform.descriptors();
    let (socket, _peer) = UnixStream::pair().expect("there are descriptors");
    kept.add(Some(0), None, socket.into()).expect("there is room");
    let folder = File::open(std::env::temp_dir()).expect("it is there");
    kept.add(Some(1), None, folder.into()).expect("there is room");
    for (set, flags, kind) in [(0, OFlags::RDWR, "a socket"), (1, OFlags::RDONLY, "a directory")] {
        let path = format!("/dev/fdset/{set}");
        let error = machine.platform.open_file(Path::new(&path), flags, Mode::empty());
        let expected = format!("the descriptor is no file: it is {kind}");
        assert_eq!(error.expect_err("it is none").to_string(), expected);
    }
}

#[test]
fn what_would_be_opened_is_looked_at_without_opening_it() {
    let machine = Machine::new();
    let folder = Folder::new("looked-at");
    let path = folder.0.join("file");
    fs::write(&path, "0123456789").expect("there is room");
    let kept = machine.platform.descriptors();
    let size = |path: &Path, access| {
        let there = kept.look_at(path, access).map_err(|error| error.to_string())?;
        let status = rustix::fs::fstat(&there).expect("it is open");
        let read = rustix::io::read(&there, &mut [0; 1]);
        Ok::<_, String>((status.st_size, read.is_ok()))
    };
    assert_eq!(size(&path, OFlags::RDWR), Ok((10, false)), "it is not to be read from");
    let missing = size(&folder.0.join("missing"), OFlags::RDONLY).unwrap_err();
    assert!(missing.contains("No such file"), "{missing}");
    let set = Path::new("/dev/fdset/4");
    assert_eq!(size(set, OFlags::RDONLY).unwrap_err(), "there is no set 4 of descriptors");
    // A set may lead to several files: the one with that access is looked at.
    let other = folder.0.join("other");
    fs::write(&other, "0").expect("there is room");
    let read_only = File::open(&other).expect("it is ours");
    kept.add(Some(4), None, read_only.into()).expect("there is room");
    let both = File::options().read(true).write(true).open(&path).expect("it is ours");
    kept.add(Some(4), None, both.into()).expect("there is room");
    assert_eq!(size(set, OFlags::RDWR).map(|(size, _)| size), Ok(10));
    assert_eq!(size(set, OFlags::RDONLY).map(|(size, _)| size), Ok(1));
    let wrong = size(Path::new("/dev/fdset/4x"), OFlags::RDONLY).unwrap_err();
    assert_eq!(wrong, "expected a number after /dev/fdset/");
}
