//! `info network`, `netdev_add`, `netdev_del`: network backends.

use std::fmt::Write;

use device_model::{
    monitor::{CommandContext, CommandError},
    netdev::Netdev,
    qom_core::Obj,
};

use super::line_command;
use crate::{
    creation::netdev::{NETDEVS, TYPE_PREFIX, all_given},
    monitor::commands::netdev,
    options::{
        command_line::NETDEV_SYNTAX,
        keyval::{OptionArgs, unquoted},
    },
};

/// Each backend, whom it serves, and what went through it.
fn network(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    let container = context.tree().root().child(NETDEVS.trim_start_matches('/'));
    let backends = container.map(|container| container.children()).unwrap_or_default();
    let mut text = String::new();
    for (id, object) in backends {
        let Some(backend) = object.cast::<dyn Netdev>() else { continue };
        let name = object.class().name();
        let name = name.strip_prefix(TYPE_PREFIX).unwrap_or(name);
        let link = if backend.is_link_up() { "up" } else { "down" };
        // Writing to a string does not fail.
        let _ = write!(text, "{id}: type={name},link={link},{}\r\n", backend.info());
        if let Some(peer) = context.platform().network_peer(&object).as_ref().and_then(Obj::path) {
            let _ = write!(text, " \\ {peer}\r\n");
        }
        let counters = backend.counters();
        let _ = write!(
            text,
            " sent {} frames, {} bytes, {} dropped; received {} frames, {} bytes, {} dropped\r\n",
            counters.sent,
            counters.sent_bytes,
            counters.send_dropped,
            counters.received,
            counters.received_bytes,
            counters.receive_dropped,
        );
    }
    Ok(text)
}

fn netdev_add(context: &CommandContext<'_>, line: &str) -> Result<String, CommandError> {
    let missing = |key: &str| CommandError::generic(format!("Parameter '{key}' is missing"));
    let arguments =
        OptionArgs::parse(line, NETDEV_SYNTAX).map_err(|error| CommandError::caused(&error))?;
    let name = arguments.implied.as_deref().ok_or_else(|| missing("type"))?;
    let id = arguments.get("id").map(unquoted).ok_or_else(|| missing("id"))?;
    netdev::add(context, name, &id, all_given(&arguments)).map(|()| String::new())
}

fn netdev_del(context: &CommandContext<'_>, id: &str) -> Result<String, CommandError> {
    netdev::delete(context, id).map(|()| String::new())
}

line_command!("info network", "", "show the network backends", network);
line_command!("netdev_add", "TYPE,id=ID[,...]", "make a network backend", netdev_add);
line_command!("netdev_del", "ID", "remove a network backend", netdev_del);
