//! A processor that does as a test says.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use device_model::{
    device::Device,
    platform::Platform,
    prelude::{DeviceError, RealizeContext},
    qom_core::{BoxedError, Globals, Obj, Policy, Registry, Request, Tree, qom_type},
    realize::DeviceRealizer,
};

use super::VcpuSlot;
use crate::{
    accelerator::Vcpu,
    boot::entry::Entry,
    cpu::Cpu,
    kvm::{ExitHandler, LapicState, Outcome, RunError},
};

/// What its registers read as.
pub(crate) const REGISTERS: &str = "rip=000000000000fff0";

/// Processor that does as a test says
#[qom_type(secure, name = "test-x86_64-cpu", parent = Cpu)]
pub(crate) struct TestCpu {
    /// How it runs: absent, storm, idle, stuck, fault, fail or panic
    #[property(default = String::new())]
    run: String,
    entered: Arc<AtomicBool>,
    slot: VcpuSlot,
}

impl Device for TestCpu {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        if self.run != "absent" {
            let entered = Arc::clone(&self.entered);
            self.slot.park(Box::new(TestVcpu { run: self.run.clone(), entered }));
        }
        Ok(())
    }

    fn unrealize(&self) {
        self.slot.clear(self.index());
    }
}

impl Cpu for TestCpu {
    fn slot(&self) -> &VcpuSlot {
        &self.slot
    }
}

struct TestVcpu {
    run: String,
    entered: Arc<AtomicBool>,
}

impl Vcpu for TestVcpu {
    fn reset(&mut self, _: Option<&Entry>) -> Result<(), BoxedError> {
        Ok(())
    }

    fn run(&mut self, _: &mut dyn ExitHandler) -> Result<Outcome, RunError> {
        self.entered.store(true, Ordering::Release);
        match &*self.run {
            "storm" => Ok(Outcome::Continue),
            "idle" => {
                thread::sleep(Duration::from_millis(1));
                Ok(Outcome::Interrupted)
            }
            "stuck" => loop {
                thread::park();
            },
            "fault" => Ok(Outcome::Shutdown),
            "fail" => Err(RunError::Kernel(io::Error::other("no such luck"))),
            other => panic!("{other}"),
        }
    }

    fn finish_access(&mut self, _: &mut dyn ExitHandler) -> Result<(), RunError> {
        Ok(())
    }

    fn registers(&self) -> String {
        REGISTERS.to_owned()
    }

    fn local_apic(&self) -> Option<LapicState> {
        None
    }
}

/// A tree and its platform.
pub(crate) fn machine() -> (Tree, Arc<Platform>) {
    let registry = Registry::global().expect("the linked types are in order");
    let tree = Tree::new(Arc::clone(registry), Policy::default(), Globals::default());
    let tree = tree.expect("an empty tree can be made");
    let platform = Platform::new(tree.id()).expect("the process has descriptors");
    (tree, Arc::new(platform))
}

/// A processor of that machine that runs so.
pub(crate) fn processor(tree: &Tree, platform: &Platform, index: u32, run: &str) -> Obj {
    let request = Request::new("test-x86_64-cpu", "/", format!("cpu{index}"))
        .set("index", index.to_string())
        .set("run", run);
    let created = tree.create([request], &mut DeviceRealizer::new(platform));
    created.expect("it can be made").objects.remove(0)
}

/// Waits until it runs: a stop that comes before is obeyed at once, however it would run.
pub(crate) fn wait_until_entered(object: &Obj) {
    let processor: Arc<TestCpu> = object.cast().expect("it is one");
    while !processor.entered.load(Ordering::Acquire) {
        thread::sleep(Duration::from_millis(1));
    }
}
