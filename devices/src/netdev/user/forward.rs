//! Ports of the host that are a guest's: what `hostfwd` says.

use std::net::Ipv4Addr;

use device_model::{
    prelude::*,
    qom_core::{Value, ValueError, ValueType},
};

/// What travels between the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// A port of the host's that is a guest's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    pub(super) protocol: Protocol,
    /// None for all addresses of the host's.
    pub(super) host: Option<Ipv4Addr>,
    pub(super) host_port: u16,
    /// None for the first address that is leased.
    pub(super) guest: Option<Ipv4Addr>,
    pub(super) guest_port: u16,
}

/// Several of them, as properties have them
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostForwards(pub(super) Vec<Forward>);

/// How one is written.
const SYNTAX: &str = "[tcp|udp]:[HOSTADDRESS]:HOSTPORT-[GUESTADDRESS]:GUESTPORT";

/// Forwards of one network, at most.
const MOST: usize = 256;

impl Forward {
    fn parse(text: &str) -> Option<Self> {
        let (host, guest) = text.split_once('-')?;
        let (protocol, host) = host.split_once(':')?;
        let (host, host_port) = host.split_once(':')?;
        let (guest, guest_port) = guest.split_once(':')?;
        let protocol = match protocol {
            "" | "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return None,
        };
        let address = |text: &str| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        let port = |text: &str| text.parse::<u16>().ok();
        let guest_port = port(guest_port).filter(|port| *port != 0)?;
        Some(Self {
            protocol,
            host: address(host)?,
            host_port: port(host_port)?,
            guest: address(guest)?,
            guest_port,
        })
    }

    fn to_text(&self) -> String {
        let address = |address: Option<Ipv4Addr>| address.map(|it| it.to_string());
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        format!(
            "{protocol}:{}:{}-{}:{}",
            address(self.host).unwrap_or_default(),
            self.host_port,
            address(self.guest).unwrap_or_default(),
            self.guest_port
        )
    }
}

impl PropertyType for HostForwards {
    fn value_type() -> ValueType {
        ValueType::plain("list<str>")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        let forward = Forward::parse(text);
        forward
            .map(|forward| Self(vec![forward]))
            .ok_or_else(|| ValueError::Type { expected: SYNTAX, given: text.to_owned() })
    }

    /// A list of strings, or of objects with a string each, as QEMU's clients write it.
    fn from_json(value: &Value) -> Result<Self, ValueError> {
        let wrong = || ValueError::Type { expected: "a list of strings", given: value.to_string() };
        let list = value.as_array().filter(|list| list.len() <= MOST).ok_or_else(wrong)?;
        let mut forwards = Vec::with_capacity(list.len());
        for element in list {
            let text = element.as_str().or_else(|| element.get("str")?.as_str());
            forwards.extend(Self::from_text(text.ok_or_else(wrong)?)?.0);
        }
        Ok(Self(forwards))
    }

    fn to_json(&self) -> Value {
        self.0.iter().map(|forward| Value::from(forward.to_text())).collect::<Vec<_>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_read_as_qemu_reads_it() {
        let read = |text: &str| HostForwards::from_text(text).map(|read| read.to_json());
        for (text, canonical) in [
            ("tcp::5555-:22", "tcp::5555-:22"),
            (":127.0.0.1:80-10.0.2.15:8080", "tcp:127.0.0.1:80-10.0.2.15:8080"),
            ("udp:0.0.0.0:0-:53", "udp:0.0.0.0:0-:53"),
        ] {
            assert_eq!(read(text).unwrap(), serde_json::json!([canonical]));
            assert_eq!(read(canonical), read(text));
        }
        for text in [
            "",
            "tcp",
            "tcp::1",
            "tcp::1-",
            "tcp::1-:0",
            "sctp::1-:1",
            "tcp:x:1-:1",
            "tcp::x-:1",
            "tcp::65536-:1",
            "tcp:::1-:1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_has_strings_or_objects_with_one() {
        let json = serde_json::json!(["tcp::1-:2", {"str": "udp::3-:4"}]);
        let read = HostForwards::from_json(&json).unwrap();
        assert_eq!(read.to_json(), serde_json::json!(["tcp::1-:2", "udp::3-:4"]));
        for wrong in
            [serde_json::json!("tcp::1-:2"), serde_json::json!([1]), serde_json::json!([{}])]
        {
            assert!(HostForwards::from_json(&wrong).is_err(), "{wrong}");
        }
        let many = vec![Value::from("tcp::1-:2"); MOST + 1];
        assert!(HostForwards::from_json(&many.into()).is_err());
    }
}
