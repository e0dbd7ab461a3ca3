//! Disks of real monitors: every road to them, what is refused, and that nothing is left of it.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tests::{Finished, Running, Scratch, Vmm};

/// A monitor without a guest that a program controls over its standard streams.
const CONTROLLED: &str = "-machine none -qmp stdio";

/// What is said over such a monitor to these commands, which it is given at once; then it ends.
fn converse(vmm: &Vmm, commands: &[Value]) -> (Vec<Value>, Finished) {
    let mut running = vmm.start();
    give(&mut running, commands);
    let finished = running.finish().code(0);
    let said = finished.stdout();
    let answers = said.lines().map(|line| serde_json::from_str(line).expect("it is JSON"));
    let answers =
        answers.filter(|it: &Value| it.get("return").is_some() || it.get("error").is_some());
    // The first is to the handshake.
    (answers.skip(1).collect(), finished)
}

fn give(running: &mut Running, commands: &[Value]) {
    let first = json!({"execute": "qmp_capabilities"});
    let last = json!({"execute": "quit"});
    let all = std::iter::once(&first).chain(commands).chain([&last]);
    running.give(all.map(|command| format!("{command}\n")).collect::<String>().into_bytes());
}

fn command(name: &str, arguments: &Value) -> Value {
    json!({"execute": name, "arguments": arguments})
}

fn error(answer: &Value) -> &str {
    answer["error"]["desc"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

fn image(scratch: &Scratch, name: &str) -> String {
    scratch.file(name, [7; 4096]).display().to_string()
}

/// What a program is told of the nodes of a VM.
fn nodes(options: &[&str]) -> Vec<Value> {
    let vmm = Vmm::line(CONTROLLED).args(options);
    let (answers, _) = converse(&vmm, &[command("query-named-block-nodes", &json!({}))]);
    answers[0]["return"].as_array().expect("a list").clone()
}

#[test]
fn all_ways_to_write_a_node_make_the_same() {
    let scratch = Scratch::new();
    let path = image(&scratch, "image");
    let dotted = format!("raw,node-name=d0,offset=512,file.driver=file,file.filename={path}");
    let structure = json!({"driver": "raw", "node-name": "d0", "offset": 512,
                           "file": {"driver": "file", "filename": path}});
    let file = format!("file,filename={path},node-name=f0,discard=unmap");
    let by_name = "driver=raw,node-name=d0,offset=512,file=f0";
    for options in [
        vec!["-blockdev", &*dotted],
        vec!["-blockdev", &*structure.to_string()],
        vec!["-blockdev", &*file, "-blockdev", by_name],
    ] {
        let nodes = nodes(&options);
        let of =
            |driver: &str| nodes.iter().find(|node| node["drv"] == driver).expect("it is there");
        assert_eq!(nodes.len(), 2, "{nodes:?}");
        assert_eq!((&of("raw")["node-name"], &of("raw")["file"]), (&json!("d0"), &json!(path)));
        assert_eq!(of("raw")["image"]["virtual-size"], 3584);
        assert_eq!(of("file")["image"]["virtual-size"], 4096);
        assert_eq!(of("raw")["children"][0]["node-name"], of("file")["node-name"]);
    }
    let added = command("blockdev-add", &structure);
    let query = command("query-named-block-nodes", &json!({}));
    let (answers, _) = converse(&Vmm::line(CONTROLLED), &[added, query]);
    assert_eq!(answers[0], json!({"return": {}}));
    assert_eq!(answers[1]["return"][0]["image"]["virtual-size"], 3584);
    assert_eq!(fs::read(&path).expect("it is there"), [7; 4096]);
}

#[test]
fn a_drive_is_a_format_over_a_file() {
    let scratch = Scratch::new();
    let path = image(&scratch, "image");
    let drive = format!("if=none,id=hd0,file={path},format=raw,cache=none,readonly=on");
    let refused = Vmm::line("-machine none").args(["-drive", &drive]).run();
    refused.refuses_to_start(&format!(
        "-drive {drive}: Parameter 'readonly' is unexpected; did you mean 'read-only'?"
    ));
    let drive = format!("if=none,id=hd0,file={path},format=raw,cache=unsafe,read-only=on");
    let nodes = nodes(&["-drive", &drive]);
    assert_eq!((&nodes[0]["node-name"], &nodes[0]["drv"]), (&json!("hd0"), &json!("raw")));
    assert_eq!((&nodes[0]["ro"], &nodes[1]["ro"]), (&json!(true), &json!(true)));
    assert_eq!(nodes[1]["cache"]["no-flush"], true);
}

#[test]
fn a_drive_whose_format_is_guessed_is_refused_unless_that_is_permitted() {
    let scratch = Scratch::new();
    let path = image(&scratch, "image");
    let drive = format!("if=none,file={path}");
    let vmm = Vmm::line("-machine none").args(["-drive", &drive]);
    let refused = vmm.run().code(1);
    refused.complains(&format!(
        "-drive {drive}: Property 'blockdev-raw.probed' with value 'true' is declared as insecure"
    ));
    let permitted = ["-compat", "insecure-types=accept", "-drive", &drive];
    let nodes = nodes(&permitted);
    assert_eq!((&nodes[0]["node-name"], &nodes[0]["drv"]), (&json!("none0"), &json!("raw")));
    let missing = format!("if=none,file={path}.missing");
    let vmm = Vmm::line("-machine none").args(["-drive", &missing]);
    // What is refused is not even looked for.
    vmm.run().code(1).complains("Property 'blockdev-raw.probed' with value 'true'");
    vmm.and("-compat insecure-types=accept").run().refuses_to_start(&format!(
        "-drive {missing}: Could not open '{path}.missing': No such file or directory (os error 2)"
    ));
}

#[test]
fn what_is_wrong_with_a_node_is_told_at_its_option() {
    let scratch = Scratch::new();
    let path = image(&scratch, "image");
    let folder = scratch.path().display();
    for (option, value, problem) in [
        ("-blockdev", "node-name=d0".to_owned(), "Parameter 'driver' is missing".to_owned()),
        (
            "-blockdev",
            "null-co".to_owned(),
            "'node-name' must be specified for the root node".to_owned(),
        ),
        (
            "-blockdev",
            "null,node-name=d0".to_owned(),
            "Parameter 'driver' does not accept value 'null'".to_owned(),
        ),
        (
            "-blockdev",
            "null-co,node-name=d0,sise=1M".to_owned(),
            "Parameter 'sise' is unexpected; did you mean 'size'?".to_owned(),
        ),
        (
            "-blockdev",
            format!("file,node-name=d0,filename={path},locking=maybe"),
            "Parameter 'locking' does not accept value 'maybe' (expected auto, on or off)"
                .to_owned(),
        ),
        (
            "-blockdev",
            "raw,node-name=d0,file=f0".to_owned(),
            "Cannot find device='f0' nor node-name='f0'".to_owned(),
        ),
        (
            "-blockdev",
            format!("file,node-name=d0,filename={folder}"),
            format!("'file' driver requires '{folder}' to be a regular file"),
        ),
        (
            "-blockdev",
            "file,node-name=d0,filename=/dev/null".to_owned(),
            "'file' driver requires '/dev/null' to be a regular file".to_owned(),
        ),
        (
            "-drive",
            format!("file={path},format=raw,if=ide"),
            "if: expected none or virtio, given 'ide'".to_owned(),
        ),
        ("-drive", "if=none,id=d0".to_owned(), "Parameter 'file' is missing".to_owned()),
    ] {
        let vmm = Vmm::line("-machine none").args([option, &value]);
        vmm.run().refuses_to_start(&format!("{option} {value}: {problem}"));
    }
    Vmm::line("-machine none -blockdev null-co,node-name=a -blockdev null-co,node-name=a")
        .run()
        .refuses_to_start("-blockdev null-co,node-name=a: Duplicate nodes with node-name='a'");
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let path = image(&scratch, "image");
    let missing = scratch.path().join("missing").display().to_string();
    let file = |path: &str| json!({"driver": "file", "filename": path});
    let raw = |offset: u64, file: Value| {
        command(
            "blockdev-add",
            &json!({"driver": "raw", "node-name": "d0", "offset": offset, "file": file}),
        )
    };
    let probed =
        json!({"driver": "raw", "node-name": "d0", "probed": true, "file": file(&missing)});
    let commands = [
        raw(0, file(&missing)),
        raw(5000, file(&path)),
        command("blockdev-add", &probed),
        command("query-named-block-nodes", &json!({})),
        // Nobody has a lock on it.
        raw(0, file(&path)),
        command("blockdev-del", &json!({"node-name": "d0"})),
    ];
    let mut running = Vmm::line(CONTROLLED).start();
    let first = std::iter::once(json!({"execute": "qmp_capabilities"}));
    let said = |count: usize| {
        move |text: &str| {
            text.lines().filter(|it| it.contains("return") || it.contains("error")).count() == count
        }
    };
    let text: String = first.chain(commands.clone()).map(|it| format!("{it}\n")).collect();
    // The end of its input does not end the monitor, so that what it has open can be looked at.
    running.give(text.into_bytes());
    running.wait_until("all answers", said(7));
    assert!(!running.has_open(&path), "the image is open");
    assert!(!running.threads().iter().any(|name| name.starts_with("block")));
    assert!(!Path::new(&missing).exists(), "a file was created");
    assert_eq!(fs::read(&path).expect("it is there"), [7; 4096]);
    let (answers, _) = converse(&Vmm::line(CONTROLLED), &commands);
    assert!(error(&answers[0]).starts_with(&format!("Could not open '{missing}': No such file")));
    assert!(error(&answers[1]).starts_with("Offset (5000) cannot be greater than size"));
    assert_eq!(
        error(&answers[2]),
        "Property 'blockdev-raw.probed' with value 'true' is declared as insecure"
    );
    assert_eq!(answers[3], json!({"return": []}));
    assert_eq!((&answers[4], &answers[5]), (&json!({"return": {}}), &json!({"return": {}})));
}

#[test]
fn two_vms_do_not_write_to_one_image() {
    let scratch = Scratch::new();
    let path = image(&scratch, "image");
    let disk = format!("file,node-name=f0,filename={path}");
    let vmm = |more: &str| Vmm::line(CONTROLLED).args(["-blockdev", &format!("{disk}{more}")]);
    let mut first = vmm("").start();
    first.wait_for("QMP");
    assert!(first.has_open(&path));
    let locked = |more: &str, lock: &str| {
        vmm(more).run().refuses_to_start(&format!(
            "-blockdev {disk}{more}: Failed to get {lock} lock: is another process using the image \
             [{path}]?"
        ));
    };
    locked("", "\"write\"");
    locked(",read-only=on", "shared \"write\"");
    converse(&vmm(",locking=off"), &[]);
    // QEMU's tools keep to the same rules.
    let copy = scratch.path().join("copy");
    let mut qemu_img = Command::new("qemu-img");
    qemu_img.args(["convert", "-f", "raw", "-O", "raw", &path]).arg(&copy);
    let refused = qemu_img.output().expect("qemu-img is there: cargo xtask fetch installs it");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("Failed to get shared \"write\" lock"), "{said}");
    give(&mut first, &[]);
    first.finish().code(0);
    let mut reader = vmm(",read-only=on").start();
    reader.wait_for("QMP");
    converse(&vmm(",read-only=on"), &[]);
    locked("", "\"write\"");
    give(&mut reader, &[]);
    reader.finish().code(0);
    converse(&vmm(""), &[]);
}

#[test]
fn an_image_gets_another_length() {
    let scratch = Scratch::new();
    let path = image(&scratch, "image");
    let disk = format!("raw,node-name=d0,file.driver=file,file.filename={path}");
    let vmm = Vmm::line(CONTROLLED).args(["-blockdev", &disk]);
    let resize = |size: u64| command("block_resize", &json!({"node-name": "d0", "size": size}));
    let query = command("query-named-block-nodes", &json!({}));
    let (answers, _) = converse(&vmm, &[resize(1 << 20), query]);
    assert_eq!(answers[0], json!({"return": {}}));
    assert_eq!(answers[1]["return"][0]["image"]["virtual-size"], 1 << 20);
    assert_eq!(fs::metadata(&path).expect("it is there").len(), 1 << 20);
}

#[test]
fn check_tells_of_every_node() {
    let scratch = Scratch::new();
    let missing = scratch.path().join("missing").display().to_string();
    let disk = format!("raw,node-name=d0,file.driver=file,file.filename={missing}");
    // Nothing is opened.
    let checked = Vmm::line("check -machine none --json").args(["-blockdev", &disk]).run().code(0);
    let answer: Value = serde_json::from_str(&checked.stdout()).expect("it is JSON");
    let objects = answer["objects"].as_array().expect("a list");
    for (path, type_name) in
        [("/blockdevs/d0", "blockdev-raw"), ("/blockdevs/d0/file", "blockdev-file")]
    {
        let there = objects.iter().find(|object| object["path"] == path).expect("it is told of");
        assert_eq!((&there["type"], &there["security"]), (&json!(type_name), &json!("secure")));
        assert_eq!(
            (&there["boundaries"], &there["verdict"]),
            (&json!(["file"]), &json!("permitted"))
        );
    }
}
