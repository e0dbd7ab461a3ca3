//! Tests of the commands that show and change the object tree.

use device_model::monitor::ErrorClass::{DeviceNotFound, GenericError};
use serde_json::{Value, json};

use super::super::testing::{Bench, accept_all};

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array().expect("a list").iter().find(|entry| entry["name"] == *name)
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter().map(|entry| entry["name"].as_str().expect("a word")).collect()
}

fn with_card() -> Bench {
    let bench = Bench::running();
    bench.ok("device_add", json!({"driver": "test-card", "id": "c0"}));
    bench
}

#[test]
fn an_object_lists_its_type_properties_links_and_children() {
    let list = with_card().ok("qom-list", json!({"path": "/machine/peripheral/c0"}));
    assert_eq!(names(&list), ["type", "backend", "chardev", "label", "room", "chip"]);
    assert_eq!(named(&list, "type"), Some(&json!({"name": "type", "type": "string"})));
    assert_eq!(
        named(&list, "room"),
        Some(&json!({
            "name": "room", "type": "uint8", "description": "Where it stands", "default-value": 1,
        }))
    );
    assert_eq!(
        named(&list, "chip"),
        Some(&json!({"name": "chip", "type": "child<test-soldered>"}))
    );
    assert_eq!(named(&list, "chardev").map(|link| &link["type"]), Some(&json!("link<chardev>")));
}

#[test]
fn a_path_that_leads_nowhere_or_to_several_is_refused() {
    let bench = with_card();
    bench.ok("device_add", json!({"driver": "test-card", "id": "c1"}));
    for (path, class, text) in [
        ("/nowhere", DeviceNotFound, "Device '/nowhere' not found"),
        ("", DeviceNotFound, "Device '' not found"),
        ("chip", GenericError, "Path 'chip' is ambiguous"),
    ] {
        bench.refuses("qom-list", &json!({"path": path}), class, text);
        bench.refuses("qom-get", &json!({"path": path, "property": "type"}), class, text);
        bench.refuses("qom-list-get", &json!({"paths": ["/", path]}), class, text);
        let set = json!({"path": path, "property": "room", "value": 1});
        bench.refuses("qom-set", &set, class, text);
    }
    let paths = vec!["/"; 65_537];
    let text = "Parameter 'paths' expects at most 65536 paths";
    bench.refuses("qom-list-get", &json!({"paths": paths}), GenericError, text);
}

#[test]
fn every_property_of_every_object_can_be_read() {
    let bench = with_card();
    for path in bench.machine.paths() {
        let list = bench.ok("qom-list", json!({"path": path}));
        for name in names(&list) {
            let value = bench.ok("qom-get", json!({"path": path, "property": name}));
            let all = bench.ok("qom-list-get", json!({"paths": [path]}));
            let same = named(&all[0]["properties"], name).map(|entry| entry["value"].clone());
            assert_eq!(same, Some(value), "{path} {name}");
        }
    }
}

#[test]
fn a_child_gives_its_path_and_an_empty_link_nothing() {
    let bench = with_card();
    let get = |property: &str| bench.ok("qom-get", json!({"path": "c0", "property": property}));
    assert_eq!(get("chip"), "/machine/peripheral/c0/chip");
    assert_eq!(get("backend"), "");
    assert_eq!(get("type"), "test-card");
    let text = "Property 'test-card.rom' not found; did you mean 'room'?";
    bench.refuses("qom-get", &json!({"path": "c0", "property": "rom"}), GenericError, text);
}

#[test]
fn a_live_property_is_written_and_nothing_else() {
    let bench = with_card();
    let set = |property: &str, value: Value| json!({"path": "/machine/peripheral/c0", "property": property, "value": value});
    bench.ok("qom-set", set("room", json!(9)));
    for (property, value, text) in [
        ("room", json!("7"), "Parameter 'room' expects an integer from 0 to 255, got '\"7\"'"),
        ("room", json!(256), "Parameter 'room' expects an integer from 0 to 255, got '256'"),
        ("colour", json!(1), "Property 'test-card.colour' not found"),
        ("type", json!("test-leaky-card"), "Property 'test-card.type' is read-only"),
        ("chip", json!("/"), "Property 'test-card.chip' is read-only"),
        (
            "backend",
            json!(""),
            "Property 'test-card.backend' can't be changed once the object exists",
        ),
        (
            "label",
            json!("secret"),
            "Property 'test-card.label' with value 'secret' is declared as insecure",
        ),
    ] {
        bench.refuses("qom-set", &set(property, value), GenericError, text);
    }
    let get = |property: &str| bench.ok("qom-get", json!({"path": "c0", "property": property}));
    assert_eq!((get("room"), get("label")), (json!(9), json!("hello")));
}

#[test]
fn a_permitted_insecure_value_taints() {
    let bench = Bench::with_policy(accept_all());
    bench.ok("device_add", json!({"driver": "test-card", "id": "c0"}));
    bench.ok("qom-set", json!({"path": "c0", "property": "label", "value": "secret"}));
    let tainted = json!({
        "event": "SECURITY_TAINTED",
        "data": {
            "path": "/machine/peripheral/c0",
            "type": "test-card",
            "property": "label",
            "status": "secure",
            "reason": "it tells",
        },
    });
    assert_eq!(bench.events(), [tainted]);
}

#[test]
fn exactly_the_abstract_types_are_missing_from_the_list_without_them() {
    let bench = Bench::new();
    let all = bench.ok("qom-list-types", json!({"abstract": true}));
    let concrete = bench.ok("qom-list-types", json!({"abstract": false}));
    assert_eq!(concrete, bench.ok("qom-list-types", json!({})));
    for entry in all.as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a word");
        assert_eq!(named(&concrete, name).is_none(), entry["abstract"] == true, "{name}");
    }
    for interface in ["user-creatable", "port-io"] {
        let interface = named(&all, interface).expect("it is a type");
        assert_eq!(
            (&interface["abstract"], &interface["parent"]),
            (&json!(true), &json!("interface"))
        );
    }
}

#[test]
fn types_are_filtered_by_what_they_implement() {
    let bench = Bench::new();
    let devices = bench.ok("qom-list-types", json!({"implements": "device", "abstract": true}));
    let all = bench.ok("qom-list-types", json!({"abstract": true}));
    for entry in devices.as_array().expect("a list") {
        let mut name = entry["name"].as_str().expect("a word");
        while name != "device" {
            name = named(&all, name).and_then(|entry| entry["parent"].as_str()).expect("a parent");
        }
    }
    assert!(names(&devices).len() > 5);
    let creatable = bench.ok("qom-list-types", json!({"implements": "user-creatable"}));
    assert!(names(&creatable).contains(&"test-backend"));
    assert!(!names(&creatable).contains(&"test-card"));
    assert_eq!(bench.ok("qom-list-types", json!({"implements": "warp"})), json!([]));
}

#[test]
fn types_are_filtered_by_their_security() {
    let bench = Bench::new();
    let insecure = bench.ok("qom-list-types", json!({"security": "insecure"}));
    let card = named(&insecure, "test-leaky-card").expect("it is one");
    assert_eq!((&card["reason"], card.get("secure")), (&json!("it leaks"), None));
    assert_eq!(card["boundaries"], json!(["guest"]));
    assert!(insecure.as_array().expect("a list").iter().all(|one| one["security"] == "insecure"));
    let secure = bench.ok("qom-list-types", json!({"security": "secure"}));
    assert_eq!(named(&secure, "test-card").map(|card| &card["secure"]), Some(&json!(true)));
    let undeclared =
        bench.ok("qom-list-types", json!({"security": "undeclared", "abstract": true}));
    assert!(names(&undeclared).contains(&"object"));
    assert!(bench.run("qom-list-types", json!({"security": "safe"})).is_err());
}

#[test]
fn a_type_lists_its_properties_with_what_is_said_of_them() {
    let bench = Bench::new();
    let before = bench.machine.paths();
    let card = json!({"typename": "test-card"});
    let list = bench.ok("device-list-properties", card.clone());
    assert_eq!(names(&list), ["backend", "chardev", "label", "room"]);
    assert_eq!(
        named(&list, "label").map(|label| &label["insecure"]),
        Some(&json!([{"when": ["secret"], "reason": "it tells"}]))
    );
    let list = bench.ok("qom-list-properties", card);
    assert_eq!(names(&list), ["type", "backend", "chardev", "label", "room"]);
    for entry in bench.ok("qom-list-types", json!({"abstract": true})).as_array().expect("a list") {
        bench.ok("qom-list-properties", json!({"typename": entry["name"]}));
        let is_device = bench.run("device-list-properties", json!({"typename": entry["name"]}));
        let concrete = entry["abstract"] != true;
        let devices = bench.ok("qom-list-types", json!({"implements": "device"}));
        let name = entry["name"].as_str().expect("a word");
        assert_eq!(is_device.is_ok(), concrete && names(&devices).contains(&name), "{name}");
    }
    assert_eq!(bench.machine.paths(), before);
}

#[test]
fn properties_of_what_is_no_device_are_refused() {
    let bench = Bench::new();
    for (name, class, text) in [
        ("nonexistent", DeviceNotFound, "Class 'nonexistent' not found"),
        ("device", GenericError, "Parameter 'typename' expects a non-abstract device type"),
        ("test-backend", GenericError, "Parameter 'typename' expects a device type"),
    ] {
        bench.refuses("device-list-properties", &json!({"typename": name}), class, text);
    }
    let text = "Class 'nonexistent' not found";
    let arguments = json!({"typename": "nonexistent"});
    bench.refuses("qom-list-properties", &arguments, DeviceNotFound, text);
}
