//! Files that tests make or need.

use std::{
    fs,
    path::{Path, PathBuf},
};

use guests::GuestError;
use tempfile::TempDir;

/// A folder that goes with the test.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "making a folder is no default")]
    pub fn new() -> Self {
        Self(TempDir::new().expect("there is room for temporary files"))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file with these contents.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, contents).expect("there is room for temporary files");
        path
    }

    /// A guest's file.
    pub fn guest(&self, image: Result<Vec<u8>, GuestError>) -> PathBuf {
        self.file("guest.elf", image.expect("the guest can be assembled"))
    }
}

/// The kernel that Debian ships, as the workspace's fetch task puts it down.
///
/// # Panics
/// If it has not been fetched.
pub fn debian_kernel() -> PathBuf {
    fetched("debian-kernel/vmlinuz")
}

/// A Python interpreter that has what our scripts in that language import, as the workspace's fetch
/// task puts it down.
///
/// # Panics
/// If it has not been fetched.
pub fn python() -> PathBuf {
    fetched("venv/bin/python")
}

/// SeaBIOS for boards without PCI, where Debian's package puts it.
///
/// # Panics
/// If the package is not installed.
pub fn seabios() -> PathBuf {
    let file = PathBuf::from("/usr/share/seabios/bios-microvm.bin");
    assert!(file.is_file(), "there is no {}: run cargo xtask fetch", file.display());
    file
}

fn fetched(path: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in a workspace");
    let file = workspace.join(".cache").join(path);
    assert!(file.is_file(), "there is no {}: run cargo xtask fetch", file.display());
    file
}
