//! Asking the host's resolver, which may take long to answer, or never do.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// How long the resolver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Questions at once, at most: nothing ends one that the resolver does not answer, and each has a
/// thread.
const MOST_ASKED: usize = 16;

/// Questions that have not been answered yet.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// What counts a question for as long as it is kept.
struct Asked<'a>(&'a AtomicUsize);

impl<'a> Asked<'a> {
    /// None if there are enough.
    fn among(asked: &'a AtomicUsize) -> Option<Self> {
        let more = |count| (count < MOST_ASKED).then_some(count + 1);
        asked.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(asked))
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The addresses of a host, whichever they are.
///
/// # Errors
/// If the resolver knows none, or does not answer in time.
pub(super) fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // Nobody has to be asked for an address.
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let question = (host.to_owned(), port);
    let asked = Asked::among(&ASKED).ok_or_else(busy)?;
    within(PATIENCE, move || {
        let _asked = asked;
        question.to_socket_addrs().map(Iterator::collect)
    })
}

fn busy() -> io::Error {
    let problem = format!("the resolver has not answered {MOST_ASKED} questions yet");
    io::Error::new(ErrorKind::ResourceBusy, problem)
}

/// What comes of a question, if it comes in time. If not, whatever comes of it is dropped.
fn within<T: Send + 'static>(
    patience: Duration,
    ask: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, answer) = mpsc::sync_channel(1);
    thread::Builder::new().name("resolver".to_owned()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = done.send(ask());
    })?;
    answer.recv_timeout(patience).unwrap_or_else(|_| {
        let problem = format!("the resolver has not answered within {} s", patience.as_secs());
        Err(io::Error::new(ErrorKind::TimedOut, problem))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own_answer_and_a_name_is_looked_up() {
        for address in ["127.0.0.1", "::1", "10.0.0.1"] {
            let found = look_up(address, 7).unwrap();
            assert_eq!(found, [SocketAddr::new(address.parse().unwrap(), 7)]);
        }
        let found = look_up("localhost", 7).unwrap();
        assert!(!found.is_empty() && found.iter().all(|at| at.ip().is_loopback()), "{found:?}");
        look_up("no such name", 7).unwrap_err();
    }

    #[test]
    fn a_resolver_that_does_not_answer_is_not_waited_for() {
        let (_never, answer) = mpsc::channel::<()>();
        let late = within(Duration::from_millis(10), move || {
            let _ = answer.recv();
            Ok(())
        });
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn only_so_many_questions_wait_for_an_answer() {
        let count = AtomicUsize::new(0);
        let asked: Vec<_> = (0..MOST_ASKED).map(|_| Asked::among(&count).unwrap()).collect();
        assert!(Asked::among(&count).is_none());
        drop(asked);
        assert!(Asked::among(&count).is_some());
    }
}
