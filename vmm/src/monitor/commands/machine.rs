//! What machines can be made of: `query-machines`, `query-accelerators`, `query-kvm`,
//! `query-cpu-definitions`, `query-devices`.

use device_model::{
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::{Class, ClassType},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use crate::{
    accelerator::{self, ACCELERATOR, Accelerator},
    cpu::{self, Cpu},
    creation::device,
    machine::{self, Machine, MachineClass},
};

/// Type of the accelerator that `query-kvm` asks about.
const KVM: &str = "kvm-accel";

/// Concrete types of a class that the compatibility policy does not hide, with their names as users
/// give them.
fn named<'a>(
    context: &CommandContext<'a>,
    class: &'a str,
    suffix: &'a str,
) -> impl Iterator<Item = (&'static str, &'a Class)> {
    let compat = context.compat();
    context
        .tree()
        .registry()
        .classes()
        .filter(move |candidate| !candidate.is_abstract() && candidate.is_a(class))
        .filter(move |candidate| !compat.hides(candidate.info().features()))
        .map(move |class| {
            let name = class.name();
            (name.strip_suffix(suffix).unwrap_or(name), &**class)
        })
}

/// `query-machines`.
struct QueryMachines;

/// What to tell besides.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct QueryMachinesArguments {
    /// Whether to list the values that older versions of a machine set.
    #[serde(default)]
    compat_props: bool,
}

/// A kind of machine.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct MachineKind {
    /// Its name.
    name: &'static str,
    /// What it is.
    description: &'static str,
    /// True if it is the one that users get who name none; left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_default: bool,
    /// The greatest number of processors.
    cpu_max: u32,
    /// Whether processors can be added while it runs.
    hotpluggable_cpus: bool,
    /// Whether its memory can be divided into nodes.
    numa_mem_supported: bool,
    /// Type of its processors unless another is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_cpu_type: Option<String>,
    /// The values that it sets as a version of an older machine, of which there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    compat_props: Option<Vec<CompatProperty>>,
    #[serde(flatten)]
    standing: Standing,
}

/// A value that an older version of a machine sets.
#[derive(Serialize, JsonSchema)]
struct CompatProperty {
    /// The type on whose objects it is set.
    #[serde(rename = "qom-type")]
    qom_type: String,
    /// The property.
    property: String,
    /// The value.
    value: String,
}

impl Command for QueryMachines {
    const NAME: &'static str = "query-machines";
    type Arguments = QueryMachinesArguments;
    type Returns = Vec<MachineKind>;

    fn run(
        context: &CommandContext<'_>,
        arguments: QueryMachinesArguments,
    ) -> Result<Vec<MachineKind>, CommandError> {
        let machines = named(context, <dyn Machine as ClassType>::INFO.name, machine::TYPE_SUFFIX)
            .map(|(name, class)| {
                let data = class.data::<MachineClass>();
                let cpu_type = class.property("cpu-type").map(|(info, _)| info.default_value());
                MachineKind {
                    name,
                    description: class.info().description,
                    is_default: data.is_some_and(|data| data.is_default),
                    cpu_max: data.map_or(0, |data| data.max_cpus),
                    hotpluggable_cpus: false,
                    numa_mem_supported: false,
                    default_cpu_type: cpu_type
                        .and_then(|value| value.as_str().map(str::to_owned))
                        .filter(|cpu_type| !cpu_type.is_empty()),
                    compat_props: arguments.compat_props.then(Vec::new),
                    standing: Standing::of(class),
                }
            });
        Ok(machines.collect())
    }
}

register_command!(QueryMachines);

/// The name of the accelerator that this machine has, if it has one.
fn enabled(context: &CommandContext<'_>) -> Option<&'static str> {
    let accelerator = context.tree().resolve(ACCELERATOR).ok()?;
    accelerator.class().name().strip_suffix(accelerator::TYPE_SUFFIX)
}

/// `query-accelerators`.
struct QueryAccelerators;

/// The accelerators.
#[derive(Serialize, JsonSchema)]
struct Accelerators {
    /// The one that runs this machine's processors; none if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<&'static str>,
    /// All that there are.
    present: Vec<AcceleratorKind>,
}

/// An accelerator.
#[derive(Serialize, JsonSchema)]
struct AcceleratorKind {
    /// Its name.
    name: &'static str,
    /// What it is.
    description: &'static str,
    #[serde(flatten)]
    standing: Standing,
}

impl Command for QueryAccelerators {
    const NAME: &'static str = "query-accelerators";
    type Arguments = Nothing;
    type Returns = Accelerators;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Accelerators, CommandError> {
        let class = <dyn Accelerator as ClassType>::INFO.name;
        let present = named(context, class, accelerator::TYPE_SUFFIX)
            .map(|(name, class)| AcceleratorKind {
                name,
                description: class.info().description,
                standing: Standing::of(class),
            })
            .collect();
        Ok(Accelerators { enabled: enabled(context), present })
    }
}

register_command!(QueryAccelerators);

/// `query-kvm`.
struct QueryKvm;

/// Whether KVM is used.
#[derive(Serialize, JsonSchema)]
struct KvmInfo {
    /// Whether it runs this machine's processors.
    enabled: bool,
    /// Whether the program has it.
    present: bool,
}

impl Command for QueryKvm {
    const NAME: &'static str = "query-kvm";
    type Arguments = Nothing;
    type Returns = KvmInfo;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<KvmInfo, CommandError> {
        let is_kvm = |name: &str| KVM.strip_suffix(accelerator::TYPE_SUFFIX) == Some(name);
        let present = context.tree().registry().class(KVM).is_some();
        Ok(KvmInfo { enabled: enabled(context).is_some_and(is_kvm), present })
    }
}

register_command!(QueryKvm);

/// `query-cpu-definitions`.
struct QueryCpuDefinitions;

/// A model of processors.
#[derive(Serialize, JsonSchema)]
struct CpuDefinition {
    /// Its name.
    name: &'static str,
    /// Its type.
    typename: &'static str,
    /// What it is.
    description: &'static str,
    /// Whether it is the same whatever the machine.
    #[serde(rename = "static")]
    is_static: bool,
    #[serde(flatten)]
    standing: Standing,
}

impl Command for QueryCpuDefinitions {
    const NAME: &'static str = "query-cpu-definitions";
    type Arguments = Nothing;
    type Returns = Vec<CpuDefinition>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Vec<CpuDefinition>, CommandError> {
        let models = named(context, <dyn Cpu as ClassType>::INFO.name, cpu::TYPE_SUFFIX);
        let definition = |(name, class): (_, &Class)| CpuDefinition {
            name,
            typename: class.name(),
            description: class.info().description,
            is_static: false,
            standing: Standing::of(class),
        };
        Ok(models.map(definition).collect())
    }
}

register_command!(QueryCpuDefinitions);

/// `query-devices`.
struct QueryDevices;

/// A kind of device that users may add.
#[derive(Serialize, JsonSchema)]
struct DeviceKind {
    /// Its type, as `device_add` takes it.
    name: &'static str,
    /// What it is.
    description: &'static str,
    /// The heading under which help lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'static str>,
    /// The kind of bus that it plugs into; none if it needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    bus: Option<&'static str>,
    /// Whether one can be added to a machine that runs.
    hotpluggable: bool,
    #[serde(flatten)]
    standing: Standing,
}

impl Command for QueryDevices {
    const NAME: &'static str = "query-devices";
    type Arguments = Nothing;
    type Returns = Vec<DeviceKind>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Vec<DeviceKind>, CommandError> {
        let compat = context.compat();
        let devices = device::all_pluggable(context.tree().registry())
            .filter(|(class, _)| !compat.hides(class.info().features()));
        let kinds = devices.map(|(class, plug)| DeviceKind {
            name: class.name(),
            description: class.info().description,
            category: class.category(),
            bus: plug.bus,
            hotpluggable: plug.hotpluggable,
            standing: Standing::of(class),
        });
        Ok(kinds.collect())
    }
}

register_command!(QueryDevices);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::Bench;

    fn entry(list: &Value, name: &str) -> Value {
        let list = list.as_array().expect("a list");
        let found = list.iter().find(|entry| entry["name"] == *name);
        found.unwrap_or_else(|| panic!("no {name} in {list:?}")).clone()
    }

    #[test]
    fn machines_tell_what_they_are_and_how_they_stand() {
        let machines = Bench::new().ok("query-machines", json!({}));
        let microvm = entry(&machines, "microvm");
        assert_eq!(microvm["is-default"], true);
        assert_eq!(microvm["cpu-max"], 255);
        assert_eq!(microvm["default-cpu-type"], "host-x86_64-cpu");
        assert_eq!(microvm["security"], "secure");
        assert_eq!(microvm["secure"], true);
        assert_eq!(microvm["boundaries"], json!(["guest"]));
        assert_eq!(microvm["deprecated"], false);
        let stated_by = microvm["stated-by"].as_str().expect("somebody states it");
        assert!(stated_by.starts_with("vmm "), "{stated_by}");
        let none = entry(&machines, "none");
        assert_eq!(none.get("is-default"), None);
        assert_eq!(none.get("compat-props"), None);
        // One that is looked at; and only users say of which type.
        assert_eq!((&none["cpu-max"], none.get("default-cpu-type")), (&json!(1), None));
        let with = Bench::new().ok("query-machines", json!({"compat-props": true}));
        assert_eq!(entry(&with, "none")["compat-props"], json!([]));
    }

    #[test]
    fn a_machine_without_an_accelerator_has_none_enabled() {
        let bench = Bench::new();
        let accelerators = bench.ok("query-accelerators", json!({}));
        assert_eq!(accelerators.get("enabled"), None);
        assert_eq!(entry(&accelerators["present"], "kvm")["security"], "secure");
        assert_eq!(bench.ok("query-kvm", json!({})), json!({"enabled": false, "present": true}));
    }

    #[test]
    fn processors_and_devices_tell_how_they_stand() {
        let bench = Bench::new();
        let host = entry(&bench.ok("query-cpu-definitions", json!({})), "host");
        assert_eq!(host["typename"], "host-x86_64-cpu");
        assert_eq!(host["security"], "secure");
        let devices = bench.ok("query-devices", json!({}));
        let card = entry(&devices, "test-leaky-card");
        assert_eq!(card["security"], "insecure");
        assert_eq!(card["reason"], "it leaks");
        assert_eq!(card["hotpluggable"], true);
        assert_eq!(card.get("secure"), None);
        let isa = entry(&devices, "isa-test");
        assert_eq!((&isa["bus"], &isa["hotpluggable"]), (&json!("ISA"), &json!(false)));
        let names = devices.as_array().expect("a list");
        assert!(names.iter().all(|device| device["name"] != "test-sink"), "only boards make it");
    }
}
