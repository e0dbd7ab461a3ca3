//! `raw`: the bytes of another node, or a part of them; and how nodes stand on each other.

mod disk;

use std::{fs, sync::Arc};

use device_model::{
    block::{BlockNode, Buffers, GuestRange, Request},
    platform::GuestMemory,
    prelude::Obj,
    qom_core::{Request as Creation, Value},
    realize::DeviceRealizer,
    testing::Machine,
};
use devices as _;
use disk::{TestDisk, refusal};
use vm_memory::{Bytes, GuestAddress};

fn image(bytes: &[u8]) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().expect("there is room");
    fs::write(file.path(), bytes).expect("there is room");
    let path = file.path().to_str().expect("it is text").to_owned();
    (file, path)
}

/// How many times a file is open here.
fn opened(path: &str) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("it is there");
    let leads_there = |it: &fs::DirEntry| {
        fs::read_link(it.path()).is_ok_and(|target| target == std::path::Path::new(path))
    };
    // One that was closed meanwhile leads nowhere.
    descriptors.filter_map(Result::ok).filter(leads_there).count()
}

/// A file described in place, as the property of its parent.
fn in_place(path: &str) -> String {
    let properties = serde_json::json!({"filename": path, "node-name": "part"});
    serde_json::json!({"type": "blockdev-file", "properties": properties}).to_string()
}

#[test]
fn a_part_of_a_file_is_a_disk_of_its_own() {
    let (file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    machine.add("blockdev-file", "f", &[("filename", &path)]);
    machine.add("blockdev-raw", "r", &[("file-node", "f"), ("offset", "1000"), ("size", "1024")]);
    let disk = TestDisk::before(&machine, "r");
    assert_eq!(disk.backend().length(), 1024);
    disk.write(0, b"first").expect("it lies within");
    disk.write(1020, b"last").expect("it lies within");
    disk.write(1021, b"last").expect_err("it lies beyond the end");
    disk.one(Request::write_zeroes(0, 100, 10, false)).expect("it lies within");
    let mut expected = [1; 4096];
    expected[1000..1005].copy_from_slice(b"first");
    expected[2020..2024].copy_from_slice(b"last");
    expected[1100..1110].fill(0);
    assert_eq!(fs::read(file.path()).expect("it is there"), expected);
    assert_eq!(disk.read(1018, 6).expect("it lies within"), *b"\x01\x01last");
}

#[test]
fn a_part_lies_within_the_file() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    machine.add("blockdev-file", "f", &[("filename", &path)]);
    for (offset, size, text) in [
        ("4097", "0", "Offset (4097) cannot be greater than size of the containing file (4096)"),
        (
            "512",
            "4096",
            "The sum of offset (512) and size (4096) has to be smaller or equal to the actual size \
             of the containing file (4096)",
        ),
        ("0", "1000", "Specified size (1000) is not multiple of 512"),
    ] {
        let properties = [("file-node", "f"), ("offset", offset), ("size", size)];
        assert_eq!(refusal(&machine, "blockdev-raw", &properties), text);
        // It left no trace: the file has no user.
        let raw = machine.add("blockdev-raw", "r", &[("file-node", "f")]);
        machine.remove(&raw);
    }
}

#[test]
fn a_child_described_in_place_is_made_and_goes_with_its_parent() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    let before = opened(&path);
    let raw = machine.add("blockdev-raw", "r", &[("file-options", &in_place(&path))]);
    assert_eq!(machine.paths(), ["/r", "/r/file"]);
    assert_eq!(opened(&path), before + 1);
    let part = machine.tree.resolve("/r/file").expect("it is there");
    assert_eq!(part.class().name(), "blockdev-file");
    assert!(part.is_complete() && part.get("discard") == Some(Value::from("unmap")));
    let disk = TestDisk::before(&machine, "r");
    disk.write(0, b"x").expect("it is writable");
    let device = machine.tree.resolve("/disk-of-r").expect("it is there");
    drop(disk);
    machine.remove(&device);
    machine.remove(&raw);
    assert_eq!((machine.paths().len(), opened(&path)), (0, before));
}

#[test]
fn what_fails_in_the_middle_leaves_nothing_open() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    let before = opened(&path);
    let properties = [("file-options", &*in_place(&path)), ("offset", "5000")];
    let text = refusal(&machine, "blockdev-raw", &properties);
    assert!(text.starts_with("Offset (5000)"), "{text}");
    assert_eq!(opened(&path), before);
    // The lock is gone too.
    machine.add("blockdev-file", "f", &[("filename", &path)]);
}

#[test]
fn a_child_is_referred_to_or_described_and_not_both_or_neither() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    let text = refusal(&machine, "blockdev-raw", &[]);
    assert_eq!(text, "A block device must be specified for \"file\"");
    machine.add("blockdev-file", "f", &[("filename", &path)]);
    let both = [("file-node", "f"), ("file-options", &*in_place(&path))];
    let text = refusal(&machine, "blockdev-raw", &both);
    assert_eq!(text, "Parameter 'file' is given by name and in place");
    let text = refusal(&machine, "blockdev-raw", &[("file-options", "{}")]);
    assert_eq!(text, "Parameter 'file' expects a type and properties");
}

#[test]
fn a_child_is_as_its_parent_unless_it_says_otherwise() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    let properties = [("file-options", &*in_place(&path)), ("read-only", "on")];
    machine.add("blockdev-raw", "r", &properties);
    let part = machine.tree.resolve("/r/file").expect("it is there");
    assert_eq!(part.get("read-only"), Some(Value::from(true)));
    let node =
        |path: &str| machine.tree.resolve(path).ok().and_then(|it| it.cast::<dyn BlockNode>());
    assert!(!node("/r").expect("it is there").is_writable());
}

#[test]
fn who_writes_to_a_node_is_its_only_user() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    machine.add("blockdev-file", "f", &[("filename", &path), ("node-name", "f")]);
    machine.add("blockdev-raw", "r", &[("file-node", "f"), ("node-name", "r")]);
    let text = refusal(&machine, "blockdev-raw", &[("file-node", "f"), ("node-name", "other")]);
    assert_eq!(
        text,
        "Permission conflict on node 'f': permissions 'write' are both required by node 'other' \
         (uses node 'f' as 'file' child) and unshared by node 'r' (uses node 'f' as 'file' child)"
    );
    let text = refusal(&machine, "test-disk", &[("drive", "f"), ("reads", "on")]);
    assert!(text.contains("required by node 'r' (uses node 'f' as 'file' child) and"), "{text}");
    let text = refusal(&machine, "test-disk", &[("drive", "f")]);
    assert!(
        text.contains("required by device '/refused' (uses node 'f' as 'root' child)"),
        "{text}"
    );
    let in_use = machine.tree.resolve("/f").expect("it is there");
    let removed = machine.tree.remove(&in_use, &mut DeviceRealizer::new(&machine.platform));
    assert_eq!(removed.expect_err("it is in use").to_string(), "'/f' is in use by '/r'");
}

#[test]
fn several_may_read_one_node() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    machine.add("blockdev-file", "f", &[("filename", &path), ("read-only", "on")]);
    machine.add("blockdev-raw", "one", &[("file-node", "f"), ("read-only", "on")]);
    machine.add("blockdev-raw", "two", &[("file-node", "f"), ("auto-read-only", "on")]);
    let text = refusal(&machine, "blockdev-raw", &[("file-node", "f")]);
    assert_eq!(text, "Block node '' is read-only");
}

#[test]
fn its_length_is_the_files_unless_it_has_its_own() {
    let (_file, path) = image(&[1; 4096]);
    let machine = Machine::new();
    let file = machine.add("blockdev-file", "f", &[("filename", &path)]);
    let raw = machine.add("blockdev-raw", "r", &[("file-node", "f"), ("offset", "1024")]);
    let disk = TestDisk::before(&machine, "r");
    let node = |object: &Obj| object.cast::<dyn BlockNode>().expect("it is a node");
    node(&raw).resize(5000).expect("it is writable");
    machine.platform.block_users().resized(&file);
    assert_eq!((disk.backend().length(), node(&file).length(), disk.resizes()), (5000, 6024, 1));
    // What shrinks below it takes its end with it.
    node(&file).resize(1000).expect("it is writable");
    assert_eq!(disk.backend().length(), 0);
    disk.read(0, 1).expect_err("it lies beyond the end");
}

#[test]
fn one_with_a_length_of_its_own_keeps_it() {
    let machine = Machine::new();
    machine.add("blockdev-null-co", "n", &[("size", "1M")]);
    let raw = machine.add("blockdev-raw", "r", &[("file-node", "n"), ("size", "512K")]);
    let node = raw.cast::<dyn BlockNode>().expect("it is a node");
    assert_eq!(
        node.resize(1).expect_err("it is fixed").to_string(),
        "Cannot resize fixed-size raw disks"
    );
    let through = machine.tree.resolve("/n").ok().and_then(|it| it.cast::<dyn BlockNode>());
    let error = through.expect("it is there").resize(1).expect_err("it is fixed");
    assert_eq!(error.to_string(), "The driver 'null-co' does not support resizing");
}

#[test]
fn bytes_go_straight_to_and_from_a_guests_memory() {
    let (_file, path) = image(&(0..=255).cycle().take(4096).collect::<Vec<u8>>());
    let machine = Machine::new();
    machine.add("blockdev-raw", "r", &[("file-options", &in_place(&path))]);
    let disk = TestDisk::before(&machine, "r");
    // Two regions that touch: a piece may lie in both.
    let regions = [(GuestAddress(0), 0x1000), (GuestAddress(0x1000), 0x1000)];
    let memory = GuestMemory::from_ranges(&regions).expect("there is memory");
    let memory = Arc::new(memory);
    let range = |address, length| GuestRange { address: GuestAddress(address), length };
    let guest = |ranges: &[GuestRange]| Buffers::Guest {
        memory: Arc::clone(&memory),
        ranges: ranges.to_vec(),
    };
    let buffers = guest(&[range(0xffe, 4), range(0x10, 3)]);
    disk.one(Request::read(0, 7, buffers)).expect("it is the guest's");
    let mut bytes = [0; 4];
    memory.read_slice(&mut bytes, GuestAddress(0xffe)).expect("it is there");
    assert_eq!(bytes, [7, 8, 9, 10]);
    memory.read_slice(&mut bytes[..3], GuestAddress(0x10)).expect("it is there");
    assert_eq!(bytes[..3], [11, 12, 13]);
    disk.one(Request::write(0, 0, guest(&[range(0xffe, 4)]))).expect("it is the guest's");
    assert_eq!(disk.read(0, 5).expect("it is readable"), [7, 8, 9, 10, 4]);
    for hole in [range(0x1fff, 2), range(u64::MAX, 2), range(0x2000, 1)] {
        let error = disk.one(Request::read(0, 0, guest(&[hole]))).expect_err("no such memory");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_policy_sees_every_node_before_anything_is_opened() {
    let machine = Machine::new();
    // A file that is missing would be told of if it were opened.
    let properties = [("file-options", &*in_place("/missing")), ("probed", "on")];
    let text = refusal(&machine, "blockdev-raw", &properties);
    assert_eq!(text, "Property 'blockdev-raw.probed' with value 'true' is declared as insecure");
    let request =
        Creation::new("blockdev-raw", "/", "r").set("file-options", &*in_place("/missing"));
    let plan = machine.tree.plan([request]).expect("it can be planned");
    let paths: Vec<_> = plan.objects().iter().map(|planned| planned.path()).collect();
    assert_eq!(paths, ["/r", "/r/file"]);
}
