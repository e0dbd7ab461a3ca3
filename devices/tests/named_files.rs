//! Files that users name, wherever they name one: a set of descriptors stands for a file, and what
//! was opened is judged by what it is, whatever its name led to before or leads to later.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{Read, Seek, SeekFrom, Write},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use device_model::{
    causes::with_causes,
    memory_backend::MemoryBackend,
    prelude::*,
    qom_core::{
        BoxedError, Completion, InsecureTypes, Policy,
        PolicyStatement::{self, RequireSecure},
        Request,
    },
    realize::DeviceRealizer,
    rng_backend::{EntropyError, RngBackend},
    testing::Machine,
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use rustix::fs::{CWD, FileType, MemfdFlags, Mode, memfd_create, mknodat};
use vm_memory::VolatileMemory;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

const SET: &str = "/dev/fdset/3";

fn accepting() -> Machine {
    Machine::with_policy(Policy::of(&[PolicyStatement::InsecureTypes(InsecureTypes::Accept)]))
}

/// Hands a descriptor over, in the set.
fn hand_over(machine: &Machine, descriptor: impl Into<OwnedFd>) {
    machine.platform.descriptors().add(Some(3), None, descriptor.into()).unwrap();
}

fn refusal(machine: &Machine, type_name: &str, properties: &[(&str, &str)]) -> String {
    let error = with_causes(&machine.create(type_name, "o", properties).unwrap_err());
    assert!(machine.paths().is_empty(), "{error}");
    error
}

/// Lets a name lead elsewhere between the judging and the opening.
struct Swapping<'a> {
    machine: &'a Machine,
    name: PathBuf,
    to: PathBuf,
}

impl Swapping<'_> {
    fn create(mut self, type_name: &str, property: &str, more: &[(&str, &str)]) -> String {
        let request = Request::new(type_name, "/", "o").set(property, self.name.to_str().unwrap());
        let request =
            more.iter().fold(request, |request, (name, value)| request.set(*name, *value));
        let machine = self.machine;
        let error = machine.tree.create([request], &mut self).unwrap_err();
        assert!(machine.paths().is_empty());
        error.to_string()
    }
}

impl Completion for Swapping<'_> {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        point(&self.name, &self.to);
        DeviceRealizer::new(&self.machine.platform).complete(object)
    }

    fn undo(&mut self, object: &Obj) {
        DeviceRealizer::new(&self.machine.platform).undo(object);
    }
}

fn point(name: &Path, to: &Path) {
    let _ = fs::remove_file(name);
    std::os::unix::fs::symlink(to, name).unwrap();
}

/// A file of a page, which only its owner may write to, or anybody.
fn page(path: &Path, mode: u32) {
    fs::write(path, [7; 4096]).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn random_numbers_come_from_a_set_that_leads_to_the_kernel_s_generator_and_from_no_other() {
    let machine = Machine::new();
    let missing = refusal(&machine, "rng-random", &[("filename", SET)]);
    assert!(missing.contains("there is no set 3 of descriptors"), "{missing}");
    hand_over(&machine, OpenOptions::new().write(true).open("/dev/null").unwrap());
    let closed = refusal(&machine, "rng-random", &[("filename", SET)]);
    assert!(closed.contains("no descriptor that is open for reading"), "{closed}");
    hand_over(&machine, File::open("/dev/random").unwrap());
    let object = machine.add("rng-random", "o", &[("filename", SET)]);
    let source = object.cast::<dyn RngBackend>().unwrap();
    let source = source.open(machine.platform.events()).unwrap();
    // The object has its own.
    machine.platform.descriptors().remove(3, None).unwrap();
    let _running = machine.run_events();
    let (done, answer) = mpsc::channel();
    let done = Box::new(move |bytes: Result<&[u8], EntropyError>| {
        done.send(bytes.map(<[u8]>::len).map_err(|error| error.to_string())).unwrap();
    });
    source.request(16, done).unwrap();
    assert_eq!(answer.recv_timeout(PATIENCE).unwrap(), Ok(16));
    let other = Machine::new();
    hand_over(&other, File::open("/dev/zero").unwrap());
    let insecure = refusal(&other, "rng-random", &[("filename", SET)]);
    assert!(insecure.contains("declared as insecure"), "{insecure}");
}

#[test]
fn a_handed_over_pipe_that_waits_holds_nobody_up() {
    let machine = accepting();
    let (reader, mut writer) = std::io::pipe().unwrap();
    hand_over(&machine, reader);
    let object = machine.add("rng-random", "o", &[("filename", SET)]);
    let source = object.cast::<dyn RngBackend>().unwrap();
    let source = source.open(machine.platform.events()).unwrap();
    let _running = machine.run_events();
    let (done, answer) = mpsc::channel();
    let done = Box::new(move |bytes: Result<&[u8], EntropyError>| {
        done.send(bytes.map(<[u8]>::to_vec).map_err(|error| error.to_string())).unwrap();
    });
    source.request(16, done).unwrap();
    let (beats, heart) = mpsc::channel();
    let timer = machine.platform.events().timer(move || beats.send(()).unwrap()).unwrap();
    timer.set(Some(Duration::from_millis(20)));
    heart.recv_timeout(PATIENCE).expect("the loop serves others");
    writer.write_all(b"abc").unwrap();
    assert_eq!(answer.recv_timeout(PATIENCE).unwrap().unwrap(), b"abc");
}

#[test]
fn a_source_of_random_numbers_that_is_swapped_after_it_was_judged_is_refused() {
    let machine = Machine::new();
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("source");
    point(&name, Path::new("/dev/urandom"));
    let swapping = Swapping { machine: &machine, name: name.clone(), to: "/dev/zero".into() };
    let error = swapping.create("rng-random", "filename", &[]);
    assert!(error.contains("declared as insecure"), "{error}");
    // What is open stays what it is.
    point(&name, Path::new("/dev/urandom"));
    machine.add("rng-random", "o", &[("filename", name.to_str().unwrap())]);
    point(&name, Path::new("/dev/zero"));
    machine.tree.raise(RequireSecure(true)).expect("the kernel's generator is open");
}

#[test]
fn a_living_source_is_judged_by_what_is_open_and_not_by_a_better_name() {
    let machine = accepting();
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("source");
    point(&name, Path::new("/dev/zero"));
    machine.add("rng-random", "o", &[("filename", name.to_str().unwrap())]);
    point(&name, Path::new("/dev/urandom"));
    machine.tree.raise(RequireSecure(true)).unwrap_err();
}

#[test]
fn memory_is_in_a_handed_over_file_that_no_other_may_write_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ram");
    page(&path, 0o600);
    let machine = Machine::new();
    let properties = [("mem-path", SET), ("size", "4096"), ("share", "on")];
    hand_over(&machine, File::open(&path).unwrap());
    let closed = refusal(&machine, "memory-backend-file", &properties);
    assert!(closed.contains("open for both reading and writing"), "{closed}");
    hand_over(&machine, File::options().read(true).write(true).open(&path).unwrap());
    let object = machine.add("memory-backend-file", "o", &properties);
    let backend = object.cast::<dyn MemoryBackend>().unwrap();
    #[allow(clippy::single_range_in_vec_init)] // One part is a list of one.
    let taken = backend.take(&[0..4096]).unwrap();
    assert_eq!(taken[0].get_ref::<u8>(0).unwrap().load(), 7);
    taken[0].get_ref::<u8>(0).unwrap().store(9);
    assert_eq!(fs::read(&path).unwrap()[0], 9);
    machine.remove(&object);
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096, "it is its user's");
    fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
    let insecure = refusal(&machine, "memory-backend-file", &properties);
    assert!(insecure.contains("declared as insecure"), "{insecure}");
}

#[test]
fn memory_in_an_empty_file_that_was_handed_over_makes_it_long_enough_or_leaves_it_empty() {
    let machine = Machine::new();
    let memory = File::from(memfd_create("ram", MemfdFlags::CLOEXEC).unwrap());
    memory.set_permissions(Permissions::from_mode(0o600)).unwrap();
    hand_over(&machine, memory.try_clone().unwrap());
    let length = || memory.metadata().unwrap().len();
    let unaligned = [("mem-path", SET), ("size", "4096"), ("offset", "1")];
    refusal(&machine, "memory-backend-file", &unaligned);
    assert_eq!(length(), 0);
    machine.add("memory-backend-file", "o", &[("mem-path", SET), ("size", "8192")]);
    assert_eq!(length(), 8192);
    let others = Machine::new();
    hand_over(&others, File::open("/dev/zero").unwrap());
    let properties = [("mem-path", SET), ("size", "4096"), ("readonly", "on")];
    let no_file = refusal(&others, "memory-backend-file", &properties);
    assert!(no_file.contains("is neither a file nor a folder"), "{no_file}");
}

#[test]
fn memory_whose_file_is_swapped_after_it_was_judged_is_refused_and_the_file_is_as_it_was() {
    let machine = Machine::new();
    let folder = tempfile::tempdir().unwrap();
    let [name, good, open] = ["name", "good", "open"].map(|name| folder.path().join(name));
    page(&good, 0o600);
    fs::write(&open, "").unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o666)).unwrap();
    point(&name, &good);
    let swapping = Swapping { machine: &machine, name: name.clone(), to: open.clone() };
    let error = swapping.create("memory-backend-file", "mem-path", &[("size", "4096")]);
    assert!(error.contains("declared as insecure"), "{error}");
    assert_eq!(fs::metadata(&open).unwrap().len(), 0, "it is as empty as it was");
    // What is mapped is judged, wherever its name leads by then, and as it is by then.
    point(&name, &good);
    let properties = [("mem-path", name.to_str().unwrap()), ("size", "4096")];
    machine.add("memory-backend-file", "o", &properties);
    point(&name, &open);
    machine.tree.raise(RequireSecure(true)).expect("nobody else may write to it");
    fs::set_permissions(&good, Permissions::from_mode(0o666)).unwrap();
    machine.tree.raise(RequireSecure(true)).expect_err("now others may");
}

#[test]
fn a_secret_is_read_from_the_start_of_a_handed_over_file_as_often_as_it_is_asked_for() {
    let machine = Machine::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "correct horse").unwrap();
    let mut file = File::open(&path).unwrap();
    file.seek(SeekFrom::Start(8)).unwrap();
    hand_over(&machine, file.try_clone().unwrap());
    for name in ["one", "two"] {
        let object = machine.add("secret", name, &[("file", SET)]);
        let secret = object.cast::<dyn SecretSource>().unwrap().secret().unwrap();
        assert_eq!(secret.bytes(), b"correct horse");
    }
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "horse", "its user is where he was");
    let other = Machine::new();
    let (pipe, _writer) = std::io::pipe().unwrap();
    hand_over(&other, pipe);
    let error = refusal(&other, "secret", &[("file", SET)]);
    assert!(error.contains("it is not a regular file"), "{error}");
}

#[test]
fn a_named_pipe_can_be_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let machine = Machine::new();
    hand_over(&machine, File::options().read(true).write(true).open("/dev/null").unwrap());
    let error = refusal(&machine, "chardev-pipe", &[("path", SET)]);
    assert!(error.contains("is no named pipe"), "{error}");
    machine.platform.descriptors().remove(3, None).unwrap();
    let mut pipe = File::options().read(true).write(true).open(&path).unwrap();
    hand_over(&machine, pipe.try_clone().unwrap());
    let object = machine.add("chardev-pipe", "o", &[("path", SET)]);
    object.cast::<dyn Chardev>().unwrap().write(b"hello");
    let mut said = [0; 5];
    pipe.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello");
}
