//! The place of one processor: at rest in the hands of the machine, or running on its thread.

use std::{
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;

use super::BusExits;
use crate::{
    accelerator::Vcpu,
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
    Failed(RunError),
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
    /// It does not come out of the guest.
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
#[derive(Default)]
struct Orders {
    stop: AtomicBool,
    questions: Mutex<Vec<Question>>,
}

enum State {
    Absent,
    Parked(Box<dyn Vcpu>),
    Running { thread: VcpuThread<Box<dyn Vcpu>>, orders: Arc<Orders> },
}

/// The place of one processor.
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

    /// Puts a new processor into the slot.
    pub fn park(&self, vcpu: Box<dyn Vcpu>) {
        *self.state() = State::Parked(vcpu);
    }

    /// Takes the processor away for good; it must not be running.
    pub fn clear(&self) {
        *self.state() = State::Absent;
    }

    /// Starts the thread of processor `index`. One that runs already runs on.
    ///
    /// # Errors
    /// If there is no processor, or no thread for it.
    pub fn start(&self, index: u32, exits: BusExits, ended: EndSink) -> Result<(), SlotError> {
        let mut state = self.state();
        let vcpu = match mem::replace(&mut *state, State::Absent) {
            State::Parked(vcpu) => vcpu,
            running @ State::Running { .. } => {
                *state = running;
                return Ok(());
            }
            State::Absent => return Err(SlotError::Absent(index)),
        };
        let orders = Arc::new(Orders::default());
        let thread_orders = Arc::clone(&orders);
        let thread = VcpuThread::spawn(format!("vcpu{index}"), move |kicks| {
            run(index, vcpu, exits, &thread_orders, kicks, &*ended)
        })
        .map_err(|source| SlotError::Start { index, source })?;
        *state = State::Running { thread, orders };
        Ok(())
    }

    /// Brings processor `index` out of the guest and ends its thread.
    ///
    /// # Errors
    /// If it does not come out.
    pub fn stop(&self, index: u32) -> Result<(), SlotError> {
        let mut state = self.state();
        let State::Running { thread, orders } = &*state else { return Ok(()) };
        orders.stop.store(true, Ordering::Release);
        thread.kick(PATIENCE).map_err(|source| SlotError::Stuck { index, source })?;
        let State::Running { thread, .. } = mem::replace(&mut *state, State::Absent) else {
            return Err(SlotError::Absent(index));
        };
        match thread.join() {
            Ok(vcpu) => {
                *state = State::Parked(vcpu);
                Ok(())
            }
            Err(_) => Err(SlotError::Absent(index)),
        }
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
        match &mut *state {
            State::Absent => Err(SlotError::Absent(index)),
            State::Parked(vcpu) => Ok(question(&mut **vcpu)),
            State::Running { thread, orders } => {
                let (answer, answered) = mpsc::sync_channel(1);
                orders.questions.lock().push(Box::new(move |vcpu| {
                    // The asker may have given up.
                    let _ = answer.send(question(vcpu));
                }));
                thread.kick(PATIENCE).map_err(|source| SlotError::Stuck { index, source })?;
                answered.recv_timeout(PATIENCE).map_err(|_| SlotError::Absent(index))
            }
        }
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
        let end = match vcpu.run(&mut exits) {
            Ok(Outcome::Continue) => continue,
            Ok(Outcome::Interrupted) => {
                if !kicks.take() {
                    continue;
                }
                if orders.stop.load(Ordering::Acquire) {
                    // An error here leaves the access unfinished, and the next run reports it.
                    let _ = vcpu.finish_access(&mut exits);
                    answer(&mut *vcpu, orders);
                    return vcpu;
                }
                answer(&mut *vcpu, orders);
                continue;
            }
            Ok(Outcome::Shutdown) => End::TripleFault { registers: vcpu.registers() },
            Ok(Outcome::InternalError(error)) => {
                End::Internal { error, registers: vcpu.registers() }
            }
            Ok(outcome) => End::Unexpected { outcome, registers: vcpu.registers() },
            Err(error) => End::Failed(error),
        };
        ended(index, end);
        answer(&mut *vcpu, orders);
        return vcpu;
    }
}

fn answer(vcpu: &mut dyn Vcpu, orders: &Orders) {
    let questions = mem::take(&mut *orders.questions.lock());
    for question in questions {
        question(vcpu);
    }
}
