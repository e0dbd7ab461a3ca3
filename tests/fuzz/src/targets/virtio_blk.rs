//! The block device, its two queues and its configuration.

use device_model::qom_core::Request;

use crate::{Target, virtio};

inventory::submit!(Target { name: "virtio-blk", covers: &["virtio-blk-device"], run });

/// The first byte says what the disk is like.
fn run(data: &[u8]) {
    let (kind, data) = data.split_first().map_or((0, data), |(kind, data)| (*kind, data));
    let word = |bit: u8| if kind & bit == 0 { "off" } else { "on" };
    let node = Request::new("blockdev-null-co", "/", "node")
        .set("size", "32768")
        .set("read-zeroes", "on")
        .set("discard", "unmap")
        .set("read-only", word(1));
    let block = if kind & 2 == 0 { "512" } else { "4096" };
    let properties = [
        ("drive", "node"),
        ("num-queues", "2"),
        ("serial", "a serial number"),
        ("logical_block_size", block),
        ("physical_block_size", block),
        ("write-cache", if kind & 4 == 0 { "auto" } else { "off" }),
        ("discard", if kind & 8 == 0 { "on" } else { "off" }),
        ("config-wce", if kind & 16 == 0 { "on" } else { "off" }),
    ];
    virtio::drive_before([node], "virtio-blk-device", &properties, data);
}
