//! Tests of what is said of a client's arguments.

use serde_json::{Map, Value, json};

use super::untouched::Untouched;
use crate::monitor::{CommandContext, CommandError, CommandTable, schema::Shape};

fn check(command: &str, arguments: Value) -> Result<(), CommandError> {
    let Value::Object(arguments) = arguments else { panic!("not an object: {arguments}") };
    CommandTable::global().unwrap().get(command).unwrap().check(&arguments)
}

#[track_caller]
fn accepts(command: &str, arguments: Value) {
    assert_eq!(check(command, arguments), Ok(()));
}

#[track_caller]
fn refuses(command: &str, arguments: Value, why: &str) {
    let refused = check(command, arguments).map_err(|error| error.to_string());
    assert_eq!(refused, Err(why.to_owned()));
}

/// Adds the member that the command can't do without.
fn named(key: &str, value: Value) -> Value {
    json!({ "name": "n", key: value })
}

#[test]
fn arguments_of_every_shape_are_accepted() {
    accepts("x-everything", json!({ "name": "n" }));
    accepts(
        "x-everything",
        json!({
            "name": "n", "small": 255, "signed": -1, "large": u64::MAX, "ports": 4, "factor": 1,
            "flag": true, "colour": "dark-blue", "mode": "old",
            "inner": { "size": 0, "next": { "size": 1, "colour": "red" } },
            "list": [], "backend": { "type": "inner", "size": 3 },
            "wrapped": { "type": "file", "data": { "path": "p" } },
            "reference": 5, "value": [null], "map": { "any": 1 }, "sizes": { "a": 1 }, "old": "",
        }),
    );
    accepts("x-everything", named("reference", json!("five")));
    accepts("x-everything", named("backend", json!({ "type": "null" })));
    accepts("x-everything", named("wrapped", json!({ "type": "null" })));
    accepts("x-add-flat", json!({ "id": "i", "type": "file", "path": "p", "append": false }));
    accepts("x-open", json!({ "driver": "d", "what": { "ever": [1] } }));
}

#[test]
fn what_is_missing_is_named() {
    refuses("x-everything", json!({}), "Parameter 'name' is missing");
    refuses("x-everything", named("inner", json!({})), "Parameter 'inner.size' is missing");
    refuses("x-everything", named("backend", json!({})), "Parameter 'backend.type' is missing");
    refuses(
        "x-everything",
        named("wrapped", json!({ "type": "inner", "data": {} })),
        "Parameter 'wrapped.data.size' is missing",
    );
    refuses("x-add-flat", json!({ "id": "i", "type": "file" }), "Parameter 'path' is missing");
}

#[test]
fn what_is_unexpected_is_named() {
    refuses("x-everything", named("yeti", json!(1)), "Parameter 'yeti' is unexpected");
    refuses(
        "x-everything",
        named("list", json!([{ "size": 1 }, { "size": 1, "yeti": 1 }])),
        "Parameter 'list[1].yeti' is unexpected",
    );
    refuses(
        "x-everything",
        named("backend", json!({ "type": "null", "path": "p" })),
        "Parameter 'backend.path' is unexpected",
    );
    refuses(
        "x-add-flat",
        json!({ "id": "i", "type": "null", "path": "p" }),
        "Parameter 'path' is unexpected",
    );
}

#[test]
fn a_value_of_the_wrong_type_is_told_the_right_one() {
    for (key, value, expected) in [
        ("large", json!("1"), "integer"),
        ("large", json!(1.0), "integer"),
        ("factor", json!("1"), "number"),
        ("flag", json!(1), "boolean"),
        ("colour", json!(1), "string"),
        ("list", json!({}), "array"),
        ("inner", json!([]), "object"),
        ("map", json!("x"), "object"),
        ("reference", json!([]), "string or integer"),
        // An argument that isn't given is left out.
        ("old", Value::Null, "string"),
        ("inner", Value::Null, "object"),
        ("colour", Value::Null, "string"),
        ("reference", Value::Null, "string or integer"),
    ] {
        let why = format!("Invalid parameter type for '{key}', expected: {expected}");
        refuses("x-everything", named(key, value), &why);
    }
    refuses(
        "x-everything",
        json!({ "name": 1 }),
        "Invalid parameter type for 'name', expected: string",
    );
    refuses(
        "x-everything",
        named("list", json!([{ "size": 1 }, 2])),
        "Invalid parameter type for 'list[1]', expected: object",
    );
    refuses(
        "x-everything",
        named("backend", json!({ "type": 1 })),
        "Invalid parameter type for 'backend.type', expected: string",
    );
    refuses(
        "x-everything",
        named("sizes", json!({ "a": "b" })),
        "Invalid parameter type for 'sizes.a', expected: integer",
    );
}

#[test]
fn a_number_out_of_range_is_told_the_range() {
    for (key, value, expected) in [
        ("small", json!(256), "uint8"),
        ("small", json!(-1), "uint8"),
        ("signed", json!(1_u64 << 31), "int32"),
        ("large", json!(-1), "uint64"),
        ("ports", json!(0), "an integer from 1 to 4"),
        ("ports", json!(5), "an integer from 1 to 4"),
        ("reference", json!(1_u64 << 32), "uint32"),
    ] {
        let why = format!("Parameter '{key}' expects {expected}");
        refuses("x-everything", named(key, value), &why);
    }
}

#[test]
fn an_unknown_word_is_repeated() {
    refuses(
        "x-everything",
        named("colour", json!("yeti")),
        "Parameter 'colour' does not accept value 'yeti'",
    );
    refuses(
        "x-everything",
        named("mode", json!("Old")),
        "Parameter 'mode' does not accept value 'Old'",
    );
    refuses(
        "x-add-flat",
        json!({ "id": "i", "type": "yeti" }),
        "Parameter 'type' does not accept value 'yeti'",
    );
}

#[test]
fn what_the_protocol_has_no_words_for_is_left_to_the_command() {
    accepts("x-odd", json!({ "tuple": [1, "a"], "data": { "Number": 1 } }));
    refuses("x-odd", json!({ "tuple": {} }), "Invalid parameter type for 'tuple', expected: array");
}

#[test]
fn a_type_without_end_does_not_end_the_program() {
    let endless = schemars::json_schema!({
        "oneOf": [{
            "type": "object",
            "properties": { "type": { "type": "string", "const": "again" } },
            "$ref": "#",
            "required": ["type"],
        }],
    });
    let arguments = json!({ "type": "again" });
    let checked = Shape::of(&endless).check(arguments.as_object().unwrap());
    assert_eq!(checked, Ok(()));
    let flat = schemars::json_schema!({ "type": "object", "allOf": [{ "$ref": "#" }] });
    assert_eq!(Shape::of(&flat).check(arguments.as_object().unwrap()), Ok(()));
    let itself = schemars::json_schema!({ "$ref": "#" });
    assert_eq!(Shape::of(&itself).check(arguments.as_object().unwrap()), Ok(()));
    let either = schemars::json_schema!({
        "type": "object",
        "properties": { "type": { "anyOf": [{ "$ref": "#/$defs/A" }, { "type": "string" }] } },
        "$defs": { "A": { "anyOf": [{ "$ref": "#/$defs/A" }, { "type": "null" }] } },
    });
    assert_eq!(Shape::of(&either).check(arguments.as_object().unwrap()), Ok(()));
}

#[test]
fn values_as_deep_as_a_client_may_send_are_checked() {
    let mut deep = json!({ "size": "deep" });
    for _ in 0..1_022 {
        let mut outer = Map::new();
        outer.insert("size".to_owned(), json!(1));
        outer.insert("next".to_owned(), deep);
        deep = Value::Object(outer);
    }
    let error = check(
        "x-everything",
        Map::from_iter([("name".to_owned(), json!("n")), ("inner".to_owned(), deep)]).into(),
    )
    .unwrap_err()
    .to_string();
    assert!(error.ends_with(".next.size', expected: integer"), "{error}");
}

#[test]
fn a_command_runs_only_with_arguments_that_pass() {
    let command = CommandTable::global().unwrap().get("x-add-flat").unwrap();
    let call = |arguments: Value| -> Result<Value, CommandError> {
        let arguments = arguments.as_object().unwrap().clone();
        let answer = command.call(&CommandContext::new(&Untouched::default(), None), arguments)?;
        Ok(answer.to_value())
    };
    let flat = json!({ "id": "i", "type": "inner", "size": 3 });
    assert_eq!(call(flat.clone()), Ok(flat));
    let error = call(json!({ "id": "i", "type": "inner", "size": 3, "more": 1 })).unwrap_err();
    assert_eq!(error.to_string(), "Parameter 'more' is unexpected");
}
