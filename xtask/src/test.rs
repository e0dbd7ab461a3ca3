//! `cargo xtask test`: every test of the workspace, and every fuzz target for a moment.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitCode,
};

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
    #[arg(allow_hyphen_values = true)]
    arguments: Vec<OsString>,
    /// Passed on to the tests themselves
    #[arg(last = true)]
    to_tests: Vec<OsString>,
}

impl Options {
    /// What `cargo` is told. A test program that fails keeps no other from running.
    fn cargo_arguments(&self) -> Vec<&OsStr> {
        let mut arguments: Vec<&OsStr> = ["test", "--workspace"].map(OsStr::new).to_vec();
        if !self.arguments.iter().any(|word| word == "--no-fail-fast") {
            arguments.push(OsStr::new("--no-fail-fast"));
        }
        arguments.extend(self.arguments.iter().map(OsString::as_os_str));
        if !self.to_tests.is_empty() {
            arguments.push(OsStr::new("--"));
            arguments.extend(self.to_tests.iter().map(OsString::as_os_str));
        }
        arguments
    }
}

/// Where the fuzz targets' mutations start, so that a test run says of a change what it says of the
/// code before it. `cargo xtask fuzz` looks for more.
const FUZZ_SEED: u32 = 1;
/// Seconds that each fuzz target runs for.
const FUZZ_SECONDS: u32 = 2;

/// The fuzz targets come first, so that what Cargo says of the tests ends the output. Neither keeps
/// the other from running.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    fetch::fetch()?;
    let fuzzed =
        if options.no_fuzz { Ok(true) } else { fuzz::every_target(FUZZ_SECONDS, Some(FUZZ_SEED)) };
    // The program that the tests of whole guests start.
    let built = workspace::status(workspace::cargo().args(["build", "--package", "palisade"]))?;
    let mut cargo = workspace::cargo();
    cargo.args(options.cargo_arguments());
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn told(words: &[&str]) -> (bool, String) {
        let line = Line::try_parse_from([&["test"], words].concat()).unwrap();
        let told = line.options.cargo_arguments();
        (line.options.no_fuzz, told.join(OsStr::new(" ")).into_string().unwrap())
    }

    #[test]
    fn arguments_are_passed_on_to_cargo_and_to_the_tests() {
        let all = "test --workspace --no-fail-fast";
        assert_eq!(told(&[]), (false, all.to_owned()));
        assert_eq!(
            told(&["--no-fuzz", "--release", "bus", "--", "--nocapture"]),
            (true, format!("{all} --release bus -- --nocapture"))
        );
        assert_eq!(told(&["--", "--list"]), (false, format!("{all} -- --list")));
    }

    #[test]
    fn no_argument_is_given_twice() {
        let (_, told) = told(&["--no-fail-fast"]);
        assert_eq!(told, "test --workspace --no-fail-fast");
    }
}
