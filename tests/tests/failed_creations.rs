//! What can't be created or removed: an error, and the tree, the descriptors and the threads are as
//! they were, however often it is tried.

use serde_json::{Value, json};
use tests::{
    Scratch, Vmm,
    qmp::{Monitored, error_of},
};

/// How often each is tried: a leak of one descriptor shows the second time.
const TRIES: usize = 5;

/// All that a failed attempt could leave behind.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    objects: Vec<String>,
    descriptors: Vec<String>,
    threads: Vec<String>,
    files: Vec<String>,
}

fn traces(vm: &mut Monitored) -> Traces {
    let objects = vm.qmp.tree();
    let mut threads = vm.running.threads();
    threads.sort_unstable();
    let files = std::fs::read_dir(vm.scratch().path()).expect("it is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("it can be read").file_name().to_string_lossy().into_owned()
    };
    let mut files: Vec<_> = files.map(name).collect();
    files.sort_unstable();
    Traces { objects, descriptors: vm.running.descriptors(), threads, files }
}

/// A VM with one object of each kind, which work together.
fn vm() -> Monitored {
    let scratch = Scratch::new();
    let folder = scratch.path().to_owned();
    let vmm = Vmm::line(
        "-machine microvm -accel qtest -machine prohibit-insecure=yes -nodefaults -S -m 16M \
         -object rng-builtin,id=there -chardev ringbuf,id=used -chardev null,id=free \
         -device isa-debugcon,id=console,chardev=used",
    );
    Monitored::of(vmm.within(folder), scratch)
}

/// Tries something over and over, and checks that it fails so and that nothing is left of it.
#[track_caller]
fn fails(vm: &mut Monitored, command: &str, arguments: &Value, text: &str) {
    let before = traces(vm);
    for _ in 0..TRIES {
        let request = json!({ "execute": command, "arguments": arguments });
        let (_, told) = error_of(&vm.qmp.ask(&request)).unwrap_or_else(|| panic!("{request}"));
        assert!(told.contains(text), "{request}: expected {text:?}, was told {told:?}");
        assert_eq!(traces(vm), before, "{request}");
    }
}

#[test]
fn a_second_object_of_an_id_leaves_the_first_as_it_is() {
    let mut vm = vm();
    for (command, arguments, text) in [
        (
            "object-add",
            json!({ "qom-type": "rng-builtin", "id": "there" }),
            "attempt to add duplicate property 'there' to object (type 'container')",
        ),
        (
            "chardev-add",
            json!({ "id": "used", "backend": { "type": "null", "data": {} } }),
            "Chardev with id 'used' already exists",
        ),
        (
            "device_add",
            json!({ "driver": "isa-debugcon", "id": "console" }),
            "Duplicate device ID 'console'",
        ),
    ] {
        fails(&mut vm, command, &arguments, text);
    }
    let chardev = vm.qmp.property("/machine/peripheral/console", "chardev");
    assert_eq!(chardev, json!("/chardevs/used"));
    vm.quit().code(0);
}

#[test]
fn a_type_that_there_is_not_or_of_another_kind_is_refused() {
    let mut vm = vm();
    for (command, arguments, text) in [
        ("object-add", json!({ "qom-type": "warp", "id": "x" }), "invalid object type: warp"),
        (
            "object-add",
            json!({ "qom-type": "isa-debugcon", "id": "x" }),
            "object type 'isa-debugcon' isn't supported by object-add",
        ),
        (
            "object-add",
            json!({ "qom-type": "rng-backend", "id": "x" }),
            "object type 'rng-backend' is abstract",
        ),
        (
            "device_add",
            json!({ "driver": "warp", "id": "x" }),
            "'warp' is not a valid device model",
        ),
        (
            "device_add",
            json!({ "driver": "rng-builtin", "id": "x" }),
            "'rng-builtin' is not a valid device model",
        ),
        (
            "device_add",
            json!({ "driver": "isa-device", "id": "x" }),
            "Parameter 'driver' expects a non-abstract device type",
        ),
        (
            "chardev-add",
            json!({ "id": "x", "backend": { "type": "warp", "data": {} } }),
            "Parameter 'backend.type' does not accept value 'warp'",
        ),
    ] {
        fails(&mut vm, command, &arguments, text);
    }
    vm.quit().code(0);
}

#[test]
fn a_link_to_nothing_or_to_the_wrong_type_is_refused() {
    let mut vm = vm();
    for (link, text) in [
        ("nowhere", "'nowhere'"),
        ("/chardevs/nowhere", "'/chardevs/nowhere'"),
        ("/objects/there", "expected: chardev, got: rng-builtin"),
        ("/machine", "expected: chardev, got: microvm-machine"),
    ] {
        let arguments =
            json!({ "driver": "isa-debugcon", "id": "x", "iobase": 0x500, "chardev": link });
        fails(&mut vm, "device_add", &arguments, text);
    }
    vm.quit().code(0);
}

#[test]
fn what_is_in_use_is_not_removed() {
    let mut vm = vm();
    fails(
        &mut vm,
        "chardev-remove",
        &json!({ "id": "used" }),
        "Chardev 'used' is busy: '/machine/peripheral/console' uses it",
    );
    fails(&mut vm, "object-del", &json!({ "id": "nobody" }), "object 'nobody' not found");
    fails(&mut vm, "device_del", &json!({ "id": "nobody" }), "Device 'nobody' not found");
    vm.quit().code(0);
}

#[test]
fn what_fails_on_the_way_is_undone() {
    let mut vm = vm();
    let missing = vm.scratch().path().join("no-folder/file").display().to_string();
    let taken = vm.socket().display().to_string();
    for (command, arguments, text) in [
        // The host refuses.
        (
            "chardev-add",
            json!({ "id": "x", "backend": { "type": "file", "data": { "out": missing } } }),
            "No such file or directory",
        ),
        (
            "object-add",
            json!({ "qom-type": "rng-random", "id": "x", "filename": "/dev/kmsg-that-is-not" }),
            "/dev/kmsg-that-is-not",
        ),
        // Somebody else has it.
        (
            "chardev-add",
            json!({ "id": "x", "backend": { "type": "socket", "data": {
                "addr": { "type": "unix", "data": { "path": taken } }, "wait": false,
            } } }),
            "somebody listens there",
        ),
        (
            "device_add",
            json!({ "driver": "isa-debugcon", "id": "x" }),
            "'/machine/peripheral/console'",
        ),
        // A value that the type does not take.
        (
            "object-add",
            json!({ "qom-type": "memory-backend-ram", "id": "x", "size": "many" }),
            "size",
        ),
        (
            "object-add",
            json!({ "qom-type": "memory-backend-file", "id": "x", "size": 4096, "mem-path": missing }),
            "no-folder",
        ),
        ("object-add", json!({ "qom-type": "iothread", "id": "x", "colour": 3 }), "colour"),
    ] {
        fails(&mut vm, command, &arguments, text);
    }
    vm.quit().code(0);
}

#[test]
fn a_start_that_fails_at_its_last_object_leaves_nothing_of_the_earlier_ones() {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let log = scratch.file("log", "kept");
    let socket = folder.join("socket");
    let vmm = Vmm::line("-machine none -nodefaults -chardev file,id=log,path=log")
        .args(["-chardev", "socket,id=s,path=socket,server=on,wait=off"])
        .args(["-object", "memory-backend-file,id=m,size=4096,mem-path=ram"])
        .and(
            "-object iothread,id=io -chardev file,id=new,path=new -device isa-debugcon,chardev=log",
        )
        .and("-device isa-debugcon,chardev=s")
        .within(folder);
    vmm.run().code(1).says_only("").complains("isa-debugcon");
    assert_eq!(std::fs::read_to_string(log).expect("it stays"), "kept");
    assert!(!socket.exists(), "the socket has gone");
    assert!(!folder.join("ram").exists(), "the memory's file has gone");
    assert!(!folder.join("new").exists(), "the file for output has gone");
}
