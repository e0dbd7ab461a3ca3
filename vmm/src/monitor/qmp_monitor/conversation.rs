//! What one client and the monitor say to each other, and the commands that it may give.

use std::sync::Arc;

use device_model::{
    control::VmControl,
    monitor::{Answer, CommandContext, CommandError, CommandTable, ErrorClass, Occurrence},
    qom_core::Obj,
};

use crate::monitor::qmp::session::{CommandTraits, Dispatch, Job};

/// The commands of a VM, given through one monitor.
pub(super) struct Commands {
    table: &'static CommandTable,
    vm: Arc<dyn VmControl>,
    monitor: Obj,
}

impl Commands {
    /// All commands that the program has.
    pub(super) fn new(table: &'static CommandTable, vm: Arc<dyn VmControl>, monitor: Obj) -> Self {
        Self { table, vm, monitor }
    }
}

impl Dispatch for Commands {
    fn find(&self, name: &str) -> Option<CommandTraits> {
        let command = self.table.get(name)?;
        Some(CommandTraits { out_of_band: command.out_of_band })
    }
}

impl Commands {
    /// What the client is told of an event; nothing if that is hidden from it.
    pub(super) fn told(&self, occurrence: Occurrence) -> Option<Occurrence> {
        occurrence.under(self.vm.compat())
    }

    /// Runs a command.
    pub(super) fn answer(&self, job: &mut Job) -> Result<Answer, CommandError> {
        let arguments = job.take_arguments();
        let name = &job.request().command;
        let command = self.table.get(name).ok_or_else(|| {
            let text = format!("The command {name} has not been found");
            CommandError::new(ErrorClass::CommandNotFound, text)
        })?;
        let context = CommandContext::new(&*self.vm, Some(&self.monitor));
        command.call(&context, arguments)
    }
}
