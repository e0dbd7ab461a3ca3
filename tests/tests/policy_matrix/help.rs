//! What help tells of everything that can be created: that there is such a type, and its status.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{Vmm, matrix_vmm};

use super::{
    kinds::{KINDS, short},
    registry::Registry,
};

/// The options whose value names a type, all of which have help.
const WITH_HELP: [&str; 8] =
    ["machine", "accel", "cpu", "device", "object", "chardev", "blockdev", "netdev"];

fn shown(option: &str, value: &str) -> String {
    Vmm::of(matrix_vmm(), [option, value]).run().code(0).complains_only(&[]).stdout()
}

/// What follows a type's name or description.
fn status(registry: &Registry, type_name: &str) -> String {
    let (deprecated, unstable) = registry.features(type_name);
    let mut text = String::new();
    for (has, word) in [(deprecated, " (deprecated)"), (unstable, " (unstable)")] {
        if has {
            text += word;
        }
    }
    match registry.security(type_name) {
        "undeclared" => text,
        security => text + &format!(" ({security})"),
    }
}

/// What a list of types calls the type of a line.
fn listed<'a>(option: &str, line: &'a str) -> Option<&'a str> {
    match option {
        "device" => line.strip_prefix("name \"")?.split('"').next(),
        _ => line.split_whitespace().next(),
    }
}

#[test]
fn help_tells_the_status_of_each_type_that_can_be_created_and_what_can_be_set_of_it() {
    let registry = Registry::ask();
    for option in WITH_HELP {
        let kind = KINDS.iter().find(|kind| kind.option.0 == option).expect("there is a kind");
        let list = shown(&format!("-{option}"), "help");
        let types: Vec<_> =
            registry.concrete().filter(|name| registry.is_creatable(name, kind.class)).collect();
        let statuses: BTreeSet<_> = types.iter().map(|name| status(&registry, name)).collect();
        assert!(statuses.len() >= 3, "{option}: {statuses:?}");
        for type_name in types {
            let (name, status) = (short(kind, type_name), status(&registry, type_name));
            let rows: Vec<_> =
                list.lines().filter(|line| listed(option, line) == Some(name)).collect();
            assert_eq!(rows.len(), 1, "{name}: {list}");
            let row = rows[0].replace(" (default)", "");
            let without = row.strip_suffix(&*status).unwrap_or_else(|| panic!("{status}: {row}"));
            assert!(!without.ends_with("secure)"), "{row}");
            let help = shown(&format!("-{option}"), &format!("{name},help"));
            assert_eq!(help.lines().next(), Some(&*format!("{name} options:{status}")));
        }
    }
}

#[test]
fn help_tells_the_status_of_what_a_stream_leads_to() {
    let registry = Registry::ask();
    let help = shown("-serial", "help");
    for option in ["-qmp", "-qmp-pretty", "-qtest"] {
        assert_eq!(shown(option, "help"), help, "{option}");
    }
    for (form, type_name) in [
        ("stdio", "chardev-stdio"),
        ("pty", "chardev-pty"),
        ("unix:PATH", "chardev-socket"),
        ("udp:HOST:PORT", "chardev-udp"),
    ] {
        let row = format!("  {form}{}", status(&registry, type_name));
        assert!(help.lines().any(|line| line == row), "{row}: {help}");
    }
    assert!(help.contains("\n  none\n") && help.contains("\n  chardev:ID\n"), "{help}");
}

#[test]
fn a_client_is_told_the_keys_that_help_shows() {
    let mut vm = super::vm("", super::NONE);
    let told = vm.qmp.execute("query-command-line-options", serde_json::json!({}));
    let mut keyed = 0;
    for option in told.as_array().expect("a list") {
        let name = option["option"].as_str().expect("it has a name");
        let parameters: Vec<_> = option["parameters"].as_array().expect("a list").iter().collect();
        let names: BTreeSet<_> =
            parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        assert_eq!(names.len(), parameters.len(), "{name}: each once");
        match KINDS.iter().find(|kind| WITH_HELP.contains(&name) && kind.option.0 == name) {
            // Whatever help shows of any of its types is among them.
            Some(kind) => {
                let registry = Registry::ask();
                for type_name in registry.concrete() {
                    if !registry.is_creatable(type_name, kind.class) {
                        continue;
                    }
                    let help =
                        shown(&format!("-{name}"), &format!("{},help", short(kind, type_name)));
                    let keys =
                        help.lines().skip(1).filter_map(|line| line.trim().split('=').next());
                    for key in keys.filter(|key| *key != "kernel-irqchip") {
                        assert!(names.contains(key), "{name} {type_name}: {key}");
                    }
                }
            }
            None if names.is_empty() || name == "name" => continue,
            None => {
                let help = shown(&format!("-{name}"), "help");
                assert!(help.starts_with(&format!("{name} options:\n")), "{help}");
                let keys = help.lines().skip(1).filter_map(|line| line.trim().split('=').next());
                assert_eq!(keys.collect::<BTreeSet<_>>(), names, "{name}");
            }
        }
        keyed += 1;
        let types = ["string", "boolean", "number", "size"].map(Value::from);
        assert!(parameters.iter().all(|parameter| types.contains(&parameter["type"])), "{option}");
    }
    assert!(keyed > 12, "{keyed}");
    vm.quit().code(0);
}
