//! `cargo xtask fuzz`: what a guest, a file or a command line may throw at the monitor.
//!
//! The fuzzer is libFuzzer, on the stable toolchain: coverage comes from LLVM's own pass. It runs
//! each target on the seeds that are kept in the repository, then mutates these and what earlier
//! runs found worth keeping.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::workspace;

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Name of a target; every one if left out
    target: Option<String>,
    /// Seconds that each target runs for, after its seeds
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Mutate as in an earlier run with this seed; left out, each run goes its own way
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// List the targets
    #[arg(long)]
    list: bool,
}

/// What LLVM adds for libFuzzer: counters of edges, in tables with the edges' addresses.
const COVERAGE: [&str; 4] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];
/// Optimised, but as strict about arithmetic as a debug build, and quick to link.
const PROFILE: [&str; 4] = [
    "profile.release.debug-assertions=true",
    "profile.release.lto=\"off\"",
    "profile.release.codegen-units=16",
    "profile.release.strip=\"none\"",
];
/// Seconds after which one input counts as a hang.
const HANG_SECONDS: u32 = 20;
/// MiB that a target may use: kernels unpack into tens.
const MEMORY_LIMIT: u32 = 2048;

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        names()?.iter().for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let passed = match &options.target {
        None => every_target(options.seconds, options.seed)?,
        Some(target) => {
            let names = names()?;
            ensure!(
                names.contains(target),
                "there is no fuzz target '{target}'; there are {}",
                names.join(", ")
            );
            let fuzzer = build()?;
            one_target(&fuzzer, target, options.seconds, options.seed)?
        }
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The variable by which the fuzzer is told its target.
const TARGET_VARIABLE: &str = "PALISADE_FUZZ_TARGET";

/// The targets' names, sorted: those of the folders of seeds, as a test beside the targets makes
/// sure. The targets themselves are not linked here, since they define types that are not to be
/// audited.
fn names() -> Result<Vec<String>> {
    let seeds = workspace::root().join("tests/fuzz/seeds");
    let mut names: Vec<String> = fs::read_dir(&seeds)
        .and_then(|folders| {
            folders.map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned())).collect()
        })
        .with_context(|| format!("can't list {}", seeds.display()))?;
    names.sort_unstable();
    Ok(names)
}

/// Runs each target for so many seconds. False if one failed; the others were run nevertheless.
pub(crate) fn every_target(seconds: u32, seed: Option<u32>) -> Result<bool> {
    let fuzzer = build()?;
    let mut passed = true;
    for name in names()? {
        passed &= one_target(&fuzzer, &name, seconds, seed)?;
    }
    Ok(passed)
}

/// Builds the fuzzer in a target folder of its own, since all of it is compiled with coverage.
fn build() -> Result<PathBuf> {
    let triple = workspace::host_triple()?;
    let folder = workspace::root().join("target/fuzz");
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--quiet", "--package", "fuzz", "--bin", "fuzz", "--release"]);
    cargo.args(["--features", "libfuzzer", "--target", &triple, "--target-dir"]).arg(&folder);
    for setting in PROFILE {
        cargo.args(["--config", setting]);
    }
    // Between flags stands the unit separator. With --target they are not for build scripts.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    eprintln!("xtask: building the fuzz targets");
    ensure!(workspace::status(&mut cargo)?.success(), "the fuzz targets can't be built");
    Ok(folder.join(triple).join("release/fuzz"))
}

/// Runs one target on its seeds, then on what comes of them. False, after saying why, if it failed.
fn one_target(fuzzer: &Path, name: &str, seconds: u32, seed: Option<u32>) -> Result<bool> {
    let crate_folder = workspace::root().join("tests/fuzz");
    let seeds = crate_folder.join("seeds").join(name);
    let artifacts = crate_folder.join("artifacts").join(name);
    let corpus = workspace::root().join("target/fuzz/corpus").join(name);
    for folder in [&artifacts, &corpus] {
        fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    }
    let prefix = format!("-artifact_prefix={}/", artifacts.display());
    let limits = [
        prefix,
        format!("-timeout={HANG_SECONDS}"),
        format!("-rss_limit_mb={MEMORY_LIMIT}"),
        "-print_final_stats=1".to_owned(),
    ];
    let mut runs = 0;
    for (what, ends, folders) in [
        ("seeds", "-runs=0".to_owned(), vec![&seeds]),
        ("fuzzing", format!("-max_total_time={seconds}"), vec![&corpus, &seeds]),
    ] {
        let mut command = Command::new(fuzzer);
        command.env(TARGET_VARIABLE, name).args(&limits).arg(ends);
        command.args(seed.map(|seed| format!("-seed={seed}"))).args(folders);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let output = command.output().context("can't run the fuzzer")?;
        let log = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            eprintln!("{log}");
            eprintln!("xtask: the fuzz target '{name}' failed at {what} ({})", output.status);
            match reproducer(&log) {
                Some(path) => eprintln!("xtask: reproducer: {path}"),
                None => eprintln!("xtask: it left no reproducer"),
            }
            return Ok(false);
        }
        if what == "seeds" {
            remarks(&log).for_each(|remark| eprintln!("{remark}"));
        }
        let Some(executed) = executed(&log) else {
            bail!("the fuzzer did not tell its runs:\n{log}")
        };
        runs += executed;
    }
    eprintln!("fuzz {name:<18} ok: {runs} runs in {seconds} s");
    Ok(true)
}

/// What a target has to say of itself: that this host lacks what it needs.
fn remarks(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.starts_with("fuzz: "))
}

/// The file that libFuzzer says it wrote.
fn reproducer(log: &str) -> Option<&str> {
    log.lines()
        .rev()
        .find_map(|line| line.split_once("Test unit written to "))
        .map(|(_, path)| path)
}

/// How many inputs libFuzzer says it ran.
fn executed(log: &str) -> Option<u64> {
    let said = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    said.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzer_s_log_is_understood() {
        let log = "INFO: x\nstat::number_of_executed_units: 1234\nstat::peak_rss_mb: 30\n";
        assert_eq!(executed(log), Some(1234));
        assert_eq!(reproducer(log), None);
        assert_eq!(remarks(log).count(), 0);
        let log = "INFO: x\nfuzz: 'machine' tries nothing\n";
        assert_eq!(remarks(log).collect::<Vec<_>>(), ["fuzz: 'machine' tries nothing"]);
        let log = "artifact_prefix='a/'; Test unit written to a/crash-12\nBase64: Kg==\n";
        assert_eq!(reproducer(log), Some("a/crash-12"));
    }
}
