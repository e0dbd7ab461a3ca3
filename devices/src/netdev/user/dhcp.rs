//! The server that leases addresses (DHCP, RFC 2131).

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress,
};

use super::{network::Network, packet::datagram};

/// Seconds for which an address is leased. It stays the same client's after that too, while there
/// are others.
const LEASE: u32 = 86_400;

/// Who has which address.
#[derive(Default)]
pub(super) struct Leases(Vec<(EthernetAddress, Ipv4Addr)>);

impl Leases {
    /// The address of a client: its own, or one that nobody has, or one that somebody has had for
    /// the longest time. None if the network leases none.
    fn lease(&mut self, network: &Network, client: EthernetAddress) -> Option<Ipv4Addr> {
        if let Some((_, address)) = self.0.iter().find(|(known, _)| *known == client) {
            return Some(*address);
        }
        let is_free = |address: &Ipv4Addr| !self.0.iter().any(|(_, taken)| taken == address);
        let address = match network.leases().find(is_free) {
            Some(address) => address,
            None if self.0.is_empty() => return None,
            None => self.0.remove(0).1,
        };
        self.0.push((client, address));
        Some(address)
    }

    /// The packet that answers a message; none if there is nothing to say.
    pub(super) fn answer(&mut self, network: &Network, message: &[u8]) -> Option<Vec<u8>> {
        let message = DhcpPacket::new_checked(message).ok()?;
        let request = DhcpRepr::parse(&message).ok()?;
        let client = request.client_hardware_address;
        if !client.is_unicast() || !request.relay_agent_ip.is_unspecified() {
            return None;
        }
        if request.server_identifier.is_some_and(|server| server != network.host) {
            // Another server's offer was taken.
            return None;
        }
        let message_type = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request => {
                let own = Some(self.lease(network, client)?);
                let wanted = request.requested_ip.or(Some(request.client_ip));
                match wanted == own {
                    true => DhcpMessageType::Ack,
                    false => DhcpMessageType::Nak,
                }
            }
            DhcpMessageType::Release => {
                self.0.retain(|(known, _)| *known != client);
                return None;
            }
            _ => return None,
        };
        let refuses = message_type == DhcpMessageType::Nak;
        let leased = if refuses { Ipv4Addr::UNSPECIFIED } else { self.lease(network, client)? };
        let given = |value| (!refuses).then_some(value);
        let reply = DhcpRepr {
            message_type,
            transaction_id: request.transaction_id,
            secs: 0,
            client_hardware_address: client,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: leased,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: given(network.host),
            subnet_mask: given(network.mask()),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: request.broadcast,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(network.host),
            parameter_request_list: None,
            dns_servers: (!refuses).then(|| [network.dns].into_iter().collect()),
            max_size: None,
            lease_duration: (!refuses).then_some(LEASE),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        let mut bytes = vec![0; reply.buffer_len()];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).ok()?;
        let from = SocketAddrV4::new(network.host, DHCP_SERVER_PORT);
        // Whoever asks for an address has none yet that it could be reached at.
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, DHCP_CLIENT_PORT);
        datagram(from, to, &bytes)
    }
}
