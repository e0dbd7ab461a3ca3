//! The requests for random bytes of one device, in their order.

use std::{collections::VecDeque, fmt, io};

use device_model::rng_backend::{
    EntropyCallback, EntropyError, MOST_ENTROPY, MOST_ENTROPY_REQUESTS,
};
use rustix::io::Errno;

/// Requests that wait to be answered. It knows no file and no loop.
#[derive(Default)]
pub struct EntropyQueue {
    waiting: VecDeque<Request>,
}

struct Request {
    count: usize,
    done: EntropyCallback,
}

/// What came of a read for the first of the requests.
pub enum Outcome {
    /// It is to be told this, once nothing is locked.
    Answer(EntropyCallback, Result<Vec<u8>, EntropyError>),
    /// There is nothing yet; the request waits on.
    NotYet,
    /// Nobody is at the other end of a pipe; the request waits on.
    Nobody,
    /// No request waits.
    Idle,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(_, answer) => f.debug_tuple("Answer").field(answer).finish(),
            Self::NotYet => f.write_str("NotYet"),
            Self::Nobody => f.write_str("Nobody"),
            Self::Idle => f.write_str("Idle"),
        }
    }
}

impl EntropyQueue {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a request.
    ///
    /// # Errors
    /// If it asks for nothing, or [`MOST_ENTROPY_REQUESTS`] wait already.
    pub fn push(&mut self, count: usize, done: EntropyCallback) -> Result<(), EntropyError> {
        if count == 0 {
            return Err(EntropyError::Nothing);
        }
        if self.waiting.len() >= MOST_ENTROPY_REQUESTS {
            return Err(EntropyError::TooMany);
        }
        self.waiting.push_back(Request { count: count.min(MOST_ENTROPY), done });
        Ok(())
    }

    /// Reads for the first of the requests. `read` must not wait. `ends` says whether a read of 0
    /// bytes is the end, rather than that nobody writes at the moment.
    pub fn serve(
        &mut self,
        ends: bool,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Outcome {
        let Some(request) = self.waiting.front() else { return Outcome::Idle };
        let mut bytes = vec![0; request.count];
        let answer = match read(&mut bytes) {
            Ok(0) if ends => Err(EntropyError::Ended),
            Ok(0) => return Outcome::Nobody,
            Ok(count) => {
                bytes.truncate(count);
                Ok(bytes)
            }
            Err(error)
                if matches!(Errno::from_io_error(&error), Some(Errno::AGAIN | Errno::INTR)) =>
            {
                return Outcome::NotYet;
            }
            Err(error) => Err(error.into()),
        };
        match self.waiting.pop_front() {
            Some(request) => Outcome::Answer(request.done, answer),
            None => Outcome::Idle,
        }
    }
}

impl fmt::Debug for EntropyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntropyQueue").field("waiting", &self.waiting.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn unused() -> EntropyCallback {
        Box::new(|_| panic!("it was not to be called"))
    }

    #[test]
    fn a_request_is_answered_with_what_there_is() {
        let mut queue = EntropyQueue::default();
        queue.push(8, Box::new(|_| ())).unwrap();
        let outcome = queue.serve(true, |bytes| {
            assert_eq!(bytes.len(), 8);
            bytes[..3].copy_from_slice(&[1, 2, 3]);
            Ok(3)
        });
        assert!(matches!(outcome, Outcome::Answer(_, Ok(bytes)) if bytes == [1, 2, 3]));
        assert!(queue.is_empty());
    }

    #[test]
    fn requests_are_answered_in_their_order() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut queue = EntropyQueue::default();
        for number in 0..3 {
            let order = Arc::clone(&order);
            queue.push(1, Box::new(move |_| order.lock().unwrap().push(number))).unwrap();
        }
        while let Outcome::Answer(done, answer) = queue.serve(true, |_| Ok(1)) {
            done(answer.as_deref().map_err(|_| EntropyError::Ended));
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn a_request_waits_while_there_is_nothing() {
        let mut queue = EntropyQueue::default();
        queue.push(8, unused()).unwrap();
        for errno in [Errno::AGAIN, Errno::INTR] {
            assert!(matches!(queue.serve(true, |_| Err(errno.into())), Outcome::NotYet));
        }
        assert!(matches!(queue.serve(false, |_| Ok(0)), Outcome::Nobody));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn the_end_and_other_errors_are_told() {
        let mut queue = EntropyQueue::default();
        queue.push(8, unused()).unwrap();
        queue.push(8, unused()).unwrap();
        let outcome = queue.serve(true, |_| Ok(0));
        assert!(matches!(outcome, Outcome::Answer(_, Err(EntropyError::Ended))));
        let outcome = queue.serve(true, |_| Err(Errno::IO.into()));
        assert!(matches!(outcome, Outcome::Answer(_, Err(EntropyError::Host(_)))));
        assert!(matches!(queue.serve(true, |_| Ok(1)), Outcome::Idle));
    }

    #[test]
    fn neither_the_requests_nor_their_bytes_are_without_bound() {
        let mut queue = EntropyQueue::default();
        assert!(matches!(queue.push(0, unused()), Err(EntropyError::Nothing)));
        for _ in 0..MOST_ENTROPY_REQUESTS {
            queue.push(usize::MAX, Box::new(|_| ())).unwrap();
        }
        assert!(matches!(queue.push(1, unused()), Err(EntropyError::TooMany)));
        let outcome = queue.serve(true, |bytes| Ok(bytes.len()));
        assert!(matches!(outcome, Outcome::Answer(_, Ok(bytes)) if bytes.len() == MOST_ENTROPY));
        queue.push(1, Box::new(|_| ())).unwrap();
    }
}
