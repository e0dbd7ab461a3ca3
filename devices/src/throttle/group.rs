//! `throttle-group`: limits that its members share.

use std::{io, sync::Arc};

use device_model::{
    prelude::*,
    qom_core::{BoxedError, Source},
    throttle::{Throttle, ThrottleMember},
};

use super::{limits::Limits, members::Members};

/// Limits on input and output that all its members share
///
/// They are given as `limits` or, one by one, with the names of its members behind `x-`. Those tell
/// what was given at creation; `limits` tells and changes what holds.
#[qom_type(secure, parent = Throttle, interfaces(UserCreatable), children = check)]
#[derive(Debug)]
pub struct ThrottleGroup {
    /// The limits
    #[property(live)]
    limits: Live<Limits>,
    /// Bytes a second, in both directions; 0 for no limit
    #[property]
    x_bps_total: u64,
    /// The same in bursts
    #[property]
    x_bps_total_max: u64,
    /// How many seconds such a burst may last
    #[property(default = 1)]
    x_bps_total_max_length: u64,
    /// Bytes a second to the guest; 0 for no limit
    #[property]
    x_bps_read: u64,
    /// The same in bursts
    #[property]
    x_bps_read_max: u64,
    /// How many seconds such a burst may last
    #[property(default = 1)]
    x_bps_read_max_length: u64,
    /// Bytes a second from the guest; 0 for no limit
    #[property]
    x_bps_write: u64,
    /// The same in bursts
    #[property]
    x_bps_write_max: u64,
    /// How many seconds such a burst may last
    #[property(default = 1)]
    x_bps_write_max_length: u64,
    /// Operations a second, in both directions; 0 for no limit
    #[property]
    x_iops_total: u64,
    /// The same in bursts
    #[property]
    x_iops_total_max: u64,
    /// How many seconds such a burst may last
    #[property(default = 1)]
    x_iops_total_max_length: u64,
    /// Operations a second that read; 0 for no limit
    #[property]
    x_iops_read: u64,
    /// The same in bursts
    #[property]
    x_iops_read_max: u64,
    /// How many seconds such a burst may last
    #[property(default = 1)]
    x_iops_read_max_length: u64,
    /// Operations a second that write; 0 for no limit
    #[property]
    x_iops_write: u64,
    /// The same in bursts
    #[property]
    x_iops_write_max: u64,
    /// How many seconds such a burst may last
    #[property(default = 1)]
    x_iops_write_max_length: u64,
    /// Bytes that count as one operation; 0 if each counts once
    #[property]
    x_iops_size: u64,
    members: Realized<Arc<Members>>,
}

/// Before the names of limits that are given one by one.
const ONE_BY_ONE: &str = "x-";

/// The limits that are given one by one; none if none is.
fn given_one_by_one(configuration: &Configuration<'_>) -> Result<Option<Limits>, PlanError> {
    let mut given = Vec::new();
    for (name, _) in Limits::default().numbers() {
        let property = format!("{ONE_BY_ONE}{name}");
        if configuration.source(&property)? != Source::Default {
            given.push((name, configuration.get::<u64>(&property)?));
        }
    }
    let number = |name| given.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
    match given.is_empty() {
        true => Ok(None),
        false => Limits::of(number)
            .map(Some)
            .map_err(|error| PlanError::Refused(format!("the group of limits {error}"))),
    }
}

/// Refuses limits that contradict each other. It announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    let one_by_one = given_one_by_one(configuration)?.is_some();
    if one_by_one && configuration.source("limits")? != Source::Default {
        let problem = "expected 'limits', or limits one by one, not both";
        return Err(PlanError::refused("limits", problem));
    }
    Ok(())
}

impl ThrottleGroup {
    /// The limits that were given one by one, as they were checked.
    fn one_by_one(object: &Obj) -> Result<Limits, BoxedError> {
        let number = |name| object.get(&format!("{ONE_BY_ONE}{name}"))?.as_u64();
        Ok(Limits::of(number)?)
    }
}

impl Throttle for ThrottleGroup {
    fn join(&self, events: &Arc<EventLoop>) -> io::Result<Box<dyn ThrottleMember>> {
        let members = self.members.get().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Box::new(members.join(events)?))
    }
}

impl UserCreatable for ThrottleGroup {
    fn complete(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let one_by_one = Self::one_by_one(object)?;
        if one_by_one != Limits::default() {
            self.limits.set(one_by_one);
        }
        let this = object.cast::<Self>().map(|this| Arc::downgrade(&this));
        let limits = move || Some(this.as_ref()?.upgrade()?.limits.get());
        let members = Members::new(platform.clock(), platform.events(), Box::new(limits))
            .map_err(|error| format!("can't create a timer: {error}"))?;
        self.members.set(members);
        Ok(())
    }

    fn undo(&self) {
        self.members.clear();
    }
}
