//! What there is, for people: the answers to `help`.

use device_model::{
    block::{LINK_SUFFIX, TYPE_PREFIX},
    qom_core::{
        Class, CompatPolicy, InsecureCondition, InsecureStatement, PropertyInfo, Registry,
        SecurityStatus, Suggestion,
    },
};
use serde_json::Value;

use super::{
    error::{OptionError, StartError},
    requests::{IRQCHIP, short_names},
};
use crate::{
    cpu,
    creation::{
        block, chardev, device, netdev, object,
        option_keys::{OptionKey, child, nameable, option_keys, settable},
    },
    machine::{self, MachineClass},
    options::{
        choice::phrase,
        command_line::{HelpTopic, MACHINE_KEYS},
        stream::FORMS,
    },
};

/// ` (secure)`, ` (insecure)`, or nothing for what is undeclared; before that, ` (deprecated)` and
/// ` (unstable)` for what is.
fn status(class: &Class) -> String {
    let features: String =
        class.info().features().iter().map(|feature| format!(" ({feature})")).collect();
    let security = match class.status() {
        SecurityStatus::Secure => " (secure)",
        SecurityStatus::Insecure { .. } => " (insecure)",
        SecurityStatus::Undeclared => "",
    };
    features + security
}

/// The types that an option can name, in QEMU's layout, but for those that a policy hides.
pub(super) fn types(registry: &Registry, topic: HelpTopic, compat: CompatPolicy) -> String {
    match topic {
        HelpTopic::Machine => machines(registry, compat),
        HelpTopic::Accelerator => {
            let all = nameable(registry, topic, compat);
            names("Accelerators supported in this binary:", "", all, |name| {
                name.strip_suffix("-accel")
            })
        }
        HelpTopic::Cpu => cpus(registry, compat),
        HelpTopic::Blockdev => {
            let all = nameable(registry, topic, compat);
            names("Available block driver types:", "  ", all, |name| name.strip_prefix(TYPE_PREFIX))
        }
        HelpTopic::Chardev => {
            let all = nameable(registry, topic, compat);
            names("Available chardev backend types:", "  ", all, |name| {
                name.strip_prefix("chardev-")
            })
        }
        HelpTopic::Netdev => {
            let all = nameable(registry, topic, compat);
            names("Available netdev backend types:", "  ", all, |name| name.strip_prefix("netdev-"))
        }
        HelpTopic::Device => devices(registry, compat),
        HelpTopic::Object => objects(registry, compat),
    }
}

fn names<'a>(
    heading: &str,
    indent: &str,
    classes: impl Iterator<Item = &'a Class>,
    strip: impl Fn(&'static str) -> Option<&'static str>,
) -> String {
    let mut text = format!("{heading}\n");
    for class in classes {
        if let Some(name) = strip(class.name()) {
            text += &format!("{indent}{name}{}\n", status(class));
        }
    }
    text
}

fn objects(registry: &Registry, compat: CompatPolicy) -> String {
    let mut text = "List of user creatable objects:\n".to_owned();
    for class in nameable(registry, HelpTopic::Object, compat) {
        text += &format!("  {}{}\n", class.name(), status(class));
    }
    text
}

fn machines(registry: &Registry, compat: CompatPolicy) -> String {
    let mut text = "Supported machines are:\n".to_owned();
    for class in nameable(registry, HelpTopic::Machine, compat) {
        let name = class.name().trim_end_matches(machine::TYPE_SUFFIX);
        let default = class.data::<MachineClass>().is_some_and(|data| data.is_default);
        text += &format!(
            "{name:<20} {}{}{}\n",
            class.info().description,
            if default { " (default)" } else { "" },
            status(class),
        );
    }
    text
}

fn cpus(registry: &Registry, compat: CompatPolicy) -> String {
    let mut text = "Available CPUs:\n".to_owned();
    for class in nameable(registry, HelpTopic::Cpu, compat) {
        let name = class.name().trim_end_matches(cpu::TYPE_SUFFIX);
        text += &format!("  {name:<20} {}{}\n", class.info().description, status(class));
    }
    text += "\nRecognized CPUID flags:\n";
    let mut line = String::new();
    for feature in cpu::features::all() {
        if line.len() + feature.name.len() > 76 {
            text += &format!(" {line}\n");
            line.clear();
        }
        line += &format!(" {}", feature.name);
    }
    text + &format!(" {line}\n")
}

fn devices(registry: &Registry, compat: CompatPolicy) -> String {
    let shown = |class: &Class| !compat.hides(class.info().features());
    let pluggable: Vec<_> =
        device::all_pluggable(registry).filter(|(class, _)| shown(class)).collect();
    let mut categories: Vec<_> =
        pluggable.iter().filter_map(|(class, _)| class.category()).collect();
    categories.sort_unstable();
    categories.dedup();
    let mut text = String::new();
    for category in categories {
        text += &format!("{}{category}:\n", if text.is_empty() { "" } else { "\n" });
        let of_category = pluggable.iter().filter(|(class, _)| class.category() == Some(category));
        for (class, plug) in of_category {
            text += &format!("name \"{}\"", class.name());
            if let Some(bus) = plug.bus {
                text += &format!(", bus {bus}");
            }
            text += &format!(", desc \"{}\"{}\n", class.info().description, status(class));
        }
    }
    text
}

/// The properties of one type that an option can name, in QEMU's layout, but for those that a policy
/// hides.
///
/// # Errors
/// If there is no such type.
pub(super) fn properties(
    registry: &Registry,
    topic: HelpTopic,
    name: &str,
    compat: CompatPolicy,
) -> Result<String, StartError> {
    let class = class(registry, topic, name).map_err(|problem| {
        let place = format!("-{} {name},help", topic.option());
        StartError::Option { place, problem }
    })?;
    let mut text = format!("{name} options:{}\n", status(class));
    if topic == HelpTopic::Cpu {
        return Ok(text + &lines(&option_keys(registry, topic.option(), compat)));
    }
    for property in settable(class, compat) {
        match child(class, property.name) {
            Some((slot, LINK_SUFFIX)) => {
                let details = ["the name of a node, or its own keys".to_owned()];
                text += &line(slot, "blockdev", "The node below it", &details);
                continue;
            }
            Some(_) => continue,
            None => {}
        }
        let range = match class.data::<MachineClass>().filter(|_| property.name == CPUS) {
            Some(machine) => Some((i128::from(machine.runs_guest), machine.max_cpus.into())),
            None => property.range,
        };
        text += &row(property, range);
    }
    if topic == HelpTopic::Machine {
        text += &further_keys(registry, class.data());
    }
    Ok(text)
}

/// The keys of an option that names no type.
pub(super) fn keys(registry: &Registry, option: &str, compat: CompatPolicy) -> String {
    format!("{option} options:\n{}", lines(&option_keys(registry, option, compat)))
}

fn lines(keys: &[OptionKey]) -> String {
    let line = |key: &OptionKey| {
        let default = key.default.as_ref().map(|default| format!("default: {default}"));
        line(key.name, key.kind.word(), &key.description, &Vec::from_iter(default))
    };
    keys.iter().map(line).collect()
}

/// Where streams can lead, each with the status of what is made for it, but for those that a policy
/// hides.
pub(super) fn streams(registry: &Registry, compat: CompatPolicy) -> String {
    let mut text = "Available streams:\n".to_owned();
    for (form, backend) in FORMS {
        let class = backend.map(|name| chardev::backend(registry, name));
        match class {
            Some(Ok(class)) if !compat.hides(class.info().features()) => {
                text += &format!("  {form}{}\n", status(class));
            }
            // No linked crate has it.
            Some(_) => {}
            None => text += &format!("  {form}\n"),
        }
    }
    text
}

/// The machine's property that has a range of each machine's own.
const CPUS: &str = "cpus";

/// What users say of a machine beside its properties: of its accelerator, and of the policy.
fn further_keys(registry: &Registry, machine: Option<&MachineClass>) -> String {
    let mut text = String::new();
    if machine.is_some_and(|machine| machine.runs_guest) {
        // Of whichever accelerator has it.
        let mut of_accelerators =
            nameable(registry, HelpTopic::Accelerator, CompatPolicy::default())
                .filter_map(|class| class.property(IRQCHIP));
        if let Some((property, _)) = of_accelerators.next() {
            text += &row(property, property.range);
        }
    }
    for key in MACHINE_KEYS {
        text += &line(key.name, key.kind.word(), key.description, &[]);
    }
    text
}

/// The type that an option calls `name`.
fn class<'a>(
    registry: &'a Registry,
    topic: HelpTopic,
    name: &str,
) -> Result<&'a Class, OptionError> {
    let (affix, parent) = match topic {
        HelpTopic::Machine => (machine::TYPE_SUFFIX, "machine"),
        HelpTopic::Accelerator => ("-accel", "accelerator"),
        HelpTopic::Cpu => (cpu::TYPE_SUFFIX, "cpu"),
        HelpTopic::Blockdev => return Ok(block::driver(registry, "driver", name)?),
        HelpTopic::Chardev => return Ok(chardev::backend(registry, name)?),
        HelpTopic::Netdev => return Ok(netdev::backend(registry, name)?),
        HelpTopic::Device => return Ok(device::pluggable(registry, name)?.0),
        HelpTopic::Object => return Ok(object::creatable(registry, name)?),
    };
    let class = registry.class(&format!("{name}{affix}")).map(|class| &**class);
    class.filter(|class| !class.is_abstract() && class.is_a(parent)).ok_or_else(|| {
        let names = short_names(registry, parent, |name| name.strip_suffix(affix));
        let (name, suggestion) = (name.to_owned(), Suggestion::of(name, names));
        match topic {
            HelpTopic::Machine => OptionError::Machine { name, suggestion },
            HelpTopic::Cpu => OptionError::CpuModel { name, suggestion },
            _ => OptionError::Accelerator { name, suggestion },
        }
    })
}

/// A line for a property: its description, what is accepted, the default, what is insecure.
fn row(property: &PropertyInfo, range: Option<(i128, i128)>) -> String {
    let mut details = Vec::new();
    let words = (property.value_type)().words;
    if !words.is_empty() {
        details.push(phrase(words.iter().copied()));
    }
    if let Some((least, greatest)) = range {
        details.push(format!("{least} to {greatest}"));
    }
    let default = property.default_value();
    // A class has one for all its machines, which some can't have.
    let possible = default.as_u64().zip(range).is_none_or(|(default, (least, greatest))| {
        (least..=greatest).contains(&i128::from(default))
    });
    if !default.is_null() && default != "" && possible {
        details.push(format!("default: {default}"));
    }
    details.extend(property.deprecated.map(|instead| format!("deprecated: {instead}")));
    details.extend(property.unstable.then(|| "unstable".to_owned()));
    details.extend(property.insecure.iter().map(insecure));
    line(property.name, &property.type_name(), property.description, &details)
}

/// Which values of a property are insecure, and why.
fn insecure(statement: &InsecureStatement) -> String {
    let which = match statement.condition {
        InsecureCondition::NotDefault => "insecure but for the default".to_owned(),
        InsecureCondition::Values(values) => {
            let values: Vec<_> = values()
                .into_iter()
                .map(|value| match value {
                    Value::String(word) => word,
                    Value::Bool(on) => if on { "on" } else { "off" }.to_owned(),
                    other => other.to_string(),
                })
                .collect();
            format!("insecure if {}", phrase(values.iter().map(String::as_str)))
        }
        InsecureCondition::When(_) => "insecure in some configurations".to_owned(),
    };
    format!("{which}: {}", statement.reason)
}

/// `  name=<type>` padded to 24, then the description and the details.
fn line(name: &str, type_name: &str, description: &str, details: &[String]) -> String {
    let head = format!("  {name}=<{type_name}>");
    let details = match details.is_empty() {
        true => String::new(),
        false => format!(" ({})", details.join("; ")),
    };
    format!("{head:<24} - {description}{details}\n")
}
