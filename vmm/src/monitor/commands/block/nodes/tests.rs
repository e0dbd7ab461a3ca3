//! Tests of the commands for block nodes.

use device_model::monitor::ErrorClass::GenericError;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::super::testing::{Bench, accept_all};

fn file(name: &str) -> Value {
    json!({"driver": "file", "node-name": name, "filename": "/image"})
}

fn get(bench: &Bench, path: &str, property: &str) -> Value {
    bench.ok("qom-get", json!({"path": path, "property": property}))
}

#[test]
fn a_node_is_made_used_and_removed() {
    let bench = Bench::running();
    let before = bench.machine.paths();
    bench.ok("blockdev-add", file("f0"));
    bench.ok("blockdev-add", json!({"driver": "raw", "node-name": "r0", "file": "f0"}));
    assert_eq!(get(&bench, "/blockdevs/r0", "file-node"), json!("/blockdevs/f0"));
    let delete = |name: &str| json!({"node-name": name});
    let text = "Node 'f0' is busy: '/blockdevs/r0' uses it";
    bench.refuses("blockdev-del", &delete("f0"), GenericError, text);
    bench.ok("device_add", json!({"driver": "test-disk", "id": "d0", "drive": "/blockdevs/r0"}));
    let text = "Node 'r0' is busy: '/machine/peripheral/d0' uses it";
    bench.refuses("blockdev-del", &delete("r0"), GenericError, text);
    bench.ok("device_del", json!({"id": "d0"}));
    bench.ok("blockdev-del", delete("r0"));
    bench.ok("blockdev-del", delete("f0"));
    let mut after = bench.machine.paths();
    after.retain(|path| path != "/blockdevs");
    assert_eq!(after, before);
}

#[test]
fn a_node_described_within_another_goes_with_it() {
    let bench = Bench::new();
    let inner = json!({"driver": "file", "filename": "/image", "node-name": "inner",
                       "cache": {"direct": true}});
    bench.ok(
        "blockdev-add",
        json!({"driver": "raw", "node-name": "r0", "read-only": true, "file": inner}),
    );
    let at = |property: &str| get(&bench, "/blockdevs/r0/file", property);
    assert_eq!((at("node-name"), at("filename")), (json!("inner"), json!("/image")));
    assert_eq!((at("cache.direct"), at("read-only")), (json!(true), json!(true)));
    let text = "Node inner is not owned by the monitor";
    bench.refuses("blockdev-del", &json!({"node-name": "inner"}), GenericError, text);
    // It can be referred to, and its name is taken.
    bench.ok(
        "blockdev-add",
        json!({"driver": "raw", "node-name": "r1", "read-only": true, "file": "inner"}),
    );
    let text = "Duplicate nodes with node-name='inner'";
    bench.refuses("blockdev-add", &file("inner"), GenericError, text);
    bench.ok("blockdev-del", json!({"node-name": "r1"}));
    bench.ok("blockdev-del", json!({"node-name": "r0"}));
    bench.ok("blockdev-add", file("inner"));
}

#[test]
fn a_node_without_a_name_of_its_own_gets_one_that_nobody_can_give() {
    let bench = Bench::new();
    let inner = json!({"driver": "file", "filename": "/image"});
    bench.ok("blockdev-add", json!({"driver": "raw", "node-name": "r0", "file": inner}));
    let name = get(&bench, "/blockdevs/r0/file", "node-name");
    assert!(name.as_str().is_some_and(|name| name.starts_with("#block")), "{name}");
    let nodes = bench.ok("query-named-block-nodes", json!({}));
    assert_eq!(nodes[0]["children"], json!([{"child": "file", "node-name": name}]));
}

#[test]
fn what_is_wrong_with_a_node_is_told_and_leaves_nothing() {
    let bench = Bench::new();
    bench.ok("blockdev-add", file("there"));
    let with = |key: &str, value: Value| {
        let mut arguments = file("new");
        arguments[key] = value;
        arguments
    };
    let raw = |file: Value| json!({"driver": "raw", "node-name": "new", "file": file});
    let deep = (0..100).fold(json!("there"), |file, _| json!({"driver": "raw", "file": file}));
    for (arguments, text) in [
        (json!({"node-name": "new"}), "Parameter 'driver' is missing"),
        (json!({"driver": "file"}), "'node-name' must be specified for the root node"),
        (
            json!({"driver": "warp", "node-name": "a"}),
            "Parameter 'driver' does not accept value 'warp'",
        ),
        (
            json!({"driver": "format", "node-name": "a"}),
            "Parameter 'driver' does not accept value 'format'",
        ),
        (with("filename", json!(3)), "Parameter 'filename' expects a string, got '3'"),
        (json!({"driver": "file", "node-name": "a"}), "Parameter 'filename' is missing"),
        (with("colour", json!(3)), "Parameter 'colour' is unexpected"),
        (with("cache", json!({"colour": 3})), "Parameter 'cache.colour' is unexpected"),
        (
            with("cache", json!({"direct": 3})),
            "Parameter 'cache.direct' expects a boolean, got '3'",
        ),
        (with("read-only", json!("on")), "Parameter 'read-only' expects a boolean, got '\"on\"'"),
        (with("fails", json!(true)), "the node was told to fail"),
        (file("there"), "Duplicate nodes with node-name='there'"),
        (file("a/b"), "Invalid node-name: 'a/b'"),
        (file("#block000"), "Invalid node-name: '#block000'"),
        (file(&"a".repeat(32)), "Node name too long"),
        (
            json!({"driver": "raw", "node-name": "new"}),
            "A block device must be specified for \"file\"",
        ),
        (
            raw(json!("ther")),
            "Cannot find device='ther' nor node-name='ther'; did you mean 'there'?",
        ),
        (
            raw(json!(3)),
            "Parameter 'file' expects the name of a node, or an object that describes one",
        ),
        (raw(json!([1])), "Parameter 'file' expects a node and not a list"),
        (raw(json!({})), "Parameter 'file.driver' is missing"),
        (raw(json!({"driver": "warp"})), "Parameter 'file.driver' does not accept value 'warp'"),
        (raw(json!({"driver": "file"})), "Parameter 'filename' is missing"),
        (
            raw(json!({"driver": "file", "filename": "/image", "read-only": "on"})),
            "Parameter 'file.read-only' expects a boolean, got '\"on\"'",
        ),
        (
            raw(json!({"driver": "file", "filename": "/image", "type": 1})),
            "Parameter 'file.type' is unexpected",
        ),
        (
            raw(json!({"driver": "file", "filename": "/image", "fails": true})),
            "the node was told to fail",
        ),
        (
            json!({"driver": "raw", "node-name": "new", "file-node": "/blockdevs/there"}),
            "Parameter 'file-node' is unexpected",
        ),
        (
            json!({"driver": "raw", "node-name": "new", "file-options": {}}),
            "Parameter 'file-options' is unexpected",
        ),
    ] {
        bench.refuses("blockdev-add", &arguments, GenericError, text);
    }
    let error = bench.run("blockdev-add", raw(deep)).expect_err("it is too deep").to_string();
    assert!(error.ends_with(" is nested too deep"), "{error}");
    let text = "Failed to find node with node-name='new'";
    bench.refuses("blockdev-del", &json!({"node-name": "new"}), GenericError, text);
    bench.ok("blockdev-add", raw(json!("there")));
}

#[test]
fn nodes_are_described_as_qemu_describes_them() {
    let bench = Bench::running();
    bench.ok("blockdev-add", file("f0"));
    bench.ok("blockdev-add", json!({"driver": "raw", "node-name": "r0", "file": "f0"}));
    assert_eq!(bench.ok("query-block", json!({})), json!([]));
    bench.ok("device_add", json!({"driver": "test-disk", "id": "d0", "drive": "/blockdevs/r0"}));
    let nodes = bench.ok("query-named-block-nodes", json!({"flat": true}));
    assert_eq!(nodes.as_array().map(Vec::len), Some(2));
    let expected = json!({
        "file": "/image",
        "node-name": "r0",
        "ro": false,
        "drv": "raw",
        "children": [{"child": "file", "node-name": "f0"}],
        "backing_file_depth": 0,
        "active": true,
        "encrypted": false,
        "detect_zeroes": "off",
        "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0,
        "image": {"filename": "/image", "format": "raw", "virtual-size": 4096},
        "cache": {"writeback": true, "direct": false, "no-flush": false},
        "write_threshold": 0,
    });
    assert_eq!(nodes[1], expected);
    let inserted = json!([{
        "device": "",
        "qdev": "/machine/peripheral/d0",
        "type": "unknown",
        "removable": false,
        "locked": false,
        "inserted": expected,
    }]);
    assert_eq!(bench.ok("query-block", json!({})), inserted);
}

#[test]
fn what_devices_ask_for_is_counted() {
    let bench = Bench::running();
    bench.ok("blockdev-add", file("f0"));
    assert_eq!(bench.ok("query-blockstats", json!({})), json!([]));
    bench.ok("device_add", json!({"driver": "test-disk", "id": "d0", "drive": "/blockdevs/f0"}));
    let told = &bench.ok("query-blockstats", json!({"query-nodes": false}))[0];
    assert_eq!(
        (&told["qdev"], &told["node-name"]),
        (&json!("/machine/peripheral/d0"), &json!("f0"))
    );
    let stats = &told["stats"];
    assert_eq!((&stats["rd_operations"], &stats["rd_bytes"]), (&json!(1), &json!(512)));
    assert_eq!((&stats["wr_operations"], &stats["wr_highest_offset"]), (&json!(0), &json!(0)));
    assert!(stats["rd_total_time_ns"].as_u64().is_some_and(|time| time > 0), "{stats}");
    let text = "Parameter 'query-nodes' expects 'false': requests are counted by device";
    let nodes = json!({"query-nodes": true});
    bench.refuses("query-blockstats", &nodes, GenericError, text);
}

#[test]
fn a_disk_gets_another_length_and_its_device_is_told() {
    let bench = Bench::running();
    bench.ok("blockdev-add", file("f0"));
    bench.ok("blockdev-add", json!({"driver": "raw", "node-name": "r0", "file": "f0"}));
    bench.ok("device_add", json!({"driver": "test-disk", "id": "d0", "drive": "/blockdevs/r0"}));
    bench.ok("block_resize", json!({"node-name": "r0", "size": 8192}));
    bench.ok("block_resize", json!({"device": "d0", "size": 16384}));
    let node = &bench.ok("query-named-block-nodes", json!({}))[0];
    assert_eq!(node["image"]["virtual-size"], 16384);
    assert_eq!(get(&bench, "/machine/peripheral/d0", "resizes"), json!(2));
    let resize = |name: &str, size: i64| json!({"node-name": name, "size": size});
    for (arguments, text) in [
        (resize("r0", -1), "Parameter 'size' expects a >0 size"),
        (resize("warp", 1), "Cannot find device='' nor node-name='warp'"),
        (json!({"size": 1}), "Cannot find device='' nor node-name=''"),
        (json!({"device": "d1", "size": 1}), "Cannot find device='d1' nor node-name=''"),
        (resize("f0", 1), "Node 'f0' is busy: '/blockdevs/r0' uses it"),
    ] {
        bench.refuses("block_resize", &arguments, GenericError, text);
    }
    bench.ok(
        "blockdev-add",
        json!({"driver": "file", "node-name": "ro", "filename": "/image",
                                    "read-only": true}),
    );
    bench.refuses("block_resize", &resize("ro", 1), GenericError, "Image is read-only");
}

#[test]
fn the_policy_sees_nodes_within_nodes() {
    let bench = Bench::running();
    let inner =
        json!({"driver": "raw", "probed": true, "file": {"driver": "file", "filename": "/i"}});
    let node = json!({"driver": "raw", "node-name": "r0", "file": inner});
    let text = "Property 'blockdev-raw.probed' with value 'true' is declared as insecure";
    bench.refuses("blockdev-add", &node, GenericError, text);
    let properties = json!({"file": node["file"]});
    let would_be = json!({"kind": "blockdev", "type": "raw", "id": "r0", "properties": properties});
    let answer = bench.ok("check-security", json!({"objects": [would_be]}));
    assert_eq!((&answer["holds"], &answer["invalid"]), (&json!(false), &json!([])));
    let paths: Vec<_> = answer["objects"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|object| {
            (object["path"].as_str().unwrap_or(""), object["verdict"].as_str().unwrap_or(""))
        })
        .collect();
    for expected in [
        ("/blockdevs/r0", "permitted"),
        ("/blockdevs/r0/file", "refused"),
        ("/blockdevs/r0/file/file", "permitted"),
    ] {
        assert!(paths.contains(&expected), "{expected:?} in {paths:?}");
    }
    let bench = Bench::with_policy(accept_all());
    bench.ok("blockdev-add", node);
    assert_eq!(bench.events()[0]["data"]["path"], "/blockdevs/r0/file");
}

#[test]
fn several_would_be_nodes_may_refer_to_each_other() {
    let bench = Bench::running();
    let file = json!({"kind": "blockdev", "type": "file", "id": "f0",
                      "properties": {"filename": "/image"}});
    let raw = json!({"kind": "blockdev", "type": "raw", "id": "r0", "properties": {"file": "f0"}});
    let lost = json!({"kind": "blockdev", "type": "raw", "id": "r1", "properties": {"file": "f9"}});
    let answer = bench.ok("check-security", json!({"objects": [file, raw]}));
    assert_eq!(answer["holds"], true, "{answer}");
    let answer = bench.ok("check-security", json!({"objects": [lost]}));
    assert_eq!(answer["invalid"][0]["reason"], "Cannot find device='f9' nor node-name='f9'");
}

/// A key or a word that may mean something to a node.
fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "driver",
        "node-name",
        "file",
        "filename",
        "raw",
        "there",
        "cache",
        "cache.direct",
        "direct",
        "read-only",
        "discard",
        "unmap",
        "probed",
        "file-node",
        "file-options",
        "type",
        "fails",
        "",
    ];
    prop_oneof![4 => prop::sample::select(KNOWN).prop_map(str::to_owned), 1 => "[ -~]{0,5}"]
}

/// Something like what a node is described by.
fn description() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        word().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            3 => prop::collection::vec((word(), inner.clone()), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            1 => prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

proptest! {
    #[test]
    fn any_description_is_answered_and_a_refused_one_leaves_nothing(
        members in prop::collection::vec((word(), description()), 0..5),
        named in any::<bool>(),
    ) {
        let bench = Bench::new();
        bench.ok("blockdev-add", file("there"));
        let before = bench.machine.paths();
        let mut arguments: Map<String, Value> = members.into_iter().collect();
        if named {
            arguments.insert("driver".to_owned(), "raw".into());
            arguments.insert("node-name".to_owned(), "new".into());
        }
        let name = arguments.get("node-name").cloned();
        match bench.run("blockdev-add", Value::Object(arguments)) {
            Ok(_) => drop(bench.ok("blockdev-del", json!({"node-name": name}))),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        prop_assert_eq!(bench.machine.paths(), before);
    }
}
