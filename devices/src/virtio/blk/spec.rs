//! Numbers of the block device (virtio 1.2, section 5.2), under the names of the specification.

use virtio_bindings::virtio_blk;

/// Feature bits (section 5.2.3).
pub mod feature {
    use super::virtio_blk;

    /// [`config::SEG_MAX`](super::config::SEG_MAX) holds.
    pub const SEG_MAX: u64 = 1 << virtio_blk::VIRTIO_BLK_F_SEG_MAX;
    /// The disk can't be written to.
    pub const RO: u64 = 1 << virtio_blk::VIRTIO_BLK_F_RO;
    /// [`config::BLK_SIZE`](super::config::BLK_SIZE) holds.
    pub const BLK_SIZE: u64 = 1 << virtio_blk::VIRTIO_BLK_F_BLK_SIZE;
    /// There are requests to flush.
    pub const FLUSH: u64 = 1 << virtio_blk::VIRTIO_BLK_F_FLUSH;
    /// The topology holds.
    pub const TOPOLOGY: u64 = 1 << virtio_blk::VIRTIO_BLK_F_TOPOLOGY;
    /// The driver can switch the cache between writeback and writethrough.
    pub const CONFIG_WCE: u64 = 1 << virtio_blk::VIRTIO_BLK_F_CONFIG_WCE;
    /// [`config::NUM_QUEUES`](super::config::NUM_QUEUES) holds.
    pub const MQ: u64 = 1 << virtio_blk::VIRTIO_BLK_F_MQ;
    /// There are requests to discard.
    pub const DISCARD: u64 = 1 << virtio_blk::VIRTIO_BLK_F_DISCARD;
    /// There are requests to write zeroes.
    pub const WRITE_ZEROES: u64 = 1 << virtio_blk::VIRTIO_BLK_F_WRITE_ZEROES;
}

/// Offsets of the configuration's fields (section 5.2.4), little-endian.
pub mod config {
    /// The disk's length in sectors, 64 bits.
    pub const CAPACITY: usize = 0;
    /// The most buffers with data that a request has, 32 bits.
    pub const SEG_MAX: usize = 12;
    /// Bytes of a logical block, 32 bits.
    pub const BLK_SIZE: usize = 20;
    /// Which power of two logical blocks a physical one has, 8 bits.
    pub const PHYSICAL_BLOCK_EXP: usize = 24;
    /// The least that is best transferred at once, in logical blocks, 16 bits.
    pub const MIN_IO_SIZE: usize = 26;
    /// What is best transferred at once, in logical blocks, 32 bits.
    pub const OPT_IO_SIZE: usize = 28;
    /// 1 if what was written may have to be flushed, 0 if it need not be, 8 bits. The driver's to
    /// write, the only one.
    pub const WRITEBACK: usize = 32;
    /// How many queues there are, 16 bits.
    pub const NUM_QUEUES: usize = 34;
    /// The most sectors that one request discards, 32 bits.
    pub const MAX_DISCARD_SECTORS: usize = 36;
    /// In how many places, 32 bits.
    pub const MAX_DISCARD_SEG: usize = 40;
    /// What the positions of discards are best multiples of, in sectors, 32 bits.
    pub const DISCARD_SECTOR_ALIGNMENT: usize = 44;
    /// The most sectors that one request fills with zeroes, 32 bits.
    pub const MAX_WRITE_ZEROES_SECTORS: usize = 48;
    /// In how many places, 32 bits.
    pub const MAX_WRITE_ZEROES_SEG: usize = 52;
    /// 1 if the room for zeroes may be given up, 8 bits.
    pub const WRITE_ZEROES_MAY_UNMAP: usize = 56;
    /// Bytes of all that the device has.
    pub const SIZE: usize = 60;
}

/// Kinds of requests (section 5.2.6).
pub mod request {
    use super::virtio_blk;

    /// To read.
    pub const IN: u32 = virtio_blk::VIRTIO_BLK_T_IN;
    /// To write.
    pub const OUT: u32 = virtio_blk::VIRTIO_BLK_T_OUT;
    /// To flush.
    pub const FLUSH: u32 = virtio_blk::VIRTIO_BLK_T_FLUSH;
    /// To tell the disk's serial number.
    pub const GET_ID: u32 = virtio_blk::VIRTIO_BLK_T_GET_ID;
    /// To discard.
    pub const DISCARD: u32 = virtio_blk::VIRTIO_BLK_T_DISCARD;
    /// To write zeroes.
    pub const WRITE_ZEROES: u32 = virtio_blk::VIRTIO_BLK_T_WRITE_ZEROES;

    /// Bytes of a request's header: its kind, 32 bits; 32 that are reserved; the sector, 64 bits.
    pub const HEADER: usize = 16;
    /// Bytes of a place to be discarded or filled with zeroes: its sector, 64 bits; its length in
    /// sectors, 32 bits; flags, 32 bits.
    pub const SEGMENT: usize = 16;
    /// Flag of such a place: the room for it may be given up.
    pub const UNMAP: u32 = virtio_blk::VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
}

/// What a driver is told of a request, in its last byte (section 5.2.6).
pub mod status {
    /// It was done.
    pub const OK: u8 = 0;
    /// It failed.
    pub const IOERR: u8 = 1;
    /// There is no such request.
    pub const UNSUPP: u8 = 2;
}

/// Bytes of a sector, in which positions and lengths are counted whatever a block has.
pub const SECTOR: u64 = 512;
/// Bytes of a serial number; a shorter one is followed by zeroes.
pub const ID_BYTES: usize = virtio_blk::VIRTIO_BLK_ID_BYTES as usize;
