//! Tests of the protocol's types with sample commands, which take and give all shapes there are.

mod checking;
mod describing;

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
