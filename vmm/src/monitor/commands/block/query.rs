//! What there is of nodes: `query-named-block-nodes`, `query-block`.

use device_model::{
    block::BlockNode,
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::Obj,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::info::{self, BlockDeviceInfo};

/// `query-named-block-nodes`.
struct QueryNamedBlockNodes;

/// How much to tell.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QueryNamedBlockNodesArguments {
    /// Whether images below an image are left out. There are none here that would be told of.
    #[serde(default, rename = "flat")]
    _flat: bool,
}

impl Command for QueryNamedBlockNodes {
    const NAME: &'static str = "query-named-block-nodes";
    type Arguments = QueryNamedBlockNodesArguments;
    type Returns = Vec<BlockDeviceInfo>;

    fn run(
        context: &CommandContext<'_>,
        _: QueryNamedBlockNodesArguments,
    ) -> Result<Vec<BlockDeviceInfo>, CommandError> {
        let nodes = context.tree().walk().into_iter().filter(Obj::is::<dyn BlockNode>);
        Ok(nodes.filter_map(|node| info::of(&node)).collect())
    }
}

register_command!(QueryNamedBlockNodes);

/// `query-block`.
struct QueryBlock;

/// A device with a disk behind it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct BlockInfo {
    /// The name of the drive behind it, which has none but its node's.
    device: &'static str,
    /// Path of the device.
    qdev: String,
    /// What kind of disk it is, which QEMU knows of none either.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether it can be taken out.
    removable: bool,
    /// Whether the guest keeps it in.
    locked: bool,
    /// What is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    inserted: Option<BlockDeviceInfo>,
}

impl Command for QueryBlock {
    const NAME: &'static str = "query-block";
    type Arguments = Nothing;
    type Returns = Vec<BlockInfo>;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<Vec<BlockInfo>, CommandError> {
        let devices = context.platform().block_users().devices();
        let info = devices.into_iter().map(|one| BlockInfo {
            device: "",
            qdev: one.user.path().unwrap_or_default(),
            kind: "unknown",
            removable: false,
            locked: false,
            inserted: info::of(&one.node),
        });
        Ok(info.collect())
    }
}

register_command!(QueryBlock);
