//! Block nodes: making and removing them, and what is known of them.

mod info;
mod nodes;
mod query;
mod resize;
mod statistics;

use device_model::{
    block::BlockNode,
    monitor::CommandError,
    qom_core::{Obj, Tree},
};

/// The node of that name.
fn find(tree: &Tree, name: &str) -> Option<Obj> {
    let named =
        |object: &Obj| object.cast::<dyn BlockNode>().is_some_and(|node| node.node_name() == name);
    tree.walk().into_iter().find(named)
}

/// The name of a node.
fn node_name(node: &Obj) -> String {
    node.cast::<dyn BlockNode>().map(|node| node.node_name()).unwrap_or_default()
}

/// The node that a command means by the name of a device, by its own, or by both.
fn meant(
    context: &device_model::monitor::CommandContext<'_>,
    device: Option<&str>,
    node_name: Option<&str>,
) -> Result<Obj, CommandError> {
    let (device, node_name) = (device.unwrap_or_default(), node_name.unwrap_or_default());
    let behind = |device: &str| {
        let uses = context.platform().block_users().devices();
        let called = |user: &Obj| {
            let path = user.path().unwrap_or_default();
            path == device || path.rsplit_once('/').is_some_and(|(_, name)| name == device)
        };
        uses.into_iter().find(|there| called(&there.user)).map(|there| there.node)
    };
    let found = match (device, node_name) {
        ("", "") => None,
        // A drive without a device is known by its node alone.
        (device, "") => behind(device).or_else(|| find(context.tree(), device)),
        (_, node_name) => find(context.tree(), node_name),
    };
    found.ok_or_else(|| {
        CommandError::generic(format!("Cannot find device='{device}' nor node-name='{node_name}'"))
    })
}
