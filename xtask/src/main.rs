//! Tasks of the workspace: `cargo xtask audit`, `fetch`, `test`, `fuzz`, `bench`, `order`.

// For their types, which the linker would leave out otherwise.
use devices as _;
use vmm as _;

mod apt;
mod audit;
mod bench;
mod fetch;
mod fuzz;
mod order;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Tasks of the workspace
#[derive(Parser)]
#[command(name = "cargo xtask", version, disable_help_subcommand = true)]
enum Task {
    /// Show what every type states of its security, and which state nothing
    Audit(audit::Options),
    /// Get what the tests need from the distribution's archive
    Fetch(fetch::Options),
    /// Run every test, then every fuzz target for a moment
    Test(test::Options),
    /// Run fuzz targets, on their seeds first
    Fuzz(fuzz::Options),
    /// Measure the monitor beside the least program that runs the same guest
    Bench(bench::Options),
    /// Write which functions the monitor calls first, for the linker to lay side by side
    Order(order::Options),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Audit(options) => audit::run(&options),
        Task::Fetch(options) => fetch::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Order(options) => order::run(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
