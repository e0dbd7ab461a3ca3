//! Tests of what becomes of what is deprecated or unstable, command by command.

use device_model::monitor::ErrorClass::{CommandNotFound, GenericError};
use serde_json::{Value, json};

use super::testing::Bench;

const REJECT: [(&str, &str); 2] = [("deprecated-input", "reject"), ("unstable-input", "reject")];
const WARN: [(&str, &str); 2] = [("deprecated-input", "warn"), ("unstable-input", "warn")];
const HIDE: [(&str, &str); 2] = [("deprecated-output", "hide"), ("unstable-output", "hide")];

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter().map(|entry| entry["name"].as_str().expect("a word")).collect()
}

fn trial(id: &str, property: &str, value: &Value) -> Value {
    json!({"driver": "test-trial-card", "id": id, property: value})
}

fn mood(value: &str) -> Value {
    json!({"path": "c0", "property": "mood", "value": value})
}

fn reopened() -> Value {
    json!({"id": "s0", "backend": {"type": "file", "data": {"out": "/log", "reopen": 1}}})
}

#[test]
fn unless_somebody_says_so_all_is_taken_and_told() {
    let bench = Bench::running();
    bench.ok("device_add", json!({"driver": "test-old-card"}));
    bench.ok("device_add", trial("c0", "slot", &json!(1)));
    bench.ok("qom-set", mood("glad"));
    let words = json!({"said": "hello", "volume": 3});
    assert_eq!(bench.ok("x-test-old-echo", words.clone()), words);
    assert_eq!(bench.warnings(), [] as [&str; 0]);
}

#[test]
fn deprecated_and_unstable_input_is_refused() {
    let bench = Bench::with_compat(&REJECT);
    for (name, arguments, class, text) in [
        (
            "device_add",
            json!({"driver": "test-old-card", "id": "c0"}),
            GenericError,
            "Deprecated type 'test-old-card' disabled by policy",
        ),
        (
            "device_add",
            trial("c0", "slot", &json!(1)),
            GenericError,
            "Deprecated property 'test-trial-card.slot' disabled by policy",
        ),
        (
            "device_add",
            trial("c0", "mood", &json!("glad")),
            GenericError,
            "Unstable property 'test-trial-card.mood' disabled by policy",
        ),
        (
            "x-test-old-echo",
            json!({"said": "hello"}),
            CommandNotFound,
            "Deprecated command x-test-old-echo disabled by policy",
        ),
        (
            "chardev-add",
            reopened(),
            GenericError,
            "Deprecated parameter 'backend.data.reopen' disabled by policy",
        ),
    ] {
        bench.refuses(name, &arguments, class, text);
    }
    bench.ok("device_add", trial("c0", "room", &json!(1)));
    let text = "Unstable property 'test-trial-card.mood' disabled by policy";
    bench.refuses("qom-set", &mood("glad"), GenericError, text);
    assert_eq!(bench.ok("qom-get", json!({"path": "c0", "property": "mood"})), "");
}

#[test]
fn input_that_is_warned_of_is_taken() {
    let bench = Bench::with_compat(&WARN);
    bench.ok("device_add", json!({"driver": "test-old-card"}));
    bench.ok("device_add", trial("c0", "slot", &json!(1)));
    bench.ok("qom-set", mood("glad"));
    bench.ok("x-test-old-echo", json!({"said": "hello", "volume": 3}));
    assert_eq!(
        bench.warnings(),
        [
            "type 'test-old-card' is deprecated: use test-trial-card",
            "property 'test-trial-card.slot' is deprecated: give its room",
            "property 'test-trial-card.mood' is unstable: it may change or go without notice",
            "command x-test-old-echo is deprecated: use your own voice",
            "parameter 'volume' is unstable: it may change or go without notice",
        ]
    );
}

#[test]
fn a_refused_command_changes_nothing_and_warns_of_nothing_else() {
    let bench = Bench::with_compat(&[("deprecated-input", "warn"), ("unstable-input", "reject")]);
    let error = bench.run("x-test-old-echo", json!({"said": "hello", "volume": 3})).unwrap_err();
    assert_eq!(error.to_string(), "Unstable parameter 'volume' disabled by policy");
    assert_eq!(bench.machine.take_heeded().len(), 1);
}

#[test]
fn hidden_types_properties_commands_and_members_are_not_told() {
    let (hiding, telling) = (Bench::with_compat(&HIDE), Bench::running());
    for bench in [&hiding, &telling] {
        bench.ok("device_add", trial("c0", "slot", &json!(1)));
    }
    for (name, arguments, hidden) in [
        ("qom-list-types", json!({}), "test-old-card"),
        ("query-devices", json!({}), "test-old-card"),
        ("query-commands", json!({}), "x-test-old-echo"),
        ("query-qmp-schema", json!({}), "x-test-old-echo"),
        ("qom-list", json!({"path": "c0"}), "slot"),
        ("qom-list-properties", json!({"typename": "test-trial-card"}), "slot"),
        ("device-list-properties", json!({"typename": "test-trial-card"}), "mood"),
    ] {
        assert!(names(&telling.ok(name, arguments.clone())).contains(&hidden), "{name}");
        let left = hiding.ok(name, arguments);
        assert!(!names(&left).contains(&hidden) && !names(&left).is_empty(), "{name}");
    }
    let values = hiding.ok("qom-list-get", json!({"paths": ["c0"]}));
    assert_eq!(names(&values[0]["properties"]), ["type", "room"]);
    let tree = hiding.ok("human-monitor-command", json!({"command-line": "info qtree"}));
    let tree = tree.as_str().expect("it is text");
    assert!(tree.contains("room = ") && !tree.contains("slot = "), "{tree}");
    let words = json!({"said": "hello", "volume": 3});
    assert_eq!(hiding.ok("x-test-old-echo", words), json!({"said": "hello"}));
    // Who names it gets it.
    assert_eq!(hiding.ok("qom-get", json!({"path": "c0", "property": "slot"})), 1);
}

#[test]
fn the_words_of_an_enum_are_told_once_where_the_deprecated_is_hidden() {
    let word = |bench: &Bench| {
        let infos = bench.ok("query-qmp-schema", json!({}));
        let infos = infos.as_array().expect("a list");
        let found = infos.iter().find(|info| info["name"] == "RunState").cloned();
        found.expect("it is there")
    };
    let (told, hidden) = (word(&Bench::running()), word(&Bench::with_compat(&HIDE)));
    assert_eq!(told["values"][0], "prelaunch");
    assert_eq!(hidden.get("values"), None);
    assert_eq!(told["members"], hidden["members"]);
    let infos = Bench::running().ok("query-qmp-schema", json!({}));
    let infos = infos.as_array().expect("a list").clone();
    let described = infos.iter().find(|info| info["name"] == "SchemaInfo-enum").expect("it is");
    let member = |name: &str| {
        let members = described["members"].as_array().expect("a list");
        members.iter().find(|member| member["name"] == name).expect("it is one").clone()
    };
    assert_eq!(member("values")["features"], json!(["deprecated"]));
    assert_eq!(member("members").get("features"), None);
}

#[test]
fn properties_tell_what_is_said_of_their_life() {
    let list = Bench::new().ok("qom-list-properties", json!({"typename": "test-trial-card"}));
    let property = |name: &str| {
        let list = list.as_array().expect("a list");
        list.iter().find(|property| property["name"] == name).expect("it is one").clone()
    };
    let slot = property("slot");
    assert_eq!(
        (&slot["deprecated"], &slot["replacement"]),
        (&json!(true), &json!("give its room"))
    );
    assert_eq!(slot.get("unstable"), None);
    assert_eq!(property("mood")["unstable"], true);
    assert_eq!(
        (property("room").get("deprecated"), property("room").get("unstable")),
        (None, None)
    );
}

#[test]
fn check_security_tells_what_would_be_refused_or_warned_of_and_what_to_do() {
    let would_be = json!({"objects": [
        {"kind": "device", "type": "test-old-card", "id": "c0"},
        {"kind": "device", "type": "test-trial-card", "id": "c1", "properties": {"slot": 1}},
        {"kind": "device", "type": "test-trial-card", "id": "c2", "properties": {"room": 1}},
    ]});
    for (statements, verdict, what) in [
        (&REJECT, "refused", "Deprecated property 'test-trial-card.slot' disabled by policy"),
        (&WARN, "warned", "property 'test-trial-card.slot' is deprecated: give its room"),
    ] {
        let bench = Bench::with_compat(statements);
        let answer = bench.ok("check-security", would_be.clone());
        assert_eq!(answer["holds"], verdict != "refused");
        let objects: Vec<_> = answer["objects"].as_array().expect("a list").iter().collect();
        let find = |path: &str| *objects.iter().find(|object| object["path"] == path).unwrap();
        let old = find("/machine/peripheral/c0");
        assert_eq!(old["verdict"], verdict);
        assert_eq!(old["objections"][0]["feature"], "deprecated");
        assert_eq!(old["objections"][0]["reason"], "use test-trial-card");
        let slot = find("/machine/peripheral/c1");
        assert_eq!(slot["verdict"], verdict);
        let objections = json!([{
            "property": "slot", "feature": "deprecated", "what": what, "reason": "give its room",
        }]);
        assert_eq!(slot["objections"], objections);
        assert_eq!(find("/machine/peripheral/c2")["verdict"], "permitted");
        assert_eq!(bench.warnings(), [] as [&str; 0]);
    }
}
