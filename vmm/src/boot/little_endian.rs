//! Little-endian fields of byte buffers that came from untrusted files, read with bounds checks.

/// The `N` bytes at `offset`, or `None` where the buffer ends before them.
pub(super) fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.first_chunk().copied()
}

/// The 16-bit field at `offset`.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes_at(bytes, offset).map(u16::from_le_bytes)
}

/// The 32-bit field at `offset`.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes_at(bytes, offset).map(u32::from_le_bytes)
}

/// The 64-bit field at `offset`.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes_at(bytes, offset).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_little_endian() {
        let bytes = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09];
        assert_eq!(u16_at(&bytes, 1), Some(0x0302));
        assert_eq!(u32_at(&bytes, 5), Some(0x0908_0706));
        assert_eq!(u64_at(&bytes, 1), Some(0x0908_0706_0504_0302));
    }

    #[test]
    fn a_field_past_the_end_is_absent() {
        let bytes = [0; 9];
        assert_eq!(u64_at(&bytes, 2), None);
        assert_eq!(u16_at(&bytes, 9), None);
        assert_eq!(u32_at(&bytes, usize::MAX), None);
        assert_eq!(bytes_at::<0>(&bytes, 9), Some([]));
    }
}
