//! `iothread` as a device and a user meet it.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use device_model::{
    event_loop_base::EventLoopBase,
    prelude::*,
    qom_core::{BoxedError, Request, SecurityStatus},
    realize::DeviceRealizer,
    testing::{Machine, wait_until},
};
use devices::iothread::IoThread;
use rustix::thread::gettid;

/// How long the thread may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// The names of this process's threads.
fn threads() -> Vec<String> {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect()
}

/// Device whose work is done on a thread of the user's
#[qom_type(secure, parent = Object, interfaces(UserCreatable))]
struct Worker {
    /// Thread that does the work
    #[property(link = dyn EventLoopBase)]
    iothread: Link<dyn EventLoopBase>,
}

impl UserCreatable for Worker {}

/// Object that can't take up its work
#[qom_type(secure, parent = Object, interfaces(UserCreatable))]
struct Unable {
    /// Thread that would do the work
    #[property(link = dyn EventLoopBase)]
    iothread: Link<dyn EventLoopBase>,
}

impl UserCreatable for Unable {
    fn complete(&self, _: &Obj, _: &Platform) -> Result<(), BoxedError> {
        Err("it never works".into())
    }
}

/// Lets something be done on a loop, and waits for what it gives.
fn on<T: Send + 'static>(events: &Arc<EventLoop>, work: fn() -> T) -> T {
    let (done, result) = mpsc::channel();
    let timer = events.timer(move || done.send(work()).unwrap()).unwrap();
    timer.set(Some(Duration::ZERO));
    result.recv_timeout(PATIENCE).expect("the loop runs")
}

#[test]
fn it_is_declared_secure_and_found_by_its_class() {
    let machine = Machine::new();
    let iothread = machine.add("iothread", "declared", &[]);
    assert_eq!(iothread.class().status(), SecurityStatus::Secure);
    assert!(iothread.is::<dyn EventLoopBase>() && iothread.is::<dyn UserCreatable>());
}

#[test]
fn work_is_done_on_its_own_thread_which_has_its_name() {
    let machine = Machine::new();
    let iothread = machine.add("iothread", "io0", &[]);
    let events = iothread.cast::<dyn EventLoopBase>().unwrap().events().unwrap();
    let number = on(&events, gettid);
    assert_ne!(number, gettid());
    let shown = iothread.get("thread-id").unwrap();
    assert_eq!(shown, i64::from(number.as_raw_nonzero().get()));
    assert!(threads().contains(&"IO io0".to_owned()), "{:?}", threads());
    assert_eq!(on(&events, gettid), number, "it stays the same");
}

#[test]
fn two_have_two_threads_and_do_not_wait_for_each_other() {
    let machine = Machine::new();
    let loops = ["one", "other"].map(|name| {
        let object = machine.add("iothread", name, &[]);
        object.cast::<dyn EventLoopBase>().unwrap().events().unwrap()
    });
    let (release, held) = mpsc::channel::<()>();
    let holding = loops[0].timer(move || held.recv_timeout(PATIENCE).unwrap()).unwrap();
    holding.set(Some(Duration::ZERO));
    let number = on(&loops[1], gettid);
    release.send(()).unwrap();
    assert_ne!(on(&loops[0], gettid), number);
}

#[test]
fn the_thread_ends_when_the_object_is_deleted() {
    let machine = Machine::new();
    let object = machine.add("iothread", "brief", &[]);
    let iothread = object.cast::<IoThread>().unwrap();
    let events = iothread.events().unwrap();
    // The thread itself is what keeps its loop, with this and the object.
    assert_eq!(Arc::strong_count(&events), 3);
    machine.remove(&object);
    assert_eq!(Arc::strong_count(&events), 1, "neither object nor thread has it any more");
    assert!(iothread.events().is_none());
    assert!(!threads().contains(&"IO brief".to_owned()));
    machine.add("iothread", "brief", &[]);
    assert!(threads().contains(&"IO brief".to_owned()));
}

#[test]
fn deletion_waits_for_what_is_under_way() {
    let machine = Machine::new();
    let object = machine.add("iothread", "busy", &[]);
    let events = object.cast::<dyn EventLoopBase>().unwrap().events().unwrap();
    let (started, begins) = mpsc::channel();
    let finished = Arc::new(Mutex::new(false));
    let work = Arc::clone(&finished);
    let timer = events
        .timer(move || {
            started.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            *work.lock() = true;
        })
        .unwrap();
    timer.set(Some(Duration::ZERO));
    begins.recv_timeout(PATIENCE).expect("the loop runs");
    machine.remove(&object);
    assert!(*finished.lock());
}

#[test]
fn deletion_is_refused_while_something_is_linked_to_it() {
    let machine = Machine::new();
    let iothread = machine.add("iothread", "needed", &[]);
    let worker = machine.add("worker", "worker", &[("iothread", "/needed")]);
    let removed = machine.tree.remove(&iothread, &mut DeviceRealizer::new(&machine.platform));
    assert!(removed.is_err_and(|error| error.to_string().contains("/worker")));
    let events = iothread.cast::<dyn EventLoopBase>().unwrap().events().unwrap();
    assert_ne!(on(&events, gettid), gettid(), "it still works");
    machine.remove(&worker);
    machine.remove(&iothread);
}

#[test]
fn nothing_is_left_of_a_thread_whose_plan_fails_later() {
    let machine = Machine::new();
    let before = machine.paths();
    let requests = [
        Request::new("iothread", "/", "doomed"),
        Request::new("unable", "/", "unable").set("iothread", "/doomed"),
    ];
    let mut realizer = DeviceRealizer::new(&machine.platform);
    let error = machine.tree.create(requests, &mut realizer).unwrap_err();
    assert_eq!(error.to_string(), "it never works");
    assert_eq!(machine.paths(), before);
    wait_until("the thread is gone", || !threads().contains(&"IO doomed".to_owned()));
}

#[test]
fn its_number_can_only_be_read() {
    let machine = Machine::new();
    assert!(machine.create("iothread", "numbered", &[("thread-id", "7")]).is_err());
    assert!(machine.create("iothread", "polling", &[("poll-max-ns", "7")]).is_err());
}
