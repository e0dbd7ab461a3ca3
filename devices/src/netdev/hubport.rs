//! `netdev-hubport`: a port of a hub, for a card or another network.

use std::{fmt, io::IoSlice, sync::Arc};

use device_model::{
    netdev::{LONGEST_FRAME, NetdevClass},
    prelude::*,
    qom_core::BoxedError,
};

use super::{
    hub::{Frame, Hub, Lane},
    port::{Medium, Port},
};
use crate::chardev::channel::{Poller, Readiness, Token};

/// Frames that go out in one turn, so that others have theirs.
const MOST_GIVEN: usize = 64;

/// A port of a hub
///
/// What comes in by one port goes out by all other ports of that hub, which have the same `hubid`
/// and stand in the same place. With `netdev`, that network is plugged into the port instead of a
/// card. A port that is slower than the others loses frames.
#[qom_type(secure, parent = Netdev, class_data = CLASS, children = check)]
pub struct NetdevHubport {
    /// Number of the hub
    #[property(required)]
    hubid: i32,
    /// The network that is plugged into it, instead of a card
    #[property(link = dyn Netdev)]
    netdev: Link<dyn Netdev>,
    port: Arc<Port>,
    plugged: Mutex<Option<Plugged>>,
}

static CLASS: NetdevClass = NetdevClass { floods: true };

/// Refuses a hub that is plugged into a hub: if it is the same, no frame would ever come to rest. It
/// announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    match configuration.linked("netdev")? {
        Some(network) if network.class().data::<NetdevClass>().is_some_and(|it| it.floods) => {
            let problem = "Parameter 'netdev' expects a network that is no port of a hub";
            Err(PlanError::refused("netdev", problem))
        }
        _ => Ok(()),
    }
}

/// The place at a hub.
struct Plugged {
    hub: Arc<Hub>,
    lane: Arc<Lane>,
}

impl fmt::Debug for NetdevHubport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetdevHubport").field("hubid", &self.hubid).finish_non_exhaustive()
    }
}

/// What goes out by a port.
struct Outlet {
    lane: Arc<Lane>,
    /// The network that it goes to; a card if there is none.
    network: Option<Arc<dyn Netdev>>,
}

impl Outlet {
    fn give(&self, port: &Port, frame: &Frame) -> bool {
        match &self.network {
            Some(network) => network.send(0, &[IoSlice::new(frame)]) == Sending::Taken,
            None => port.deliver(0, frame, 0) == Receiving::Taken,
        }
    }
}

impl Medium for Outlet {
    fn ready(&mut self, port: &Port, poller: &Arc<Poller>, _token: Token, _what: Readiness) {
        for _ in 0..MOST_GIVEN {
            let Some(frame) = self.lane.take() else { return };
            if !self.give(port, &frame) {
                return self.lane.put_back(frame);
            }
        }
        poller.kick();
    }
}

impl NetdevHubport {
    /// The hub of that number, which each other port of it keeps.
    fn hub(&self, object: &Obj) -> Arc<Hub> {
        let others = object.parent().map(|place| place.children()).unwrap_or_default();
        let others = others.into_iter().filter_map(|(_, other)| other.cast::<Self>());
        let there = others.filter(|other| other.hubid == self.hubid).find_map(|other| {
            let plugged = other.plugged.lock();
            plugged.as_ref().map(|plugged| Arc::clone(&plugged.hub))
        });
        there.unwrap_or_default()
    }

    /// A frame comes in by the port.
    fn flood(&self, frame: Frame) {
        let plugged = self.plugged.lock();
        let Some(Plugged { hub, lane }) = &*plugged else { return };
        let (hub, lane) = (Arc::clone(hub), Arc::clone(lane));
        // Neither lock is held while others are woken.
        drop(plugged);
        hub.flood(&lane, frame);
    }
}

impl Netdev for NetdevHubport {
    fn open(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let this =
            object.cast::<Self>().ok_or("a port was opened in the name of another object")?;
        let poller = Arc::new(Poller::new()?);
        let (wake, lost) = (Arc::downgrade(&poller), Arc::downgrade(&self.port));
        let lane = Arc::new(Lane::new(
            move || {
                if let Some(poller) = wake.upgrade() {
                    poller.kick();
                }
            },
            move || {
                if let Some(port) = lost.upgrade() {
                    port.receive_dropped();
                }
            },
        ));
        let outlet = Outlet { lane: Arc::clone(&lane), network: self.netdev.get().cloned() };
        self.port.open(platform.events(), poller, Box::new(outlet))?;
        self.port.set_link(true);
        let hub = self.hub(object);
        hub.plug(&lane);
        *self.plugged.lock() = Some(Plugged { hub, lane });
        let connected = platform.connect_network(object, &self.netdev, Arc::downgrade(&this), None);
        Ok(connected.inspect_err(|_| self.close())?)
    }

    fn close(&self) {
        let plugged = self.plugged.lock().take();
        if let Some(Plugged { hub, lane }) = plugged {
            hub.unplug(&lane);
        }
        self.port.close();
    }

    /// False too if a network is plugged in.
    fn connect(&self, peer: PeerHandle) -> bool {
        self.netdev.get().is_none() && self.port.connect(peer)
    }

    fn disconnect(&self) {
        self.port.disconnect();
    }

    fn send(&self, _queue: u16, frame: &[IoSlice<'_>]) -> Sending {
        let length = frame.iter().map(|piece| piece.len()).sum();
        if !(1..=LONGEST_FRAME).contains(&length) {
            self.port.send_dropped();
            return Sending::Taken;
        }
        let frame: Vec<u8> = frame.iter().flat_map(|piece| piece.iter().copied()).collect();
        self.flood(frame.into());
        self.port.sent(length);
        Sending::Taken
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

    /// `hub NUMBER`, with the other network's line behind it if one is plugged in.
    fn info(&self) -> String {
        match self.netdev.get() {
            Some(network) => format!("hub {} <-> {}", self.hubid, network.info()),
            None => format!("hub {}", self.hubid),
        }
    }
}

/// As the card of another network.
impl NetdevPeer for NetdevHubport {
    fn receive(&self, _queue: u16, frame: &[u8]) -> Receiving {
        self.flood(frame.into());
        self.port.sent(frame.len());
        Receiving::Taken
    }

    fn can_send(&self, _queue: u16) {
        self.port.kick();
    }
}
