//! What is measured, and what it may be at most.

use std::collections::BTreeMap;

use super::programs::Monitor;

/// One thing that is measured.
#[derive(Debug)]
pub(super) struct Measure {
    /// Its name for programs.
    pub(super) id: &'static str,
    /// Its name for people.
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    /// The most that it may be.
    pub(super) limit: Option<f64>,
    /// The most that it may be as a multiple of the bare program's.
    pub(super) ratio: Option<f64>,
}

/// From before the process is made until the guest's first byte is read from the pipe.
pub(super) const FIRST_OUTPUT: usize = 0;
/// From before the process is made until it has ended.
pub(super) const WHOLE_PROCESS: usize = 1;
/// The most memory that the process takes for itself.
pub(super) const PEAK_MEMORY: usize = 2;
/// A guest's read from a port, here of the serial port's line status.
pub(super) const PORT_EXIT: usize = 3;
/// A guest's read from a device in memory, here the I/O APIC.
pub(super) const MEMORY_EXIT: usize = 4;
/// From before a process is made until it has a registry of 10,000 types.
pub(super) const REGISTRY: usize = 5;
/// An access on a bus of 64 regions.
pub(super) const DISPATCH: usize = 6;
/// The judgement of one object of a plan.
pub(super) const POLICY: usize = 7;

/// A `qom-get` there and back; the bare program is one that answers and does nothing.
pub(super) const ROUND_TRIP: usize = 8;
/// What the server spends of a processor's time on that.
pub(super) const ROUND_TRIP_CPU: usize = 9;
/// A `qom-list-types` of 1,000 types, there and back.
pub(super) const LIST_TYPES: usize = 10;
/// A `device_add` and a `device_del`.
pub(super) const HOTPLUG: usize = 11;
/// As [`FIRST_OUTPUT`], with a monitor to listen for.
pub(super) const MONITORED_FIRST_OUTPUT: usize = 12;
/// As [`PEAK_MEMORY`], with a monitor to listen for.
pub(super) const MONITORED_PEAK_MEMORY: usize = 13;

/// Every measure, at the index that its constant says.
pub(super) const MEASURES: [Measure; 14] = [
    measure("first-output", "start to the guest's first byte", "ms", Some(5.0), Some(2.0)),
    measure("whole-process", "start to the end of the process", "ms", None, Some(2.0)),
    measure("peak-memory", "peak memory without the guest's", "MiB", Some(4.0), None),
    measure("port-exit", "a guest's port read", "us", None, Some(1.05)),
    measure("memory-exit", "a guest's device memory read", "us", None, Some(1.05)),
    measure("registry", "start to a registry of 10,000 types", "ms", Some(10.0), None),
    measure("dispatch", "an access on a bus of 64 regions", "ns", Some(60.0), None),
    measure("policy", "the policy's judgement of an object", "ns", Some(50.0), None),
    measure("round-trip", "qom-get over a socket and back", "us", None, Some(1.5)),
    measure("round-trip-cpu", "the server's part of that", "us", Some(15.0), None),
    measure("list-types", "qom-list-types, 1,000 types", "ms", Some(2.0), None),
    measure("hotplug", "device_add and device_del", "us", Some(200.0), None),
    measure("monitored-output", "first byte, with a monitor", "ms", None, Some(2.0)),
    measure("monitored-memory", "peak memory, with a monitor", "MiB", Some(4.0), None),
];

const fn measure(
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    limit: Option<f64>,
    ratio: Option<f64>,
) -> Measure {
    Measure { id, title, unit, limit, ratio }
}

/// Everything that was measured, by measure and program; one that has no bare counterpart is ours.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<(usize, Monitor), Vec<f64>>);

impl Samples {
    pub(super) fn add(&mut self, measure: usize, monitor: Monitor, value: f64) {
        self.0.entry((measure, monitor)).or_default().push(value);
    }

    /// Adds what has no counterpart.
    pub(super) fn add_alone(&mut self, measure: usize, value: f64) {
        self.add(measure, Monitor::Palisade, value);
    }

    pub(super) fn get(&self, measure: usize, monitor: Monitor) -> &[f64] {
        self.0.get(&(measure, monitor)).map_or(&[], Vec::as_slice)
    }
}
