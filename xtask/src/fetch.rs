//! `cargo xtask fetch`: what the tests need and a checkout lacks, from the distribution's archive and
//! from Python's.

mod kernel;
mod python;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::apt;

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {}

/// Tools that building and running the tests takes, and the packages that have them.
const TOOLS: [(&str, &str); 5] = [
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("make", "make"),
    ("openssl", "openssl"),
    ("qemu-img", "qemu-utils"),
];

/// Files of packages that tests use where they are installed, and the packages.
const FILES: [(&str, &str); 1] = [("/usr/share/seabios/bios-microvm.bin", "seabios")];

/// Gets everything.
pub(crate) fn run(_: &Options) -> Result<ExitCode> {
    fetch()?;
    println!("{}\n{}", kernel::file().display(), python::interpreter().display());
    Ok(ExitCode::SUCCESS)
}

/// Gets what is not there yet. Does nothing, and needs no network, if everything is.
pub(crate) fn fetch() -> Result<()> {
    let mut lists = Lists::default();
    tools(&mut lists)?;
    kernel::fetch(&mut lists)?;
    python::fetch(&mut lists)
}

/// The lists of packages, which are brought up to date at most once, when something is not found.
#[derive(Default)]
struct Lists {
    updated: bool,
}

impl Lists {
    /// True if they were brought up to date now, so that another try may succeed.
    fn update(&mut self) -> Result<bool> {
        if self.updated {
            return Ok(false);
        }
        apt::update()?;
        self.updated = true;
        Ok(true)
    }

    /// Tries; if that fails, tries again with lists that are up to date.
    fn retry<T>(&mut self, attempt: impl Fn() -> Result<T>) -> Result<T> {
        match attempt() {
            Err(error) => match self.update().with_context(|| format!("{error:#}"))? {
                true => attempt(),
                false => Err(error),
            },
            done => done,
        }
    }
}

/// Installs the packages of the tools and files that are missing.
fn tools(lists: &mut Lists) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut packages = missing(&TOOLS, &folders);
    packages.extend(absent(&FILES));
    if packages.is_empty() {
        return Ok(());
    }
    lists.retry(|| apt::install(&packages)).context("can't install what tests need")
}

/// The packages of the tools that are in none of these folders.
fn missing(tools: &[(&str, &'static str)], folders: &[PathBuf]) -> Vec<&'static str> {
    let executable = |path: PathBuf| {
        fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    tools
        .iter()
        .filter(|(tool, _)| !folders.iter().any(|folder| executable(folder.join(tool))))
        .map(|(_, package)| *package)
        .collect()
}

/// The packages of the files that are not there.
fn absent(files: &[(&str, &'static str)]) -> Vec<&'static str> {
    files
        .iter()
        .filter(|(file, _)| !Path::new(file).is_file())
        .map(|(_, package)| *package)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_that_can_be_executed_are_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in [("gcc", 0o755), ("g++", 0o644)] {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let folders = [PathBuf::from("/nowhere"), folder.path().to_owned()];
        assert_eq!(missing(&TOOLS, &folders), ["g++", "make", "openssl", "qemu-utils"]);
    }

    #[test]
    fn files_that_are_there_are_not_absent() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there.bin");
        fs::write(&there, "").unwrap();
        let gone = folder.path().join("gone.bin");
        let files = [(&*there, "a"), (&*gone, "b"), (folder.path(), "c")];
        let packages = files.map(|(file, package)| (file.to_str().unwrap(), package));
        assert_eq!(absent(&packages), ["b", "c"]);
    }

    #[test]
    fn the_lists_are_brought_up_to_date_at_most_once() {
        let mut lists = Lists { updated: true };
        let tries = std::cell::Cell::new(0);
        let error = lists.retry(|| -> Result<()> {
            tries.set(tries.get() + 1);
            anyhow::bail!("not found")
        });
        assert_eq!((error.unwrap_err().to_string().as_str(), tries.get()), ("not found", 1));
    }
}
