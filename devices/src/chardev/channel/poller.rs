//! All that one stream waits for, as a single descriptor that any loop can wait for.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{EventfdFlags, Timespec, epoll, eventfd},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    },
};

/// What to wait for, or what happened.
pub(crate) use epoll::EventFlags as Readiness;

/// Things that are told of at once, at most. The others are told of the next time.
const MOST_READY: usize = 16;

/// Names what is waited for.
pub(crate) type Token = u64;

/// The token of [`Poller::kick`].
pub(crate) const KICK: Token = 0;

/// The least of the tokens that the [`Channel`](super::Channel) gives its peers. Those between this
/// and [`KICK`] are for hosts.
pub(super) const FIRST_PEER: Token = 16;

/// A set of descriptors, which is itself ready to be read while one of them is ready.
///
/// Each descriptor is told of once and then waits to be armed, so that no two loops are told of it.
pub(crate) struct Poller {
    epoll: OwnedFd,
    kick: OwnedFd,
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let kick = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &kick, epoll::EventData::new_u64(KICK), Readiness::IN)?;
        Ok(Self { epoll, kick })
    }

    /// Waits for a descriptor, which must be removed before it is closed.
    ///
    /// # Errors
    /// If the kernel has no memory, or it can't be waited for, as a plain file can't.
    pub(crate) fn add(
        &self,
        descriptor: impl AsFd,
        token: Token,
        what: Readiness,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, descriptor, data, what | Readiness::ONESHOT)?)
    }

    /// Waits for a descriptor again. Failures and hang-ups are always waited for with the rest.
    pub(crate) fn arm(&self, descriptor: impl AsFd, token: Token, what: Readiness) {
        let data = epoll::EventData::new_u64(token);
        // It fails only if the descriptor has been removed by another thread.
        let _ = epoll::modify(&self.epoll, descriptor, data, what | Readiness::ONESHOT);
    }

    /// Waits for a descriptor no more.
    pub(crate) fn remove(&self, descriptor: impl AsFd) {
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    /// Makes the set ready once, for whoever serves it to look around.
    pub(crate) fn kick(&self) {
        let _ = rustix::io::write(&self.kick, &1_u64.to_ne_bytes());
    }

    /// What is ready now.
    pub(crate) fn ready(&self) -> Vec<(Token, Readiness)> {
        let mut events = Vec::with_capacity(MOST_READY);
        let no_time = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spare = rustix::buffer::spare_capacity(&mut events);
        // An error leaves it empty: a signal came, and the set is still ready.
        let _ = epoll::wait(&self.epoll, spare, Some(&no_time));
        let ready: Vec<_> = events.iter().map(|event| (event.data.u64(), event.flags)).collect();
        if ready.iter().any(|(token, _)| *token == KICK) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.kick, &mut count);
        }
        ready
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Poller")
    }
}

/// A clock in a [`Poller`], which goes off once each time it is set.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
    token: Token,
}

impl Alarm {
    /// A clock that is not set.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(crate) fn new(poller: &Poller, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        poller.add(&timer, token, Readiness::empty())?;
        Ok(Self { timer, token })
    }

    /// Lets it go off in so many milliseconds; at once rather than never, if that is 0.
    pub(crate) fn set(&self, poller: &Poller, milliseconds: u64) {
        let milliseconds = milliseconds.max(1);
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec {
            tv_sec: i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(milliseconds % 1000 * 1_000_000).unwrap_or(0),
        };
        let value = Itimerspec { it_interval: zero, it_value };
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value);
        // Setting it has made it unready, so that there is nothing to be read from it.
        poller.arm(&self.timer, self.token, Readiness::IN);
    }
}
