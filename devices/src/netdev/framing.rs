//! Frames on a stream: each behind its length, as QEMU puts them on a stream socket.
//!
//! The length has four bytes, the most significant first.

use device_model::netdev::LONGEST_FRAME;
use thiserror::Error;

/// Bytes of a length.
pub(super) const PREFIX: usize = 4;

/// A length that no frame has: whoever sends it speaks something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a frame of {0} bytes was announced, and there are none of more than {LONGEST_FRAME}")]
pub(super) struct TooLong(pub(super) u32);

/// What stands before a frame of that length; none if no frame is that long.
pub(super) fn prefix(length: usize) -> Option<[u8; PREFIX]> {
    let fits = (1..=LONGEST_FRAME).contains(&length);
    u32::try_from(length).ok().filter(|_| fits).map(u32::to_be_bytes)
}

/// Takes a stream of frames apart. It holds as much as the longest frame has.
pub(super) struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Reader {
    /// At the start of a stream.
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; PREFIX + LONGEST_FRAME], start: 0, end: 0 }
    }

    /// Where what comes next is to be put. Empty only while a whole frame is there.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes have been put there.
    pub(super) fn filled(&mut self, length: usize) {
        self.end = self.end.saturating_add(length).min(self.buffer.len());
    }

    /// The first frame, if all of it is there.
    ///
    /// # Errors
    /// If one is announced that is too long.
    pub(super) fn frame(&mut self) -> Result<Option<&[u8]>, TooLong> {
        loop {
            let there = self.buffer.get(self.start..self.end).unwrap_or_default();
            let Some((prefix, _)) = there.split_first_chunk::<PREFIX>() else { return Ok(None) };
            let announced = u32::from_be_bytes(*prefix);
            let length = usize::try_from(announced).unwrap_or(usize::MAX);
            if length > LONGEST_FRAME {
                return Err(TooLong(announced));
            }
            if length == 0 {
                // A frame of nothing is none.
                self.start += PREFIX;
                continue;
            }
            let (from, to) = (self.start + PREFIX, self.start + PREFIX + length);
            return Ok(self.buffer.get(from..to).filter(|_| to <= self.end));
        }
    }

    /// The first frame has been taken.
    pub(super) fn take(&mut self) {
        if let Ok(Some(frame)) = self.frame() {
            self.start += PREFIX + frame.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, TooLong> {
        let (mut reader, mut frames) = (Reader::new(), Vec::new());
        let mut rest = stream;
        while !rest.is_empty() {
            let room = reader.room();
            let length = room.len().min(piece).min(rest.len());
            assert!(length > 0, "it takes more as long as no frame is whole");
            let (now, later) = rest.split_at(length);
            room[..length].copy_from_slice(now);
            reader.filled(length);
            rest = later;
            while let Some(frame) = reader.frame()? {
                frames.push(frame.to_vec());
                reader.take();
            }
        }
        Ok(frames)
    }

    #[test]
    fn a_length_is_in_network_byte_order() {
        assert_eq!(prefix(0x0102), Some([0, 0, 1, 2]));
        assert_eq!(frames(b"\0\0\0\x02hi\0\0\0\x01!", 3), Ok(vec![b"hi".to_vec(), b"!".to_vec()]));
    }

    #[test]
    fn no_frame_is_empty_or_longer_than_the_longest() {
        assert_eq!((prefix(0), prefix(LONGEST_FRAME + 1)), (None, None));
        assert_eq!(frames(b"\0\0\0\0\0\0\0\x01!", 64), Ok(vec![b"!".to_vec()]));
        let longest = [&[0, 1, 0x10, 0][..], &vec![7; LONGEST_FRAME]].concat();
        assert_eq!(frames(&longest, 5000), Ok(vec![vec![7; LONGEST_FRAME]]));
        assert_eq!(frames(&[0, 1, 0x10, 1], 64), Err(TooLong(0x1_1001)));
        assert_eq!(frames(&[0xff; 4], 1), Err(TooLong(u32::MAX)));
    }

    proptest! {
        #[test]
        fn frames_arrive_as_they_were_sent_however_the_stream_is_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 0..20),
            piece in 1_usize..9000,
        ) {
            let stream: Vec<u8> = sent
                .iter()
                .flat_map(|frame| [&prefix(frame.len()).unwrap()[..], frame].concat())
                .collect();
            prop_assert_eq!(frames(&stream, piece), Ok(sent));
        }

        #[test]
        fn any_bytes_are_survived(stream: Vec<u8>, piece in 1_usize..64) {
            let _ = frames(&stream, piece);
        }
    }
}
