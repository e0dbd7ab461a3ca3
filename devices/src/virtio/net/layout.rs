//! What a card is like to its driver: the features, the queues and the configuration that follow from
//! what the user set.

use device_model::{netdev::Offloads, prelude::*};
use thiserror::Error;

use super::{
    mac::MacAddress,
    spec::{config, feature},
};

/// The least and the greatest size of a queue, in descriptors, that users may ask for.
pub(super) const QUEUE_SIZES: std::ops::RangeInclusive<u16> = 256..=1024;
/// The size of the control queue.
const CONTROL_SIZE: u16 = 64;
/// The most pairs of queues, as many as a TAP interface has queues.
pub(super) const MOST_PAIRS: u16 = 256;
/// The least that a link carries behind its Ethernet header (section 5.1.4.1).
const LEAST_MTU: u16 = 68;

/// Whether a link carries both directions at once
#[derive(Clone, Copy, Debug, PartialEq, Eq, PropertyEnum)]
pub enum Duplex {
    /// One at a time.
    Half,
    /// Both.
    Full,
}

/// What the user set, and what the network behind the card can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The address.
    pub(super) mac: MacAddress,
    /// What the network can finish or leave unfinished.
    pub(super) offloads: Option<Offloads>,
    /// How many queues it has.
    pub(super) queues: u16,
    /// Feature bits that the user allows.
    pub(super) allowed: u64,
    /// Sizes of the queues of received frames, and of sent ones.
    pub(super) queue_sizes: [u16; 2],
    /// The most bytes behind an Ethernet header; 0 if nobody says.
    pub(super) mtu: u16,
    /// Speed of the link in Mbit/s.
    pub(super) speed: Option<u32>,
    /// The link's directions.
    pub(super) duplex: Option<Duplex>,
}

/// What no card can be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum LayoutError {
    /// A size of a queue.
    #[error(
        "{property} must be a power of two from {} to {}, not {given}",
        QUEUE_SIZES.start(),
        QUEUE_SIZES.end()
    )]
    QueueSize {
        /// Which.
        property: &'static str,
        /// The size, in descriptors.
        given: u16,
    },
    /// What a link can't be said to carry.
    #[error("host_mtu must be 0 or from {LEAST_MTU} on, not {0}")]
    Mtu(u16),
    /// An address of a group.
    #[error("mac must be of one station, not {0}, which is of a group")]
    Group(MacAddress),
}

/// A card that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    settings: Settings,
    pairs: u16,
    features: u64,
}

/// Features that need another (section 5.1.3.1).
const NEEDED: [(u64, u64); 3] = [
    (
        feature::HOST_TSO4 | feature::HOST_TSO6 | feature::HOST_ECN | feature::HOST_USO,
        feature::CSUM,
    ),
    (feature::GUEST_OFFLOADS & !feature::GUEST_CSUM, feature::GUEST_CSUM),
    (
        feature::CTRL_RX
            | feature::CTRL_RX_EXTRA
            | feature::CTRL_VLAN
            | feature::CTRL_MAC_ADDR
            | feature::CTRL_GUEST_OFFLOADS
            | feature::MQ,
        feature::CTRL_VQ,
    ),
];

/// Those of the features that have what they need.
pub(super) fn effective(features: u64) -> u64 {
    let lacks = |needed: u64| features & needed == 0;
    NEEDED.iter().fold(
        features,
        |features, (those, needed)| {
            if lacks(*needed) { features & !those } else { features }
        },
    )
}

/// What the network may leave unfinished for a driver with those features.
pub(super) const fn accepted(features: u64) -> Offloads {
    let (tso4, tso6) = (features & feature::GUEST_TSO4 != 0, features & feature::GUEST_TSO6 != 0);
    Offloads {
        checksum: features & feature::GUEST_CSUM != 0,
        tso4,
        tso6,
        ecn: features & feature::GUEST_ECN != 0 && (tso4 || tso6),
        uso: features & feature::GUEST_USO4 != 0 && features & feature::GUEST_USO6 != 0,
    }
}

/// The features that need a network which can do that.
const fn of_network(offloads: Option<Offloads>) -> u64 {
    let Some(Offloads { checksum, tso4, tso6, ecn, uso }) = offloads else { return 0 };
    const fn bits(can: bool, bits: u64) -> u64 {
        if can { bits } else { 0 }
    }
    bits(checksum, feature::CSUM | feature::GUEST_CSUM | feature::CTRL_GUEST_OFFLOADS)
        | bits(tso4, feature::HOST_TSO4 | feature::GUEST_TSO4)
        | bits(tso6, feature::HOST_TSO6 | feature::GUEST_TSO6)
        | bits(ecn, feature::HOST_ECN | feature::GUEST_ECN)
        | bits(uso, feature::HOST_USO | feature::GUEST_USO4 | feature::GUEST_USO6)
}

/// All features that need one.
const OFFLOADS: u64 =
    of_network(Some(Offloads { checksum: true, tso4: true, tso6: true, ecn: true, uso: true }));

impl Layout {
    /// The card that those settings describe.
    ///
    /// # Errors
    /// If there can't be such a card.
    pub(super) fn new(settings: Settings) -> Result<Self, LayoutError> {
        for (property, given) in
            ["rx_queue_size", "tx_queue_size"].into_iter().zip(settings.queue_sizes)
        {
            if !given.is_power_of_two() || !QUEUE_SIZES.contains(&given) {
                return Err(LayoutError::QueueSize { property, given });
            }
        }
        if (1..LEAST_MTU).contains(&settings.mtu) {
            return Err(LayoutError::Mtu(settings.mtu));
        }
        if settings.mac.is_group() {
            return Err(LayoutError::Group(settings.mac));
        }
        let own = [
            (feature::MTU, settings.mtu != 0),
            (feature::SPEED_DUPLEX, settings.speed.is_some() || settings.duplex.is_some()),
        ];
        let own =
            own.into_iter().fold(feature::MAC, |all, (bit, has)| all | if has { bit } else { 0 });
        let network = settings.allowed & (of_network(settings.offloads) | !OFFLOADS);
        let features = effective(own | network);
        let pairs = match features & feature::MQ {
            0 => 1,
            _ => settings.queues.clamp(1, MOST_PAIRS),
        };
        Ok(Self { settings, pairs, features })
    }

    /// The address that the driver is told at first.
    pub(super) const fn mac(&self) -> MacAddress {
        self.settings.mac
    }

    /// Whether frames have a header at the network's end too.
    pub(super) const fn has_header(&self) -> bool {
        self.settings.offloads.is_some()
    }

    /// How many queues the network has.
    pub(super) fn queues(&self) -> u16 {
        self.settings.queues.max(1)
    }

    /// The features that it offers.
    pub(super) const fn features(&self) -> u64 {
        self.features
    }

    /// The sizes of all queues: those of the pairs, then that of control (section 5.1.2).
    pub(super) fn queue_sizes(&self) -> Vec<u16> {
        let mut sizes = self.settings.queue_sizes.repeat(self.pairs.into());
        if self.features & feature::CTRL_VQ != 0 {
            sizes.push(CONTROL_SIZE);
        }
        sizes
    }

    /// The number of the control queue for a driver that has agreed on those features, if there is
    /// one: without several pairs it comes after the first (section 5.1.2).
    pub(super) const fn control_queue(&self, features: u64) -> Option<u16> {
        if features & feature::CTRL_VQ == 0 {
            return None;
        }
        Some(2 * self.pairs_of(features))
    }

    /// How many pairs of queues there are to a driver that has agreed on those features.
    pub(super) const fn pairs_of(&self, features: u64) -> u16 {
        if features & feature::MQ == 0 { 1 } else { self.pairs }
    }

    /// The configuration of a card with that address, while the link is up or not.
    pub(super) fn config(&self, mac: MacAddress, up: bool) -> [u8; config::SIZE] {
        let mut bytes = [0; config::SIZE];
        let mut put = |offset: usize, value: &[u8]| {
            for (place, byte) in bytes.iter_mut().skip(offset).zip(value) {
                *place = *byte;
            }
        };
        let status = if up { config::LINK_UP } else { 0 };
        let speed = self.settings.speed.unwrap_or(config::SPEED_UNKNOWN);
        let duplex = match self.settings.duplex {
            Some(Duplex::Half) => 0,
            Some(Duplex::Full) => 1,
            None => config::DUPLEX_UNKNOWN,
        };
        put(config::MAC, &mac.0);
        put(config::STATUS, &status.to_le_bytes());
        put(config::MAX_VIRTQUEUE_PAIRS, &self.pairs.to_le_bytes());
        put(config::MTU, &self.settings.mtu.to_le_bytes());
        put(config::SPEED, &speed.to_le_bytes());
        put(config::DUPLEX, &[duplex]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        mac: MacAddress::FIRST,
        offloads: None,
        queues: 1,
        allowed: !(1 << 3 | 1 << 63),
        queue_sizes: [256, 512],
        mtu: 0,
        speed: None,
        duplex: None,
    };
    const EVERYTHING: Offloads =
        Offloads { checksum: true, tso4: true, tso6: true, ecn: true, uso: true };

    fn layout(settings: Settings) -> Layout {
        Layout::new(settings).unwrap()
    }

    #[test]
    fn offloads_are_offered_if_the_network_has_them() {
        assert_eq!(layout(SETTINGS).features() & OFFLOADS, 0);
        assert!(!layout(SETTINGS).has_header());
        let all = Settings { offloads: Some(EVERYTHING), ..SETTINGS };
        assert_eq!(layout(all).features() & OFFLOADS, OFFLOADS);
        assert!(layout(all).has_header());
        let checksums = Offloads { checksum: true, ..Offloads::default() };
        let some = Settings { offloads: Some(checksums), ..SETTINGS };
        let bits = feature::CSUM | feature::GUEST_CSUM | feature::CTRL_GUEST_OFFLOADS;
        assert_eq!(layout(some).features() & OFFLOADS, bits);
    }

    #[test]
    fn a_feature_that_the_user_forbids_takes_those_along_that_need_it() {
        let without = |bit: u64| {
            let allowed = SETTINGS.allowed & !bit;
            layout(Settings { offloads: Some(EVERYTHING), allowed, ..SETTINGS }).features()
        };
        let all = without(0);
        assert_eq!(
            without(feature::CSUM) ^ all,
            feature::CSUM
                | feature::HOST_TSO4
                | feature::HOST_TSO6
                | feature::HOST_ECN
                | feature::HOST_USO
        );
        assert_eq!(without(feature::GUEST_CSUM) ^ all, feature::GUEST_OFFLOADS);
        let control = without(feature::CTRL_VQ) ^ all;
        assert_eq!(control, NEEDED[2].0 | feature::CTRL_VQ);
        assert_eq!(without(feature::MRG_RXBUF) ^ all, feature::MRG_RXBUF);
    }

    #[test]
    fn the_control_queue_comes_after_the_pairs_that_were_agreed_on() {
        let card = layout(Settings { queues: 3, ..SETTINGS });
        assert_eq!(card.queue_sizes(), [256, 512, 256, 512, 256, 512, 64]);
        let both = feature::CTRL_VQ | feature::MQ;
        assert_eq!((card.control_queue(both), card.pairs_of(both)), (Some(6), 3));
        assert_eq!(card.control_queue(feature::CTRL_VQ), Some(2));
        assert_eq!(card.control_queue(feature::MQ), None);
        let single = Settings { queues: 3, allowed: SETTINGS.allowed & !feature::MQ, ..SETTINGS };
        assert_eq!(layout(single).queue_sizes(), [256, 512, 64]);
        let many = layout(Settings { queues: u16::MAX, ..SETTINGS });
        assert_eq!(many.pairs_of(feature::MQ), MOST_PAIRS);
    }

    #[test]
    fn the_configuration_tells_what_is_known() {
        let card = layout(Settings { queues: 2, ..SETTINGS });
        let bytes = card.config(MacAddress::FIRST, true);
        assert_eq!(bytes[..6], MacAddress::FIRST.0);
        assert_eq!(bytes[6..], [1, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let settings =
            Settings { mtu: 9000, speed: Some(10_000), duplex: Some(Duplex::Full), ..SETTINGS };
        let card = layout(settings);
        let bytes = card.config(MacAddress::BROADCAST, false);
        assert_eq!(bytes[6..], [0, 0, 1, 0, 0x28, 0x23, 0x10, 0x27, 0, 0, 1]);
        let both = feature::MTU | feature::SPEED_DUPLEX;
        assert_eq!(card.features() & both, both);
        assert_eq!(layout(SETTINGS).features() & both, 0);
    }

    #[test]
    fn a_card_that_can_not_be_is_refused() {
        for size in [0, 1, 8, 255, 257, 2048] {
            let sizes = [size, 256];
            let problem = Layout::new(Settings { queue_sizes: sizes, ..SETTINGS }).unwrap_err();
            assert_eq!(problem, LayoutError::QueueSize { property: "rx_queue_size", given: size });
            let [rx, tx] = sizes;
            let problem = Layout::new(Settings { queue_sizes: [tx, rx], ..SETTINGS });
            assert!(problem.unwrap_err().to_string().starts_with("tx_queue_size must be a power"));
        }
        for mtu in [1, 67] {
            Layout::new(Settings { mtu, ..SETTINGS }).unwrap_err();
        }
        let mac = MacAddress::BROADCAST;
        Layout::new(Settings { mac, ..SETTINGS }).unwrap_err();
    }

    #[test]
    fn the_network_leaves_unfinished_what_the_driver_takes() {
        assert_eq!(accepted(0), Offloads::default());
        assert_eq!(accepted(u64::MAX), EVERYTHING);
        let ecn = accepted(feature::GUEST_CSUM | feature::GUEST_ECN);
        assert_eq!(ecn, Offloads { checksum: true, ..Offloads::default() });
        assert!(!accepted(feature::GUEST_CSUM | feature::GUEST_USO4).uso, "both or none");
    }
}
