//! What a program measured inside itself.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Nanoseconds.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Measured {
    dispatch_ns: f64,
    policy_ns: f64,
}

/// Nanoseconds of one access through the bus, and of one object's judgement by the policy.
pub(super) fn run(command: &mut Command) -> Result<(f64, f64)> {
    let output = command.output().context("can't run the program that measures itself")?;
    ensure!(output.status.success(), "the program that measures itself failed");
    let Measured { dispatch_ns, policy_ns } =
        serde_json::from_slice(&output.stdout).context("can't read what it measured")?;
    Ok((dispatch_ns, policy_ns))
}
