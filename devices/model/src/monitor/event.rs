//! Events: what clients hear of without having asked.

use std::{fmt, time::SystemTime};

use qom_core::{Place, Value};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use super::{
    command::{Lifecycle, told_schema},
    table::Named,
};

/// Something that happens to a VM.
pub trait Event: Serialize + JsonSchema {
    /// Its name on the wire.
    const NAME: &'static str;
    /// Whether clients can count on it.
    const LIFECYCLE: Lifecycle = Lifecycle::Stable;
    /// Whether a guest can cause it as often as it likes. Of such an event a client that has not
    /// taken the last one yet gets only the latest.
    const CAUSED_BY_GUEST: bool;
}

/// A registered event.
#[derive(Clone, Copy)]
pub struct EventInfo {
    /// Its name on the wire.
    pub name: &'static str,
    /// Whether clients can count on it.
    pub lifecycle: Lifecycle,
    /// Where it is registered.
    pub place: Place,
    data: fn() -> Schema,
}

inventory::collect!(EventInfo);

impl EventInfo {
    /// What `E` states, for [`register_event!`](crate::register_event).
    #[doc(hidden)]
    #[must_use]
    pub const fn of<E: Event>(place: Place) -> Self {
        Self { name: E::NAME, lifecycle: E::LIFECYCLE, place, data: told_schema::<E> }
    }

    /// The JSON schema of what it tells.
    #[must_use]
    pub fn data(&self) -> Schema {
        (self.data)()
    }
}

impl Named for EventInfo {
    const KIND: &'static str = "event";

    fn name(&self) -> &'static str {
        self.name
    }

    fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Debug for EventInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventInfo").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An event that happened.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it tells; none if its name says all.
    pub data: Option<Value>,
    /// When.
    pub time: SystemTime,
    /// Whether a guest can cause it as often as it likes.
    pub caused_by_guest: bool,
}

impl Occurrence {
    /// An event that happens now.
    pub fn now<E: Event>(event: &E) -> Self {
        // A struct without fields, or whose fields can all be told: there is no other event.
        let data = serde_json::to_value(event).ok();
        let data = data.filter(|data| data.as_object().is_some_and(|data| !data.is_empty()));
        Self { name: E::NAME, data, time: SystemTime::now(), caused_by_guest: E::CAUSED_BY_GUEST }
    }
}

/// Who hears of events, on the thread on which they happen. It must not wait for anything.
pub trait EventListener: Send + Sync {
    /// Something happened.
    fn hear(&self, occurrence: &Occurrence);
}

/// Registers an [`Event`], in the file that defines it.
#[macro_export]
macro_rules! register_event {
    ($event:ty) => {
        $crate::__private::inventory::submit! {
            $crate::monitor::EventInfo::of::<$event>($crate::qom_core::Place {
                file: ::core::file!(),
                line: ::core::line!(),
            })
        }
    };
}
