//! The CMOS memory, and the sizes that a board leaves in it for firmware.

use super::spec::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cmos([u8; CMOS_SIZE]);

impl Cmos {
    pub(super) fn new(bytes: [u8; CMOS_SIZE]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> [u8; CMOS_SIZE] {
        self.0
    }

    /// The byte at `index`; beyond the memory, 0xff.
    pub(super) fn get(&self, index: u8) -> u8 {
        self.0.get(usize::from(index)).copied().unwrap_or(0xff)
    }

    /// Sets the byte at `index`, if there is one.
    pub(super) fn set(&mut self, index: u8, value: u8) {
        if let Some(byte) = self.0.get_mut(usize::from(index)) {
            *byte = value;
        }
    }

    /// Writes down how much memory there is, each field at most the most that it can say.
    pub(super) fn set_memory_size(&mut self, below_4g: u64, above_4g: u64) {
        let base = (below_4g / KIB).min(640);
        let extended = below_4g.saturating_sub(MIB) / KIB;
        let above_16m = below_4g.saturating_sub(16 * MIB) / (64 * KIB);
        self.set_number::<2>(CMOS_BASE_MEMORY, base);
        self.set_number::<2>(CMOS_EXTENDED_MEMORY, extended);
        self.set_number::<2>(CMOS_EXTENDED_MEMORY_FOUND, extended);
        self.set_number::<2>(CMOS_MEMORY_ABOVE_16M, above_16m);
        self.set_number::<3>(CMOS_MEMORY_ABOVE_4G, above_4g / (64 * KIB));
    }

    fn set_number<const BYTES: usize>(&mut self, index: u8, value: u64) {
        let bytes = value.to_le_bytes();
        let (low, high) = bytes.split_at(BYTES);
        let too_large = high.iter().any(|&byte| byte != 0);
        for (index, &byte) in (index..).zip(low) {
            self.set(index, if too_large { 0xff } else { byte });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(cmos: &Cmos, index: u8) -> u32 {
        u32::from(cmos.get(index)) | u32::from(cmos.get(index + 1)) << 8
    }

    #[test]
    fn sizes_are_in_their_units() {
        let mut cmos = Cmos::new([0; CMOS_SIZE]);
        cmos.set_memory_size(32 * MIB, 5 << 30);
        assert_eq!(number(&cmos, CMOS_BASE_MEMORY), 640);
        assert_eq!(number(&cmos, CMOS_EXTENDED_MEMORY), 31 * 1024);
        assert_eq!(number(&cmos, CMOS_EXTENDED_MEMORY_FOUND), 31 * 1024);
        assert_eq!(number(&cmos, CMOS_MEMORY_ABOVE_16M), 256);
        assert_eq!(number(&cmos, CMOS_MEMORY_ABOVE_4G), 0x4000);
        assert_eq!(cmos.get(CMOS_MEMORY_ABOVE_4G + 2), 1);
    }

    #[test]
    fn a_size_too_large_for_its_field_is_the_field_s_largest() {
        let mut cmos = Cmos::new([0; CMOS_SIZE]);
        cmos.set_memory_size(3 << 30, u64::MAX);
        assert_eq!(number(&cmos, CMOS_EXTENDED_MEMORY), 0xffff);
        assert_eq!(number(&cmos, CMOS_MEMORY_ABOVE_16M), 0xbf00);
        assert_eq!(number(&cmos, CMOS_MEMORY_ABOVE_4G), 0xffff);
        assert_eq!(cmos.get(CMOS_MEMORY_ABOVE_4G + 2), 0xff);
        assert_eq!(cmos.get(CMOS_MEMORY_ABOVE_4G + 3), 0);
    }

    #[test]
    fn a_machine_with_hardly_any_memory_says_so() {
        let mut cmos = Cmos::new([0; CMOS_SIZE]);
        cmos.set_memory_size(64 * KIB, 0);
        assert_eq!(number(&cmos, CMOS_BASE_MEMORY), 64);
        assert_eq!(number(&cmos, CMOS_EXTENDED_MEMORY), 0);
        assert_eq!(number(&cmos, CMOS_MEMORY_ABOVE_16M), 0);
    }

    #[test]
    fn there_is_nothing_beyond_the_memory() {
        let mut cmos = Cmos::new([0; CMOS_SIZE]);
        cmos.set(128, 1);
        assert_eq!(cmos.bytes(), [0; CMOS_SIZE]);
        assert_eq!(cmos.get(128), 0xff);
    }
}
