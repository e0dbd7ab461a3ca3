//! A distribution's kernel, which tests start as a guest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::Lists;
use crate::{apt, workspace};

/// The package that depends on the newest kernel for virtual machines.
const METAPACKAGE: &str = "linux-image-cloud-amd64";
/// How the names of packages with kernels start.
const PREFIX: &str = "linux-image-";

/// Where it is: `vmlinuz`, and its modules in `modules`.
fn folder() -> PathBuf {
    workspace::cache().join("debian-kernel")
}

/// The kernel's file.
pub(super) fn file() -> PathBuf {
    folder().join("vmlinuz")
}

/// Gets the distribution's newest kernel for virtual machines.
pub(super) fn fetch(lists: &mut Lists) -> Result<()> {
    if file().is_file() {
        return Ok(());
    }
    let attempt = || {
        let package = apt::dependency(METAPACKAGE, PREFIX)?
            .with_context(|| format!("the archive has no {METAPACKAGE}"))?;
        fs::create_dir_all(workspace::cache())?;
        // Beside its place, so that it can be moved there whole. What is interrupted is never
        // there half, and only leaves a folder that nobody looks at.
        let scratch = tempfile::Builder::new().prefix("fetch-").tempdir_in(workspace::cache())?;
        let deb = apt::download(&package, scratch.path())?;
        let unpacked = scratch.path().join("unpacked");
        apt::unpack(&deb, &unpacked)?;
        place(&unpacked, scratch.path(), &folder())
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
}
