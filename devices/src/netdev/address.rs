//! Where a socket is, as QEMU's `SocketAddress` says it in several properties: `addr.type`,
//! `addr.host`, …

use device_model::{
    prelude::*,
    qom_core::{ValueError, ValueType},
};
use rustix::net::SocketAddrUnix;

use crate::chardev::{
    inet::{self, Families},
    socket::settings::{Address, LONGEST_ABSTRACT_NAME},
};

/// What kind of address it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PropertyEnum)]
pub enum AddressType {
    /// A host and a port.
    Inet,
    /// A path, or an abstract name.
    Unix,
    /// A descriptor that the process was started with.
    Fd,
}

/// A port, which QEMU's clients write as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortNumber(pub u16);

impl PropertyType for PortNumber {
    fn value_type() -> ValueType {
        u16::value_type()
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        u16::from_text(text).map(Self)
    }

    fn from_json(value: &qom_core::Value) -> Result<Self, ValueError> {
        match value.as_str() {
            Some(text) => Self::from_text(text),
            None => u16::from_json(value).map(Self),
        }
    }

    fn to_json(&self) -> qom_core::Value {
        self.0.to_json()
    }
}

/// The names of the properties of one address.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) prefix: &'static str,
    pub(super) kind: &'static str,
    pub(super) host: &'static str,
    pub(super) port: &'static str,
    pub(super) path: &'static str,
    pub(super) descriptor: &'static str,
    pub(super) abstract_name: &'static str,
    pub(super) ipv6: &'static str,
}

/// The [`Names`] behind a prefix.
macro_rules! names {
    ($prefix:literal) => {
        $crate::netdev::address::Names {
            prefix: $prefix,
            kind: concat!($prefix, ".type"),
            host: concat!($prefix, ".host"),
            port: concat!($prefix, ".port"),
            path: concat!($prefix, ".path"),
            descriptor: concat!($prefix, ".str"),
            abstract_name: concat!($prefix, ".abstract"),
            ipv6: concat!($prefix, ".ipv6"),
        }
    };
}

pub(super) use names;

/// The values of the properties of one address.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) kind: Option<AddressType>,
    pub(super) host: Option<String>,
    pub(super) port: Option<PortNumber>,
    pub(super) path: Option<String>,
    pub(super) descriptor: Option<String>,
    pub(super) abstract_name: bool,
    pub(super) tight: bool,
    pub(super) ipv4: Option<bool>,
    pub(super) ipv6: Option<bool>,
}

impl Fields {
    /// As a user has set them. Some kinds of network have no abstract names, or take addresses of
    /// either version.
    pub(super) fn of(configuration: &Configuration<'_>, names: &Names) -> Result<Self, PlanError> {
        let class = configuration.class();
        let has = |property: &str| class.property(property).is_some();
        let switch = |property: &str| match has(property) {
            true => configuration.get::<bool>(property),
            false => Ok(false),
        };
        let choice = |property: &str| match has(property) {
            true => configuration.get::<Option<bool>>(property),
            false => Ok(None),
        };
        Ok(Self {
            kind: configuration.get(names.kind)?,
            host: configuration.get(names.host)?,
            port: configuration.get(names.port)?,
            path: configuration.get(names.path)?,
            descriptor: match has(names.descriptor) {
                true => configuration.get(names.descriptor)?,
                false => None,
            },
            abstract_name: switch(names.abstract_name)?,
            tight: switch(&format!("{}.tight", names.prefix))?,
            ipv4: choice(&format!("{}.ipv4", names.prefix))?,
            ipv6: choice(names.ipv6)?,
        })
    }

    /// The address that they make; none if none of them is set.
    ///
    /// # Errors
    /// If they contradict each other, or say too little.
    pub(super) fn address(&self, names: &Names) -> Result<Option<Address>, PlanError> {
        let Some(kind) = self.kind else {
            for (property, given) in [
                (names.host, self.host.is_some()),
                (names.port, self.port.is_some()),
                (names.path, self.path.is_some()),
                (names.descriptor, self.descriptor.is_some()),
            ] {
                if given {
                    return Err(PlanError::refused(
                        property,
                        format!("Parameter '{property}' needs '{}' with it", names.kind),
                    ));
                }
            }
            return Ok(None);
        };
        self.check_kind(kind, names)?;
        match kind {
            AddressType::Inet => self.inet(names),
            AddressType::Unix => self.unix(names),
            AddressType::Fd => {
                let text = self.descriptor.as_deref();
                let text = text.ok_or(PlanError::Missing { property: names.descriptor })?;
                match u32::from_text(text) {
                    Ok(number) => Ok(Address::Inherited(number)),
                    Err(error) => {
                        let property = names.descriptor;
                        Err(PlanError::refused(property, format!("Parameter '{property}' {error}")))
                    }
                }
            }
        }
        .map(Some)
    }

    /// Checks what is only for some addresses.
    fn check_kind(&self, kind: AddressType, names: &Names) -> Result<(), PlanError> {
        for (property, given, of) in [
            (names.host, self.host.is_some(), AddressType::Inet),
            (names.port, self.port.is_some(), AddressType::Inet),
            (names.ipv6, self.ipv4.is_some() || self.ipv6.is_some(), AddressType::Inet),
            (names.path, self.path.is_some(), AddressType::Unix),
            (names.abstract_name, self.abstract_name, AddressType::Unix),
            (names.descriptor, self.descriptor.is_some(), AddressType::Fd),
        ] {
            if given && kind != of {
                let of = of.to_json();
                let of = of.as_str().unwrap_or_default();
                return Err(PlanError::refused(
                    property,
                    format!("Parameter '{property}' is only for '{}={of}'", names.kind),
                ));
            }
        }
        Ok(())
    }

    fn inet(&self, names: &Names) -> Result<Address, PlanError> {
        let host = self.host.as_deref().ok_or(PlanError::Missing { property: names.host })?;
        let port = self.port.ok_or(PlanError::Missing { property: names.port })?.0;
        inet::check_name(names.host, host)?;
        let Some(families) = Families::of(self.ipv4, self.ipv6) else {
            let problem =
                format!("Parameter '{}' excludes what '{}.ipv4' leaves", names.ipv6, names.prefix);
            return Err(PlanError::refused(names.ipv6, problem));
        };
        Ok(Address::Inet { host: host.to_owned(), port, last: port, families })
    }

    fn unix(&self, names: &Names) -> Result<Address, PlanError> {
        let path = self.path.as_deref().ok_or(PlanError::Missing { property: names.path })?;
        let problem = |what: &str| {
            let problem = format!("Parameter '{}' expects {what}", names.path);
            PlanError::refused(names.path, problem)
        };
        if path.is_empty() {
            return Err(problem("a path or name, got none"));
        }
        if self.abstract_name {
            let mut name = path.as_bytes().to_vec();
            if !self.tight {
                name.resize(LONGEST_ABSTRACT_NAME.max(name.len()), 0);
            }
            let address = SocketAddrUnix::new_abstract_name(&name)
                .map_err(|_| problem("an abstract name of at most 107 bytes"))?;
            return Ok(Address::Abstract(path.to_owned(), address));
        }
        let address = SocketAddrUnix::new(path)
            .map_err(|_| problem("a path of at most 108 bytes, none of them zero"))?;
        Ok(Address::Path(path.to_owned(), address))
    }
}

/// Whether others than this host can be at the other end of a socket with that host.
pub(super) fn is_host_exposed(
    configuration: &Configuration<'_>,
    names: &Names,
) -> Result<bool, PlanError> {
    let host: Option<String> = configuration.get(names.host)?;
    Ok(host.is_some_and(|host| !inet::names_loopback(&host)))
}
