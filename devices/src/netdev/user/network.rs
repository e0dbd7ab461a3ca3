//! The addresses of a user-mode network, and where what a guest sends is to go.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
};

/// The addresses of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// Its first address, which no host has.
    pub(super) base: Ipv4Addr,
    /// How many bits all of its addresses share.
    pub(super) prefix: u8,
    /// The gateway, which also leases addresses.
    pub(super) host: Ipv4Addr,
    /// The server of names.
    pub(super) dns: Ipv4Addr,
    /// The first address that is leased.
    pub(super) first_lease: Ipv4Addr,
}

/// Addresses that are leased, from the first on.
pub(super) const LEASES: u32 = 16;

/// Where a packet is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// To the gateway itself.
    Gateway,
    /// To the server of names.
    Resolver,
    /// To another host.
    Outside(Ipv4Addr),
    /// Nowhere.
    Nowhere,
}

impl Network {
    /// What its addresses share, as a mask.
    pub(super) fn mask(&self) -> Ipv4Addr {
        let bits = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
        Ipv4Addr::from_bits(bits)
    }

    /// Its last address, which stands for all of its hosts.
    pub(super) fn broadcast(&self) -> Ipv4Addr {
        self.base | !self.mask()
    }

    /// Whether an address belongs to it.
    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        address & self.mask() == self.base
    }

    /// Whether a guest may have that address.
    pub(super) fn may_be_guest(&self, address: Ipv4Addr) -> bool {
        let taken = [self.base, self.broadcast(), self.host, self.dns];
        self.contains(address) && !taken.contains(&address)
    }

    /// The addresses that are leased.
    pub(super) fn leases(&self) -> impl Iterator<Item = Ipv4Addr> {
        let first = self.first_lease.to_bits();
        let all = (0..LEASES).filter_map(move |number| first.checked_add(number));
        let network = *self;
        all.map(Ipv4Addr::from_bits).filter(move |address| network.may_be_guest(*address))
    }

    /// Where what is sent to an address goes.
    pub(super) fn destination(&self, address: Ipv4Addr) -> Destination {
        if address == self.host {
            Destination::Gateway
        } else if address == self.dns {
            Destination::Resolver
        } else if self.contains(address) || !is_forwarded(address) {
            Destination::Nowhere
        } else {
            Destination::Outside(address)
        }
    }
}

/// Whether a router passes on what is sent to an address (RFC 6890, section 2.2.2, whose addresses
/// for documentation and the like lead nowhere by themselves).
pub(super) fn is_forwarded(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    // "This host on this network", and those reserved for the future with the broadcast address.
    let special = first == 0 || first >= 240;
    !special && !address.is_loopback() && !address.is_link_local() && !address.is_multicast()
}

/// Whether an address is one of this host's own, so that whatever listens here takes whoever comes
/// from it for somebody local. True too if that can't be told, as on a host that lets anybody bind to
/// any address (`net.ipv4.ip_nonlocal_bind`).
pub(super) fn is_own(address: IpAddr) -> bool {
    // Nobody is told, and nothing comes: it is closed at once. The kernel binds to its own addresses
    // alone, and knows more of them than an interface's first.
    match UdpSocket::bind((address, 0)) {
        Err(error) => error.kind() != ErrorKind::AddrNotAvailable,
        Ok(_) => true,
    }
}

/// The first server of names in the text of a `resolv.conf` (resolv.conf(5)) that has an address of
/// IP version 4.
pub(super) fn first_nameserver(text: &str) -> Option<SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse::<Ipv4Addr>().ok())?
    });
    servers.map(|server| SocketAddr::from((server, 53))).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network = Network {
        base: Ipv4Addr::new(10, 0, 2, 0),
        prefix: 24,
        host: Ipv4Addr::new(10, 0, 2, 2),
        dns: Ipv4Addr::new(10, 0, 2, 3),
        first_lease: Ipv4Addr::new(10, 0, 2, 250),
    };

    fn goes(address: [u8; 4]) -> Destination {
        NETWORK.destination(address.into())
    }

    #[test]
    fn what_no_router_would_pass_on_goes_nowhere() {
        for address in [
            [0, 0, 0, 0],
            [0, 1, 2, 3],
            [10, 0, 2, 0],
            [10, 0, 2, 77],
            [10, 0, 2, 255],
            [127, 0, 0, 1],
            [127, 255, 255, 254],
            [169, 254, 169, 254],
            [224, 0, 0, 1],
            [239, 255, 255, 255],
            [240, 0, 0, 1],
            [255, 255, 255, 255],
        ] {
            assert_eq!(goes(address), Destination::Nowhere, "{address:?}");
        }
        assert_eq!(goes([10, 0, 2, 2]), Destination::Gateway);
        assert_eq!(goes([10, 0, 2, 3]), Destination::Resolver);
        for address in [[10, 0, 3, 2], [1, 1, 1, 1], [192, 168, 0, 1], [223, 255, 255, 255]] {
            assert_eq!(goes(address), Destination::Outside(address.into()));
        }
    }

    #[test]
    fn a_guest_has_none_of_the_networks_own_addresses() {
        let may = |last| NETWORK.may_be_guest(Ipv4Addr::new(10, 0, 2, last));
        assert!([0, 2, 3, 255].into_iter().all(|last| !may(last)));
        assert!([1, 4, 15, 254].into_iter().all(may));
        assert!(!NETWORK.may_be_guest(Ipv4Addr::new(10, 0, 3, 15)));
        let leases: Vec<_> = NETWORK.leases().map(|lease| lease.octets()[3]).collect();
        assert_eq!(leases, [250, 251, 252, 253, 254]);
    }

    #[test]
    fn this_host_knows_its_own_addresses() {
        assert!(is_own(Ipv4Addr::LOCALHOST.into()) && is_own([127, 9, 9, 9].into()));
        // Of a network for documentation (RFC 5737), which no host is in.
        assert!(!is_own([198, 51, 100, 77].into()));
    }

    #[test]
    fn the_first_server_of_names_counts_that_is_of_version_4() {
        let text = "# nameserver 9.9.9.9\nsearch example\nnameserver fe80::1%eth0\nnameserver\n \
                    nameserver\t127.0.0.53 \nnameserver 8.8.8.8\n";
        assert_eq!(first_nameserver(text), Some(([127, 0, 0, 53], 53).into()));
        assert_eq!(first_nameserver("nameserver example"), None);
    }
}
