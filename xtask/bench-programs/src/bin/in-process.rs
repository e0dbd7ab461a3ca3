//! Measures, in this process, one access through a bus of 64 regions and the policy's judgement of
//! one object. Writes nanoseconds as one line of JSON.

use std::{
    hint::black_box,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use device_model::{
    platform::Platform,
    prelude::*,
    qom_core::{BoxedError, Globals, Policy, Registry, Request, Tree},
    realize::DeviceRealizer,
};

/// Regions on the bus, each of a device of its own.
const REGIONS: u16 = 64;
/// Ports of each region, and between the first of one and of the next.
const PORTS: u16 = 8;
const STRIDE: u16 = 0x20;
/// How often each thing is measured, of which the median counts.
const SAMPLES: u32 = 50;

/// A port that reads as the last byte written to it
#[qom_type(secure, parent = IsaDevice, interfaces(PortIo))]
pub struct BenchLatch {
    /// First of the latch's ports
    #[property(required)]
    iobase: u16,
    byte: AtomicU8,
}

impl Device for BenchLatch {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_ports(0, self.iobase, PORTS.into())
    }
}

impl IsaDevice for BenchLatch {}

impl PortIo for BenchLatch {
    fn read(&self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(self.byte.load(Ordering::Relaxed));
    }

    fn write(&self, _: u8, _: u64, data: &[u8]) {
        if let Some(byte) = data.first() {
            self.byte.store(*byte, Ordering::Relaxed);
        }
    }
}

fn main() -> ExitCode {
    match measure() {
        Ok((dispatch, judgement)) => {
            println!("{}", serde_json::json!({ "dispatch-ns": dispatch, "policy-ns": judgement }));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("in-process: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Nanoseconds of one access, and of one object's judgement.
fn measure() -> Result<(f64, f64), BoxedError> {
    let registry = Registry::global().map_err(Clone::clone)?;
    let policy = Policy::of(&[]);
    let tree = Tree::new(Arc::clone(registry), policy, Globals::new(Vec::new()))?;
    let platform = Platform::new(tree.id())?;
    let requests = || {
        (0..REGIONS).map(|index| {
            let iobase = serde_json::Value::from(0x100 + index * STRIDE);
            Request::new("bench-latch", "/", format!("latch{index}"))
                .set("iobase", qom_core::Given::Json(iobase))
        })
    };
    let plan = tree.plan(requests())?;
    let objects = f64::from(u32::try_from(plan.objects().len())?);
    let judgement = median(1000, || {
        black_box(black_box(&plan).judge(black_box(policy)).is_ok());
    }) / objects;

    tree.create_planned(plan, &mut DeviceRealizer::new(&platform))?;
    let bus = platform.ports();
    if bus.regions().len() != usize::from(REGIONS) {
        return Err("a device did not claim its ports".into());
    }
    let mut ports = (0..REGIONS).cycle().map(|index| {
        // Another region each time, far from the last: no branch is predicted from it.
        u64::from(0x100 + (index * 29 % REGIONS) * STRIDE + index % PORTS)
    });
    let mut data = [0];
    let dispatch = median(100_000, || {
        if let Some(port) = ports.next() {
            bus.read(black_box(port), black_box(&mut data));
        }
    });
    Ok((dispatch, judgement))
}

/// Nanoseconds of one round: the median of samples of so many rounds.
fn median(rounds: u32, mut round: impl FnMut()) -> f64 {
    let mut samples: Vec<_> = (0..SAMPLES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..rounds {
                round();
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
        })
        .collect();
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}
