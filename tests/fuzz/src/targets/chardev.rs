//! The streams between devices and the host: no byte is lost, made up or out of order, and a device
//! is given no more than it has room for.

use std::{
    fs::File,
    io::{self, Read, StdoutLock, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::fs::FileExt,
    sync::Arc,
};

use device_model::{
    prelude::*,
    qom_core::{Globals, Policy, Registry, Request, Tree},
    realize::DeviceRealizer,
    testing,
};
use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{MemfdFlags, memfd_create},
    pipe::{PipeFlags, pipe_with},
    stdio::{dup2_stdin, dup2_stdout, stdin, stdout},
};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "chardev", covers: &["chardev-null", "chardev-stdio"], run });

/// How many times the same bytes are written at most, so that a pipe takes them without a reader.
const MOST_REPEATS: usize = 64;
/// How much the host sends at most, for the same reason.
const MOST_SENT: usize = 32 << 10;

/// The process's standard streams, replaced until this is dropped. Meanwhile nobody else prints.
struct Replaced {
    input: OwnedFd,
    output: OwnedFd,
    _nobody_prints: StdoutLock<'static>,
}

impl Replaced {
    fn by(input: impl AsFd, output: impl AsFd) -> io::Result<Self> {
        let mut printing = io::stdout().lock();
        printing.flush()?;
        let saved = Self {
            input: stdin().try_clone_to_owned()?,
            output: stdout().try_clone_to_owned()?,
            _nobody_prints: printing,
        };
        dup2_stdin(input)?;
        dup2_stdout(output)?;
        Ok(saved)
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        dup2_stdin(&self.input).and_then(|()| dup2_stdout(&self.output)).expect("both are open");
    }
}

/// A device that takes as much as it was told to.
#[derive(Default)]
struct Frontend {
    room: Mutex<usize>,
    received: Mutex<Vec<u8>>,
}

impl ChardevFrontend for Frontend {
    fn can_receive(&self) -> usize {
        *self.room.lock()
    }

    fn receive(&self, bytes: &[u8]) {
        let mut room = self.room.lock();
        assert!((1..=*room).contains(&bytes.len()), "{} bytes for {room}", bytes.len());
        *room -= bytes.len();
        self.received.lock().extend(bytes);
    }
}

/// Where the host's bytes come from.
enum Source {
    /// A pipe, until the host closes it.
    Pipe(Option<File>),
    /// A file that grows.
    File(File, u64),
    /// `chardev-null` has none.
    Nothing,
}

/// Everything at both ends of a stream.
struct Stream {
    chardev: Arc<dyn Chardev>,
    events: Arc<EventLoop>,
    frontend: Arc<Frontend>,
    connected: bool,
    source: Source,
    sent: Vec<u8>,
    output: File,
}

/// A byte for the kind of stream; then operations.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte() % 3;
    let pipe = || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("descriptors");
    let (type_name, read, source) = match kind {
        0 => {
            let (read, write) = pipe();
            ("chardev-stdio", read, Source::Pipe(Some(write.into())))
        }
        1 => {
            let file = memfd_create("input", MemfdFlags::CLOEXEC).expect("there is memory");
            let written = file.try_clone().expect("there are descriptors");
            ("chardev-stdio", file, Source::File(written.into(), 0))
        }
        _ => ("chardev-null", pipe().0, Source::Nothing),
    };
    let (output, write) = pipe();
    let replaced = Replaced::by(read, write).expect("the standard streams can be replaced");

    let registry = Registry::global().expect("the types are in order");
    let tree = Tree::new(Arc::clone(registry), Policy::default(), Globals::new(Vec::new()))
        .expect("a tree can be made");
    let platform = Platform::new(tree.id()).expect("there are descriptors");
    let request = Request::new(type_name, "/", "stream");
    let created = tree.create([request], &mut DeviceRealizer::new(&platform));
    let created = created.expect("the stream can be opened").objects;
    let chardev = created.first().and_then(Obj::cast::<dyn Chardev>).expect("it is a stream");
    let events = Arc::clone(platform.events());
    look_twice(&events);
    let mut stream = Stream {
        chardev,
        events,
        frontend: Arc::default(),
        connected: false,
        source,
        sent: Vec::new(),
        output: output.into(),
    };
    while let Some(op) = input.next() {
        stream.step(op, &mut input);
        stream.judge();
    }
    stream.drain();
    tree.clear(&mut DeviceRealizer::new(&platform));
    stream.chardev.write(b"x");
    assert_eq!(stream.written(), b"", "a stream that is closed writes");
    drop(replaced);
}

/// Ends each run of the loop once everything that was ready at its start has been called back: what
/// is always ready takes its turn with the others, and every second time it is the end.
pub(super) fn look_twice(events: &Arc<EventLoop>) {
    let always = eventfd(1, EventfdFlags::CLOEXEC).expect("there are descriptors");
    let looped = Arc::downgrade(events);
    let mut odd = false;
    events
        .watch(always, move || {
            odd = !odd;
            if let Some(events) = looped.upgrade().filter(|_| !odd) {
                events.stop();
            }
            Next::Continue
        })
        .expect("a counter can be waited for");
}

impl Stream {
    fn step(&mut self, op: u8, input: &mut Input<'_>) {
        match op % 8 {
            0 | 1 => {
                let count = usize::from(input.byte());
                self.send(input.take(count));
            }
            2 => {
                *self.frontend.room.lock() = input.byte().into();
                self.chardev.accept_input();
            }
            3 => self.events.run().expect("waiting does not fail"),
            4 => {
                let (count, repeats) = (usize::from(input.byte()), usize::from(input.byte()));
                let bytes = input.take(count).repeat(repeats % MOST_REPEATS + 1);
                self.chardev.write(&bytes);
                let lost = matches!(self.source, Source::Nothing);
                assert!(self.written() == if lost { Vec::new() } else { bytes });
            }
            5 => {
                if let Source::Pipe(pipe) = &mut self.source {
                    *pipe = None;
                }
            }
            6 => {
                self.chardev.disconnect();
                self.connected = false;
            }
            _ => {
                let frontend: Arc<dyn ChardevFrontend> = self.frontend.clone();
                let reader = testing::frontend(Arc::downgrade(&frontend));
                let taken = self.chardev.connect(reader);
                assert_eq!(taken, !self.connected, "a stream has one reader");
                self.connected = true;
            }
        }
    }

    /// The host sends.
    fn send(&mut self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(MOST_SENT - self.sent.len())];
        match &mut self.source {
            Source::Pipe(Some(pipe)) => pipe.write_all(bytes).expect("a pipe has as much room"),
            Source::File(file, end) => {
                // Elsewhere than where it is read: the two share their place in the file.
                file.write_all_at(bytes, *end).expect("there is memory");
                *end += bytes.len() as u64;
            }
            Source::Pipe(None) | Source::Nothing => return,
        }
        self.sent.extend(bytes);
    }

    /// What has been written since this was last called.
    fn written(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It ends when the pipe is empty, which is an error.
        let _ = self.output.read_to_end(&mut bytes);
        bytes
    }

    fn judge(&self) {
        assert!(self.sent.starts_with(&self.frontend.received.lock()), "bytes are not those sent");
    }

    /// All that the host sent arrives once there is room; but what a file has gained since its end
    /// was read need not.
    fn drain(&mut self) {
        *self.frontend.room.lock() = MOST_SENT;
        self.step(7 - u8::from(self.connected) * 4, &mut Input::new(&[]));
        self.chardev.accept_input();
        for _ in 0..=self.sent.len() / 256 + 1 {
            self.events.run().expect("waiting does not fail");
        }
        self.judge();
        let received = self.frontend.received.lock().len();
        match self.source {
            Source::Pipe(_) => assert_eq!(received, self.sent.len(), "bytes were lost"),
            Source::File(..) => {}
            Source::Nothing => assert_eq!(received, 0, "bytes from nowhere"),
        }
    }
}
