//! `chardev-file`: output to a file, input from another.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use device_model::prelude::*;
use rustix::fs::{FileType, Mode, OFlags, fstat, ftruncate};

use super::channel::{self, Channel, Ends, Host, Poller};

/// How a file is created, but for what the process's mask takes away.
const CREATED: Mode = Mode::from_bits_truncate(0o666);

/// File that takes the output
///
/// A file that was there is emptied, or appended to, by the first output and not before, so that
/// nothing is lost if the machine can't be created. One that was not there is created at once, and
/// removed when the stream closes if there has been no output. A named pipe that nobody reads from
/// is refused. A path `/dev/fdset/N` stands for a descriptor of that set, which is never emptied.
#[qom_type(secure, parent = Chardev, class_data = CLASS)]
#[derive(Debug)]
pub struct ChardevFile {
    /// Where output goes
    #[property(required)]
    path: String,
    /// Whether output is added to what is in the file
    #[property]
    append: bool,
    /// Where input comes from; there is none without it
    #[property(name = "input-path")]
    input_path: Option<String>,
    channel: Arc<Channel>,
    /// None once there has been output.
    untouched: Arc<Mutex<Option<Untouched>>>,
}

/// QEMU's `ChardevFile` (`qapi/char.json`).
static CLASS: ChardevClass = ChardevClass {
    members: &[
        DataMember { name: "out", required: true, value: MemberValue::Of("path") },
        DataMember::optional("in", "input-path"),
    ],
    ..ChardevClass::PLAIN
};

/// A file to which nothing has been written.
#[derive(Debug)]
struct Untouched {
    file: fs::File,
    /// Where it was created, if it was.
    created: Option<PathBuf>,
    append: bool,
}

impl Untouched {
    fn open(platform: &Platform, path: &str, append: bool) -> io::Result<Self> {
        let mut flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY;
        flags.set(OFlags::APPEND, append);
        let opened = platform.open_file(Path::new(path), flags, CREATED)?;
        let created = if opened.is_new { std::path::absolute(path).ok() } else { None };
        // What is in a file whose descriptor a user hands over is for that user to empty.
        let append = append || opened.is_handed_over;
        Ok(Self { file: opened.descriptor.into(), created, append })
    }

    /// Before the first output.
    fn touch(self) {
        let is_file =
            fstat(&self.file).is_ok_and(|status| FileType::from_raw_mode(status.st_mode).is_file());
        if !self.append && is_file {
            // Whoever may write to a file may empty it, but for files that only grow.
            let _ = ftruncate(&self.file, 0);
        }
    }

    /// There has been no output and will be none.
    fn discard(self) {
        let Some(path) = self.created else { return };
        let own = self.file.metadata();
        let there = fs::symlink_metadata(&path);
        if let (Ok(own), Ok(there)) = (own, there)
            && (own.dev(), own.ino(), own.len()) == (there.dev(), there.ino(), 0)
        {
            // It is as good as removed if it can't be: it is empty.
            let _ = fs::remove_file(path);
        }
    }
}

struct NoHost;

impl Host for NoHost {}

impl ChardevFile {
    fn open_ends(&self, platform: &Platform) -> io::Result<(Ends, Untouched)> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let input = self.input_path.as_ref().map(|path| {
            let opened = platform.open_file(Path::new(path), flags, Mode::empty());
            opened.map(|opened| opened.descriptor).map_err(|error| context(path, &error))
        });
        let input = input.transpose()?;
        let untouched = Untouched::open(platform, &self.path, self.append)
            .map_err(|error| context(&self.path, &error))?;
        let output = untouched.file.try_clone()?.into();
        Ok((Ends::Files { input, output }, untouched))
    }
}

fn context(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("can't open '{path}': {error}"))
}

impl Chardev for ChardevFile {
    fn open(&self, platform: &Platform) -> io::Result<()> {
        let poller = Arc::new(Poller::new()?);
        let (ends, untouched) = self.open_ends(platform)?;
        let opened = self
            .channel
            .open(platform.events(), Arc::clone(&poller), Box::new(NoHost))
            .and_then(|()| self.channel.arrive(&poller, ends, self.filename()));
        match opened {
            Ok(()) => {
                *self.untouched.lock() = Some(untouched);
                Ok(())
            }
            Err(error) => {
                self.channel.close();
                untouched.discard();
                Err(error)
            }
        }
    }

    fn close(&self) {
        self.channel.close();
        let untouched = self.untouched.lock().take();
        if let Some(untouched) = untouched {
            untouched.discard();
        }
    }

    fn write(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            // Locked until it is empty, so that no other's output comes first.
            let mut untouched = self.untouched.lock();
            if let Some(untouched) = untouched.take() {
                untouched.touch();
            }
        }
        self.channel.write(bytes);
    }

    channel::delegate!();

    fn filename(&self) -> String {
        "file".to_owned()
    }
}
