//! What disks have been asked for: `query-blockstats`.

use device_model::{
    block::{Count, Statistics},
    monitor::{Command, CommandContext, CommandError, register_command},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node_name;

/// `query-blockstats`.
struct QueryBlockstats;

/// Of what to tell.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct QueryBlockstatsArguments {
    /// Whether to tell of nodes rather than of devices. What devices ask for is counted, and nothing
    /// of what nodes ask of each other.
    #[serde(default)]
    query_nodes: bool,
}

/// What a device has asked of the node behind it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct BlockStats {
    /// The name of the drive behind it, which has none but its node's.
    device: &'static str,
    /// Path of the device.
    qdev: String,
    /// The node behind it.
    node_name: String,
    /// How much it was.
    stats: BlockDeviceStats,
}

/// Requests, bytes and times. What the devices here have no such requests of is 0.
#[derive(Serialize, JsonSchema)]
struct BlockDeviceStats {
    /// Bytes read.
    rd_bytes: u64,
    /// Bytes written.
    wr_bytes: u64,
    /// Bytes appended to zones.
    zone_append_bytes: u64,
    /// Bytes discarded.
    unmap_bytes: u64,
    /// Reads that were done.
    rd_operations: u64,
    /// Writes that were done.
    wr_operations: u64,
    /// Appends to zones that were done.
    zone_append_operations: u64,
    /// Flushes that were done.
    flush_operations: u64,
    /// Discards that were done.
    unmap_operations: u64,
    /// How long reads took, in nanoseconds.
    rd_total_time_ns: u64,
    /// How long writes took.
    wr_total_time_ns: u64,
    /// How long appends to zones took.
    zone_append_total_time_ns: u64,
    /// How long flushes took.
    flush_total_time_ns: u64,
    /// How long discards took.
    unmap_total_time_ns: u64,
    /// Where the furthest byte that was written ends.
    wr_highest_offset: u64,
    /// Reads that were joined to others.
    rd_merged: u64,
    /// Writes that were.
    wr_merged: u64,
    /// Appends to zones that were.
    zone_append_merged: u64,
    /// Discards that were.
    unmap_merged: u64,
    /// Reads that failed.
    failed_rd_operations: u64,
    /// Writes that failed.
    failed_wr_operations: u64,
    /// Appends to zones that failed.
    failed_zone_append_operations: u64,
    /// Flushes that failed.
    failed_flush_operations: u64,
    /// Discards that failed.
    failed_unmap_operations: u64,
    /// Reads that could not be meant. Those count as failed here.
    invalid_rd_operations: u64,
    /// Writes that could not be meant.
    invalid_wr_operations: u64,
    /// Appends to zones that could not be meant.
    invalid_zone_append_operations: u64,
    /// Flushes that could not be meant.
    invalid_flush_operations: u64,
    /// Discards that could not be meant.
    invalid_unmap_operations: u64,
    /// Whether requests that could not be meant are in the times.
    account_invalid: bool,
    /// Whether requests that failed are in the times.
    account_failed: bool,
    /// Statistics of stretches of time, of which nobody asked for any.
    timed_stats: Vec<Stretch>,
}

/// Statistics of a stretch of time.
#[derive(Serialize, JsonSchema)]
struct Stretch {}

impl From<Statistics> for BlockDeviceStats {
    fn from(statistics: Statistics) -> Self {
        let Statistics { reads, writes, flushes, discards, written_to } = statistics;
        let time = |count: Count| u64::try_from(count.time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            rd_bytes: reads.bytes,
            wr_bytes: writes.bytes,
            zone_append_bytes: 0,
            unmap_bytes: discards.bytes,
            rd_operations: reads.done,
            wr_operations: writes.done,
            zone_append_operations: 0,
            flush_operations: flushes.done,
            unmap_operations: discards.done,
            rd_total_time_ns: time(reads),
            wr_total_time_ns: time(writes),
            zone_append_total_time_ns: 0,
            flush_total_time_ns: time(flushes),
            unmap_total_time_ns: time(discards),
            wr_highest_offset: written_to,
            rd_merged: 0,
            wr_merged: 0,
            zone_append_merged: 0,
            unmap_merged: 0,
            failed_rd_operations: reads.failed,
            failed_wr_operations: writes.failed,
            failed_zone_append_operations: 0,
            failed_flush_operations: flushes.failed,
            failed_unmap_operations: discards.failed,
            invalid_rd_operations: 0,
            invalid_wr_operations: 0,
            invalid_zone_append_operations: 0,
            invalid_flush_operations: 0,
            invalid_unmap_operations: 0,
            account_invalid: false,
            account_failed: false,
            timed_stats: Vec::new(),
        }
    }
}

impl Command for QueryBlockstats {
    const NAME: &'static str = "query-blockstats";
    type Arguments = QueryBlockstatsArguments;
    type Returns = Vec<BlockStats>;

    fn run(
        context: &CommandContext<'_>,
        arguments: QueryBlockstatsArguments,
    ) -> Result<Vec<BlockStats>, CommandError> {
        if arguments.query_nodes {
            let text = "Parameter 'query-nodes' expects 'false': requests are counted by device";
            return Err(CommandError::generic(text));
        }
        let devices = context.platform().block_users().devices();
        let stats = devices.into_iter().filter_map(|one| {
            let backend = one.backend.as_ref()?.upgrade()?;
            Some(BlockStats {
                device: "",
                qdev: one.user.path().unwrap_or_default(),
                node_name: node_name(&one.node),
                stats: backend.statistics().into(),
            })
        });
        Ok(stats.collect())
    }
}

register_command!(QueryBlockstats);
