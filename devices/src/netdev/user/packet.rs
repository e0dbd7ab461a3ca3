//! Packets of IP version 4 (RFC 791) that the network sends by itself.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr},
};

/// The longest packet that goes over a network, as over Ethernet (RFC 894).
pub(super) const MTU: usize = 1500;

/// Bytes of a header of IP without options, and of one of UDP.
const HEADERS: usize = 20 + 8;

/// Hops that a packet may make.
const HOP_LIMIT: u8 = 64;

/// The longest payload of a datagram that is not divided.
pub(super) const LONGEST_DATAGRAM: usize = MTU - HEADERS;

fn packet(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: IpProtocol,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: protocol,
        payload_len: length,
        hop_limit: HOP_LIMIT,
    };
    let mut bytes = vec![0; header.buffer_len() + length];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    header.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    bytes
}

/// A datagram; none if it is too long to go undivided.
pub(super) fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() > LONGEST_DATAGRAM {
        return None;
    }
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let length = udp.header_len() + payload.len();
    Some(packet(*from.ip(), *to.ip(), IpProtocol::Udp, length, |bytes| {
        udp.emit(
            &mut UdpPacket::new_unchecked(bytes),
            &(*from.ip()).into(),
            &(*to.ip()).into(),
            payload.len(),
            |room| room.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
    }))
}

/// The answer to an echo request (RFC 792) that a packet brings; none if it brings something else.
pub(super) fn echo_reply(request: &Ipv4Packet<&[u8]>) -> Option<Vec<u8>> {
    let checksums = ChecksumCapabilities::default();
    let message = Icmpv4Packet::new_checked(request.payload()).ok()?;
    let Ok(Icmpv4Repr::EchoRequest { ident, seq_no, data }) =
        Icmpv4Repr::parse(&message, &checksums)
    else {
        return None;
    };
    let reply = Icmpv4Repr::EchoReply { ident, seq_no, data };
    if reply.buffer_len() > MTU - 20 {
        return None;
    }
    let (from, to) = (request.dst_addr(), request.src_addr());
    Some(packet(from, to, IpProtocol::Icmp, reply.buffer_len(), |bytes| {
        reply.emit(&mut Icmpv4Packet::new_unchecked(bytes), &checksums);
    }))
}
