//! Commands for people: one line in, text out. Each does what a command for programs does, with the
//! words of QEMU's human monitor.

mod control;
mod devices;
mod info;
mod network;

use device_model::{
    monitor::{Command, CommandContext, CommandError, register_command},
    qom_core::Suggestion,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The longest line, in bytes.
const MOST_BYTES: usize = 4096;

/// A command for people. Each is registered where it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineCommand {
    /// Its name: one word, or two of which the first is `info`.
    pub(super) name: &'static str,
    /// What may follow it.
    pub(super) arguments: &'static str,
    /// What it does, for `help`.
    pub(super) description: &'static str,
    /// Does it, with what follows its name.
    pub(super) run: fn(&CommandContext<'_>, &str) -> Result<String, CommandError>,
}

inventory::collect!(LineCommand);

/// Registers a [`LineCommand`].
macro_rules! line_command {
    ($name:literal, $arguments:literal, $description:literal, $run:path) => {
        inventory::submit! {
            $crate::monitor::hmp::LineCommand {
                name: $name,
                arguments: $arguments,
                description: $description,
                run: $run,
            }
        }
    };
}
use line_command;

/// All of them, sorted by name.
fn line_commands() -> Vec<&'static LineCommand> {
    let registered = inventory::iter::<LineCommand>;
    let mut commands: Vec<_> = registered.into_iter().collect();
    commands.sort_unstable_by_key(|command| command.name);
    commands
}

/// Runs one line.
///
/// # Errors
/// If there is no such command, or its own.
pub(super) fn run(context: &CommandContext<'_>, line: &str) -> Result<String, CommandError> {
    if line.len() > MOST_BYTES {
        let text = format!("the line has {} bytes, of at most {MOST_BYTES}", line.len());
        return Err(CommandError::generic(text));
    }
    let line = line.trim();
    let commands = line_commands();
    let found = commands.iter().find_map(|command| {
        let rest = line.strip_prefix(command.name)?;
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((command, rest.trim()))
    });
    let Some((command, rest)) = found else {
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        let given = match words.as_slice() {
            ["info", topic] => format!("info {topic}"),
            [first, ..] => (*first).to_owned(),
            [] => return Ok(String::new()),
        };
        let suggestion = Suggestion::of(&given, commands.iter().map(|command| command.name));
        return Err(CommandError::generic(format!("unknown command: '{given}'{suggestion}")));
    };
    if command.arguments.is_empty() && !rest.is_empty() {
        let text = format!("{}: takes no arguments, given '{rest}'", command.name);
        return Err(CommandError::generic(text));
    }
    (command.run)(context, rest)
}

fn help(_: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    let line = |command: &&LineCommand| {
        let usage = format!("{} {}", command.name, command.arguments);
        format!("{} -- {}\r\n", usage.trim_end(), command.description)
    };
    Ok(line_commands().iter().map(line).collect())
}

line_command!("help", "", "show what there is", help);

/// Runs a command for people and gives its text.
struct HumanMonitorCommand;

/// What `human-monitor-command` takes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Line {
    /// The command, as it would be typed
    command_line: String,
    /// The processor that it is about
    #[allow(dead_code, reason = "taken for its clients' sake: no command here is about one")]
    cpu_index: Option<i64>,
}

impl Command for HumanMonitorCommand {
    const NAME: &'static str = "human-monitor-command";
    type Arguments = Line;
    type Returns = String;

    fn run(context: &CommandContext<'_>, line: Line) -> Result<String, CommandError> {
        // What went wrong is text for whoever types, and no error of this command.
        Ok(run(context, &line.command_line).unwrap_or_else(|error| format!("Error: {error}\r\n")))
    }
}

register_command!(HumanMonitorCommand);
