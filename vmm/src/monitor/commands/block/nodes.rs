//! Nodes that come and go: `blockdev-add`, `blockdev-del`.

use device_model::{
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::{Given, Origin, RemoveError},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{super::arguments::Properties, find};
use crate::creation::block::{BLOCKDEVS, Definition, NodeNames, Place};

/// `blockdev-add`.
struct BlockdevAdd;

/// What to make.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct BlockdevAddArguments {
    /// Its driver.
    driver: String,
    /// What it is to be called.
    #[serde(default)]
    node_name: Option<String>,
    /// How it is to be, as its driver takes it.
    #[serde(flatten)]
    options: Properties,
}

impl Command for BlockdevAdd {
    const NAME: &'static str = "blockdev-add";
    type Arguments = BlockdevAddArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: BlockdevAddArguments,
    ) -> Result<Nothing, CommandError> {
        let BlockdevAddArguments { driver, node_name, options } = arguments;
        let shown = node_name.as_ref().map(|name| format!(",node-name={name}"));
        let origin = Origin::new(format!("blockdev-add {driver}{}", shown.unwrap_or_default()));
        let named = node_name.map(|name| ("node-name".to_owned(), Given::Text(name)));
        let entries: Vec<_> = std::iter::once(("driver".to_owned(), Given::Text(driver)))
            .chain(named)
            .chain(options.into_iter().map(|(key, value)| (key, Given::Json(value))))
            .collect();
        let tree = context.tree();
        let place = Place { registry: tree.registry(), names: &mut NodeNames::of(tree) };
        let (request, _) = Definition::new(&entries)
            .and_then(|definition| definition.request(place, |_| origin.clone()))
            .map_err(|error| CommandError::caused(&error))?;
        context.vm().create(vec![request.from(origin.clone())])?;
        Ok(Nothing {})
    }
}

register_command!(BlockdevAdd);

/// `blockdev-del`.
struct BlockdevDel;

/// What to take away.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BlockdevDelArguments {
    /// What it is called.
    node_name: String,
}

impl Command for BlockdevDel {
    const NAME: &'static str = "blockdev-del";
    type Arguments = BlockdevDelArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: BlockdevDelArguments,
    ) -> Result<Nothing, CommandError> {
        let name = arguments.node_name;
        let object = find(context.tree(), &name).ok_or_else(|| {
            CommandError::generic(format!("Failed to find node with node-name='{name}'"))
        })?;
        let stands_alone = object.parent().and_then(|parent| parent.path());
        if stands_alone.is_none_or(|path| path != BLOCKDEVS) {
            let text = format!("Node {name} is not owned by the monitor");
            return Err(CommandError::generic(text));
        }
        match context.vm().remove(&object) {
            Ok(()) => Ok(Nothing {}),
            Err(RemoveError::InUse { user, .. }) => {
                Err(CommandError::generic(format!("Node '{name}' is busy: '{user}' uses it")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

register_command!(BlockdevDel);

#[cfg(test)]
mod tests;
