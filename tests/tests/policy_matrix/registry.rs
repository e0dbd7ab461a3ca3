//! The types of the program under test, as the program tells them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tests::{Vmm, matrix_vmm};

/// Crate of the types that exist for the matrix.
const OWN: &str = "matrix-vmm ";

/// Every type by its name.
pub(crate) struct Registry {
    types: BTreeMap<String, Value>,
    /// The devices that users can add; boards alone make the others.
    pluggable: BTreeSet<String>,
}

/// A value of a property that is declared insecure.
pub(crate) struct InsecureValue {
    pub(crate) property: String,
    pub(crate) value: Value,
    pub(crate) live: bool,
}

impl Registry {
    pub(crate) fn ask() -> Self {
        let told = Vmm::of(matrix_vmm(), ["types", "--json"]).run().code(0).stdout();
        let types: Vec<Value> = serde_json::from_str(&told).expect("it is JSON");
        let name = |info: &Value| info["name"].as_str().expect("types have names").to_owned();
        let types = types.into_iter().map(|info| (name(&info), info)).collect();
        let devices = Vmm::of(matrix_vmm(), ["-device", "help"]).run().code(0).stdout();
        let rows = devices.lines().filter_map(|line| line.strip_prefix("name \""));
        let names = rows.map(|row| row.split('"').next().expect("a name ends").to_owned());
        Self { types, pluggable: names.collect() }
    }

    /// Names of the types of which there can be objects.
    pub(crate) fn concrete(&self) -> impl Iterator<Item = &str> {
        self.types.iter().filter(|(_, info)| info["kind"] == "concrete").map(|(name, _)| &**name)
    }

    /// Whether users can create it by itself as something of that class.
    pub(crate) fn is_creatable(&self, name: &str, class: &str) -> bool {
        self.is_a(name, class) && (class != "device" || self.pluggable.contains(name))
    }

    pub(crate) fn security(&self, name: &str) -> &str {
        self.types[name]["security"].as_str().expect("every type has a status")
    }

    /// Whether a type is deprecated, and whether it is unstable.
    pub(crate) fn features(&self, name: &str) -> (bool, bool) {
        let info = &self.types[name];
        (info.get("deprecated").is_some(), info["unstable"] == true)
    }

    /// Whether a type is of a class, or has an interface.
    pub(crate) fn is_a(&self, name: &str, class: &str) -> bool {
        let info = &self.types[name];
        let has = info["interfaces"].as_array().is_some_and(|all| all.contains(&class.into()));
        let parent = || info["parent"].as_str().is_some_and(|parent| self.is_a(parent, class));
        name == class || has || parent()
    }

    /// Whether the type is there for the matrix alone, so that nothing but the policy can keep an
    /// object of it from being.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.types[name]["stated-by"].as_str().is_some_and(|by| by.starts_with(OWN))
    }

    /// What has to be given of an object of the type.
    pub(crate) fn required(&self, name: &str) -> Map<String, Value> {
        let properties = self.types[name]["properties"].as_array().expect("they are listed");
        let required = properties.iter().filter(|property| property["required"] == true);
        // A block node stands on others.
        let children = properties.iter().filter_map(|property| {
            let child = property["name"].as_str()?.strip_suffix("-options")?;
            Some((child.to_owned(), json!({ "driver": "null-co" })))
        });
        required
            .map(|property| {
                let name = property["name"].as_str().expect("properties have names").to_owned();
                let value = match property["type"].as_str() {
                    Some("str") => Value::from("given"),
                    Some("bool") => Value::from(true),
                    _ => Value::from(4096),
                };
                (name, value)
            })
            .chain(children)
            .collect()
    }

    /// The values that are declared insecure whatever else is set.
    pub(crate) fn insecure_values(&self, name: &str) -> Vec<InsecureValue> {
        let properties = self.types[name]["properties"].as_array().expect("they are listed");
        let mut found = Vec::new();
        for property in properties {
            let statements = property["insecure"].as_array().map(Vec::as_slice).unwrap_or_default();
            for when in statements.iter().map(|statement| &statement["when"]) {
                let values = match when {
                    Value::Array(values) => values.clone(),
                    Value::String(word) if word == "not the default" => {
                        vec![other_than(&property["default-value"])]
                    }
                    // It depends on the rest of the configuration.
                    _ => continue,
                };
                found.extend(values.into_iter().map(|value| InsecureValue {
                    property: property["name"].as_str().expect("it has a name").to_owned(),
                    value,
                    live: property["access"] == "live",
                }));
            }
        }
        found
    }
}

fn other_than(default: &Value) -> Value {
    match default {
        Value::Bool(on) => Value::from(!on),
        Value::Number(_) => Value::from(default.as_u64().expect("it is not negative") + 1),
        _ => Value::from("other"),
    }
}
