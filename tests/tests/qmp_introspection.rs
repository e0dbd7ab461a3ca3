//! What a VM tells of its types and its objects: for every type and every machine that there is, with
//! no knowledge of what they are (QEMU's device-introspect-test, qom-test and machine-none-test), and
//! what globals do to them as options (test-qdev-global-props).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::{
    Vmm,
    qmp::{Monitored, Qmp, is_child},
    qtest::PERMITTED,
};

/// A machine that is nothing but its monitor.
const NO_MACHINE: &str = "-nodefaults -machine none";

#[track_caller]
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

#[track_caller]
fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap_or_else(|| panic!("{entry} has no text {key}"))
}

fn names(entries: &Value) -> BTreeSet<&str> {
    list(entries).iter().map(|entry| text(entry, "name")).collect()
}

fn is_abstract(entry: &Value) -> bool {
    entry.get("abstract") == Some(&json!(true))
}

/// Every property of every object, by path and name.
fn whole_tree(client: &mut Qmp) -> BTreeMap<String, Value> {
    let mut read = BTreeMap::new();
    client.walk(|client, path, properties| {
        for entry in properties {
            let name = text(entry, "name");
            let value = client.property(path, name);
            if is_child(entry) {
                assert_eq!(value, json!(format!("{}/{name}", path.trim_end_matches('/'))));
            }
            read.insert(format!("{path} {name}"), value);
        }
    });
    read
}

#[test]
fn exactly_the_types_that_are_abstract_are_missing_where_those_are_left_out() {
    let mut vm = Monitored::start(NO_MACHINE);
    let all = vm.qmp.execute("qom-list-types", json!({ "abstract": true }));
    let concrete = vm.qmp.execute("qom-list-types", json!({ "abstract": false }));
    let concrete = names(&concrete);
    assert!(!concrete.is_empty() && concrete.len() < names(&all).len());
    for entry in list(&all) {
        assert_eq!(is_abstract(entry), !concrete.contains(text(entry, "name")), "{entry}");
    }
}

#[test]
fn whatever_implements_a_type_has_it_among_its_ancestors_or_interfaces() {
    let mut vm = Monitored::start(NO_MACHINE);
    let all = vm.qmp.execute("qom-list-types", json!({ "abstract": true }));
    let concrete = vm.qmp.execute("qom-list-types", json!({ "abstract": false }));
    let concrete = names(&concrete);
    let parents: BTreeMap<_, _> = list(&all)
        .iter()
        .map(|entry| (text(entry, "name"), entry.get("parent").and_then(Value::as_str)))
        .collect();
    for wanted in parents.keys() {
        let arguments = json!({ "implements": wanted, "abstract": true });
        let found = vm.qmp.execute("qom-list-types", arguments);
        let found = names(&found);
        assert!(found.contains(wanted), "a type is itself: {wanted}");
        for name in parents.keys() {
            let mut ancestor = Some(*name);
            while let Some(at) = ancestor.filter(|at| at != wanted) {
                ancestor = parents.get(at).copied().flatten();
            }
            match (ancestor, found.contains(name)) {
                (Some(_), is_found) => assert!(is_found, "{name} descends from {wanted}"),
                // Only an interface is offered by types that do not descend from it.
                (None, true) => assert!(!concrete.contains(wanted), "{wanted} is no interface"),
                (None, false) => {}
            }
        }
    }
}

#[test]
fn describing_any_type_leaves_the_tree_as_it_was() {
    let mut vm = Monitored::start(NO_MACHINE);
    let before = vm.qmp.human("info qom-tree /");
    let all = vm.qmp.execute("qom-list-types", json!({ "abstract": true }));
    let devices = vm.qmp.execute("qom-list-types", json!({ "implements": "device" }));
    let devices = names(&devices);
    assert!(devices.contains("isa-serial"), "{devices:?}");
    for entry in list(&all) {
        let name = text(entry, "name");
        vm.qmp.execute("qom-list-properties", json!({ "typename": name }));
        let request =
            json!({ "execute": "device-list-properties", "arguments": { "typename": name } });
        let answer = vm.qmp.ask(&request);
        assert_eq!(answer.get("return").is_some(), devices.contains(name), "{name}: {answer}");
        assert_eq!(vm.qmp.human("info qom-tree /"), before, "{name}");
    }
    let (class, _) = vm.qmp.refused("device-list-properties", json!({ "typename": "nonexistent" }));
    assert_eq!(class, "DeviceNotFound");
    let (class, _) = vm.qmp.refused("device-list-properties", json!({ "typename": "device" }));
    assert_eq!(class, "GenericError", "it is abstract");
    assert_eq!(vm.qmp.human("info qom-tree /"), before);
    vm.quit().code(0);
}

#[test]
fn a_device_s_help_says_what_the_monitor_says_of_it() {
    let mut vm = Monitored::start(NO_MACHINE);
    let devices = vm.qmp.execute("query-devices", json!({}));
    for device in list(&devices) {
        let name = text(device, "name");
        let help = Vmm::new(["-device", &format!("{name},help")]).run().code(0);
        let properties = vm.qmp.execute("device-list-properties", json!({ "typename": name }));
        let known: BTreeSet<_> = list(&properties)
            .iter()
            .map(|property| format!("{}=<{}>", text(property, "name"), text(property, "type")))
            .collect();
        // The monitor also tells of those that can only be read.
        let help = help.stdout();
        let shown =
            help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
        for property in shown {
            assert!(known.contains(property), "{name}: {property} is none of {known:?}");
        }
    }
}

#[test]
fn every_property_of_every_object_of_every_machine_can_be_read() {
    let mut vm = Monitored::start(NO_MACHINE);
    let machines = vm.qmp.execute("query-machines", json!({}));
    let machines = names(&machines);
    assert!(machines.contains("none") && machines.contains("microvm"), "{machines:?}");
    for machine in machines {
        // As a user has it, and with what a machine may lack.
        for options in ["", "-nodefaults"] {
            let line = format!("-accel qtest -machine {machine} -m 16M -serial null -S {options}");
            let line = match machine {
                "none" => format!("-machine none {options}"),
                _ => line,
            };
            let mut vm = Monitored::of(Vmm::line(&line).and(PERMITTED), tests::Scratch::new());
            let read = whole_tree(&mut vm.qmp);
            assert!(read.contains_key("/machine type"), "{line}: {read:?}");
            let in_one = vm.qmp.execute("qom-list-get", json!({ "paths": ["/machine"] }));
            for property in list(&in_one[0]["properties"]) {
                let value = &read[&format!("/machine {}", text(property, "name"))];
                assert_eq!(&property["value"], value, "{line}");
            }
            vm.quit().code(0);
        }
    }
}

/// The processors that a monitor tells of, by their paths in the tree.
fn processors(client: &mut Qmp) -> Vec<String> {
    let processors = client.execute("query-cpus-fast", json!({}));
    let path = |processor: &Value| text(processor, "qom-path").to_owned();
    list(&processors).iter().map(path).collect()
}

#[test]
fn the_machine_none_starts_and_quits_with_a_processor_of_each_model_and_without() {
    let mut vm = Monitored::start(NO_MACHINE);
    let models = vm.qmp.execute("query-cpu-definitions", json!({}));
    assert!(processors(&mut vm.qmp).is_empty());
    vm.quit().code(0).complains_only(&[]);
    for idle in ["-smp 1", "-machine none,cpus=0"] {
        let mut vm = Monitored::start(&format!("{NO_MACHINE} {idle}"));
        assert!(processors(&mut vm.qmp).is_empty(), "{idle}");
        vm.quit().code(0).complains_only(&[]);
    }
    let models = names(&models);
    assert!(!models.is_empty());
    for model in models {
        for options in ["", "-smp 1", "-machine none,cpus=1", "-accel qtest", "-S"] {
            let line = format!("{NO_MACHINE} {PERMITTED} -cpu {model},-popcnt {options}");
            let mut vm = Monitored::start(&line);
            let path = "/machine/unattached/cpu[0]";
            assert_eq!(processors(&mut vm.qmp), [path], "{line}");
            let cpu_type = vm.qmp.property(path, "type");
            assert_eq!(cpu_type, json!(format!("{model}-x86_64-cpu")), "{line}");
            assert_eq!(vm.qmp.property(path, "features"), json!("-popcnt"), "{line}");
            assert_eq!(vm.qmp.property("/machine", "cpus"), json!(1), "{line}");
            // Nothing runs it, whatever a client says.
            let processor = &vm.qmp.execute("query-cpus-fast", json!({}))[0];
            assert_eq!(processor["thread-id"], json!(0), "{line}");
            vm.qmp.execute("stop", json!({}));
            vm.qmp.execute("cont", json!({}));
            vm.qmp.execute("system_reset", json!({}));
            let ended = vm.quit().code(0);
            // The accelerator that drives no processor is one that nobody has declared.
            let tainted = |line: &&str| line.contains("tainted: '/accel'");
            assert!(ended.lines().iter().all(tainted), "{ended}");
        }
    }
}

#[test]
fn a_processor_that_nothing_runs_is_judged_as_one_that_runs() {
    let check = |options: &str| Vmm::line("check --json -machine none").and(options).run();
    let told = check("-cpu host").code(0).complains_only(&[]).stdout();
    let told: Value = serde_json::from_str(&told).expect("it is JSON");
    let cpu = list(&told["objects"]).iter().find(|it| it["path"] == "/machine/unattached/cpu[0]");
    let cpu = cpu.unwrap_or_else(|| panic!("no processor in {told}"));
    assert_eq!((text(cpu, "type"), text(cpu, "verdict")), ("host-x86_64-cpu", "permitted"));
    let misspelt = check("-cpu hots").code(1);
    misspelt.complains("-cpu hots: unable to find CPU model 'hots'; did you mean 'host'?");
}

#[test]
fn globals_of_the_command_line_hold_for_what_is_created_then_and_later() {
    let size = |vm: &mut Monitored, id: &str| vm.qmp.property(&format!("/chardevs/{id}"), "size");
    let line = format!(
        "{NO_MACHINE} -global chardev-ringbuf.size=4096 -global chardev-ringbuf.size=8192 \
         -chardev ringbuf,id=a -chardev ringbuf,id=b,size=16384 -global warp-core.power=11"
    );
    let mut vm = Monitored::start(&line);
    assert_eq!(size(&mut vm, "a"), 8192, "of two globals the later holds");
    assert_eq!(size(&mut vm, "b"), 16384, "whoever asks for an object overrides them");
    let backend = json!({ "type": "ringbuf", "data": {} });
    vm.qmp.execute("chardev-add", json!({ "id": "c", "backend": backend }));
    assert_eq!(size(&mut vm, "c"), 8192);
    vm.quit()
        .code(0)
        .complains("palisade: warning: global warp-core.power=11 has invalid class name");
}
