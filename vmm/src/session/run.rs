//! Running a VM: its processors on their threads, this thread for the rest, until it ends.

use std::{process::ExitCode, sync::Arc};

use device_model::{
    chardev::Chardev,
    device::Device,
    event_loop::{EventLoop, Next},
    qom_core::Obj,
    request::VmRequest,
};
use parking_lot::Mutex;

use super::{error::StartError, report, vm::Vm};
use crate::{
    cpu::Cpu,
    machine::Machine,
    vcpu::{BusExits, End, EndSink},
};

/// How a run of the program ended, for whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done; a guest switched itself off, was reset under `-no-reboot`, or
    /// was stopped by a signal.
    Finished,
    /// The start was refused or failed.
    StartFailed,
    /// The host's kernel could not execute what the guest did, or could not run it at all.
    CantRun,
    /// The guest's kernel panicked.
    GuestPanicked,
    /// A device was told by the guest to end the process with this status.
    Guest(u8),
}

impl Exit {
    /// The status of the process.
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Finished => 0,
            Self::StartFailed => 1,
            Self::CantRun => 3,
            Self::GuestPanicked => 4,
            Self::Guest(status) => status,
        })
    }
}

/// What the main thread learns.
enum News {
    Signal(i32),
    Request(VmRequest),
    Ended(u32, End),
}

/// What the callbacks of the loop leave for the main thread.
#[derive(Clone)]
struct Inbox {
    news: Arc<Mutex<Vec<News>>>,
    events: Arc<EventLoop>,
}

impl Inbox {
    fn put(&self, news: News) {
        self.news.lock().push(news);
        self.events.stop();
    }

    fn take(&self) -> Vec<News> {
        std::mem::take(&mut *self.news.lock())
    }
}

impl Vm {
    /// Runs the VM until it ends, and takes it apart.
    ///
    /// # Errors
    /// If it can't be booted, or the host has no thread for a processor.
    pub fn run(self) -> Result<Exit, StartError> {
        let host = |action| move |source| StartError::Host { action, source };
        let events = Arc::clone(self.platform.events());
        let inbox = Inbox { news: Arc::default(), events: Arc::clone(&events) };
        for (signal, descriptor) in self.signals.descriptors() {
            let inbox = inbox.clone();
            events
                .watch(descriptor, move || {
                    inbox.put(News::Signal(signal));
                    Next::Pause
                })
                .map_err(host("wait for signals"))?;
        }
        let requests = Arc::clone(self.platform.requests());
        let from_devices = (inbox.clone(), Arc::clone(&requests));
        events
            .watch(&*requests, move || {
                let (inbox, requests) = &from_devices;
                requests.take().into_iter().for_each(|request| inbox.put(News::Request(request)));
                Next::Continue
            })
            .map_err(host("wait for requests of devices"))?;
        let processors = Processors::of(&self, &inbox);
        processors.reset(&self)?;
        if !self.paused {
            processors.start()?;
        }
        let exit = self.main_loop(&inbox, &processors);
        // First, so that no processor waits for a reader of its output that takes none.
        for object in self.tree.walk() {
            if let Some(chardev) = object.cast::<dyn Chardev>() {
                chardev.close();
            }
        }
        processors.stop();
        exit
    }

    fn main_loop(&self, inbox: &Inbox, processors: &Processors) -> Result<Exit, StartError> {
        loop {
            self.platform
                .events()
                .run()
                .map_err(|source| StartError::Host { action: "wait for events", source })?;
            for news in inbox.take() {
                let exit = match news {
                    News::Signal(signal) => {
                        report::line(&format!("terminating on signal {signal}"));
                        Some(Exit::Finished)
                    }
                    News::Request(request) => self.answer(request, processors)?,
                    News::Ended(index, end) => self.processor_ended(index, &end, processors)?,
                };
                if let Some(exit) = exit {
                    return Ok(exit);
                }
            }
        }
    }

    fn answer(
        &self,
        request: VmRequest,
        processors: &Processors,
    ) -> Result<Option<Exit>, StartError> {
        Ok(match request {
            VmRequest::PowerOff => Some(Exit::Finished),
            VmRequest::Reset => self.reboot(processors)?,
            VmRequest::GuestPanicked => {
                report::warning("the guest's kernel has panicked");
                Some(Exit::GuestPanicked)
            }
            VmRequest::GuestCrashLoaded => {
                report::warning("the guest's kernel has crashed and runs its crash kernel");
                None
            }
            VmRequest::Exit(status) => Some(Exit::Guest(status)),
        })
    }

    fn processor_ended(
        &self,
        index: u32,
        end: &End,
        processors: &Processors,
    ) -> Result<Option<Exit>, StartError> {
        let describe = |what: &str, registers: &str| {
            report::line(&format!("processor {index}: {what}\n{registers}"));
        };
        Ok(match end {
            End::TripleFault { registers } => {
                report::warning(&format!("processor {index}: triple fault\n{registers}"));
                self.reboot(processors)?
            }
            End::Internal { error, registers } => {
                describe(&format!("KVM can't run the guest: {error}"), registers);
                Some(Exit::CantRun)
            }
            End::Unexpected { outcome, registers } => {
                describe(&format!("stopped for {outcome:?}"), registers);
                Some(Exit::CantRun)
            }
            End::Failed(error) => {
                report::line(&format!("processor {index}: {}", crate::causes::with_causes(error)));
                Some(Exit::CantRun)
            }
        })
    }

    /// Starts the machine over, unless the user wants it to end there.
    fn reboot(&self, processors: &Processors) -> Result<Option<Exit>, StartError> {
        if !self.reboots {
            return Ok(Some(Exit::Finished));
        }
        processors.stop();
        // What the guest asked before it was stopped was asked of the machine that is no more.
        self.platform.requests().take();
        for object in self.tree.walk() {
            if let Some(device) = object.cast::<dyn Device>() {
                device.reset();
            }
        }
        processors.reset(self)?;
        processors.start()?;
        Ok(None)
    }
}

/// The processors of a VM, in order.
struct Processors {
    cpus: Vec<Arc<dyn Cpu>>,
    exits: BusExits,
    ended: EndSink,
}

impl Processors {
    fn of(vm: &Vm, inbox: &Inbox) -> Self {
        let mut cpus: Vec<_> = vm.tree.walk().iter().filter_map(Obj::cast::<dyn Cpu>).collect();
        cpus.sort_by_key(|cpu| cpu.index());
        let inbox = inbox.clone();
        Self {
            cpus,
            exits: BusExits::new(Arc::clone(&vm.platform)),
            ended: Arc::new(move |index, end| inbox.put(News::Ended(index, end))),
        }
    }

    /// Brings machine and processors, which must be at rest, into the state in which a guest starts.
    fn reset(&self, vm: &Vm) -> Result<(), StartError> {
        let Some(machine) = vm.machine() else { return Ok(()) };
        let Some(board) = machine.cast::<dyn Machine>() else { return Ok(()) };
        let Some(entry) = board.boot(&machine, &vm.platform).map_err(StartError::Boot)? else {
            return Ok(());
        };
        for cpu in &self.cpus {
            let entry = (cpu.index() == 0).then_some(entry);
            cpu.slot()
                .ask(cpu.index(), move |vcpu| vcpu.reset(entry.as_ref()))?
                .map_err(StartError::Boot)?;
        }
        Ok(())
    }

    fn start(&self) -> Result<(), StartError> {
        for cpu in &self.cpus {
            cpu.slot().start(cpu.index(), self.exits.clone(), Arc::clone(&self.ended))?;
        }
        Ok(())
    }

    /// Stops all of them. One that does not stop is left behind and named.
    fn stop(&self) {
        for cpu in &self.cpus {
            if let Err(error) = cpu.slot().stop(cpu.index()) {
                report::line(&error.to_string());
            }
        }
    }
}
