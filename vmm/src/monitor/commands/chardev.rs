//! Character devices: `query-chardev`, `chardev-add`, `chardev-remove`.

mod backend;

use device_model::{
    chardev::Chardev,
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::{Obj, Origin, RemoveError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use self::backend::Backend;
use super::{
    arguments::{check_id, child},
    prepared::Prepared,
};
use crate::creation::chardev::{self, CHARDEVS};

/// Before the path of a pseudo-terminal, where its stream says where the host's end is.
const PTY: &str = "pty:";

/// `query-chardev`.
struct QueryChardev;

/// A character device.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct ChardevInfo {
    /// What it is called.
    label: String,
    /// Where the host's end is.
    filename: String,
    /// Whether something here reads from it.
    frontend_open: bool,
}

impl Command for QueryChardev {
    const NAME: &'static str = "query-chardev";
    type Arguments = Nothing;
    type Returns = Vec<ChardevInfo>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Vec<ChardevInfo>, CommandError> {
        let container = context.tree().root().child(CHARDEVS.trim_start_matches('/'));
        let chardevs = container.map(|container| container.children()).unwrap_or_default();
        let info = |(label, object): (String, Obj)| {
            let filename = object.cast::<dyn Chardev>()?.filename();
            let frontend_open = context.platform().reader(&object).is_some();
            Some(ChardevInfo { label, filename, frontend_open })
        };
        Ok(chardevs.into_iter().filter_map(info).collect())
    }
}

register_command!(QueryChardev);

/// `chardev-add`.
struct ChardevAdd;

/// What to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChardevAddArguments {
    /// What it is to be called.
    id: String,
    /// What it leads to.
    backend: Backend,
}

/// What was made.
#[derive(Serialize, JsonSchema)]
struct ChardevAdded {
    /// Path of the pseudo-terminal, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pty: Option<String>,
}

/// What is to be made of what a client gives.
pub(super) fn prepare(
    context: &CommandContext<'_>,
    id: &str,
    backend: Backend,
    origin: Origin,
) -> Result<Prepared, CommandError> {
    let Backend { type_name, data } = backend;
    let registry = context.tree().registry();
    let class =
        chardev::backend(registry, &type_name).map_err(|error| CommandError::caused(&error))?;
    check_id(id)?;
    let properties = chardev::properties(registry, class, "backend.data", data)
        .map_err(|error| CommandError::caused(&error))?;
    Prepared::new(context, class, chardev::with_id(&type_name, id).from(origin), properties)
}

impl Command for ChardevAdd {
    const NAME: &'static str = "chardev-add";
    type Arguments = ChardevAddArguments;
    type Returns = ChardevAdded;

    fn run(
        context: &CommandContext<'_>,
        arguments: ChardevAddArguments,
    ) -> Result<ChardevAdded, CommandError> {
        let ChardevAddArguments { id, backend } = arguments;
        let origin = Origin::new(format!("chardev-add {},id={id}", backend.type_name));
        let prepared = prepare(context, &id, backend, origin)?;
        if child(context.tree().root(), CHARDEVS, &id).is_some() {
            return Err(CommandError::generic(format!("Chardev with id '{id}' already exists")));
        }
        let created = prepared.create(context)?;
        let pty = created
            .objects
            .iter()
            .filter_map(|object| object.cast::<dyn Chardev>())
            .find_map(|stream| stream.filename().strip_prefix(PTY).map(str::to_owned));
        Ok(ChardevAdded { pty })
    }
}

register_command!(ChardevAdd);

/// `chardev-remove`.
struct ChardevRemove;

/// What to take away.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChardevRemoveArguments {
    /// What it is called.
    id: String,
}

impl Command for ChardevRemove {
    const NAME: &'static str = "chardev-remove";
    type Arguments = ChardevRemoveArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: ChardevRemoveArguments,
    ) -> Result<Nothing, CommandError> {
        let id = arguments.id;
        let object = child(context.tree().root(), CHARDEVS, &id)
            .ok_or_else(|| CommandError::generic(format!("Chardev '{id}' not found")))?;
        match context.vm().remove(&object) {
            Ok(()) => Ok(Nothing {}),
            Err(RemoveError::InUse { user, .. }) => {
                Err(CommandError::generic(format!("Chardev '{id}' is busy: '{user}' uses it")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

register_command!(ChardevRemove);

#[cfg(test)]
mod tests {
    use device_model::monitor::ErrorClass::GenericError;
    use serde_json::json;

    use super::super::testing::Bench;

    #[test]
    fn a_character_device_is_made_used_and_removed() {
        let bench = Bench::running();
        let before = bench.machine.paths();
        let file = json!({"type": "file", "data": {"out": "/log", "append": true}});
        assert_eq!(bench.ok("chardev-add", json!({"id": "f0", "backend": file})), json!({}));
        let get = |property: &str| {
            bench.ok("qom-get", json!({"path": "/chardevs/f0", "property": property}))
        };
        assert_eq!((get("path"), get("append")), (json!("/log"), json!(true)));
        let idle = json!([{"label": "f0", "filename": "file", "frontend-open": false}]);
        assert_eq!(bench.ok("query-chardev", json!({})), idle);
        bench.ok(
            "device_add",
            json!({"driver": "test-card", "id": "c0", "chardev": "/chardevs/f0"}),
        );
        let read = json!([{"label": "f0", "filename": "file", "frontend-open": true}]);
        assert_eq!(bench.ok("query-chardev", json!({})), read);
        let text = "Chardev 'f0' is busy: '/machine/peripheral/c0' uses it";
        bench.refuses("chardev-remove", &json!({"id": "f0"}), GenericError, text);
        bench.ok("device_del", json!({"id": "c0"}));
        bench.ok("chardev-remove", json!({"id": "f0"}));
        assert_eq!(bench.ok("query-chardev", json!({})), json!([]));
        assert!(
            bench
                .machine
                .paths()
                .iter()
                .all(|path| { before.contains(path) || path == "/chardevs" })
        );
    }

    #[test]
    fn a_pseudo_terminal_tells_its_path() {
        let bench = Bench::new();
        let pty = json!({"id": "p0", "backend": {"type": "pty", "data": {}}});
        assert_eq!(bench.ok("chardev-add", pty), json!({"pty": "/dev/pts/7"}));
    }

    #[test]
    fn what_is_wrong_with_a_character_device_is_told_and_leaves_nothing() {
        let bench = Bench::new();
        let file = |id: &str, data| json!({"id": id, "backend": {"type": "file", "data": data}});
        bench.ok("chardev-add", file("there", json!({"out": "/log"})));
        for (arguments, text) in [
            (file("there", json!({"out": "/log"})), "Chardev with id 'there' already exists"),
            (
                file("0", json!({"out": "/log"})),
                "Parameter 'id' is invalid: id: expected a letter, then letters, digits, '-', '.' \
                 or '_' (at most 127), given '0'",
            ),
            (
                json!({"id": "new", "backend": {"type": "ringbuf", "data": {}}}),
                "Parameter 'backend.type' does not accept value 'ringbuf'",
            ),
            (
                file("new", json!({"out": "/log", "logfile": "/l"})),
                "Parameter 'backend.data.logfile' is unexpected",
            ),
            (
                json!({"id": "new", "backend": {"type": "warp", "data": {}}}),
                "Parameter 'backend.type' does not accept value 'warp'",
            ),
            (
                file("new", json!({"out": "/log", "colour": 1})),
                "Parameter 'backend.data.colour' is unexpected",
            ),
            (file("new", json!({})), "Parameter 'backend.data.out' is missing"),
        ] {
            bench.refuses("chardev-add", &arguments, GenericError, text);
        }
        let text = "Chardev 'f0' not found";
        bench.refuses("chardev-remove", &json!({"id": "f0"}), GenericError, text);
    }
}
