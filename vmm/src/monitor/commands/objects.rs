//! Objects that users create by themselves: `object-add`, `object-del`.

use device_model::{
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::{Origin, RemoveError},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    arguments::{Properties, check_id, child, given},
    prepared::Prepared,
};
use crate::creation::object;

/// `object-add`.
struct ObjectAdd;

/// What to create.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct ObjectAddArguments {
    /// Its type.
    qom_type: String,
    /// What it is to be called.
    id: String,
    /// Its properties.
    #[serde(flatten)]
    properties: Properties,
}

impl Command for ObjectAdd {
    const NAME: &'static str = "object-add";
    type Arguments = ObjectAddArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: ObjectAddArguments,
    ) -> Result<Nothing, CommandError> {
        let ObjectAddArguments { qom_type, id, properties } = arguments;
        let origin = Origin::new(format!("object-add {qom_type},id={id}"));
        prepare(context, &qom_type, &id, properties, origin)?.create(context)?;
        Ok(Nothing {})
    }
}

/// What is to be created of what a client gives.
pub(super) fn prepare(
    context: &CommandContext<'_>,
    qom_type: &str,
    id: &str,
    properties: Properties,
    origin: Origin,
) -> Result<Prepared, CommandError> {
    let class = object::creatable(context.tree().registry(), qom_type)
        .map_err(|error| CommandError::caused(&error))?;
    check_id(id)?;
    Prepared::new(context, class, object::with_id(qom_type, id).from(origin), given(properties))
}

register_command!(ObjectAdd);

/// `object-del`.
struct ObjectDel;

/// What to remove.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ObjectDelArguments {
    /// What it is called.
    id: String,
}

impl Command for ObjectDel {
    const NAME: &'static str = "object-del";
    type Arguments = ObjectDelArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: ObjectDelArguments,
    ) -> Result<Nothing, CommandError> {
        let id = arguments.id;
        let object = child(context.tree().root(), object::OBJECTS, &id)
            .ok_or_else(|| CommandError::generic(format!("object '{id}' not found")))?;
        match context.vm().remove(&object) {
            Ok(()) => Ok(Nothing {}),
            Err(RemoveError::InUse { user, .. }) => Err(CommandError::generic(format!(
                "object '{id}' is in use by '{user}', can not be deleted"
            ))),
            Err(error) => Err(error.into()),
        }
    }
}

register_command!(ObjectDel);

#[cfg(test)]
mod tests {
    use device_model::monitor::ErrorClass::GenericError;
    use serde_json::json;

    use super::super::testing::{Bench, accept_all};

    #[test]
    fn an_object_is_added_and_deleted() {
        let bench = Bench::new();
        let before = bench.machine.paths();
        bench.ok("object-add", json!({"qom-type": "test-backend", "id": "b0", "size": 4096}));
        let size = bench.ok("qom-get", json!({"path": "/objects/b0", "property": "size"}));
        assert_eq!(size, json!(4096));
        assert!(bench.backend("b0").is_at_work());
        bench.ok("object-del", json!({"id": "b0"}));
        let mut after = bench.machine.paths();
        after.retain(|path| path != "/objects");
        assert_eq!(after, before);
    }

    #[test]
    fn what_is_wrong_with_an_object_is_told_and_leaves_nothing() {
        let bench = Bench::new();
        bench.ok("object-add", json!({"qom-type": "test-backend", "id": "there", "size": 1}));
        let backend = |id: &str| json!({"qom-type": "test-backend", "id": id, "size": 1});
        let with = |key: &str, value: serde_json::Value| {
            let mut arguments = backend("new");
            arguments[key] = value;
            arguments
        };
        for (arguments, text) in [
            (json!({"qom-type": "test-backend", "id": "new"}), "Parameter 'size' is missing"),
            (json!({"id": "new", "size": 1}), "Parameter 'qom-type' is missing"),
            (json!({"qom-type": "test-backend", "size": 1}), "Parameter 'id' is missing"),
            (with("qom-type", "warp-core".into()), "invalid object type: warp-core"),
            (with("qom-type", "device".into()), "object type 'device' is abstract"),
            (
                with("qom-type", "isa-test".into()),
                "object type 'isa-test' isn't supported by object-add",
            ),
            (
                backend("there"),
                "attempt to add duplicate property 'there' to object (type 'container')",
            ),
            (
                with("size", "big".into()),
                "Parameter 'size' expects an integer from 0 to 18446744073709551615, got '\"big\"'",
            ),
            (with("colour", 3.into()), "Property 'test-backend.colour' not found"),
            (with("fails", true.into()), "the backend was told to fail"),
            (
                backend("a/b"),
                "Parameter 'id' is invalid: id: expected a letter, then letters, digits, '-', '.' \
                 or '_' (at most 127), given 'a/b'",
            ),
        ] {
            bench.refuses("object-add", &arguments, GenericError, text);
        }
        bench.ok("object-add", backend("new"));
    }

    #[test]
    fn an_object_is_not_deleted_that_is_missing_or_in_use() {
        let bench = Bench::new();
        bench.refuses("object-del", &json!({"id": "b0"}), GenericError, "object 'b0' not found");
        bench.ok("object-add", json!({"qom-type": "test-backend", "id": "b0", "size": 1}));
        bench
            .ok("device_add", json!({"driver": "test-card", "id": "c0", "backend": "/objects/b0"}));
        bench.refuses(
            "object-del",
            &json!({"id": "b0"}),
            GenericError,
            "object 'b0' is in use by '/machine/peripheral/c0', can not be deleted",
        );
        bench.ok("device_del", json!({"id": "c0"}));
        bench.ok("object-del", json!({"id": "b0"}));
    }

    #[test]
    fn the_policy_holds_for_objects() {
        let arguments = json!({"qom-type": "test-leaky-backend", "id": "b0"});
        let text = "Type 'test-leaky-backend' is declared as insecure";
        Bench::new().refuses("object-add", &arguments, GenericError, text);
        let bench = Bench::with_policy(accept_all());
        bench.ok("object-add", arguments);
        assert_eq!(
            bench.events(),
            [json!({
                "event": "SECURITY_TAINTED",
                "data": {
                    "path": "/objects/b0",
                    "type": "test-leaky-backend",
                    "status": "insecure",
                    "reason": "it leaks",
                },
            })]
        );
    }
}
