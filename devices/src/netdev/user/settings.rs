//! The properties of a user-mode network, and what they mean together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use device_model::prelude::*;

use super::{
    forward::HostForwards,
    network::{self, Network},
};

/// The properties that make the addresses.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) net: String,
    pub(super) host: Option<String>,
    pub(super) dns: Option<String>,
    pub(super) dhcpstart: Option<String>,
    pub(super) resolver: Option<String>,
    pub(super) hostfwd: HostForwards,
}

/// How many bits addresses share, at least and at most: the network has as many as 16 million and
/// as few as 16.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=28;

fn refused(property: &'static str, expected: &str, given: &str) -> PlanError {
    let problem = format!("Parameter '{property}' expects {expected}, got '{given}'");
    PlanError::refused(property, problem)
}

impl Settings {
    fn of(configuration: &Configuration<'_>) -> Result<Self, PlanError> {
        Ok(Self {
            net: configuration.get("net")?,
            host: configuration.get("host")?,
            dns: configuration.get("dns")?,
            dhcpstart: configuration.get("dhcpstart")?,
            resolver: configuration.get("resolver")?,
            hostfwd: configuration.get("hostfwd")?,
        })
    }

    /// # Errors
    /// If the addresses are none, contradict each other, or are not the network's.
    pub(super) fn network(&self) -> Result<Network, PlanError> {
        let wrong = || refused("net", "an address with 8 to 28 bits, as 10.0.2.0/24", &self.net);
        let (base, prefix) = self.net.split_once('/').unwrap_or((&self.net, "24"));
        let base: Ipv4Addr = base.parse().map_err(|_| wrong())?;
        let prefix =
            prefix.parse().ok().filter(|bits| PREFIXES.contains(bits)).ok_or_else(wrong)?;
        let mut network = Network { base, prefix, host: base, dns: base, first_lease: base };
        if base & network.mask() != base || base.is_loopback() || base.is_multicast() {
            return Err(wrong());
        }
        let of = |property, given: &Option<String>, number| match given {
            None => Ok(Ipv4Addr::from_bits(base.to_bits() | number)),
            Some(given) => {
                let address = given.parse().ok();
                let usable = address.filter(|address: &Ipv4Addr| {
                    network.contains(*address) && ![base, network.broadcast()].contains(address)
                });
                usable.ok_or_else(|| refused(property, "an address of the network's", given))
            }
        };
        // The fifteenth address of the smallest network stands for all of it.
        let first = if prefix == 28 { 4 } else { 15 };
        let (host, dns, first_lease) = (
            of("host", &self.host, 2)?,
            of("dns", &self.dns, 3)?,
            of("dhcpstart", &self.dhcpstart, first)?,
        );
        network = Network { host, dns, first_lease, ..network };
        let same = |property, given: Ipv4Addr| {
            refused(property, "an address that is not another's", &given.to_string())
        };
        if host == dns {
            return Err(same("dns", dns));
        }
        if !network.may_be_guest(first_lease) {
            return Err(same("dhcpstart", first_lease));
        }
        Ok(network)
    }

    /// Where questions for names go, if the user says.
    ///
    /// # Errors
    /// If it is no address.
    pub(super) fn resolver(&self) -> Result<Option<SocketAddr>, PlanError> {
        let Some(text) = &self.resolver else { return Ok(None) };
        let with_port = text.parse::<SocketAddr>().ok();
        let address = with_port.or_else(|| Some((text.parse::<Ipv4Addr>().ok()?, 53).into()));
        let wrong = || refused("resolver", "an address with or without a port", text);
        address.map(Some).ok_or_else(wrong)
    }
}

/// Judges `resolver`: its port is any, and what listens there hears from this host, not from a guest.
/// That services of this host do is what `host-loopback` states already.
pub(super) fn resolver_is_none_of_a_routers(
    configuration: &Configuration<'_>,
) -> Result<bool, PlanError> {
    let Some(resolver) = Settings::of(configuration)?.resolver()? else { return Ok(false) };
    let address = resolver.ip().to_canonical();
    if address.is_unspecified() || address.is_loopback() || network::is_own(address) {
        return Ok(!configuration.get::<bool>("host-loopback")?);
    }
    Ok(match address {
        IpAddr::V4(address) => !network::is_forwarded(address),
        // Those of one link (RFC 4291, section 2.5.6), and groups.
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_multicast(),
    })
}

/// Whether other hosts reach ports that are the guest's.
pub(super) fn forwards_are_exposed(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let forwards: HostForwards = configuration.get("hostfwd")?;
    Ok(forwards.0.iter().any(|forward| !forward.host.is_some_and(|host| host.is_loopback())))
}

/// Refuses a configuration that means nothing. It announces no children.
pub(super) fn check(
    configuration: &Configuration<'_>,
    _children: &mut Children,
) -> Result<(), PlanError> {
    let settings = Settings::of(configuration)?;
    let network = settings.network()?;
    settings.resolver()?;
    let guests = settings.hostfwd.0.iter().filter_map(|forward| forward.guest);
    for guest in guests {
        if !network.may_be_guest(guest) {
            let expected = "an address that a guest of this network may have";
            return Err(refused("hostfwd", expected, &guest.to_string()));
        }
    }
    Ok(())
}
