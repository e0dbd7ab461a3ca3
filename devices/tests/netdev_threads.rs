//! Networks and a card with a loop of its own: it is called there and nowhere else.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::Arc,
    thread::{self, JoinHandle, ThreadId},
};

use device_model::{
    prelude::*,
    testing::{Machine, wait_until},
};
// For its types, which the linker would leave out otherwise.
use devices as _;

/// Network card with a thread of its own
#[qom_type(secure, parent = Device)]
struct ThreadedNic {
    /// The network that it is plugged into
    #[property(link = dyn Netdev)]
    netdev: Link<dyn Netdev>,
    own: Mutex<Option<(Arc<EventLoop>, JoinHandle<()>)>>,
    frames: Mutex<Vec<Vec<u8>>>,
    callers: Mutex<Vec<ThreadId>>,
}

impl ThreadedNic {
    fn called(&self) {
        let caller = thread::current().id();
        let mut callers = self.callers.lock();
        if callers.last() != Some(&caller) {
            callers.push(caller);
        }
    }

    fn thread(&self) -> ThreadId {
        self.own.lock().as_ref().expect("it is realized").1.thread().id()
    }
}

impl Device for ThreadedNic {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let events = Arc::new(EventLoop::new().expect("there are descriptors"));
        let looped = Arc::clone(&events);
        let thread = thread::spawn(move || looped.run().expect("waiting does not fail"));
        *self.own.lock() = Some((Arc::clone(&events), thread));
        cx.connect_network(self, &self.netdev, Some(events))
    }

    fn unrealize(&self) {
        if let Some((events, thread)) = self.own.lock().take() {
            events.stop();
            thread.join().expect("nothing panicked");
        }
    }
}

impl NetdevPeer for ThreadedNic {
    fn receive(&self, _queue: u16, frame: &[u8]) -> Receiving {
        self.called();
        self.frames.lock().push(frame.to_vec());
        Receiving::Taken
    }

    fn can_send(&self, _queue: u16) {
        self.called();
    }

    fn link_changed(&self, _up: bool) {
        self.called();
    }
}

#[test]
fn a_card_with_a_loop_of_its_own_is_called_there_alone_however_often_it_comes() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("net");
    let machine = Machine::new();
    let properties =
        [("addr.type", "unix"), ("addr.path", path.to_str().unwrap()), ("server", "on")];
    let object = machine.add("netdev-stream", "net", &properties);
    let netdev = object.cast::<dyn Netdev>().unwrap();
    let _running = machine.run_events();
    let mut other = UnixStream::connect(&path).unwrap();
    wait_until("the link is up", || netdev.is_link_up());
    let sender = thread::spawn(move || {
        for number in 0..20_000_u32 {
            other.write_all(&[&[0, 0, 0, 4][..], &number.to_be_bytes()].concat()).unwrap();
        }
        other.write_all(b"\0\0\0\x03end").unwrap();
        other
    });
    let mut last = None;
    let mut ended = false;
    while !ended {
        let card = machine.add("threaded-nic", "nic", &[("netdev", "/net")]);
        let nic = card.cast::<ThreadedNic>().unwrap();
        let own = nic.thread();
        wait_until("it is called", || !nic.callers.lock().is_empty());
        if sender.is_finished() {
            // Whatever is left may have gone while there was no card.
            let counters = netdev.counters();
            ended = counters.received + counters.receive_dropped == 20_001;
        }
        machine.remove(&card);
        assert!(nic.callers.lock().iter().all(|caller| *caller == own));
        for frame in nic.frames.lock().iter().filter(|frame| *frame != b"end") {
            let number = Some(u32::from_be_bytes(frame.as_slice().try_into().unwrap()));
            assert!(number > last, "{number:?} after {last:?}");
            last = number;
        }
    }
    let _other = sender.join().unwrap();
}
