//! What the TCP stack takes for a network device: packets that wait, in either direction.

use std::collections::VecDeque;

use smoltcp::{
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use super::packet::MTU;

/// Packets that wait for the guest, at most. The stack waits when there are as many.
const MOST_WAITING: usize = 64;

/// Packets in either direction.
#[derive(Default)]
pub(super) struct Packets {
    /// From the guest.
    pub(super) received: VecDeque<Vec<u8>>,
    /// For the guest.
    pub(super) sent: VecDeque<Vec<u8>>,
    /// Whether the stack may send although so many wait.
    pub(super) urgent: bool,
}

/// A packet for the stack.
pub(super) struct Received(Vec<u8>);

/// Room for a packet of the stack's.
pub(super) struct Room<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        self.0.push_back(packet);
        result
    }
}

impl Device for Packets {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Received, Room<'_>)> {
        self.transmit(now)?;
        let packet = self.received.pop_front()?;
        Some((Received(packet), Room(&mut self.sent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Room<'_>> {
        let has_room = self.urgent || self.sent.len() < MOST_WAITING;
        has_room.then_some(Room(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
