//! Network backends: where the frames of a network card go on the host, and where others come from.

use std::{
    fmt, io,
    io::IoSlice,
    sync::{Arc, Weak},
};

use qom_core::{BoxedError, Obj, Object, qom_type};

use crate::{event_loop::EventLoop, platform::Platform};

/// The longest frame that a backend takes or gives, in bytes, with its header: what segmentation
/// offload lets a guest hand over at once (64 KiB of IP, an Ethernet header with a VLAN tag, a
/// [`VnetHeader`]), rounded up.
pub const LONGEST_FRAME: usize = 0x1_1000;

/// A network's end that a card is plugged into
///
/// A frame is an Ethernet frame without its check sequence, behind a [`VnetHeader`] if the peer has
/// asked for one. The peer calls the backend with no lock held that its [`NetdevPeer`] takes.
#[qom_type(abstract, parent = Object, boundary(network), category = "Network devices")]
pub trait Netdev: Object {
    /// Opens the host's side; `object` is the backend's own handle. Frames that come before there
    /// is a peer are lost, as they are on a cable that ends nowhere.
    ///
    /// # Errors
    /// If the host refuses. Then nothing of it is left.
    fn open(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError>;

    /// Closes the host's side and puts it back as it was. Not called by the peer.
    fn close(&self);

    /// Connects the one peer. False if there is one already, or its loop can't wait for the backend.
    ///
    /// A device calls [`RealizeContext::connect_network`], which alone makes a [`PeerHandle`],
    /// instead of this.
    ///
    /// [`RealizeContext::connect_network`]: crate::realize::RealizeContext::connect_network
    fn connect(&self, peer: PeerHandle) -> bool;

    /// Takes away what [`Netdev::connect`] connected, headers and offloads included. A call of the
    /// peer may be under way still.
    fn disconnect(&self);

    /// Sends a frame, given in pieces, as if by queue number `queue`. Never waits.
    fn send(&self, queue: u16, frame: &[IoSlice<'_>]) -> Sending;

    /// The peer takes frames of that queue again, after it has answered [`Receiving::Later`].
    fn accept_frames(&self, queue: u16);

    /// How many queues there are, each with frames of its own order.
    fn queues(&self) -> u16 {
        1
    }

    /// What a peer can leave to the backend, or have it leave out, if it asks for headers. None if
    /// there are no headers to be had.
    fn offloads(&self) -> Option<Offloads> {
        None
    }

    /// From here on each frame in either direction has such a header, and frames to the peer may
    /// be as unfinished as `accepted` says. What the peer sends may be as unfinished as
    /// [`Netdev::offloads`] says.
    ///
    /// # Errors
    /// If the backend has no such thing, of kind [`io::ErrorKind::Unsupported`], or the host refuses.
    fn set_offloads(&self, header: VnetHeader, accepted: Offloads) -> io::Result<()> {
        if header == VnetHeader::None && accepted == Offloads::default() {
            return Ok(());
        }
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Whether there is somebody at the host's end to send to.
    fn is_link_up(&self) -> bool;

    /// What has been sent and received.
    fn counters(&self) -> Counters;

    /// Where the host's end is, in a line as `info network` shows it.
    fn info(&self) -> String;
}

/// What can be known of a type of networks by its class alone, while a VM is planned: class data. A
/// type without it is [`NetdevClass::default`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetdevClass {
    /// Whether frames go on from it to others of its kind, so that two of them plugged into each other
    /// could make a circle in which no frame comes to rest.
    pub floods: bool,
}

/// What became of a frame that a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that was not taken is to be sent again later"]
pub enum Sending {
    /// It is on its way, or lost on the way as frames are.
    Taken,
    /// There is no room. It may be sent again once [`NetdevPeer::can_send`] says so.
    Later,
}

/// What became of a frame that a peer was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that was not taken is to be given again later"]
pub enum Receiving {
    /// It has been taken, or dropped.
    Taken,
    /// There is no room. It will be given again once the peer says so to
    /// [`Netdev::accept_frames`]; nothing else comes meanwhile on that queue.
    Later,
}

/// The header before each frame (virtio 1.2, section 5.1.6, `struct virtio_net_hdr`), which tells
/// what of the frame has been left unfinished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VnetHeader {
    /// There is none.
    #[default]
    None,
    /// Of 10 bytes, without `num_buffers`, as legacy devices without merged buffers have it.
    Legacy,
    /// Of 12 bytes, in the byte order of the host, which is little-endian.
    Modern,
}

impl VnetHeader {
    /// Its length in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::None => 0,
            Self::Legacy => 10,
            Self::Modern => 12,
        }
    }
}

/// What may be left unfinished in a frame. All but the first need the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// The checksum of TCP or UDP.
    pub checksum: bool,
    /// The division of TCP over IP version 4 into segments.
    pub tso4: bool,
    /// The division of TCP over IP version 6 into segments.
    pub tso6: bool,
    /// The division of TCP whose segments mark congestion.
    pub ecn: bool,
    /// The division of UDP into datagrams.
    pub uso: bool,
}

/// What has been sent and received since the backend was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that the peer sent and that are on their way.
    pub sent: u64,
    /// Bytes of them, without headers.
    pub sent_bytes: u64,
    /// Frames that the peer sent and that were lost.
    pub send_dropped: u64,
    /// Frames that the peer was given.
    pub received: u64,
    /// Bytes of them, without headers.
    pub received_bytes: u64,
    /// Frames that came and were lost.
    pub receive_dropped: u64,
}

/// Who is connected to a backend, for the latter to keep. The reference is weak, since the peer keeps
/// the backend.
///
/// Only [`Platform::connect_network`] makes one, for an object of the machine's tree:
///
/// ```compile_fail,E0308
/// use device_model::{netdev::NetdevPeer, prelude::*};
/// use std::sync::Weak;
///
/// fn smuggle(netdev: &dyn Netdev, peer: Weak<dyn NetdevPeer>) -> bool {
///     netdev.connect(peer)
/// }
/// ```
///
/// ```compile_fail,E0451
/// use device_model::netdev::{NetdevPeer, PeerHandle};
/// use std::sync::Weak;
///
/// fn forge(peer: Weak<dyn NetdevPeer>) -> PeerHandle {
///     PeerHandle { peer, events: None }
/// }
/// ```
pub struct PeerHandle {
    peer: Weak<dyn NetdevPeer>,
    events: Option<Arc<EventLoop>>,
}

impl PeerHandle {
    pub(crate) fn new(peer: Weak<dyn NetdevPeer>, events: Option<Arc<EventLoop>>) -> Self {
        Self { peer, events }
    }

    /// The peer, unless it has gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Arc<dyn NetdevPeer>> {
        self.peer.upgrade()
    }

    /// The loop on whose thread the peer is to be called; the main one, unless there is one here.
    #[must_use]
    pub const fn events(&self) -> Option<&Arc<EventLoop>> {
        self.events.as_ref()
    }
}

impl fmt::Debug for PeerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerHandle")
    }
}

/// The other end of a backend: a network card, or the port of a hub.
///
/// It is called on one thread, and may call the backend from within.
pub trait NetdevPeer: Send + Sync {
    /// Takes a frame of that queue, at most [`LONGEST_FRAME`] long, header included.
    fn receive(&self, queue: u16, frame: &[u8]) -> Receiving;

    /// There is room again for a frame that was answered with [`Sending::Later`].
    fn can_send(&self, _queue: u16) {}

    /// Somebody has come to the host's end, or has left it. A peer that is told nothing once it is
    /// connected has nobody there.
    fn link_changed(&self, _up: bool) {}
}
