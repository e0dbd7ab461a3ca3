//! Reading and writing what objects have: `qom-get`, `qom-set`, `qom-list-get`.

use device_model::{
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::{Given, Obj, PlanError, SetError, Value},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list::{TYPE, of_object};

/// How many objects `qom-list-get` tells of at once: more than one plan can hold.
const MOST_PATHS: usize = 65_536;

/// The value of a property; the path of a child or of what a link refers to, empty if that is
/// nothing. None if there is no such property.
fn get(object: &Obj, name: &str) -> Option<Value> {
    if let Some((info, _)) = object.class().property(name) {
        let value = object.get(name)?;
        let is_empty_link = info.link.is_some() && value.is_null();
        return Some(if is_empty_link { Value::from("") } else { value });
    }
    if let Some(child) = object.child(name) {
        return child.path().map(Value::from);
    }
    (name == TYPE).then(|| Value::from(object.class().name()))
}

fn unknown(object: &Obj, property: &str) -> CommandError {
    let class = object.class();
    let suggestion = class.suggest_property(property);
    PlanError::UnknownProperty { class: class.name(), property: property.to_owned(), suggestion }
        .into()
}

/// `qom-get`.
struct QomGet;

/// What to read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QomGetArguments {
    /// Canonical or partial path of an object.
    path: String,
    /// Name of one of its properties.
    property: String,
}

impl Command for QomGet {
    const NAME: &'static str = "qom-get";
    type Arguments = QomGetArguments;
    type Returns = Value;

    fn run(
        context: &CommandContext<'_>,
        arguments: QomGetArguments,
    ) -> Result<Value, CommandError> {
        let object = context.tree().resolve(&arguments.path)?;
        get(&object, &arguments.property).ok_or_else(|| unknown(&object, &arguments.property))
    }
}

register_command!(QomGet);

/// `qom-set`.
struct QomSet;

/// What to write.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QomSetArguments {
    /// Canonical or partial path of an object.
    path: String,
    /// Name of one of its properties.
    property: String,
    /// What it is to be.
    value: Value,
}

impl Command for QomSet {
    const NAME: &'static str = "qom-set";
    type Arguments = QomSetArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: QomSetArguments,
    ) -> Result<Nothing, CommandError> {
        let QomSetArguments { path, property, value } = arguments;
        let object = context.tree().resolve(&path)?;
        let class = object.class();
        let is_property = class.property(&property).is_some();
        if !is_property && (property == TYPE || object.child(&property).is_some()) {
            let class = class.name();
            let text = format!("Property '{class}.{property}' is read-only");
            return Err(CommandError::generic(text));
        }
        let set = context.vm().set(&object, &property, &Given::Json(value));
        if let Err(SetError::Incompatible(refused)) = &set {
            context.vm().heed(std::slice::from_ref(refused));
        }
        set?;
        context.vm().heed(context.tree().judge_compat(&object, &property).as_slice());
        Ok(Nothing {})
    }
}

register_command!(QomSet);

/// `qom-list-get`.
struct QomListGet;

/// Where to look.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QomListGetArguments {
    /// Canonical or partial paths of objects.
    paths: Vec<String>,
}

/// What one object has.
#[derive(Debug, Serialize, JsonSchema)]
struct Values {
    /// Its properties.
    properties: Vec<PropertyValue>,
}

/// A property and its value.
#[derive(Debug, Serialize, JsonSchema)]
struct PropertyValue {
    /// Its name.
    name: String,
    /// Type of its values.
    #[serde(rename = "type")]
    type_name: String,
    /// Its value; left out if it can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

impl Command for QomListGet {
    const NAME: &'static str = "qom-list-get";
    type Arguments = QomListGetArguments;
    type Returns = Vec<Values>;

    fn run(
        context: &CommandContext<'_>,
        arguments: QomListGetArguments,
    ) -> Result<Vec<Values>, CommandError> {
        if arguments.paths.len() > MOST_PATHS {
            return Err(CommandError::generic(format!(
                "Parameter 'paths' expects at most {MOST_PATHS} paths"
            )));
        }
        let values = |path: &String| {
            let object = context.tree().resolve(path)?;
            let properties = of_object(&object, context.compat()).into_iter().map(|property| {
                let value = get(&object, &property.name);
                PropertyValue { name: property.name, type_name: property.type_name, value }
            });
            Ok(Values { properties: properties.collect() })
        };
        arguments.paths.iter().map(values).collect()
    }
}

register_command!(QomListGet);
