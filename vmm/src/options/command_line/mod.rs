//! The whole command line: every option in order, typed, with the words the user chose.

mod definitions;
mod effective;
mod entry;
mod error;
mod help_request;
mod keys;
mod policy;
mod rewrite;
mod usage;
mod value;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

pub use effective::{MachineRequest, Said};
pub use entry::{Entry, Origin};
pub use error::CommandLineError;
pub use help_request::{HelpRequest, HelpTopic};
pub(crate) use keys::own_keys;
pub(crate) use policy::MACHINE_KEYS;
pub use policy::{CompatStatements, PolicyError};
pub use usage::{subcommand_usage, usage};
pub(crate) use value::{DEVICE_SYNTAX, NETDEV_SYNTAX};
pub use value::{Display, GuestName, OptionValue, ValueError};

use super::config_file;
use super::smp::{SmpRequest, Topology};
use entry::{place, place_of};
use rewrite::Rewritten;

/// A word that stands first and asks for something else than a machine, with the arguments after
/// it, which are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subcommand {
    /// `demo`.
    Demo(Vec<OsString>),
    /// `check`.
    Check(Vec<OsString>),
    /// `types`.
    Types(Vec<OsString>),
}

impl Subcommand {
    /// Whether its arguments ask for its usage.
    #[must_use]
    pub fn asks_help(&self) -> bool {
        let is_help = |argument: &OsString| {
            argument.to_str().is_some_and(|word| ["-h", "--h", "-help", "--help"].contains(&word))
        };
        match self {
            Self::Demo(arguments) | Self::Types(arguments) => arguments.iter().any(is_help),
            // Further on it may be the value of an option.
            Self::Check(arguments) => arguments.first().is_some_and(is_help),
        }
    }
}

/// The words for [`Subcommand`].
pub const SUBCOMMANDS: [&str; 3] = ["demo", "check", "types"];

/// Names of all options, without dashes, in the order of the help text.
pub(crate) fn option_names() -> Vec<String> {
    let command = definitions::command();
    command.get_arguments().map(|option| option.get_id().to_string()).collect()
}

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandLine {
    subcommand: Option<Subcommand>,
    entries: Vec<Entry>,
    topology: Option<Topology>,
}

impl CommandLine {
    /// Reads the arguments after the program's name, and the files that `-readconfig` names.
    ///
    /// The options of such a file stand where `-readconfig` stood. `--help` and `--version` leave
    /// nothing but themselves.
    ///
    /// ```
    /// use vmm::options::command_line::CommandLine;
    ///
    /// let line = CommandLine::parse(["-M", "q35,require-secure=yes", "-m", "1.5G"].map(Into::into))?;
    /// assert_eq!(line.machine().machine_type.map(|(_, name)| name), Some("q35"));
    /// assert_eq!(line.memory().map(|(_, bytes)| bytes), Some(3 << 29));
    /// let (entry, statement) = line.policy_statements().next().expect("one was given");
    /// assert_eq!(statement.to_string(), "require-secure=yes");
    /// assert_eq!(entry.to_string(), "-machine q35,require-secure=yes");
    /// # Ok::<(), vmm::options::command_line::CommandLineError>(())
    /// ```
    ///
    /// # Errors
    /// [`CommandLineError`] with the first mistake, as one line that starts with where it is.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, CommandLineError> {
        let mut arguments = arguments.into_iter().peekable();
        if let Some(first) = arguments.next_if(|first| !starts_with_dash(first)) {
            return Self::parse_subcommand(&first, arguments.collect());
        }
        let command = definitions::command();
        let arguments = match rewrite::rewrite(&command, arguments)? {
            Rewritten::Arguments(arguments) => arguments,
            Rewritten::Only(name) => {
                let mut only = Self::default();
                only.push(name, None)?;
                return Ok(only);
            }
        };
        let mut parsed = Self::default();
        for (name, text) in in_order(command, arguments)? {
            match (name.as_str(), text) {
                ("readconfig", Some(file)) if !file.is_empty() => parsed.push_file(&file)?,
                (name, text) => parsed.push(name, text)?,
            }
        }
        parsed.topology = parsed.merge_topology()?;
        Ok(parsed)
    }

    /// The word that stood first, if one did.
    pub fn subcommand(&self) -> Option<&Subcommand> {
        self.subcommand.as_ref()
    }

    /// Every option in the order given.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn parse_subcommand(word: &OsString, rest: Vec<OsString>) -> Result<Self, CommandLineError> {
        let subcommand = match word.to_str() {
            Some("demo") => Subcommand::Demo(rest),
            Some("check") => Subcommand::Check(rest),
            Some("types") => Subcommand::Types(rest),
            _ => return Err(rewrite::unexpected_first(&definitions::command(), word)),
        };
        Ok(Self { subcommand: Some(subcommand), ..Self::default() })
    }

    fn push(&mut self, name: &str, text: Option<String>) -> Result<(), CommandLineError> {
        let value =
            value::from_text(name, text.as_deref().unwrap_or_default()).map_err(|problem| {
                let place = place(name, text.as_deref(), &Origin::Argument);
                CommandLineError::Value { place, problem: Box::new(problem) }
            })?;
        self.entries.push(Entry { name: name.to_owned(), text, origin: Origin::Argument, value });
        Ok(())
    }

    fn push_file(&mut self, file: &str) -> Result<(), CommandLineError> {
        for section in config_file::read(Path::new(file))? {
            let name = section.option;
            let keys = section.pairs.iter().map(|(key, _)| key.clone());
            let keys = keys.zip(section.lines.iter().copied()).collect();
            let origin = Origin::ConfigFile { file: file.to_owned(), line: section.line, keys };
            let value =
                value::from_section(section).map_err(|problem| CommandLineError::Value {
                    place: place_of(name, None, &origin, problem.key()),
                    problem: Box::new(problem),
                })?;
            self.entries.push(Entry { name: name.to_owned(), text: None, origin, value });
        }
        Ok(())
    }

    fn merge_topology(&self) -> Result<Option<Topology>, CommandLineError> {
        let mut merged = None;
        for entry in &self.entries {
            if let OptionValue::Smp(request) = entry.value {
                let earlier = merged.map_or(SmpRequest::default(), |(_, earlier)| earlier);
                merged = Some((entry, earlier.merged(request)));
            }
        }
        let Some((last, request)) = merged else {
            return Ok(None);
        };
        request
            .topology()
            .map(Some)
            .map_err(|problem| CommandLineError::Topology { place: last.to_string(), problem })
    }
}

fn starts_with_dash(argument: &OsString) -> bool {
    argument.as_encoded_bytes().starts_with(b"-")
}

/// Parses rewritten arguments and brings the options back into the order they were given in.
fn in_order(
    mut command: clap::Command,
    arguments: Vec<String>,
) -> Result<Vec<(String, Option<String>)>, CommandLineError> {
    let matches = command.try_get_matches_from_mut(arguments).map_err(|error| {
        let text = error.to_string();
        let first_line = text.lines().next().unwrap_or_default();
        CommandLineError::Parser(super::excerpt::excerpt(first_line))
    })?;
    let mut found = Vec::new();
    for option in command.get_arguments() {
        let id = option.get_id().as_str();
        let Some(indices) = matches.indices_of(id) else {
            continue;
        };
        if option.get_action().takes_values() {
            let values = matches.get_many::<String>(id).into_iter().flatten().cloned();
            found.extend(indices.zip(values).map(|(at, text)| (at, id, Some(text))));
        } else if matches.get_count(id) > 0 {
            found.extend(indices.map(|at| (at, id, None)));
        }
    }
    found.sort_by_key(|(at, _, _)| *at);
    Ok(found.into_iter().map(|(_, id, text)| (id.to_owned(), text)).collect())
}
