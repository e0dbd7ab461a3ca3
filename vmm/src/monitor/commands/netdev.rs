//! Network backends: `netdev_add`, `netdev_del`.

use device_model::{
    monitor::{Command, CommandContext, CommandError, ErrorClass, Nothing, register_command},
    qom_core::{Given, Origin, RemoveError},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    arguments::{Properties, check_id, child},
    prepared::Prepared,
};
use crate::creation::netdev::{self, NETDEVS};

/// `netdev_add`.
struct NetdevAdd;

/// What to make.
#[derive(Deserialize, JsonSchema)]
struct NetdevAddArguments {
    /// What it leads to.
    #[serde(rename = "type")]
    type_name: String,
    /// What it is to be called.
    id: String,
    /// Its properties.
    #[serde(flatten)]
    properties: Properties,
}

/// Makes one.
pub(in crate::monitor) fn add(
    context: &CommandContext<'_>,
    name: &str,
    id: &str,
    given: impl IntoIterator<Item = (String, Given)>,
) -> Result<(), CommandError> {
    let origin = Origin::new(format!("netdev_add {name},id={id}"));
    let prepared = prepare(context, name, id, given, origin)?;
    if child(context.tree().root(), NETDEVS, id).is_some() {
        return Err(CommandError::generic(format!("Duplicate netdev ID '{id}'")));
    }
    prepared.create(context).map(drop)
}

/// What is to be made of what a client gives.
pub(super) fn prepare(
    context: &CommandContext<'_>,
    name: &str,
    id: &str,
    given: impl IntoIterator<Item = (String, Given)>,
    origin: Origin,
) -> Result<Prepared, CommandError> {
    let class = netdev::backend(context.tree().registry(), name)
        .map_err(|error| CommandError::caused(&error))?;
    check_id(id)?;
    let properties = netdev::properties(class, given);
    Prepared::new(context, class, netdev::with_id(name, id).from(origin), properties)
}

/// Removes one.
pub(in crate::monitor) fn delete(
    context: &CommandContext<'_>,
    id: &str,
) -> Result<(), CommandError> {
    let object = child(context.tree().root(), NETDEVS, id).ok_or_else(|| {
        CommandError::new(ErrorClass::DeviceNotFound, format!("Device '{id}' not found"))
    })?;
    match context.vm().remove(&object) {
        Ok(()) => Ok(()),
        Err(RemoveError::InUse { user, .. }) => {
            Err(CommandError::generic(format!("Netdev '{id}' is busy: '{user}' uses it")))
        }
        Err(error) => Err(error.into()),
    }
}

impl Command for NetdevAdd {
    const NAME: &'static str = "netdev_add";
    type Arguments = NetdevAddArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: NetdevAddArguments,
    ) -> Result<Nothing, CommandError> {
        let NetdevAddArguments { type_name, id, properties } = arguments;
        let given = properties.into_iter().map(|(name, value)| (name, Given::Json(value)));
        add(context, &type_name, &id, given).map(|()| Nothing {})
    }
}

register_command!(NetdevAdd);

/// `netdev_del`.
struct NetdevDel;

/// What to remove.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NetdevDelArguments {
    /// What it is called.
    id: String,
}

impl Command for NetdevDel {
    const NAME: &'static str = "netdev_del";
    type Arguments = NetdevDelArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: NetdevDelArguments,
    ) -> Result<Nothing, CommandError> {
        delete(context, &arguments.id).map(|()| Nothing {})
    }
}

register_command!(NetdevDel);

#[cfg(test)]
mod tests {
    use device_model::monitor::ErrorClass::{DeviceNotFound, GenericError};
    use serde_json::json;

    use super::super::testing::{Bench, accept_all};

    #[test]
    fn a_network_is_made_used_and_removed() {
        let bench = Bench::running();
        let before = bench.machine.paths();
        let leads = json!({"host": "here", "depth": {"most": 3}});
        let arguments = json!({"type": "test-cable", "id": "n0", "to": leads});
        assert_eq!(bench.ok("netdev_add", arguments), json!({}));
        let get = |property: &str| {
            bench.ok("qom-get", json!({"path": "/netdevs/n0", "property": property}))
        };
        assert_eq!((get("to.host"), get("to.depth.most")), (json!("here"), json!(3)));
        bench.ok("device_add", json!({"driver": "test-nic-card", "id": "c0", "netdev": "n0"}));
        let text = "Netdev 'n0' is busy: '/machine/peripheral/c0' uses it";
        bench.refuses("netdev_del", &json!({"id": "n0"}), GenericError, text);
        bench.ok("device_del", json!({"id": "c0"}));
        bench.ok("netdev_del", json!({"id": "n0"}));
        let mut after = bench.machine.paths();
        after.retain(|path| path != "/netdevs");
        assert_eq!(after, before);
    }

    #[test]
    fn what_is_wrong_with_a_network_is_told_and_leaves_nothing() {
        let bench = Bench::new();
        bench.ok("netdev_add", json!({"type": "test-cable", "id": "there"}));
        let cable = |id: &str| json!({"type": "test-cable", "id": id});
        let with = |key: &str, value: serde_json::Value| {
            let mut arguments = cable("new");
            arguments[key] = value;
            arguments
        };
        for (arguments, text) in [
            (json!({"id": "new"}), "Parameter 'type' is missing"),
            (json!({"type": "test-cable"}), "Parameter 'id' is missing"),
            (with("type", "warp".into()), "Parameter 'type' does not accept value 'warp'"),
            (cable("there"), "Duplicate netdev ID 'there'"),
            (with("colour", 3.into()), "Property 'netdev-test-cable.colour' not found"),
            (with("to", json!({"colour": 3})), "Property 'netdev-test-cable.to.colour' not found"),
            (with("fails", true.into()), "the cable was told to fail"),
            (
                cable("a/b"),
                "Parameter 'id' is invalid: id: expected a letter, then letters, digits, '-', '.' \
                 or '_' (at most 127), given 'a/b'",
            ),
        ] {
            bench.refuses("netdev_add", &arguments, GenericError, text);
        }
        bench.ok("netdev_add", cable("new"));
        let missing = json!({"id": "nope"});
        bench.refuses("netdev_del", &missing, DeviceNotFound, "Device 'nope' not found");
    }

    #[test]
    fn descriptors_are_named_or_numbered() {
        let bench = Bench::new();
        let (descriptor, _other) = std::io::pipe().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
        bench.machine.platform.descriptors().name("mine", descriptor.into()).unwrap();
        for (id, given) in [("n0", "mine".to_owned()), ("n1", number.to_string())] {
            bench.ok("netdev_add", json!({"type": "test-cable", "id": id, "fd": given}));
            let path = format!("/netdevs/{id}");
            let seen = bench.ok("qom-get", json!({"path": path, "property": "fd"}));
            assert_eq!(seen, json!(number));
        }
        let unknown = json!({"type": "test-cable", "id": "n2", "fd": "theirs"});
        let error = bench.run("netdev_add", unknown).unwrap_err();
        assert!(error.to_string().contains("'theirs'"), "{error}");
    }

    #[test]
    fn the_policy_holds_for_networks() {
        let arguments = json!({"type": "test-leaky-cable", "id": "n0"});
        let text = "Type 'netdev-test-leaky-cable' is declared as insecure";
        Bench::new().refuses("netdev_add", &arguments, GenericError, text);
        let would_be = json!({"kind": "netdev", "type": "test-leaky-cable", "id": "n0"});
        let verdicts = Bench::new().ok("check-security", json!({"objects": [would_be]}));
        assert_eq!((&verdicts["holds"], &verdicts["invalid"]), (&json!(false), &json!([])));
        assert_eq!(verdicts["objects"][1]["path"], "/netdevs/n0");
        let bench = Bench::with_policy(accept_all());
        bench.ok("netdev_add", arguments);
        let event = &bench.events()[0];
        assert_eq!(event["event"], "SECURITY_TAINTED");
        assert_eq!(event["data"]["path"], "/netdevs/n0");
    }

    #[test]
    fn people_make_and_remove_networks_too() {
        let bench = Bench::new();
        let says = |line: &str| {
            let answer = bench.ok("human-monitor-command", json!({"command-line": line}));
            answer.as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(says("netdev_add test-cable,id=n0,to.host=here"), "");
        let shown = says("info network");
        assert!(shown.starts_with("n0: type=test-cable,link=up,cable\r\n"), "{shown}");
        assert!(shown.contains("sent 0 frames, 0 bytes, 0 dropped"), "{shown}");
        assert_eq!(says("netdev_add test-cable,id=n0"), "Error: Duplicate netdev ID 'n0'\r\n");
        assert_eq!(says("netdev_add test-cable"), "Error: Parameter 'id' is missing\r\n");
        assert_eq!(says("netdev_add id=n0"), "Error: Parameter 'type' is missing\r\n");
        assert_eq!(says("netdev_del n0"), "");
        assert_eq!(says("netdev_del n0"), "Error: Device 'n0' not found\r\n");
        assert_eq!(says("info network"), "");
    }
}
