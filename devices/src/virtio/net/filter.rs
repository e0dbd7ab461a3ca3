//! Which frames a driver receives (virtio 1.2, sections 5.1.6.5.1 to 5.1.6.5.3).

use super::{
    mac::MacAddress,
    spec::{ADDRESS, feature},
};

/// Addresses of each kind that are told apart. With more, all of the kind are received, which a driver
/// has to expect (section 5.1.6.5.2).
pub(super) const MOST_ADDRESSES: usize = 64;

/// How many VLANs there are (IEEE 802.1Q, section 9.6).
const VLANS: u16 = 4096;
/// Type of a frame with a tag, and bytes before the type.
const TAGGED: [u8; 2] = [0x81, 0x00];
const TYPE: usize = 2 * ADDRESS;

/// What a driver may switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    /// All frames.
    Promiscuous,
    /// All to groups.
    AllGroups,
    /// All to single stations.
    AllStations,
    /// None to groups.
    NoGroups,
    /// None to single stations.
    NoStations,
    /// None to all stations.
    NoBroadcast,
}

/// Addresses of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Addresses {
    /// None.
    #[default]
    None,
    /// Those, at most [`MOST_ADDRESSES`].
    These(Vec<MacAddress>),
    /// More than are told apart.
    TooMany,
}

impl Addresses {
    fn has(&self, address: MacAddress) -> bool {
        match self {
            Self::None => false,
            Self::These(all) => all.contains(&address),
            Self::TooMany => true,
        }
    }
}

/// Which frames are received.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    own: MacAddress,
    switched: [bool; 6],
    stations: Addresses,
    groups: Addresses,
    /// A bit for each VLAN that is received; none if all are.
    vlans: Option<Box<[u64; 64]>>,
}

impl Filter {
    /// As it is for a driver that has agreed on those features and said nothing: all frames, until it
    /// asks for less, and no VLAN.
    pub(super) fn new(own: MacAddress, features: u64) -> Self {
        let vlans = (features & feature::CTRL_VLAN != 0).then(|| Box::new([0; 64]));
        let (stations, groups) = (Addresses::None, Addresses::None);
        let mut filter = Self { own, switched: [false; 6], stations, groups, vlans };
        filter.switch(Switch::Promiscuous, true);
        filter
    }

    pub(super) fn set_own(&mut self, own: MacAddress) {
        self.own = own;
    }

    pub(super) fn switch(&mut self, which: Switch, on: bool) {
        if let Some(place) = self.switched.get_mut(which as usize) {
            *place = on;
        }
    }

    fn is_on(&self, which: Switch) -> bool {
        self.switched.get(which as usize).is_some_and(|on| *on)
    }

    pub(super) fn set_table(&mut self, stations: Addresses, groups: Addresses) {
        (self.stations, self.groups) = (stations, groups);
    }

    /// Has a VLAN received, or not any more. False if there is no such VLAN.
    pub(super) fn set_vlan(&mut self, vlan: u16, on: bool) -> bool {
        let vlans = self.vlans.as_mut().filter(|_| vlan < VLANS);
        let Some(word) = vlans.and_then(|vlans| vlans.get_mut(usize::from(vlan / 64))) else {
            return false;
        };
        let bit = 1 << (vlan % 64);
        if on {
            *word |= bit
        } else {
            *word &= !bit
        }
        true
    }

    fn has_vlan(&self, vlan: u16) -> bool {
        let Some(vlans) = &self.vlans else { return true };
        vlans.get(usize::from(vlan / 64)).is_some_and(|word| word >> (vlan % 64) & 1 != 0)
    }

    /// Whether a frame is received.
    pub(super) fn accepts(&self, frame: &[u8]) -> bool {
        if self.is_on(Switch::Promiscuous) {
            return true;
        }
        let Some(target) = frame.first_chunk().copied().map(MacAddress) else { return false };
        if let Some([a, b, high, low, ..]) = frame.get(TYPE..)
            && [*a, *b] == TAGGED
            && !self.has_vlan(u16::from_be_bytes([*high, *low]) % VLANS)
        {
            return false;
        }
        if target == MacAddress::BROADCAST {
            return !self.is_on(Switch::NoBroadcast);
        }
        if target.is_group() {
            return !self.is_on(Switch::NoGroups)
                && (self.is_on(Switch::AllGroups) || self.groups.has(target));
        }
        !self.is_on(Switch::NoStations)
            && (self.is_on(Switch::AllStations) || target == self.own || self.stations.has(target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddress = MacAddress::FIRST;
    const OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
    const GROUP: MacAddress = MacAddress([1, 0, 0x5e, 0, 0, 1]);
    const ALL: MacAddress = MacAddress::BROADCAST;

    fn filter(features: u64) -> Filter {
        let mut filter = Filter::new(OWN, features);
        filter.switch(Switch::Promiscuous, false);
        filter
    }

    fn frame(target: MacAddress) -> Vec<u8> {
        [&target.0[..], &OTHER.0, &[8, 0], &[0; 46]].concat()
    }

    fn tagged(vlan: u16) -> Vec<u8> {
        [&OWN.0[..], &OTHER.0, &TAGGED, &vlan.to_be_bytes(), &[8, 0], &[0; 46]].concat()
    }

    fn received(filter: &Filter) -> [bool; 4] {
        [OWN, OTHER, GROUP, ALL].map(|target| filter.accepts(&frame(target)))
    }

    #[test]
    fn everything_is_received_until_the_driver_wants_less() {
        let all = Filter::new(OWN, feature::CTRL_VLAN);
        assert_eq!(received(&all), [true; 4]);
        assert!(all.accepts(&tagged(7)) && all.accepts(&[]));
        assert_eq!(received(&filter(0)), [true, false, false, true]);
    }

    #[test]
    fn switches_do_what_they_say() {
        for (which, expected) in [
            (Switch::AllGroups, [true, false, true, true]),
            (Switch::AllStations, [true, true, false, true]),
            (Switch::NoStations, [false, false, false, true]),
            (Switch::NoBroadcast, [true, false, false, false]),
            (Switch::Promiscuous, [true; 4]),
        ] {
            let mut filter = filter(0);
            filter.switch(which, true);
            assert_eq!(received(&filter), expected, "{which:?}");
            filter.switch(which, false);
            assert_eq!(received(&filter), [true, false, false, true], "{which:?}");
        }
        let mut none = filter(0);
        none.switch(Switch::AllGroups, true);
        none.switch(Switch::NoGroups, true);
        assert_eq!(received(&none), [true, false, false, true]);
    }

    #[test]
    fn addresses_of_a_table_are_received_and_all_if_there_are_too_many() {
        let mut filter = filter(0);
        filter.set_table(Addresses::These(vec![OTHER]), Addresses::These(vec![GROUP]));
        assert_eq!(received(&filter), [true; 4]);
        filter.set_table(Addresses::TooMany, Addresses::None);
        assert_eq!(received(&filter), [true, true, false, true]);
        filter.set_table(Addresses::None, Addresses::TooMany);
        assert_eq!(received(&filter), [true, false, true, true]);
        filter.set_own(OTHER);
        assert_eq!(received(&filter), [false, true, true, true]);
    }

    #[test]
    fn vlans_are_received_that_were_added() {
        let mut filter = filter(feature::CTRL_VLAN);
        assert!(!filter.accepts(&tagged(7)), "none at first");
        assert!(filter.set_vlan(7, true) && filter.set_vlan(4095, true));
        // Priority is no part of the number.
        assert!(filter.accepts(&tagged(7)) && filter.accepts(&tagged(0xe007)));
        assert!(filter.accepts(&tagged(4095)) && !filter.accepts(&tagged(8)));
        assert!(filter.set_vlan(7, false));
        assert!(!filter.accepts(&tagged(7)));
        assert!(!filter.set_vlan(4096, true) && !filter.set_vlan(u16::MAX, true));
        assert!(
            super::tests::filter(0).accepts(&tagged(7)),
            "all, if they are not to be told apart"
        );
    }

    #[test]
    fn what_is_no_frame_is_not_received() {
        let filter = filter(feature::CTRL_VLAN);
        for length in 0..6 {
            assert!(!filter.accepts(&frame(OWN)[..length]));
        }
        for length in 6..18 {
            let _ = filter.accepts(&tagged(1)[..length]);
        }
    }
}
