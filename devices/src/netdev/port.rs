//! What all networks here share: who is plugged in, whose thread calls it, what is counted.
//!
//! A [`Port`] waits for everything of its network in a [`Poller`], which a loop waits for: the main
//! one, or the peer's while one is plugged in that has its own. What a kind of network does when
//! something is ready is its [`Medium`]'s.
//!
//! Locks: the medium's is held while it works, the peer's calls included, so that it is none that
//! sending takes: the peer may send from within. That on the port's state comes after it, and the
//! peer is never called with that.

use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use device_model::{netdev::Counters, prelude::*};

use crate::chardev::channel::{Poller, Readiness, Token};

/// What a kind of network does on the loop's thread.
pub(super) trait Medium: Send {
    /// Something that it let the poller wait for is ready, or it is to look around (`KICK`), as
    /// there is a peer, or room at the peer.
    fn ready(&mut self, port: &Port, poller: &Arc<Poller>, token: Token, what: Readiness);
}

/// The way between a network and its peer.
#[derive(Default)]
pub(super) struct Port {
    state: Mutex<State>,
    medium: Mutex<Option<Box<dyn Medium>>>,
    link: AtomicBool,
    /// Whose turn the medium is working in.
    working: AtomicU64,
    /// Queues of which the peer is to be told that it can send, when it is its loop's turn.
    owed: Mutex<BTreeSet<u16>>,
    tally: Tally,
}

#[derive(Default)]
struct State {
    /// None until the network is open, and once it is closed.
    session: Option<Session>,
    attached: Option<Attached>,
    /// How many turns there have been.
    turns: u64,
}

/// The peer, and what it was told of the link.
struct Attached {
    handle: PeerHandle,
    told: bool,
}

/// What is held while the network is open.
struct Session {
    poller: Arc<Poller>,
    home: Place,
    /// The peer's own loop while it is plugged in.
    away: Option<Place>,
}

/// A loop that waits for the poller.
struct Place {
    turn: u64,
    events: Arc<EventLoop>,
    watch: Watch,
}

#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    send_dropped: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    receive_dropped: AtomicU64,
}

fn count(of: &AtomicU64, by: usize) {
    of.fetch_add(u64::try_from(by).unwrap_or_default(), Ordering::Relaxed);
}

impl State {
    fn turn(&self) -> Option<u64> {
        let session = self.session.as_ref()?;
        Some(session.away.as_ref().unwrap_or(&session.home).turn)
    }
}

impl Port {
    /// Waits for what is in the poller, on a loop.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn open(
        self: &Arc<Self>,
        events: &Arc<EventLoop>,
        poller: Arc<Poller>,
        medium: Box<dyn Medium>,
    ) -> io::Result<()> {
        // Held all along, so that no callback comes before it is known whose turn it is.
        let mut there = self.medium.lock();
        let mut state = self.state.lock();
        let home = self.place(&mut state, &poller, events)?;
        state.session = Some(Session { poller, home, away: None });
        *there = Some(medium);
        Ok(())
    }

    fn place(
        self: &Arc<Self>,
        state: &mut State,
        poller: &Poller,
        events: &Arc<EventLoop>,
    ) -> io::Result<Place> {
        state.turns += 1;
        let turn = state.turns;
        let port = Arc::downgrade(self);
        let watch = events
            .watch(poller, move || port.upgrade().map_or(Next::Pause, |port| port.serve(turn)))?;
        Ok(Place { turn, events: Arc::clone(events), watch })
    }

    /// Ends everything. The peer is told nothing.
    pub(super) fn close(&self) {
        let session = self.state.lock().session.take();
        let Some(session) = session else { return };
        for place in [Some(session.home), session.away].into_iter().flatten() {
            place.events.unwatch(place.watch);
        }
        // Now, and not when the last callback ends: what it holds may be needed at once.
        let medium = self.medium.lock().take();
        drop(medium);
        self.link.store(false, Ordering::Release);
    }

    /// See [`Netdev::connect`].
    pub(super) fn connect(self: &Arc<Self>, handle: PeerHandle) -> bool {
        let mut state = self.state.lock();
        if state.attached.is_some() {
            return false;
        }
        if let Some(mut session) = state.session.take() {
            let own = handle.events().filter(|own| !Arc::ptr_eq(own, &session.home.events));
            let away = own.map(|events| self.place(&mut state, &session.poller, events));
            let failed = matches!(away, Some(Err(_)));
            session.away = away.and_then(Result::ok);
            // For the loop whose turn it is to tell it of the link.
            session.poller.kick();
            state.session = Some(session);
            if failed {
                return false;
            }
        }
        state.attached = Some(Attached { handle, told: false });
        true
    }

    /// See [`Netdev::disconnect`].
    pub(super) fn disconnect(&self) {
        let (_attached, away) = {
            let mut state = self.state.lock();
            let away = state.session.as_mut().and_then(|session| {
                // What waited for the peer to have room is lost.
                session.poller.kick();
                let away = session.away.take()?;
                // It has paused, if anything was ready meanwhile.
                session.home.events.resume(session.home.watch);
                Some(away)
            });
            // Dropped after the lock.
            (state.attached.take(), away)
        };
        if let Some(away) = away {
            away.events.unwatch(away.watch);
        }
    }

    /// Lets the medium look around.
    pub(super) fn kick(&self) {
        if let Some(session) = &self.state.lock().session {
            session.poller.kick();
        }
    }

    /// Whoever is plugged in.
    pub(super) fn peer(&self) -> Option<Arc<dyn NetdevPeer>> {
        self.state.lock().attached.as_ref()?.handle.upgrade()
    }

    /// Whether it is the turn of the loop that the medium works on, which alone may call the peer.
    fn is_here(&self) -> bool {
        self.state.lock().turn() == Some(self.working.load(Ordering::Relaxed))
    }

    /// Gives the peer a frame, of which the first `header` bytes are no part. Without a peer it is
    /// lost. If the peer's own loop has just taken over, it is given it later.
    pub(super) fn deliver(&self, queue: u16, frame: &[u8], header: usize) -> Receiving {
        let Some(peer) = self.peer() else {
            count(&self.tally.receive_dropped, 1);
            return Receiving::Taken;
        };
        if !self.is_here() {
            // Whoever takes over is kicked.
            return Receiving::Later;
        }
        let outcome = peer.receive(queue, frame);
        if outcome == Receiving::Taken {
            count(&self.tally.received, 1);
            count(&self.tally.received_bytes, frame.len().saturating_sub(header));
        }
        outcome
    }

    /// The peer can send again.
    pub(super) fn can_send(&self, queue: u16) {
        if self.is_here() {
            if let Some(peer) = self.peer() {
                peer.can_send(queue);
            }
        } else {
            self.owed.lock().insert(queue);
        }
    }

    /// Tells the peer what it was to be told by another loop.
    fn settle(&self) {
        let owed = std::mem::take(&mut *self.owed.lock());
        if let Some(peer) = self.peer().filter(|_| !owed.is_empty()) {
            owed.into_iter().for_each(|queue| peer.can_send(queue));
        }
    }

    /// A frame of so many bytes is on its way.
    pub(super) fn sent(&self, length: usize) {
        count(&self.tally.sent, 1);
        count(&self.tally.sent_bytes, length);
    }

    /// A frame of the peer's is lost.
    pub(super) fn send_dropped(&self) {
        count(&self.tally.send_dropped, 1);
    }

    /// A frame for the peer is lost.
    pub(super) fn receive_dropped(&self) {
        count(&self.tally.receive_dropped, 1);
    }

    /// Somebody has come to the host's end, or has left it. The peer is told after the medium's turn.
    pub(super) fn set_link(&self, up: bool) {
        self.link.store(up, Ordering::Release);
    }

    /// See [`Netdev::is_link_up`].
    pub(super) fn is_link_up(&self) -> bool {
        self.link.load(Ordering::Acquire)
    }

    /// See [`Netdev::counters`].
    pub(super) fn counters(&self) -> Counters {
        let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Counters {
            sent: read(&self.tally.sent),
            sent_bytes: read(&self.tally.sent_bytes),
            send_dropped: read(&self.tally.send_dropped),
            received: read(&self.tally.received),
            received_bytes: read(&self.tally.received_bytes),
            receive_dropped: read(&self.tally.receive_dropped),
        }
    }

    /// Does what there is to do, on a loop's thread.
    fn serve(&self, turn: u64) -> Next {
        let poller = {
            let state = self.state.lock();
            match &state.session {
                Some(session) if state.turn() == Some(turn) => Arc::clone(&session.poller),
                // That of the loop that the peer has, or had.
                _ => return Next::Pause,
            }
        };
        self.tell(turn);
        self.settle();
        for (token, what) in poller.ready() {
            if let Some(medium) = &mut *self.medium.lock() {
                self.working.store(turn, Ordering::Relaxed);
                medium.ready(self, &poller, token, what);
            }
            self.tell(turn);
        }
        if self.state.lock().turn() != Some(turn) {
            // What was ready was the other loop's.
            poller.kick();
            return Next::Pause;
        }
        Next::Continue
    }

    /// Tells the peer how the link is, if that is not what it was last told.
    fn tell(&self, turn: u64) {
        let up = self.is_link_up();
        let peer = {
            let mut state = self.state.lock();
            let is_turn = state.turn() == Some(turn);
            match &mut state.attached {
                Some(attached) if is_turn && attached.told != up => {
                    attached.told = up;
                    attached.handle.upgrade()
                }
                _ => None,
            }
        };
        if let Some(peer) = peer {
            peer.link_changed(up);
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Port")
            .field("open", &state.session.is_some())
            .field("connected", &state.attached.is_some())
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// The methods of a [`Netdev`] that its field `port` has.
macro_rules! delegate {
    () => {
        fn connect(&self, peer: PeerHandle) -> bool {
            self.port.connect(peer)
        }

        fn accept_frames(&self, _queue: u16) {
            self.port.kick();
        }

        fn is_link_up(&self) -> bool {
            self.port.is_link_up()
        }

        fn counters(&self) -> device_model::netdev::Counters {
            self.port.counters()
        }
    };
}

pub(super) use delegate;
