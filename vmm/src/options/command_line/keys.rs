//! The keys that each option reads by itself.

use super::{
    policy::{MACHINE_KEYS, compat_keys},
    value::{has_id, syntax},
};
use crate::options::{add_fd, globals, key::Key, size, smp};

const ID: Key = Key::text("id", "What it is called");
const NAME_KEYS: [Key; 2] = [
    Key::text("guest", "What the guest is called"),
    Key::text("process", "What tools call the process"),
];
const BUS: Key = Key::text("bus", "Bus that it stands on");
const MODE: Key = Key::text("mode", "What it speaks: control, which is QMP");
const NODE_NAME: Key = Key::text("node-name", "What the node is called");
const IMPLIED: &str = "What it is, which may stand first without this key";

/// Those of the option called `name`, without dashes: the one that is implied comes first. Keys that
/// are properties of what the option creates are not among them.
pub(crate) fn own_keys(name: &str) -> Vec<Key> {
    let mut keys = match name {
        "machine" => MACHINE_KEYS.to_vec(),
        "device" => vec![BUS],
        "blockdev" => vec![NODE_NAME],
        "mon" => vec![MODE],
        "m" => size::KEYS.to_vec(),
        "smp" => smp::KEYS.to_vec(),
        "name" => NAME_KEYS.to_vec(),
        "add-fd" => add_fd::KEYS.to_vec(),
        "global" => globals::KEYS.to_vec(),
        "compat" => compat_keys().collect(),
        _ => Vec::new(),
    };
    let mut first = Vec::from_iter(syntax(name).and_then(|syntax| syntax.implied_key));
    first.retain(|implied| keys.iter().all(|key| key.name != *implied));
    keys.splice(..0, first.into_iter().map(|implied| Key::text(implied, IMPLIED)));
    if has_id(name) {
        keys.push(ID);
    }
    keys
}
