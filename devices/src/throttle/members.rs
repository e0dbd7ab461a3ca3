//! The members of a group, and what wakes them.

use std::{
    fmt, io,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use device_model::{
    clock::{Clock, Timer},
    event_loop::EventLoop,
    prelude::Mutex,
    throttle::{Admission, Direction, Go, ThrottleError, ThrottleMember},
};

use super::{
    limits::Limits,
    scheduler::{Asked, MemberId, Scheduler},
};

/// The most operations that are let go before others are served who share the loop.
const IN_ONE_GO: usize = 256;

/// The longest that limits which have changed meanwhile are not noticed by those who wait.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What gives the limits that hold now; none once they have gone.
type LimitsNow = Box<dyn Fn() -> Option<Limits> + Send + Sync>;

/// An operation that waits, and where it is to begin.
struct Held {
    go: Go,
    mailbox: Arc<Mailbox>,
}

/// All members of a group, and their common limits.
pub(super) struct Members {
    clock: Clock,
    limits: LimitsNow,
    scheduler: Mutex<Scheduler<Held>>,
    /// Expires when the next operation may begin.
    timer: OnceLock<Timer>,
}

impl Members {
    /// A group without members, whose own timer is on that loop.
    pub(super) fn new(
        clock: &Clock,
        events: &Arc<EventLoop>,
        limits: LimitsNow,
    ) -> io::Result<Arc<Self>> {
        let members = Arc::new(Self {
            clock: clock.clone(),
            limits,
            scheduler: Mutex::default(),
            timer: OnceLock::new(),
        });
        let this = Arc::downgrade(&members);
        let timer = clock.timer(events, move || {
            if let Some(members) = this.upgrade() {
                members.let_go();
            }
        })?;
        // Nobody else has it yet.
        let _ = members.timer.set(timer);
        Ok(members)
    }

    /// Takes in a member that is called on that loop.
    pub(super) fn join(self: &Arc<Self>, events: &Arc<EventLoop>) -> io::Result<Member> {
        let mailbox = Mailbox::new(&self.clock, events)?;
        let id = self.scheduler.lock().join();
        Ok(Member { members: Arc::clone(self), id, mailbox })
    }

    fn ask(
        &self,
        member: &Member,
        direction: Direction,
        bytes: u64,
        go: Go,
    ) -> Result<Admission, ThrottleError> {
        let limits = (self.limits)();
        let held = Held { go, mailbox: Arc::clone(&member.mailbox) };
        let asked = {
            let mut scheduler = self.scheduler.lock();
            let now = self.clock.now();
            if let Some(limits) = &limits {
                scheduler.set_limits(now, limits);
            }
            scheduler.ask(now, member.id, direction, bytes, held)
        };
        match asked {
            Asked::Now(held) => Ok(Admission::Now(held.go)),
            Asked::Later => {
                self.let_go();
                Ok(Admission::Later)
            }
            // Dropped without the lock, as it may own things with locks of their own.
            Asked::Refused(_held) => Err(ThrottleError::TooMany),
        }
    }

    /// Lets everything begin that may, and looks again when the next may.
    fn let_go(&self) {
        let limits = (self.limits)();
        let mut mailboxes: Vec<Arc<Mailbox>> = Vec::new();
        {
            let mut scheduler = self.scheduler.lock();
            let now = self.clock.now();
            if let Some(limits) = &limits {
                scheduler.set_limits(now, limits);
            }
            for _ in 0..IN_ONE_GO {
                let Some((_, held)) = scheduler.grant(now) else { break };
                held.mailbox.begins.lock().push(held.go);
                if !mailboxes.iter().any(|known| Arc::ptr_eq(known, &held.mailbox)) {
                    mailboxes.push(held.mailbox);
                }
            }
            // Under the lock, so that no later look is overtaken by this.
            let next = scheduler.next_in(now);
            if let Some(timer) = self.timer.get() {
                timer.set(next.map(|next| Duration::from_nanos(next).min(LOOK_AGAIN)));
            }
        }
        for mailbox in mailboxes {
            mailbox.wake();
        }
    }
}

/// What a member is to begin on its own loop.
struct Mailbox {
    begins: Mutex<Vec<Go>>,
    wake: OnceLock<Timer>,
}

impl Mailbox {
    fn new(clock: &Clock, events: &Arc<EventLoop>) -> io::Result<Arc<Self>> {
        let mailbox = Arc::new(Self { begins: Mutex::default(), wake: OnceLock::new() });
        let this: Weak<Self> = Arc::downgrade(&mailbox);
        let wake = clock.timer(events, move || {
            let Some(mailbox) = this.upgrade() else { return };
            let begins = std::mem::take(&mut *mailbox.begins.lock());
            for go in begins {
                go();
            }
        })?;
        let _ = mailbox.wake.set(wake);
        Ok(mailbox)
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake.set(Some(Duration::ZERO));
        }
    }
}

/// A member of a group.
pub(super) struct Member {
    members: Arc<Members>,
    id: MemberId,
    mailbox: Arc<Mailbox>,
}

impl ThrottleMember for Member {
    fn ask(&self, direction: Direction, bytes: u64, go: Go) -> Result<Admission, ThrottleError> {
        self.members.ask(self, direction, bytes, go)
    }

    fn cancel(&self) -> usize {
        // What waits is dropped without a lock, as it may own things with locks of their own.
        let waiting = self.members.scheduler.lock().cancel(self.id);
        let begins = std::mem::take(&mut *self.mailbox.begins.lock());
        waiting.len() + begins.len()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let waiting = self.members.scheduler.lock().leave(self.id);
        drop(waiting);
        // Others may have waited behind it for their turn.
        self.members.let_go();
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Members").field(&*self.scheduler.lock()).finish()
    }
}
