//! The debug-exit port's behaviour: a write is a request to end the process.

use super::spec::{DEFAULT_IOSIZE, MAX_IOSIZE};

/// The guest asks that the process end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitRequest {
    /// The status to end with: twice the value plus one, of which 32 bits are kept.
    pub status: u32,
}

/// The port was given a width that no port has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("debug exit: iosize is {0}, but must be 1 to {MAX_IOSIZE} bytes")]
pub struct DebugExitConfigError(pub u8);

/// A port of `iosize` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugExit {
    iosize: u8,
}

impl Default for DebugExit {
    fn default() -> Self {
        Self { iosize: DEFAULT_IOSIZE }
    }
}

impl DebugExit {
    /// A port that is `iosize` bytes wide.
    ///
    /// # Errors
    /// If that isn't 1 to 4.
    pub fn new(iosize: u8) -> Result<Self, DebugExitConfigError> {
        if (1..=MAX_IOSIZE).contains(&iosize) {
            Ok(Self { iosize })
        } else {
            Err(DebugExitConfigError(iosize))
        }
    }

    /// The guest reads: 0 within the port, 0xff beyond.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            *byte = if offset < u64::from(self.iosize) { 0 } else { 0xff };
        }
    }

    /// The guest writes: the bytes that fall within the port, little-endian, are the value.
    #[must_use = "the guest expects to end here"]
    pub fn write(&self, offset: u64, data: &[u8]) -> Option<ExitRequest> {
        let mut value = [0; 4];
        let mut written = false;
        for ((offset, from), to) in (offset..=u64::MAX).zip(data).zip(&mut value) {
            if offset < u64::from(self.iosize) {
                *to = *from;
                written = true;
            }
        }
        written.then(|| ExitRequest { status: u32::from_le_bytes(value) << 1 | 1 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_asks_for_twice_itself_plus_one() {
        let port = DebugExit::default();
        assert_eq!(port.write(0, &[0]), Some(ExitRequest { status: 1 }));
        assert_eq!(port.write(0, &[0x10]), Some(ExitRequest { status: 33 }));
        assert_eq!(port.write(0, &[0x34, 0x12]), Some(ExitRequest { status: 0x2469 }));
    }

    #[test]
    fn bytes_beyond_the_port_are_not_part_of_the_value() {
        let port = DebugExit::default();
        assert_eq!(port.write(0, &[1, 0, 0xff, 0xff]), Some(ExitRequest { status: 3 }));
        assert_eq!(port.write(1, &[5, 6]), Some(ExitRequest { status: 11 }));
        assert_eq!(port.write(2, &[1]), None);
        assert_eq!(port.write(0, &[]), None);
    }

    #[test]
    fn the_top_bit_of_a_wide_value_is_lost() {
        let port = DebugExit::new(4).unwrap();
        assert_eq!(port.write(0, &[0xff; 4]), Some(ExitRequest { status: u32::MAX }));
        assert_eq!(port.write(0, &[0, 0, 0, 0x80]), Some(ExitRequest { status: 1 }));
    }

    #[test]
    fn a_read_does_nothing() {
        let mut data = [0x77; 4];
        DebugExit::default().read(0, &mut data);
        assert_eq!(data, [0, 0, 0xff, 0xff]);
    }

    #[test]
    fn a_width_that_no_port_has_is_refused() {
        assert_eq!(DebugExit::new(0), Err(DebugExitConfigError(0)));
        assert_eq!(DebugExit::new(5), Err(DebugExitConfigError(5)));
        assert_eq!(
            DebugExit::new(5).unwrap_err().to_string(),
            "debug exit: iosize is 5, but must be 1 to 4 bytes"
        );
    }

    proptest! {
        #[test]
        fn a_status_is_odd_and_only_writes_within_the_port_ask_for_one(
            iosize in 1u8..=4,
            offset in prop_oneof![0u64..6, any::<u64>()],
            data in proptest::collection::vec(any::<u8>(), 0..9),
        ) {
            let port = DebugExit::new(iosize).unwrap();
            port.read(offset, &mut data.clone());
            let request = port.write(offset, &data);
            let within = offset < u64::from(iosize) && !data.is_empty();
            prop_assert_eq!(request.is_some(), within);
            if let Some(request) = request {
                prop_assert_eq!(request.status & 1, 1);
                let bits = 8 * u32::from(iosize) + 1;
                prop_assert!(u64::from(request.status) < 1 << bits);
            }
        }
    }
}
