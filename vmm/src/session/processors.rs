//! The processors of a VM: starting, stopping and resetting all of them.

use std::sync::Arc;

use device_model::{
    causes::with_causes,
    platform::Platform,
    qom_core::{Obj, Tree},
};

use super::{
    error::StartError,
    inbox::{Inbox, News},
    run_log::RunLog,
    vm::Vm,
};
use crate::{
    cpu::Cpu,
    machine::{MACHINE, Machine, MachineClass},
    vcpu::EndSink,
};

/// The processors of a VM that are run, in order.
pub(super) struct Processors {
    cpus: Vec<(Obj, Arc<dyn Cpu>)>,
    platform: Arc<Platform>,
    ended: EndSink,
}

impl Processors {
    /// All that are run: none of a machine that runs no guest, whose processor is there to be looked at.
    pub(super) fn of(tree: &Tree, platform: &Arc<Platform>, inbox: &Inbox) -> Self {
        let machine = tree.resolve(MACHINE).ok();
        let data = machine.as_ref().and_then(|machine| machine.class().data::<MachineClass>());
        let runs_guest = data.is_none_or(|machine| machine.runs_guest);
        let runs = |cpu: &Arc<dyn Cpu>| cpu.accel().is_none_or(|accel| accel.runs_processors());
        let with_cpu = |object: Obj| {
            let cpu = object.cast().filter(|cpu| runs_guest && runs(cpu))?;
            Some((object, cpu))
        };
        let mut cpus: Vec<_> = tree.walk().into_iter().filter_map(with_cpu).collect();
        cpus.sort_by_key(|(_, cpu)| cpu.index());
        let inbox = inbox.clone();
        let ended: EndSink = Arc::new(move |index, end| inbox.put(News::Ended(index, end)));
        Self { cpus, platform: Arc::clone(platform), ended }
    }

    /// Brings machine and processors, which must be at rest, into the state in which a guest starts.
    pub(super) fn reset(&self, vm: &Vm) -> Result<(), StartError> {
        let Some(machine) = vm.machine() else { return Ok(()) };
        let Some(board) = machine.cast::<dyn Machine>() else { return Ok(()) };
        let Some(entry) = board.boot(&machine, vm.platform()).map_err(StartError::Boot)? else {
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
    pub(super) fn start(&self) -> Result<(), StartError> {
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
    pub(super) fn stop(&self, log: &RunLog<'_>) -> bool {
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
