//! `query-command-line-options`: what the program can be started with.

use device_model::monitor::{Command, CommandContext, CommandError, register_command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    creation::option_keys::{OptionKey, option_keys},
    options::{command_line::option_names, key::KeyKind},
};

/// `query-command-line-options`.
struct QueryCommandLineOptions;

/// Which options.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QueryCommandLineOptionsArguments {
    /// Name of the only one to tell of.
    #[serde(default)]
    option: Option<String>,
}

/// An option of the command line.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CommandLineOptionInfo")]
struct CommandLineOption {
    /// Its name.
    option: String,
    /// The keys of its value; none if that has none.
    parameters: Vec<OptionParameter>,
}

/// A key of an option's value.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CommandLineParameterInfo")]
struct OptionParameter {
    /// Its name.
    name: &'static str,
    /// What its values are.
    #[serde(rename = "type")]
    kind: ParameterType,
    /// What it says.
    help: String,
    /// What holds if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

/// What the values of a key are.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CommandLineParameterType")]
enum ParameterType {
    /// Text.
    String,
    /// On or off.
    Boolean,
    /// A number.
    Number,
    /// A number of bytes.
    Size,
}

impl From<KeyKind> for ParameterType {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Text => Self::String,
            KeyKind::Switch => Self::Boolean,
            KeyKind::Number => Self::Number,
            KeyKind::Size => Self::Size,
        }
    }
}

impl From<OptionKey> for OptionParameter {
    fn from(key: OptionKey) -> Self {
        let default = key.default.map(|value| match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Bool(on) => if on { "on" } else { "off" }.to_owned(),
            other => other.to_string(),
        });
        Self { name: key.name, kind: key.kind.into(), help: key.description, default }
    }
}

impl Command for QueryCommandLineOptions {
    const NAME: &'static str = "query-command-line-options";
    type Arguments = QueryCommandLineOptionsArguments;
    type Returns = Vec<CommandLineOption>;

    fn run(
        context: &CommandContext<'_>,
        arguments: QueryCommandLineOptionsArguments,
    ) -> Result<Vec<CommandLineOption>, CommandError> {
        let mut names = option_names();
        if let Some(wanted) = arguments.option {
            names.retain(|name| *name == wanted);
            if names.is_empty() {
                return Err(CommandError::generic(format!("invalid option name: {wanted}")));
            }
        }
        let (registry, compat) = (context.tree().registry(), context.compat());
        let option = |option: String| {
            let keys = option_keys(registry, &option, compat);
            CommandLineOption { option, parameters: keys.into_iter().map(Into::into).collect() }
        };
        Ok(names.into_iter().map(option).collect())
    }
}

register_command!(QueryCommandLineOptions);

#[cfg(test)]
mod tests {
    use device_model::monitor::ErrorClass::GenericError;
    use serde_json::{Value, json};

    use super::super::testing::Bench;

    fn parameters(bench: &Bench, option: &str) -> Vec<Value> {
        let told = bench.ok("query-command-line-options", json!({ "option": option }));
        assert_eq!(told[0]["option"], option);
        told[0]["parameters"].as_array().expect("a list").clone()
    }

    #[track_caller]
    fn has(parameters: &[Value], name: &str, kind: &str) {
        let found: Vec<_> = parameters.iter().filter(|one| one["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}: {parameters:?}");
        assert_eq!(found[0]["type"], kind, "{name}");
        assert!(found[0]["help"].as_str().is_some_and(|help| !help.is_empty()), "{name}");
    }

    #[test]
    fn options_are_those_of_the_command_line() {
        let bench = Bench::new();
        let all = bench.ok("query-command-line-options", json!({}));
        assert!(all.as_array().is_some_and(|all| all.len() > 10));
        let unknown = json!({"option": "warp"});
        let text = "invalid option name: warp";
        bench.refuses("query-command-line-options", &unknown, GenericError, text);
        for plain in ["S", "kernel", "nodefaults", "serial"] {
            assert_eq!(parameters(&bench, plain), [] as [Value; 0], "{plain}");
        }
    }

    #[test]
    fn the_keys_that_an_option_reads_are_among_its_parameters() {
        let bench = Bench::new();
        for (option, name, kind) in [
            ("machine", "type", "string"),
            ("machine", "require-secure", "boolean"),
            ("smp", "cores", "number"),
            ("m", "size", "size"),
            ("name", "process", "string"),
            ("add-fd", "set", "number"),
            ("global", "driver", "string"),
            ("compat", "insecure-types", "string"),
            ("compat", "unstable-output", "string"),
            ("drive", "file", "string"),
            ("drive", "read-only", "boolean"),
            ("drive", "id", "string"),
            ("mon", "mode", "string"),
            ("mon", "chardev", "string"),
            ("mon", "pretty", "boolean"),
            ("chardev", "backend", "string"),
            ("object", "id", "string"),
            ("device", "driver", "string"),
            ("cpu", "popcnt", "boolean"),
        ] {
            has(&parameters(&bench, option), name, kind);
        }
    }

    #[test]
    fn the_properties_of_all_types_are_among_the_parameters_of_what_creates_them() {
        let bench = Bench::new();
        // Of test-card and test-backend, which the registry of these tests has.
        has(&parameters(&bench, "device"), "room", "number");
        has(&parameters(&bench, "device"), "label", "string");
        has(&parameters(&bench, "object"), "size", "number");
        let machine = parameters(&bench, "machine");
        let rtc = machine.iter().find(|one| one["name"] == "rtc").expect("microvm has it");
        assert_eq!((&rtc["type"], &rtc["default"]), (&json!("boolean"), &json!("on")));
    }
}
