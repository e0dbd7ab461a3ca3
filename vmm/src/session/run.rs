//! Running a VM: its processors on their threads, this thread for the rest, until it ends.

use std::{collections::VecDeque, process::ExitCode, sync::Arc};

use device_model::{
    causes::with_causes,
    chardev::Chardev,
    device::Device,
    event_loop::{EventLoop, Next},
    platform::Platform,
    qom_core::{Obj, Tree},
    request::VmRequest,
};
use parking_lot::Mutex;

use super::{error::StartError, run_log::RunLog, vm::Vm};
use crate::{
    cpu::Cpu,
    machine::Machine,
    vcpu::{End, EndSink},
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
    /// A processor did not come out of the guest or of a device, so that the machine could not start
    /// over.
    Stuck,
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
            Self::Stuck => 5,
            Self::Guest(status) => status,
        })
    }
}

/// What the main thread learns of the machine.
enum News {
    Request(VmRequest),
    Ended(u32, End),
}

/// What the callbacks of the loop leave for the main thread.
#[derive(Clone)]
struct Inbox {
    news: Arc<Mutex<VecDeque<News>>>,
    events: Arc<EventLoop>,
}

impl Inbox {
    fn put(&self, news: News) {
        self.news.lock().push_back(news);
        self.events.stop();
    }

    fn next(&self) -> Option<News> {
        self.news.lock().pop_front()
    }

    fn clear(&self) {
        self.news.lock().clear();
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
        for (_, descriptor) in self.signals.descriptors() {
            // The loop only wakes up: it looks for signals itself.
            let awake = Arc::clone(&events);
            events
                .watch(descriptor, move || {
                    awake.stop();
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
        let processors = Processors::of(&self.tree, &self.platform, &inbox);
        processors.reset(&self)?;
        if !self.paused {
            processors.start()?;
        }
        let log = RunLog::new();
        let exit = Running { vm: &self, inbox: &inbox, processors: &processors, log: &log }.run();
        // First, so that no processor waits for a reader of its output that takes none.
        for chardev in self.chardevs() {
            chardev.close();
        }
        processors.stop(&log);
        log.finish();
        exit
    }

    fn chardevs(&self) -> impl Iterator<Item = Arc<dyn Chardev>> {
        self.tree.walk().into_iter().filter_map(|object| object.cast())
    }
}

/// A VM whose processors run.
struct Running<'a> {
    vm: &'a Vm,
    inbox: &'a Inbox,
    processors: &'a Processors,
    log: &'a RunLog<'a>,
}

impl Running<'_> {
    fn run(&self) -> Result<Exit, StartError> {
        loop {
            // Between any two of the guest's doings, so that none keeps a signal from being seen.
            if let Some(signal) = self.vm.signals.came() {
                self.log.line(&format!("terminating on signal {signal}"));
                return Ok(Exit::Finished);
            }
            let exit = match self.inbox.next() {
                Some(News::Request(request)) => self.answer(request)?,
                Some(News::Ended(index, end)) => self.processor_ended(index, &end)?,
                None => {
                    self.vm
                        .platform
                        .events()
                        .run()
                        .map_err(|source| StartError::Host { action: "wait for events", source })?;
                    None
                }
            };
            if let Some(exit) = exit {
                return Ok(exit);
            }
        }
    }

    fn answer(&self, request: VmRequest) -> Result<Option<Exit>, StartError> {
        Ok(match request {
            VmRequest::PowerOff => Some(Exit::Finished),
            VmRequest::Reset => self.reboot()?,
            VmRequest::GuestPanicked => {
                self.log.caused_by_guest("the guest's kernel has panicked");
                Some(Exit::GuestPanicked)
            }
            VmRequest::GuestCrashLoaded => {
                let warning = "the guest's kernel has crashed and runs its crash kernel";
                self.log.caused_by_guest(warning);
                None
            }
            VmRequest::Exit(status) => Some(Exit::Guest(status)),
        })
    }

    fn processor_ended(&self, index: u32, end: &End) -> Result<Option<Exit>, StartError> {
        let description = format!("processor {index}: {}", describe(end));
        if let End::TripleFault { .. } = end {
            self.log.caused_by_guest(&description);
            return self.reboot();
        }
        self.log.line(&description);
        Ok(Some(Exit::CantRun))
    }

    /// Starts the machine over, unless the user wants it to end there.
    fn reboot(&self) -> Result<Option<Exit>, StartError> {
        if !self.vm.reboots {
            return Ok(Some(Exit::Finished));
        }
        // So that no processor waits for a reader of its output that takes none.
        self.vm.chardevs().for_each(|chardev| chardev.set_nonblocking(true));
        let stopped = self.processors.stop(self.log);
        self.vm.chardevs().for_each(|chardev| chardev.set_nonblocking(false));
        if !stopped {
            return Ok(Some(Exit::Stuck));
        }
        // What the guest asked before it was stopped was asked of the machine that is no more.
        self.vm.platform.requests().take();
        self.inbox.clear();
        for object in self.vm.tree.walk() {
            if let Some(device) = object.cast::<dyn Device>() {
                device.reset();
            }
        }
        self.vm.reload()?;
        self.processors.reset(self.vm)?;
        self.processors.start()?;
        Ok(None)
    }
}

/// Why a processor runs no further, and its registers.
fn describe(end: &End) -> String {
    match end {
        End::TripleFault { registers } => format!("triple fault\n{registers}"),
        End::Internal { error, registers } => {
            format!("KVM can't run the guest: {error}\n{registers}")
        }
        End::Unexpected { outcome, registers } => format!("stopped for {outcome:?}\n{registers}"),
        End::Failed { error, registers } => format!("{}\n{registers}", with_causes(error)),
    }
}

/// The processors of a VM, in order.
struct Processors {
    cpus: Vec<(Obj, Arc<dyn Cpu>)>,
    platform: Arc<Platform>,
    ended: EndSink,
}

impl Processors {
    fn of(tree: &Tree, platform: &Arc<Platform>, inbox: &Inbox) -> Self {
        let with_cpu = |object: Obj| object.cast::<dyn Cpu>().map(|cpu| (object, cpu));
        let mut cpus: Vec<_> = tree.walk().into_iter().filter_map(with_cpu).collect();
        cpus.sort_by_key(|(_, cpu)| cpu.index());
        let inbox = inbox.clone();
        let ended: EndSink = Arc::new(move |index, end| inbox.put(News::Ended(index, end)));
        Self { cpus, platform: Arc::clone(platform), ended }
    }

    /// Brings machine and processors, which must be at rest, into the state in which a guest starts.
    fn reset(&self, vm: &Vm) -> Result<(), StartError> {
        let Some(machine) = vm.machine() else { return Ok(()) };
        let Some(board) = machine.cast::<dyn Machine>() else { return Ok(()) };
        let Some(entry) = board.boot(&machine, &vm.platform).map_err(StartError::Boot)? else {
            return Ok(());
        };
        for (_, cpu) in &self.cpus {
            let entry = (cpu.index() == 0).then_some(entry);
            cpu.slot()
                .ask(cpu.index(), move |vcpu| vcpu.reset(entry.as_ref()))?
                .map_err(StartError::Boot)?;
        }
        Ok(())
    }

    /// Starts all of them; none if one can't be.
    fn start(&self) -> Result<(), StartError> {
        for (at, (object, cpu)) in self.cpus.iter().enumerate() {
            if let Err(error) = cpu.slot().start(object, &self.platform, Arc::clone(&self.ended)) {
                for (_, started) in &self.cpus[..at] {
                    // The error that there is tells more than one of stopping would.
                    let _ = started.slot().stop(started.index());
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Stops all of them, and tells whether they did. One that does not stop is left behind and
    /// named.
    fn stop(&self, log: &RunLog<'_>) -> bool {
        let mut stopped = true;
        for (_, cpu) in &self.cpus {
            if let Err(error) = cpu.slot().stop(cpu.index()) {
                log.line(&with_causes(&error));
                stopped = false;
            }
        }
        stopped
    }
}

#[cfg(test)]
mod tests;
