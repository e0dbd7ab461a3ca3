//! Character devices that keep what is written to them, for whoever asks to read it.

use qom_core::qom_interface;

/// What keeps bytes in memory until somebody takes them
///
/// What comes out of it may be a guest's, byte by byte.
#[qom_interface]
pub trait RingBuffer {
    /// Takes at most `count` bytes out, the oldest first.
    fn take(&self, count: usize) -> Vec<u8>;

    /// Puts bytes in, for which the oldest make room, as if the device behind it had written them.
    fn put(&self, bytes: &[u8]);
}
