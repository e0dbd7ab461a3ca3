//! What QEMU's clients are told of a node.

use device_model::{
    block::{BlockNode, slots},
    qom_core::Obj,
};
use schemars::JsonSchema;
use serde::Serialize;

/// A node, and what is set for it. What this program has no such thing of is as QEMU has it where
/// nobody asked for it.
#[derive(Serialize, JsonSchema)]
pub(super) struct BlockDeviceInfo {
    /// Where its bytes are.
    file: String,
    /// What it is called.
    #[serde(rename = "node-name")]
    node_name: String,
    /// Whether it can't be written to.
    ro: bool,
    /// Its driver.
    drv: String,
    /// Nodes that it stands on.
    children: Vec<BlockdevChild>,
    /// How many images lie below its own.
    backing_file_depth: u64,
    /// Whether it is at work.
    active: bool,
    /// Whether it is encrypted.
    encrypted: bool,
    /// What becomes of zeroes that are written.
    detect_zeroes: &'static str,
    /// Limit in bytes a second; 0 is none.
    bps: u64,
    /// The same for reads.
    bps_rd: u64,
    /// The same for writes.
    bps_wr: u64,
    /// Limit in requests a second; 0 is none.
    iops: u64,
    /// The same for reads.
    iops_rd: u64,
    /// The same for writes.
    iops_wr: u64,
    /// Its image.
    image: ImageInfo,
    /// How the host's cache is used.
    cache: BlockdevCacheInfo,
    /// Where a write is told of that goes beyond; 0 is nowhere.
    write_threshold: u64,
}

/// A node that another stands on.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct BlockdevChild {
    /// What it is to the other.
    child: String,
    /// What it is called.
    node_name: String,
}

/// An image.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct ImageInfo {
    /// Where it is.
    filename: String,
    /// Its format.
    format: String,
    /// Its length, in bytes.
    virtual_size: u64,
    /// What it takes up where it is held, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_size: Option<u64>,
}

/// How the host's cache is used.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct BlockdevCacheInfo {
    /// Whether writes are done before they are flushed.
    writeback: bool,
    /// Whether it is avoided.
    direct: bool,
    /// Whether flushes are passed over.
    no_flush: bool,
}

/// What is told of a node; none if the object is none.
pub(super) fn of(object: &Obj) -> Option<BlockDeviceInfo> {
    let node = object.cast::<dyn BlockNode>()?;
    let (file, driver) = (node.filename(), node.driver().to_owned());
    Some(BlockDeviceInfo {
        node_name: node.node_name(),
        ro: !node.is_writable(),
        children: children(object),
        backing_file_depth: 0,
        active: true,
        encrypted: false,
        detect_zeroes: "off",
        bps: 0,
        bps_rd: 0,
        bps_wr: 0,
        iops: 0,
        iops_rd: 0,
        iops_wr: 0,
        image: ImageInfo {
            filename: file.clone(),
            format: driver.clone(),
            virtual_size: node.length(),
            actual_size: node.allocated(),
        },
        cache: BlockdevCacheInfo {
            writeback: true,
            direct: node.cache_direct(),
            no_flush: node.cache_no_flush(),
        },
        write_threshold: 0,
        file,
        drv: driver,
    })
}

/// The nodes that a node stands on, those first that are described within it.
fn children(object: &Obj) -> Vec<BlockdevChild> {
    let within = object.children().into_iter();
    let linked = object.links().filter_map(|(property, child)| {
        let slot = slots(object.class()).find(|slot| property.starts_with(slot))?;
        Some((slot.to_owned(), child.clone()))
    });
    let child = |(child, object): (String, Obj)| {
        let node_name = object.cast::<dyn BlockNode>()?.node_name();
        Some(BlockdevChild { child, node_name })
    };
    within.chain(linked).filter_map(child).collect()
}
