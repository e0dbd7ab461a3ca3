//! The properties of a TAP network, and what they mean together.

use std::{io, os::fd::OwnedFd};

use device_model::{
    descriptors::{Descriptors, examine},
    prelude::*,
};
use tap_interface::Tap;

/// Word for no program.
const NO: &str = "no";

/// The properties that count.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) fd: Option<u32>,
    pub(super) fds: Option<String>,
    pub(super) ifname: Option<String>,
    pub(super) queues: Option<u16>,
    pub(super) vnet_hdr: Option<bool>,
    pub(super) script: String,
    pub(super) downscript: String,
    pub(super) vhost: Option<bool>,
}

/// Where the queues come from.
#[derive(Debug)]
pub(super) enum Source {
    /// Descriptors that were handed over, each a queue, with the property's name.
    Inherited(&'static str, Vec<u32>),
    /// An interface of that name, of so many queues.
    Opened(String, u16),
}

/// How the kernel names an interface, unless the user does.
const ANY_NAME: &str = "tap%d";

/// Queues that an interface has at most (`MAX_TAP_QUEUES` of drivers/net/tun.c).
pub(super) const MOST_QUEUES: u16 = 256;

impl Settings {
    pub(super) fn of(configuration: &Configuration<'_>) -> Result<Self, PlanError> {
        Ok(Self {
            fd: configuration.get("fd")?,
            fds: configuration.get("fds")?,
            ifname: configuration.get("ifname")?,
            queues: configuration.get("queues")?,
            vnet_hdr: configuration.get("vnet_hdr")?,
            script: configuration.get("script")?,
            downscript: configuration.get("downscript")?,
            vhost: configuration.get("vhost")?,
        })
    }

    /// # Errors
    /// If the properties contradict each other.
    pub(super) fn source(&self) -> Result<Source, PlanError> {
        if self.vhost == Some(true) {
            let problem = "Parameter 'vhost' expects 'off': frames are not left to the kernel";
            return Err(PlanError::refused("vhost", problem));
        }
        let inherited = match (self.fd, &self.fds) {
            (Some(_), Some(_)) => {
                let problem = "Parameter 'fds' contradicts 'fd': give one of them";
                return Err(PlanError::refused("fds", problem));
            }
            (Some(fd), None) => ("fd", vec![fd]),
            (None, Some(fds)) => ("fds", numbers(fds)?),
            (None, None) => {
                let name = self.ifname.clone().unwrap_or_else(|| ANY_NAME.to_owned());
                return Ok(Source::Opened(name, self.queues.unwrap_or(1)));
            }
        };
        let only = |property, given| match given {
            true => Err(PlanError::refused(
                property,
                format!("Parameter '{property}' contradicts '{}'", inherited.0),
            )),
            false => Ok(()),
        };
        only("ifname", self.ifname.is_some())?;
        only("queues", self.queues.is_some())?;
        only("vnet_hdr", self.vnet_hdr.is_some())?;
        only("script", program(&self.script).is_some())?;
        only("downscript", program(&self.downscript).is_some())?;
        Ok(Source::Inherited(inherited.0, inherited.1))
    }
}

/// The program that a property names; none if it names none.
pub(super) fn program(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty() && *value != NO)
}

/// Numbers between colons.
fn numbers(fds: &str) -> Result<Vec<u32>, PlanError> {
    let numbers: Result<Vec<u32>, _> = fds.split(':').map(u32::from_text).collect();
    numbers.ok().filter(|numbers| numbers.len() <= usize::from(MOST_QUEUES)).ok_or_else(|| {
        let problem = format!(
            "Parameter 'fds' expects at most {MOST_QUEUES} descriptors' numbers with colons between \
             them, got '{fds}'"
        );
        PlanError::refused("fds", problem)
    })
}

/// All queues of descriptors that were handed over.
///
/// # Errors
/// If one is no queue of a TAP interface, or the program's own, or they are not of one and the same.
pub(super) fn inherit_all(
    property: &'static str,
    fds: &[u32],
    descriptors: &Descriptors,
) -> Result<Vec<Tap>, PlanError> {
    queues(property, fds, |fd| descriptors.duplicate(fd))
}

/// Takes the descriptors over that are found by their numbers.
fn queues(
    property: &'static str,
    fds: &[u32],
    find: impl Fn(u32) -> io::Result<OwnedFd>,
) -> Result<Vec<Tap>, PlanError> {
    let tap = |fd: &u32| {
        find(*fd).and_then(Tap::from_descriptor).map_err(|error| {
            PlanError::refused(property, format!("Parameter '{property}' is '{fd}': {error}"))
        })
    };
    let taps: Vec<_> = fds.iter().map(tap).collect::<Result<_, _>>()?;
    let same = |pair: &[Tap]| {
        let [one, next] = pair else { return true };
        (one.name(), one.kind()) == (next.name(), next.kind())
    };
    match taps.windows(2).all(same) {
        true => Ok(taps),
        false => Err(PlanError::refused(
            property,
            format!("Parameter '{property}' expects queues of one and the same interface"),
        )),
    }
}

/// Refuses a configuration that means nothing. It announces no children.
pub(super) fn check(
    configuration: &Configuration<'_>,
    _children: &mut Children,
) -> Result<(), PlanError> {
    match Settings::of(configuration)?.source()? {
        Source::Inherited(property, fds) => queues(property, &fds, examine).map(|_| ()),
        Source::Opened(..) => Ok(()),
    }
}

/// Judges `script`.
pub(super) fn runs_script(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(program(&configuration.get::<String>("script")?).is_some())
}

/// Judges `downscript`.
pub(super) fn runs_downscript(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(program(&configuration.get::<String>("downscript")?).is_some())
}
