//! The threads that perform what has to wait: few of them, made when there is work, gone when there
//! has been none for a while.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{BlockChild, Pending};

/// How many threads one backend has at most: as many requests can wait for its disk at once.
const MOST_THREADS: usize = 16;
/// How long a thread waits for more work before it ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// A thread's stack, in bytes. Chains of nodes are short, and their buffers are elsewhere.
const STACK: usize = 256 << 10;

/// Threads for the requests of one backend.
pub(super) struct Workers {
    jobs: Arc<Jobs>,
}

/// What a backend's threads are to do. It outlives them, and then takes nothing any more.
pub(super) struct Jobs {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    /// Bounded by what the queues have in flight.
    waiting: VecDeque<Job>,
    threads: Vec<JoinHandle<()>>,
    living: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

/// A request, and the node that is to perform it.
pub(super) type Job = (BlockChild, Pending);

impl Workers {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { jobs: Arc::new(Jobs { state: Mutex::default(), work: Condvar::new() }) }
    }

    pub(super) const fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }
}

impl Jobs {
    /// Has requests performed.
    pub(super) fn give(self: &Arc<Self>, jobs: impl ExactSizeIterator<Item = Job>) {
        if jobs.len() == 0 {
            return;
        }
        let mut state = self.state.lock();
        state.waiting.extend(jobs);
        // One at first: it calls another if it leaves anything, so that quick work wakes few.
        self.call_another(&mut state);
        let nobody = state.living == 0;
        drop(state);
        if nobody {
            // The process has no threads left. Slow is better than never.
            self.work_off();
        }
    }

    /// Wakes or makes a thread if there is work for one.
    fn call_another(self: &Arc<Self>, state: &mut MutexGuard<'_, State>) {
        if state.waiting.is_empty() || state.closed {
            return;
        }
        if state.idle > 0 {
            self.work.notify_one();
            return;
        }
        if state.living >= MOST_THREADS {
            return;
        }
        state.threads.retain(|thread| !thread.is_finished());
        let jobs = Arc::clone(self);
        let made = thread::Builder::new()
            .name("block-worker".to_owned())
            .stack_size(STACK)
            .spawn(move || jobs.serve());
        if let Ok(thread) = made {
            state.threads.push(thread);
            state.living += 1;
        }
    }

    /// A thread's life.
    fn serve(self: Arc<Self>) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                self.call_another(&mut state);
                MutexGuard::unlocked(&mut state, || perform(job));
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let timed_out = self.work.wait_for(&mut state, PATIENCE).timed_out();
            state.idle -= 1;
            if timed_out && state.waiting.is_empty() {
                break;
            }
        }
        state.living -= 1;
    }

    /// Does on this thread what is left.
    fn work_off(&self) {
        loop {
            let next = self.state.lock().waiting.pop_front();
            let Some(job) = next else { break };
            perform(job);
        }
    }
}

fn perform((node, mut request): Job) {
    let result: io::Result<()> = request.with_operation(|operation| node.perform(operation));
    request.complete(result);
}

impl Drop for Workers {
    fn drop(&mut self) {
        let threads = {
            let mut state = self.jobs.state.lock();
            state.closed = true;
            std::mem::take(&mut state.threads)
        };
        self.jobs.work.notify_all();
        for thread in threads {
            // A thread that panicked has nothing to say here; it said it.
            let _ = thread.join();
        }
        self.jobs.work_off();
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.jobs.state.lock().living).finish()
    }
}
