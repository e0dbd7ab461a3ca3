//! The accelerator that runs nothing: memory, a clock that is stepped by hand, and interrupt messages
//! that no processor takes.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use device_model::{
    clock::{Clock, SteppedClock},
    interrupt::{Msi, MsiSink},
    platform::{GuestMemory, Platform},
    prelude::{Computed, Mutex, Realized, Value},
    qom_core::{BoxedError, Obj, PlanError, qom_type},
};
use serde_json::json;
use thiserror::Error;

use crate::{
    accelerator::{Accelerator, AcceleratorClass, Controller, Legacy, Setting, Vcpu},
    cpu::CpuSetup,
    machine::OnOffAuto,
};

/// How many of the latest messages are remembered.
const MOST_MESSAGES: usize = 64;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// No processors: a client of the qtest protocol drives the devices in their place
///
/// Nobody has judged it: it is for tests.
#[qom_type(parent = Accelerator, interfaces(MsiSink), class_data = CLASS)]
pub struct QtestAccel {
    /// Interrupt messages that a processor would have got, the latest 64, each with its address and
    /// data
    #[property(get = Self::messages)]
    messages: Computed<Value>,
    /// How many interrupt messages there were
    #[property(get = Self::message_count)]
    message_count: Computed<u64>,
    /// Where the clock stands, in nanoseconds since the start
    #[property(get = Self::time)]
    time: Computed<u64>,
    clock: Realized<Arc<SteppedClock>>,
    /// Memory that can't be written to.
    read_only: Mutex<Option<Range<u64>>>,
    received: Mutex<Received>,
}

/// The messages that came.
#[derive(Default)]
struct Received {
    count: u64,
    latest: VecDeque<Msi>,
}

static CLASS: AcceleratorClass = AcceleratorClass { controllers, local_apic: None };

/// The one controller that does not need an accelerator.
fn controllers(_: &dyn Setting, legacy: Legacy) -> Result<Vec<Controller>, PlanError> {
    let pic = legacy.pic == OnOffAuto::On;
    if pic || legacy.pit {
        let which = if pic { "pic" } else { "pit" };
        return Err(PlanError::Refused(format!(
            "{which}=on needs the interrupt chips of KVM: -accel kvm,kernel-irqchip=on"
        )));
    }
    Ok(vec![Controller { name: "ioapic", type_name: "ioapic", accelerator_link: None }])
}

/// What it can't do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QtestAccelError {
    /// Something has taken its time from the host's clock already.
    #[error("the machine has a clock already, which can't be stepped")]
    ClockTaken,
    /// Run a processor.
    #[error("the accelerator 'qtest-accel' runs no processors")]
    NoProcessors,
}

impl QtestAccel {
    /// The machine's clock, while the accelerator is open.
    pub(super) fn clock(&self) -> Option<Arc<SteppedClock>> {
        self.clock.with(Arc::clone)
    }

    /// The guest-physical addresses of memory that can't be written to, if there are any.
    pub(super) fn read_only(&self) -> Option<Range<u64>> {
        self.read_only.lock().clone()
    }

    fn messages(&self) -> Value {
        let shown = |message: &Msi| json!({ "address": message.address, "data": message.data });
        Value::Array(self.received.lock().latest.iter().map(shown).collect())
    }

    fn message_count(&self) -> u64 {
        self.received.lock().count
    }

    fn time(&self) -> u64 {
        self.clock.with(|clock| clock.now()).unwrap_or(0)
    }
}

impl Accelerator for QtestAccel {
    fn open(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        // A whole second, so that what is due within one is due at the same times in each run.
        let second = Clock::host().time_of_day() / NANOSECONDS_PER_SECOND;
        let clock = SteppedClock::new(second.saturating_mul(NANOSECONDS_PER_SECOND));
        if !platform.set_clock(Clock::stepped(Arc::clone(&clock))) {
            return Err(QtestAccelError::ClockTaken.into());
        }
        self.clock.set(clock);
        Ok(platform.set_msi(object)?)
    }

    fn close(&self) {
        self.clock.clear();
    }

    fn attach_memory(
        &self,
        _: &Arc<GuestMemory>,
        read_only: Option<&Range<u64>>,
    ) -> Result<(), BoxedError> {
        *self.read_only.lock() = read_only.cloned();
        Ok(())
    }

    fn runs_processors(&self) -> bool {
        false
    }

    fn create_vcpu(&self, _: &CpuSetup) -> Result<Box<dyn Vcpu>, BoxedError> {
        Err(QtestAccelError::NoProcessors.into())
    }
}

impl MsiSink for QtestAccel {
    fn send(&self, message: Msi) {
        let mut received = self.received.lock();
        received.count = received.count.saturating_add(1);
        if received.latest.len() == MOST_MESSAGES {
            received.latest.pop_front();
        }
        received.latest.push_back(message);
    }

    fn route(&self, _: u32, _: Option<Msi>) {}
}

#[cfg(test)]
mod tests {
    use device_model::{
        qom_core::{Globals, Policy, PolicyStatement, Registry, Request, Tree},
        realize::DeviceRealizer,
    };

    use super::*;

    /// An accelerator that has not been opened.
    fn accelerator() -> (Tree, Platform, Obj) {
        let registry = Arc::clone(Registry::global().expect("the registry is sound"));
        let policy = Policy::of(&[PolicyStatement::ProhibitInsecure(true)]);
        let tree = Tree::new(registry, policy, Globals::default()).expect("a tree");
        let platform = Platform::new(tree.id()).expect("there are descriptors");
        let request = Request::new("qtest-accel", "/", "accel");
        let created = tree.create([request], &mut DeviceRealizer::new(&platform));
        let object = created.expect("it may be").objects.remove(0);
        (tree, platform, object)
    }

    #[test]
    fn it_gives_the_machine_a_clock_that_stands_still_and_starts_at_a_whole_second() {
        let (_tree, platform, object) = accelerator();
        let accel: Arc<QtestAccel> = object.cast().expect("it is one");
        accel.open(&object, &platform).expect("the host needs to give nothing");
        assert_eq!(platform.clock().now(), 0);
        assert_eq!(platform.clock().time_of_day() % NANOSECONDS_PER_SECOND, 0);
        accel.clock().expect("it is open").advance_to(5).expect("nothing is on the way");
        assert_eq!(object.get("time"), Some(json!(5)));
        assert_eq!(platform.clock().now(), 5);
        assert!(!accel.runs_processors());
    }

    #[test]
    fn a_machine_that_has_a_clock_can_not_get_another() {
        let (_tree, platform, object) = accelerator();
        let accel: Arc<QtestAccel> = object.cast().expect("it is one");
        assert!(platform.clock().now() > 0);
        let error = accel.open(&object, &platform).expect_err("it is too late");
        assert_eq!(error.to_string(), QtestAccelError::ClockTaken.to_string());
    }

    #[test]
    fn messages_are_counted_and_the_latest_are_shown() {
        let (_tree, platform, object) = accelerator();
        let accel: Arc<QtestAccel> = object.cast().expect("it is one");
        accel.open(&object, &platform).expect("the host needs to give nothing");
        let sink = platform.msi().expect("it takes messages");
        for data in 0..100 {
            sink.send(Msi { address: 0xfee0_0000, data });
        }
        assert_eq!(object.get("message-count"), Some(json!(100)));
        let shown = object.get("messages").expect("it has them");
        assert_eq!(shown.as_array().map(Vec::len), Some(MOST_MESSAGES));
        assert_eq!(shown[0], json!({ "address": 0xfee0_0000_u32, "data": 36 }));
        assert_eq!(shown[63], json!({ "address": 0xfee0_0000_u32, "data": 99 }));
    }
}
