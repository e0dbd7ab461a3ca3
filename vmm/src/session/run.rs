//! Running a VM: its processors on their threads, this thread for the rest, until it ends.

use std::{process::ExitCode, sync::Arc};

use device_model::{
    causes::with_causes,
    chardev::Chardev,
    control::{Order, RunState, VmControl},
    device::Device,
    event_loop::Next,
    monitor::CommandError,
    netdev::Netdev,
    platform::Platform,
    power_button::PowerButton,
    qom_core::Obj,
    request::VmRequest,
};

use super::{
    error::StartError,
    inbox::News,
    processors::Processors,
    report,
    run_events::{
        GuestCrashLoaded, GuestPanicked, PanicAction, PowerDown, Reason, Reset, Resumed, Shutdown,
        Stopped,
    },
    run_log::RunLog,
    vm::Vm,
};
use crate::vcpu::End;

/// How a run of the program ended, for whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done, or a guest switched itself off.
    Finished,
    /// A guest was reset, or triple-faulted, under `-no-reboot`.
    Reset,
    /// A signal stopped the guest.
    Stopped,
    /// The start was refused or failed, or a demo did not go as it should.
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
            Self::Finished | Self::Reset | Self::Stopped => 0,
            Self::StartFailed => 1,
            Self::CantRun => 3,
            Self::GuestPanicked => 4,
            Self::Stuck => 5,
            Self::Guest(status) => status,
        })
    }
}

impl Vm {
    /// Runs the VM until it ends, and takes it apart.
    ///
    /// # Errors
    /// If it can't be booted, or the host has no thread for a processor.
    pub fn run(self) -> Result<Exit, StartError> {
        let host = |action| move |source| StartError::Host { action, source };
        let platform = &self.control.platform;
        let events = platform.events();
        // The loop only wakes up: it looks for signals itself.
        let awake = Arc::clone(events);
        events
            .watch(self.signals.descriptor(), move || {
                awake.stop();
                Next::Pause
            })
            .map_err(host("wait for signals"))?;
        let requests = Arc::clone(platform.requests());
        let from_devices = (self.control.inbox.clone(), Arc::clone(&requests));
        events
            .watch(&*requests, move || {
                let (inbox, requests) = &from_devices;
                requests.take().into_iter().for_each(|request| inbox.put(News::Request(request)));
                Next::Continue
            })
            .map_err(host("wait for requests of devices"))?;
        let processors = Processors::of(&self.control.tree, platform, &self.control.inbox);
        processors.reset(&self)?;
        // Clients may create something before the start is complete, which can fail until then.
        self.control.keep_what_will_be_made();
        self.start_monitors()?;
        self.control.keep_what_was_made();
        let log = RunLog::new();
        let running = Running { vm: &self, processors: &processors, log: &log };
        let exit = running.start_and_run();
        self.control.inbox.close();
        self.stop_monitors();
        // First, so that no processor waits for a reader of its output that takes none.
        for chardev in self.chardevs() {
            chardev.close();
        }
        processors.stop(&log);
        for netdev in self.netdevs() {
            netdev.close();
        }
        log.finish();
        for taint in self.control.tree.taints() {
            log.line(&report::tainted(&taint));
        }
        exit
    }

    fn chardevs(&self) -> impl Iterator<Item = Arc<dyn Chardev>> {
        self.control.tree.walk().into_iter().filter_map(|object| object.cast())
    }

    fn netdevs(&self) -> impl Iterator<Item = Arc<dyn Netdev>> {
        self.control.tree.walk().into_iter().filter_map(|object| object.cast())
    }
}

/// How a VM ends.
struct Ending {
    exit: Exit,
    reason: Reason,
}

/// Of a VM with a processor that does not come out of the guest.
const STUCK: Ending = Ending { exit: Exit::Stuck, reason: Reason::HostError };

/// What became of an order.
struct Obeyed {
    end: Option<Ending>,
    /// What whoever gave it is told.
    outcome: Result<(), CommandError>,
}

impl From<Option<Ending>> for Obeyed {
    fn from(end: Option<Ending>) -> Self {
        Self { end, outcome: Ok(()) }
    }
}

/// A VM whose processors run, or can.
struct Running<'a> {
    vm: &'a Vm,
    processors: &'a Processors,
    log: &'a RunLog<'a>,
}

impl Running<'_> {
    fn start_and_run(&self) -> Result<Exit, StartError> {
        if !self.vm.paused {
            self.go_on()?;
        }
        let Ending { exit, reason } = self.run()?;
        self.platform().announce(&Shutdown::because(reason));
        Ok(exit)
    }

    fn run(&self) -> Result<Ending, StartError> {
        loop {
            // Between any two of the guest's doings, so that none keeps a signal from being seen.
            if let Some(signal) = self.vm.signals.came() {
                self.log.line(&format!("terminating on signal {signal}"));
                return Ok(Ending { exit: Exit::Stopped, reason: Reason::HostSignal });
            }
            let end = match self.vm.control.inbox.next() {
                Some(News::Request(request)) => self.answer(request)?,
                Some(News::Ended(index, end)) => self.processor_ended(index, &end)?,
                Some(News::Order(order, done)) => {
                    let obeyed = self.obey(order)?;
                    // Who gave it may have gone away.
                    let _ = done.send(obeyed.outcome);
                    obeyed.end
                }
                None => {
                    self.platform()
                        .events()
                        .run()
                        .map_err(|source| StartError::Host { action: "wait for events", source })?;
                    None
                }
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn platform(&self) -> &Arc<Platform> {
        &self.vm.control.platform
    }

    fn is_running(&self) -> bool {
        self.vm.control.run_state() == RunState::Running
    }

    fn answer(&self, request: VmRequest) -> Result<Option<Ending>, StartError> {
        Ok(match request {
            VmRequest::PowerOff => {
                Some(Ending { exit: Exit::Finished, reason: Reason::GuestShutdown })
            }
            VmRequest::Reset => self.reboot()?,
            VmRequest::GuestPanicked => {
                self.log.caused_by_guest("the guest's kernel has panicked");
                self.platform().announce(&GuestPanicked { action: PanicAction::Poweroff });
                Some(Ending { exit: Exit::GuestPanicked, reason: Reason::GuestPanic })
            }
            VmRequest::GuestCrashLoaded => {
                let warning = "the guest's kernel has crashed and runs its crash kernel";
                self.log.caused_by_guest(warning);
                self.platform().announce(&GuestCrashLoaded { action: PanicAction::Run });
                None
            }
            VmRequest::StopOnIoError if self.is_running() => {
                if !self.stop_processors() {
                    return Ok(Some(STUCK));
                }
                self.vm.control.set_run_state(RunState::IoError);
                self.platform().announce(&Stopped {});
                None
            }
            // Somebody else has stopped it meanwhile.
            VmRequest::StopOnIoError => None,
            VmRequest::Exit(status) => {
                Some(Ending { exit: Exit::Guest(status), reason: Reason::GuestShutdown })
            }
        })
    }

    /// Does what somebody who controls the VM wants.
    fn obey(&self, order: Order) -> Result<Obeyed, StartError> {
        match order {
            Order::Quit => {
                return Ok(
                    Some(Ending { exit: Exit::Finished, reason: Reason::HostQmpQuit }).into()
                );
            }
            Order::Reset => return Ok(self.start_over(Reason::HostQmpSystemReset)?.into()),
            Order::Continue if !self.is_running() => {
                // What was added since the start is told to the guest too.
                let prepared = match self.vm.control.run_state() {
                    RunState::Prelaunch => self.processors.reset(self.vm),
                    _ => Ok(()),
                };
                if let Err(error) = prepared.and_then(|()| self.go_on()) {
                    return Ok(Obeyed { end: None, outcome: Err(CommandError::caused(&error)) });
                }
                self.platform().announce(&Resumed {});
            }
            Order::Stop if self.is_running() => {
                if !self.stop_processors() {
                    return Ok(Some(STUCK).into());
                }
                self.vm.control.set_run_state(RunState::Paused);
                self.platform().announce(&Stopped {});
            }
            Order::Continue | Order::Stop => {}
            Order::PowerDown => {
                self.press_power_buttons();
                self.platform().announce(&PowerDown {});
            }
        }
        Ok(None.into())
    }

    fn press_power_buttons(&self) {
        for object in self.vm.tree().walk() {
            if object.is_complete()
                && let Some(button) = object.cast::<dyn PowerButton>()
            {
                button.press();
            }
        }
    }

    /// Lets the processors run.
    fn go_on(&self) -> Result<(), StartError> {
        self.processors.start()?;
        self.vm.control.set_run_state(RunState::Running);
        for device in self.devices() {
            device.resumed();
        }
        Ok(())
    }

    fn devices(&self) -> impl Iterator<Item = Arc<dyn Device>> {
        let objects = self.vm.tree().walk().into_iter();
        objects.filter(Obj::is_complete).filter_map(|object| object.cast())
    }

    fn processor_ended(&self, index: u32, end: &End) -> Result<Option<Ending>, StartError> {
        let description = format!("processor {index}: {}", describe(end));
        if let End::TripleFault { .. } = end {
            self.log.caused_by_guest(&description);
            return self.reboot();
        }
        self.log.line(&description);
        Ok(Some(Ending { exit: Exit::CantRun, reason: Reason::HostError }))
    }

    /// Starts the machine over, unless the user wants it to end there.
    fn reboot(&self) -> Result<Option<Ending>, StartError> {
        if !self.vm.reboots {
            return Ok(Some(Ending { exit: Exit::Reset, reason: Reason::GuestReset }));
        }
        self.start_over(Reason::GuestReset)
    }

    fn stop_processors(&self) -> bool {
        // So that no processor waits for a reader of its output that takes none.
        self.vm.chardevs().for_each(|chardev| chardev.set_nonblocking(true));
        let stopped = self.processors.stop(self.log);
        self.vm.chardevs().for_each(|chardev| chardev.set_nonblocking(false));
        stopped
    }

    /// Brings the machine back to where it started. Processors that ran run again.
    fn start_over(&self, reason: Reason) -> Result<Option<Ending>, StartError> {
        let control = &self.vm.control;
        let ran = self.is_running();
        if ran && !self.stop_processors() {
            return Ok(Some(STUCK));
        }
        // What the guest asked before it was stopped was asked of the machine that is no more.
        control.platform.requests().take();
        control.inbox.forget_machine();
        for device in self.devices() {
            device.reset();
        }
        self.vm.reload()?;
        self.processors.reset(self.vm)?;
        self.platform().announce(&Reset::because(reason));
        if ran {
            self.processors.start()?;
        }
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
        End::Unexpected { outcome, registers } => format!("stopped: {outcome}\n{registers}"),
        End::Failed { error, registers } => format!("{}\n{registers}", with_causes(error)),
    }
}

#[cfg(test)]
mod tests;
