//! The place of one processor: at rest in the hands of the machine, or running on its thread.

use std::{
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
        mpsc,
    },
    time::Duration,
};

use device_model::{platform::Platform, qom_core::Obj};
use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;

use super::BusExits;
use crate::{
    accelerator::Vcpu,
    cpu::Cpu,
    kvm::{InternalError, KickError, KickReceiver, Outcome, RunError, VcpuThread, VcpuThreadError},
};

/// How long a processor may take to come out of the guest, before its thread is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a processor ran no further.
#[derive(Debug)]
pub enum End {
    /// A triple fault, which resets a machine.
    TripleFault {
        /// The registers at that point.
        registers: String,
    },
    /// The host's kernel can't execute what the guest does.
    Internal {
        /// What it says, with the instruction's bytes if it has them.
        error: InternalError,
        /// The registers at that point.
        registers: String,
    },
    /// It stopped for a reason that a machine of this kind never has.
    Unexpected {
        /// The reason.
        outcome: Outcome,
        /// The registers at that point.
        registers: String,
    },
    /// The host could not run it.
    Failed {
        /// What it says.
        error: RunError,
        /// The registers at that point.
        registers: String,
    },
}

/// Takes the news that the processor with that number has come to its end.
pub type EndSink = Arc<dyn Fn(u32, End) + Send + Sync>;

/// Why a processor could not be started, stopped or asked.
#[derive(Debug, Error)]
pub enum SlotError {
    /// It was never created, or its thread panicked.
    #[error("processor {0} does not exist")]
    Absent(u32),
    /// The host has no thread for it.
    #[error("can't start processor {index}: {source}")]
    Start {
        /// The processor.
        index: u32,
        /// What the host says.
        source: VcpuThreadError,
    },
    /// The handle is of another tree than the machine's.
    #[error("the object of type '{type_name}' belongs to another object tree")]
    Foreign {
        /// The object's type.
        type_name: &'static str,
    },
    /// The handle's object has left the tree.
    #[error("the object of type '{type_name}' stands in no object tree")]
    Detached {
        /// The object's type.
        type_name: &'static str,
    },
    /// The handle is not of the processor whose slot it is.
    #[error("the object of type '{type_name}' is not the processor of this slot")]
    NotThis {
        /// The object's type.
        type_name: &'static str,
    },
    /// It does not come out of the guest, and its thread was given up.
    #[error("can't stop processor {index}: {source}")]
    Stuck {
        /// The processor.
        index: u32,
        /// What happened.
        source: KickError,
    },
}

type Question = Box<dyn FnOnce(&mut dyn Vcpu) + Send>;

/// What a processor's thread is told from outside; it looks when it is kicked.
struct Orders {
    stop: AtomicBool,
    /// Number of the thread; 0 until it has begun.
    thread: AtomicI32,
    /// None once the thread asks the processor nothing any more.
    questions: Mutex<Option<Vec<Question>>>,
}

impl Orders {
    fn new() -> Self {
        Self {
            stop: AtomicBool::new(false),
            thread: AtomicI32::new(0),
            questions: Mutex::new(Some(Vec::new())),
        }
    }

    /// Leaves a question for the thread; gives it back if that takes none any more.
    fn ask(&self, question: Question) -> Result<(), Question> {
        match &mut *self.questions.lock() {
            Some(questions) => {
                questions.push(question);
                Ok(())
            }
            None => Err(question),
        }
    }

    /// Asks the processor what was left.
    fn answer(&self, vcpu: &mut dyn Vcpu) {
        let questions = self.questions.lock().as_mut().map(mem::take);
        for question in questions.into_iter().flatten() {
            question(vcpu);
        }
    }

    /// Asks the processor what was left, and takes nothing from then on.
    fn answer_for_the_last_time(&self, vcpu: &mut dyn Vcpu) {
        let questions = self.questions.lock().take();
        for question in questions.into_iter().flatten() {
            question(vcpu);
        }
    }
}

/// Closes the questions of a thread that panics, so that nobody waits for its answers.
struct CloseAtEnd<'a>(&'a Orders);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        // Dropped after the lock.
        let _unanswered = self.0.questions.lock().take();
    }
}

enum State {
    Absent,
    Parked(Box<dyn Vcpu>),
    Running { thread: VcpuThread<Box<dyn Vcpu>>, orders: Arc<Orders> },
}

impl State {
    /// Brings a running processor out of the guest and ends its thread, which is left behind if it
    /// does not come out.
    fn stop(&mut self, index: u32) -> Result<(), SlotError> {
        let (thread, orders) = match mem::replace(self, Self::Absent) {
            Self::Running { thread, orders } => (thread, orders),
            at_rest => {
                *self = at_rest;
                return Ok(());
            }
        };
        orders.stop.store(true, Ordering::Release);
        thread.kick(PATIENCE).map_err(|source| SlotError::Stuck { index, source })?;
        *self = Self::Parked(thread.join().map_err(|_| SlotError::Absent(index))?);
        Ok(())
    }
}

/// The place of one processor.
///
/// Its thread is started for the processor's own handle only:
///
/// ```compile_fail,E0308
/// use std::sync::Arc;
/// use vmm::{cpu::Cpu, device_model::platform::Platform, vcpu::EndSink};
///
/// fn smuggle(cpu: Arc<dyn Cpu>, platform: &Arc<Platform>, ended: EndSink) {
///     let _ = cpu.slot().start(&cpu, platform, ended);
/// }
/// ```
pub struct VcpuSlot {
    state: Mutex<State>,
}

impl Default for VcpuSlot {
    fn default() -> Self {
        Self { state: Mutex::new(State::Absent) }
    }
}

impl VcpuSlot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Puts a new processor into the slot, which is empty.
    pub(crate) fn park(&self, vcpu: Box<dyn Vcpu>) {
        *self.state() = State::Parked(vcpu);
    }

    /// Takes processor `index` away for good, stopped first. A thread that does not come out of the
    /// guest keeps it until it does.
    pub(crate) fn clear(&self, index: u32) {
        let mut state = self.state();
        // Whether it was stopped or given up, the slot is empty.
        let _ = state.stop(index);
        *state = State::Absent;
    }

    /// Starts the thread of the processor `cpu`, whose slot this is, on its machine's platform, all
    /// of whose devices are realized. One that runs already runs on.
    ///
    /// # Errors
    /// If the handle is not of this slot's processor, or not of one that stands in the platform's
    /// tree; if there is no processor, or no thread for it.
    pub fn start(
        &self,
        cpu: &Obj,
        platform: &Arc<Platform>,
        ended: EndSink,
    ) -> Result<(), SlotError> {
        let type_name = cpu.class().name();
        if cpu.tree() != platform.tree() {
            return Err(SlotError::Foreign { type_name });
        }
        if cpu.path().is_none() {
            return Err(SlotError::Detached { type_name });
        }
        let processor = cpu.cast::<dyn Cpu>().filter(|cpu| std::ptr::eq(cpu.slot(), self));
        let index = processor.ok_or(SlotError::NotThis { type_name })?.index();
        let mut state = self.state();
        let vcpu = match mem::replace(&mut *state, State::Absent) {
            State::Parked(vcpu) => vcpu,
            running @ State::Running { .. } => {
                *state = running;
                return Ok(());
            }
            State::Absent => return Err(SlotError::Absent(index)),
        };
        let exits = BusExits::new(Arc::clone(platform));
        let orders = Arc::new(Orders::new());
        let thread_orders = Arc::clone(&orders);
        let thread = VcpuThread::spawn(format!("vcpu{index}"), move |kicks| {
            let _close = CloseAtEnd(&thread_orders);
            let number = rustix::thread::gettid().as_raw_nonzero().get();
            thread_orders.thread.store(number, Ordering::Relaxed);
            run(index, vcpu, exits, &thread_orders, kicks, &*ended)
        })
        .map_err(|source| SlotError::Start { index, source })?;
        *state = State::Running { thread, orders };
        Ok(())
    }

    /// Number of the thread that runs the processor, as the host's kernel counts them; none while
    /// there is no such thread, or it has not begun yet.
    pub fn thread_id(&self) -> Option<i32> {
        match &*self.state() {
            State::Running { orders, .. } => {
                Some(orders.thread.load(Ordering::Relaxed)).filter(|number| *number != 0)
            }
            State::Absent | State::Parked(_) => None,
        }
    }

    /// Brings processor `index` out of the guest and ends its thread.
    ///
    /// # Errors
    /// If it does not come out. Its thread is given up then, and the slot empty.
    pub fn stop(&self, index: u32) -> Result<(), SlotError> {
        self.state().stop(index)
    }

    /// Asks processor `index` something, out of the guest, wherever it is now.
    ///
    /// # Errors
    /// If there is none, or it does not come out of the guest.
    pub fn ask<T: Send + 'static>(
        &self,
        index: u32,
        question: impl FnOnce(&mut dyn Vcpu) -> T + Send + 'static,
    ) -> Result<T, SlotError> {
        let mut state = self.state();
        let (answer, answered) = mpsc::sync_channel(1);
        let mut question: Question = Box::new(move |vcpu| {
            // The asker may have given up.
            let _ = answer.send(question(vcpu));
        });
        if let State::Running { thread, orders } = &*state {
            match orders.ask(question) {
                Ok(()) => {
                    thread.kick(PATIENCE).map_err(|source| SlotError::Stuck { index, source })?;
                    return answered.recv_timeout(PATIENCE).map_err(|_| SlotError::Absent(index));
                }
                Err(unasked) => question = unasked,
            }
            // Its thread has come to its end, and hands the processor over.
            state.stop(index)?;
        }
        match &mut *state {
            State::Parked(vcpu) => question(&mut **vcpu),
            _ => return Err(SlotError::Absent(index)),
        }
        answered.try_recv().map_err(|_| SlotError::Absent(index))
    }
}

impl fmt::Debug for VcpuSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.state() {
            State::Absent => "VcpuSlot(absent)",
            State::Parked(_) => "VcpuSlot(parked)",
            State::Running { .. } => "VcpuSlot(running)",
        })
    }
}

/// Runs the guest until it ends or the processor is told to stop, and hands the processor back.
fn run(
    index: u32,
    mut vcpu: Box<dyn Vcpu>,
    mut exits: BusExits,
    orders: &Orders,
    mut kicks: KickReceiver,
    ended: &(dyn Fn(u32, End) + Send + Sync),
) -> Box<dyn Vcpu> {
    loop {
        // Before each entry: a guest that leaves all the time is rarely interrupted by the signal.
        if kicks.take() {
            // An error here leaves the access unfinished, and the next run reports it.
            let _ = vcpu.finish_access(&mut exits);
            if orders.stop.load(Ordering::Acquire) {
                orders.answer_for_the_last_time(&mut *vcpu);
                return vcpu;
            }
            orders.answer(&mut *vcpu);
        }
        let end = match vcpu.run(&mut exits) {
            Ok(Outcome::Continue | Outcome::Interrupted) => continue,
            Ok(Outcome::Shutdown) => End::TripleFault { registers: vcpu.registers() },
            Ok(Outcome::InternalError(error)) => {
                End::Internal { error, registers: vcpu.registers() }
            }
            Ok(outcome) => End::Unexpected { outcome, registers: vcpu.registers() },
            Err(error) => End::Failed { error, registers: vcpu.registers() },
        };
        ended(index, end);
        orders.answer_for_the_last_time(&mut *vcpu);
        return vcpu;
    }
}
