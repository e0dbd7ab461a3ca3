//! Tests of what clients are told about the monitor itself.

use std::{collections::BTreeSet, sync::Arc};

use device_model::{
    control::{Order, RunState, VmControl},
    monitor::{CommandContext, CommandError, CommandTable},
    platform::Platform,
    qom_core::{
        CompatFinding, CompatPolicy, CreateError, Created, Finding, Given, Obj, Origin, Policy,
        PolicyStatement, RaiseError, RemoveError, Request, SetError, Tree,
    },
};
use serde_json::{Map, Value, json};

/// A VM that introspection must not touch.
struct Untouched;

impl VmControl for Untouched {
    fn tree(&self) -> &Tree {
        unreachable!("introspection asked for the objects")
    }
    fn platform(&self) -> &Arc<Platform> {
        unreachable!("introspection asked for the platform")
    }
    fn name(&self) -> Option<&str> {
        unreachable!("introspection asked for the name")
    }
    fn run_state(&self) -> RunState {
        unreachable!("introspection asked for the state")
    }
    fn create(&self, _: Vec<Request>) -> Result<Created, CreateError> {
        unreachable!("introspection created something")
    }
    fn set(&self, _: &Obj, _: &str, _: &Given) -> Result<Vec<Finding>, SetError> {
        unreachable!("introspection changed something")
    }
    fn remove(&self, _: &Obj) -> Result<(), RemoveError> {
        unreachable!("introspection removed something")
    }
    fn policy_statements(&self) -> Vec<(PolicyStatement, Origin)> {
        unreachable!("introspection asked for the policy")
    }
    fn raise_policy(&self, _: PolicyStatement, _: Origin) -> Result<Policy, RaiseError> {
        unreachable!("introspection raised the policy")
    }
    fn compat(&self) -> CompatPolicy {
        CompatPolicy::default()
    }
    fn heed(&self, findings: &[CompatFinding]) {
        assert_eq!(findings, []);
    }
    fn order(&self, _: Order) -> Result<(), CommandError> {
        unreachable!("introspection gave an order")
    }
}

fn call(name: &str, arguments: Map<String, Value>) -> Result<Value, CommandError> {
    let command = CommandTable::global().unwrap().get(name).unwrap();
    let answer = command.call(&CommandContext::new(&Untouched, None), arguments)?;
    Ok(answer.to_value())
}

fn told(name: &str) -> Vec<Value> {
    let Value::Array(told) = call(name, Map::new()).unwrap() else { panic!("not a list") };
    told
}

#[test]
fn all_commands_are_named_in_order() {
    let told = told("query-commands");
    let names: Vec<_> = told.iter().map(|command| command["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"query-commands") && names.contains(&"query-qmp-schema"), "{names:?}");
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(told[0], json!({ "name": names[0] }));
}

#[test]
fn each_command_is_described_and_so_is_every_type_once() {
    let infos = told("query-qmp-schema");
    let described: Vec<_> = infos.iter().map(|info| info["name"].as_str().unwrap()).collect();
    let set: BTreeSet<_> = described.iter().copied().collect();
    assert_eq!(described, set.iter().copied().collect::<Vec<_>>());
    for command in told("query-commands") {
        let name = command["name"].as_str().unwrap();
        let info = infos.iter().find(|info| info["name"] == name).unwrap();
        assert_eq!(info["meta-type"], "command", "{info}");
    }
    for info in &infos {
        let direct = ["arg-type", "ret-type", "element-type"].map(|key| &info[key]);
        let members = ["members", "variants"].map(|key| info[key].as_array());
        let members = members.into_iter().flatten().flatten().map(|member| &member["type"]);
        for name in direct.into_iter().chain(members).filter_map(Value::as_str) {
            assert!(set.contains(name), "{name}, of {info}");
        }
    }
}

#[test]
fn the_description_describes_itself() {
    let infos = told("query-qmp-schema");
    let info = |name: &str| infos.iter().find(|info| info["name"] == name).unwrap();
    assert_eq!(info("query-qmp-schema")["ret-type"], "[SchemaInfo]");
    assert_eq!(info("SchemaInfo")["tag"], "meta-type");
    assert_eq!(
        info("SchemaInfo-meta-type")["values"],
        json!(["builtin", "enum", "array", "object", "alternate", "command", "event"])
    );
    assert_eq!(
        info("SchemaInfo-command")["members"],
        json!([
            { "name": "allow-oob", "type": "bool" },
            { "name": "arg-type", "type": "str" },
            { "name": "ret-type", "type": "str" },
        ])
    );
}

#[test]
fn neither_takes_arguments() {
    for name in ["query-commands", "query-qmp-schema"] {
        let error = call(name, Map::from_iter([("yeti".to_owned(), json!(1))])).unwrap_err();
        assert_eq!(error.to_string(), "Parameter 'yeti' is unexpected");
    }
}
