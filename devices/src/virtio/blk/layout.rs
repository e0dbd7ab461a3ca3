//! What a disk is like to its driver: the features and the configuration that follow from what the
//! user set.

use device_model::block::Limits;
use thiserror::Error;

use super::spec::{SECTOR, config, feature};

/// The greatest logical or physical block, in bytes.
pub const MOST_BLOCK: u32 = 2 << 20;
/// The greatest size of a queue, in descriptors.
pub const MOST_QUEUE_SIZE: u16 = 1024;
/// The most sectors that one request discards or fills with zeroes, so that it is bounded how long
/// one takes: as many as have less than 2 GiB.
pub const MOST_SECTORS: u32 = i32::MAX.unsigned_abs() >> 9;

/// What the user set, and what the node behind the disk is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of a logical block.
    pub logical_block_size: u32,
    /// Bytes of a physical block.
    pub physical_block_size: u32,
    /// The least that is best transferred at once, in bytes; 0 if nobody says.
    pub min_io_size: u32,
    /// What is best transferred at once, in bytes; 0 if nobody says.
    pub opt_io_size: u32,
    /// What is best discarded at once, in bytes; as the node has it if absent.
    pub discard_granularity: Option<u32>,
    /// How many queues there are.
    pub num_queues: u16,
    /// The greatest size of each, in descriptors.
    pub queue_size: u16,
    /// Whether there are requests to discard.
    pub discard: bool,
    /// Whether there are requests to write zeroes.
    pub write_zeroes: bool,
    /// The most sectors that one request discards.
    pub max_discard_sectors: u32,
    /// The most sectors that one request fills with zeroes.
    pub max_write_zeroes_sectors: u32,
    /// Whether nobody may write.
    pub read_only: bool,
    /// Whether the driver may switch the cache.
    pub config_wce: bool,
    /// What the node asks of operations.
    pub node: Limits,
}

/// What no disk can be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// A block's size.
    #[error("{property} must be a power of two from 512 to {MOST_BLOCK}, not {given}")]
    Block {
        /// Which.
        property: &'static str,
        /// The size, in bytes.
        given: u32,
    },
    /// Blocks of which the logical one is the greater.
    #[error("logical_block_size {logical} > physical_block_size {physical} not supported")]
    Logical {
        /// Its bytes.
        logical: u32,
        /// Those of the other.
        physical: u32,
    },
    /// A size that is no number of blocks.
    #[error("{property} must be a multiple of logical_block_size {block}, not {given}")]
    Multiple {
        /// Which.
        property: &'static str,
        /// Bytes of a logical block.
        block: u32,
        /// The size, in bytes.
        given: u32,
    },
    /// More blocks than the configuration can tell.
    #[error(
        "min_io_size must not exceed {most} logical blocks of {block} bytes, not {given} bytes"
    )]
    MinIoSize {
        /// Bytes of a logical block.
        block: u32,
        /// The size, in bytes.
        given: u32,
        /// How many blocks are the most.
        most: u16,
    },
    /// A size of a queue.
    #[error("queue-size must be a power of two from 4 to {MOST_QUEUE_SIZE}, not {0}")]
    QueueSize(u16),
    /// A number of sectors.
    #[error("{property} must be from 1 to {MOST_SECTORS}, not {given}")]
    Sectors {
        /// Which.
        property: &'static str,
        /// How many.
        given: u32,
    },
}

/// A disk that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    settings: Settings,
    physical_exponent: u8,
    min_io_blocks: u16,
    opt_io_blocks: u32,
    discard_sectors: u32,
}

impl Layout {
    /// The disk that those settings describe.
    ///
    /// # Errors
    /// If there can't be such a disk.
    pub fn new(settings: Settings) -> Result<Self, LayoutError> {
        let (block, physical) = (settings.logical_block_size, settings.physical_block_size);
        for (property, given) in [("logical_block_size", block), ("physical_block_size", physical)]
        {
            if !given.is_power_of_two() || !(512..=MOST_BLOCK).contains(&given) {
                return Err(LayoutError::Block { property, given });
            }
        }
        if block > physical {
            return Err(LayoutError::Logical { logical: block, physical });
        }
        let granularity = settings.discard_granularity;
        for (property, given) in [
            ("min_io_size", settings.min_io_size),
            ("opt_io_size", settings.opt_io_size),
            ("discard_granularity", granularity.unwrap_or(0)),
        ] {
            if !given.is_multiple_of(block) {
                return Err(LayoutError::Multiple { property, block, given });
            }
        }
        let min_io_blocks = u16::try_from(settings.min_io_size / block).map_err(|_| {
            LayoutError::MinIoSize { block, given: settings.min_io_size, most: u16::MAX }
        })?;
        let queue_size = settings.queue_size;
        if !queue_size.is_power_of_two() || !(4..=MOST_QUEUE_SIZE).contains(&queue_size) {
            return Err(LayoutError::QueueSize(queue_size));
        }
        for (property, given) in [
            ("max-discard-sectors", settings.max_discard_sectors),
            ("max-write-zeroes-sectors", settings.max_write_zeroes_sectors),
        ] {
            if !(1..=MOST_SECTORS).contains(&given) {
                return Err(LayoutError::Sectors { property, given });
            }
        }
        let granularity = granularity
            .filter(|given| *given > 0)
            .unwrap_or_else(|| settings.node.discard_alignment.max(block));
        Ok(Self {
            settings,
            // No more than 12, as both are powers of two within bounds.
            physical_exponent: u8::try_from((physical / block).trailing_zeros()).unwrap_or(0),
            min_io_blocks,
            opt_io_blocks: settings.opt_io_size / block,
            discard_sectors: granularity >> SECTOR.trailing_zeros(),
        })
    }

    /// What it was made of.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many sectors a node of that many bytes has to the driver: a whole number of blocks.
    #[must_use]
    pub fn sectors(&self, bytes: u64) -> u64 {
        let block = u64::from(self.settings.logical_block_size);
        (bytes - bytes % block) / SECTOR
    }

    /// The features that it offers.
    #[must_use]
    pub fn features(&self) -> u64 {
        let settings = &self.settings;
        let writable = !settings.read_only;
        [
            (feature::SEG_MAX | feature::BLK_SIZE | feature::FLUSH | feature::TOPOLOGY, true),
            (feature::RO, settings.read_only),
            (feature::CONFIG_WCE, settings.config_wce),
            (feature::MQ, settings.num_queues > 1),
            (feature::DISCARD, settings.discard && writable),
            (feature::WRITE_ZEROES, settings.write_zeroes && writable),
        ]
        .into_iter()
        .filter_map(|(bits, has)| has.then_some(bits))
        .fold(0, |all, bits| all | bits)
    }

    /// The configuration of a disk with that many sectors.
    #[must_use]
    pub fn config(&self, sectors: u64, writeback: bool) -> [u8; config::SIZE] {
        let settings = &self.settings;
        let mut bytes = [0; config::SIZE];
        let mut put = |at: usize, field: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + field.len()) {
                place.copy_from_slice(field);
            }
        };
        put(config::CAPACITY, &sectors.to_le_bytes());
        // A request's header and its status take a descriptor each.
        put(config::SEG_MAX, &u32::from(settings.queue_size - 2).to_le_bytes());
        put(config::BLK_SIZE, &settings.logical_block_size.to_le_bytes());
        put(config::PHYSICAL_BLOCK_EXP, &[self.physical_exponent]);
        put(config::MIN_IO_SIZE, &self.min_io_blocks.to_le_bytes());
        put(config::OPT_IO_SIZE, &self.opt_io_blocks.to_le_bytes());
        put(config::WRITEBACK, &[u8::from(writeback)]);
        put(config::NUM_QUEUES, &settings.num_queues.to_le_bytes());
        let features = self.features();
        if features & feature::DISCARD != 0 {
            put(config::MAX_DISCARD_SECTORS, &settings.max_discard_sectors.to_le_bytes());
            put(config::MAX_DISCARD_SEG, &1_u32.to_le_bytes());
            put(config::DISCARD_SECTOR_ALIGNMENT, &self.discard_sectors.to_le_bytes());
        }
        if features & feature::WRITE_ZEROES != 0 {
            put(config::MAX_WRITE_ZEROES_SECTORS, &settings.max_write_zeroes_sectors.to_le_bytes());
            put(config::MAX_WRITE_ZEROES_SEG, &1_u32.to_le_bytes());
            put(config::WRITE_ZEROES_MAY_UNMAP, &[1]);
        }
        bytes
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const SETTINGS: Settings = Settings {
        logical_block_size: 512,
        physical_block_size: 512,
        min_io_size: 0,
        opt_io_size: 0,
        discard_granularity: None,
        num_queues: 1,
        queue_size: 256,
        discard: true,
        write_zeroes: true,
        max_discard_sectors: MOST_SECTORS,
        max_write_zeroes_sectors: MOST_SECTORS,
        read_only: false,
        config_wce: true,
        node: Limits { alignment: 1, discard_alignment: 1 },
    };

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn the_configuration_has_what_was_set_where_the_specification_has_it() {
        let settings = Settings {
            logical_block_size: 4096,
            physical_block_size: 16384,
            min_io_size: 8192,
            opt_io_size: 65536,
            discard_granularity: Some(1 << 20),
            num_queues: 3,
            queue_size: 128,
            max_discard_sectors: 1000,
            max_write_zeroes_sectors: 2000,
            ..SETTINGS
        };
        let bytes = Layout::new(settings).unwrap().config(0x1122_3344_5566, true);
        assert_eq!(bytes[..8], 0x1122_3344_5566_u64.to_le_bytes());
        assert_eq!(bytes[8..12], [0; 4], "no SIZE_MAX");
        assert_eq!(word(&bytes, 12), 126);
        assert_eq!(bytes[16..20], [0; 4], "no geometry");
        assert_eq!(word(&bytes, 20), 4096);
        assert_eq!(bytes[24..28], [2, 0, 2, 0]);
        assert_eq!(word(&bytes, 28), 16);
        assert_eq!(bytes[32..36], [1, 0, 3, 0]);
        assert_eq!((word(&bytes, 36), word(&bytes, 40), word(&bytes, 44)), (1000, 1, 2048));
        assert_eq!((word(&bytes, 48), word(&bytes, 52)), (2000, 1));
        assert_eq!(bytes[56..], [1, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_there_is_not_offered() {
        let all = Layout::new(Settings { num_queues: 2, ..SETTINGS }).unwrap().features();
        let bits = |features: u64| (0..64).filter(|bit| features >> bit & 1 == 1).collect();
        let offered: Vec<u32> = bits(all);
        assert_eq!(offered, [2, 6, 9, 10, 11, 12, 13, 14]);
        for (settings, without) in [
            (Settings { num_queues: 1, ..SETTINGS }, feature::MQ),
            (Settings { num_queues: 2, config_wce: false, ..SETTINGS }, feature::CONFIG_WCE),
            (Settings { num_queues: 2, discard: false, ..SETTINGS }, feature::DISCARD),
            (Settings { num_queues: 2, write_zeroes: false, ..SETTINGS }, feature::WRITE_ZEROES),
        ] {
            assert_eq!(Layout::new(settings).unwrap().features(), all & !without);
        }
        let read_only = Layout::new(Settings { read_only: true, ..SETTINGS }).unwrap();
        let offered: Vec<u32> = bits(read_only.features());
        assert_eq!(offered, [2, 5, 6, 9, 10, 11]);
        assert_eq!(read_only.config(8, false)[36..], [0; 24]);
    }

    #[test]
    fn a_disk_has_whole_blocks() {
        let settings = Settings { logical_block_size: 4096, physical_block_size: 4096, ..SETTINGS };
        let layout = Layout::new(settings).unwrap();
        for (bytes, sectors) in [(0, 0), (4095, 0), (4096, 8), (12_287, 16)] {
            assert_eq!(layout.sectors(bytes), sectors, "{bytes}");
        }
        assert_eq!(layout.sectors(u64::MAX), (1 << 55) - 8);
    }

    #[test]
    fn discards_are_aligned_as_the_user_says_or_the_node_or_the_block() {
        let at = |granularity, alignment| {
            let node = Limits { alignment: 1, discard_alignment: alignment };
            let settings = Settings { discard_granularity: granularity, node, ..SETTINGS };
            word(&Layout::new(settings).unwrap().config(0, false), 44)
        };
        assert_eq!(
            (at(None, 1), at(Some(0), 1), at(None, 4096), at(Some(512), 4096)),
            (1, 1, 8, 1)
        );
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for (settings, text) in [
            (
                Settings { logical_block_size: 513, ..SETTINGS },
                "logical_block_size must be a power of two from 512 to 2097152, not 513",
            ),
            (
                Settings { physical_block_size: 4 << 20, ..SETTINGS },
                "physical_block_size must be a power of two from 512 to 2097152, not 4194304",
            ),
            (
                Settings { logical_block_size: 4096, ..SETTINGS },
                "logical_block_size 4096 > physical_block_size 512 not supported",
            ),
            (
                Settings { opt_io_size: 1000, ..SETTINGS },
                "opt_io_size must be a multiple of logical_block_size 512, not 1000",
            ),
            (
                Settings { discard_granularity: Some(100), ..SETTINGS },
                "discard_granularity must be a multiple of logical_block_size 512, not 100",
            ),
            (
                Settings { min_io_size: 32 << 20, ..SETTINGS },
                "min_io_size must not exceed 65535 logical blocks of 512 bytes, not 33554432 bytes",
            ),
            (
                Settings { queue_size: 2, ..SETTINGS },
                "queue-size must be a power of two from 4 to 1024, not 2",
            ),
            (
                Settings { max_discard_sectors: 0, ..SETTINGS },
                "max-discard-sectors must be from 1 to 4194303, not 0",
            ),
            (
                Settings { max_write_zeroes_sectors: 1 << 22, ..SETTINGS },
                "max-write-zeroes-sectors must be from 1 to 4194303, not 4194304",
            ),
        ] {
            assert_eq!(Layout::new(settings).expect_err(text).to_string(), text);
        }
    }
}
