//! The way from a device to a node: requests are answered once, bounded in number, and waited for.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use device_model::{
    block::{
        Access, BlockBackend, BlockChild, BlockError, Buffers, Completion, MOST_IN_FLIGHT,
        OpenContext, Operation, Pending, Request, Submission, announce_file,
    },
    prelude::*,
    testing::{self, Machine, wait_until},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Node that does what its test tells it
#[qom_type(secure, parent = BlockNode)]
struct BlockdevScripted {
    /// Whether it takes requests over and answers them when it is told to
    #[property]
    takes: bool,
    /// How long it waits for each request that it performs, in milliseconds
    #[property]
    waits: u64,
    taken: Mutex<Vec<Pending>>,
    performed: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    threads: Mutex<BTreeSet<String>>,
}

impl BlockNode for BlockdevScripted {
    fn open(&self, _: &OpenContext<'_>) -> Result<(), BlockError> {
        Ok(())
    }

    fn close(&self) {}

    fn length(&self) -> u64 {
        1 << 20
    }

    fn is_writable(&self) -> bool {
        !self.read_only()
    }

    fn filename(&self) -> String {
        "scripted".to_owned()
    }

    fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        let (offset, length) = operation.range();
        assert!(offset.checked_add(length).is_some_and(|end| end <= self.length()));
        let now = self.at_once.fetch_add(1, Ordering::AcqRel) + 1;
        self.most_at_once.fetch_max(now, Ordering::AcqRel);
        self.threads.lock().extend(thread::current().name().map(str::to_owned));
        thread::sleep(Duration::from_millis(self.waits));
        self.at_once.fetch_sub(1, Ordering::AcqRel);
        self.performed.fetch_add(1, Ordering::AcqRel);
        match operation {
            Operation::Discard { .. } => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn submit(&self, request: Pending) -> Submission {
        if !self.takes {
            return Submission::MayWait(request);
        }
        self.taken.lock().push(request);
        Submission::Taken
    }
}

/// Filter that holds requests up until its test lets them pass
#[qom_type(secure, parent = FormatNode, children = announce_file)]
struct BlockdevGate {
    below: Realized<BlockChild>,
    held: Mutex<Vec<Pending>>,
}

impl FormatNode for BlockdevGate {}

impl BlockNode for BlockdevGate {
    fn open(&self, cx: &OpenContext<'_>) -> Result<(), BlockError> {
        self.below.set(cx.child("file", Access::AsParent)?);
        Ok(())
    }

    fn close(&self) {
        self.below.clear();
    }

    fn length(&self) -> u64 {
        self.below.with(BlockChild::length).unwrap_or_default()
    }

    fn is_writable(&self) -> bool {
        self.below.with(BlockChild::is_writable).unwrap_or_default()
    }

    fn filename(&self) -> String {
        "gate".to_owned()
    }

    fn perform(&self, _: &Operation<'_>) -> io::Result<()> {
        panic!("every request is taken over")
    }

    fn submit(&self, request: Pending) -> Submission {
        self.held.lock().push(request);
        Submission::Taken
    }
}

#[test]
fn a_filter_that_holds_a_request_up_lets_it_pass_without_waiting_for_it() {
    let machine = Machine::new();
    let below = machine.add("blockdev-scripted", "below", &[("waits", "50")]);
    let gate = machine.add("blockdev-gate", "gate", &[("file-node", "below")]);
    let backend = testing::backend(gate.cast().expect("it is a node"), true);
    let gate = gate.cast::<BlockdevGate>().expect("it is one");
    let mut queue = backend.queue(4).expect("there are descriptors");
    let mut done = Vec::new();
    queue.submit(reads(0..3), &mut done);
    assert!(done.is_empty() && !is_readable(&queue, Duration::from_millis(20)));
    let start = Instant::now();
    for request in std::mem::take(&mut *gate.held.lock()) {
        gate.below.with(|below| below.forward(request)).expect("it is open");
    }
    assert!(start.elapsed() < Duration::from_millis(50), "it waited");
    queue.drain(&mut done);
    assert_eq!(tokens(&done), BTreeSet::from([0, 1, 2]));
    let below = below.cast::<BlockdevScripted>().expect("it is one");
    assert_eq!(below.performed.load(Ordering::Acquire), 3);
    assert!(below.most_at_once.load(Ordering::Acquire) > 1, "one after the other");
}

fn node(properties: &[(&str, &str)]) -> (Arc<BlockdevScripted>, Arc<BlockBackend>) {
    let machine = Machine::new();
    let object = machine.add("blockdev-scripted", "node", properties);
    let node = object.cast::<BlockdevScripted>().expect("it is one");
    let backend = testing::backend(object.cast().expect("it is a node"), true);
    (node, backend)
}

fn reads(tokens: impl IntoIterator<Item = u64>) -> Vec<Request> {
    tokens.into_iter().map(|token| Request::read(token, token, Buffers::None)).collect()
}

fn tokens(done: &[Completion]) -> BTreeSet<u64> {
    done.iter().map(|completion| completion.token).collect()
}

fn is_readable(queue: &device_model::block::BlockQueue, wait: Duration) -> bool {
    let mut waited = [PollFd::new(queue, PollFlags::IN)];
    let timeout = Timespec::try_from(wait).expect("it is short");
    poll(&mut waited, Some(&timeout)).expect("it can be waited for") > 0
}

#[test]
fn a_queue_takes_as_many_requests_as_it_has_room_for() {
    let (node, backend) = node(&[("takes", "on")]);
    let mut queue = backend.queue(4).expect("there are descriptors");
    let mut requests = reads(0..6).into_iter();
    let mut done = Vec::new();
    queue.submit(&mut requests, &mut done);
    assert_eq!((queue.room(), requests.len(), done.len()), (0, 2, 0));
    queue.submit(&mut requests, &mut done);
    assert_eq!(requests.len(), 2, "there is no room");
    node.taken.lock().remove(1).complete(Ok(()));
    queue.fetch(&mut done);
    assert_eq!((tokens(&done), queue.room()), (BTreeSet::from([1]), 1));
    queue.submit(&mut requests, &mut done);
    assert_eq!(requests.len(), 1);
    std::mem::take(&mut *node.taken.lock()).into_iter().for_each(|it| it.complete(Ok(())));
    queue.drain(&mut done);
    assert_eq!(tokens(&done), BTreeSet::from([0, 1, 2, 3, 4]));
}

#[test]
fn its_descriptor_is_readable_while_there_is_something_to_fetch() {
    let (node, backend) = node(&[("takes", "on")]);
    let mut queue = backend.queue(usize::MAX).expect("there are descriptors");
    assert_eq!(queue.room(), MOST_IN_FLIGHT);
    let mut done = Vec::new();
    queue.submit(reads(0..3), &mut done);
    assert!(!is_readable(&queue, Duration::ZERO));
    let answer = || node.taken.lock().pop().expect("it has some").complete(Ok(()));
    answer();
    answer();
    assert!(is_readable(&queue, Duration::ZERO));
    queue.fetch(&mut done);
    assert_eq!(done.len(), 2);
    assert!(!is_readable(&queue, Duration::ZERO), "all was fetched");
    queue.fetch(&mut done);
    assert_eq!(done.len(), 2, "there is nothing");
    answer();
    assert!(is_readable(&queue, Duration::ZERO));
}

#[test]
fn a_request_that_is_let_fall_is_answered_all_the_same() {
    let (node, backend) = node(&[("takes", "on")]);
    let mut queue = backend.queue(4).expect("there are descriptors");
    let mut done = Vec::new();
    let request = Request::read(7, 0, Buffers::Owned(vec![1, 2, 3]));
    queue.submit([request], &mut done);
    node.taken.lock().clear();
    queue.drain(&mut done);
    let completion = done.pop().expect("it is answered");
    assert_eq!(completion.token, 7);
    let error = completion.result.expect_err("nobody did it");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(matches!(completion.buffers, Buffers::Owned(bytes) if bytes == [1, 2, 3]));
}

#[test]
fn what_has_to_wait_is_done_by_few_threads_that_end_with_the_backend() {
    let (node, backend) = node(&[("waits", "5")]);
    let mut queue = backend.queue(256).expect("there are descriptors");
    let mut done = Vec::new();
    queue.submit(reads(0..200), &mut done);
    assert!(done.is_empty(), "nothing is done on this thread");
    assert!(is_readable(&queue, Duration::from_secs(10)));
    queue.drain(&mut done);
    assert_eq!(tokens(&done), (0..200).collect());
    let most = node.most_at_once.load(Ordering::Acquire);
    assert!((2..=16).contains(&most), "{most} at once");
    assert_eq!(*node.threads.lock(), BTreeSet::from(["block-worker".to_owned()]));
    drop(queue);
    drop(backend);
    // Its threads had the last other references.
    wait_until("the threads end", || Arc::strong_count(&node) <= 2);
}

#[test]
fn an_error_is_the_requesters() {
    let (_node, backend) = node(&[("discard", "unmap")]);
    let mut queue = backend.queue(4).expect("there are descriptors");
    let mut done = Vec::new();
    queue.submit([Request::discard(1, 0, 512), Request::flush(2)], &mut done);
    queue.drain(&mut done);
    done.sort_by_key(|completion| completion.token);
    let errors: Vec<_> = done
        .iter()
        .map(|completion| completion.result.as_ref().err().map(io::Error::kind))
        .collect();
    assert_eq!(errors, [Some(io::ErrorKind::StorageFull), None]);
}

#[test]
fn a_queue_that_goes_waits_for_what_is_under_way() {
    let (node, backend) = node(&[("waits", "20")]);
    let mut queue = backend.queue(32).expect("there are descriptors");
    queue.submit(reads(0..8), &mut Vec::new());
    drop(queue);
    assert_eq!(node.performed.load(Ordering::Acquire), 8);
}

#[test]
fn each_queue_gets_its_own_answers() {
    let (_node, backend) = node(&[("waits", "1")]);
    let threads: Vec<_> = (0..4_u64)
        .map(|number| {
            let mut queue = backend.queue(8).expect("there are descriptors");
            thread::spawn(move || {
                let mut requests = reads(number * 100..number * 100 + 50).into_iter();
                let mut done = Vec::new();
                while requests.len() > 0 {
                    queue.submit(&mut requests, &mut done);
                    queue.drain(&mut done);
                }
                tokens(&done)
            })
        })
        .collect();
    for (number, thread) in (0..).zip(threads) {
        let answered = thread.join().expect("it ends");
        assert_eq!(answered, (number * 100..number * 100 + 50).collect());
    }
}

#[test]
fn nothing_beyond_its_end_reaches_a_node() {
    let (node, backend) = node(&[]);
    let mut queue = backend.queue(8).expect("there are descriptors");
    let mut done = Vec::new();
    let end = 1 << 20;
    queue.submit(
        [
            Request::write_zeroes(0, end, 1, false),
            Request::write_zeroes(1, end - 1, 2, false),
            Request::write_zeroes(2, 1, u64::MAX, false),
            Request::write_zeroes(3, u64::MAX, u64::MAX, false),
            Request::read(4, end, Buffers::Owned(vec![0])),
        ],
        &mut done,
    );
    assert_eq!(done.len(), 5, "they are refused at once");
    assert!(done.iter().all(|completion| completion.result.is_err()));
    assert_eq!(node.performed.load(Ordering::Acquire), 0);
    backend
        .perform(&Operation::WriteZeroes { offset: end - 1, length: 1, unmap: false })
        .expect("fits");
}
