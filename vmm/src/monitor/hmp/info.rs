//! `info …`: what there is and how it is.

use std::fmt::Write;

use device_model::{
    control::RunState,
    device::{Device, Plug},
    monitor::{CommandContext, CommandError},
    qom_core::{Obj, SecurityStatus, UNSTATED},
};

use super::line_command;

fn status(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    let state = context.vm().run_state();
    let shown = match state {
        RunState::Running => "running".to_owned(),
        RunState::Paused => "paused".to_owned(),
        other => {
            let word = serde_json::to_value(other).unwrap_or_default();
            format!("paused ({})", word.as_str().unwrap_or_default())
        }
    };
    Ok(format!("VM status: {shown}\r\n"))
}

/// Every object, below the one named or all, indented by depth.
fn qom_tree(context: &CommandContext<'_>, path: &str) -> Result<String, CommandError> {
    let root = match path {
        "" => context.tree().resolve("/machine")?,
        path => context.tree().resolve(path)?,
    };
    let mut text = String::new();
    let mut stack = vec![(root.path().unwrap_or_default(), root, 0)];
    while let Some((name, object, depth)) = stack.pop() {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{:indent$}{name} ({})\r\n",
            "",
            object.class().name(),
            indent = depth * 2
        );
        for (name, child) in object.children().into_iter().rev() {
            stack.push((format!("/{name}"), child, depth + 1));
        }
    }
    Ok(text)
}

/// The devices, by the bus that they are on, each with its properties.
fn qtree(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    let devices: Vec<_> = context.tree().walk().into_iter().filter(Obj::is::<dyn Device>).collect();
    let bus = |device: &Obj| device.class().data::<Plug>().and_then(|plug| plug.bus);
    let mut buses: Vec<_> = devices.iter().map(bus).collect();
    buses.sort_unstable();
    buses.dedup();
    let mut text = String::new();
    for name in buses {
        let _ = write!(text, "bus: {}\r\n", name.unwrap_or("main-system-bus"));
        for device in devices.iter().filter(|device| bus(device) == name) {
            let id = if device.is_requested() { device.name() } else { String::new() };
            let _ = write!(text, "  dev: {}, id \"{id}\"\r\n", device.class().name());
            let compat = context.compat();
            let shown = device.class().properties();
            for (property, _) in shown.filter(|(property, _)| !compat.hides(property.features())) {
                let value = device.get(property.name).unwrap_or_default();
                let _ = write!(text, "    {} = {value}\r\n", property.name);
            }
        }
    }
    Ok(text)
}

/// The policy, and everything that taints the VM.
fn security(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    let policy = context.tree().policy();
    let mut text =
        format!("policy: undeclared {}, insecure {}\r\n", policy.undeclared(), policy.insecure());
    for (statement, origin) in context.vm().policy_statements() {
        let _ = write!(text, "stated: {statement} ({origin})\r\n");
    }
    let taints = context.tree().taints();
    let _ = write!(text, "tainted: {}\r\n", if taints.is_empty() { "no" } else { "yes" });
    for taint in taints {
        let cause = &taint.cause;
        let removed = if taint.removed { ", removed" } else { "" };
        let reason = cause.reason().unwrap_or(UNSTATED);
        let _ = write!(text, "  {}: {cause}: {reason}{removed}\r\n", cause.path());
    }
    let _ = write!(text, "objects: {}\r\n", counts(context));
    Ok(text)
}

/// How many objects there are of each status.
fn counts(context: &CommandContext<'_>) -> String {
    let objects = context.tree().walk();
    let count = |wanted: fn(SecurityStatus) -> bool| {
        objects.iter().filter(|object| wanted(object.class().status())).count()
    };
    format!(
        "{} secure, {} insecure, {} undeclared",
        count(|status| status == SecurityStatus::Secure),
        count(|status| matches!(status, SecurityStatus::Insecure { .. })),
        count(|status| status == SecurityStatus::Undeclared),
    )
}

line_command!("info status", "", "show whether the VM runs", status);
line_command!("info qom-tree", "[PATH]", "show every object", qom_tree);
line_command!("info qtree", "", "show the devices by bus", qtree);
line_command!("info security", "", "show the security policy and what taints the VM", security);
