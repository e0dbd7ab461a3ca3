//! Objects that users create, at work in the whole program: guest memory from backends, threads.

use std::{fs, os::unix::fs::FileExt};

use rustix::process::Signal;
use serde_json::{Value, json};
use tests::{
    Scratch, Vmm, guest,
    qmp::Monitored,
    qtest::{PERMITTED, Qtest},
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What a guest writes to its memory, and where.
const MARK: (u32, u32) = (0x8f00, 0xfeed_c0de);

fn mark_at(file: &fs::File, offset: u64) -> u32 {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, offset).expect("it is as long as the guest's memory");
    u32::from_le_bytes(bytes)
}

#[test]
fn what_a_guest_writes_is_in_the_file_that_its_memory_is_shared_with() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::store(MARK.0, MARK.1, "written"));
    let ram = scratch.path().join("ram");
    let running = Vmm::line("-object memory-backend-file,id=ram0,size=16M,share=on,mem-path=ram")
        .and("-machine memory-backend=ram0")
        .within(scratch.path())
        .kernel(kernel)
        .start();
    running.wait_for("written");
    let file = fs::File::open(&ram).expect("it was made");
    assert_eq!(file.metadata().expect("it is open").len(), 16 * MIB);
    assert_eq!(mark_at(&file, MARK.0.into()), MARK.1);
    running.signal(Signal::TERM);
    running.finish().code(0);
    assert_eq!(mark_at(&file, MARK.0.into()), MARK.1, "it stays when the guest has gone");
    assert!(ram.exists());
}

#[test]
fn memory_with_a_descriptor_is_read_and_written_from_outside() {
    let object = "-object memory-backend-memfd,id=ram0,size=16M -machine memory-backend=ram0";
    let mut machine = Qtest::start(object);
    machine.ok("writel 0x8f00 0xfeedc0de");
    let file = machine.running.open("/memfd:ram0");
    assert_eq!(mark_at(&file, MARK.0.into()), MARK.1);
    file.write_all_at(&[1, 2, 3, 4], 16 * MIB - 4).expect("it is open");
    assert_eq!(machine.number("readl 0xfffffc"), 0x0403_0201);
}

#[test]
fn memory_beyond_3_gib_is_the_rest_of_the_same_backend() {
    let object = "-object memory-backend-memfd,id=ram0,size=3073M -machine memory-backend=ram0";
    let mut machine = Qtest::start(object);
    machine.ok("writel 0xbffffffc 0x11111111");
    machine.ok("writel 0x100000000 0x22222222");
    let file = machine.running.open("/memfd:ram0");
    assert_eq!(mark_at(&file, 3 * GIB - 4), 0x1111_1111);
    assert_eq!(mark_at(&file, 3 * GIB), 0x2222_2222);
    assert_eq!(machine.number("readl 0x1000ffffc"), 0, "it has 1 MiB there");
}

#[test]
fn firmware_has_memory_of_its_own_beside_a_backend() {
    let scratch = Scratch::new();
    let firmware = scratch.file("firmware", guest::firmware("from firmware"));
    let running = Vmm::line("-object memory-backend-ram,id=ram0,size=16M")
        .and("-machine memory-backend=ram0")
        .args(["-bios".as_ref(), firmware.as_os_str()])
        .start();
    running.wait_for("from firmware");
}

#[test]
fn a_guest_runs_again_in_the_same_memory_after_a_reset() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(guest::count_resets(guest::Reset::TripleFault));
    let running = Vmm::line("-object memory-backend-memfd,id=ram0,size=16M")
        .and("-machine memory-backend=ram0")
        .kernel(kernel)
        .start();
    // What its file has is loaded again each time, and its zeroed memory cleared.
    running.wait_for("00\n00\n00\n");
}

#[test]
fn the_machine_has_as_much_memory_as_its_backend() {
    let machine = "-accel qtest -nodefaults -S -machine memory-backend=ram0,prohibit-insecure=yes";
    for more in ["", "-m 24M"] {
        let vmm = Vmm::line(machine).and("-object memory-backend-ram,id=ram0,size=24M").and(more);
        let mut monitored = Monitored::of(vmm, Scratch::new());
        let summary = monitored.qmp.execute("query-memory-size-summary", json!({}));
        assert_eq!(summary["base-memory"], 24 * MIB, "{more}");
        let backend = monitored.qmp.property("/machine", "memory-backend");
        assert_eq!(backend, "/objects/ram0");
        let in_use = monitored.qmp.refused("object-del", json!({"id": "ram0"}));
        assert_eq!(in_use.1, "object 'ram0' is in use by '/machine', can not be deleted");
        monitored.quit().code(0);
    }
}

#[test]
fn a_backend_that_does_not_fit_is_refused_before_anything_starts() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("rom"), vec![0; 16 << 20]).expect("there is room");
    let driven = format!("-accel qtest {PERMITTED}");
    let backend = "-object memory-backend-ram,id=ram0,size=16M";
    for (options, place, problem) in [
        (
            format!("{backend} {driven} -m 32M -machine memory-backend=ram0"),
            "-machine memory-backend=ram0",
            "'/objects/ram0' has 16 MiB, but the guest's memory is to be 32 MiB",
        ),
        (
            format!("{backend} {driven} -machine memory-backend=ram1"),
            "-machine memory-backend=ram1",
            "Parameter 'memory-backend' refers to '/objects/ram1', which does not exist; did you \
             mean '/objects/ram0'?",
        ),
        (
            format!("-object rng-builtin,id=rng0 {driven} -machine memory-backend=rng0"),
            "-machine memory-backend=rng0",
            "Invalid parameter type for 'memory-backend', expected: memory-backend, got: \
             rng-builtin",
        ),
        (
            format!(
                "-object memory-backend-ram,id=ram0,size=1M {driven} -machine memory-backend=ram0"
            ),
            "-machine memory-backend=ram0",
            "RAM of 1 MiB is below the board's least size of 2 MiB",
        ),
        (
            format!("{backend} -machine none,memory-backend=ram0"),
            "-machine none,memory-backend=ram0",
            "no guest runs here that needs memory",
        ),
        (
            format!(
                "-object memory-backend-file,id=ram0,size=16M,mem-path=rom,readonly=on {driven} \
                 -machine memory-backend=ram0"
            ),
            "-machine memory-backend=ram0",
            "the backend's memory can't be written to: expected rom=off",
        ),
    ] {
        let ended = Vmm::line(&options).within(scratch.path()).run();
        ended.refuses_to_start(&format!("{place}: {problem}"));
    }
}

#[test]
fn a_file_that_a_failed_start_has_made_goes_with_it() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("empty"), b"").expect("there is room");
    for (file, left) in [("new", None), ("empty", Some(0))] {
        let object = format!("-object memory-backend-file,id=ram0,size=16M,mem-path={file}");
        // The second serial port is where the first is.
        Vmm::line(&object)
            .and("-accel qtest -machine prohibit-insecure=yes,memory-backend=ram0")
            .and("-chardev null,id=c0 -serial chardev:c0 -device isa-serial")
            .within(scratch.path())
            .run()
            .code(1);
        let length = fs::metadata(scratch.path().join(file)).ok().map(|status| status.len());
        assert_eq!(length, left, "{file}");
    }
}

#[test]
fn files_of_objects_that_are_added_stay() {
    let vmm = Vmm::line("-machine none -nodefaults -S");
    let scratch = Scratch::new();
    let folder = scratch.path().to_owned();
    let mut monitored = Monitored::of(vmm.within(&folder), scratch);
    let file = folder.join("ram");
    let add = json!({
        "qom-type": "memory-backend-file",
        "id": "ram0",
        "mem-path": "ram",
        "size": 4 * MIB,
        "share": true,
    });
    monitored.qmp.execute("object-add", add);
    monitored.qmp.execute("object-del", json!({"id": "ram0"}));
    assert_eq!(fs::metadata(file).expect("it stays").len(), 4 * MIB);
    monitored.quit().code(0);
}

/// The threads that the monitor tells of, by id.
fn iothreads(monitored: &mut Monitored) -> Vec<(String, i64)> {
    let told = monitored.qmp.execute("query-iothreads", json!({}));
    let all = told.as_array().expect("it is a list");
    let one = |info: &Value| {
        assert_eq!(info["poll-max-ns"], 0, "it does not poll");
        let id = info["id"].as_str().expect("it has an id").to_owned();
        (id, info["thread-id"].as_i64().expect("it is a number"))
    };
    all.iter().map(one).collect()
}

#[test]
fn a_thread_is_there_from_its_creation_to_its_deletion() {
    let mut monitored = Monitored::start("-machine none -nodefaults -S -object iothread,id=io0");
    let add = |id| json!({"qom-type": "iothread", "id": id});
    monitored.qmp.execute("object-add", add("io1"));
    let all = iothreads(&mut monitored);
    assert_eq!(all.iter().map(|(id, _)| &**id).collect::<Vec<_>>(), ["io0", "io1"]);
    for (id, number) in &all {
        assert_eq!(monitored.running.thread(*number), Some(format!("IO {id}")));
        let shown = monitored.qmp.property(&format!("/objects/{id}"), "thread-id");
        assert_eq!(shown, *number);
    }
    let twice = monitored.qmp.refused("object-add", add("io1"));
    let text = "attempt to add duplicate property 'io1' to object (type 'container')";
    assert_eq!(twice.1, text);
    let named = |monitored: &Monitored| {
        let mut names = monitored.running.threads();
        names.retain(|name| name.starts_with("IO "));
        names.sort();
        names
    };
    assert_eq!(named(&monitored), ["IO io0", "IO io1"], "the refused one left none");
    monitored.qmp.execute("object-del", json!({"id": "io0"}));
    assert_eq!(named(&monitored), ["IO io1"]);
    assert_eq!(iothreads(&mut monitored), all[1..]);
    monitored.quit().code(0);
}

#[test]
fn what_a_process_without_descriptors_cannot_create_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let folder = scratch.path().to_owned();
    let vmm = Vmm::line("-machine none -nodefaults -S").within(&folder);
    let mut monitored = Monitored::of(vmm, scratch);
    // What is opened when something is first created stays.
    monitored.qmp.execute("object-add", json!({"qom-type": "rng-builtin", "id": "first"}));
    let objects = [
        json!({"qom-type": "iothread", "id": "new"}),
        json!({"qom-type": "throttle-group", "id": "new"}),
        json!({"qom-type": "rng-random", "id": "new"}),
        json!({"qom-type": "memory-backend-memfd", "id": "new", "size": MIB}),
        json!({
            "qom-type": "memory-backend-file", "id": "new", "size": MIB, "mem-path": "ram",
        }),
    ];
    let state = |monitored: &mut Monitored| {
        let tree = monitored.qmp.execute("qom-list", json!({"path": "/objects"}));
        let files = fs::read_dir(&folder).expect("it is there").count();
        (monitored.running.descriptors(), monitored.running.threads().len(), tree, files)
    };
    let before = state(&mut monitored);
    monitored.running.take_descriptors(true);
    for object in &objects {
        let (class, text) = monitored.qmp.refused("object-add", object.clone());
        assert_eq!(class, "GenericError", "{object}");
        assert!(text.contains("Too many open files"), "{object}: {text}");
        assert_eq!(state(&mut monitored), before, "{object}");
    }
    monitored.running.take_descriptors(false);
    for object in objects {
        monitored.qmp.execute("object-add", object);
        monitored.qmp.execute("object-del", json!({"id": "new"}));
    }
    let after = state(&mut monitored);
    assert_eq!((after.0, after.1, after.2), (before.0, before.1, before.2));
    monitored.quit().code(0);
}

#[test]
fn limits_are_given_and_changed_by_a_monitor() {
    let options = "-machine none -nodefaults -S -object throttle-group,id=t0,x-iops-total=10";
    let json_form = r#"{"qom-type":"throttle-group","id":"t1","limits":{"bps-read":5}}"#;
    let nested = "-object throttle-group,id=t2,limits.iops-read=6,limits.iops-read-max=7";
    let vmm = Vmm::line(options).args(["-object", json_form]).and(nested);
    let mut monitored = Monitored::of(vmm, Scratch::new());
    let qmp = &mut monitored.qmp;
    assert_eq!(qmp.property("/objects/t0", "limits")["iops-total"], 10);
    assert_eq!(qmp.property("/objects/t1", "limits")["bps-read"], 5);
    let set = |limits: Value| json!({"path": "/objects/t0", "property": "limits", "value": limits});
    qmp.execute("qom-set", set(json!({"bps-total": 7, "bps-total-max": 8})));
    let limits = qmp.property("/objects/t0", "limits");
    assert_eq!((&limits["bps-total-max"], &limits["iops-total"]), (&json!(8), &json!(0)));
    let refused = qmp.refused("qom-set", set(json!({"bps-total": 7, "bps-write": 8})));
    let text = "Parameter 'limits' has 'bps-total' for both directions together and 'bps-write' \
                for one: expected one or the other";
    assert_eq!(refused.1, text);
    monitored.quit().code(0);
}

#[test]
fn memory_is_left_out_of_core_dumps_if_it_is_to_be() {
    for (dump, left_out) in [("on", false), ("off", true)] {
        let object = format!("-object memory-backend-memfd,id=ram0,size=16M,dump={dump}");
        let machine = Qtest::start(&format!("{object} -machine memory-backend=ram0"));
        let maps = machine.running.mappings();
        let mut of_memory = maps.lines().skip_while(|line| !line.contains("/memfd:ram0"));
        let flags = of_memory.find_map(|line| line.strip_prefix("VmFlags:"));
        let flags = flags.expect("the kernel tells them");
        assert_eq!(flags.contains(" dd"), left_out, "dump={dump}: {flags}");
    }
}

#[test]
fn keys_that_describe_no_structure_are_refused() {
    for (keys, problem) in [
        (
            "limits.iops-total=x",
            "Parameter 'limits' expects 'iops-total' to be an integer from 0, got '\"x\"'",
        ),
        (
            "limits=1,limits.iops-total=2",
            "limits: expected either a value or keys below it, given both",
        ),
        ("limits.warp=2", "Parameter 'limits' has no limit 'warp'"),
        ("x.y=2", "Property 'throttle-group.x' not found"),
    ] {
        let object = format!("throttle-group,id=t0,{keys}");
        let ended = Vmm::line("-machine none -object").args([&object]).run();
        ended.refuses_to_start(&format!("-object {object}: {problem}"));
    }
}

#[test]
fn insecure_values_are_refused_by_name() {
    let scratch = Scratch::new();
    scratch.file("open", vec![0; 4096]);
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(scratch.path().join("open"), everybody).expect("it is ours");
    for (object, property) in [
        ("memory-backend-ram,id=a,size=4k,merge=on", "memory-backend-ram.merge"),
        ("memory-backend-memfd,id=a,size=4k,seal=off", "memory-backend-memfd.seal"),
        ("memory-backend-file,id=a,size=4k,mem-path=open", "memory-backend-file.mem-path"),
        ("rng-random,id=a,filename=open", "rng-random.filename"),
    ] {
        Vmm::line("-machine none -object")
            .args([object])
            .within(scratch.path())
            .run()
            .code(1)
            .complains(&format!("Property '{property}' with value"));
    }
}
