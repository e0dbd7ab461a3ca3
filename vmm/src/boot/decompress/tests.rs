//! Tests of the decoders: each format there and back, bombs, damage.

use std::io::{Cursor, Write};

use flate2::write::GzEncoder;
use lzma_rust2::{FilterType, LzmaOptions, LzmaWriter, XzOptions, XzWriter};
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

/// Every format with an encoder.
pub(crate) const ALL: [Compression; 6] = [
    Compression::None,
    Compression::Gzip,
    Compression::Lz4Legacy,
    Compression::Zstd,
    Compression::Xz,
    Compression::Lzma,
];

/// Compresses as a kernel's build does, but for the length that it appends.
pub(crate) fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4Legacy => {
            let mut frame = b"\x02\x21\x4c\x18".to_vec();
            for block in bytes.chunks(8 << 20) {
                let block = lz4_flex::block::compress(block);
                frame.extend((block.len() as u32).to_le_bytes());
                frame.extend(block);
            }
            frame
        }
        Compression::Zstd => compress_to_vec(bytes, CompressionLevel::Fastest),
        Compression::Xz => {
            let mut options = XzOptions::with_preset(1);
            options.prepend_pre_filter(FilterType::BcjX86, 0);
            let mut encoder = XzWriter::new(Vec::new(), options).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lzma => {
            let options = LzmaOptions::with_preset(1);
            let mut encoder = LzmaWriter::new_use_header(Vec::new(), &options, None).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// Compressible bytes with calls in them, which the x86 filter changes.
fn sample(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| match at % 40 {
            0 => 0xe8,
            3 | 4 => 0,
            _ => (at / 40 * 3 % 256) as u8,
        })
        .collect()
}

fn unpack(compression: Compression, bytes: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    compression
        .decoder(Cursor::new(bytes), limit)
        .map_err(|error| error.to_string())?
        .read_to_end(&mut unpacked)
        .map_err(|error| error.to_string())?;
    Ok(unpacked)
}

#[test]
fn every_format_is_recognised_and_unpacks_to_what_was_packed() {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend(sample(300_000));
    for compression in ALL {
        let mut packed = compress(compression, &bytes);
        assert_eq!(Compression::detect(&packed), Some(compression));
        assert_eq!(unpack(compression, &packed, 1 << 20).as_ref(), Ok(&bytes), "{compression:?}");
        if compression != Compression::None {
            // The length that a kernel's build appends.
            packed.extend((bytes.len() as u32).to_le_bytes());
            assert_eq!(
                unpack(compression, &packed, 1 << 20).as_ref(),
                Ok(&bytes),
                "{compression:?} with its length"
            );
        }
    }
}

#[test]
fn formats_without_a_decoder_are_not_recognised() {
    for start in [&b"BZh9"[..], b"\x89LZO\0", b"\x04\x22\x4d\x18", b"", b"\x1f"] {
        assert_eq!(Compression::detect(start), None, "{start:02x?}");
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let bytes = vec![0; 20 << 20];
    for compression in ALL {
        let packed = compress(compression, &bytes);
        assert_eq!(
            unpack(compression, &packed, 1 << 20),
            Err("unpacks to more than the guest's RAM of 1 MiB".into()),
            "{compression:?}"
        );
    }
}

#[test]
fn output_of_exactly_the_limit_is_allowed() {
    let bytes = sample(0x10000);
    for compression in ALL {
        let packed = compress(compression, &bytes);
        assert!(unpack(compression, &packed, 0x10000).is_ok());
        assert!(unpack(compression, &packed, 0xffff).is_err());
    }
}

#[test]
fn a_payload_cut_short_is_an_error_or_shorter() {
    let bytes = sample(10_000);
    for compression in ALL {
        let packed = compress(compression, &bytes);
        for length in 0..packed.len() {
            if let Ok(unpacked) = unpack(compression, &packed[..length], 1 << 20) {
                assert!(unpacked.len() < bytes.len(), "{compression:?} {length}");
            }
        }
    }
}

#[test]
fn windows_that_take_too_much_memory_are_refused() {
    // A frame header with a window descriptor of exponent 31: 2 TiB (RFC 8878, 3.1.1.1.2).
    let zstd = b"\x28\xb5\x2f\xfd\x00\xf8\x00\x00\x00";
    assert_eq!(unpack(Compression::Zstd, zstd, 1 << 20), Err("bad zstd header".into()));
    // A dictionary of 1 GiB, then the unknown length.
    let mut lzma = b"\x5d\0\0\0\x40".to_vec();
    lzma.extend([0xff; 8]);
    lzma.extend([0; 32]);
    assert_eq!(unpack(Compression::Lzma, &lzma, 1 << 20), Err("bad lzma header".into()));
    let mut options = XzOptions::with_preset(0);
    options.lzma_options.dict_size = 256 << 20;
    let mut xz = XzWriter::new(Vec::new(), options).unwrap();
    xz.write_all(b"small").unwrap();
    let xz = xz.finish().unwrap();
    let error = unpack(Compression::Xz, &xz, 1 << 20).unwrap_err();
    assert!(error.contains("memory"), "{error}");
}

#[test]
fn contents_that_do_not_match_their_checksum_are_an_error() {
    let bytes = sample(10_000);
    // Where the checksum lies, from the end: of gzip before the length, of zstd at the end.
    for (compression, from_end) in [(Compression::Gzip, 8), (Compression::Zstd, 4)] {
        let mut packed = compress(compression, &bytes);
        let at = packed.len() - from_end;
        packed[at] ^= 1;
        assert!(unpack(compression, &packed, 1 << 20).is_err(), "{compression:?}");
    }
}

proptest! {
    #[test]
    fn damage_is_an_error_or_bounded_output(
        which in 0..ALL.len(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let compression = ALL[which];
        let mut packed = compress(compression, &sample(5_000));
        for (at, value) in damage {
            let at = at.index(packed.len());
            packed[at] = value;
        }
        if let Ok(unpacked) = unpack(compression, &packed, 6_000) {
            prop_assert!(unpacked.len() <= 6_000);
        }
    }
}
