//! Another length for a disk: `block_resize`.

use device_model::{
    block::BlockNode,
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::meant;

/// `block_resize`.
struct BlockResize;

/// What is to have which length.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BlockResizeArguments {
    /// The device.
    #[serde(default)]
    device: Option<String>,
    /// The node behind it.
    #[serde(default)]
    node_name: Option<String>,
    /// Its length, in bytes.
    size: i64,
}

impl Command for BlockResize {
    const NAME: &'static str = "block_resize";
    type Arguments = BlockResizeArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: BlockResizeArguments,
    ) -> Result<Nothing, CommandError> {
        let BlockResizeArguments { device, node_name, size } = arguments;
        let object = meant(context, device.as_deref(), node_name.as_deref())?;
        let size = u64::try_from(size)
            .map_err(|_| CommandError::generic("Parameter 'size' expects a >0 size"))?;
        // The device in front of it is told below; a node under others is theirs to change.
        let users = context.platform().block_users();
        let above = users.of(&object).into_iter().find(|one| one.user.is::<dyn BlockNode>());
        let node = object.cast::<dyn BlockNode>();
        let node = node.ok_or_else(|| CommandError::generic("it is no block node"))?;
        if let Some(above) = above {
            let text = format!(
                "Node '{}' is busy: '{}' uses it",
                node.node_name(),
                above.user.path().unwrap_or_default()
            );
            return Err(CommandError::generic(text));
        }
        if !node.is_writable() {
            return Err(CommandError::generic("Image is read-only"));
        }
        node.resize(size).map_err(|error| CommandError::caused(&error))?;
        users.resized(&object);
        Ok(Nothing {})
    }
}

register_command!(BlockResize);
