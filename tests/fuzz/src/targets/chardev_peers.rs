//! Streams that others come to and leave: whatever peers do, the device gets what each sent, in order
//! and from the start, is told who is there, and is never given more than it has room for; whoever
//! comes once the others have gone is served; and nothing of a stream is left when it is closed.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::UdpSocket,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::OpenOptionsExt, net::UnixListener, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use device_model::{
    prelude::*,
    qom_core::{Globals, Policy, Registry, Request, Tree},
    realize::DeviceRealizer,
    testing,
};
use devices::chardev::ChardevRingbuf;
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, mknodat},
    net::{Shutdown, shutdown},
};

use super::chardev::look_twice;
use crate::{Target, input::Input};

inventory::submit!(Target { name: "chardev-peers", covers: &TYPES, run });

/// What it covers.
const TYPES: [&str; 6] = [
    "chardev-socket",
    "chardev-file",
    "chardev-pipe",
    "chardev-pty",
    "chardev-ringbuf",
    "chardev-udp",
];
/// Peers at once, at most.
const MOST_PEERS: usize = 8;
/// Datagrams that are sent at most: the kernel drops those for which it has no room.
const MOST_DATAGRAMS: usize = 100;
/// How much is written or sent at most, so that a pipe and a terminal take it.
const MOST_BYTES: usize = 2048;
/// Turns of the loop after which everything that was ready has been seen to.
const TURNS: usize = 16;
/// Turns after which a stream that recovers has done so.
const MOST_TURNS: usize = 2000;

/// What the device gets while one peer is there.
type Visit = Vec<u8>;

/// A device that takes as much as it was told to, and expects to be told who sends.
#[derive(Default)]
struct Frontend {
    room: Mutex<usize>,
    visits: Mutex<Vec<Visit>>,
    present: Mutex<bool>,
}

impl ChardevFrontend for Frontend {
    fn can_receive(&self) -> usize {
        *self.room.lock()
    }

    fn receive(&self, bytes: &[u8]) {
        let mut room = self.room.lock();
        assert!((1..=*room).contains(&bytes.len()), "{} bytes for {room}", bytes.len());
        *room -= bytes.len();
        assert!(*self.present.lock(), "bytes of nobody");
        self.visits.lock().last_mut().expect("somebody has come").extend(bytes);
    }

    fn host_changed(&self, presence: Presence) {
        let mut present = self.present.lock();
        assert_eq!(*present, presence == Presence::Left, "told twice");
        *present = presence == Presence::Came;
        if *present {
            self.visits.lock().push(Visit::new());
        }
    }
}

/// Where peers come from.
enum Place {
    /// They connect to a path.
    Server(PathBuf),
    /// The stream connects to them.
    Client(UnixListener),
    /// They open a terminal.
    Terminal(PathBuf),
    /// They share a socket.
    Datagrams(UdpSocket),
    /// They open a pipe for each direction.
    Pipe(PathBuf),
    /// Nobody comes: output goes to a file, and input comes from another.
    File(PathBuf),
    /// Nobody comes: output stays.
    Memory(Arc<ChardevRingbuf>),
}

struct Peer {
    end: File,
    sent: usize,
}

struct Stream {
    chardev: Arc<dyn Chardev>,
    events: Arc<EventLoop>,
    frontend: Arc<Frontend>,
    connected: bool,
    place: Place,
    peers: Vec<Peer>,
    /// What each peer that ever was has sent.
    sent: Vec<Vec<u8>>,
    written: Vec<u8>,
    datagrams: usize,
}

/// A byte for the kind of stream; then operations, or properties.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte() % 8;
    let registry = Registry::global().expect("the types are in order");
    let tree = Tree::new(Arc::clone(registry), Policy::default(), Globals::new(Vec::new()))
        .expect("a tree can be made");
    if kind == 6 {
        return plan(&tree, &mut input);
    }
    let directory = tempfile::tempdir().expect("there is a place for it");
    let path = directory.path().join("s");
    let text = path.to_str().expect("it is text");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let (listener, request) = match kind {
        0 => {
            (None, Request::new("chardev-socket", "/", "s").set("server", "on").set("wait", "off"))
        }
        1 => (
            Some(UnixListener::bind(&path).expect("the path is free")),
            Request::new("chardev-socket", "/", "s").set("reconnect-ms", "1"),
        ),
        2 => (None, Request::new("chardev-pty", "/", "s")),
        3 => {
            for end in ["s.in", "s.out"] {
                let path = directory.path().join(end);
                mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
            }
            (None, Request::new("chardev-pipe", "/", "s"))
        }
        4 => {
            let input = directory.path().join("input");
            fs::write(&input, data).expect("there is room");
            let input = input.to_str().expect("it is text").to_owned();
            (None, Request::new("chardev-file", "/", "s").set("input-path", input))
        }
        5 => (None, Request::new("chardev-ringbuf", "/", "s").set("size", "64")),
        _ => {
            let port = datagrams.local_addr().expect("it is bound").port().to_string();
            let request = Request::new("chardev-udp", "/", "s");
            (None, request.set("host", "127.0.0.1").set("port", port))
        }
    };
    let request = if kind == 5 || kind == 7 { request } else { request.set("path", text) };
    let platform = Platform::new(tree.id()).expect("there are descriptors");
    let created = tree.create([request], &mut DeviceRealizer::new(&platform));
    let created = created.expect("the stream can be opened").objects;
    let object = created.first().expect("one was asked for");
    let chardev = object.cast::<dyn Chardev>().expect("it is a stream");
    // Nobody else would read while a write waits.
    chardev.set_nonblocking(true);
    let events = Arc::clone(platform.events());
    look_twice(&events);
    let place = match (kind, listener) {
        (0, _) => Place::Server(path.clone()),
        (_, Some(listener)) => {
            listener.set_nonblocking(true).expect("it can be");
            Place::Client(listener)
        }
        (2, _) => Place::Terminal(path.clone()),
        (3, _) => Place::Pipe(path.clone()),
        (4, _) => Place::File(path.clone()),
        (5, _) => Place::Memory(object.cast().expect("it is one")),
        _ => {
            chardev.write(b"here");
            let (_, own) = datagrams.recv_from(&mut [0; 4]).expect("it has arrived");
            datagrams.connect(own).expect("it is this host's");
            Place::Datagrams(datagrams)
        }
    };
    let mut stream = Stream {
        chardev,
        events,
        frontend: Arc::default(),
        connected: false,
        place,
        peers: Vec::new(),
        sent: Vec::new(),
        written: Vec::new(),
        datagrams: 0,
    };
    if kind == 4 {
        stream.sent.push(data.to_vec());
    }
    while let Some(op) = input.next() {
        stream.step(op, &mut input);
        stream.judge();
    }
    stream.recover();
    stream.judge();
    tree.clear(&mut DeviceRealizer::new(&platform));
    stream.close(&path);
}

/// Plans a stream with whatever properties, which must neither panic nor leave anything.
fn plan(tree: &Tree, input: &mut Input<'_>) {
    const PROPERTIES: [&str; 16] = [
        "path",
        "host",
        "port",
        "to",
        "ipv4",
        "ipv6",
        "fd",
        "server",
        "wait",
        "reconnect-ms",
        "reconnect",
        "abstract",
        "tight",
        "size",
        "localaddr",
        "localport",
    ];
    let name = TYPES[usize::from(input.byte()) % TYPES.len()];
    let mut request = Request::new(name, "/", "s");
    while let Some(property) = input.next() {
        let property = PROPERTIES[usize::from(property) % PROPERTIES.len()];
        let length = input.byte().into();
        let value = String::from_utf8_lossy(input.take(length)).into_owned();
        request = request.set(property, value);
    }
    // Nothing is opened, so that nothing is to be taken back.
    if let Ok(plan) = tree.plan([request]) {
        let _ = plan.judge(Policy::default());
    }
    assert!(tree.walk().iter().all(|object| object.class().name() != name));
}

impl Stream {
    fn step(&mut self, op: u8, input: &mut Input<'_>) {
        let index = |count: usize, input: &mut Input<'_>| usize::from(input.byte()) % count.max(1);
        match op % 9 {
            0 => self.come(),
            1 => {
                let peer = index(self.peers.len(), input);
                let count = input.byte().into();
                self.send(peer, input.take(count));
            }
            2 => {
                let peer = index(self.peers.len(), input);
                if peer < self.peers.len() {
                    self.peers.swap_remove(peer);
                }
            }
            3 => {
                let peer = index(self.peers.len(), input);
                if let Some(peer) = self.peers.get(peer) {
                    // Only of a socket.
                    let _ = shutdown(peer.end.as_fd(), Shutdown::Write);
                }
            }
            4 => {
                *self.frontend.room.lock() = input.byte().into();
                self.chardev.accept_input();
            }
            5 => self.turn(TURNS),
            6 => {
                let count = input.byte().into();
                self.write(input.take(count));
            }
            7 => self.chardev.hang_up(),
            _ => {
                if self.connected {
                    self.chardev.disconnect();
                    // The next device knows nothing of what this one was told.
                    *self.frontend.present.lock() = false;
                }
                self.connected = !self.connected;
                if self.connected {
                    let frontend: Arc<dyn ChardevFrontend> = self.frontend.clone();
                    assert!(self.chardev.connect(testing::frontend(Arc::downgrade(&frontend))));
                }
                let frontend: Arc<dyn ChardevFrontend> = Arc::new(Frontend::default());
                let another = testing::frontend(Arc::downgrade(&frontend));
                if self.connected {
                    assert!(!self.chardev.connect(another), "a stream has one reader");
                }
            }
        }
    }

    fn turn(&self, count: usize) {
        for _ in 0..count {
            self.events.run().expect("waiting does not fail");
        }
    }

    /// Somebody comes, if there are not too many.
    fn come(&mut self) {
        if self.peers.len() == MOST_PEERS {
            return;
        }
        // No more wait to be accepted than a server lets wait.
        self.turn(2);
        let open = |path: &Path| {
            let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().try_into().unwrap_or(0);
            File::options().read(true).write(true).custom_flags(flags).open(path)
        };
        let end = match &self.place {
            Place::Server(path) => {
                let end = UnixStream::connect(path).expect("the server listens");
                File::from(OwnedFd::from(end))
            }
            Place::Client(listener) => match listener.accept() {
                Ok((end, _)) => File::from(OwnedFd::from(end)),
                Err(_) => return,
            },
            Place::Terminal(link) => open(link).expect("the link leads to it"),
            Place::Pipe(path) => open(&path.with_extension("in")).expect("it is there"),
            Place::Datagrams(socket) => {
                let end = socket.try_clone().expect("there are descriptors");
                File::from(OwnedFd::from(end))
            }
            Place::File(_) | Place::Memory(_) => return,
        };
        let flags = fcntl_getfl(&end).expect("it is open") | OFlags::NONBLOCK;
        fcntl_setfl(&end, flags).expect("it is open");
        // All that write to a pipe or terminal are one to who reads.
        let shared =
            matches!(self.place, Place::Terminal(_) | Place::Pipe(_) | Place::Datagrams(_));
        if !shared || self.sent.is_empty() {
            self.sent.push(Vec::new());
        }
        self.peers.push(Peer { end, sent: self.sent.len() - 1 });
    }

    fn send(&mut self, peer: usize, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(peer) else { return };
        if matches!(self.place, Place::Datagrams(_)) {
            self.datagrams += 1;
            if self.datagrams > MOST_DATAGRAMS {
                return;
            }
        }
        let sent = &mut self.sent[peer.sent];
        let bytes = &bytes[..bytes.len().min(MOST_BYTES - sent.len().min(MOST_BYTES))];
        // A connection that is closed takes none.
        if let Ok(taken) = peer.end.write(bytes) {
            sent.extend(&bytes[..taken]);
        }
    }

    /// The device writes.
    fn write(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(MOST_BYTES - self.written.len())];
        self.chardev.write(bytes);
        self.written.extend(bytes);
        match &self.place {
            Place::File(path) if !self.written.is_empty() => {
                assert!(fs::read(path).expect("it is there") == self.written);
            }
            Place::Memory(ring) => {
                let kept = ring.take(usize::MAX);
                assert!(kept.len() <= 64 && bytes.ends_with(&kept));
                assert_eq!(kept.len(), bytes.len().min(64));
            }
            Place::Pipe(path) => {
                let path = path.with_extension("out");
                let mut output = vec![0; bytes.len()];
                if !bytes.is_empty() {
                    let mut pipe = File::open(path).expect("the stream has it open");
                    pipe.read_exact(&mut output).expect("there is as much");
                }
                assert!(output == bytes);
            }
            place => {
                // What the stream connects to, and who opens a terminal, may find something there.
                let may_find = |output: &[u8]| match place {
                    Place::Server(_) => bytes.ends_with(output),
                    _ => output.is_empty() || contains(&self.written, output),
                };
                for peer in &mut self.peers {
                    let mut output = Vec::new();
                    // Room for a whole datagram each time.
                    let mut buffer = [0; MOST_BYTES];
                    while let Ok(length @ 1..) = peer.end.read(&mut buffer) {
                        output.extend(&buffer[..length]);
                    }
                    assert!(may_find(&output), "output that is none, or an earlier one's");
                }
            }
        }
    }

    /// What the device got while each peer was there is the beginning of what one sent. Of a pipe or
    /// terminal, and of a peer who stays while devices change, it is the next part.
    fn judge(&self) {
        let visits = self.frontend.visits.lock();
        let mut sent = self.sent.iter().map(Vec::as_slice);
        let mut rest = sent.next().unwrap_or_default();
        for visit in visits.iter() {
            loop {
                if let Some(after) = rest.strip_prefix(visit.as_slice()) {
                    rest = after;
                    break;
                }
                rest = sent.next().expect("bytes that nobody sent, or not so");
            }
        }
    }

    /// Once all have gone, the next one is served.
    fn recover(&mut self) {
        self.peers.clear();
        if !self.connected {
            self.step(8, &mut Input::new(&[]));
        }
        self.turn(TURNS);
        *self.frontend.room.lock() = usize::MAX;
        self.chardev.accept_input();
        self.turn(TURNS);
        if !matches!(self.place, Place::Server(_) | Place::Client(_)) {
            return;
        }
        let mut served = false;
        for _ in 0..MOST_TURNS {
            if self.peers.is_empty() {
                self.come();
                self.send(0, b"at last");
            }
            self.turn(4);
            let visits = self.frontend.visits.lock();
            served = visits.last().is_some_and(|visit| visit == b"at last");
            if served {
                break;
            }
            drop(visits);
            if matches!(self.place, Place::Client(_)) {
                // It may be an attempt of before, which was given up.
                std::thread::sleep(Duration::from_millis(1));
                let is_new = self.sent.last().is_some_and(|sent| sent == b"at last");
                if !is_new {
                    self.peers.clear();
                }
            }
        }
        assert!(served, "nobody is served any more");
    }

    fn close(mut self, path: &Path) {
        self.chardev.write(b"closed");
        match &self.place {
            Place::Server(_) | Place::Terminal(_) => {
                assert!(fs::symlink_metadata(path).is_err(), "the path is left");
            }
            Place::File(_) => {
                assert_eq!(path.exists(), !self.written.is_empty());
            }
            _ => {}
        }
        let before = self.frontend.visits.lock().clone();
        self.send(0, b"closed");
        self.turn(TURNS);
        assert!(*self.frontend.visits.lock() == before, "a stream that is closed sends");
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|there| there == part)
}
