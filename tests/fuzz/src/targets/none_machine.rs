//! Users' devices on the machine that has none: one comes to be as a whole, under the policy that
//! holds for all, or leaves nothing behind.

use std::{cell::OnceCell, ffi::OsString};

use device_model::{
    prelude::*,
    qom_core::{ClassType, Registry, Request, SecurityStatus},
    realize::DeviceRealizer,
};
use vmm::{options::command_line::CommandLine, session::Vm};

use crate::Target;

inventory::submit!(Target { name: "none-machine", covers: &["none-machine"], run });

thread_local! {
    /// Made once: what an input adds, it takes away.
    static MACHINE: OnceCell<Vm> = const { OnceCell::new() };
}

fn machine() -> Vm {
    let registry = Registry::global().expect("the types are in order");
    let words = ["-machine", "none"].map(OsString::from);
    let line = CommandLine::parse(words).expect("these are options");
    Vm::create(registry, &line).expect("this machine needs nothing")
}

/// A line that names a type of device, or chooses one by what its bytes add up to; then lines
/// `PROPERTY=VALUE`.
fn run(data: &[u8]) {
    MACHINE.with(|vm| plug(vm.get_or_init(machine), data));
}

fn plug(vm: &Vm, data: &[u8]) {
    let (tree, platform) = (vm.tree(), vm.platform());
    let devices: Vec<_> = Registry::global()
        .expect("the types are in order")
        .classes()
        .filter(|class| class.is_a(<dyn Device as ClassType>::NAME))
        .collect();
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let any = first.bytes().map(usize::from).sum::<usize>() % devices.len();
    let class = devices.iter().find(|class| class.name() == first).unwrap_or(&devices[any]);
    let request = Request::new(class.name(), "/machine/peripheral", "device");
    let request = lines
        .filter_map(|line| line.split_once('='))
        .fold(request, |request, (key, value)| request.set(key, value));
    let paths = || tree.walk().iter().filter_map(Obj::path).collect::<Vec<_>>();
    let before = paths();
    if let Ok(created) = tree.create([request], &mut DeviceRealizer::new(platform)) {
        for device in &created.objects {
            assert_eq!(device.class().status(), SecurityStatus::Secure, "{device:?}");
            let removed = tree.remove(device, &mut DeviceRealizer::new(platform));
            removed.expect("nothing uses it");
        }
    }
    assert_eq!(paths(), before);
    assert!(platform.ports().regions().is_empty(), "a device that is gone answers");
    assert!(platform.memory_io().regions().is_empty(), "a device that is gone answers");
    assert!(platform.interrupts().is_none() && platform.msi().is_none());
}
