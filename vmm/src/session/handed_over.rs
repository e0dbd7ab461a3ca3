//! `-add-fd`: descriptors that the process was started with, for sets that stand for files.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use device_model::platform::Platform;
use rustix::{
    io::Errno,
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

use super::error::{OptionError, StartError};
use crate::options::{
    add_fd::AddFd,
    command_line::{CommandLine, Entry},
};

/// Duplicates of descriptors that the process was started with, and the options that name them.
pub(super) struct HandedOver<'a>(Vec<(&'a Entry, &'a AddFd, OwnedFd)>);

impl<'a> HandedOver<'a> {
    /// Duplicates all that the command line names. It is to be called before anything is opened, so
    /// that nothing that the program opens itself passes for one of them.
    ///
    /// # Errors
    /// If one of them is not open.
    pub(super) fn take(line: &'a CommandLine) -> Result<Self, StartError> {
        let mut taken: Vec<(&Entry, &AddFd, OwnedFd)> = Vec::new();
        if line.added_descriptors().next().is_none() {
            return Ok(Self(taken));
        }
        // A number alone does not show that a descriptor stays open while it is used. So it is
        // duplicated as another process's would be.
        let this = pidfd_open(getpid(), PidfdFlags::empty()).map_err(|error| host(error.into()))?;
        for (entry, added) in line.added_descriptors() {
            let is_own = added.fd == this.as_raw_fd()
                || taken.iter().any(|(.., descriptor)| descriptor.as_raw_fd() == added.fd);
            let duplicate = match is_own {
                true => Err(Errno::BADF),
                false => pidfd_getfd(&this, added.fd, PidfdGetfdFlags::empty()),
            };
            let descriptor = duplicate.map_err(|error| match error {
                Errno::BADF => refuse(entry, OptionError::NoDescriptor { fd: added.fd }),
                error => host(error.into()),
            })?;
            taken.push((entry, added, descriptor));
        }
        Ok(Self(taken))
    }

    /// Puts them into their sets.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn give(self, platform: &Platform) -> Result<(), StartError> {
        for (entry, added, descriptor) in self.0 {
            let (set, opaque) = (Some(added.set), added.opaque.clone());
            platform
                .descriptors()
                .add(set, opaque, descriptor)
                .map_err(|error| refuse(entry, error.into()))?;
        }
        Ok(())
    }
}

fn host(source: io::Error) -> StartError {
    StartError::Host { action: "duplicate a descriptor", source }
}

fn refuse(entry: &Entry, problem: OptionError) -> StartError {
    StartError::Option { place: entry.place_of("fd"), problem }
}
