//! `rng-builtin` and `rng-random` as a device and a user meet them.

use std::{
    collections::HashSet,
    fs,
    io::Write,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use device_model::{
    qom_core::{InsecureTypes, Policy, PolicyStatement, SecurityStatus},
    rng_backend::{EntropyError, EntropySource, MOST_ENTROPY, MOST_ENTROPY_REQUESTS, RngBackend},
    testing::Machine,
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    thread::gettid,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Vec<u8>, String>;

/// A machine with a source on its main loop, which has to be run for answers.
fn source(type_name: &str, properties: &[(&str, &str)]) -> (Machine, Box<dyn EntropySource>) {
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    let machine = Machine::with_policy(Policy::of(&[accept]));
    let object = machine.add(type_name, "rng0", properties);
    let backend = object.cast::<dyn RngBackend>().unwrap();
    let source = backend.open(machine.platform.events()).unwrap();
    (machine, source)
}

fn ask(source: &dyn EntropySource, count: usize) -> mpsc::Receiver<Answer> {
    let (done, answer) = mpsc::channel();
    let result = source.request(
        count,
        Box::new(move |bytes| {
            let answer = bytes.map(<[u8]>::to_vec).map_err(|error| error.to_string());
            let _ = done.send(answer);
        }),
    );
    result.unwrap();
    answer
}

fn answer(source: &dyn EntropySource, count: usize) -> Answer {
    ask(source, count).recv_timeout(PATIENCE).expect("it is answered")
}

#[test]
fn both_are_declared_secure_and_found_by_their_class() {
    let machine = Machine::new();
    for type_name in ["rng-builtin", "rng-random"] {
        let object = machine.add(type_name, type_name, &[]);
        assert_eq!(object.class().status(), SecurityStatus::Secure);
        assert!(object.is::<dyn RngBackend>());
    }
    let filename = machine.tree.resolve("/rng-random").unwrap().get("filename").unwrap();
    assert_eq!(filename, "/dev/urandom");
}

#[test]
fn the_kernel_gives_numbers_that_do_not_repeat() {
    for type_name in ["rng-builtin", "rng-random"] {
        let (machine, source) = source(type_name, &[]);
        let _running = machine.run_events();
        let answers: HashSet<_> = (0..20).map(|_| answer(&*source, 32).unwrap()).collect();
        assert_eq!(answers.len(), 20, "{type_name}");
        assert!(answers.iter().all(|bytes| bytes.len() == 32));
    }
}

#[test]
fn an_answer_comes_on_the_loop_and_never_within_the_request() {
    let (machine, source) = source("rng-builtin", &[]);
    let (done, told) = mpsc::channel();
    source.request(4, Box::new(move |_| done.send(gettid()).unwrap())).unwrap();
    assert!(told.recv_timeout(Duration::from_millis(20)).is_err(), "the loop does not run yet");
    let _running = machine.run_events();
    assert_ne!(told.recv_timeout(PATIENCE).unwrap(), gettid());
}

#[test]
fn more_requests_than_one_go_serves_are_all_answered() {
    let (machine, source) = source("rng-builtin", &[]);
    let answers: Vec<_> = (0..MOST_ENTROPY_REQUESTS).map(|_| ask(&*source, 8)).collect();
    let refused = source.request(8, Box::new(|_| panic!("it was refused")));
    assert!(matches!(refused, Err(EntropyError::TooMany)));
    assert!(matches!(source.request(0, Box::new(|_| ())), Err(EntropyError::Nothing)));
    let _running = machine.run_events();
    for answer in answers {
        assert_eq!(answer.recv_timeout(PATIENCE).unwrap().unwrap().len(), 8);
    }
    let large = answer(&*source, usize::MAX).unwrap();
    assert!((1..=MOST_ENTROPY).contains(&large.len()));
}

#[test]
fn a_pipe_with_nothing_in_it_holds_nobody_up_and_answers_when_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let start = Instant::now();
    let (machine, source) = source("rng-random", &[("filename", pipe.to_str().unwrap())]);
    let _running = machine.run_events();
    let first = ask(&*source, 16);
    let second = ask(&*source, 16);
    assert!(start.elapsed() < PATIENCE / 2, "neither creation nor request waits");
    assert!(first.recv_timeout(Duration::from_millis(50)).is_err());
    // Others are served by the same loop meanwhile.
    let (beats, heart) = mpsc::channel();
    let timer = machine.platform.events().timer(move || beats.send(()).unwrap()).unwrap();
    timer.set(Some(Duration::ZERO));
    heart.recv_timeout(PATIENCE).unwrap();
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(b"0123456789").unwrap();
    assert_eq!(first.recv_timeout(PATIENCE).unwrap().unwrap(), b"0123456789");
    writer.write_all(b"abc").unwrap();
    assert_eq!(second.recv_timeout(PATIENCE).unwrap().unwrap(), b"abc");
    // A writer that leaves is no end: another may come.
    drop(writer);
    let third = ask(&*source, 1);
    assert!(third.recv_timeout(Duration::from_millis(50)).is_err());
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(b"!").unwrap();
    assert_eq!(third.recv_timeout(PATIENCE).unwrap().unwrap(), b"!");
}

#[test]
fn a_file_gives_what_it_has_and_then_says_so() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"seed").unwrap();
    let (machine, source) = source("rng-random", &[("filename", file.path().to_str().unwrap())]);
    let _running = machine.run_events();
    assert_eq!(answer(&*source, 3).unwrap(), b"see");
    assert_eq!(answer(&*source, 3).unwrap(), b"d");
    let ended = answer(&*source, 3).unwrap_err();
    assert_eq!(ended, "the file that random bytes come from is at its end");
}

#[test]
fn what_is_not_the_kernels_generator_is_refused_by_the_policy() {
    let machine = Machine::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    for name in [file.path().to_str().unwrap(), "/dev/zero", "/proc/self/status"] {
        let error = machine.create("rng-random", "rng0", &[("filename", name)]).unwrap_err();
        assert!(error.to_string().contains("declared as insecure"), "{name}: {error}");
    }
    // A name says nothing.
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("zero");
    std::os::unix::fs::symlink("/dev/random", &link).unwrap();
    machine.add("rng-random", "rng0", &[("filename", link.to_str().unwrap())]);
}

#[test]
fn what_cannot_be_read_from_is_refused_and_leaves_nothing() {
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    let machine = Machine::with_policy(Policy::of(&[accept]));
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    for name in [folder.path().to_str().unwrap(), missing.to_str().unwrap()] {
        let error = machine.create("rng-random", "rng0", &[("filename", name)]).unwrap_err();
        assert!(error.to_string().contains(&format!("can't open '{name}'")), "{error}");
        assert!(machine.paths().is_empty());
    }
    assert!(!missing.exists());
}

#[test]
fn what_waits_is_dropped_with_the_source() {
    let (machine, source) = source("rng-builtin", &[]);
    let kept = Arc::new(());
    let held = Arc::clone(&kept);
    source.request(1, Box::new(move |_| drop(held))).unwrap();
    assert_eq!(Arc::strong_count(&kept), 2);
    drop(source);
    assert_eq!(Arc::strong_count(&kept), 1);
    let _running = machine.run_events();
}

#[test]
fn no_source_is_opened_of_an_object_that_has_gone() {
    for type_name in ["rng-builtin", "rng-random"] {
        let machine = Machine::new();
        let object = machine.add(type_name, "rng0", &[]);
        let backend = object.cast::<dyn RngBackend>().unwrap();
        machine.remove(&object);
        assert!(backend.open(machine.platform.events()).is_err());
    }
}
