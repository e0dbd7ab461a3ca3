//! Tests of what a client is told of commands, events and types.

use std::collections::BTreeMap;

use qom_core::CompatPolicy;
use serde_json::{Value, json};

use crate::monitor::{CommandTable, EventTable, schema::describe};

fn described() -> Vec<Value> {
    let commands = CommandTable::global().unwrap();
    let events = EventTable::global().unwrap();
    let infos = describe(commands.entries(), events.entries(), CompatPolicy::default());
    infos.iter().map(|info| serde_json::to_value(info).unwrap()).collect()
}

/// All that is described, by name.
fn by_name() -> BTreeMap<String, Value> {
    let name = |info: &Value| info["name"].as_str().unwrap().to_owned();
    described().into_iter().map(|info| (name(&info), info)).collect()
}

/// The member of that name in the description of an object.
fn member<'a>(object: &'a Value, name: &str) -> &'a Value {
    let members = object["members"].as_array().unwrap();
    members.iter().find(|member| member["name"] == name).unwrap()
}

#[test]
fn everything_is_described_once_in_order() {
    let infos = described();
    let names: Vec<_> = infos.iter().map(|info| info["name"].as_str().unwrap()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
}

#[test]
fn every_type_that_is_referred_to_is_described() {
    let infos = by_name();
    let mut referred = 0;
    for info in infos.values() {
        let direct = ["arg-type", "ret-type", "element-type"].map(|key| &info[key]);
        let members = ["members", "variants"].map(|key| info[key].as_array());
        let members = members.into_iter().flatten().flatten().map(|member| &member["type"]);
        for name in direct.into_iter().chain(members).filter_map(Value::as_str) {
            assert!(infos.contains_key(name), "{name}, of {info}");
            referred += 1;
        }
    }
    assert!(referred > 50, "{referred}");
}

#[test]
fn every_type_that_is_described_is_referred_to() {
    let infos = by_name();
    let text = infos.values().map(Value::to_string).collect::<String>();
    for (name, info) in &infos {
        let meta_type = info["meta-type"].as_str().unwrap();
        let keys = ["arg-type", "ret-type", "element-type", "type"];
        let referred = keys.iter().any(|key| text.contains(&format!("\"{key}\":\"{name}\"")));
        assert!(referred || ["command", "event"].contains(&meta_type), "{info}");
    }
}

#[test]
fn commands_and_events_tell_what_they_take_and_give() {
    let infos = by_name();
    assert_eq!(
        infos["x-everything"],
        json!({
            "name": "x-everything", "meta-type": "command", "arg-type": "Arguments",
            "ret-type": "[Inner]", "allow-oob": false, "features": ["unstable"],
        })
    );
    assert_eq!(
        infos["x-open"],
        json!({
            "name": "x-open", "meta-type": "command", "arg-type": "Arguments2",
            "ret-type": "Nothing", "allow-oob": true, "features": ["deprecated"],
        })
    );
    assert_eq!(
        infos["X_CHANGED"],
        json!({ "name": "X_CHANGED", "meta-type": "event", "arg-type": "Changed" })
    );
}

#[test]
fn members_tell_their_types_and_whether_they_may_be_left_out() {
    let infos = by_name();
    let arguments = &infos["Arguments"];
    assert_eq!(*member(arguments, "name"), json!({ "name": "name", "type": "str" }));
    for (name, type_name) in [
        ("small", "int"),
        ("factor", "number"),
        ("flag", "bool"),
        ("colour", "Colour"),
        ("inner", "Inner"),
        ("list", "[Inner]"),
        ("backend", "Backend"),
        ("reference", "Reference"),
        ("value", "any"),
        ("map", "any"),
    ] {
        let expected = json!({ "name": name, "type": type_name, "default": null });
        assert_eq!(*member(arguments, name), expected);
    }
    assert_eq!(member(arguments, "old")["features"], json!(["deprecated"]));
    assert_eq!(member(arguments, "mode")["features"], json!(["unstable"]));
}

#[test]
fn builtins_arrays_enums_and_alternates_are_described() {
    let infos = by_name();
    for (name, json_type) in [
        ("str", "string"),
        ("int", "int"),
        ("number", "number"),
        ("bool", "boolean"),
        ("null", "null"),
        ("any", "value"),
    ] {
        let expected = json!({ "name": name, "meta-type": "builtin", "json-type": json_type });
        assert_eq!(infos[name], expected);
    }
    assert_eq!(
        infos["[Inner]"],
        json!({ "name": "[Inner]", "meta-type": "array", "element-type": "Inner" })
    );
    assert_eq!(
        infos["Colour"],
        json!({
            "name": "Colour", "meta-type": "enum", "values": ["red", "dark-blue"],
            "members": [{ "name": "red" }, { "name": "dark-blue" }],
        })
    );
    let mode = &infos["Mode"];
    assert_eq!(*member(mode, "old"), json!({ "name": "old", "features": ["deprecated"] }));
    assert_eq!(*member(mode, "new"), json!({ "name": "new", "features": ["unstable"] }));
    assert_eq!(*member(mode, "plain"), json!({ "name": "plain" }));
    assert_eq!(
        infos["Reference"],
        json!({
            "name": "Reference", "meta-type": "alternate",
            "members": [{ "type": "str" }, { "type": "int" }],
        })
    );
}

#[test]
fn what_depends_on_a_tag_is_told_for_each_value() {
    let infos = by_name();
    let variants = json!([
        { "case": "null", "type": "Nothing" },
        { "case": "file", "type": "Backend-file" },
        { "case": "inner", "type": "Inner" },
    ]);
    let tag = json!({ "name": "type", "type": "Backend-type" });
    assert_eq!(
        infos["Backend"],
        json!({
            "name": "Backend", "meta-type": "object", "members": [tag], "tag": "type",
            "variants": variants,
        })
    );
    assert_eq!(infos["Backend-type"]["values"], json!(["null", "file", "inner"]));
    assert_eq!(
        infos["Backend-file"]["members"],
        json!([
            { "name": "append", "type": "bool", "default": null },
            { "name": "path", "type": "str" },
        ])
    );
    assert_eq!(infos["Nothing"]["members"], json!([]));
    assert_eq!(infos["Wrapped-inner"]["members"], json!([{ "name": "data", "type": "Inner" }]));
    assert_eq!(infos["Flat"]["tag"], "type");
    assert_eq!(*member(&infos["Flat"], "id"), json!({ "name": "id", "type": "str" }));
}

#[test]
fn members_that_a_client_names_itself_are_not_told() {
    let infos = by_name();
    assert_eq!(infos["Arguments2"]["members"], json!([{ "name": "driver", "type": "str" }]));
}

#[test]
fn what_is_always_told_and_may_be_null_is_an_alternate() {
    let infos = by_name();
    assert_eq!(
        infos["Changed-old"],
        json!({
            "name": "Changed-old", "meta-type": "alternate",
            "members": [{ "type": "int" }, { "type": "null" }],
        })
    );
}

#[test]
fn a_type_that_is_given_as_it_is_taken_is_described_once() {
    let infos = by_name();
    assert!(infos.contains_key("Inner") && !infos.contains_key("Inner2"));
}
