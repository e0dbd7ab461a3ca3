//! A network card, and a network, that the test is.

use std::{collections::VecDeque, io::IoSlice, mem, sync::Arc};

use qom_core::BoxedError;

use crate::{
    netdev::{Counters, Offloads, VnetHeader},
    prelude::*,
};

/// Network card that remembers what it is given
#[qom_type(secure, name = "test-nic", parent = Device)]
pub struct TestNic {
    /// The network that it is plugged into
    #[property(link = dyn Netdev)]
    netdev: Link<dyn Netdev>,
    frames: Mutex<VecDeque<(u16, Vec<u8>)>>,
    /// How many frames it takes; no limit if there is none.
    room: Mutex<Option<usize>>,
    links: Mutex<Vec<bool>>,
    ready: Mutex<Vec<u16>>,
    /// Whether it sends back what it is given, from within.
    echoes: Mutex<bool>,
}

impl TestNic {
    /// The card of that name on that machine, plugged into a backend.
    ///
    /// # Panics
    /// If it can't be.
    pub fn plugged(machine: &super::Machine, name: &str, netdev: &str) -> (Obj, Arc<Self>) {
        let object = machine.add("test-nic", name, &[("netdev", netdev)]);
        let nic = object.cast::<Self>().expect("it is one");
        (object, nic)
    }

    /// The backend.
    ///
    /// # Panics
    /// If it is plugged into none.
    pub fn netdev(&self) -> &Arc<dyn Netdev> {
        self.netdev.get().expect("it is plugged in")
    }

    /// Where the link to the backend is.
    pub fn link(&self) -> &Link<dyn Netdev> {
        &self.netdev
    }

    /// Sends a frame in one piece.
    pub fn send(&self, frame: &[u8]) -> Sending {
        self.netdev().send(0, &[IoSlice::new(frame)])
    }

    /// What it was given since this was last called.
    pub fn take_frames(&self) -> Vec<Vec<u8>> {
        mem::take(&mut *self.frames.lock()).into_iter().map(|(_, frame)| frame).collect()
    }

    /// The first frame that it was given and that was not taken from it, with its queue.
    pub fn next_frame(&self) -> Option<(u16, Vec<u8>)> {
        self.frames.lock().pop_front()
    }

    /// Waits for a frame.
    ///
    /// # Panics
    /// If none comes.
    pub fn wait_for_frame(&self) -> Vec<u8> {
        let mut frame = None;
        super::wait_until("a frame", || {
            frame = self.next_frame();
            frame.is_some()
        });
        frame.map(|(_, frame)| frame).unwrap_or_default()
    }

    /// How many more frames it takes; none for all.
    pub fn set_room(&self, room: Option<usize>) {
        *self.room.lock() = room;
        for queue in 0..self.netdev().queues() {
            self.netdev().accept_frames(queue);
        }
    }

    /// Sends back whatever it is given, from within the call that gives it.
    pub fn echo(&self) {
        *self.echoes.lock() = true;
    }

    /// Each change of the link that it was told of.
    pub fn links(&self) -> Vec<bool> {
        self.links.lock().clone()
    }

    /// The queues of which it was told that it can send again, since this was last called.
    pub fn take_ready(&self) -> Vec<u16> {
        mem::take(&mut self.ready.lock())
    }
}

impl Device for TestNic {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.connect_network(self, &self.netdev, None)
    }
}

impl NetdevPeer for TestNic {
    fn receive(&self, queue: u16, frame: &[u8]) -> Receiving {
        if let Some(room) = &mut *self.room.lock() {
            let Some(left) = room.checked_sub(1) else { return Receiving::Later };
            *room = left;
        }
        if *self.echoes.lock() {
            let _ = self.netdev().send(queue, &[IoSlice::new(frame)]);
        }
        self.frames.lock().push_back((queue, frame.to_vec()));
        Receiving::Taken
    }

    fn can_send(&self, queue: u16) {
        self.ready.lock().push(queue);
    }

    fn link_changed(&self, up: bool) {
        self.links.lock().push(up);
    }
}

/// Network whose other end is the test
#[qom_type(secure, name = "test-netdev", parent = Netdev)]
pub struct TestNetdev {
    /// How many queues it has; frames come by the first
    #[property(default = 1)]
    queues: u16,
    peer: Mutex<Option<PeerHandle>>,
    sent: Mutex<Vec<Vec<u8>>>,
    waiting: Mutex<VecDeque<Vec<u8>>>,
    is_open: Mutex<bool>,
    is_full: Mutex<bool>,
    header: Mutex<(VnetHeader, Offloads)>,
}

impl TestNetdev {
    /// What the peer has sent since this was last called.
    pub fn take_sent(&self) -> Vec<Vec<u8>> {
        mem::take(&mut self.sent.lock())
    }

    /// A frame comes from the network.
    pub fn give(&self, frame: &[u8]) {
        self.waiting.lock().push_back(frame.to_vec());
        self.accept_frames(0);
    }

    /// Frames that the peer has not taken.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Whether it takes no frames for now.
    pub fn set_full(&self, full: bool) {
        *self.is_full.lock() = full;
        let peer = self.peer.lock().as_ref().and_then(PeerHandle::upgrade);
        if let Some(peer) = peer.filter(|_| !full) {
            peer.can_send(0);
        }
    }

    /// Whether it was opened, and not closed since.
    pub fn is_open(&self) -> bool {
        *self.is_open.lock()
    }

    /// Whether somebody is plugged in.
    pub fn is_connected(&self) -> bool {
        self.peer.lock().is_some()
    }

    /// What the peer has asked for.
    pub fn header(&self) -> (VnetHeader, Offloads) {
        *self.header.lock()
    }
}

impl Netdev for TestNetdev {
    fn open(&self, _object: &Obj, _platform: &Platform) -> Result<(), BoxedError> {
        *self.is_open.lock() = true;
        Ok(())
    }

    fn close(&self) {
        *self.is_open.lock() = false;
    }

    fn connect(&self, peer: PeerHandle) -> bool {
        let mut connected = self.peer.lock();
        let free = connected.is_none();
        if free {
            *connected = Some(peer);
        }
        free
    }

    fn disconnect(&self) {
        *self.peer.lock() = None;
        *self.header.lock() = (VnetHeader::None, Offloads::default());
    }

    fn send(&self, _queue: u16, frame: &[IoSlice<'_>]) -> Sending {
        if *self.is_full.lock() {
            return Sending::Later;
        }
        let frame = frame.iter().flat_map(|piece| piece.iter().copied()).collect();
        self.sent.lock().push(frame);
        Sending::Taken
    }

    fn accept_frames(&self, _queue: u16) {
        let peer = self.peer.lock().as_ref().and_then(PeerHandle::upgrade);
        let Some(peer) = peer else { return };
        loop {
            let frame = self.waiting.lock().pop_front();
            let Some(frame) = frame else { return };
            if peer.receive(0, &frame) == Receiving::Later {
                return self.waiting.lock().push_front(frame);
            }
        }
    }

    fn queues(&self) -> u16 {
        self.queues
    }

    fn offloads(&self) -> Option<Offloads> {
        Some(Offloads { checksum: true, tso4: true, tso6: true, ecn: true, uso: true })
    }

    fn set_offloads(&self, header: VnetHeader, accepted: Offloads) -> std::io::Result<()> {
        *self.header.lock() = (header, accepted);
        Ok(())
    }

    fn is_link_up(&self) -> bool {
        self.is_open()
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }

    fn info(&self) -> String {
        "test".to_owned()
    }
}
