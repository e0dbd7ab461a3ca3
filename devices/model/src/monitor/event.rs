//! Events: what clients hear of without having asked.

use std::{fmt, sync::OnceLock, time::SystemTime};

use qom_core::{CompatPolicy, Place, Value};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

use super::{
    command::{Lifecycle, told_schema},
    schema::Shape,
    table::{EventTable, Named},
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
    shape: &'static EventShape,
}

/// What one event tells, from the first time on that it is needed.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct EventShape(OnceLock<Shape>);

impl EventShape {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

inventory::collect!(EventInfo);

impl EventInfo {
    /// What `E` states, for [`register_event!`](crate::register_event). No other event has the same
    /// `shape`.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<E: Event>(shape: &'static EventShape, place: Place) -> Self {
        Self { name: E::NAME, lifecycle: E::LIFECYCLE, place, data: told_schema::<E>, shape }
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

    /// What a client is told of it under a policy; nothing if that hides the event.
    #[must_use]
    pub fn under(mut self, policy: CompatPolicy) -> Option<Self> {
        if !policy.hides_anything() {
            return Some(self);
        }
        // What is not registered says nothing of its life.
        let table = EventTable::global().ok();
        let Some(info) = table.and_then(|table| table.get(self.name)) else { return Some(self) };
        if policy.hides(info.lifecycle.features()) {
            return None;
        }
        if let Some(data) = &mut self.data {
            let shape = info.shape.0.get_or_init(|| Shape::of(&info.data()));
            if shape.is_touched_by(policy) {
                shape.leave_out(policy, data);
            }
        }
        Some(self)
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
            {
                static SHAPE: $crate::monitor::EventShape = $crate::monitor::EventShape::new();
                $crate::monitor::EventInfo::of::<$event>(
                    &SHAPE,
                    $crate::qom_core::Place { file: ::core::file!(), line: ::core::line!() },
                )
            }
        }
    };
}
