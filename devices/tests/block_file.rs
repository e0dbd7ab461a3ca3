//! `file`: a regular file of the host, as it is, and for one writer at a time.

mod disk;

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path, process::Command};

use device_model::{
    block::{BlockNode, Buffers, Request},
    prelude::Obj,
    testing::Machine,
};
use disk::{TestDisk, refusal};
use proptest::prelude::*;
use rustix::fs::{FileType, Mode, mknodat};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("it is text").to_owned()
    }

    /// A file with these bytes.
    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("there is room");
        path
    }
}

/// Bytes that differ from their neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect()
}

fn node(object: &Obj) -> std::sync::Arc<dyn BlockNode> {
    object.cast().expect("it is a node")
}

#[test]
fn what_is_written_is_in_the_file_and_what_is_in_the_file_is_read() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &pattern(100_000));
    let created = machine.add("blockdev-file", "f", &[("filename", &path)]);
    assert_eq!((node(&created).length(), node(&created).filename()), (100_000, path.clone()));
    let disk = TestDisk::before(&machine, "f");
    assert_eq!(disk.read(3, 50_000).expect("it is readable"), pattern(100_000)[3..50_003]);
    disk.write(77, b"written").expect("it is writable");
    disk.one(Request::flush(0)).expect("the host can");
    let mut expected = pattern(100_000);
    expected[77..84].copy_from_slice(b"written");
    assert_eq!(fs::read(&path).expect("it is there"), expected);
    disk.write(99_999, b"xy").expect_err("it lies beyond the end");
    assert_eq!(fs::read(&path).expect("it is there"), expected);
    let statistics = disk.backend().statistics();
    assert_eq!((statistics.reads.done, statistics.reads.bytes), (1, 50_000));
    let writes = statistics.writes;
    assert_eq!((writes.done, writes.bytes, writes.failed, statistics.written_to), (1, 7, 1, 84));
    assert_eq!((statistics.flushes.done, statistics.discards.done), (1, 0));
    assert!(!statistics.reads.time.is_zero());
}

#[test]
fn many_requests_at_once_are_each_done() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &[0; 1 << 20]);
    machine.add("blockdev-file", "f", &[("filename", &path)]);
    let disk = TestDisk::before(&machine, "f");
    let block = |at: u64| vec![u8::try_from(at % 255 + 1).unwrap_or_default(); 4096];
    let writes = (0..256).map(|at| Request::write(at, at * 4096, Buffers::Owned(block(at))));
    let done = disk.run(writes.collect());
    assert!(done.len() == 256 && done.iter().all(|completion| completion.result.is_ok()));
    let reads = (0..256).map(|at| Request::read(at, at * 4096, Buffers::Owned(vec![0; 4096])));
    for (at, completion) in (0..).zip(disk.run(reads.collect())) {
        assert_eq!(completion.token, at);
        assert!(matches!(&completion.buffers, Buffers::Owned(bytes) if *bytes == block(at)));
    }
}

#[test]
fn zeroes_are_written_and_room_is_given_up() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &[7; 1 << 20]);
    machine.add("blockdev-file", "f", &[("filename", &path), ("discard", "unmap")]);
    let disk = TestDisk::before(&machine, "f");
    disk.one(Request::write_zeroes(0, 100, 5000, false)).expect("it is writable");
    let mut expected = vec![7; 1 << 20];
    expected[100..5100].fill(0);
    assert_eq!(fs::read(&path).expect("it is there"), expected);
    disk.one(Request::write_zeroes(0, 65_536, 65_536, true)).expect("it is writable");
    expected[65_536..131_072].fill(0);
    assert_eq!(fs::read(&path).expect("it is there"), expected);
    let before = fs::metadata(&path).expect("it is there").blocks();
    disk.one(Request::discard(0, 1 << 19, 1 << 19)).expect("it is writable");
    let after = fs::metadata(&path).expect("it is there");
    assert_eq!(after.len(), 1 << 20);
    assert!(after.blocks() < before, "{} is not less than {before}", after.blocks());
    assert_eq!(fs::read(&path).expect("it is there")[..1 << 19], expected[..1 << 19]);
}

#[test]
fn a_discard_is_passed_over_unless_asked_for() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &pattern(65_536));
    machine.add("blockdev-file", "f", &[("filename", &path)]);
    let disk = TestDisk::before(&machine, "f");
    disk.one(Request::discard(0, 0, 65_536)).expect("it does nothing");
    assert_eq!(fs::read(&path).expect("it is there"), pattern(65_536));
}

#[test]
fn past_the_cache_every_position_and_length_is_served() {
    // The folder for temporary files may be in memory, which some kernels have no such way to.
    let folder = Folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room"));
    let machine = Machine::new();
    let mut expected = pattern(256 << 10);
    let path = folder.file("image", &expected);
    let properties = [("filename", &*path), ("cache.direct", "on")];
    let created = match machine.create("blockdev-file", "f", &properties) {
        Ok(created) => created.objects,
        Err(error) => {
            assert!(error.to_string().contains("does not support O_DIRECT"), "{error}");
            return;
        }
    };
    let unit = u64::from(node(&created[0]).limits().alignment);
    assert!(unit >= 512, "{unit}");
    let disk = TestDisk::before(&machine, "f");
    for (offset, length) in [(0, 4096), (1, 1), (511, 2), (4095, 8194), (100, 100_000)] {
        let at = usize::try_from(offset).expect("it is small");
        assert_eq!(disk.read(offset, length).expect("it is readable"), expected[at..at + length]);
        let new: Vec<u8> = (0..length).map(|at| u8::try_from(at % 7 + 9).unwrap_or(0)).collect();
        disk.write(offset, &new).expect("it is writable");
        expected[at..at + length].copy_from_slice(&new);
    }
    disk.one(Request::write_zeroes(0, 1000, 3000, false)).expect("it is writable");
    expected[1000..4000].fill(0);
    disk.one(Request::flush(0)).expect("the host can");
    assert_eq!(fs::read(&path).expect("it is there"), expected);

    let odd = folder.file("odd", b"odd");
    let text = refusal(&machine, "blockdev-file", &[("filename", &odd), ("cache.direct", "on")]);
    assert_eq!(
        text,
        format!(
            "Could not open '{odd}': with cache.direct=on its length has to be a multiple of \
             {unit}, not 3"
        )
    );
}

#[test]
fn one_that_was_cut_short_fails_its_readers() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &[1; 8192]);
    machine.add("blockdev-file", "f", &[("filename", &path)]);
    let disk = TestDisk::before(&machine, "f");
    fs::File::options().write(true).open(&path).and_then(|file| file.set_len(4096)).expect("ok");
    assert_eq!(disk.read(0, 4096).expect("it is there"), [1; 4096]);
    let error = disk.read(0, 8192).expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_length_that_no_file_has_is_refused() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &[0; 4096]);
    let created = machine.add("blockdev-file", "f", &[("filename", &path)]);
    let error = node(&created).resize(u64::MAX).expect_err("no file is that long");
    assert!(error.to_string().starts_with("can't resize the file: "), "{error}");
    assert_eq!(node(&created).length(), 4096);
}

#[test]
fn its_length_changes_and_the_device_is_told() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &[1; 4096]);
    let created = machine.add("blockdev-file", "f", &[("filename", &path)]);
    let disk = TestDisk::before(&machine, "f");
    node(&created).resize(8192).expect("it is writable");
    machine.platform.block_users().resized(&created);
    assert_eq!((disk.backend().length(), disk.resizes()), (8192, 1));
    assert_eq!(disk.read(4090, 10).expect("it is there"), [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
}

#[test]
fn what_is_no_regular_file_is_refused_by_what_it_is() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let fifo = folder.path("fifo");
    mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .expect("anybody may");
    let link = folder.path("link");
    std::os::unix::fs::symlink("/dev/null", &link).expect("there is room");
    for path in ["/dev/null", &link, &fifo, "/"] {
        let text = refusal(&machine, "blockdev-file", &[("filename", path)]);
        assert_eq!(text, format!("'file' driver requires '{path}' to be a regular file"));
    }
    let missing = folder.path("missing");
    let text = refusal(&machine, "blockdev-file", &[("filename", &missing)]);
    assert_eq!(text, format!("Could not open '{missing}': No such file or directory (os error 2)"));
    assert!(!Path::new(&missing).exists(), "it was created");
}

#[test]
fn an_image_has_one_writer_or_several_readers() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &[0; 512]);
    let other = Machine::new();
    let writer = machine.add("blockdev-file", "f", &[("filename", &path)]);
    let locked = |lock: &str| {
        format!("Failed to get {lock} lock: is another process using the image [{path}]?")
    };
    let reader = [("filename", &*path), ("read-only", "on")];
    assert_eq!(refusal(&other, "blockdev-file", &[("filename", &path)]), locked("\"write\""));
    assert_eq!(refusal(&other, "blockdev-file", &reader), locked("shared \"write\""));
    let careless = [("filename", &*path), ("locking", "off")];
    let careless = other.add("blockdev-file", "careless", &careless);
    other.remove(&careless);
    machine.remove(&writer);
    let one = machine.add("blockdev-file", "one", &reader);
    other.add("blockdev-file", "two", &reader);
    assert_eq!(refusal(&machine, "blockdev-file", &[("filename", &path)]), locked("\"write\""));
    machine.remove(&one);
    assert_eq!(refusal(&machine, "blockdev-file", &[("filename", &path)]), locked("\"write\""));
}

/// `qemu-img` with these arguments: whether it succeeds, and all that it says.
fn qemu_img(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("qemu-img").args(arguments).output();
    let output = output.expect("qemu-img is there: cargo xtask fetch installs it");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn qemu_keeps_to_the_same_locks() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.path("image");
    assert!(qemu_img(&["create", "-f", "raw", &path, "1M"]).0);
    let writer = machine.add("blockdev-file", "f", &[("filename", &path)]);
    assert_eq!(node(&writer).length(), 1 << 20);
    // What only looks at the length of a raw image locks nothing.
    let copy = folder.path("copy");
    let convert = ["convert", "-f", "raw", "-O", "raw", &path, &copy];
    let (held, said) = qemu_img(&convert);
    assert!(!held && said.contains("Failed to get shared \"write\" lock"), "{said}");
    machine.remove(&writer);
    machine.add("blockdev-file", "f", &[("filename", &path), ("read-only", "on")]);
    assert!(qemu_img(&convert).0);
    let (held, said) = qemu_img(&["resize", "-f", "raw", &path, "2M"]);
    assert!(!held && said.contains("Failed to get \"write\" lock"), "{said}");
}

#[test]
fn an_image_that_qemu_made_is_read() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let (source, image) = (folder.file("source", &pattern(1 << 20)), folder.path("image"));
    assert!(qemu_img(&["convert", "-f", "raw", "-O", "raw", &source, &image]).0);
    machine.add("blockdev-file", "f", &[("filename", &image), ("read-only", "on")]);
    let disk = machine.add("test-disk", "d", &[("drive", "f"), ("reads", "on")]);
    let disk = disk.cast::<TestDisk>().expect("it is one");
    assert_eq!(disk.read(0, 1 << 20).expect("it is readable"), pattern(1 << 20));
}

#[test]
fn what_can_not_be_written_to_is_read_only_if_that_will_do() {
    if rustix::process::geteuid().is_root() {
        // To whom every file is writable.
        return;
    }
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &[0; 512]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    fs::set_permissions(&path, mode).expect("it is ours");
    let text = refusal(&machine, "blockdev-file", &[("filename", &path)]);
    assert!(text.ends_with("Permission denied (os error 13)"), "{text}");
    let properties = [("filename", &*path), ("auto-read-only", "on")];
    let created = machine.add("blockdev-file", "f", &properties);
    assert!(!node(&created).is_writable());
}

#[test]
fn a_descriptor_that_was_handed_over_is_taken_for_what_it_is() {
    let (folder, machine) = (Folder::new(), Machine::new());
    let path = folder.file("image", &pattern(4096));
    let add = |set: u32, file: fs::File| {
        let descriptors = machine.platform.descriptors();
        descriptors.add(Some(set), None, file.into()).expect("there is room");
    };
    let (both, end) = (fs::File::options().read(true).write(true).clone(), fs::OpenOptions::new());
    add(1, both.open(&path).expect("it is there"));
    add(2, fs::File::open(&path).expect("it is there"));
    add(3, end.clone().read(true).append(true).open(&path).expect("it is there"));
    add(4, both.open("/dev/null").expect("it is there"));
    let created = machine.add("blockdev-file", "f", &[("filename", "/dev/fdset/1")]);
    let disk = TestDisk::before(&machine, "f");
    disk.write(7, b"seven").expect("it is writable");
    assert_eq!(fs::read(&path).expect("it is there")[7..12], *b"seven");
    // It is locked as if it had been opened by name.
    let other = Machine::new();
    let text = refusal(&other, "blockdev-file", &[("filename", &path)]);
    assert!(text.starts_with("Failed to get \"write\" lock"), "{text}");
    // So it is here, where the kernel knows of one open file.
    let text = refusal(&machine, "blockdev-file", &[("filename", "/dev/fdset/1")]);
    assert!(text.starts_with("Failed to get \"write\" lock"), "{text}");
    let device = machine.tree.resolve("/disk-of-f").expect("it is there");
    machine.remove(&device);
    drop(disk);
    machine.remove(&created);
    // The descriptor is still open, and nothing is locked.
    let copy = folder.path("copy");
    assert!(qemu_img(&["convert", "-f", "raw", "-O", "raw", &path, &copy]).0);
    assert!(qemu_img(&["resize", "-f", "raw", &path, "4K"]).0);
    for (set, problem) in [
        ("2", "set 2 has no descriptor that is open for both reading and writing"),
        ("3", "its descriptor is open for appending"),
        ("9", "there is no set 9 of descriptors"),
    ] {
        let path = format!("/dev/fdset/{set}");
        let text = refusal(&machine, "blockdev-file", &[("filename", &path)]);
        assert_eq!(text, format!("Could not open '{path}': {problem}"));
    }
    let text = refusal(&machine, "blockdev-file", &[("filename", "/dev/fdset/4")]);
    assert_eq!(text, "'file' driver requires '/dev/fdset/4' to be a regular file");
    let direct = [("filename", "/dev/fdset/1"), ("cache.direct", "on")];
    let text = refusal(&machine, "blockdev-file", &direct);
    assert!(text.ends_with("its descriptor was opened without O_DIRECT"), "{text}");
    let reader = [("filename", "/dev/fdset/2"), ("auto-read-only", "on")];
    assert!(!node(&machine.add("blockdev-file", "reader", &reader)).is_writable());
}

/// What is asked of a disk: where, how much, what.
#[derive(Clone, Debug)]
enum Step {
    Read(u64, usize),
    Write(u64, usize, u8),
    Zero(u64, u64),
}

fn step(length: u64) -> impl Strategy<Value = Step> {
    let far = || (0..length, 1..length / 2);
    prop_oneof![
        far().prop_map(|(offset, count)| Step::Read(offset, usize::try_from(count).unwrap_or(1))),
        (far(), any::<u8>()).prop_map(|((offset, count), value)| {
            Step::Write(offset, usize::try_from(count).unwrap_or(1), value)
        }),
        far().prop_map(|(offset, count)| Step::Zero(offset, count)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_asked_in_whatever_order_it_is_as_in_memory(
        steps in prop::collection::vec(step(64 << 10), 1..16),
        direct in any::<bool>(),
    ) {
        const LENGTH: usize = 64 << 10;
        let folder = Folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room"));
        let mut expected = pattern(LENGTH);
        let path = folder.file("image", &expected);
        let machine = Machine::new();
        let direct = if direct { "on" } else { "off" };
        let properties = [("filename", &*path), ("cache.direct", direct)];
        if machine.create("blockdev-file", "f", &properties).is_err() {
            // The file system has no way past the cache.
            machine.add("blockdev-file", "f", &properties[..1]);
        }
        let disk = TestDisk::before(&machine, "f");
        for step in steps {
            let (offset, count, request) = match step.clone() {
                Step::Read(offset, count) => {
                    (offset, count, Request::read(0, offset, Buffers::Owned(vec![0; count])))
                }
                Step::Write(offset, count, value) => {
                    (offset, count, Request::write(0, offset, Buffers::Owned(vec![value; count])))
                }
                Step::Zero(offset, count) => {
                    let request = Request::write_zeroes(0, offset, count, false);
                    (offset, usize::try_from(count).unwrap_or(0), request)
                }
            };
            let start = usize::try_from(offset).expect("it is small");
            let range = start..start + count;
            let result = disk.one(request);
            prop_assert_eq!(result.is_ok(), range.end <= LENGTH, "{:?}", step);
            if let Ok(bytes) = result {
                match step {
                    Step::Read(..) => prop_assert!(bytes == expected[range], "{:?}", step),
                    Step::Write(_, _, value) => expected[range].fill(value),
                    Step::Zero(..) => expected[range].fill(0),
                }
            }
        }
        disk.one(Request::flush(0)).expect("the host can");
        prop_assert!(fs::read(&path).expect("it is there") == expected);
    }
}
