//! Once a VM runs, nothing that a monitor's client can say loosens the policy.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tests::qmp::{Monitored, Qmp, error_of};

/// What a client might write who wants everything permitted.
const WISHES: [&str; 8] = [
    "accept",
    "no",
    "off",
    "permit",
    "insecure-types=accept",
    "-compat insecure-types=accept",
    "/machine",
    "isa-debug-exit",
];

/// Commands that end the VM, so that nothing could be asked of it any more.
const LAST: [&str; 1] = ["quit"];

/// What the program says of its commands: entries of the schema by name.
struct Schema(BTreeMap<String, Value>);

impl Schema {
    fn ask(vm: &mut Monitored) -> Self {
        let told = vm.qmp.execute("query-qmp-schema", json!({}));
        let entries = told.as_array().expect("the schema is a list").iter();
        let name = |entry: &Value| entry["name"].as_str().expect("it has a name").to_owned();
        Self(entries.map(|entry| (name(entry), entry.clone())).collect())
    }

    fn commands(&self) -> Vec<(String, String)> {
        let commands = self.0.values().filter(|entry| entry["meta-type"] == "command");
        let text = |value: &Value| value.as_str().expect("it is text").to_owned();
        commands.map(|entry| (text(&entry["name"]), text(&entry["arg-type"]))).collect()
    }

    /// Values of a type: some of those that it has.
    fn values(&self, name: &str, depth: usize) -> Vec<Value> {
        let entry = &self.0[name];
        match entry["meta-type"].as_str() {
            Some("builtin") => match entry["json-type"].as_str() {
                Some("boolean") => vec![false.into(), true.into()],
                Some("int" | "number") => vec![0.into(), 1.into()],
                Some("null") => vec![Value::Null],
                _ => WISHES.into_iter().map(Value::from).collect(),
            },
            Some("enum") => {
                let members = entry["members"].as_array().expect("an enum has members");
                // A VM that is told to crash at the next refusal does.
                let harmless = members.iter().filter(|member| member["name"] != "crash");
                harmless.map(|member| member["name"].clone()).collect()
            }
            _ if depth == 0 => Vec::new(),
            Some("array") => {
                let of = entry["element-type"].as_str().expect("an array has elements");
                self.values(of, depth - 1).into_iter().map(|value| json!([value])).collect()
            }
            Some("alternate") => {
                let members = entry["members"].as_array().expect("it has members");
                let types = members.iter().filter_map(|member| member["type"].as_str());
                types.flat_map(|of| self.values(of, depth - 1)).collect()
            }
            _ => self.objects(name, depth - 1),
        }
    }

    /// Objects of a type: what has to be there, with each value of one member at a time.
    fn objects(&self, name: &str, depth: usize) -> Vec<Value> {
        let members = self.0[name]["members"].as_array().cloned().unwrap_or_default();
        let values: Vec<(String, bool, Vec<Value>)> = members
            .iter()
            .map(|member| {
                let name = member["name"].as_str().expect("members have names").to_owned();
                let of = member["type"].as_str().expect("members have types");
                (name, member.get("default").is_some(), self.values(of, depth))
            })
            .collect();
        let needed: Map<_, _> = values
            .iter()
            .filter(|(_, optional, _)| !optional)
            .filter_map(|(name, _, values)| Some((name.clone(), values.first()?.clone())))
            .collect();
        let mut all = vec![Value::Object(needed.clone())];
        for (name, _, values) in values {
            for value in values {
                let mut object = needed.clone();
                object.insert(name.clone(), value);
                all.push(Value::Object(object));
            }
        }
        all
    }
}

/// Checks that the policy is as strict as it is by default, and that it is obeyed.
#[track_caller]
fn stands(client: &mut Qmp) {
    let security = client.execute("query-security", json!({}));
    let strict = json!({ "undeclared": "refuse", "insecure": "refuse" });
    assert_eq!(security["policy"], strict);
    assert_eq!(security["tainted"], false);
    let (_, text) = client.refused("device_add", json!({ "driver": "isa-debug-exit" }));
    assert_eq!(text, "Type 'isa-debug-exit' is declared as insecure");
}

#[test]
fn no_command_loosens_it_whatever_its_arguments_are() {
    let mut vm = Monitored::start("-machine none -nodefaults");
    stands(&mut vm.qmp);
    let schema = Schema::ask(&mut vm);
    let mut tried = 0;
    for (command, argument_type) in schema.commands() {
        if LAST.contains(&&*command) {
            continue;
        }
        for arguments in schema.values(&argument_type, 4) {
            vm.qmp.ask(&json!({ "execute": command, "arguments": arguments }));
            tried += 1;
        }
        stands(&mut vm.qmp);
    }
    assert!(tried > 200, "{tried} requests");
    vm.quit().code(0);
}

#[test]
fn no_property_of_any_object_loosens_it() {
    let mut vm = Monitored::start("-machine none -nodefaults -device pvpanic,id=panic");
    let mut paths = Vec::new();
    vm.qmp.walk(|client, path, properties| {
        paths.push(path.to_owned());
        for property in properties {
            let values = WISHES.into_iter().map(Value::from);
            for value in values.chain([false.into(), true.into(), 0.into(), Value::Null]) {
                let arguments =
                    json!({ "path": path, "property": property["name"], "value": value });
                client.ask(&json!({ "execute": "qom-set", "arguments": arguments }));
            }
        }
        stands(client);
    });
    assert!(paths.len() > 5, "{paths:?}");
    vm.quit().code(0);
}

#[test]
fn no_statement_made_later_loosens_it() {
    let mut vm = Monitored::start("-machine none -nodefaults");
    for statements in [
        json!({ "insecure-types": "accept" }),
        json!({ "insecure-types": "warn" }),
        json!({ "require-secure": false }),
        json!({ "prohibit-insecure": true }),
        json!({ "require-secure": true, "insecure-types": "accept" }),
    ] {
        let (class, text) = vm.qmp.refused("set-security-policy", statements);
        assert_eq!(class, "GenericError");
        assert!(text.ends_with("would loosen the security policy, which can only be raised"));
        stands(&mut vm.qmp);
    }
    // It states nothing, and so changes nothing.
    let none = vm.qmp.ask(&json!({
        "execute": "set-security-policy", "arguments": { "prohibit-insecure": false },
    }));
    assert_eq!(error_of(&none), None);
    stands(&mut vm.qmp);
    vm.quit().code(0);
}
