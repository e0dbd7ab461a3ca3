//! Addresses of the internet: who can reach them, and which a host's name stands for.

use std::{
    fmt, io,
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    os::fd::BorrowedFd,
};

use device_model::prelude::*;
use rustix::net::{AddressFamily, getsockname};

use super::resolver;

/// The name that stands for the host itself (RFC 6761, section 6.3).
const LOCALHOST: &str = "localhost";

/// Which versions of the protocol are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Families {
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
}

impl Families {
    /// As the user's `ipv4` and `ipv6` say: one that is wanted excludes the other unless that is
    /// wanted too. None if both are excluded.
    pub(crate) fn of(ipv4: Option<bool>, ipv6: Option<bool>) -> Option<Self> {
        let families = match (ipv4, ipv6) {
            (None, None) => Self { ipv4: true, ipv6: true },
            (ipv4, None) => Self { ipv4: ipv4 == Some(true), ipv6: ipv4 == Some(false) },
            (None, ipv6) => Self { ipv4: ipv6 == Some(false), ipv6: ipv6 == Some(true) },
            (Some(ipv4), Some(ipv6)) => Self { ipv4, ipv6 },
        };
        (families.ipv4 || families.ipv6).then_some(families)
    }

    fn has(self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.ipv4 } else { self.ipv6 }
    }
}

/// Whether a host, as a user names it, is this one whatever a resolver says: `localhost`, or an
/// address of 127.0.0.0/8 or `::1`.
pub(crate) fn names_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case(LOCALHOST)
        || host.parse::<IpAddr>().is_ok_and(|address| is_loopback(&address))
}

/// Whether only this host can reach an address.
pub(crate) fn is_loopback(address: &IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a descriptor is a socket that may lead to another host: of the internet and not bound to a
/// loopback address, or of a family that is none of this host's alone.
pub(crate) fn is_exposed_socket(descriptor: BorrowedFd<'_>) -> bool {
    let Ok(own) = getsockname(descriptor) else { return false };
    match own.address_family() {
        AddressFamily::UNIX => false,
        // What is bound to a loopback address is connected to such, if at all.
        AddressFamily::INET | AddressFamily::INET6 => {
            SocketAddr::try_from(own).map_or(true, |own| !is_loopback(&own.ip()))
        }
        _ => true,
    }
}

/// The addresses that a host's name stands for; all of this host's if it is empty. That of a host
/// that [`names_loopback`] are loopback addresses.
///
/// # Errors
/// If there are none of those families, or the resolver does not answer in time.
pub(crate) fn resolve(host: &str, port: u16, families: Families) -> io::Result<Vec<SocketAddr>> {
    // As the resolver takes it, which would also take a network interface's name after it.
    let resolved: Vec<SocketAddr> = match host {
        "" => vec![(IpAddr::from([0_u16; 8]), port).into(), (IpAddr::from([0_u8; 4]), port).into()],
        host => resolver::look_up(host, port).map_err(|error| {
            io::Error::new(error.kind(), format!("can't resolve '{host}': {error}"))
        })?,
    };
    // Whoever edits the host's table of names is not to open what was judged to be closed.
    let only_loopback = names_loopback(host);
    let usable: Vec<_> = resolved
        .into_iter()
        .filter(|address| families.has(address.ip()))
        .filter(|address| !only_loopback || is_loopback(&address.ip()))
        .collect();
    if usable.is_empty() {
        let problem = format!("'{host}' has no address of the kind that is wanted");
        return Err(io::Error::new(ErrorKind::AddrNotAvailable, problem));
    }
    Ok(usable)
}

/// Checks what a host's name is at all.
///
/// # Errors
/// If a resolver could not be asked for it.
pub(crate) fn check_name(property: &'static str, host: &str) -> Result<(), PlanError> {
    // RFC 1035, section 2.3.4, limits names to 255 octets.
    if host.len() > 255 || host.contains(|letter: char| letter.is_control() || letter == ' ') {
        return Err(PlanError::refused(
            property,
            format!("Parameter '{property}' expects the name or address of a host"),
        ));
    }
    Ok(())
}

/// A host and a port, as users write them: an address of IP version 6 stands in brackets.
pub(crate) struct HostPort<'a>(pub(crate) &'a str, pub(crate) u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, port) = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Families = Families { ipv4: true, ipv6: true };

    #[test]
    fn only_what_no_resolver_can_change_names_loopback() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.255.255.254", "::1"] {
            assert!(names_loopback(host), "{host}");
        }
        for host in [
            "",
            "0.0.0.0",
            "::",
            "127.1",
            "0127.0.0.1",
            "2130706433",
            "10.0.0.1",
            "128.0.0.1",
            "localhost.example",
            "localhost.",
            " localhost",
            "::2",
            "::ffff:10.0.0.1",
            "[::1]",
            "fe80::1",
        ] {
            assert!(!names_loopback(host), "{host}");
        }
        assert!(names_loopback("::ffff:127.0.0.1"), "which is 127.0.0.1");
    }

    #[test]
    fn a_family_that_is_wanted_excludes_the_other() {
        let only_4 = Some(Families { ipv4: true, ipv6: false });
        let only_6 = Some(Families { ipv4: false, ipv6: true });
        assert_eq!(Families::of(None, None), Some(BOTH));
        assert_eq!(Families::of(Some(true), None), only_4);
        assert_eq!(Families::of(None, Some(false)), only_4);
        assert_eq!(Families::of(Some(true), Some(false)), only_4);
        assert_eq!(Families::of(Some(false), None), only_6);
        assert_eq!(Families::of(None, Some(true)), only_6);
        assert_eq!(Families::of(Some(true), Some(true)), Some(BOTH));
        assert_eq!(Families::of(Some(false), Some(false)), None);
    }

    #[test]
    fn what_is_judged_to_be_loopback_resolves_to_nothing_else() {
        for host in ["localhost", "127.0.0.1", "127.3.2.1"] {
            let only_4 = Families { ipv4: true, ipv6: false };
            let found = resolve(host, 7, only_4).unwrap();
            assert!(found.iter().all(|address| is_loopback(&address.ip())), "{found:?}");
        }
    }

    #[test]
    fn an_address_of_a_family_that_is_not_wanted_is_none() {
        let only_6 = Families { ipv4: false, ipv6: true };
        let error = resolve("127.0.0.1", 7, only_6).unwrap_err();
        assert_eq!(error.to_string(), "'127.0.0.1' has no address of the kind that is wanted");
    }

    #[test]
    fn ports_are_told_from_addresses() {
        assert_eq!(HostPort("::1", 4).to_string(), "[::1]:4");
        assert_eq!(HostPort("127.0.0.1", 4).to_string(), "127.0.0.1:4");
    }
}
