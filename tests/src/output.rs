//! What a process writes, collected while it runs.

use std::{
    io::Read,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

/// All that was read of a stream so far.
#[derive(Clone, Default)]
pub(crate) struct Output(Arc<(Mutex<State>, Condvar)>);

impl Output {
    /// Reads `stream` to its end, on a thread of its own.
    pub(crate) fn of(mut stream: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let (mine, mut buffer) = (output.clone(), vec![0; 64 << 10]);
        thread::spawn(move || {
            loop {
                // A terminal whose other side is gone gives an error for its end.
                let length = stream.read(&mut buffer).unwrap_or(0);
                let mut state = mine.0.0.lock().unwrap();
                state.bytes.extend(&buffer[..length]);
                state.ended = length == 0;
                mine.0.1.notify_all();
                if state.ended {
                    return;
                }
            }
        });
        output
    }

    /// What there is, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// What there is.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().unwrap().bytes.clone()
    }

    /// How many bytes there are.
    pub(crate) fn length(&self) -> usize {
        self.0.0.lock().unwrap().bytes.len()
    }

    /// Waits until what there is satisfies `enough`, the stream ends, or it takes too long. Tells
    /// whether it was enough.
    pub(crate) fn wait(&self, patience: Duration, enough: impl Fn(&[u8]) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let (lock, news) = &*self.0;
        let mut state = lock.lock().unwrap();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if enough(&state.bytes) {
                return true;
            } else if state.ended || left.is_zero() {
                return false;
            }
            state = news.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the stream's end; false if it takes too long.
    pub(crate) fn wait_for_end(&self, patience: Duration) -> bool {
        self.wait(patience, |_| false);
        self.0.0.lock().unwrap().ended
    }
}
