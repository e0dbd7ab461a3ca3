//! `cargo xtask bench`: the monitor beside the least program that runs the same guest.
//!
//! Each round starts every program once, one after the other, so that whatever else the host does
//! meets all of them alike; medians are compared. What is measured, and what it may be at most, is
//! in [`measures`]; how, in the module of each kind.

pub(crate) mod guest_images;
mod in_process;
mod measures;
mod memory;
mod monitor;
mod process;
pub(crate) mod programs;
mod report;
mod summary;

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use guest_images::GuestImages;
use measures::Samples;
use programs::{Monitor, Programs};

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds, for a first look
    #[arg(long)]
    quick: bool,
    /// Write JSON for programs
    #[arg(long)]
    json: bool,
    /// Only build what is measured
    #[arg(long)]
    build_only: bool,
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    /// Rounds of the loop in guests that exit many times.
    exits: u32,
    /// Commands given to a monitor.
    commands: u32,
}

const FULL: Extent = Extent { rounds: 40, exits: 20_000, commands: 2_000 };
const QUICK: Extent = Extent { rounds: 8, exits: 5_000, commands: 500 };

/// Builds, measures, shows. Fails if a target is missed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let programs = Programs::build()?;
    if options.build_only {
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(Path::new("/dev/kvm").exists(), "there is no /dev/kvm to run guests with");
    let extent = if options.quick { QUICK } else { FULL };
    let samples = measure(&programs, extent)?;
    let report = report::Report::of(&samples, extent.rounds)?;
    let text =
        if options.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.table() };
    io::stdout().write_all(text.as_bytes()).context("can't write the report")?;
    let missed = report.missed();
    if missed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("xtask: targets missed: {}", missed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn measure(programs: &Programs, extent: Extent) -> Result<Samples> {
    let images = GuestImages::write(extent.exits)?;
    // Once without counting, for the page cache.
    one_round(programs, &images, extent, &mut Samples::default())?;
    let mut samples = Samples::default();
    let watched = io::stderr().is_terminal();
    for round in 0..extent.rounds {
        if watched {
            eprint!("\rxtask: round {} of {}", round + 1, extent.rounds);
        }
        one_round(programs, &images, extent, &mut samples)?;
    }
    if watched {
        eprintln!();
    }
    Ok(samples)
}

/// Every measurement once.
fn one_round(
    programs: &Programs,
    images: &GuestImages,
    extent: Extent,
    samples: &mut Samples,
) -> Result<()> {
    for monitor in programs.monitors() {
        let run = process::run(&mut programs.start(monitor, &images.hello))?;
        samples.add(measures::FIRST_OUTPUT, monitor, run.first_byte.as_secs_f64() * 1e3);
        samples.add(measures::WHOLE_PROCESS, monitor, run.whole.as_secs_f64() * 1e3);
    }
    for monitor in programs.monitors() {
        let peak = memory::own_peak(&mut programs.start(monitor, &images.spin))?;
        samples.add(measures::PEAK_MEMORY, monitor, peak);
    }
    for monitor in programs.monitors() {
        let seconds = |image: &Path| -> Result<f64> {
            let run = process::run(&mut programs.start(monitor, image))?;
            Ok(run.between.context("the guest did not write two bytes")?.as_secs_f64())
        };
        let nothing = seconds(&images.nothing)?;
        for (measure, image) in
            [(measures::PORT_EXIT, &images.port), (measures::MEMORY_EXIT, &images.memory)]
        {
            // What the loop itself costs is the same in both.
            let each = (seconds(image)? - nothing) / f64::from(extent.exits);
            samples.add(measure, monitor, each * 1e6);
        }
    }
    let load = process::run(&mut programs.registry_load())?;
    samples.add_alone(measures::REGISTRY, load.first_byte.as_secs_f64() * 1e3);
    let (dispatch, policy) = in_process::run(&mut programs.in_process())?;
    samples.add_alone(measures::DISPATCH, dispatch);
    samples.add_alone(measures::POLICY, policy);
    monitor_round(programs, images, extent.commands, samples)
}

/// What a monitor costs, by itself and beside a guest.
fn monitor_round(
    programs: &Programs,
    images: &GuestImages,
    commands: u32,
    samples: &mut Samples,
) -> Result<()> {
    let measured = monitor::run(programs, commands)?;
    samples.add(measures::ROUND_TRIP, Monitor::Palisade, measured.round_trip.0);
    samples.add(measures::ROUND_TRIP, Monitor::BareKvm, measured.round_trip.1);
    samples.add(measures::ROUND_TRIP_CPU, Monitor::Palisade, measured.processor_time.0);
    samples.add(measures::ROUND_TRIP_CPU, Monitor::BareKvm, measured.processor_time.1);
    samples.add_alone(measures::LIST_TYPES, measured.list_types);
    samples.add_alone(measures::HOTPLUG, measured.hotplug);
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("monitor");
    let bare = process::run(&mut programs.start(Monitor::BareKvm, &images.hello))?;
    let ours = process::run(&mut programs.start_monitored(&images.hello, &socket))?;
    for (monitor, run) in [(Monitor::BareKvm, bare), (Monitor::Palisade, ours)] {
        let first = run.first_byte.as_secs_f64() * 1e3;
        samples.add(measures::MONITORED_FIRST_OUTPUT, monitor, first);
    }
    let peak = memory::own_peak(&mut programs.start_monitored(&images.spin, &socket))?;
    samples.add_alone(measures::MONITORED_PEAK_MEMORY, peak);
    Ok(())
}
