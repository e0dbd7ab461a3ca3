//! What all streams that lead to descriptors share: whose turn it is to call the device, who is at
//! the host's end, input as far as the device has room for it, output to a host that may be slow.
//!
//! A [`Channel`] waits for everything of its stream in a [`Poller`] of its own, which a loop waits
//! for: the one that the stream was opened on, or the device's while one is connected that has its
//! own. A loop's callback holds a [`Turn`], and calls the device only while that is valid. What a
//! kind of stream has to do by itself, such as accepting a connection, is its [`Host`]'s.
//!
//! Locks: the host's comes before that on the channel's state, after which no other is taken but a
//! loop's. The device is called with neither held, and told of presence one call at a time.

mod peer;
mod poller;
mod read_ahead;

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use device_model::prelude::*;
use rustix::io::Errno;

pub(super) use self::peer::Peer;
use self::read_ahead::ReadAhead;
pub(crate) use self::{
    peer::Ends,
    poller::{Alarm, KICK, Poller, Readiness, Token},
};

/// Bytes that one call of a loop reads at most.
const MOST_READ: usize = 4096;

/// What a kind of stream does by itself. It is called with its lock held, never calls the device,
/// and never waits.
pub(super) trait Host: Send {
    /// Something that it let the poller wait for is ready.
    fn ready(&mut self, _channel: &Channel, _poller: &Arc<Poller>, _token: Token) {}

    /// The peer has gone.
    fn peer_left(&mut self, _poller: &Poller) {}
}

type SharedHost = Arc<Mutex<Option<Box<dyn Host>>>>;

/// The way between a device and whoever is at the host's end.
#[derive(Default)]
pub(super) struct Channel {
    state: Mutex<State>,
    /// Held while the device is told of a presence.
    telling: Mutex<()>,
    /// Whether a write gives up instead of waiting for the host.
    nonblocking: AtomicBool,
}

#[derive(Default)]
struct State {
    /// None until the stream is open, and once it is closed.
    session: Option<Session>,
    attached: Option<Attached>,
    peer: Option<Arc<Peer>>,
    /// How many peers and turns there have been.
    count: u64,
    /// What has been read since the poller was last asked.
    ahead: ReadAhead,
}

/// The device, and the peer of which it was told that it came.
struct Attached {
    frontend: Frontend,
    told: Option<Token>,
}

/// What is held while the stream is open.
struct Session {
    poller: Arc<Poller>,
    host: SharedHost,
    home: Place,
    /// The device's own loop while it is connected.
    away: Option<Place>,
}

/// A loop that waits for the poller.
struct Place {
    turn: Turn,
    events: Arc<EventLoop>,
    watch: Watch,
}

/// The right to call the device, if it is that of the place where the channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn(u64);

/// Whom input is for.
enum Reader {
    Device(Arc<dyn ChardevFrontend>),
    Nobody,
    /// Another loop's thread knows.
    Elsewhere,
}

impl State {
    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn turn(&self) -> Option<Turn> {
        let session = self.session.as_ref()?;
        Some(session.away.as_ref().unwrap_or(&session.home).turn)
    }

    fn is_peer(&self, peer: &Arc<Peer>) -> bool {
        self.peer.as_ref().is_some_and(|there| Arc::ptr_eq(there, peer))
    }
}

impl Channel {
    /// Waits for what is in the poller, on a loop.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub(super) fn open(
        self: &Arc<Self>,
        events: &Arc<EventLoop>,
        poller: Arc<Poller>,
        host: Box<dyn Host>,
    ) -> io::Result<()> {
        // Locked all along, so that no callback comes before it is known whose turn it is.
        let mut state = self.state.lock();
        let home = self.place(&mut state, &poller, events)?;
        let host = Arc::new(Mutex::new(Some(host)));
        let mut session = Session { poller, host, home, away: None };
        if let Some(frontend) = state.attached.as_ref().and_then(|there| there.frontend.events()) {
            let events = Arc::clone(frontend);
            session.away = match self.away(&mut state, &session, Some(&events)) {
                Ok(away) => away,
                Err(error) => {
                    events.unwatch(session.home.watch);
                    return Err(error);
                }
            };
        }
        state.session = Some(session);
        Ok(())
    }

    fn place(
        self: &Arc<Self>,
        state: &mut State,
        poller: &Poller,
        events: &Arc<EventLoop>,
    ) -> io::Result<Place> {
        let turn = Turn(state.number());
        let channel = Arc::downgrade(self);
        let watch = events.watch(poller, move || {
            channel.upgrade().map_or(Next::Pause, |channel| channel.serve(turn))
        })?;
        Ok(Place { turn, events: Arc::clone(events), watch })
    }

    /// The place on the device's own loop, unless it has none or the channel is there anyway.
    fn away(
        self: &Arc<Self>,
        state: &mut State,
        session: &Session,
        events: Option<&Arc<EventLoop>>,
    ) -> io::Result<Option<Place>> {
        let events = events.filter(|events| !Arc::ptr_eq(events, &session.home.events));
        events.map(|events| self.place(state, &session.poller, events)).transpose()
    }

    /// Ends everything. Whoever is held up by the host goes on; the device is told nothing.
    pub(super) fn close(&self) {
        let (session, peer) = {
            let mut state = self.state.lock();
            (state.session.take(), state.peer.take())
        };
        if let Some(peer) = peer {
            peer.end();
            if let Some(session) = &session {
                peer.leave(&session.poller);
            }
        }
        if let Some(session) = session {
            for place in [Some(session.home), session.away].into_iter().flatten() {
                place.events.unwatch(place.watch);
            }
            // Now, and not when the last callback ends: what it holds may be needed at once.
            let host = session.host.lock().take();
            drop(host);
        }
    }

    /// Somebody has come to the host's end, where there was nobody. If the stream has been closed
    /// meanwhile, or somebody else was faster, they go again.
    ///
    /// # Errors
    /// If the kernel has no memory.
    pub(super) fn arrive(&self, poller: &Arc<Poller>, ends: Ends, label: String) -> io::Result<()> {
        let mut state = self.state.lock();
        let open = state.session.as_ref().is_some_and(|now| Arc::ptr_eq(&now.poller, poller));
        if open && state.peer.is_none() {
            let token = poller::FIRST_PEER + state.number();
            let wanted = state.attached.is_some();
            let peer = Peer::new(token, ends, label, poller, wanted)?;
            if wanted && peer.has_rest() {
                poller.kick();
            }
            state.peer = Some(Arc::new(peer));
        }
        Ok(())
    }

    /// Sends the peer away, unless another is there.
    pub(super) fn dismiss(&self, poller: &Poller, peer: &Arc<Peer>) -> bool {
        let is_there = {
            let mut state = self.state.lock();
            let is_there = state.is_peer(peer);
            if is_there {
                state.peer = None;
            }
            is_there
        };
        if is_there {
            peer.end();
            peer.leave(poller);
        }
        is_there
    }

    /// Who is at the host's end.
    pub(super) fn peer(&self) -> Option<Arc<Peer>> {
        self.state.lock().peer.clone()
    }

    /// Ends the connection with the peer. The device is told on its loop.
    pub(super) fn hang_up(&self) {
        let (peer, poller) = {
            let state = self.state.lock();
            let poller = state.session.as_ref().map(|session| Arc::clone(&session.poller));
            (state.peer.clone(), poller)
        };
        if let (Some(peer), Some(poller)) = (peer, poller) {
            peer.end();
            poller.kick();
        }
    }

    /// Writes to the peer; nowhere if there is none. See [`Chardev::write`].
    pub(super) fn write(&self, bytes: &[u8]) {
        let Some(peer) = self.peer() else { return };
        peer.write(bytes, &self.nonblocking);
        if peer.has_unsent()
            && let Some(session) = &self.state.lock().session
        {
            peer.arm(&session.poller);
        }
    }

    /// See [`Chardev::set_nonblocking`].
    pub(super) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Release);
    }

    /// See [`Chardev::connect`]. False too if the device's loop can't wait for the stream.
    pub(super) fn connect(self: &Arc<Self>, frontend: Frontend) -> bool {
        let turn = {
            let mut state = self.state.lock();
            if state.attached.is_some() {
                return false;
            }
            if let Some(mut session) = state.session.take() {
                let away = self.away(&mut state, &session, frontend.events());
                let failed = away.is_err();
                session.away = away.unwrap_or_default();
                state.session = Some(session);
                if failed {
                    return false;
                }
            }
            state.attached = Some(Attached { frontend, told: None });
            state.turn()
        };
        if let Some(turn) = turn {
            self.tell(turn);
        }
        self.accept_input();
        true
    }

    /// See [`Chardev::disconnect`].
    pub(super) fn disconnect(&self) {
        let (_attached, away) = {
            let mut state = self.state.lock();
            let away = state.session.as_mut().and_then(|session| {
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

    /// See [`Chardev::accept_input`].
    pub(super) fn accept_input(&self) {
        let state = self.state.lock();
        if let (Some(session), Some(peer)) = (&state.session, &state.peer) {
            peer.want(&session.poller);
        }
    }

    /// Does what there is to do, on a loop's thread.
    fn serve(&self, turn: Turn) -> Next {
        let (poller, host) = {
            let state = self.state.lock();
            match &state.session {
                Some(session) if state.turn() == Some(turn) => {
                    (Arc::clone(&session.poller), Arc::clone(&session.host))
                }
                // That of the loop that the device has, or had.
                _ => return Next::Pause,
            }
        };
        let ready = if self.read_ahead(turn) { Vec::new() } else { poller.ready() };
        for (token, what) in ready {
            let peer = self.peer();
            match peer {
                Some(peer) if token == poller::KICK && peer.is_gone() => {
                    self.lose(&poller, &host, &peer);
                }
                Some(peer) if token == poller::KICK && peer.has_rest() => {
                    self.peer_ready(turn, &poller, &host, &peer, Readiness::empty());
                }
                Some(peer) if token == peer.token() => {
                    self.peer_ready(turn, &poller, &host, &peer, what);
                }
                _ if (poller::KICK + 1..poller::FIRST_PEER).contains(&token) => {
                    if let Some(host) = &mut *host.lock() {
                        host.ready(self, &poller, token);
                    }
                }
                _ => {}
            }
            self.tell(turn);
        }
        if self.state.lock().turn() != Some(turn) {
            // Somebody may have come or gone of whom only the other loop's thread may tell.
            poller.kick();
            return Next::Pause;
        }
        Next::Continue
    }

    /// Passes on what the peer sent, as far as the device has room for it.
    fn peer_ready(
        &self,
        turn: Turn,
        poller: &Poller,
        host: &SharedHost,
        peer: &Arc<Peer>,
        what: Readiness,
    ) {
        // Before the device is asked: if it makes room after that, it says so after that too.
        peer.told_of(what);
        peer.flush();
        if peer.is_gone() {
            return self.lose(poller, host, peer);
        }
        // Whoever came is announced before anything that they sent.
        self.tell(turn);
        let device = match self.reader(turn, peer) {
            Reader::Device(device) => Some(device),
            Reader::Nobody => None,
            Reader::Elsewhere => return peer.want(poller),
        };
        let Some(passed) = device.and_then(|device| pass_on(peer, &*device)) else {
            if peer.is_drained() {
                self.lose(poller, host, peer);
            } else {
                peer.arm(poller);
            }
            return;
        };
        match passed {
            Ok(1..) => peer.want(poller),
            // Another process has set the description non-blocking, or took the bytes first.
            Err(error) if [Errno::INTR, Errno::AGAIN].contains(&error) => {
                peer.want(poller);
            }
            Ok(_) | Err(_) if peer.outlives_input() => {
                // It would be ready to be read for ever.
                peer.end_input();
                peer.leave(poller);
            }
            Ok(_) | Err(_) => self.lose(poller, host, peer),
        }
    }

    /// The peer has gone.
    fn lose(&self, poller: &Poller, host: &SharedHost, peer: &Arc<Peer>) {
        if self.dismiss(poller, peer)
            && let Some(host) = &mut *host.lock()
        {
            host.peer_left(poller);
        }
    }

    fn reader(&self, turn: Turn, peer: &Arc<Peer>) -> Reader {
        let state = self.state.lock();
        if state.turn() != Some(turn) {
            return Reader::Elsewhere;
        }
        match &state.attached {
            Some(attached) if attached.told == Some(peer.token()) => {
                attached.frontend.upgrade().map_or(Reader::Nobody, Reader::Device)
            }
            // It was connected just now, and has not been told yet.
            Some(_) => Reader::Elsewhere,
            None => Reader::Nobody,
        }
    }

    /// Tells the device of who came and went since it was last told.
    fn tell(&self, turn: Turn) {
        let _telling = self.telling.lock();
        loop {
            let (frontend, presence) = {
                let mut state = self.state.lock();
                if state.turn() != Some(turn) {
                    return;
                }
                let there = state.peer.as_ref().filter(|peer| !peer.has_ended());
                let there = there.map(|peer| peer.token());
                let Some(attached) = &mut state.attached else { return };
                let presence = match (attached.told, there) {
                    (told, there) if told == there => return,
                    (None, there) => {
                        attached.told = there;
                        Presence::Came
                    }
                    (Some(_), _) => {
                        attached.told = None;
                        Presence::Left
                    }
                };
                (attached.frontend.upgrade(), presence)
            };
            if let Some(frontend) = frontend {
                frontend.host_changed(presence);
            }
        }
    }
}

/// Passes on what a peer sent, as far as the device has room for it: how many bytes. None if it has no
/// room.
fn pass_on(peer: &Peer, device: &dyn ChardevFrontend) -> Option<Result<usize, Errno>> {
    let room = device.can_receive().min(MOST_READ);
    let mut buffer = [0; MOST_READ];
    let buffer = buffer.get_mut(..room).filter(|buffer| !buffer.is_empty())?;
    let read = peer.read(buffer, device.takes_descriptors());
    if let Ok(length @ 1..) = read {
        device.receive(buffer.get(..length).unwrap_or_default());
    }
    Some(read)
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Channel")
            .field("open", &state.session.is_some())
            .field("connected", &state.attached.is_some())
            .field("peer", &state.peer)
            .finish_non_exhaustive()
    }
}

/// The methods of a [`Chardev`] that its field `channel` has.
macro_rules! delegate {
    () => {
        fn set_nonblocking(&self, nonblocking: bool) {
            self.channel.set_nonblocking(nonblocking);
        }

        fn connect(&self, frontend: Frontend) -> bool {
            self.channel.connect(frontend)
        }

        fn disconnect(&self) {
            self.channel.disconnect();
        }

        fn accept_input(&self) {
            self.channel.accept_input();
        }
    };
}

pub(super) use delegate;
