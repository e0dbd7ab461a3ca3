//! A hostile guest of a user-mode network, and servers on the host that it talks to.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    sync::Arc,
};

use device_model::testing::TestNic;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
        EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, TcpSeqNumber, UdpPacket,
        UdpRepr,
    },
};

use super::{Scene, TURNS, room};
use crate::input::Input;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const GATEWAY_MAC: EthernetAddress = EthernetAddress([0x52, 0x55, 10, 0, 2, 2]);

/// Where packets are sent to.
const TARGETS: [Ipv4Addr; 8] = [
    GATEWAY,
    Ipv4Addr::new(10, 0, 2, 3),
    Ipv4Addr::new(10, 0, 2, 255),
    Ipv4Addr::BROADCAST,
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::LOCALHOST,
    Ipv4Addr::new(224, 0, 0, 1),
    OWN,
];

/// The longest frame that a network gives: of an Ethernet.
const LONGEST: usize = 1514;

/// What a guest knows of one of its connections.
#[derive(Clone, Copy, Default)]
struct Numbers {
    own: u32,
    other: u32,
}

struct Guest {
    nic: Arc<TestNic>,
    tcp: TcpListener,
    udp: UdpSocket,
    clients: Vec<TcpStream>,
    /// By the guest's port.
    numbers: HashMap<u16, Numbers>,
    /// How many more frames it takes.
    room: Option<usize>,
}

fn frame(kind: EthernetProtocol, length: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let header = EthernetRepr { src_addr: MAC, dst_addr: GATEWAY_MAC, ethertype: kind };
    let mut bytes = vec![0; header.buffer_len() + length];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    header.emit(&mut frame);
    fill(frame.payload_mut());
    bytes
}

fn packet(to: Ipv4Addr, kind: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: OWN,
        dst_addr: to,
        next_header: kind,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    frame(EthernetProtocol::Ipv4, header.buffer_len() + payload.len(), |bytes| {
        let mut packet = Ipv4Packet::new_unchecked(bytes);
        header.emit(&mut packet, &ChecksumCapabilities::default());
        packet.payload_mut().copy_from_slice(payload);
    })
}

fn datagram(to: Ipv4Addr, from_port: u16, to_port: u16, payload: &[u8]) -> Vec<u8> {
    let header = UdpRepr { src_port: from_port, dst_port: to_port };
    let mut bytes = vec![0; header.header_len() + payload.len()];
    header.emit(
        &mut UdpPacket::new_unchecked(&mut bytes),
        &OWN.into(),
        &to.into(),
        payload.len(),
        |room| room.copy_from_slice(payload),
        &ChecksumCapabilities::default(),
    );
    packet(to, IpProtocol::Udp, &bytes)
}

/// Asks who has the gateway's address.
fn question(wanted: Ipv4Addr) -> Vec<u8> {
    let request = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: MAC,
        source_protocol_addr: OWN,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: wanted,
    };
    frame(EthernetProtocol::Arp, request.buffer_len(), |bytes| {
        request.emit(&mut ArpPacket::new_unchecked(bytes));
    })
}

impl Guest {
    /// A segment with numbers that fit what was received, unless told otherwise.
    fn segment(&mut self, port: u16, to_port: u16, input: &mut Input<'_>) -> Vec<u8> {
        let (flags, options) = (input.byte(), input.byte());
        let length = input.byte().into();
        let payload = input.take(length);
        let mut numbers = self.numbers.get(&port).copied().unwrap_or_default();
        if options & 1 != 0 {
            numbers.own = numbers.own.wrapping_add(u32::from(input.byte()) << 12);
        }
        let mut bytes = vec![0; 20 + payload.len()];
        let mut segment = TcpPacket::new_unchecked(&mut bytes);
        segment.set_src_port(port);
        segment.set_dst_port(to_port);
        segment.set_seq_number(TcpSeqNumber(numbers.own.cast_signed()));
        segment.set_ack_number(TcpSeqNumber(numbers.other.cast_signed()));
        segment.set_header_len(20);
        segment.set_window_len(if options & 2 == 0 { 0xffff } else { input.byte().into() });
        segment.set_fin(flags & 1 != 0);
        segment.set_syn(flags & 2 != 0);
        segment.set_rst(flags & 4 != 0);
        segment.set_psh(flags & 8 != 0);
        segment.set_ack(flags & 16 != 0);
        segment.payload_mut().copy_from_slice(payload);
        segment.fill_checksum(&OWN.into(), &GATEWAY.into());
        let sent = payload.len() + usize::from(flags & 1) + usize::from(flags & 2 != 0);
        numbers.own = numbers.own.wrapping_add(u32::try_from(sent).expect("it is short"));
        self.numbers.insert(port, numbers);
        packet(GATEWAY, IpProtocol::Tcp, &bytes)
    }

    /// Looks at what has come.
    fn receive(&mut self) -> Vec<Vec<u8>> {
        let frames = self.nic.take_frames();
        if let Some(room) = &mut self.room {
            *room = room.checked_sub(frames.len()).expect("no more than there is room for");
        }
        for bytes in &frames {
            assert!(bytes.len() <= LONGEST);
            let frame = EthernetFrame::new_checked(&**bytes).expect("it is a frame");
            assert_eq!(frame.src_addr(), GATEWAY_MAC);
            if frame.ethertype() != EthernetProtocol::Ipv4 {
                assert_eq!(frame.ethertype(), EthernetProtocol::Arp);
                continue;
            }
            let packet = Ipv4Packet::new_checked(frame.payload()).expect("it is a packet");
            assert!(packet.verify_checksum() && packet.src_addr() != OWN);
            if packet.next_header() == IpProtocol::Tcp {
                let segment = TcpPacket::new_checked(packet.payload()).expect("it is a segment");
                let from = packet.src_addr().into();
                assert!(segment.verify_checksum(&from, &packet.dst_addr().into()));
                let next = segment.seq_number().0.cast_unsigned();
                let length = u32::try_from(segment.segment_len()).expect("it is short");
                let numbers = self.numbers.entry(segment.dst_port()).or_default();
                numbers.other = next.wrapping_add(length);
            }
        }
        frames
    }

    /// The host's servers take, answer and leave.
    fn serve(&mut self, how: u8) {
        while let Ok((client, _)) = self.tcp.accept() {
            client.set_nonblocking(true).expect("it can be");
            self.clients.push(client);
        }
        let mut buffer = [0; 2048];
        if let Ok((length, from)) = self.udp.recv_from(&mut buffer) {
            let _ = self.udp.send_to(&buffer[..length], from);
        }
        for client in &mut self.clients {
            let length = if how & 1 != 0 { client.read(&mut buffer).unwrap_or(0) } else { 0 };
            let length = if how & 2 != 0 { buffer.len() } else { length };
            let _ = client.write(&buffer[..length]);
            if how & 4 != 0 {
                let _ = client.shutdown(std::net::Shutdown::Write);
            }
        }
        if how & 8 != 0 && !self.clients.is_empty() {
            self.clients.swap_remove(0);
        }
    }

    fn step(&mut self, op: u8, input: &mut Input<'_>) {
        let port =
            |socket: std::io::Result<std::net::SocketAddr>| socket.expect("it is bound").port();
        let (tcp, udp) = (port(self.tcp.local_addr()), port(self.udp.local_addr()));
        let frame = match op % 8 {
            0 => {
                let length = input.byte().into();
                input.take(length).to_vec()
            }
            1 => {
                let (kind, to) = (input.byte(), TARGETS[usize::from(input.byte() % 8)]);
                let length = input.byte().into();
                packet(to, kind.into(), input.take(length))
            }
            2 => question(Ipv4Addr::new(10, 0, 2, input.byte())),
            3 => {
                let to = TARGETS[usize::from(input.byte() % 8)];
                let to_port = [67, 53, udp, 0][usize::from(input.byte() % 4)];
                let (from, length) = (input.byte(), input.byte().into());
                datagram(to, 5000 + u16::from(from), to_port, input.take(length))
            }
            4 => {
                let from = 40000 + u16::from(input.byte() % 16);
                self.segment(from, tcp, input)
            }
            5 => {
                let room = room(input.byte());
                self.room = room;
                return self.nic.set_room(room);
            }
            _ => return self.serve(input.byte()),
        };
        // Lost if there is no room.
        let _ = self.nic.send(&frame);
    }
}

pub(super) fn user(input: &mut Input<'_>) {
    let scene = Scene::new();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    tcp.set_nonblocking(true).expect("it can be");
    udp.set_nonblocking(true).expect("it can be");
    let resolver = udp.local_addr().expect("it is bound").to_string();
    let properties = [("host-loopback", "on"), ("resolver", &*resolver)];
    let nic = scene.network("net", "netdev-user", &properties);
    let mut guest = Guest {
        nic: Arc::clone(&nic),
        tcp,
        udp,
        clients: Vec::new(),
        numbers: HashMap::new(),
        room: None,
    };
    while let Some(op) = input.next() {
        guest.step(op, input);
        scene.turn(usize::from(op / 8 % 4));
        guest.receive();
    }
    // Whatever it was, the gateway is there.
    guest.room = None;
    nic.set_room(None);
    let mut answered = false;
    for _ in 0..TURNS {
        scene.turn(TURNS);
        guest.receive();
        let _ = nic.send(&question(GATEWAY));
        scene.turn(TURNS);
        answered = guest.receive().iter().any(|frame| {
            let frame = EthernetFrame::new_unchecked(frame);
            frame.ethertype() == EthernetProtocol::Arp && frame.dst_addr() == MAC
        });
        if answered {
            break;
        }
    }
    assert!(answered, "the gateway answers no more");
}
