//! `cargo xtask fetch`: what the tests need and a checkout lacks, from the distribution's archive.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{apt, workspace};

/// Options of the task.
#[derive(Args)]
pub(crate) struct Options {}

/// Tools that building the tests takes, and the packages that have them.
const TOOLS: [(&str, &str); 3] = [("gcc", "gcc"), ("g++", "g++"), ("make", "make")];
/// The package that depends on the newest kernel for virtual machines.
const KERNEL_METAPACKAGE: &str = "linux-image-cloud-amd64";
/// How the names of packages with kernels start.
const KERNEL_PREFIX: &str = "linux-image-";

/// Gets everything.
pub(crate) fn run(_: &Options) -> Result<ExitCode> {
    fetch()?;
    println!("{}", kernel_folder().join("vmlinuz").display());
    Ok(ExitCode::SUCCESS)
}

/// Gets what is not there yet. Does nothing, and needs no network, if everything is.
pub(crate) fn fetch() -> Result<()> {
    let mut lists = Lists::default();
    tools(&mut lists)?;
    kernel(&mut lists)
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

/// Installs the compilers that are missing.
fn tools(lists: &mut Lists) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let packages = missing(&TOOLS, &folders);
    if packages.is_empty() {
        return Ok(());
    }
    lists.retry(|| apt::install(&packages)).context("can't install the tools that tests need")
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

/// Where the distribution's kernel is: `vmlinuz`, and its modules in `modules`.
fn kernel_folder() -> PathBuf {
    workspace::cache().join("debian-kernel")
}

/// Gets the distribution's newest kernel for virtual machines.
fn kernel(lists: &mut Lists) -> Result<()> {
    let folder = kernel_folder();
    if folder.join("vmlinuz").is_file() {
        return Ok(());
    }
    let attempt = || {
        let package = apt::dependency(KERNEL_METAPACKAGE, KERNEL_PREFIX)?
            .with_context(|| format!("the archive has no {KERNEL_METAPACKAGE}"))?;
        fs::create_dir_all(workspace::cache())?;
        // Beside its place, so that it can be moved there whole. What is interrupted is never
        // there half, and only leaves a folder that nobody looks at.
        let scratch = tempfile::Builder::new().prefix("fetch-").tempdir_in(workspace::cache())?;
        let deb = apt::download(&package, scratch.path())?;
        let unpacked = scratch.path().join("unpacked");
        apt::unpack(&deb, &unpacked)?;
        place(&unpacked, scratch.path(), &folder)
            .with_context(|| format!("can't use the package {package}"))
    };
    lists.retry(attempt).context("can't get a kernel")
}

/// Moves kernel and modules of an unpacked package to `folder`, all at once.
fn place(unpacked: &Path, scratch: &Path, folder: &Path) -> Result<()> {
    let boot = fs::read_dir(unpacked.join("boot")).context("it has no boot folder")?;
    let kernel = boot
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("vmlinuz")))
        .context("it has no vmlinuz")?;
    let ready = scratch.join("ready");
    fs::create_dir(&ready)?;
    let modules = ["usr/lib/modules", "lib/modules"].map(|it| unpacked.join(it));
    if let Some(modules) = modules.iter().find(|path| path.is_dir()) {
        fs::rename(modules, ready.join("modules"))?;
    }
    fs::rename(kernel, ready.join("vmlinuz"))?;
    fs::File::open(ready.join("vmlinuz"))?.sync_all()?;
    match fs::rename(&ready, folder) {
        // Somebody else was faster.
        Err(_) if folder.join("vmlinuz").is_file() => Ok(()),
        done => done.with_context(|| format!("can't create {}", folder.display())),
    }
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
        assert_eq!(missing(&TOOLS, &folders), ["g++", "make"]);
    }

    #[test]
    fn kernel_and_modules_come_to_their_place_together() {
        let scratch = tempfile::tempdir().unwrap();
        let unpacked = scratch.path().join("unpacked");
        for folder in ["boot", "lib/modules/6.1"] {
            fs::create_dir_all(unpacked.join(folder)).unwrap();
        }
        for file in ["boot/System.map-6.1", "boot/vmlinuz-6.1", "lib/modules/6.1/virtio.ko"] {
            fs::write(unpacked.join(file), file).unwrap();
        }
        let folder = scratch.path().join("debian-kernel");
        place(&unpacked, scratch.path(), &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("vmlinuz")).unwrap(), "boot/vmlinuz-6.1");
        assert!(folder.join("modules/6.1/virtio.ko").is_file());
    }

    #[test]
    fn a_package_without_a_kernel_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let unpacked = scratch.path().join("unpacked");
        fs::create_dir_all(unpacked.join("boot")).unwrap();
        let folder = scratch.path().join("debian-kernel");
        let error = place(&unpacked, scratch.path(), &folder).unwrap_err();
        assert_eq!(error.to_string(), "it has no vmlinuz");
        assert!(!folder.exists());
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
