//! Devices that come and go: `device_add`, `device_del`.

use device_model::{
    control::RunState,
    device::{Device, Plug},
    monitor::{
        Command, CommandContext, CommandError, ErrorClass, Event, Nothing, register_command,
        register_event,
    },
    qom_core::{Given, Obj, Origin},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    arguments::{Properties, check_id, child, given},
    prepared::Prepared,
};
use crate::{creation::device, machine::MACHINE};

/// `device_add`.
struct DeviceAdd;

/// What to add.
#[derive(Deserialize, JsonSchema)]
struct DeviceAddArguments {
    /// Its type.
    driver: String,
    /// Name of the bus that it is to stand on.
    #[serde(default)]
    bus: Option<String>,
    /// What it is to be called.
    #[serde(default)]
    id: Option<String>,
    /// Its properties.
    #[serde(flatten)]
    properties: Properties,
}

/// Checks that a device of this plug can be added or taken in the state in which the machine is, from
/// that bus if it is known.
fn check_hotplug(
    context: &CommandContext<'_>,
    what: &str,
    plug: &Plug,
    bus: Option<String>,
) -> Result<(), CommandError> {
    if plug.hotpluggable || context.vm().run_state() == RunState::Prelaunch {
        return Ok(());
    }
    let first = |kind| {
        let machine = context.tree().resolve(MACHINE).ok()?;
        device::first_bus(machine.class(), kind)
    };
    let what = match bus.or_else(|| plug.bus.and_then(first)) {
        Some(bus) => format!("Bus '{bus}'"),
        None => format!("Device '{what}'"),
    };
    Err(CommandError::generic(format!("{what} does not support hotplugging")))
}

/// A device that is asked for, by a program or by a person.
pub(in crate::monitor) struct NewDevice {
    /// Its type.
    pub(in crate::monitor) driver: String,
    /// Name of the bus that it is to stand on.
    pub(in crate::monitor) bus: Option<String>,
    /// What it is to be called.
    pub(in crate::monitor) id: Option<String>,
    /// Its properties.
    pub(in crate::monitor) properties: Vec<(String, Given)>,
}

impl NewDevice {
    /// Adds it.
    ///
    /// # Errors
    /// If it can't be, or the policy refuses it.
    pub(in crate::monitor) fn add(self, context: &CommandContext<'_>) -> Result<(), CommandError> {
        let Self { driver, bus, id, properties } = self;
        let tree = context.tree();
        let (class, plug) = device::pluggable(tree.registry(), &driver)
            .map_err(|error| CommandError::caused(&error))?;
        // What the policy refuses is told as such, whatever else is wrong.
        if tree.permit(&driver).is_ok() {
            let machine = tree.resolve(MACHINE)?;
            device::check_bus(machine.class(), &driver, plug, bus.as_deref())
                .map_err(|error| CommandError::caused(&error))?;
            check_hotplug(context, &driver, plug, bus.clone())?;
        }
        let request = match &id {
            Some(id) => {
                check_id(id)?;
                if child(tree.root(), device::PERIPHERAL, id).is_some() {
                    return Err(CommandError::generic(format!("Duplicate device ID '{id}'")));
                }
                device::with_id(&driver, id)
            }
            None => device::without_id(&driver),
        };
        let id = id.map(|id| format!(",id={id}")).unwrap_or_default();
        let request = request.from(Origin::new(format!("device_add {driver}{id}")));
        let request = device::on_bus(request, class, bus);
        Prepared::new(context, class, request, properties)?.create(context).map(drop)
    }
}

impl Command for DeviceAdd {
    const NAME: &'static str = "device_add";
    type Arguments = DeviceAddArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: DeviceAddArguments,
    ) -> Result<Nothing, CommandError> {
        let DeviceAddArguments { driver, bus, id, properties } = arguments;
        NewDevice { driver, bus, id, properties: given(properties) }.add(context)?;
        Ok(Nothing {})
    }
}

register_command!(DeviceAdd);

/// A device has gone.
#[derive(Debug, Serialize, JsonSchema)]
struct DeviceDeleted {
    /// Its id, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// Where it stood.
    path: String,
}

impl Event for DeviceDeleted {
    const NAME: &'static str = "DEVICE_DELETED";
    const CAUSED_BY_GUEST: bool = false;
}

register_event!(DeviceDeleted);

impl DeviceDeleted {
    fn of(device: &Obj) -> Option<Self> {
        let path = device.path()?;
        let (container, name) = path.rsplit_once('/')?;
        let device = (container == device::PERIPHERAL).then(|| name.to_owned());
        Some(Self { device, path })
    }
}

/// A device and those that it holds, those first.
fn devices_of(object: &Obj) -> Vec<Obj> {
    let mut found = Vec::new();
    let mut open = vec![object.clone()];
    while let Some(object) = open.pop() {
        open.extend(object.children().into_iter().map(|(_, child)| child));
        if object.is::<dyn Device>() {
            found.push(object);
        }
    }
    found.reverse();
    found
}

/// `device_del`.
struct DeviceDel;

/// What to take away.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeviceDelArguments {
    /// The device's id or its path.
    id: String,
}

/// Takes a device away, and tells of it.
///
/// # Errors
/// If there is none of that id or path, or it can't go.
pub(in crate::monitor) fn delete(
    context: &CommandContext<'_>,
    id: &str,
) -> Result<(), CommandError> {
    let found = match id.starts_with('/') {
        true => context.tree().resolve(id).ok(),
        false => child(context.tree().root(), device::PERIPHERAL, id),
    };
    let Some(object) = found else {
        let text = format!("Device '{id}' not found");
        return Err(CommandError::new(ErrorClass::DeviceNotFound, text));
    };
    let plug = object.class().data::<Plug>().filter(|_| object.is::<dyn Device>());
    let Some(plug) = plug else {
        return Err(CommandError::generic(format!("{id} is not a hotpluggable device")));
    };
    // What a board or another device made goes with that, or not at all.
    if object.is_requested() {
        let buses = context.platform().virtio_buses();
        let stands = |device: &Option<Obj>| device.as_ref().is_some_and(|it| it.same(&object));
        let bus = buses.into_iter().find(|(_, device)| stands(device)).map(|(bus, _)| bus);
        check_hotplug(context, id, plug, bus)?;
    }
    let gone: Vec<_> = devices_of(&object).iter().filter_map(DeviceDeleted::of).collect();
    context.vm().remove(&object)?;
    for device in &gone {
        context.platform().announce(device);
    }
    Ok(())
}

impl Command for DeviceDel {
    const NAME: &'static str = "device_del";
    type Arguments = DeviceDelArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: DeviceDelArguments,
    ) -> Result<Nothing, CommandError> {
        delete(context, &arguments.id)?;
        Ok(Nothing {})
    }
}

register_command!(DeviceDel);

#[cfg(test)]
mod tests {
    use device_model::{
        control::{Order, VmControl},
        monitor::ErrorClass::{DeviceNotFound, GenericError},
    };
    use serde_json::json;

    use super::super::testing::{Bench, accept_all};

    #[test]
    fn a_device_is_added_to_a_running_machine_and_taken_away() {
        let bench = Bench::running();
        let before = bench.machine.paths();
        bench.ok("device_add", json!({"driver": "test-card", "id": "c0", "room": 7}));
        let room = json!({"path": "/machine/peripheral/c0", "property": "room"});
        assert_eq!(bench.ok("qom-get", room), json!(7));
        assert_eq!(bench.ok("device_del", json!({"id": "c0"})), json!({}));
        let chip = json!({
            "event": "DEVICE_DELETED",
            "data": {"path": "/machine/peripheral/c0/chip"},
        });
        let card = json!({
            "event": "DEVICE_DELETED",
            "data": {"device": "c0", "path": "/machine/peripheral/c0"},
        });
        assert_eq!(bench.events(), [chip, card], "parts first");
        assert_eq!(bench.machine.paths(), before);
    }

    #[test]
    fn a_device_without_an_id_is_deleted_by_its_path() {
        let bench = Bench::running();
        bench.ok("device_add", json!({"driver": "test-card"}));
        bench.ok("device_add", json!({"driver": "test-card"}));
        let cards: Vec<_> = bench
            .machine
            .paths()
            .into_iter()
            .filter(|path| {
                path.starts_with("/machine/peripheral-anon/device[") && path.ends_with(']')
            })
            .collect();
        assert_eq!(cards.len(), 2);
        bench.ok("device_del", json!({"id": cards[0]}));
        let deleted = json!({"event": "DEVICE_DELETED", "data": {"path": cards[0]}});
        assert_eq!(bench.events().last(), Some(&deleted));
        let text = format!("Device '{}' not found", cards[0]);
        bench.refuses("device_del", &json!({"id": cards[0]}), DeviceNotFound, &text);
    }

    #[test]
    fn what_is_wrong_with_a_device_is_told_and_leaves_nothing() {
        let bench = Bench::running();
        bench.ok("device_add", json!({"driver": "test-card", "id": "there"}));
        for (arguments, text) in [
            (json!({"id": "new"}), "Parameter 'driver' is missing"),
            (json!({"driver": "warp"}), "'warp' is not a valid device model name"),
            (json!({"driver": "machine"}), "'machine' is not a valid device model name"),
            (
                json!({"driver": "isa-device"}),
                "Parameter 'driver' expects a non-abstract device type",
            ),
            (json!({"driver": "test-sink"}), "Parameter 'driver' expects a pluggable device type"),
            (json!({"driver": "test-card", "bus": "pci.0"}), "Bus 'pci.0' not found"),
            (
                json!({"driver": "test-card", "bus": "isa.0"}),
                "Device 'test-card' can't go on ISA bus",
            ),
            (json!({"driver": "isa-test"}), "Bus 'isa.0' does not support hotplugging"),
            (
                json!({"driver": "isa-test", "bus": "isa.0"}),
                "Bus 'isa.0' does not support hotplugging",
            ),
            (
                json!({"driver": "test-soldered"}),
                "Device 'test-soldered' does not support hotplugging",
            ),
            (json!({"driver": "test-card", "id": "there"}), "Duplicate device ID 'there'"),
            (json!({"driver": "test-card", "colour": 1}), "Property 'test-card.colour' not found"),
            (
                json!({"driver": "test-card", "room": "4"}),
                "Parameter 'room' expects an integer from 0 to 255, got '\"4\"'",
            ),
            (
                json!({"driver": "test-card", "id": "-"}),
                "Parameter 'id' is invalid: id: expected a letter, then letters, digits, '-', '.' \
                 or '_' (at most 127), given '-'",
            ),
            (
                json!({"driver": "test-card", "backend": "/objects/none"}),
                "Parameter 'backend' refers to '/objects/none', which does not exist",
            ),
            (
                json!({"driver": "test-leaky-card"}),
                "Type 'test-leaky-card' is declared as insecure",
            ),
        ] {
            bench.refuses("device_add", &arguments, GenericError, text);
        }
    }

    #[test]
    fn a_machine_that_has_not_started_takes_devices_that_stay() {
        let bench = Bench::new();
        bench.ok("device_add", json!({"driver": "isa-test", "bus": "isa.0", "id": "i0"}));
        bench.machine.order(Order::Continue).expect("it can start");
        let text = "Bus 'isa.0' does not support hotplugging";
        bench.refuses("device_del", &json!({"id": "i0"}), GenericError, text);
    }

    #[test]
    fn only_devices_that_users_added_are_deleted() {
        let bench = Bench::running();
        bench.machine.add("test-controller", "pic", &[]);
        bench.ok("object-add", json!({"qom-type": "test-backend", "id": "b0", "size": 1}));
        for id in ["/objects/b0", "/pic", "/machine"] {
            let text = format!("{id} is not a hotpluggable device");
            bench.refuses("device_del", &json!({"id": id}), GenericError, &text);
        }
        for id in ["b0", "", "/machine/peripheral/none"] {
            let text = format!("Device '{id}' not found");
            bench.refuses("device_del", &json!({"id": id}), DeviceNotFound, &text);
        }
        bench.ok("device_add", json!({"driver": "test-card", "id": "c0"}));
        let part = "/machine/peripheral/c0/chip";
        let text = "'/machine/peripheral/c0/chip' is a part of '/machine/peripheral/c0' and can \
                    only be removed with it";
        bench.refuses("device_del", &json!({"id": part}), GenericError, text);
    }

    #[test]
    fn a_permitted_insecure_device_taints() {
        let bench = Bench::with_policy(accept_all());
        bench.ok("device_add", json!({"driver": "test-leaky-card", "id": "c0"}));
        let names: Vec<_> = bench.events().iter().map(|event| event["event"].clone()).collect();
        assert_eq!(names, ["SECURITY_TAINTED"]);
        let security = bench.ok("query-security", json!({}));
        assert_eq!(security["tainted"], json!(true));
    }
}
