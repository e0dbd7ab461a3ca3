//! Commands: what each is called, takes and gives, and what it does.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use qom_core::{CompatFinding, CompatPolicy, Features, Obj, Place, Subject, Tree, Value};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Map;

use super::{
    ascii,
    error::{CommandError, ErrorClass},
    schema::Shape,
    table::Named,
};
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
    /// Whether it may overtake others (`exec-oob`). Such a command never waits for anything. None of
    /// this project's does: QEMU's are `migrate-pause`, `migrate-recover`, `yank` and `query-yank`.
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

impl Lifecycle {
    /// The same as features.
    #[must_use]
    pub const fn features(self) -> Features {
        let deprecated = matches!(self, Self::Deprecated(_));
        Features { deprecated, unstable: matches!(self, Self::Unstable) }
    }

    /// What to use instead of what will go.
    #[must_use]
    pub const fn replacement(self) -> Option<&'static str> {
        match self {
            Self::Deprecated(replacement) => Some(replacement),
            Self::Stable | Self::Unstable => None,
        }
    }
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

    /// What becomes of what is deprecated or unstable.
    #[must_use]
    pub fn compat(&self) -> CompatPolicy {
        self.vm.compat()
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

type Run = fn(&CommandContext<'_>, Value, Option<&Shape>) -> Result<Answer, CommandError>;

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
    shapes: &'static CommandShapes,
}

/// What one command takes and gives, from the first time on that it is needed.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct CommandShapes {
    arguments: OnceLock<Shape>,
    returns: OnceLock<Shape>,
}

impl CommandShapes {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { arguments: OnceLock::new(), returns: OnceLock::new() }
    }
}

inventory::collect!(CommandInfo);

impl CommandInfo {
    /// What `C` states, for [`register_command!`](crate::register_command). No other command has
    /// the same `shapes`.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<C: Command>(shapes: &'static CommandShapes, place: Place) -> Self {
        Self {
            name: C::NAME,
            lifecycle: C::LIFECYCLE,
            out_of_band: C::OUT_OF_BAND,
            place,
            arguments: arguments_schema::<C::Arguments>,
            returns: told_schema::<C::Returns>,
            run: run::<C>,
            shapes,
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

    /// Checks the arguments against their schema, and itself and them against the compatibility
    /// policy, and runs it.
    ///
    /// # Errors
    /// What is wrong with the arguments, what the policy refuses, or the command's own. Nothing has
    /// changed then.
    pub fn call(
        &self,
        context: &CommandContext<'_>,
        arguments: Map<String, Value>,
    ) -> Result<Answer, CommandError> {
        let policy = context.compat();
        let mut findings = Vec::from_iter(self.judge(policy));
        if let Some(refusal) = refused(context, &findings) {
            return Err(CommandError::new(ErrorClass::CommandNotFound, refusal.to_string()));
        }
        self.check(&arguments)?;
        findings.extend(self.shape().judge(policy, &arguments));
        if let Some(refusal) = refused(context, &findings) {
            return Err(CommandError::generic(refusal.to_string()));
        }
        context.vm().heed(&findings);
        let hiding = policy.hides_anything().then(|| self.returned());
        let hiding = hiding.filter(|shape| shape.is_touched_by(policy));
        (self.run)(context, Value::Object(arguments), hiding)
    }

    /// What a policy makes of that somebody gives the command.
    fn judge(&self, policy: CompatPolicy) -> Option<CompatFinding> {
        let (features, replacement) = (self.lifecycle.features(), self.lifecycle.replacement());
        let subject = || Subject::Command(self.name.to_owned());
        CompatFinding::of(policy, features, replacement, subject)
    }

    fn shape(&self) -> &'static Shape {
        self.shapes.arguments.get_or_init(|| Shape::of(&self.arguments()))
    }

    fn returned(&self) -> &'static Shape {
        self.shapes.returns.get_or_init(|| Shape::of(&self.returns()))
    }

    /// Checks arguments against their schema, at most as deep as that and they are.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(&self, arguments: &Map<String, Value>) -> Result<(), CommandError> {
        self.shape().check(arguments)
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

/// The first that is refused, once the VM has done what is to be done then.
fn refused<'f>(
    context: &CommandContext<'_>,
    findings: &'f [CompatFinding],
) -> Option<&'f CompatFinding> {
    let refused = findings.iter().find(|finding| finding.action.refuses())?;
    context.vm().heed(std::slice::from_ref(refused));
    Some(refused)
}

/// Runs a command, and leaves out of what it gives what the policy hides of `hiding`.
fn run<C: Command>(
    context: &CommandContext<'_>,
    arguments: Value,
    hiding: Option<&Shape>,
) -> Result<Answer, CommandError> {
    let arguments = serde_json::from_value(arguments)
        .map_err(|error| CommandError::generic(format!("Invalid arguments: {error}")))?;
    let returns = C::run(context, arguments)?;
    let mut text = Vec::new();
    match hiding {
        Some(shape) => {
            let mut told =
                serde_json::to_value(&returns).map_err(|error| CommandError::caused(&error))?;
            shape.leave_out(context.compat(), &mut told);
            ascii::write(&mut text, &told, false);
        }
        None => ascii::write(&mut text, &returns, false),
    }
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
                static SHAPES: $crate::monitor::CommandShapes =
                    $crate::monitor::CommandShapes::new();
                $crate::monitor::CommandInfo::of::<$command>(
                    &SHAPES,
                    $crate::qom_core::Place { file: ::core::file!(), line: ::core::line!() },
                )
            }
        }
    };
}
