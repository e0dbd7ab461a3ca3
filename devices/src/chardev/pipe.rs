//! `chardev-pipe`: named pipes.

use std::{
    io::{self, ErrorKind},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
};

use device_model::{descriptors::Descriptors, prelude::*};
use rustix::fs::{FileType, Mode, OFlags, fstat};

use super::channel::{self, Channel, Ends, Host, Poller};

/// Named pipes
///
/// Input comes from `PATH.in` and output goes to `PATH.out` if both are there; otherwise `PATH` is
/// one pipe for both, of which the stream reads what it writes unless somebody else is faster.
/// Whoever is at the other ends can come and go, and is not waited for. A path `/dev/fdset/N` stands
/// for a descriptor of that set, which is open for both reading and writing.
#[qom_type(secure, parent = Chardev, class_data = CLASS)]
#[derive(Debug)]
pub struct ChardevPipe {
    /// Path of the pipe, or what both paths start with
    #[property(required)]
    path: String,
    channel: Arc<Channel>,
}

/// QEMU's `ChardevHostdev` (`qapi/char.json`), as it is for pipes.
static CLASS: ChardevClass = ChardevClass {
    members: &[DataMember { name: "device", required: true, value: MemberValue::Of("path") }],
    ..ChardevClass::PLAIN
};

struct NoHost;

impl Host for NoHost {}

/// Opens a named pipe in both directions, so that it has no end while the stream is open.
fn open_pipe(descriptors: &Descriptors, path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY;
    let pipe = descriptors.open(Path::new(path), flags, Mode::empty())?.descriptor;
    if !FileType::from_raw_mode(fstat(&pipe)?.st_mode).is_fifo() {
        let problem = format!("'{path}' is no named pipe");
        return Err(io::Error::new(ErrorKind::InvalidInput, problem));
    }
    Ok(pipe)
}

fn open_ends(descriptors: &Descriptors, path: &str) -> io::Result<Ends> {
    let (input, output) = (format!("{path}.in"), format!("{path}.out"));
    let is_there = |path: &str| descriptors.look_at(Path::new(path), OFlags::RDWR).is_ok();
    if is_there(&input) && is_there(&output) {
        return Ok(Ends::Files {
            input: Some(open_pipe(descriptors, &input)?),
            output: open_pipe(descriptors, &output)?,
        });
    }
    let pipe = open_pipe(descriptors, path)?;
    Ok(Ends::Files { input: Some(pipe.try_clone()?), output: pipe })
}

impl Chardev for ChardevPipe {
    fn open(&self, platform: &Platform) -> io::Result<()> {
        let poller = Arc::new(Poller::new()?);
        let ends = open_ends(platform.descriptors(), &self.path).map_err(|error| {
            let path = &self.path;
            io::Error::new(error.kind(), format!("can't open pipe '{path}': {error}"))
        })?;
        self.channel.open(platform.events(), Arc::clone(&poller), Box::new(NoHost))?;
        self.channel.arrive(&poller, ends, self.filename()).inspect_err(|_| self.channel.close())
    }

    fn close(&self) {
        self.channel.close();
    }

    fn write(&self, bytes: &[u8]) {
        self.channel.write(bytes);
    }

    channel::delegate!();

    fn filename(&self) -> String {
        "pipe".to_owned()
    }
}
