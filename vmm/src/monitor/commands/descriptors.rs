//! Descriptors that a client passes over its monitor's Unix socket: `getfd`, `closefd`, `add-fd`,
//! `remove-fd`, `query-fdsets`.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use device_model::{
    descriptors::{DescriptorError, DescriptorProperty, DescriptorSet},
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::{Class, Given, PropertyType},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::monitor::Monitor;

/// The descriptor that came with a command.
fn passed(context: &CommandContext<'_>) -> Result<OwnedFd, CommandError> {
    let monitor = context.monitor().and_then(|monitor| monitor.cast::<dyn Monitor>());
    let missing = || CommandError::generic("No file descriptor supplied via SCM_RIGHTS");
    monitor.and_then(|monitor| monitor.take_descriptor()).ok_or_else(missing)
}

/// Puts the numbers of descriptors where the names are that `getfd` gave them, in the properties that
/// number some ([`DescriptorProperty`]). A number, given or put, is its descriptor's for as long as
/// what is given back is held.
///
/// # Errors
/// If no descriptor has such a name.
pub(super) fn put_numbers(
    context: &CommandContext<'_>,
    class: &Class,
    properties: &mut [(String, Given)],
) -> Result<Vec<Arc<OwnedFd>>, CommandError> {
    let mut held = Vec::new();
    for (property, value) in properties {
        let info = class.property(property).map(|(info, _)| info);
        let Some(kind) = info.and_then(DescriptorProperty::of) else { continue };
        let Some(text) = value.as_text() else {
            held.extend(numbered(context, value));
            continue;
        };
        let numbers = match kind {
            DescriptorProperty::Number => number(context, text, &mut held)?,
            DescriptorProperty::Numbers => {
                let numbers = text.split(':').map(|name| number(context, name, &mut held));
                numbers.collect::<Result<Vec<_>, _>>()?.join(":")
            }
        };
        *value = Given::Text(numbers);
    }
    Ok(held)
}

/// The number of a descriptor that is given by a name or by that.
fn number(
    context: &CommandContext<'_>,
    name: &str,
    held: &mut Vec<Arc<OwnedFd>>,
) -> Result<String, CommandError> {
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        held.extend(numbered(context, &Given::from(name)));
        return Ok(name.to_owned());
    }
    let descriptor = context.platform().descriptors().named(name);
    let descriptor = descriptor.map_err(|error| refused(&error))?;
    let number = descriptor.as_raw_fd().to_string();
    held.push(descriptor);
    Ok(number)
}

/// The descriptor of a number that a client gives, if one passed and named it.
fn numbered(context: &CommandContext<'_>, value: &Given) -> Option<Arc<OwnedFd>> {
    let number = match value {
        Given::Text(number) => u32::from_text(number).ok(),
        Given::Json(number) => {
            let text = number.as_str().and_then(|number| u32::from_text(number).ok());
            text.or_else(|| u32::try_from(number.as_u64()?).ok())
        }
    };
    context.platform().descriptors().passed(number?)
}

fn refused(error: &DescriptorError) -> CommandError {
    CommandError::caused(error)
}

/// Checks the number of a set.
fn set_number(number: i64) -> Result<u32, CommandError> {
    u32::try_from(number).map_err(|_| {
        let expected = match number < 0 {
            true => "a non-negative value".to_owned(),
            false => format!("a value of at most {}", u32::MAX),
        };
        CommandError::generic(format!("Parameter 'fdset-id' expects {expected}"))
    })
}

/// `getfd`.
struct Getfd;

/// `closefd`.
struct Closefd;

/// A descriptor's name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    /// What it is called.
    fdname: String,
}

impl Command for Getfd {
    const NAME: &'static str = "getfd";
    type Arguments = Named;
    type Returns = Nothing;

    fn run(context: &CommandContext<'_>, arguments: Named) -> Result<Nothing, CommandError> {
        // Taken whatever the name, so that it is not the next command's.
        let descriptor = passed(context)?;
        let descriptors = context.platform().descriptors();
        descriptors.name(&arguments.fdname, descriptor).map_err(|error| refused(&error))?;
        Ok(Nothing {})
    }
}

register_command!(Getfd);

impl Command for Closefd {
    const NAME: &'static str = "closefd";
    type Arguments = Named;
    type Returns = Nothing;

    fn run(context: &CommandContext<'_>, arguments: Named) -> Result<Nothing, CommandError> {
        let descriptors = context.platform().descriptors();
        descriptors.unname(&arguments.fdname).map_err(|error| refused(&error))?;
        Ok(Nothing {})
    }
}

register_command!(Closefd);

/// `add-fd`.
struct AddFd;

/// Where to add it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AddFdArguments {
    /// The set; a new one if left out.
    #[serde(default)]
    fdset_id: Option<i64>,
    /// What to say of it in `query-fdsets`.
    #[serde(default)]
    opaque: Option<String>,
}

/// Where it was added.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct Added {
    /// The set.
    fdset_id: u32,
    /// The descriptor's number in this process.
    fd: i32,
}

impl Command for AddFd {
    const NAME: &'static str = "add-fd";
    type Arguments = AddFdArguments;
    type Returns = Added;

    fn run(context: &CommandContext<'_>, arguments: AddFdArguments) -> Result<Added, CommandError> {
        let descriptor = passed(context)?;
        let set = arguments.fdset_id.map(set_number).transpose()?;
        let descriptors = context.platform().descriptors();
        let (fdset_id, fd) =
            descriptors.add(set, arguments.opaque, descriptor).map_err(|error| refused(&error))?;
        Ok(Added { fdset_id, fd })
    }
}

register_command!(AddFd);

/// `remove-fd`.
struct RemoveFd;

/// What to remove.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RemoveFdArguments {
    /// The set.
    fdset_id: i64,
    /// The descriptor's number; all of the set's if left out.
    #[serde(default)]
    fd: Option<i64>,
}

impl Command for RemoveFd {
    const NAME: &'static str = "remove-fd";
    type Arguments = RemoveFdArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: RemoveFdArguments,
    ) -> Result<Nothing, CommandError> {
        let RemoveFdArguments { fdset_id, fd } = arguments;
        let set = set_number(fdset_id)?;
        // No descriptor has a number of that size.
        let number = fd.map(|fd| i32::try_from(fd).unwrap_or(-1));
        let removed = context.platform().descriptors().remove(set, number);
        removed.map_err(|error| refused(&error))?;
        Ok(Nothing {})
    }
}

register_command!(RemoveFd);

/// `query-fdsets`.
struct QueryFdsets;

/// A set.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct FdsetInfo {
    /// Its number.
    fdset_id: u32,
    /// Its descriptors.
    fds: Vec<FdsetFdInfo>,
}

/// A descriptor of a set.
#[derive(Serialize, JsonSchema)]
struct FdsetFdInfo {
    /// Its number in this process.
    fd: i32,
    /// What its user said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque: Option<String>,
}

impl From<DescriptorSet> for FdsetInfo {
    fn from(set: DescriptorSet) -> Self {
        let fds = set.members.into_iter().map(|(fd, opaque)| FdsetFdInfo { fd, opaque }).collect();
        Self { fdset_id: set.id, fds }
    }
}

impl Command for QueryFdsets {
    const NAME: &'static str = "query-fdsets";
    type Arguments = Nothing;
    type Returns = Vec<FdsetInfo>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Vec<FdsetInfo>, CommandError> {
        let sets = context.platform().descriptors().sets();
        Ok(sets.into_iter().map(FdsetInfo::from).collect())
    }
}

register_command!(QueryFdsets);
