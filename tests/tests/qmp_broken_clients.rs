//! Monitors whose clients are broken: whatever one of them sends, or does not read, it gets an error
//! or is hung up on; the guest runs on, and the clients of other monitors are answered.

use std::{
    io::{Read, Write},
    iter,
    os::unix::net::UnixStream,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    Scratch, Vmm, guest,
    qmp::{Monitored, Qmp, error_of},
};

/// How long a broken client may hold up the answer to another. It is promised to whoever uses a
/// monitor, of a host that has time for it. How much time this host has is seen by a program that has
/// no broken client, which is asked in turn: what that waits is not the broken client's doing. What
/// this is to find is a client that holds another up for seconds or for good, so of several answers it
/// is the median that counts.
const PROMISED: Duration = Duration::from_millis(100);

/// How many answers it takes for a median.
const ANSWERS: usize = 9;

/// Bytes of the longest message: 64 MiB.
const MOST_MESSAGE: usize = 64 << 20;

/// Bytes that the messages of all clients may take: 256 MiB.
const CAPACITY: usize = 256 << 20;

/// Bytes of a message that is written at a time.
const PIECE: usize = 1 << 20;

/// Memory that a monitor program has beside that of its guest and its clients, in a build of any
/// profile, at the most.
const OWN_MEMORY: usize = 64 << 20;

/// A guest that goes on and on, with monitors whose clients are broken and one whose client is not.
struct Vm {
    vm: Monitored,
    /// The client of a monitor beside.
    witness: Qmp,
    /// A program of its own, without a broken client.
    apart: Monitored,
    _alone: MutexGuard<'static, ()>,
}

impl Vm {
    fn start() -> Self {
        Self::with_monitors(0)
    }

    /// With further monitors, which listen at [`Vm::socket`].
    fn with_monitors(count: usize) -> Self {
        // What the host's processors do for one of these tests they don't do for another, and what
        // is promised is no promise for a host that has too much to do.
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = Scratch::new();
        let kernel = scratch.guest(guest::tick("."));
        let sockets = (0..count).map(|number| scratch.path().join(format!("qmp{number}")));
        let witness = scratch.path().join("witness");
        let vmm = Vmm::line("-m 16M").kernel(&kernel).monitor(&witness);
        let vmm = sockets.fold(vmm, |vmm, socket| vmm.monitor(&socket));
        let vm = Monitored::of(vmm, scratch);
        vm.running.wait_for(".");
        let apart = Monitored::start("-machine none -nodefaults");
        Self { vm, witness: Qmp::connect(&witness), apart, _alone: alone }
    }

    /// The first client of a monitor of those further ones.
    fn client(&self, number: usize) -> Qmp {
        Qmp::connect(&self.vm.scratch().path().join(format!("qmp{number}")))
    }

    /// The guest runs on, and the other client is answered in time.
    #[track_caller]
    fn is_unharmed(&mut self) {
        self.vm.running.goes_on();
        let wait = |client: &mut Qmp| {
            let asked = Instant::now();
            Self::hears(client);
            asked.elapsed()
        };
        let (mut waited, mut apart): (Vec<_>, Vec<_>) =
            (0..ANSWERS).map(|_| (wait(&mut self.witness), wait(&mut self.apart.qmp))).unzip();
        waited.sort_unstable();
        apart.sort_unstable();
        let middle = ANSWERS / 2;
        assert!(waited[middle] < PROMISED + apart[middle], "{waited:?}, but for {apart:?}");
    }

    /// The client that has been broken is heard again.
    #[track_caller]
    fn hears(client: &mut Qmp) {
        let status = client.execute("query-status", json!({}));
        assert_eq!(status["status"], "running");
    }

    /// Ends the VM, which has not failed in any way.
    #[track_caller]
    fn quit(mut self) {
        self.witness.execute("quit", json!({}));
        self.vm.running.finish().code(0).complains_only(&[]);
        self.apart.quit().code(0);
    }
}

/// Bytes that look like chance and are the same each time (Knuth's MMIX constants).
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let next = |state: &u64| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    iter::successors(Some(seed), next).map(|state| state.to_be_bytes()[0])
}

/// An error that tells of that, and nothing else.
#[track_caller]
fn is_error(answer: &Value, text: &str) {
    let expected = ("GenericError".to_owned(), text.to_owned());
    assert_eq!(error_of(answer), Some(expected), "{answer}");
}

/// The start of a message of as many bytes, which goes on.
fn endless(bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let start = br#"{"execute": "query-status", "id": ""#.to_vec();
    let rest = bytes - start.len();
    let pieces = (0..rest).step_by(PIECE).map(move |at| vec![b'x'; PIECE.min(rest - at)]);
    iter::once(start).chain(pieces)
}

#[test]
fn binary_input_is_answered_with_errors_and_the_client_can_go_on() {
    let mut vm = Vm::start();
    let mut bytes: Vec<u8> = noise(1).take(256 << 10).collect();
    // What no JSON has, and a new line: whatever came before has ended.
    bytes.extend(b"\xff\n");
    bytes.extend(br#"{"execute": "query-status", "id": "after"}"#);
    let mut stream = vm.vm.qmp.stream().try_clone().expect("there are descriptors");
    let sender = thread::spawn(move || stream.write_all(&bytes));
    let mut errors = 0;
    loop {
        let answer = vm.vm.qmp.answer();
        if answer.get("id") == Some(&json!("after")) {
            assert_eq!(answer["return"]["status"], "running");
            break;
        }
        let class = error_of(&answer).map(|(class, _)| class);
        assert_eq!(class.as_deref(), Some("GenericError"), "{answer}");
        errors += 1;
    }
    assert!(errors > 0);
    sender.join().expect("it does not panic").expect("the monitor took all");
    vm.is_unharmed();
    vm.quit();
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_message_leaves_nothing_to_the_next() {
    let mut vm = Vm::with_monitors(1);
    for start in [&b"{\"execute\": \"query-sta"[..], b"[[[[", b"\"\\u12", b"\"\xf0\x9f", b"tru"] {
        let mut client = vm.client(0);
        client.send(start);
        vm.is_unharmed();
        // The monitor has one client at a time.
        client.end_input();
        assert_eq!(client.line(), None, "{start:?} was answered");
        Vm::hears(&mut vm.client(0));
    }
    vm.quit();
}

#[test]
fn messages_nest_1024_levels_deep_and_no_deeper() {
    let mut vm = Vm::start();
    let too_deep = "JSON message nests deeper than 1024 levels";
    for (levels, text) in
        [(1024, "QMP input must be a JSON object"), (1025, too_deep), (1_000_000, too_deep)]
    {
        let client = &mut vm.vm.qmp;
        client.send(format!("{}{}\n", "[".repeat(levels), "]".repeat(levels)));
        is_error(&client.answer(), text);
        // An object has its own level, that of the message.
        let inner = levels - 2;
        let open = r#"{"a":"#;
        client.send(format!("{open}{}{}1{}\n", open.repeat(inner), open, "}".repeat(levels)));
        let text = if levels == 1024 { "QMP input member 'a' is unexpected" } else { text };
        is_error(&client.answer(), text);
        Vm::hears(client);
        vm.is_unharmed();
    }
    // One that is never closed.
    vm.vm.qmp.send("[".repeat(100_000));
    is_error(&vm.vm.qmp.answer(), too_deep);
    vm.is_unharmed();
    vm.quit();
}

#[test]
fn a_message_of_more_than_64_mebibytes_is_refused_and_none_of_it_is_kept() {
    let mut vm = Vm::start();
    let memory = vm.vm.running.resident();
    let mut stream = vm.vm.qmp.stream().try_clone().expect("there are descriptors");
    let sender = thread::spawn(move || {
        endless(MOST_MESSAGE + 1).try_for_each(|piece| stream.write_all(&piece))
    });
    // While it comes in.
    vm.is_unharmed();
    sender.join().expect("it does not panic").expect("the monitor took all");
    is_error(&vm.vm.qmp.answer(), &format!("JSON message is longer than {MOST_MESSAGE} bytes"));
    vm.is_unharmed();
    let memory_since = vm.vm.running.resident();
    assert!(memory_since < memory + OWN_MEMORY, "{memory} bytes, then {memory_since}");
    // The rest of that message is no message.
    vm.vm.qmp.send("and so on\"}\n");
    Vm::hears(&mut vm.vm.qmp);
    vm.quit();
}

#[test]
fn all_clients_together_keep_256_mebibytes_and_short_messages_of_others_find_room() {
    // Of a message, its text is kept, in room that grows by doubling.
    let share = MOST_MESSAGE;
    let mut vm = Vm::with_monitors(5);
    let mut clients: Vec<_> = (0..5).map(|number| vm.client(number)).collect();
    let (last, first) = clients.split_last_mut().expect("there are some");
    for client in first {
        // More than half of the share, so that there is room for all of it.
        for piece in endless(share / 2 + PIECE) {
            client.send(piece);
        }
        vm.is_unharmed();
    }
    for piece in endless(PIECE) {
        last.send(piece);
    }
    let text = format!("JSON messages of all clients are longer than {CAPACITY} bytes");
    is_error(&last.answer(), &text);
    assert!(vm.vm.running.resident() < CAPACITY + (16 << 20) + OWN_MEMORY);
    vm.is_unharmed();
    last.send("\"}\n");
    Vm::hears(last);
    // Once one of them has left there is room again.
    clients.remove(0);
    Vm::hears(&mut vm.client(0));
    let mut last = clients.pop().expect("it is there");
    let id = "y".repeat(PIECE);
    let answer = last.ask(&json!({ "execute": "query-status", "id": id }));
    assert_eq!(answer["id"], json!(id));
    vm.is_unharmed();
    vm.quit();
}

/// A request of as many objects, three at a time in one another: nothing takes more memory for what
/// is sent.
fn of_objects(count: usize) -> Vec<u8> {
    let objects = vec![r#"{"a":{"a":{"a":0}}}"#; count / 3].join(",");
    format!("{{\"execute\": \"query-status\", \"id\": [{objects}]}}\n").into_bytes()
}

/// Of the answer to a request of tokens, whether it had room; if not, it says so.
#[track_caller]
fn had_room(answer: &Value) -> bool {
    let text = format!("JSON messages of all clients are longer than {CAPACITY} bytes");
    match error_of(answer) {
        None => answer["return"]["status"] == "running",
        Some(error) => {
            assert_eq!(error, ("GenericError".to_owned(), text));
            false
        }
    }
}

#[test]
fn messages_of_many_tokens_take_no_more_than_those_of_many_bytes() {
    let mut vm = Vm::with_monitors(4);
    let before = vm.vm.running.resident();
    let mut clients: Vec<_> = (0..4).map(|number| vm.client(number)).collect();
    // Alone there is room for one of 1.2 million tokens, but not for one of 1.6 million.
    for (count, fits) in [(260_000, true), (360_000, false)] {
        clients[0].send(of_objects(count));
        assert_eq!(had_room(&clients[0].answer()), fits, "{count} objects");
        // What it took has not stayed.
        let after = vm.vm.running.resident();
        assert!(after < before + OWN_MEMORY, "{before} bytes, then {after}");
        vm.is_unharmed();
    }
    // There is none for four at once, whoever gets how far.
    let message = of_objects(260_000);
    let running = &vm.vm.running;
    let most = thread::scope(|scope| {
        let asked: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                scope.spawn(|| {
                    client.send(&message);
                    had_room(&client.answer());
                })
            })
            .collect();
        let mut most = 0;
        while !asked.iter().all(thread::ScopedJoinHandle::is_finished) {
            most = most.max(running.resident());
            let status = vm.witness.execute("query-status", json!({}));
            assert_eq!(status["status"], "running");
            thread::sleep(Duration::from_millis(5));
        }
        most
    });
    assert!(most > before + CAPACITY / 4, "{most} bytes are no more than {before}");
    assert!(most < CAPACITY + (16 << 20) + OWN_MEMORY, "{most} bytes");
    let after = vm.vm.running.resident();
    assert!(after < before + OWN_MEMORY, "{before} bytes, then {after}");
    clients.iter_mut().for_each(Vm::hears);
    vm.is_unharmed();
    vm.quit();
}

#[test]
fn a_client_that_asks_for_much_and_reads_nothing_is_waited_for_alone() {
    for out_of_band in [false, true] {
        let mut vm = Vm::with_monitors(1);
        let socket = vm.vm.scratch().path().join("qmp0");
        let mut client = match out_of_band {
            false => Qmp::connect(&socket),
            true => Qmp::connect_out_of_band(&socket),
        };
        let request = format!("{}\n", json!({ "execute": "query-qmp-schema" }));
        // It is not even read any more, once what it was answered has not been taken.
        assert!(client.flood(request.as_bytes()) > 0);
        vm.is_unharmed();
        // Events are for all clients. Those that wait for it don't wait for ever.
        for _ in 0..600 {
            vm.witness.execute("stop", json!({}));
            vm.witness.execute("cont", json!({}));
        }
        vm.is_unharmed();
        assert!(vm.vm.running.resident() < 2 * OWN_MEMORY);
        vm.quit();
    }
}

#[test]
fn what_one_client_has_to_be_done_is_overtaken_by_what_another_asks() {
    const LOAD: usize = 2000;
    let mut vm = Vm::with_monitors(1);
    let mut client = vm.client(0);
    let mut stream = client.stream().try_clone().expect("there are descriptors");
    let requests = (0..LOAD).map(|id| json!({ "execute": "query-qmp-schema", "id": id }));
    let requests: String = requests.map(|request| request.to_string()).collect();
    thread::scope(|scope| {
        scope.spawn(move || stream.write_all(requests.as_bytes()).expect("the monitor takes it"));
        let answered = scope.spawn(move || {
            for id in 0..LOAD {
                assert_eq!(client.answer()["id"], id);
            }
        });
        for _ in 0..ANSWERS {
            Vm::hears(&mut vm.witness);
        }
        // One after the other, they would have been answered after all of it.
        assert!(!answered.is_finished());
        answered.join().expect("it is all answered");
    });
    vm.is_unharmed();
    vm.quit();
}

#[test]
fn a_hundred_clients_of_as_many_monitors_are_answered_all() {
    let mut vm = Vm::with_monitors(100);
    let mut clients: Vec<_> = (0..100).map(|number| vm.client(number)).collect();
    for client in &mut clients {
        client.send(format!("{}\n", json!({ "execute": "query-machines", "id": 1 })));
    }
    vm.is_unharmed();
    for client in &mut clients {
        assert_eq!(client.answer()["id"], 1);
    }
    // All of them hear what one of them does.
    clients[0].execute("stop", json!({}));
    for client in &mut clients {
        client.event("STOP");
    }
    clients[99].execute("cont", json!({}));
    vm.is_unharmed();
    vm.quit();
}

#[test]
fn of_a_hundred_clients_of_one_monitor_the_first_is_answered_and_the_others_hung_up_on() {
    let mut vm = Vm::with_monitors(1);
    let socket = vm.vm.scratch().path().join("qmp0");
    let mut first = vm.client(0);
    let others: Vec<_> =
        (0..99).map(|_| UnixStream::connect(&socket).expect("it listens")).collect();
    vm.is_unharmed();
    Vm::hears(&mut first);
    for mut other in others {
        let mut greeting = Vec::new();
        other.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a socket");
        other.read_to_end(&mut greeting).expect("it is hung up on");
        assert_eq!(greeting, b"");
    }
    // There is room for another once the first has left.
    first.end_input();
    assert_eq!(first.line(), None);
    Vm::hears(&mut vm.client(0));
    vm.quit();
}
