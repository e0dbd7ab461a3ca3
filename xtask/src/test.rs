//! `cargo xtask test`: every test of the workspace, and every fuzz target for a moment.

use std::{ffi::OsString, path::Path, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{fetch, fuzz, workspace};

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave the fuzz targets out
    #[arg(long)]
    no_fuzz: bool,
    /// Passed on to `cargo test --workspace`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Seconds that each fuzz target runs for.
const FUZZ_SECONDS: u32 = 5;

/// The fuzz targets come first, so that what Cargo says of the tests ends the output. Neither keeps
/// the other from running.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    fetch::fetch()?;
    let fuzzed = if options.no_fuzz { Ok(true) } else { fuzz::every_target(FUZZ_SECONDS) };
    // The program that the tests of whole guests start.
    let built = workspace::status(workspace::cargo().args(["build", "--package", "palisade"]))?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace"]);
    if !options.arguments.iter().any(|word| word == "--no-fail-fast") {
        cargo.arg("--no-fail-fast");
    }
    cargo.args(&options.arguments);
    if Path::new("/dev/kvm").exists() {
        // A test that can't use KVM fails then, instead of saying that it was skipped.
        cargo.env("PALISADE_REQUIRE_KVM", "1");
    } else {
        eprintln!("xtask: there is no /dev/kvm: tests that need it say that they are skipped");
    }
    let tested = workspace::status(&mut cargo)?;
    let passed = fuzzed? && built.success() && tested.success();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
