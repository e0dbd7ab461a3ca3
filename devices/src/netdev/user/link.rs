//! The cable between guest and gateway: Ethernet frames (RFC 894) and who has which address (ARP,
//! RFC 826).

use std::{collections::VecDeque, net::Ipv4Addr};

use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Ipv4Packet,
};

use super::network::Network;

/// Frames that wait for the guest, at most.
pub(super) const MOST_WAITING: usize = 256;

/// Addresses that are kept in mind, at most: of the guests that share the network by a hub.
const MOST_NEIGHBOURS: usize = 64;

/// The guest's end of the cable.
pub(super) struct Link {
    network: Network,
    /// The gateway's address on the cable.
    own: EthernetAddress,
    /// Who has which address, the latest last.
    neighbours: Vec<(Ipv4Addr, EthernetAddress)>,
    waiting: VecDeque<Vec<u8>>,
}

impl Link {
    pub(super) fn new(network: Network) -> Self {
        // Locally administered (IEEE 802, section 8.4.2), as QEMU has it.
        let [a, b, c, d] = network.host.octets();
        let own = EthernetAddress([0x52, 0x55, a, b, c, d]);
        Self { network, own, neighbours: Vec::new(), waiting: VecDeque::new() }
    }

    /// Takes a frame of the guest's. The packet of IP in it if it brings one for the gateway, whole,
    /// of an address that a guest may have.
    pub(super) fn receive<'f>(&mut self, frame: &'f [u8]) -> Option<Ipv4Packet<&'f [u8]>> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        let (from, to) = (frame.src_addr(), frame.dst_addr());
        if !from.is_unicast() || from == self.own || (to != self.own && !to.is_broadcast()) {
            return None;
        }
        match frame.ethertype() {
            EthernetProtocol::Arp => {
                self.answer(frame.payload());
                None
            }
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
                let is_divided = packet.more_frags() || packet.frag_offset() != 0;
                if packet.version() != 4 || is_divided || !packet.verify_checksum() {
                    return None;
                }
                let source = packet.src_addr();
                if self.network.may_be_guest(source) {
                    self.remember(source, from);
                } else if !source.is_unspecified() {
                    return None;
                }
                Some(packet)
            }
            _ => None,
        }
    }

    /// Answers whoever asks for an address of the network's own.
    fn answer(&mut self, request: &[u8]) {
        let request = ArpPacket::new_checked(request).ok().and_then(|it| ArpRepr::parse(&it).ok());
        let Some(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: asker,
            source_protocol_addr: asker_address,
            target_protocol_addr: wanted,
            ..
        }) = request
        else {
            return;
        };
        if !asker.is_unicast() || ![self.network.host, self.network.dns].contains(&wanted) {
            return;
        }
        if self.network.may_be_guest(asker_address) {
            self.remember(asker_address, asker);
        }
        let reply = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: self.own,
            source_protocol_addr: wanted,
            target_hardware_addr: asker,
            target_protocol_addr: asker_address,
        };
        self.emit(asker, EthernetProtocol::Arp, reply.buffer_len(), |payload| {
            reply.emit(&mut ArpPacket::new_unchecked(payload));
        });
    }

    fn remember(&mut self, address: Ipv4Addr, at: EthernetAddress) {
        if self.neighbours.last() == Some(&(address, at)) {
            return;
        }
        self.neighbours.retain(|(known, _)| *known != address);
        if self.neighbours.len() >= MOST_NEIGHBOURS {
            self.neighbours.remove(0);
        }
        self.neighbours.push((address, at));
    }

    /// Sends a packet of IP to the guest that has its address, or to all. False if it is lost.
    pub(super) fn send(&mut self, packet: &[u8]) -> bool {
        let Ok(header) = Ipv4Packet::new_checked(packet) else { return false };
        let to = header.dst_addr();
        let at = self.neighbours.iter().rev().find(|(known, _)| *known == to);
        let at = at.map_or(EthernetAddress::BROADCAST, |(_, at)| *at);
        self.emit(at, EthernetProtocol::Ipv4, packet.len(), |payload| {
            payload.copy_from_slice(packet);
        })
    }

    fn emit(
        &mut self,
        to: EthernetAddress,
        ethertype: EthernetProtocol,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> bool {
        if self.waiting.len() >= MOST_WAITING {
            return false;
        }
        let header = EthernetRepr { src_addr: self.own, dst_addr: to, ethertype };
        let mut bytes = vec![0; header.buffer_len() + length];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes);
        header.emit(&mut frame);
        fill(frame.payload_mut());
        self.waiting.push_back(bytes);
        true
    }

    /// How many more frames can wait for the guest.
    pub(super) fn room(&self) -> usize {
        MOST_WAITING - self.waiting.len()
    }

    /// The first frame that waits for the guest.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.waiting.front().map(Vec::as_slice)
    }

    /// The guest has taken that.
    pub(super) fn take(&mut self) {
        self.waiting.pop_front();
    }
}
