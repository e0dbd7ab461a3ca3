//! What `palisade check` lists is what there is once the same options have started a VM.

use serde_json::{Value, json};
use tests::{Scratch, Vmm, qmp::Monitored, qtest::PERMITTED};

/// Paths and types that a check of these options foretells, the root apart, sorted.
fn foretold(options: &str, scratch: &Scratch) -> Vec<(String, String)> {
    let check = Vmm::line("check --json").and(options).monitor(&scratch.path().join("qmp"));
    let told = check.run().code(0).stdout();
    let told: Value = serde_json::from_str(&told).expect("it is JSON");
    let text = |object: &Value, key: &str| object[key].as_str().expect("it is text").to_owned();
    let objects = told["objects"].as_array().expect("it is a list").iter();
    let mut objects: Vec<_> = objects.map(|it| (text(it, "path"), text(it, "type"))).collect();
    objects.sort_unstable();
    objects
}

#[test]
fn what_a_check_lists_is_the_tree_after_the_start() {
    for options in [
        "-machine none -nodefaults",
        "-machine none -cpu host",
        "-machine none -smp 1 -device pvpanic,id=p -device isa-debugcon",
        "-accel qtest -m 16M -smp 2 -serial null -S",
        "-accel qtest -m 16M -nodefaults -device virtio-rng-device,id=r,rng=g -object rng-builtin,id=g",
        "-machine none -chardev null,id=n -netdev hubport,id=h,hubid=1 -object iothread,id=t",
        "-machine none -blockdev driver=raw,node-name=d,file.driver=null-co,file.size=1M",
        "-accel qtest -m 16M -machine pic=off,rtc=off -serial none",
    ] {
        let options = format!("{options} {PERMITTED}");
        let scratch = Scratch::new();
        let foretold = foretold(&options, &scratch);
        let mut vm = Monitored::of(Vmm::line(&options), scratch);
        let mut there = Vec::new();
        for path in vm.qmp.tree().into_iter().skip(1) {
            let of = vm.qmp.execute("qom-get", json!({ "path": path, "property": "type" }));
            there.push((path, of.as_str().expect("it is text").to_owned()));
        }
        there.sort_unstable();
        assert_eq!(foretold, there, "{options}");
        vm.quit().code(0);
    }
}
