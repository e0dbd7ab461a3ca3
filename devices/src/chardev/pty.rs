//! `chardev-pty`: a new pseudo-terminal, whose other side others open.

use std::{
    fs,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, symlink},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use device_model::prelude::*;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use super::channel::{self, Alarm, Channel, Ends, Host, Poller, Token};

/// It is time to look whether somebody has opened the other side, which nothing tells of.
const LOOK: Token = 1;

/// Milliseconds between looks.
const INTERVAL: u64 = 500;

/// Pseudo-terminal
///
/// Somebody has come once the other side has been opened, and has left once nobody has it open any
/// more; it takes up to half a second to notice that they came. Output without anybody is lost.
#[qom_type(secure, parent = Chardev)]
#[derive(Debug)]
pub struct ChardevPty {
    /// Path of a symbolic link to make to the other side
    #[property]
    path: Option<String>,
    channel: Arc<Channel>,
    /// Path of the other side, while the stream is open.
    other_side: Mutex<Option<String>>,
}

/// This side, for as long as the stream is open.
struct Controller {
    end: OwnedFd,
    label: String,
    alarm: Alarm,
    _link: Option<SymbolicLink>,
}

impl Controller {
    /// Whether somebody has the other side open, or has left something to be read.
    fn is_in_use(&self) -> bool {
        let mut ready = [PollFd::new(&self.end, PollFlags::IN)];
        let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut ready, Some(&no_time)).is_ok_and(|_| {
            let [ready] = &ready;
            let what = ready.revents();
            what.contains(PollFlags::IN) || !what.intersects(PollFlags::HUP | PollFlags::ERR)
        })
    }
}

impl Host for Controller {
    fn ready(&mut self, channel: &Channel, poller: &Arc<Poller>, token: Token) {
        if token != LOOK || channel.peer().is_some() {
            return;
        }
        let arrived = self.is_in_use()
            && self.end.try_clone().is_ok_and(|end| {
                channel.arrive(poller, Ends::Terminal(end), self.label.clone()).is_ok()
            });
        if !arrived {
            self.alarm.set(poller, INTERVAL);
        }
    }

    fn peer_left(&mut self, poller: &Poller) {
        self.alarm.set(poller, INTERVAL);
    }
}

/// A symbolic link that this process made. Dropped, it is removed if it is still the same.
#[derive(Debug)]
struct SymbolicLink {
    path: PathBuf,
    identity: (u64, u64),
}

impl SymbolicLink {
    fn new(path: &str, to: &str) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        symlink(to, &path)?;
        let made = fs::symlink_metadata(&path)?;
        Ok(Self { path, identity: (made.dev(), made.ino()) })
    }
}

impl Drop for SymbolicLink {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a pseudo-terminal in raw mode, whose other side nobody has open.
fn open_terminal() -> io::Result<(OwnedFd, String)> {
    let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&end)?;
    unlockpt(&end)?;
    let name = ptsname(&end, Vec::new())?.into_string().map_err(io::Error::other)?;
    // The modes stay when it is closed, which also tells this side that nobody has it open.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let other_side = open(Path::new(&name), flags, Mode::empty())?;
    let mut modes = tcgetattr(other_side.as_fd())?;
    modes.make_raw();
    tcsetattr(&other_side, OptionalActions::Now, &modes)?;
    fcntl_setfl(&end, fcntl_getfl(&end)? | OFlags::NONBLOCK)?;
    Ok((end, name))
}

impl Chardev for ChardevPty {
    fn open(&self, platform: &Platform) -> io::Result<()> {
        let poller = Arc::new(Poller::new()?);
        let (end, name) = open_terminal().map_err(|error| {
            io::Error::new(error.kind(), format!("can't open a pseudo-terminal: {error}"))
        })?;
        let alarm = Alarm::new(&poller, LOOK)?;
        let link = match &self.path {
            Some(path) => Some(SymbolicLink::new(path, &name).map_err(|error| {
                let problem = if error.kind() == ErrorKind::AlreadyExists {
                    "the path exists".to_owned()
                } else {
                    error.to_string()
                };
                io::Error::new(error.kind(), format!("can't make a link at '{path}': {problem}"))
            })?),
            None => None,
        };
        alarm.set(&poller, 0);
        let controller = Controller { end, label: format!("pty:{name}"), alarm, _link: link };
        self.channel.open(platform.events(), poller, Box::new(controller))?;
        *self.other_side.lock() = Some(name);
        Ok(())
    }

    fn close(&self) {
        self.channel.close();
        *self.other_side.lock() = None;
    }

    fn write(&self, bytes: &[u8]) {
        self.channel.write(bytes);
    }

    channel::delegate!();

    /// `pty:` and the path of the other side, whether or not anybody has it open.
    fn filename(&self) -> String {
        format!("pty:{}", self.other_side.lock().as_deref().unwrap_or_default())
    }
}
