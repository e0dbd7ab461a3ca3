//! Getting a thread out of the guest from outside.
//!
//! A signal that arrives just before `KVM_RUN` is lost: its handler runs, and the guest is
//! entered nonetheless. So a request is a number that the thread has to answer, and the signal
//! is sent again until it does.

use std::any::Any;
use std::io;
use std::os::raw::{c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use vmm_sys_util::errno;
use vmm_sys_util::signal::{self, Killable, SIGRTMIN, register_signal_handler, unblock_signal};

/// How long to wait for an answer before the signal is sent again. The signal is lost only in
/// the few instructions between the thread's look at the request and the entry of the guest.
const RESEND_AFTER: Duration = Duration::from_millis(1);

/// Why a thread could not be brought out of the guest.
#[derive(Debug, thiserror::Error)]
pub enum KickError {
    /// It did not answer in time: it is held up in a device, or ended without an answer.
    #[error("a vCPU thread did not answer within {waited:?}")]
    TimedOut {
        /// The time it was given.
        waited: Duration,
    },
    /// The signal can't be sent.
    #[error("cannot signal a vCPU thread")]
    Signal(#[source] io::Error),
}

/// Why a thread for a vCPU could not be started.
#[derive(Debug, thiserror::Error)]
pub enum VcpuThreadError {
    /// The handler of the signal can't be installed.
    #[error("cannot install the handler of the signal that stops vCPU threads")]
    Handler(#[source] io::Error),
    /// The system has no thread to give.
    #[error("cannot start a thread for a vCPU")]
    Spawn(#[source] io::Error),
}

/// Requests, as numbers that only grow, and the last one that was answered.
#[derive(Debug, Default)]
struct Requests {
    made: AtomicU64,
    answered: Mutex<u64>,
    answer: Condvar,
}

/// The answer to every request there can be: of a thread that won't enter the guest again.
const ENDED: u64 = u64::MAX;

impl Requests {
    fn answer(&self, request: u64) {
        let mut answered = self.answered.lock();
        *answered = request;
        self.answer.notify_all();
    }
}

/// The thread's side: to be asked before every entry of the guest.
#[derive(Debug)]
pub struct KickReceiver {
    requests: Arc<Requests>,
    seen: u64,
}

impl KickReceiver {
    /// Whether somebody wants the thread out of the guest since the last call that said so.
    /// True answers the request: the kicker goes on, and the thread must not enter the guest
    /// before it knows why.
    ///
    /// Costs one load of an atomic if nobody does.
    pub fn take(&mut self) -> bool {
        let made = self.requests.made.load(Ordering::Acquire);
        if made == self.seen {
            return false;
        }
        self.seen = made;
        self.requests.answer(made);
        true
    }
}

/// A thread that is at its end has nobody wait for it, and is sent no signal.
impl Drop for KickReceiver {
    fn drop(&mut self) {
        self.requests.answer(ENDED);
    }
}

/// A thread that runs a vCPU, and can be kicked out of the guest.
#[derive(Debug)]
pub struct VcpuThread<T> {
    thread: JoinHandle<T>,
    requests: Arc<Requests>,
}

impl<T: Send + 'static> VcpuThread<T> {
    /// Starts a thread of that name that does `work`.
    ///
    /// The first call installs a handler of `SIGRTMIN` that does nothing, for the whole process.
    ///
    /// # Errors
    /// If the handler can't be installed or no thread can be had.
    pub fn spawn(
        name: String,
        work: impl FnOnce(KickReceiver) -> T + Send + 'static,
    ) -> Result<Self, VcpuThreadError> {
        install_handler().map_err(|errno| VcpuThreadError::Handler(errno.into()))?;
        let requests = Arc::new(Requests::default());
        let receiver = KickReceiver { requests: Arc::clone(&requests), seen: 0 };
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || {
                // The mask is inherited from whoever started this thread.
                let unblocked = unblock_signal(SIGRTMIN());
                debug_assert!(unblocked.is_ok(), "{unblocked:?}");
                work(receiver)
            })
            .map_err(VcpuThreadError::Spawn)?;
        Ok(Self { thread, requests })
    }
}

impl<T> VcpuThread<T> {
    /// Brings the thread out of the guest and returns once it said so through
    /// [`KickReceiver::take`], or has dropped its receiver, and so won't enter the guest again.
    /// What it is to do is told it before, by other means.
    ///
    /// # Errors
    /// If it did neither within `timeout`, or can't be signalled.
    pub fn kick(&self, timeout: Duration) -> Result<(), KickError> {
        let request = self.requests.made.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        let deadline = Instant::now() + timeout;
        let mut answered = self.requests.answered.lock();
        while *answered < request {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(KickError::TimedOut { waited: timeout });
            }
            // The handle is held, so the thread has not been joined and its name is valid.
            self.thread.kill(SIGRTMIN()).map_err(|errno| KickError::Signal(errno.into()))?;
            self.requests.answer.wait_for(&mut answered, left.min(RESEND_AFTER));
        }
        Ok(())
    }

    /// Whether the thread's work is done.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the thread to end and gives what it gave.
    ///
    /// # Errors
    /// The payload of its panic.
    pub fn join(self) -> Result<T, Box<dyn Any + Send + 'static>> {
        self.thread.join()
    }
}

/// Installs the handler once; it has only to exist, so that the signal interrupts.
fn install_handler() -> Result<(), errno::Error> {
    static INSTALLED: OnceLock<Result<(), errno::Error>> = OnceLock::new();
    // Generic, so that the C library's type of the second argument need not be named.
    extern "C" fn interrupt<I>(_: c_int, _: *mut I, _: *mut c_void) {}
    *INSTALLED.get_or_init(|| {
        let handler: signal::SignalHandler = interrupt;
        register_signal_handler(SIGRTMIN(), handler)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    const PLENTY: Duration = Duration::from_secs(20);

    #[test]
    fn every_kick_is_answered_once() {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = VcpuThread::spawn("vcpu".into(), move |mut kicks| {
            let mut taken = 0;
            while !stopped.load(Ordering::Acquire) {
                taken += u32::from(kicks.take());
                thread::yield_now();
            }
            taken
        })
        .unwrap();
        for _ in 0..100 {
            thread.kick(PLENTY).unwrap();
        }
        stop.store(true, Ordering::Release);
        assert_eq!(thread.join().unwrap(), 100);
    }

    #[test]
    fn a_thread_that_never_answers_is_reported_and_one_that_ended_is_not() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = VcpuThread::spawn("vcpu".into(), move |_kicks| {
            let _ = ended.recv();
        })
        .unwrap();
        let waited = Duration::from_millis(5);
        assert!(
            matches!(thread.kick(waited), Err(KickError::TimedOut { waited: w }) if w == waited)
        );
        drop(end);
        thread.kick(PLENTY).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_thread_that_gave_up_its_receiver_is_neither_waited_for_nor_signalled() {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = VcpuThread::spawn("vcpu".into(), move |kicks| {
            drop(kicks);
            let _ = ended.recv();
        })
        .unwrap();
        thread.kick(PLENTY).unwrap();
        assert!(!thread.is_finished());
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn a_signal_that_the_starter_blocks_still_interrupts_the_thread() {
        let starter = thread::spawn(|| {
            signal::block_signal(SIGRTMIN()).unwrap();
            VcpuThread::spawn("vcpu".into(), |_| signal::get_blocked_signals().unwrap()).unwrap()
        });
        let blocked = starter.join().unwrap().join().unwrap();
        assert!(!blocked.contains(&SIGRTMIN()));
    }
}
