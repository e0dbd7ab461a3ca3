//! The panic device's behaviour: which events it offers, and which one a write reports.

use super::spec::{ALL, CRASH_LOADED, EVENTS, PANICKED, SHUTDOWN};

/// What the guest says of itself. It is a claim, to be reported as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestEvent {
    /// It panicked.
    Panicked,
    /// It panicked, and its own crash kernel takes over.
    CrashLoaded,
    /// It shuts down.
    Shutdown,
}

/// The mask names events that don't exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pvpanic: events is {0:#04x}, but only the bits {ALL:#04x} exist")]
pub struct PvPanicConfigError(pub u8);

/// A panic device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PvPanic {
    events: u8,
}

impl Default for PvPanic {
    fn default() -> Self {
        Self { events: ALL }
    }
}

impl PvPanic {
    /// A device that supports the events of a mask of [`super::spec`]'s bits.
    ///
    /// # Errors
    /// If the mask has other bits.
    pub fn new(events: u8) -> Result<Self, PvPanicConfigError> {
        if events & !ALL == 0 { Ok(Self { events }) } else { Err(PvPanicConfigError(events)) }
    }

    /// The guest reads: the events it may report. Bytes beyond the port read as 0xff.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            *byte = if offset == EVENTS { self.events } else { 0xff };
        }
    }

    /// The guest reports. Unsupported events are ignored. Of several at once the gravest counts:
    /// a panic that nobody handles, then one that the guest handles, then a shutdown.
    #[must_use = "the guest expects that its event be reported"]
    pub fn write(&self, offset: u64, data: &[u8]) -> Option<GuestEvent> {
        if offset != EVENTS {
            return None;
        }
        let reported = data.first()? & self.events;
        if reported & PANICKED != 0 {
            Some(GuestEvent::Panicked)
        } else if reported & CRASH_LOADED != 0 {
            Some(GuestEvent::CrashLoaded)
        } else if reported & SHUTDOWN != 0 {
            Some(GuestEvent::Shutdown)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_guest_learns_which_events_are_supported() {
        let mut data = [0; 2];
        PvPanic::default().read(EVENTS, &mut data);
        assert_eq!(data, [0x07, 0xff]);
        PvPanic::new(PANICKED).unwrap().read(EVENTS, &mut data);
        assert_eq!(data, [0x01, 0xff]);
    }

    #[test]
    fn each_event_is_reported() {
        let device = PvPanic::default();
        assert_eq!(device.write(EVENTS, &[1]), Some(GuestEvent::Panicked));
        assert_eq!(device.write(EVENTS, &[2]), Some(GuestEvent::CrashLoaded));
        assert_eq!(device.write(EVENTS, &[4]), Some(GuestEvent::Shutdown));
    }

    #[test]
    fn of_several_events_the_gravest_counts() {
        let device = PvPanic::default();
        assert_eq!(device.write(EVENTS, &[7]), Some(GuestEvent::Panicked));
        assert_eq!(device.write(EVENTS, &[6]), Some(GuestEvent::CrashLoaded));
    }

    #[test]
    fn an_event_that_is_not_offered_is_ignored() {
        let device = PvPanic::new(CRASH_LOADED).unwrap();
        assert_eq!(device.write(EVENTS, &[PANICKED]), None);
        assert_eq!(device.write(EVENTS, &[PANICKED | CRASH_LOADED]), Some(GuestEvent::CrashLoaded));
        assert_eq!(PvPanic::default().write(EVENTS, &[0xf8]), None);
    }

    #[test]
    fn a_mask_of_unknown_events_is_refused() {
        assert_eq!(PvPanic::new(0x08), Err(PvPanicConfigError(0x08)));
        assert_eq!(
            PvPanic::new(0x18).unwrap_err().to_string(),
            "pvpanic: events is 0x18, but only the bits 0x07 exist"
        );
    }

    proptest! {
        #[test]
        fn an_event_is_reported_only_if_offered_and_written(
            events in 0u8..=ALL,
            offset in prop_oneof![3 => Just(0u64), 1 => any::<u64>()],
            data in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let device = PvPanic::new(events).unwrap();
            device.read(offset, &mut data.clone());
            let bit = match device.write(offset, &data) {
                None => {
                    let written = data.first().map_or(0, |byte| byte & events);
                    prop_assert!(offset != EVENTS || written == 0);
                    return Ok(());
                }
                Some(GuestEvent::Panicked) => PANICKED,
                Some(GuestEvent::CrashLoaded) => CRASH_LOADED,
                Some(GuestEvent::Shutdown) => SHUTDOWN,
            };
            prop_assert_eq!(offset, EVENTS);
            prop_assert_eq!(bit & events & data[0], bit);
        }
    }
}
