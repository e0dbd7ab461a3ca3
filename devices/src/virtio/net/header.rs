//! The header before each frame, in either direction: what of it may be believed.

use super::spec::{
    feature,
    header::{
        CSUM_OFFSET, CSUM_START, DATA_VALID, FLAGS, GSO_ECN, GSO_NONE, GSO_SIZE, GSO_TCPV4,
        GSO_TCPV6, GSO_TYPE, GSO_UDP_L4, NEEDS_CSUM, NUM_BUFFERS, SIZE,
    },
};

/// A header, as it stands in memory.
pub(super) type Header = [u8; SIZE];

fn word(header: &Header, offset: usize) -> u16 {
    match header.get(offset..) {
        Some([low, high, ..]) => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

fn set_word(header: &mut Header, offset: usize, value: u16) {
    for (place, byte) in header.iter_mut().skip(offset).zip(value.to_le_bytes()) {
        *place = byte;
    }
}

/// Whether a kind of division is among those features; `tso4` and so on are the bits of each.
fn divides(kind: u8, features: u64, [tso4, tso6, ecn, uso]: [u64; 4]) -> bool {
    let needed = match kind & !GSO_ECN {
        GSO_TCPV4 => tso4,
        GSO_TCPV6 => tso6,
        GSO_UDP_L4 if kind & GSO_ECN == 0 => uso,
        _ => return kind == GSO_NONE,
    };
    let needed = needed | if kind & GSO_ECN == 0 { 0 } else { ecn };
    features & needed == needed
}

/// What the network is handed of the header that a driver has put before a frame of so many bytes;
/// none if the driver asks for what was not agreed on, or for what makes no sense (section 5.1.6.2).
pub(super) fn outgoing(mut header: Header, length: usize, features: u64) -> Option<Header> {
    let host = [feature::HOST_TSO4, feature::HOST_TSO6, feature::HOST_ECN, feature::HOST_USO];
    let [flags, kind] = [header[FLAGS], header[GSO_TYPE]];
    let unfinished = flags & NEEDS_CSUM != 0;
    if unfinished {
        let start = usize::from(word(&header, CSUM_START));
        let end = start + usize::from(word(&header, CSUM_OFFSET)) + 2;
        if features & feature::CSUM == 0 || end > length {
            return None;
        }
    }
    if !divides(kind, features, host) {
        return None;
    }
    if kind != GSO_NONE && !(unfinished && word(&header, GSO_SIZE) > 0) {
        return None;
    }
    // Flags that mean nothing here are passed over.
    header[FLAGS] = flags & NEEDS_CSUM;
    set_word(&mut header, NUM_BUFFERS, 0);
    Some(header)
}

/// What a driver is handed of a network's header, if it takes what is unfinished as those features
/// say; none if the frame is one that it does not take: the network had it from before it knew
/// (section 5.1.6.4).
pub(super) fn incoming(mut header: Header, features: u64) -> Option<Header> {
    let guest = [
        feature::GUEST_TSO4,
        feature::GUEST_TSO6,
        feature::GUEST_ECN,
        feature::GUEST_USO4 | feature::GUEST_USO6,
    ];
    let [flags, kind] = [header[FLAGS], header[GSO_TYPE]];
    if !divides(kind, features, guest) {
        return None;
    }
    header[FLAGS] = match features & feature::GUEST_CSUM {
        0 if flags & NEEDS_CSUM != 0 => return None,
        0 => 0,
        _ => flags & (NEEDS_CSUM | DATA_VALID),
    };
    Some(header)
}

/// The same header for a frame that takes so many chains.
pub(super) fn with_buffers(mut header: Header, chains: u16) -> Header {
    set_word(&mut header, NUM_BUFFERS, chains);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8, kind: u8, size: u16, start: u16, offset: u16) -> Header {
        let mut header = [0; SIZE];
        (header[0], header[1]) = (flags, kind);
        for (at, value) in [(GSO_SIZE, size), (CSUM_START, start), (CSUM_OFFSET, offset)] {
            header[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        header
    }

    const ALL: u64 = u64::MAX;

    #[test]
    fn a_finished_frame_needs_nothing() {
        assert_eq!(outgoing([0; SIZE], 1, 0), Some([0; SIZE]));
        assert_eq!(incoming([0; SIZE], 0), Some([0; SIZE]));
        assert_eq!(with_buffers([0; SIZE], 0x201)[10..], [1, 2]);
    }

    #[test]
    fn a_checksum_is_left_to_the_network_if_that_was_agreed_on_and_it_lies_in_the_frame() {
        let asks = header(NEEDS_CSUM, 0, 0, 34, 16);
        assert_eq!(outgoing(asks, 52, feature::CSUM), Some(asks));
        assert_eq!(outgoing(asks, 51, feature::CSUM), None, "past the end");
        assert_eq!(outgoing(asks, 52, ALL & !feature::CSUM), None);
        let far = header(NEEDS_CSUM, 0, 0, u16::MAX, u16::MAX);
        assert_eq!(outgoing(far, 0x1_1000, ALL), None);
    }

    #[test]
    fn segments_are_left_to_the_network_if_that_was_agreed_on() {
        for (kind, needed) in [
            (GSO_TCPV4, feature::HOST_TSO4),
            (GSO_TCPV6, feature::HOST_TSO6),
            (GSO_TCPV4 | GSO_ECN, feature::HOST_TSO4 | feature::HOST_ECN),
            (GSO_UDP_L4, feature::HOST_USO),
        ] {
            let asks = header(NEEDS_CSUM, kind, 1460, 34, 16);
            assert_eq!(outgoing(asks, 4000, needed | feature::CSUM), Some(asks), "{kind:#x}");
            assert_eq!(outgoing(asks, 4000, ALL & !needed), None, "{kind:#x}");
            let without_size = header(NEEDS_CSUM, kind, 0, 34, 16);
            assert_eq!(outgoing(without_size, 4000, ALL), None, "{kind:#x}");
            let with_checksum = header(0, kind, 1460, 34, 16);
            assert_eq!(outgoing(with_checksum, 4000, ALL), None, "{kind:#x}");
        }
        // What there is not.
        for kind in [2, 3, 6, 0x7f, GSO_ECN, GSO_ECN | GSO_UDP_L4, 0xff] {
            assert_eq!(outgoing(header(NEEDS_CSUM, kind, 1460, 34, 16), 4000, ALL), None, "{kind}");
        }
    }

    #[test]
    fn flags_that_mean_nothing_to_a_network_do_not_reach_it() {
        let mut given = header(0xfe, 0, 0, 0, 0);
        given[10..].fill(0xff);
        assert_eq!(outgoing(given, 60, ALL), Some([0; SIZE]));
    }

    #[test]
    fn a_driver_is_handed_what_it_takes_and_nothing_else() {
        let unfinished = header(NEEDS_CSUM, GSO_TCPV4, 1460, 34, 16);
        let both = feature::GUEST_CSUM | feature::GUEST_TSO4;
        assert_eq!(incoming(unfinished, both), Some(unfinished));
        assert_eq!(incoming(unfinished, feature::GUEST_CSUM), None);
        assert_eq!(incoming(header(NEEDS_CSUM, 0, 0, 34, 16), 0), None);
        assert_eq!(incoming(header(DATA_VALID, 0, 0, 0, 0), 0), Some([0; SIZE]));
        let valid = header(DATA_VALID, 0, 0, 0, 0);
        assert_eq!(incoming(header(DATA_VALID | 0xf0, 0, 0, 0, 0), both), Some(valid));
    }
}
