//! Input that is read without asking what is ready.
//!
//! A loop calls when anything in the poller is ready, and mostly that is what the peer sent. Reading
//! it at once saves two calls of the kernel for each message, to ask the poller and to arm it again:
//! who was not told of, waits on. The poller is asked when there is nothing to be read so, and after
//! some such reads in any case, for whatever else is ready beside a peer that sends without end.

use super::{Channel, Reader, Turn, pass_on};

/// How often in a row it is done.
const MOST_AHEAD: u8 = 16;

/// Counts reads since the poller was last asked.
#[derive(Default)]
pub(super) struct ReadAhead(u8);

impl ReadAhead {
    /// Whether it is the turn of such a read.
    fn take(&mut self) -> bool {
        self.0 = (self.0 + 1) % (MOST_AHEAD + 1);
        self.0 != 0
    }
}

impl Channel {
    /// Passes on what a peer has sent that is waited for, to a device that has room. False if there
    /// is nothing: then the poller has to be asked.
    pub(super) fn read_ahead(&self, turn: Turn) -> bool {
        let peer = {
            let mut state = self.state.lock();
            match state.ahead.take() {
                true => state.peer.clone(),
                false => None,
            }
        };
        let Some(peer) = peer.filter(|peer| peer.never_waits() && peer.is_being_read()) else {
            return false;
        };
        let Reader::Device(device) = self.reader(turn, &peer) else { return false };
        // An end and a failure are told of by the poller too, and seen to then.
        let Some(Ok(1..)) = pass_on(&peer, &*device) else { return false };
        self.tell(turn);
        true
    }
}
