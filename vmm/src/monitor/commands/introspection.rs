//! What the monitor can do, as it tells clients: `query-commands` and `query-qmp-schema`.

use device_model::monitor::{
    Command, CommandContext, CommandError, CommandTable, EventTable, Nothing, register_command,
    schema::{SchemaInfo, describe},
};
use schemars::JsonSchema;
use serde::Serialize;

#[cfg(test)]
mod tests;

/// The names of all commands.
struct QueryCommands;

/// A command.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "CommandInfo")]
struct CommandName {
    name: &'static str,
}

impl Command for QueryCommands {
    const NAME: &'static str = "query-commands";
    type Arguments = Nothing;
    type Returns = Vec<CommandName>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Self::Returns, CommandError> {
        let commands = CommandTable::global().map_err(|error| CommandError::caused(error))?;
        let policy = context.compat();
        let shown = commands.entries().iter().filter(|one| !policy.hides(one.lifecycle.features()));
        Ok(shown.map(|command| CommandName { name: command.name }).collect())
    }
}

register_command!(QueryCommands);

/// All commands, events and the types that they use.
struct QueryQmpSchema;

impl Command for QueryQmpSchema {
    const NAME: &'static str = "query-qmp-schema";
    type Arguments = Nothing;
    type Returns = Vec<SchemaInfo>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Self::Returns, CommandError> {
        let commands = CommandTable::global().map_err(|error| CommandError::caused(error))?;
        let events = EventTable::global().map_err(|error| CommandError::caused(error))?;
        Ok(describe(commands.entries(), events.entries(), context.compat()))
    }
}

register_command!(QueryQmpSchema);
