//! `cargo xtask audit`: what every type states of its security, and which state nothing yet.
//!
//! Only concrete types can be created, so only they can be gaps: an abstract class or interface
//! that states nothing bounds its descendants by nothing, and each of those has to state its own.
//! Classes and interfaces are shown apart therefore, and never denied.

mod report;
mod table;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use qom_core::Registry;

use report::Report;

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Write JSON for programs
    #[arg(long)]
    json: bool,
    /// End with status 1 if a concrete type is as named
    #[arg(long, value_name = "STATUS")]
    deny: Option<Deny>,
}

/// What a concrete type may not be.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Its author has stated nothing
    Undeclared,
}

/// The crates whose types the program is linked with.
const CRATES: [&str; 2] = ["vmm", "devices"];

/// Shows the audit of the types that this program is linked with: those of the monitor.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let registry = Registry::global().map_err(Clone::clone)?;
    registry.require_crates(&CRATES)?;
    let report = Report::of(registry);
    let text = if options.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        table::render(&report, io::stdout().is_terminal())
    };
    io::stdout().write_all(text.as_bytes()).context("can't write the audit")?;
    if options.deny == Some(Deny::Undeclared) && !report.undeclared.is_empty() {
        eprintln!("xtask: {}", denial(&report.undeclared));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn denial(undeclared: &[report::Gap]) -> String {
    let named: Vec<_> =
        undeclared.iter().map(|gap| format!("'{}' at {}", gap.name, gap.stated_at)).collect();
    format!(
        "undeclared: {}; say #[qom_type(secure, …)] or #[qom_type(insecure, reason = \"…\", …)]",
        named.join(", ")
    )
}
