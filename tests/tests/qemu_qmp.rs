//! A client of the machine protocol that nobody here wrote, PyPI's `qemu.qmp`: it connects to every
//! machine that there is, and does with it what a management program does.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tests::{
    Finished, Scratch, Vmm, matrix_vmm, python,
    qmp::{Monitored, Qmp},
    qtest::PERMITTED,
};

/// Has a script of ours control a VM until that has ended. What the script tells.
#[track_caller]
fn control(vmm: Vmm, driver: Option<&str>) -> (Value, Finished) {
    let scratch = Scratch::new();
    let socket = scratch.path().join("python");
    let vm = Monitored::of(vmm.monitor(&socket), scratch);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/walk.py");
    let mut python = Command::new(python());
    python.arg(script).arg(&socket).args(driver);
    let output = python.output().expect("there is an interpreter");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{python:?}: {}\n{said}", output.status);
    let told = serde_json::from_slice(&output.stdout).expect("it tells JSON");
    (told, vm.running.finish())
}

/// The machines that a monitor tells of.
fn machines() -> Vec<String> {
    let mut vm = Monitored::start("-nodefaults -machine none");
    let machines = vm.qmp.execute("query-machines", json!({}));
    let name = |entry: &Value| entry["name"].as_str().expect("it has a name").to_owned();
    machines.as_array().expect("it is a list").iter().map(name).collect()
}

fn paths(client: &mut Qmp) -> usize {
    // One line for each object.
    client.human("info qom-tree /").lines().count()
}

#[test]
fn it_walks_every_machine_adds_and_deletes_and_hears_of_it() {
    let machines = machines();
    assert!(machines.len() >= 2, "{machines:?}");
    for machine in machines {
        let lines: &[&str] = match machine.as_str() {
            "none" => &["-S"],
            _ => &[
                "-accel qtest -m 16M -smp 2 -serial null -S",
                "-accel kvm -m 16M -smp 2 -serial null -S",
            ],
        };
        for options in lines {
            // A machine that has not started yet takes devices of every kind.
            let vmm = Vmm::line(options).and(PERMITTED).args(["-machine", &machine]);
            let scratch = Scratch::new();
            let vmm = match options.contains("kvm") {
                // Once it goes on there is something to run.
                true => vmm.kernel(scratch.guest(tests::guest::tick("."))),
                false => vmm,
            };
            let (told, ended) = control(vmm, Some("pvpanic"));
            ended.code(0);
            let objects = told["objects"].as_array().expect("it is a list");
            assert!(objects.contains(&json!("/machine")), "{machine}: {told}");
            let properties = told["properties"].as_u64();
            assert!(properties > Some(2 * objects.len() as u64), "{machine}: {told}");
        }
    }
}

#[test]
fn it_adds_and_deletes_a_device_of_a_machine_that_runs() {
    // A device that needs no bus, so that it may come and go.
    let vmm = Vmm::of(matrix_vmm(), ["-machine", "none", "-nodefaults"]);
    let (told, ended) = control(vmm, Some("secure-loose-device"));
    ended.code(0).complains_only(&[]);
    assert!(told["added"].as_array().is_some_and(|added| !added.is_empty()), "{told}");
}

#[test]
fn its_shell_takes_what_a_person_types() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("shell");
    let mut vm = Monitored::of(Vmm::line("-machine none -nodefaults").monitor(&socket), scratch);
    let mut shell = Command::new(python())
        .args(["-m", "qemu.qmp.qmp_shell"])
        .arg(&socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is an interpreter");
    let typed = "query-status\nqom-get path=/machine property=type\n\
                 object-add qom-type=rng-builtin id=typed\n\
                 device_add driver=isa-debug-exit id=refused\nwarp\n";
    shell.stdin.take().expect("it is a pipe").write_all(typed.as_bytes()).expect("it is read");
    let output = shell.wait_with_output().expect("it ends with its input");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<Value> = said
        .lines()
        .filter_map(|line| line.strip_prefix("(QEMU) "))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let refused = "Type 'isa-debug-exit' is declared as insecure";
    let expected = [
        json!({ "return": { "running": true, "status": "running" } }),
        json!({ "return": "none-machine" }),
        json!({ "return": {} }),
        json!({ "error": { "class": "GenericError", "desc": refused } }),
        json!({ "error": { "class": "CommandNotFound", "desc": "The command warp has not been found" } }),
    ];
    assert_eq!(answers, expected, "{said}");
    assert!(vm.qmp.tree().contains(&"/objects/typed".to_owned()));
    vm.quit().code(0);
}

#[test]
fn it_controls_a_guest_that_runs() {
    let scratch = Scratch::new();
    let kernel = scratch.guest(tests::guest::tick("."));
    let (told, ended) = control(Vmm::line("-m 16M").kernel(&kernel), None);
    ended.code(0).complains_only(&[]);
    let objects = told["objects"].as_array().expect("it is a list").len();
    let mut vm = Monitored::of(Vmm::line("-m 16M").kernel(&kernel), scratch);
    // A monitor and its stream less, of the script's own.
    assert_eq!(objects, paths(&mut vm.qmp) + 2, "{told}");
    vm.quit().code(0);
}
