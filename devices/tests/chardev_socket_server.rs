//! `chardev-socket` as a server: its clients, and the device that reads from it.

mod reader;
mod socket;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use device_model::{
    prelude::*,
    testing::{Machine, wait_until},
};
use reader::Reader;
use rustix::time::{ClockId, clock_gettime};
use socket::{hold_up, is_closed, place, server, stream};

use Presence::{Came, Left};

#[test]
fn a_client_and_a_device_talk_both_ways() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"to the device").unwrap();
    assert_eq!(reader.wait_for(13), b"to the device");
    stream.write(b"to the client");
    let mut answer = [0; 13];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"to the client");
}

#[test]
fn a_megabyte_each_way_arrives_as_it_was_sent() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(1);
    let sent: Vec<u8> = (0..1_u32 << 20).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    thread::scope(|scope| {
        scope.spawn(|| stream.write(&sent));
        let mut received = vec![0; sent.len()];
        client.read_exact(&mut received).unwrap();
        assert!(received == sent);
    });
    client.write_all(&sent).unwrap();
    assert!(reader.wait_for(sent.len()) == sent);
}

#[test]
fn the_device_is_told_who_comes_and_goes() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    assert_eq!(reader.presences(), []);
    let client = UnixStream::connect(&path).unwrap();
    assert_eq!(reader.wait_for_presences(1), [Came]);
    drop(client);
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
    let _client = UnixStream::connect(&path).unwrap();
    assert_eq!(reader.wait_for_presences(3), [Came, Left, Came]);
    stream.disconnect();

    let another = Reader::of(&*stream);
    assert_eq!(another.presences(), [Came], "somebody was there when it was connected");
}

#[test]
fn a_device_without_room_is_told_too_that_the_peer_left() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 0);
    drop(UnixStream::connect(&path).unwrap());
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
}

#[test]
fn input_waits_until_the_device_has_room() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 3);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"abcdefgh").unwrap();
    assert_eq!(reader.wait_for(3), b"abc");
    thread::sleep(Duration::from_millis(50));
    assert_eq!(reader.take(), b"");
    // What it had sent before it went is not lost, and only then has it left.
    drop(client);
    thread::sleep(Duration::from_millis(50));
    reader.make_room(&*stream, 4);
    assert_eq!(reader.wait_for(4), b"defg");
    assert_eq!(reader.presences(), [Came]);
    reader.make_room(&*stream, 9);
    assert_eq!(reader.wait_for(1), b"h");
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
}

/// Runs the loop for a while, and tells how much of the processor it used.
fn cost_of_loop(machine: &Machine) -> Duration {
    let events = Arc::clone(machine.platform.events());
    let running = {
        let events = Arc::clone(&events);
        thread::spawn(move || {
            events.run().unwrap();
            clock_gettime(ClockId::ThreadCPUTime)
        })
    };
    thread::sleep(Duration::from_millis(300));
    events.stop();
    running.join().unwrap().try_into().unwrap()
}

#[test]
fn what_the_device_has_no_room_for_costs_no_time() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _reader = Reader::with_room(&*stream, 0);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"not taken").unwrap();
    let cost = cost_of_loop(&machine);
    assert!(cost < Duration::from_millis(50), "{cost:?}");
    drop(client);
    let cost = cost_of_loop(&machine);
    assert!(cost < Duration::from_millis(50), "{cost:?} after the client has gone");
}

#[test]
fn of_a_hundred_clients_at_once_one_is_served_and_the_others_find_it_closed() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let clients: Vec<_> = (0..100).map(|_| UnixStream::connect(&path).unwrap()).collect();
    reader.wait_for_presences(1);
    stream.write(b"you");
    let served = clients.iter().filter(|client| !is_closed(*client)).count();
    assert_eq!(served, 1);
    assert_eq!(reader.presences(), [Came]);
    drop(clients);
    reader.wait_for_presences(2);
    let mut next = UnixStream::connect(&path).unwrap();
    next.write_all(b"next").unwrap();
    assert_eq!(reader.wait_for(4), b"next");
}

#[test]
fn a_client_that_goes_and_comes_at_once_is_served() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    for round in 0..500_u32 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(&round.to_le_bytes()).unwrap();
    }
    let received = reader.wait_for(2000);
    let rounds: Vec<u8> = (0..500_u32).flat_map(u32::to_le_bytes).collect();
    assert!(received == rounds, "each was served, and in turn");
    assert_eq!(reader.wait_for_presences(1000).len(), 1000);
}

#[test]
fn so_is_one_that_comes_when_nobody_reads_what_the_last_one_sent() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"unheard").unwrap();
    drop(client);
    let mut next = UnixStream::connect(&path).unwrap();
    next.write_all(b"heard").unwrap();
    wait_until("the next", || {
        stream.write(b"!");
        next.set_nonblocking(true).unwrap();
        matches!(next.read(&mut [0]), Ok(1))
    });
    let reader = Reader::of(&*stream);
    assert_eq!(reader.wait_for(5), b"heard");
}

#[test]
fn a_client_that_never_reads_holds_up_its_writer_alone_and_close_frees_it() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(1);
    hold_up(&*stream, || {
        client.write_all(b"still heard").unwrap();
        assert_eq!(reader.wait_for(11), b"still heard");
        assert!(is_closed(UnixStream::connect(&path).unwrap()), "the server serves");
        stream.close();
    });
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_writer_that_waits_gives_up_when_it_is_told_to_and_only_then() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let _client = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(1);
    hold_up(&*stream, || stream.set_nonblocking(true));
    stream.set_nonblocking(false);
    hold_up(&*stream, || stream.hang_up());
}

#[test]
fn hanging_up_ends_the_connection_and_the_server_goes_on() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 0);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"whatever").unwrap();
    reader.wait_for_presences(1);
    stream.hang_up();
    assert!(is_closed(&client));
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
    reader.make_room(&*stream, 100);
    let mut next = UnixStream::connect(&path).unwrap();
    next.write_all(b"next").unwrap();
    assert_eq!(reader.wait_for(4), b"next", "what the other had sent is not its");
    assert_eq!(reader.presences(), [Came, Left, Came]);
}

#[test]
fn a_server_that_waits_is_not_there_before_its_first_peer() {
    let (_directory, path) = place();
    let client = {
        let path = path.clone();
        thread::spawn(move || {
            wait_until("the server", || Path::new(&path).exists());
            thread::sleep(Duration::from_millis(100));
            UnixStream::connect(&path).unwrap()
        })
    };
    let machine = Machine::new();
    let (_object, stream) = stream(&machine, &[("path", &path), ("server", "on")]);
    assert_eq!(stream.filename(), format!("unix:{path},server=on"));
    assert_eq!(Reader::of(&*stream).presences(), [Came]);
    client.join().unwrap();
}

/// Device that reads on a loop of its own
#[qom_type(secure, parent = IsaDevice)]
struct Listener {
    /// What it reads from
    #[property(link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
    reader: Reader,
}

impl Device for Listener {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl IsaDevice for Listener {}

impl ChardevFrontend for Listener {
    fn can_receive(&self) -> usize {
        self.reader.can_receive()
    }

    fn receive(&self, bytes: &[u8]) {
        self.reader.receive(bytes);
    }

    fn host_changed(&self, presence: Presence) {
        self.reader.host_changed(presence);
    }
}

#[test]
fn a_device_with_a_loop_of_its_own_is_called_there_while_it_is_connected() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let running = machine.run_events();
    let object = machine.add("listener", "listener", &[("chardev", "/stream")]);
    let listener = object.cast::<Listener>().unwrap();

    let own = Arc::new(EventLoop::new().unwrap());
    let thread = {
        let own = Arc::clone(&own);
        thread::spawn(move || own.run().unwrap())
    };
    let id = thread.thread().id();
    let weak = Arc::downgrade(&listener);
    let events = Some(Arc::clone(&own));
    machine.platform.connect(&object, &listener.chardev, weak, events).unwrap();
    for _ in 0..20 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"here").unwrap();
        assert_eq!(listener.reader.wait_for(4), b"here");
    }
    listener.reader.wait_for_presences(40);
    let threads = listener.reader.take_threads();
    assert!(threads.len() >= 60 && threads.iter().all(|thread| *thread == id));

    // Back at home, the machine's loop does it.
    machine.platform.release(&object);
    own.stop();
    thread.join().unwrap();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"there").unwrap();
    assert_eq!(reader.wait_for(5), b"there");
    assert!(!reader.take_threads().contains(&id));
    drop(running);
}
