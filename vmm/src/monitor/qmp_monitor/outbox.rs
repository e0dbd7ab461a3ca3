//! What waits for the monitor's thread: events, and who came and left.

use std::collections::VecDeque;

use device_model::{chardev::Presence, monitor::Occurrence};
use parking_lot::Mutex;

/// How many events may wait for a client that takes none, before it is taken for dead.
const MOST_EVENTS: usize = 1024;

/// What waits for the monitor's thread.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Whether a client is there.
    is_there: bool,
    notices: VecDeque<Notice>,
    events: usize,
}

/// Something for the monitor's thread.
#[derive(Debug)]
pub(super) enum Notice {
    /// Somebody came or left.
    Host(Presence),
    /// Something happened.
    Event(Occurrence),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It waits.
    Waits,
    /// There is no client that could hear of it.
    Nobody,
    /// The client takes nothing.
    Overflow,
}

impl Outbox {
    /// Somebody came or left. Events for whoever was there before are forgotten.
    pub(super) fn host_changed(&self, presence: Presence) {
        let mut waiting = self.0.lock();
        waiting.notices.retain(|notice| matches!(notice, Notice::Host(_)));
        waiting.events = 0;
        waiting.is_there = presence == Presence::Came;
        // Who left before anybody saw him was never there.
        if presence == Presence::Came {
            waiting.notices.clear();
        }
        waiting.notices.push_back(Notice::Host(presence));
    }

    /// An event waits for its turn. One that the guest can cause as often as it likes replaces the
    /// last of its name.
    pub(super) fn put(&self, occurrence: &Occurrence) -> Delivery {
        let mut waiting = self.0.lock();
        if !waiting.is_there {
            return Delivery::Nobody;
        }
        if occurrence.caused_by_guest {
            let same = waiting.notices.iter_mut().rev().find_map(|notice| match notice {
                Notice::Event(event) if event.name == occurrence.name => Some(event),
                _ => None,
            });
            if let Some(event) = same {
                *event = occurrence.clone();
                return Delivery::Waits;
            }
        }
        if waiting.events >= MOST_EVENTS {
            return Delivery::Overflow;
        }
        waiting.events += 1;
        waiting.notices.push_back(Notice::Event(occurrence.clone()));
        Delivery::Waits
    }

    /// The next.
    pub(super) fn take(&self) -> Option<Notice> {
        let mut waiting = self.0.lock();
        let notice = waiting.notices.pop_front();
        if let Some(Notice::Event(_)) = notice {
            waiting.events = waiting.events.saturating_sub(1);
        }
        notice
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn event(name: &'static str, caused_by_guest: bool, number: u32) -> Occurrence {
        let data = Some(serde_json::json!({ "number": number }));
        Occurrence { name, data, time: SystemTime::UNIX_EPOCH, caused_by_guest }
    }

    fn drain(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.take())
            .map(|notice| match notice {
                Notice::Host(presence) => format!("{presence:?}"),
                Notice::Event(event) => {
                    format!("{} {}", event.name, event.data.unwrap_or_default()["number"])
                }
            })
            .collect()
    }

    #[test]
    fn events_wait_for_a_client_that_is_there_only() {
        let outbox = Outbox::default();
        assert_eq!(outbox.put(&event("STOP", false, 0)), Delivery::Nobody);
        outbox.host_changed(Presence::Came);
        assert_eq!(outbox.put(&event("STOP", false, 1)), Delivery::Waits);
        assert_eq!(drain(&outbox), ["Came", "STOP 1"]);
        outbox.put(&event("STOP", false, 2));
        outbox.host_changed(Presence::Left);
        outbox.host_changed(Presence::Came);
        outbox.put(&event("STOP", false, 3));
        assert_eq!(drain(&outbox), ["Came", "STOP 3"]);
    }

    #[test]
    fn a_client_that_takes_nothing_is_found_out() {
        let outbox = Outbox::default();
        outbox.host_changed(Presence::Came);
        let deliver = |number| outbox.put(&event("DEVICE_DELETED", false, number));
        assert!((0..1024).all(|number| deliver(number) == Delivery::Waits));
        assert_eq!(deliver(1024), Delivery::Overflow);
        outbox.take();
        outbox.take();
        assert_eq!(deliver(1025), Delivery::Waits);
    }

    #[test]
    fn what_a_guest_causes_over_and_over_waits_once_and_is_the_latest() {
        let outbox = Outbox::default();
        outbox.host_changed(Presence::Came);
        for number in 0..10_000 {
            assert_eq!(outbox.put(&event("RESET", true, number)), Delivery::Waits);
        }
        assert_eq!(drain(&outbox), ["Came", "RESET 9999"]);
    }
}
