//! Children that are described in place: what a node's class announces for them.

use qom_core::{Children, Class, Configuration, Given, PlanError, Value};

/// Behind the name of a child: the property that refers to a node by name.
pub const LINK_SUFFIX: &str = "-node";
/// Behind the name of a child: the property that describes a node in place, as an object with its
/// type, `type`, and its `properties`.
pub const OPTIONS_SUFFIX: &str = "-options";

/// What a child described in place takes from its parent, unless it says otherwise.
const INHERITED: [&str; 4] = ["read-only", "auto-read-only", "cache.direct", "cache.no-flush"];

/// The children that nodes of a class can have.
pub fn slots(class: &Class) -> impl Iterator<Item = &'static str> {
    class.properties().filter_map(|(info, _)| {
        let slot = info.name.strip_suffix(OPTIONS_SUFFIX)?;
        class.property(&format!("{slot}{LINK_SUFFIX}"))?;
        Some(slot)
    })
}

/// Announces the child `file`, for a class that has no other.
///
/// # Errors
/// If there is none, or it is both referred to and described.
pub fn announce_file(
    configuration: &Configuration<'_>,
    children: &mut Children,
) -> Result<(), PlanError> {
    announce(configuration, children, "file", false)
}

/// Announces the child in one place if it is described there; with `read_only`, it is read-only
/// whatever its parent is.
///
/// # Errors
/// If there is none, or it is both referred to and described.
pub fn announce(
    configuration: &Configuration<'_>,
    children: &mut Children,
    slot: &'static str,
    read_only: bool,
) -> Result<(), PlanError> {
    let linked = configuration.linked(&format!("{slot}{LINK_SUFFIX}"))?.is_some();
    let options: Option<Value> = configuration.get(&format!("{slot}{OPTIONS_SUFFIX}"))?;
    let refuse = |problem: &str| Err(PlanError::Refused(problem.to_owned()));
    let options = match options {
        None if linked => return Ok(()),
        None => {
            return refuse(&format!("A block device must be specified for \"{slot}\""));
        }
        Some(_) if linked => {
            return refuse(&format!("Parameter '{slot}' is given by name and in place"));
        }
        Some(options) => options,
    };
    let (Some(type_name), Some(properties)) =
        (options["type"].as_str(), options["properties"].as_object())
    else {
        return refuse(&format!("Parameter '{slot}' expects a type and properties"));
    };
    let child = children.add(slot, type_name);
    for (name, value) in properties {
        child.set(name, Given::Json(value.clone()));
    }
    for name in INHERITED.into_iter().filter(|name| !properties.contains_key(*name)) {
        let value = match name {
            "read-only" if read_only => Value::Bool(true),
            _ => configuration.get::<Value>(name)?,
        };
        child.set(name, value);
    }
    if !properties.contains_key("discard") {
        // Whether a request to discard reaches the child is the parent's to say.
        child.set("discard", "unmap");
    }
    Ok(())
}
