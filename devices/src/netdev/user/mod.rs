//! `netdev-user`: a network of the guest's own, whose gateway passes on by sockets of this process.

mod device;
mod dhcp;
mod forward;
mod link;
mod medium;
mod network;
mod packet;
mod settings;
mod tcp;
mod udp;

use std::{fmt, io::IoSlice, sync::Arc};

use device_model::{prelude::*, qom_core::BoxedError};

pub use self::forward::HostForwards;
use self::{
    medium::{Inbox, Reach, User},
    settings::Settings,
};
use super::port::{self, Port};
use crate::chardev::channel::Poller;

/// The longest frame that a guest sends: over an Ethernet, with a tag of its own (IEEE 802.1Q).
const LONGEST: usize = packet::MTU + 14 + 4;

/// Network of the guest's own, which needs no right
///
/// It has a gateway, which leases addresses and answers pings, and a server of names, which passes
/// questions on. TCP and UDP over IP version 4 go out by sockets of this process, so that others see
/// this host. The guest reaches what a router would pass on: neither this host nor addresses that
/// are valid on one link alone, such as 169.254.169.254. Packets that are divided are lost.
#[qom_type(secure, parent = Netdev, boundary(guest), children = settings::check)]
pub struct NetdevUser {
    /// The network's addresses: the first and how many bits all share
    #[property(default = "10.0.2.0/24")]
    net: String,
    /// Address of the gateway; the network's second if none
    #[property]
    host: Option<String>,
    /// Address of the server of names; the network's third if none
    #[property]
    dns: Option<String>,
    /// First of the 16 addresses that are leased; the network's fifteenth if none
    #[property]
    dhcpstart: Option<String>,
    /// Server that questions for names are passed on to, as ADDRESS[:PORT]; the host's if none, even one
    /// on this host
    #[property(insecure_when(
        settings::resolver_is_none_of_a_routers,
        reason = "the guest reaches by it what no router passes on: this host, or one link alone"
    ))]
    resolver: Option<String>,
    /// Whether the guest reaches nothing but the gateway; forwarded ports are reached all the same
    #[property]
    restrict: bool,
    /// Whether the guest reaches this host, by the gateway's address as 127.0.0.1
    #[property(
        name = "host-loopback",
        insecure_if(
            true,
            reason = "services of this host take the guest for somebody who is logged in on it"
        )
    )]
    host_loopback: bool,
    /// Ports of this host that are the guest's: [tcp|udp]:[HOSTADDR]:PORT-[GUESTADDR]:PORT
    #[property(insecure_when(
        settings::forwards_are_exposed,
        reason = "a port on a non-loopback address, which all addresses are if none is given: others \
                  reach the guest by it without encryption and authorization"
    ))]
    hostfwd: HostForwards,
    port: Arc<Port>,
    inbox: Arc<Inbox>,
}

impl fmt::Debug for NetdevUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetdevUser").field("port", &self.port).finish_non_exhaustive()
    }
}

impl NetdevUser {
    fn settings(&self) -> Settings {
        Settings {
            net: self.net.clone(),
            host: self.host.clone(),
            dns: self.dns.clone(),
            dhcpstart: self.dhcpstart.clone(),
            resolver: self.resolver.clone(),
            hostfwd: self.hostfwd.clone(),
        }
    }
}

impl Netdev for NetdevUser {
    fn open(&self, _object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let settings = self.settings();
        let network = settings.network()?;
        let reach = Reach {
            restricted: self.restrict,
            own_host: self.host_loopback,
            resolver: settings.resolver()?,
        };
        let poller = Arc::new(Poller::new()?);
        let inbox = Arc::clone(&self.inbox);
        let user = User::new(network, reach, &self.hostfwd.0, inbox, &poller)?;
        self.port.open(platform.events(), poller, Box::new(user))?;
        self.port.set_link(true);
        Ok(())
    }

    fn close(&self) {
        self.port.close();
        self.inbox.clear();
    }

    fn disconnect(&self) {
        self.port.disconnect();
    }

    fn send(&self, _queue: u16, frame: &[IoSlice<'_>]) -> Sending {
        let length = frame.iter().map(|piece| piece.len()).sum();
        if !(1..=LONGEST).contains(&length) {
            self.port.send_dropped();
            return Sending::Taken;
        }
        let frame = frame.iter().flat_map(|piece| piece.iter().copied()).collect();
        let taken = self.inbox.add(frame);
        self.port.kick();
        if !taken {
            return Sending::Later;
        }
        self.port.sent(length);
        Sending::Taken
    }

    port::delegate!();

    /// `net=ADDRESSES,restrict=on|off`.
    fn info(&self) -> String {
        let restrict = if self.restrict { "on" } else { "off" };
        format!("net={},restrict={restrict}", self.net)
    }
}
