//! Tests of the protocol's types with sample commands, which take and give all shapes there are.

mod checking;
mod describing;
mod features;
mod untouched;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::monitor::{
    Command, CommandContext, CommandError, Event, Lifecycle, Nothing, register_command,
    register_event,
};

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    Red,
    DarkBlue,
}

/// Its words are documented one by one.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// As it was.
    #[schemars(extend("deprecated" = true))]
    Old,
    /// As it will be.
    #[schemars(extend("unstable" = true))]
    New,
    Plain,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Inner {
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    colour: Option<Colour>,
    /// The list ends somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Box<Inner>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Backend {
    Null,
    File { path: String, append: Option<bool> },
    Inner(Inner),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all = "kebab-case")]
enum Wrapped {
    Null,
    File { path: String },
    Inner(Inner),
}

/// A number or a word.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Reference {
    Name(String),
    Number(u32),
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only the schema is of interest")]
struct Arguments {
    name: String,
    small: Option<u8>,
    signed: Option<i32>,
    large: Option<u64>,
    #[schemars(range(min = 1, max = 4))]
    ports: Option<u32>,
    factor: Option<f64>,
    flag: Option<bool>,
    colour: Option<Colour>,
    #[schemars(extend("unstable" = true))]
    mode: Option<Mode>,
    inner: Option<Inner>,
    list: Option<Vec<Inner>>,
    backend: Option<Backend>,
    wrapped: Option<Wrapped>,
    reference: Option<Reference>,
    value: Option<Value>,
    map: Option<Map<String, Value>>,
    sizes: Option<std::collections::BTreeMap<String, u8>>,
    #[deprecated]
    old: Option<String>,
}

struct Everything;

impl Command for Everything {
    const NAME: &'static str = "x-everything";
    type Arguments = Arguments;
    type Returns = Vec<Inner>;
    const LIFECYCLE: Lifecycle = Lifecycle::Unstable;

    fn run(_: &CommandContext<'_>, _: Arguments) -> Result<Vec<Inner>, CommandError> {
        Ok(Vec::new())
    }
}

register_command!(Everything);

/// A command whose arguments are called as those of another and aren't the same.
mod other {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the schema is of interest")]
    pub(super) struct Arguments {
        driver: String,
        #[serde(flatten)]
        properties: Map<String, Value>,
    }

    pub(super) struct Open;

    impl Command for Open {
        const NAME: &'static str = "x-open";
        type Arguments = Arguments;
        type Returns = Nothing;
        const LIFECYCLE: Lifecycle = Lifecycle::Deprecated("x-everything");
        const OUT_OF_BAND: bool = true;

        fn run(_: &CommandContext<'_>, _: Arguments) -> Result<Nothing, CommandError> {
            Ok(Nothing {})
        }
    }

    register_command!(Open);
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Flat {
    id: String,
    #[serde(flatten)]
    backend: Backend,
}

struct AddFlat;

impl Command for AddFlat {
    const NAME: &'static str = "x-add-flat";
    type Arguments = Flat;
    type Returns = Option<Flat>;

    fn run(_: &CommandContext<'_>, flat: Flat) -> Result<Option<Flat>, CommandError> {
        Ok(Some(flat))
    }
}

register_command!(AddFlat);

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only the schema is of interest")]
struct OddArguments {
    tuple: Option<(u8, String)>,
    data: Option<Untagged>,
}

/// The protocol has no words for it.
#[derive(Serialize, Deserialize, JsonSchema)]
enum Untagged {
    Number(u8),
    Nothing,
}

struct Odd;

impl Command for Odd {
    const NAME: &'static str = "x-odd";
    type Arguments = OddArguments;
    type Returns = Nothing;

    fn run(_: &CommandContext<'_>, _: OddArguments) -> Result<Nothing, CommandError> {
        Ok(Nothing {})
    }
}

register_command!(Odd);

/// What it tells may be nothing at all.
#[derive(Serialize, JsonSchema)]
struct Changed {
    old: Option<u8>,
    inner: Inner,
}

impl Event for Changed {
    const NAME: &'static str = "X_CHANGED";
    const CAUSED_BY_GUEST: bool = false;
}

register_event!(Changed);

/// A disk, told in old words and new.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Disk {
    name: String,
    /// Its size in sectors.
    #[schemars(extend("deprecated" = true))]
    #[serde(default)]
    sectors: Option<u64>,
    /// Its temperature.
    #[schemars(extend("unstable" = true))]
    #[serde(default)]
    heat: Option<i8>,
    /// Where it stands.
    #[serde(default)]
    place: Option<Place>,
    /// By name.
    #[serde(default)]
    parts: std::collections::BTreeMap<String, Disk>,
}

/// Where a disk stands.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "in", rename_all = "kebab-case")]
enum Place {
    /// In a box.
    Box {
        /// In what order.
        #[schemars(extend("deprecated" = true))]
        order: Option<u32>,
        shelf: Option<u32>,
    },
    /// In the attic.
    #[schemars(extend("deprecated" = true))]
    Attic { beam: Option<u32> },
}

/// Tells of the disks that it is told of.
struct Echo;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EchoArguments {
    disks: Vec<Disk>,
}

impl Command for Echo {
    const NAME: &'static str = "x-echo";
    type Arguments = EchoArguments;
    type Returns = Vec<Disk>;

    fn run(_: &CommandContext<'_>, arguments: EchoArguments) -> Result<Vec<Disk>, CommandError> {
        Ok(arguments.disks)
    }
}

register_command!(Echo);

/// Of a disk that spins.
#[derive(Serialize, JsonSchema)]
struct Spun {
    disk: Disk,
}

impl Event for Spun {
    const NAME: &'static str = "X_SPUN";
    const CAUSED_BY_GUEST: bool = true;
}

register_event!(Spun);

/// The same of old.
#[derive(Serialize, JsonSchema)]
struct Turned {}

impl Event for Turned {
    const NAME: &'static str = "X_TURNED";
    const LIFECYCLE: Lifecycle = Lifecycle::Deprecated("X_SPUN");
    const CAUSED_BY_GUEST: bool = true;
}

register_event!(Turned);
