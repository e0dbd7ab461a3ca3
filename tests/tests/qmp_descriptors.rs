//! Descriptors that a client passes over its monitor's socket: kept by name and in sets, judged by
//! what they are, given back when the client says so.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    Scratch, Vmm, palisade,
    qmp::{Monitored, Qmp, error_of},
    qtest::{PERMITTED, Qtest},
};

/// A machine that is nothing but its monitor.
const NO_MACHINE: &str = "-nodefaults -machine none";

/// Gives a command, with a descriptor, that succeeds. What it returns.
#[track_caller]
fn pass(client: &mut Qmp, command: &str, arguments: Value, descriptor: impl AsFd) -> Value {
    let message = json!({ "execute": command, "arguments": arguments });
    let mut answer = client.pass(&message, &[descriptor.as_fd()]);
    match answer.get_mut("return") {
        Some(value) => value.take(),
        None => panic!("{message}: {answer}"),
    }
}

#[track_caller]
fn is_refused(client: &mut Qmp, command: &str, arguments: Value, text: &str) {
    let expected = ("GenericError".to_owned(), text.to_owned());
    assert_eq!(client.refused(command, arguments), expected, "{command}");
}

fn sets(client: &mut Qmp) -> Value {
    client.execute("query-fdsets", json!({}))
}

fn file_backend(path: &str) -> Value {
    json!({ "id": "f", "backend": { "type": "file", "data": { "out": path } } })
}

fn socket_backend(name: &str, server: bool) -> Value {
    let address = json!({ "type": "fd", "data": { "str": name } });
    let data = json!({ "addr": address, "server": server });
    json!({ "id": "s", "backend": { "type": "socket", "data": data } })
}

/// Devices that are driven, and a client of the monitor beside.
fn driven() -> (Qtest, Qmp) {
    let scratch = Scratch::new();
    let socket = scratch.path().join("qmp");
    let vmm = Vmm::line("-accel qtest -nodefaults -S").and(PERMITTED).monitor(&socket);
    let machine = Qtest::of(vmm, scratch);
    let client = Qmp::connect(&socket);
    (machine, client)
}

/// Has a device write to the stream.
fn write_through(machine: &mut Qtest, client: &mut Qmp, chardev: &str, text: &str) {
    let device = json!({ "driver": "isa-debugcon", "id": "d", "chardev": chardev });
    client.execute("device_add", device);
    for byte in text.bytes() {
        machine.ok(&format!("outb 0xe9 {byte}"));
    }
    client.execute("device_del", json!({ "id": "d" }));
}

#[test]
fn a_descriptor_is_kept_by_its_name_until_it_is_closed() {
    let mut vm = Monitored::start(NO_MACHINE);
    let before = vm.running.descriptors();
    let client = &mut vm.qmp;
    let null = File::open("/dev/null").expect("it is there");
    assert_eq!(pass(client, "getfd", json!({ "fdname": "a" }), &null), json!({}));
    pass(client, "getfd", json!({ "fdname": "b" }), &null);
    // In place of the one before.
    pass(client, "getfd", json!({ "fdname": "b" }), &null);
    client.execute("closefd", json!({ "fdname": "a" }));
    let gone = "File descriptor named 'a' not found";
    is_refused(client, "closefd", json!({ "fdname": "a" }), gone);
    client.execute("closefd", json!({ "fdname": "b" }));
    is_refused(
        client,
        "getfd",
        json!({ "fdname": "c" }),
        "No file descriptor supplied via SCM_RIGHTS",
    );
    let message = json!({ "execute": "getfd", "arguments": { "fdname": "1c" } });
    let answer = client.pass(&message, &[null.as_fd()]);
    let text = "Parameter 'fdname' expects a name not starting with a digit";
    assert_eq!(error_of(&answer).map(|(_, text)| text).as_deref(), Some(text));
    // What came with a command that was refused is not the next one's.
    is_refused(
        client,
        "getfd",
        json!({ "fdname": "c" }),
        "No file descriptor supplied via SCM_RIGHTS",
    );
    assert_eq!(vm.running.descriptors(), before);
}

#[test]
fn sets_are_filled_listed_and_emptied() {
    let mut vm = Monitored::start(NO_MACHINE);
    let before = vm.running.descriptors();
    let client = &mut vm.qmp;
    let null = File::open("/dev/null").expect("it is there");
    assert_eq!(sets(client), json!([]));
    let first = pass(client, "add-fd", json!({}), &null);
    assert_eq!(first["fdset-id"], 0, "the first number that is free");
    let arguments = json!({ "fdset-id": 0, "opaque": "rdonly:/dev/null" });
    let second = pass(client, "add-fd", arguments, &null);
    let third = pass(client, "add-fd", json!({ "fdset-id": 7 }), &null);
    let (first, second, third) = (&first["fd"], &second["fd"], &third["fd"]);
    let all = json!([
        { "fdset-id": 0, "fds": [{ "fd": first }, { "fd": second, "opaque": "rdonly:/dev/null" }] },
        { "fdset-id": 7, "fds": [{ "fd": third }] },
    ]);
    assert_eq!(sets(client), all);
    for (arguments, text) in [
        (json!({ "fdset-id": 1 }), "File descriptor named 'fdset-id:1' not found"),
        (
            json!({ "fdset-id": 0, "fd": 999 }),
            "File descriptor named 'fdset-id:0, fd:999' not found",
        ),
        (json!({ "fdset-id": -1 }), "Parameter 'fdset-id' expects a non-negative value"),
    ] {
        is_refused(client, "remove-fd", arguments, text);
    }
    is_refused(client, "add-fd", json!({}), "No file descriptor supplied via SCM_RIGHTS");
    assert_eq!(sets(client), all);
    client.execute("remove-fd", json!({ "fdset-id": 0, "fd": first }));
    let rest = json!([
        { "fdset-id": 0, "fds": [{ "fd": second, "opaque": "rdonly:/dev/null" }] },
        { "fdset-id": 7, "fds": [{ "fd": third }] },
    ]);
    assert_eq!(sets(client), rest);
    client.execute("remove-fd", json!({ "fdset-id": 0 }));
    client.execute("remove-fd", json!({ "fdset-id": 7, "fd": third }));
    assert_eq!(sets(client), json!([]));
    assert_eq!(vm.running.descriptors(), before);
}

#[test]
fn a_stream_writes_to_a_descriptor_of_a_set_where_its_user_was() {
    let (mut machine, mut client) = driven();
    let folder = Scratch::new();
    let path = folder.file("log", "before, and more");
    let mut file = File::options().write(true).open(&path).expect("it is ours");
    file.seek(SeekFrom::Start(8)).expect("it is a file");
    // Only one of them can be written to.
    let readable = File::open(&path).expect("it is ours");
    pass(&mut client, "add-fd", json!({ "fdset-id": 3 }), &readable);
    let text = "can't open '/dev/fdset/3': set 3 has no descriptor that is open for writing";
    is_refused(&mut client, "chardev-add", file_backend("/dev/fdset/3"), text);
    pass(&mut client, "add-fd", json!({ "fdset-id": 3 }), &file);
    client.execute("chardev-add", file_backend("/dev/fdset/3"));
    // The stream has its own.
    client.execute("remove-fd", json!({ "fdset-id": 3 }));
    write_through(&mut machine, &mut client, "/chardevs/f", "after");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "before, afterore");
    client.execute("chardev-remove", json!({ "id": "f" }));
    let text = "can't open '/dev/fdset/3': there is no set 3 of descriptors";
    is_refused(&mut client, "chardev-add", file_backend("/dev/fdset/3"), text);
    assert!(!fs::exists("/dev/fdset").expect("it can be looked for"), "nothing was created");
}

#[test]
fn a_socket_in_a_set_is_no_file() {
    let mut vm = Monitored::start(NO_MACHINE);
    let listener = TcpListener::bind("0.0.0.0:0").expect("there are ports");
    pass(&mut vm.qmp, "add-fd", json!({ "fdset-id": 0 }), &listener);
    let before = vm.running.descriptors();
    let (_, text) = vm.qmp.refused("chardev-add", file_backend("/dev/fdset/0"));
    assert!(text.starts_with("can't open '/dev/fdset/0': "), "{text}");
    for path in ["/dev/fdset/", "/dev/fdset/x", "/dev/fdset/-1", "/dev/fdset/99999999999"] {
        let text = format!("can't open '{path}': expected a number after /dev/fdset/");
        is_refused(&mut vm.qmp, "chardev-add", file_backend(path), &text);
    }
    assert_eq!(vm.running.descriptors(), before);
}

#[test]
fn a_socket_is_made_of_a_named_descriptor_and_judged_by_what_that_is() {
    let (mut machine, mut client) = driven();
    let (mut mine, theirs) = UnixStream::pair().expect("there are descriptors");
    pass(&mut client, "getfd", json!({ "fdname": "pair" }), &theirs);
    client.execute("chardev-add", socket_backend("pair", false));
    drop(theirs);
    // It is judged by its number as long as it exists, so that its number stays its own.
    client.execute("closefd", json!({ "fdname": "pair" }));
    let number = client.property("/chardevs/s", "fd");
    let other = File::open("/dev/null").expect("it is there");
    let added = pass(&mut client, "add-fd", json!({}), &other);
    assert_ne!(added["fd"], number);
    client.execute("set-security-policy", json!({ "prohibit-insecure": true }));
    write_through(&mut machine, &mut client, "/chardevs/s", "hello");
    let mut said = [0; 5];
    mine.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a socket");
    mine.read_exact(&mut said).expect("it is written to");
    assert_eq!(&said, b"hello");
    client.execute("chardev-remove", json!({ "id": "s" }));
    let missing = "File descriptor named 'pair' not found";
    is_refused(&mut client, "chardev-add", socket_backend("pair", false), missing);
}

#[test]
fn a_socket_that_leaves_the_host_is_refused_whatever_its_descriptor_is_called() {
    let mut vm = Monitored::start(NO_MACHINE);
    let exposed = TcpListener::bind("0.0.0.0:0").expect("there are ports");
    let local = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    pass(&mut vm.qmp, "getfd", json!({ "fdname": "exposed" }), &exposed);
    pass(&mut vm.qmp, "getfd", json!({ "fdname": "local" }), &local);
    let before = vm.running.descriptors();
    let (_, text) = vm.qmp.refused("chardev-add", socket_backend("exposed", true));
    assert!(text.starts_with("Property 'chardev-socket.fd' with value '"), "{text}");
    assert!(text.ends_with("' is declared as insecure"), "{text}");
    assert_eq!(vm.running.descriptors(), before, "what was passed stays, and nothing else");
    vm.qmp.execute("closefd", json!({ "fdname": "exposed" }));
    vm.qmp.execute("chardev-add", socket_backend("local", true));
}

#[test]
fn descriptors_that_no_command_takes_are_few_and_go_with_their_client() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("other");
    let vm = Monitored::of(Vmm::line(NO_MACHINE).monitor(&socket), scratch);
    let before = vm.running.descriptors();
    let mut client = Qmp::connect(&socket);
    let null = File::open("/dev/null").expect("it is there");
    let many: Vec<BorrowedFd<'_>> = (0..50).map(|_| null.as_fd()).collect();
    for _ in 0..20 {
        let answer = client.pass(&json!({ "execute": "query-name" }), &many);
        assert_eq!(answer, json!({ "return": {} }));
    }
    let now = vm.running.descriptors().len();
    assert!(now <= before.len() + 1 + 16, "{} descriptors, then {now}", before.len());
    client.end_input();
    assert_eq!(client.line(), None);
    // The monitor hangs up before it closes.
    let mut rounds = 0;
    while vm.running.descriptors() != before {
        rounds += 1;
        assert!(rounds < 10_000, "{:?} before, now {:?}", before, vm.running.descriptors());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_serial_port_s_peer_passes_none() {
    let (mut machine, mut client) = driven();
    let folder = Scratch::new();
    let path = folder.path().join("serial");
    let address = json!({ "type": "unix", "data": { "path": path } });
    let data = json!({ "addr": address, "server": true, "wait": false });
    let backend = json!({ "type": "socket", "data": data });
    client.execute("chardev-add", json!({ "id": "s", "backend": backend }));
    let device = json!({ "driver": "isa-serial", "id": "d", "chardev": "/chardevs/s" });
    client.execute("device_add", device);
    let mut peer = UnixStream::connect(&path).expect("it listens");
    peer.write_all(b"a").expect("it is read");
    while machine.number("inb 0x3fd") & 1 == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let before = machine.running.descriptors();
    assert_eq!(machine.number("inb 0x3f8"), u64::from(b'a'));
    let null = File::open("/dev/null").expect("it is there");
    tests::qmp::send_with(&peer, b"b", &[null.as_fd()]);
    while machine.number("inb 0x3fd") & 1 == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(machine.number("inb 0x3f8"), u64::from(b'b'));
    assert_eq!(machine.running.descriptors(), before);
}

/// Numbers of the sockets that a process has.
fn sockets(descriptors: &[String]) -> Vec<&str> {
    let socket = |descriptor: &'_ String| descriptor.contains(" socket:");
    let numbers = descriptors.iter().filter(|it| socket(it)).filter_map(|it| it.split(' ').next());
    numbers.collect()
}

#[test]
fn nobody_reaches_the_program_s_own_descriptors_by_their_numbers() {
    let scratch = Scratch::new();
    let idle = scratch.path().join("other");
    let mut vm = Monitored::of(Vmm::line(NO_MACHINE).monitor(&idle), scratch);
    let chardevs = vm.qmp.execute("query-chardev", json!({}));
    let before = vm.running.descriptors();
    let sockets = sockets(&before);
    assert!(sockets.len() >= 3, "two monitors' listeners and a client: {before:?}");
    let why = "the process was not started with that descriptor, and no client passed it";
    let (mut refused, roles) = (0, ["only a server can", "a server needs"]);
    for number in &sockets {
        for server in [true, false] {
            let (_, text) = vm.qmp.refused("chardev-add", socket_backend(number, server));
            assert!(text.contains(why) || roles.iter().any(|it| text.contains(it)), "{text}");
            refused += usize::from(text.contains(why));
            let netdev = json!({
                "type": "stream", "id": "n", "server": server,
                "addr": { "type": "fd", "str": number },
            });
            let (_, text) = vm.qmp.refused("netdev_add", netdev);
            assert!(text.contains(why) || roles.iter().any(|it| text.contains(it)), "{text}");
            refused += usize::from(text.contains(why));
        }
    }
    assert_eq!(refused, sockets.len() * 2, "each of them in its role");
    assert_eq!(vm.running.descriptors(), before);
    assert_eq!(vm.qmp.execute("query-chardev", json!({})), chardevs);
    let other = Qmp::connect(&idle).execute("query-name", json!({}));
    assert_eq!(other, json!({}), "the listener is the monitor's");
}

#[test]
fn a_passed_descriptor_may_be_given_by_its_number_while_it_is_open() {
    let mut vm = Monitored::start(NO_MACHINE);
    let (_mine, theirs) = UnixStream::pair().expect("there are descriptors");
    let before = vm.running.descriptors();
    pass(&mut vm.qmp, "getfd", json!({ "fdname": "pair" }), &theirs);
    let now = vm.running.descriptors();
    let new: Vec<_> = now.iter().filter(|it| !before.contains(it)).cloned().collect();
    let new = sockets(&new).first().map(|number| (*number).to_owned()).expect("it was passed");
    vm.qmp.execute("chardev-add", socket_backend(&new, false));
    vm.qmp.execute("closefd", json!({ "fdname": "pair" }));
    // It is judged by its number as long as it exists.
    assert!(vm.running.descriptors().iter().any(|it| it.starts_with(&format!("{new} socket:"))));
    vm.qmp.execute("chardev-remove", json!({ "id": "s" }));
}

#[test]
fn a_monitor_s_command_waits_for_no_peer() {
    let scratch = Scratch::new();
    let (path, idle) = (scratch.path().join("stream"), scratch.path().join("other"));
    let mut vm = Monitored::of(Vmm::line(NO_MACHINE).monitor(&idle), scratch);
    let address = json!({ "type": "unix", "data": { "path": path } });
    let backend = |wait: bool| {
        let data = json!({ "addr": address, "server": true, "wait": wait });
        json!({ "id": "s", "backend": { "type": "socket", "data": data } })
    };
    let text = "Parameter 'wait' expects 'false' for a VM that exists: its monitors would wait for \
                the first peer too";
    is_refused(&mut vm.qmp, "chardev-add", backend(true), text);
    assert!(!path.exists(), "nothing listens");
    let mut other = Qmp::connect(&idle);
    other.execute("object-add", json!({ "qom-type": "rng-builtin", "id": "r" }));
    vm.qmp.execute("chardev-add", backend(false));
    vm.quit().code(0);
}

/// `palisade`, started with a descriptor 9 that appends to that file, and none from 3 to 8.
fn with_log(log: &std::path::Path, options: &str) -> Vmm {
    let closed = "3>&- 4>&- 5>&- 6>&- 7>&- 8>&-";
    let script = format!("exec \"$0\" \"$@\" {closed} 9>>{}", log.display());
    Vmm::of("sh", ["-c".into(), script, palisade().display().to_string()]).and(options)
}

#[test]
fn a_descriptor_that_the_process_was_started_with_goes_into_a_set() {
    let scratch = Scratch::new();
    let log = scratch.file("log", "before, ");
    let kernel = scratch.guest(tests::guest::power_off("after"));
    let vmm = with_log(&log, "-m 16M -nodefaults -add-fd fd=9,set=2,opaque=log");
    let vmm = vmm.and("-chardev file,id=f,path=/dev/fdset/2 -serial chardev:f").kernel(&kernel);
    vmm.run().code(0).complains_only(&[]);
    assert_eq!(fs::read_to_string(&log).expect("it is there"), "before, after");
    let mut vm =
        Monitored::of(with_log(&log, NO_MACHINE).and("-add-fd fd=9,set=2,opaque=log"), scratch);
    let listed = sets(&mut vm.qmp);
    assert_eq!(listed[0]["fdset-id"], 2);
    assert_eq!(listed[0]["fds"][0]["opaque"], "log");
    vm.qmp.execute("remove-fd", json!({ "fdset-id": 2 }));
    assert_eq!(sets(&mut vm.qmp), json!([]));
}

#[test]
fn only_descriptors_that_the_process_was_started_with_are_taken() {
    let scratch = Scratch::new();
    let log = scratch.file("log", "");
    for (fd, why) in [
        ("fd=900", "fd: the process was started with no descriptor 900"),
        ("fd=2", "fd: expected a descriptor other than the standard streams, given '2'"),
    ] {
        let option = format!("-add-fd {fd},set=0");
        let vmm = with_log(&log, NO_MACHINE).and(&option);
        vmm.run().code(1).complains(&format!("{option}: {why}"));
    }
    // Nothing that the program opens itself passes for one of them.
    for fd in 3..9 {
        let option = format!("-add-fd fd=9,set=0 -add-fd fd={fd},set=0");
        let vmm = with_log(&log, NO_MACHINE).and(&option);
        let why = format!("fd: the process was started with no descriptor {fd}");
        vmm.run().code(1).complains(&why);
    }
}

/// `palisade`, started with a descriptor 9 that reads from that file, as set 2.
fn with_file(file: &std::path::Path, options: &str) -> Vmm {
    let script = format!("exec \"$0\" \"$@\" 9<{}", file.display());
    let vmm = Vmm::of("sh", ["-c".into(), script, palisade().display().to_string()]);
    vmm.and(options).and("-add-fd fd=9,set=2")
}

#[test]
fn a_kernel_is_looked_at_and_loaded_from_one_descriptor() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(tests::guest::power_off("from a set"));
    let vmm = with_file(&kernel, "-m 16M -nodefaults -serial stdio");
    vmm.kernel("/dev/fdset/2").run().code(0).says("from a set");
    let none = with_file(&kernel, "-m 16M -nodefaults").kernel("/dev/fdset/3");
    none.run().code(1).complains("there is no set 3 of descriptors");
}

#[test]
fn a_drive_s_format_is_guessed_from_a_descriptor() {
    let scratch = Scratch::new();
    let image = scratch.file("image", [0; 4096]);
    let vmm = with_file(&image, NO_MACHINE);
    let vmm =
        vmm.and("-compat insecure-types=warn -drive if=none,id=d,file=/dev/fdset/2,read-only=on");
    let mut vm = Monitored::of(vmm, scratch);
    let nodes = vm.qmp.execute("query-named-block-nodes", json!({}));
    let file = nodes.as_array().expect("it is a list").iter().find(|it| it["drv"] == "file");
    assert_eq!(file.expect("it is there")["file"], "/dev/fdset/2");
}

#[test]
fn a_dry_run_judges_what_is_in_a_set_as_the_run_does() {
    let random = |path: &str, option: &str| {
        let vmm = Vmm::of(
            "sh",
            [
                "-c".into(),
                format!("exec \"$0\" {option} \"$@\" 9<{path}"),
                palisade().display().to_string(),
            ],
        );
        vmm.and("-add-fd fd=9,set=2 -nodefaults -machine none")
            .and("-object rng-random,id=r,filename=/dev/fdset/2")
            .run()
    };
    random("/dev/urandom", "check").code(0);
    random("/dev/zero", "check").code(1).says("the kernel's generators");
    let insecure =
        "Property 'rng-random.filename' with value '/dev/fdset/2' is declared as insecure";
    random("/dev/zero", "").code(1).complains(insecure);
}

#[test]
fn objects_are_made_of_sets_and_judged_by_what_is_in_them() {
    let mut vm = Monitored::start(NO_MACHINE);
    let client = &mut vm.qmp;
    let random = json!({ "qom-type": "rng-random", "id": "r", "filename": "/dev/fdset/0" });
    let zero = File::open("/dev/zero").expect("it is there");
    pass(client, "add-fd", json!({}), &zero);
    let insecure =
        "Property 'rng-random.filename' with value '/dev/fdset/0' is declared as insecure";
    is_refused(client, "object-add", random.clone(), insecure);
    client.execute("remove-fd", json!({ "fdset-id": 0 }));
    let kernels = File::open("/dev/urandom").expect("it is there");
    pass(client, "add-fd", json!({}), &kernels);
    client.execute("object-add", random);
    client.execute("remove-fd", json!({ "fdset-id": 0 }));
    client.execute("set-security-policy", json!({ "require-secure": true }));
}

#[test]
fn a_check_tells_of_descriptors_what_the_start_would() {
    let scratch = Scratch::new();
    let log = scratch.file("log", "");
    let check = |options: &str| with_log(&log, "check").and(NO_MACHINE).and(options).run();
    let start = |options: &str| with_log(&log, NO_MACHINE).and(options).run();
    let long = format!("-add-fd fd=9,set=0,opaque={}", "x".repeat(1025));
    let many = "-add-fd fd=9,set=0 ".repeat(1025);
    for (options, why) in [
        ("-add-fd fd=900,set=0", "fd: the process was started with no descriptor 900"),
        (
            "-add-fd fd=9,set=0 -add-fd fd=4,set=1",
            "fd: the process was started with no descriptor 4",
        ),
        (&long, "Parameter 'opaque' expects at most 1024 bytes"),
        (&many, "at most 1024 descriptors are kept"),
    ] {
        let checked = check(options).code(1).says_only("").complains(why);
        let started = start(options).code(1);
        assert_eq!(checked.stderr(), started.stderr());
    }
    // One descriptor may stand in a set twice, and in several.
    let several = "-add-fd fd=9,set=0 -add-fd fd=9,set=0 -add-fd fd=9,set=1";
    check(several).code(0).complains_only(&[]);
    // What check itself has open passes for nothing of the user's.
    let own = "-add-fd fd=9,set=0 -chardev socket,id=s,fd=4,server=on,wait=off";
    check(own).code(1).complains("Parameter 'fd' is '4'");
}
