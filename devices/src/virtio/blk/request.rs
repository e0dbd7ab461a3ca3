//! What a driver asks for, and whether it may (virtio 1.2, section 5.2.6). It knows no memory: what
//! was read of a chain is given to it.

use super::{
    layout::Layout,
    spec::{SECTOR, feature, request, status},
};

/// What a chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Its first bytes.
    pub header: [u8; request::HEADER],
    /// How many bytes follow these that the device reads.
    pub readable: u64,
    /// The first of them, if they are a place ([`Raw::has_segment`]).
    pub segment: [u8; request::SEGMENT],
    /// How many bytes precede its status that the device writes.
    pub writable: u64,
}

impl Raw {
    fn kind(&self) -> u32 {
        let [k0, k1, k2, k3, ..] = self.header;
        u32::from_le_bytes([k0, k1, k2, k3])
    }

    fn sector(&self) -> u64 {
        let [_, _, _, _, _, _, _, _, at @ ..] = self.header;
        u64::from_le_bytes(at)
    }

    /// Whether what follows the header is a place, and not data.
    #[must_use]
    pub fn has_segment(&self) -> bool {
        matches!(self.kind(), request::DISCARD | request::WRITE_ZEROES)
    }
}

/// What is asked for. Positions and lengths are in bytes, within the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To read as much as there is room for.
    Read {
        /// Where it begins.
        offset: u64,
    },
    /// To write all that there is.
    Write {
        /// Where it begins.
        offset: u64,
    },
    /// To flush.
    Flush,
    /// To tell the serial number.
    Id,
    /// To discard.
    Discard {
        /// Where it begins.
        offset: u64,
        /// How far it reaches.
        length: u64,
    },
    /// To write zeroes.
    WriteZeroes {
        /// Where it begins.
        offset: u64,
        /// How far it reaches.
        length: u64,
        /// Whether the room for them may be given up.
        unmap: bool,
    },
}

/// What a request asks of a disk with that many sectors, or the status that it ends with at once.
///
/// # Errors
/// The status, if it can't be done.
pub fn parse(raw: &Raw, layout: &Layout, sectors: u64) -> Result<Wanted, u8> {
    let data = |length| within(layout, sectors, raw.sector(), length);
    let may_write = || if layout.settings().read_only { Err(status::IOERR) } else { Ok(()) };
    match raw.kind() {
        request::IN => Ok(Wanted::Read { offset: data(raw.writable)? }),
        request::OUT => {
            may_write()?;
            Ok(Wanted::Write { offset: data(raw.readable)? })
        }
        request::FLUSH => Ok(Wanted::Flush),
        request::GET_ID => Ok(Wanted::Id),
        request::DISCARD => {
            may_write()?;
            let most = layout.settings().max_discard_sectors;
            let segment = Segment::of(raw, layout, feature::DISCARD, most, sectors)?;
            // The flag is for zeroes alone.
            if segment.flags != 0 {
                return Err(status::UNSUPP);
            }
            Ok(Wanted::Discard { offset: segment.offset, length: segment.length })
        }
        request::WRITE_ZEROES => {
            may_write()?;
            let most = layout.settings().max_write_zeroes_sectors;
            let segment = Segment::of(raw, layout, feature::WRITE_ZEROES, most, sectors)?;
            if segment.flags & !request::UNMAP != 0 {
                return Err(status::UNSUPP);
            }
            let Segment { offset, length, flags } = segment;
            Ok(Wanted::WriteZeroes { offset, length, unmap: flags & request::UNMAP != 0 })
        }
        _ => Err(status::UNSUPP),
    }
}

/// A place to be discarded or filled with zeroes.
struct Segment {
    offset: u64,
    length: u64,
    flags: u32,
}

impl Segment {
    fn of(raw: &Raw, layout: &Layout, needed: u64, most: u32, sectors: u64) -> Result<Self, u8> {
        if layout.features() & needed == 0 {
            return Err(status::UNSUPP);
        }
        // One, which is what the configuration says.
        if usize::try_from(raw.readable) != Ok(request::SEGMENT) {
            return Err(status::IOERR);
        }
        let [s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3, f0, f1, f2, f3] = raw.segment;
        let count = u32::from_le_bytes([n0, n1, n2, n3]);
        if count > most {
            return Err(status::IOERR);
        }
        let length = u64::from(count) * SECTOR;
        let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let offset = within(layout, sectors, sector, length)?;
        Ok(Self { offset, length, flags: u32::from_le_bytes([f0, f1, f2, f3]) })
    }
}

/// Where a transfer begins, in bytes, if it is of whole blocks that the disk has.
fn within(layout: &Layout, sectors: u64, sector: u64, length: u64) -> Result<u64, u8> {
    let block = u64::from(layout.settings().logical_block_size);
    let whole = length.is_multiple_of(block) && sector.is_multiple_of(block / SECTOR);
    let end = sector.checked_add(length / SECTOR);
    let inside = end.is_some_and(|end| end <= sectors);
    let offset = sector.checked_mul(SECTOR).filter(|_| whole && inside);
    offset.ok_or(status::IOERR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtio::blk::layout::{MOST_SECTORS, Settings, tests::SETTINGS};

    const SECTORS: u64 = 100;

    fn raw(kind: u32, sector: u64) -> Raw {
        let mut header = [0; 16];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&sector.to_le_bytes());
        Raw { header, readable: 0, segment: [0; 16], writable: 0 }
    }

    fn place(kind: u32, sector: u64, count: u32, flags: u32) -> Raw {
        let mut raw = raw(kind, u64::MAX);
        raw.segment[..8].copy_from_slice(&sector.to_le_bytes());
        raw.segment[8..12].copy_from_slice(&count.to_le_bytes());
        raw.segment[12..].copy_from_slice(&flags.to_le_bytes());
        Raw { readable: 16, ..raw }
    }

    fn asked(raw: &Raw) -> Result<Wanted, u8> {
        parse(raw, &Layout::new(SETTINGS).unwrap(), SECTORS)
    }

    #[test]
    fn transfers_are_of_whole_sectors_that_the_disk_has() {
        let read = |sector, writable| asked(&Raw { writable, ..raw(request::IN, sector) });
        assert_eq!(read(0, 512), Ok(Wanted::Read { offset: 0 }));
        assert_eq!(read(99, 512), Ok(Wanted::Read { offset: 99 * 512 }));
        assert_eq!(read(0, 51_200), Ok(Wanted::Read { offset: 0 }));
        assert_eq!(read(100, 0), Ok(Wanted::Read { offset: 51_200 }), "nothing is at the end too");
        for (sector, length) in [
            (0, 511),
            (0, 513),
            (99, 1024),
            (100, 512),
            (101, 0),
            (u64::MAX, 512),
            (u64::MAX / 512, 512),
            (1 << 55, 512),
            (0, u64::from(u32::MAX)),
        ] {
            assert_eq!(read(sector, length), Err(status::IOERR), "{sector} {length}");
            let write = asked(&Raw { readable: length, ..raw(request::OUT, sector) });
            assert_eq!(write, Err(status::IOERR), "{sector} {length}");
        }
    }

    #[test]
    fn transfers_are_of_whole_blocks() {
        let settings = Settings { logical_block_size: 4096, physical_block_size: 4096, ..SETTINGS };
        let layout = Layout::new(settings).unwrap();
        let read = |sector, writable| {
            parse(&Raw { writable, ..raw(request::IN, sector) }, &layout, SECTORS)
        };
        assert_eq!(read(8, 4096), Ok(Wanted::Read { offset: 4096 }));
        assert_eq!(read(1, 4096), Err(status::IOERR));
        assert_eq!(read(8, 512), Err(status::IOERR));
    }

    #[test]
    fn nothing_is_written_to_a_disk_that_is_read_only() {
        let layout = Layout::new(Settings { read_only: true, ..SETTINGS }).unwrap();
        let asked = |raw: &Raw| parse(raw, &layout, SECTORS);
        assert_eq!(
            asked(&Raw { readable: 512, ..raw(request::OUT, 0) }),
            Err(status::IOERR),
            "section 5.2.6.2"
        );
        for kind in [request::DISCARD, request::WRITE_ZEROES] {
            assert_eq!(asked(&place(kind, 0, 1, 0)), Err(status::IOERR));
        }
        assert_eq!(asked(&raw(request::FLUSH, 0)), Ok(Wanted::Flush));
    }

    #[test]
    fn places_to_discard_or_fill_are_bounded_and_one_at_a_time() {
        let (offset, length) = (512, 1024);
        assert_eq!(
            asked(&place(request::DISCARD, 1, 2, 0)),
            Ok(Wanted::Discard { offset, length })
        );
        for (flags, unmap) in [(0, false), (1, true)] {
            assert_eq!(
                asked(&place(request::WRITE_ZEROES, 1, 2, flags)),
                Ok(Wanted::WriteZeroes { offset, length, unmap })
            );
        }
        for kind in [request::DISCARD, request::WRITE_ZEROES] {
            for (sector, count) in [(0, 101), (100, 1), (u64::MAX, 1), (0, MOST_SECTORS + 1)] {
                assert_eq!(asked(&place(kind, sector, count, 0)), Err(status::IOERR));
            }
            for readable in [0, 15, 17, 32] {
                let raw = Raw { readable, ..place(kind, 0, 1, 0) };
                assert_eq!(asked(&raw), Err(status::IOERR), "{readable} bytes");
            }
        }
    }

    #[test]
    fn flags_that_there_are_not_are_not_supported() {
        assert_eq!(asked(&place(request::DISCARD, 0, 1, 1)), Err(status::UNSUPP));
        for flags in [2, 1 << 31, u32::MAX] {
            for kind in [request::DISCARD, request::WRITE_ZEROES] {
                assert_eq!(asked(&place(kind, 0, 1, flags)), Err(status::UNSUPP));
            }
        }
    }

    #[test]
    fn requests_that_there_are_not_are_not_supported() {
        // Of a legacy device, of features that are not offered, and of none.
        for kind in [2, 3, 5, 9, 10, 12, 14, 15, 26, 0x8000_0000, u32::MAX] {
            assert_eq!(asked(&raw(kind, 0)), Err(status::UNSUPP), "{kind:#x}");
        }
        let without = Settings { discard: false, write_zeroes: false, ..SETTINGS };
        let layout = Layout::new(without).unwrap();
        for kind in [request::DISCARD, request::WRITE_ZEROES] {
            assert_eq!(parse(&place(kind, 0, 1, 0), &layout, SECTORS), Err(status::UNSUPP));
        }
    }
}
