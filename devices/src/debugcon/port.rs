//! The debug console's behaviour: bytes out, and a constant in.

use super::spec::{DATA, DEFAULT_READBACK};

/// A write-only console of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugCon {
    readback: u8,
}

impl Default for DebugCon {
    fn default() -> Self {
        Self::new(DEFAULT_READBACK)
    }
}

impl DebugCon {
    /// A console that answers reads with `readback`.
    pub const fn new(readback: u8) -> Self {
        Self { readback }
    }

    /// The guest reads. Bytes beyond the port read as 0xff.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            *byte = if offset == DATA { self.readback } else { 0xff };
        }
    }

    /// The guest writes. Returns the byte to output; those of a wider access belong to other ports.
    #[must_use = "the byte is lost unless it is handed to the backend"]
    pub fn write(&self, offset: u64, data: &[u8]) -> Option<u8> {
        if offset == DATA { data.first().copied() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn firmware_detects_the_console_by_its_readback() {
        let mut data = [0];
        DebugCon::default().read(DATA, &mut data);
        assert_eq!(data, [0xe9]);
        DebugCon::new(0x55).read(DATA, &mut data);
        assert_eq!(data, [0x55]);
    }

    #[test]
    fn a_written_byte_is_output() {
        assert_eq!(DebugCon::default().write(DATA, b"x"), Some(b'x'));
    }

    #[test]
    fn only_the_first_byte_of_a_wide_access_is_this_port_s() {
        assert_eq!(DebugCon::default().write(DATA, b"xyz"), Some(b'x'));
        let mut data = [0; 4];
        DebugCon::default().read(DATA, &mut data);
        assert_eq!(data, [0xe9, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn an_empty_write_outputs_nothing() {
        assert_eq!(DebugCon::default().write(DATA, &[]), None);
    }

    proptest! {
        #[test]
        fn other_offsets_are_not_this_port(
            offset in 1u64..,
            data in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let console = DebugCon::default();
            prop_assert_eq!(console.write(offset, &data), None);
            let mut read = data.clone();
            console.read(offset, &mut read);
            prop_assert!(read.iter().all(|&byte| byte == 0xff));
        }
    }
}
