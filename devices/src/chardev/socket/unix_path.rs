//! The path of a Unix socket that listens: made, taken over from somebody who is gone, removed.

use std::{
    fs, io,
    io::ErrorKind,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with},
};

/// A path that this process made. Dropped, it is removed if it is still the same file.
#[derive(Debug)]
pub(crate) struct SocketPath {
    path: PathBuf,
    identity: (u64, u64),
}

/// What tells a file from others: device and inode.
fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl SocketPath {
    /// Binds a socket to a path. A socket that nobody holds any more is replaced, every other file
    /// stays.
    ///
    /// # Errors
    /// If there is such a file, or the host refuses.
    pub(crate) fn bind(socket: &OwnedFd, path: &str, address: &SocketAddrUnix) -> io::Result<Self> {
        // The directory may be another by the time that the path is removed.
        let path = std::path::absolute(path)?;
        match bind(socket, address) {
            Err(Errno::ADDRINUSE) => {
                remove_stale(&path, address)?;
                bind(socket, address)?;
            }
            bound => bound?,
        }
        let identity = identity(&fs::symlink_metadata(&path)?);
        Ok(Self { path, identity })
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let now = fs::symlink_metadata(&self.path);
        if now.is_ok_and(|now| identity(&now) == self.identity) {
            // If it can't be removed, whoever comes next finds it stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that nobody holds any more.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    let before = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !before.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "the path exists and is no socket"));
    }
    // A socket of another type is told whether anybody is there, and comes to nobody's notice. One
    // that is bound and does not listen yet counts as somebody.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    match connect(&probe, address) {
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        Ok(()) | Err(Errno::PROTOTYPE) => {
            return Err(io::Error::new(ErrorKind::AddrInUse, "somebody listens there"));
        }
        Err(error) => return Err(error.into()),
    }
    match fs::symlink_metadata(path) {
        Ok(now) if identity(&now) == identity(&before) => fs::remove_file(path),
        // Somebody else has just done so.
        _ => Ok(()),
    }
}
