//! Commands of the machine protocol as a program finds them out: by name, with no knowledge of what
//! each does (QEMU's qmp-cmd-test).

use serde_json::{Value, json};
use tests::qmp::Monitored;

/// A machine that is nothing but its monitor.
const NO_MACHINE: &str = "-nodefaults -machine none";

/// Commands that need what a schema has no word for: a descriptor that is passed along, and one of
/// several arguments.
const NEED_MORE: [&str; 2] = ["add-fd", "set-security-policy"];

/// What `query-qmp-schema` tells.
struct Schema(Vec<Value>);

impl Schema {
    fn of(vm: &mut Monitored) -> Self {
        let schema = vm.qmp.execute("query-qmp-schema", json!({}));
        Self(schema.as_array().expect("it is a list").clone())
    }

    fn named(&self, name: &Value) -> &Value {
        let found = self.0.iter().find(|entry| entry["name"] == *name);
        found.unwrap_or_else(|| panic!("the schema has no {name}"))
    }

    fn commands(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(|entry| entry["meta-type"] == "command")
    }

    fn members(&self, of: &Value) -> &[Value] {
        self.named(of)["members"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Whether it can be given without arguments.
    fn needs_nothing(&self, command: &Value) -> bool {
        // What may be left out has a default, which may be none.
        self.members(&command["arg-type"]).iter().all(|member| member.get("default").is_some())
    }

    /// Whether it is there for what it returns.
    fn is_query(&self, command: &Value) -> bool {
        let returns = self.named(&command["ret-type"]);
        returns["meta-type"] != "object" || !self.members(&command["ret-type"]).is_empty()
    }
}

#[test]
fn every_command_that_needs_no_argument_and_returns_something_succeeds_without_a_machine() {
    let mut vm = Monitored::start(NO_MACHINE);
    let schema = Schema::of(&mut vm);
    let mut succeeded = Vec::new();
    for command in schema.commands() {
        let name = command["name"].as_str().expect("it has a name");
        if !NEED_MORE.contains(&name) && schema.needs_nothing(command) && schema.is_query(command) {
            vm.qmp.execute(name, json!({}));
            succeeded.push(name);
        }
    }
    // Those at least; with none the rest of this would say nothing.
    for name in ["query-version", "query-status", "query-machines", "qom-list-types"] {
        assert!(succeeded.contains(&name), "{succeeded:?}");
    }
}

#[test]
fn every_command_that_is_listed_is_in_the_schema_and_the_reverse() {
    let mut vm = Monitored::start(NO_MACHINE);
    let listed = vm.qmp.execute("query-commands", json!({}));
    let mut listed: Vec<_> = listed.as_array().expect("it is a list").iter().collect();
    let schema = Schema::of(&mut vm);
    // The session's own, which is no command of the program's table.
    let mut described: Vec<_> = schema.commands().map(|command| &command["name"]).collect();
    for names in [&mut listed, &mut described] {
        let name = |entry: &Value| entry.get("name").unwrap_or(entry).to_string();
        names.retain(|entry| name(entry) != "\"qmp_capabilities\"");
        names.sort_by_key(|entry| name(entry));
    }
    let listed: Vec<_> = listed.iter().map(|entry| &entry["name"]).collect();
    assert_eq!(listed, described);
}

#[test]
fn a_command_that_needs_an_argument_says_which_is_missing() {
    let mut vm = Monitored::start(NO_MACHINE);
    let schema = Schema::of(&mut vm);
    let mut refused = 0;
    for command in schema.commands().filter(|command| !schema.needs_nothing(command)) {
        let name = command["name"].as_str().expect("it has a name");
        let (class, text) = vm.qmp.refused(name, json!({}));
        assert_eq!(class, "GenericError", "{name}: {text}");
        let members = schema.members(&command["arg-type"]);
        let missing = members.iter().filter(|member| member.get("default").is_none());
        let mut texts = missing.map(|member| {
            format!("Parameter '{}' is missing", member["name"].as_str().expect("it has a name"))
        });
        assert!(texts.any(|expected| expected == text), "{name}: {text}");
        refused += 1;
    }
    assert!(refused > 0);
}

#[test]
fn an_object_is_added_correctly_after_every_mistake_there_is_to_make() {
    let mut vm = Monitored::start(NO_MACHINE);
    let client = &mut vm.qmp;
    let null = |id: &str| json!({ "qom-type": "test-none", "id": id });
    let (class, text) = client.refused("object-add", null("o0"));
    assert_eq!((class.as_str(), text.as_str()), ("GenericError", "invalid object type: test-none"));
    for (command, arguments, text) in [
        ("object-add", json!({ "qom-type": "x" }), "Parameter 'id' is missing"),
        ("object-add", json!({ "id": "o0" }), "Parameter 'qom-type' is missing"),
        ("object-del", json!({}), "Parameter 'id' is missing"),
        ("object-del", json!({ "id": "o0" }), "object 'o0' not found"),
        ("device_add", json!({}), "Parameter 'driver' is missing"),
        ("chardev-remove", json!({ "id": "o0" }), "Chardev 'o0' not found"),
        (
            "chardev-add",
            json!({ "id": "c", "backend": { "type": "ringbuf", "data": { "size": "64K" } } }),
            "Invalid parameter type for 'backend.data.size', expected: integer",
        ),
        (
            "chardev-add",
            json!({ "id": "c", "backend": { "type": "null", "data": { "colour": 1 } } }),
            "Parameter 'backend.data.colour' is unexpected",
        ),
    ] {
        let (class, told) = client.refused(command, arguments);
        assert_eq!((class.as_str(), told.as_str()), ("GenericError", text), "{command}");
    }
    let ringbuf = json!({ "id": "c", "backend": { "type": "ringbuf", "data": { "size": 4096 } } });
    client.execute("chardev-add", ringbuf.clone());
    let (_, text) = client.refused("chardev-add", ringbuf.clone());
    assert_eq!(text, "Chardev with id 'c' already exists");
    assert_eq!(client.property("/chardevs/c", "size"), 4096, "the first is still there");
    client.execute("chardev-remove", json!({ "id": "c" }));
    client.execute("chardev-add", ringbuf);
}

#[test]
fn what_is_written_to_a_ring_is_read_from_it_once_the_last_of_it() {
    let mut vm =
        Monitored::start(&format!("{NO_MACHINE} -chardev ringbuf,id=r,size=8 -chardev null,id=n"));
    let client = &mut vm.qmp;
    client.execute("ringbuf-write", json!({ "device": "r", "data": "0123456789" }));
    let read = |size: u64| json!({ "device": "r", "size": size });
    assert_eq!(client.execute("ringbuf-read", read(3)), "234");
    let coded = json!({ "device": "r", "size": 100, "format": "base64" });
    assert_eq!(client.execute("ringbuf-read", coded), "NTY3ODk=");
    assert_eq!(client.execute("ringbuf-read", read(1)), "");
    let (_, text) = client.refused("ringbuf-read", json!({ "device": "n", "size": 1 }));
    assert_eq!(text, "'n' is not a ringbuf device");
}
