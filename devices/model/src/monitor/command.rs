//! Commands: what each is called, takes and gives, and what it does.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use qom_core::{Obj, Place, Tree, Value};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Map;

use super::{ascii, error::CommandError, schema::Arguments, table::Named};
use crate::{control::VmControl, platform::Platform};

/// A command of the machine protocol.
pub trait Command {
    /// Its name on the wire.
    const NAME: &'static str;
    /// What it takes: a struct, whose schema is what clients are told and their arguments are
    /// checked against.
    type Arguments: DeserializeOwned + JsonSchema;
    /// What it gives; [`Nothing`] if all that it tells is that it succeeded.
    type Returns: Serialize + JsonSchema;
    /// Whether clients can count on it.
    const LIFECYCLE: Lifecycle = Lifecycle::Stable;
    /// Whether it may overtake others. Such a command never waits for anything.
    const OUT_OF_BAND: bool = false;

    /// Does it.
    ///
    /// # Errors
    /// What the client is told. Nothing has changed then.
    fn run(
        context: &CommandContext<'_>,
        arguments: Self::Arguments,
    ) -> Result<Self::Returns, CommandError>;
}

/// Whether clients can count on a command, an argument or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// They can.
    Stable,
    /// It may change or go without notice.
    Unstable,
    /// It will go; this is what to use instead.
    Deprecated(&'static str),
}

/// No arguments, or nothing to tell: the empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}

/// What a command is told about where it was given.
#[derive(Clone, Copy)]
pub struct CommandContext<'a> {
    vm: &'a dyn VmControl,
    monitor: Option<&'a Obj>,
}

impl<'a> CommandContext<'a> {
    /// Where a client of `monitor` gives commands to a VM; none if it is somebody else.
    #[must_use]
    pub const fn new(vm: &'a dyn VmControl, monitor: Option<&'a Obj>) -> Self {
        Self { vm, monitor }
    }

    /// The VM.
    #[must_use]
    pub const fn vm(&self) -> &'a dyn VmControl {
        self.vm
    }

    /// Its objects.
    #[must_use]
    pub fn tree(&self) -> &'a Tree {
        self.vm.tree()
    }

    /// What its devices share.
    #[must_use]
    pub fn platform(&self) -> &'a Arc<Platform> {
        self.vm.platform()
    }

    /// The monitor whose client gives the command.
    #[must_use]
    pub const fn monitor(&self) -> Option<&'a Obj> {
        self.monitor
    }
}

impl fmt::Debug for CommandContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandContext").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

type Run = fn(&CommandContext<'_>, Value) -> Result<Answer, CommandError>;

/// A registered command.
#[derive(Clone, Copy)]
pub struct CommandInfo {
    /// Its name on the wire.
    pub name: &'static str,
    /// Whether clients can count on it.
    pub lifecycle: Lifecycle,
    /// Whether it may overtake others.
    pub out_of_band: bool,
    /// Where it is registered.
    pub place: Place,
    arguments: fn() -> Schema,
    returns: fn() -> Schema,
    run: Run,
    checked: &'static CheckedArguments,
}

/// What the arguments of one command are checked against, from the first time on.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct CheckedArguments(OnceLock<Arguments>);

impl CheckedArguments {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

inventory::collect!(CommandInfo);

impl CommandInfo {
    /// What `C` states, for [`register_command!`](crate::register_command). No other command has
    /// the same `checked`.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<C: Command>(checked: &'static CheckedArguments, place: Place) -> Self {
        Self {
            name: C::NAME,
            lifecycle: C::LIFECYCLE,
            out_of_band: C::OUT_OF_BAND,
            place,
            arguments: arguments_schema::<C::Arguments>,
            returns: told_schema::<C::Returns>,
            run: run::<C>,
            checked,
        }
    }

    /// The JSON schema of what it takes.
    #[must_use]
    pub fn arguments(&self) -> Schema {
        (self.arguments)()
    }

    /// The JSON schema of what it gives.
    #[must_use]
    pub fn returns(&self) -> Schema {
        (self.returns)()
    }

    /// Checks the arguments against their schema and runs it.
    ///
    /// # Errors
    /// What is wrong with the arguments, or the command's own. Nothing has changed then.
    pub fn call(
        &self,
        context: &CommandContext<'_>,
        arguments: Map<String, Value>,
    ) -> Result<Answer, CommandError> {
        self.check(&arguments)?;
        (self.run)(context, Value::Object(arguments))
    }

    /// Checks arguments against their schema, at most as deep as that and they are.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(&self, arguments: &Map<String, Value>) -> Result<(), CommandError> {
        self.checked.0.get_or_init(|| Arguments::of(&self.arguments())).check(arguments)
    }
}

impl Named for CommandInfo {
    const KIND: &'static str = "command";

    fn name(&self) -> &'static str {
        self.name
    }

    fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Debug for CommandInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandInfo").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The schema of a type whose values are given to the program.
fn arguments_schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.into_generator().into_root_schema_for::<T>()
}

/// The schema of a type whose values the program tells.
pub(super) fn told_schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}

fn run<C: Command>(context: &CommandContext<'_>, arguments: Value) -> Result<Answer, CommandError> {
    let arguments = serde_json::from_value(arguments)
        .map_err(|error| CommandError::generic(format!("Invalid arguments: {error}")))?;
    let returns = C::run(context, arguments)?;
    let mut text = Vec::new();
    ascii::write(&mut text, &returns, false);
    String::from_utf8(text).map(Answer).map_err(|error| CommandError::caused(&error))
}

/// What a command gives, as the JSON that its client is sent: on one line, in ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(String);

impl Answer {
    /// The JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The value that it stands for.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // It was written as JSON, if deeper than the parser goes by itself: then it is told as text.
        serde_json::from_str(&self.0).unwrap_or_else(|_| Value::from(self.0.as_str()))
    }
}

/// Registers a [`Command`], in the file that defines it.
#[macro_export]
macro_rules! register_command {
    ($command:ty) => {
        $crate::__private::inventory::submit! {
            {
                static CHECKED: $crate::monitor::CheckedArguments =
                    $crate::monitor::CheckedArguments::new();
                $crate::monitor::CommandInfo::of::<$command>(
                    &CHECKED,
                    $crate::qom_core::Place { file: ::core::file!(), line: ::core::line!() },
                )
            }
        }
    };
}
