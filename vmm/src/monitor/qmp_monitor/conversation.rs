//! What one client and the monitor say to each other, and the commands that it may give.

use std::sync::Arc;

use device_model::{
    control::VmControl,
    monitor::{CommandContext, CommandError, ErrorClass},
    qom_core::Obj,
};
use serde_json::Value;

use crate::monitor::qmp::{
    request::Request,
    session::{CommandTraits, Dispatch},
};

pub(super) struct CommandTable(
    std::collections::BTreeMap<&'static str, &'static device_model::monitor::CommandInfo>,
);
impl CommandTable {
    pub(super) fn global() -> Result<&'static Self, String> {
        static T: std::sync::OnceLock<CommandTable> = std::sync::OnceLock::new();
        Ok(T.get_or_init(|| {
            CommandTable(
                device_model::monitor::commands().into_iter().map(|c| (c.name, c)).collect(),
            )
        }))
    }
    fn command(&self, name: &str) -> Option<&'static device_model::monitor::CommandInfo> {
        self.0.get(name).copied()
    }
}

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
        let command = self.table.command(name)?;
        Some(CommandTraits { out_of_band: command.out_of_band })
    }

    fn call(&self, request: &Request) -> Result<Value, CommandError> {
        let name = &request.command;
        let command = self.table.command(name).ok_or_else(|| {
            let text = format!("The command {name} has not been found");
            CommandError::new(ErrorClass::CommandNotFound, text)
        })?;
        let context = CommandContext::new(&*self.vm, Some(&self.monitor));
        command.run(&context, Value::Object(request.arguments.clone()))
    }
}
