//! `memory-backend-file`, above all what becomes of the file.

#![allow(clippy::single_range_in_vec_init)] // One part is a list of one.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use device_model::{
    memory_backend::MemoryBackend,
    prelude::*,
    qom_core::{BoxedError, InsecureTypes, Policy, PolicyStatement, Request, SecurityStatus},
    realize::DeviceRealizer,
    testing::Machine,
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use vm_memory::VolatileMemory;

const MIB: u64 = 1 << 20;
const TYPE: &str = "memory-backend-file";

struct Bench {
    machine: Machine,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { machine: Machine::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with contents.
    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn create(&self, path: &Path, more: &[(&str, &str)]) -> Result<Obj, String> {
        let mut properties = vec![("mem-path", path.to_str().unwrap())];
        properties.extend(more);
        let created = self.machine.create(TYPE, "ram0", &properties);
        created.map(|created| created.objects[0].clone()).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn refused(&self, path: &Path, more: &[(&str, &str)], text: &str) {
        let error = self.create(path, more).unwrap_err();
        assert!(error.contains(text), "{more:?}: {error}");
        assert!(self.machine.paths().is_empty());
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn backend(object: &Obj) -> Arc<dyn MemoryBackend> {
    object.cast().unwrap()
}

/// Writes the first byte of the memory.
fn write(object: &Obj, byte: u8) {
    let size = backend(object).size().0;
    backend(object).take(&[0..size]).unwrap()[0].get_ref::<u8>(0).unwrap().store(byte);
}

/// Object that can't take up its work
#[qom_type(secure, parent = Object, interfaces(UserCreatable))]
struct Unable {}

impl UserCreatable for Unable {
    fn complete(&self, _: &Obj, _: &Platform) -> Result<(), BoxedError> {
        Err("it never works".into())
    }
}

#[test]
fn it_is_declared_secure_at_the_boundary_of_files() {
    let bench = Bench::new();
    let object = bench.create(&bench.path("ram"), &[("size", "1M")]).unwrap();
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    assert_eq!(object.class().boundaries().to_string(), "file");
}

#[test]
fn a_file_that_is_missing_is_made_for_its_owner_alone() {
    let bench = Bench::new();
    let path = bench.path("ram");
    let object = bench.create(&path, &[("size", "2M"), ("share", "on")]).unwrap();
    let status = fs::metadata(&path).unwrap();
    assert_eq!((status.len(), status.mode() & 0o777), (2 * MIB, 0o600));
    write(&object, 7);
    assert_eq!(fs::read(&path).unwrap()[0], 7);
}

#[test]
fn what_was_made_stays_once_the_vm_has_come_to_be_and_goes_before() {
    let bench = Bench::new();
    let path = bench.path("ram");
    let object = bench.create(&path, &[("size", "1M"), ("share", "on")]).unwrap();
    write(&object, 7);
    bench.machine.remove(&object);
    assert!(!path.exists());
    let object = bench.create(&path, &[("size", "1M"), ("share", "on")]).unwrap();
    backend(&object).keep();
    write(&object, 8);
    bench.machine.remove(&object);
    assert_eq!(fs::read(&path).unwrap()[0], 8);
}

#[test]
fn a_plan_that_fails_later_takes_back_what_was_made_and_no_more() {
    let bench = Bench::new();
    let missing = bench.path("missing");
    let empty = bench.file("empty", b"");
    let contents = vec![9; usize::try_from(MIB).unwrap()];
    let full = bench.file("full", &contents);
    for path in [&missing, &empty, &full] {
        let requests = [
            Request::new(TYPE, "/", "ram0")
                .set("mem-path", path.to_str().unwrap())
                .set("size", "1M")
                .set("share", "on"),
            Request::new("unable", "/", "unable"),
        ];
        let mut realizer = DeviceRealizer::new(&bench.machine.platform);
        let error = bench.machine.tree.create(requests, &mut realizer).unwrap_err();
        assert_eq!(error.to_string(), "it never works");
    }
    assert!(!missing.exists());
    assert_eq!(fs::metadata(&empty).unwrap().len(), 0);
    assert_eq!(fs::read(&full).unwrap(), contents);
}

#[test]
fn another_file_that_has_taken_the_place_of_the_made_one_stays() {
    let bench = Bench::new();
    let path = bench.path("ram");
    let object = bench.create(&path, &[("size", "1M")]).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"somebody else's").unwrap();
    bench.machine.remove(&object);
    assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
}

#[test]
fn a_file_with_contents_keeps_them_and_its_length() {
    let bench = Bench::new();
    let contents: Vec<u8> = (1..=4).flat_map(|page| [page; 4096]).collect();
    let path = bench.file("ram", &contents);
    let sized = [("size", "8k"), ("offset", "4k"), ("share", "on"), ("prealloc", "on")];
    let object = bench.create(&path, &sized).unwrap();
    let parts = backend(&object).take(&[0..4096, 4096..8192]).unwrap();
    let first: Vec<_> = parts.iter().map(|part| part.get_ref::<u8>(0).unwrap().load()).collect();
    assert_eq!(first, [2, 3]);
    parts[1].get_ref::<u8>(4095).unwrap().store(0xee);
    drop(parts);
    bench.machine.remove(&object);
    let mut expected = contents;
    expected[3 * 4096 - 1] = 0xee;
    assert_eq!(fs::read(&path).unwrap(), expected);
}

#[test]
fn what_is_not_shared_leaves_the_file_as_it_is() {
    let bench = Bench::new();
    let path = bench.file("ram", &[3; 8192]);
    let object = bench.create(&path, &[("size", "8k")]).unwrap();
    let parts = backend(&object).take(&[0..8192]).unwrap();
    assert_eq!(parts[0].get_ref::<u8>(0).unwrap().load(), 3);
    parts[0].get_ref::<u8>(0).unwrap().store(4);
    assert_eq!(fs::read(&path).unwrap(), [3; 8192]);
}

#[test]
fn a_file_that_is_too_short_is_refused_and_not_lengthened() {
    let bench = Bench::new();
    let path = bench.file("ram", &[1; 5000]);
    let text = "has 5000 bytes, which are fewer than offset and size need: 12288";
    bench.refused(&path, &[("size", "8k"), ("offset", "4k")], text);
    assert_eq!(fs::read(&path).unwrap(), [1; 5000]);
    let empty = bench.file("empty", b"");
    let readonly = [("size", "8k"), ("readonly", "on")];
    bench.refused(&empty, &readonly, "has 0 bytes");
    assert_eq!(fs::metadata(&empty).unwrap().len(), 0);
}

#[test]
fn in_a_folder_it_is_a_file_that_nobody_finds() {
    let bench = Bench::new();
    let more = [("size", "1M"), ("share", "on"), ("prealloc", "on")];
    let object = bench.create(bench.folder.path(), &more).unwrap();
    assert!(bench.names().is_empty(), "{:?}", bench.names());
    let parts = backend(&object).take(&[0..MIB]).unwrap();
    let status = parts[0].file_offset().unwrap().file().metadata().unwrap();
    assert_eq!((status.len(), status.nlink()), (MIB, 0));
    let readonly = [("size", "1M"), ("readonly", "on")];
    drop(parts);
    bench.machine.remove(&object);
    bench.refused(bench.folder.path(), &readonly, "can't open");
}

#[test]
fn a_file_for_reading_gives_memory_for_reading_unless_told() {
    let bench = Bench::new();
    let path = bench.file("ram", &[5; 8192]);
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    let object = bench.create(&path, &[("size", "8k"), ("readonly", "on")]).unwrap();
    assert!(!backend(&object).is_writable());
    bench.machine.remove(&object);
    let own_copy = [("size", "8k"), ("readonly", "on"), ("rom", "off")];
    let object = bench.create(&path, &own_copy).unwrap();
    assert!(backend(&object).is_writable());
    write(&object, 6);
    assert_eq!(fs::read(&path).unwrap(), [5; 8192]);
    bench.machine.remove(&object);
    bench.refused(&path, &[("size", "8k"), ("rom", "on")], "rom=on needs readonly=on");
    let both = [("size", "8k"), ("readonly", "on"), ("rom", "off"), ("share", "on")];
    bench.refused(&path, &both, "need share=off");
    let missing = bench.path("missing");
    bench.refused(&missing, &[("size", "8k"), ("readonly", "on")], "can't open");
    assert!(!missing.exists());
}

#[test]
fn a_file_that_others_may_write_to_is_insecure() {
    let bench = Bench::new();
    let path = bench.file("ram", &[0; 4096]);
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        bench.refused(&path, &[("size", "4k")], "is declared as insecure");
    }
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    let machine = Machine::with_policy(Policy::of(&[accept]));
    machine.add(TYPE, "ram0", &[("size", "4k"), ("mem-path", path.to_str().unwrap())]);
    assert_eq!(machine.tree.taints().len(), 1);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    bench.create(&path, &[("size", "4k")]).unwrap();
}

#[test]
fn what_is_no_file_is_refused_without_waiting_for_anybody() {
    let bench = Bench::new();
    let pipe = bench.path("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for path in [&pipe, Path::new("/dev/zero")] {
        bench.refused(path, &[("size", "4k")], "is neither a file nor a folder");
    }
    bench.refused(&bench.path("no/folder"), &[("size", "4k")], "can't open");
}

#[test]
fn offsets_are_checked_before_anything_is_made() {
    let bench = Bench::new();
    let path = bench.path("ram");
    let odd = [("size", "4k"), ("offset", "100")];
    bench.refused(&path, &odd, "Parameter 'offset' expects a multiple of 4096 bytes, got 100");
    let far = [("size", "4k"), ("offset", "0x7ffffffffffff000")];
    bench.refused(&path, &far, "no file reaches to offset 9223372036854771712");
    bench.refused(&path, &[("size", "0")], "Parameter 'size' expects");
    // More than any file system has room for.
    bench.refused(&path, &[("size", "7E"), ("prealloc", "on")], "can't");
    assert!(bench.names().is_empty());
}
