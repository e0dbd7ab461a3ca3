//! A decoder of compressed kernels never gives more than it was allowed, whatever it is fed.

use std::io::Read;

use vmm::boot::decompress::Compression;

use crate::{Target, input::Input};

const ALL: [Compression; 6] = [
    Compression::None,
    Compression::Gzip,
    Compression::Lz4Legacy,
    Compression::Zstd,
    Compression::Xz,
    Compression::Lzma,
];
/// The most that may be unpacked is this many KiB times the second byte.
const LIMIT_UNIT: u64 = 1024;

inventory::submit!(Target { name: "decompress", covers: &[], run });

/// A byte for the compression, one for the limit, then the compressed data.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let compression = ALL[usize::from(input.byte()) % ALL.len()];
    let limit = u64::from(input.byte()) * LIMIT_UNIT;
    let Ok(mut decoder) = compression.decoder(input.rest(), limit) else { return };
    let mut unpacked = 0;
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = decoder.read(&mut buffer) {
        unpacked += count as u64;
        assert!(unpacked <= limit, "{compression:?}: {unpacked} of {limit}");
    }
}
