//! Descriptors that the process was started with: those that users may number, and those that
//! `-add-fd` puts into sets that stand for files.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    sync::{Arc, OnceLock},
};

use device_model::descriptors::{self, Descriptors};
use rustix::{
    io::Errno,
    process::{PidfdFlags, PidfdGetfdFlags, Resource, getpid, getrlimit, pidfd_getfd, pidfd_open},
};

use super::error::{OptionError, StartError};
use crate::options::{
    add_fd::AddFd,
    command_line::{CommandLine, Entry},
};

/// The first number that is not of a standard stream. Those are the program's own to read and write.
const FIRST: i32 = 3;

/// How many numbers are tried where the kernel lists none.
const MOST_TRIED: i32 = 1 << 16;

/// Numbers of the descriptors that the process was started with, but for the standard streams. The
/// first call finds them, and is to come before anything is opened.
pub(super) fn started_with() -> &'static BTreeSet<i32> {
    static NUMBERS: OnceLock<BTreeSet<i32>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let mut numbers = listed().unwrap_or_else(|_| tried());
        numbers.retain(|number| *number >= FIRST);
        numbers
    })
}

/// All that are open, as the kernel lists them.
fn listed() -> io::Result<BTreeSet<i32>> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let numbers: Result<Vec<_>, io::Error> = entries
        .map(|entry| Ok(entry?.file_name().to_str().and_then(|it| it.parse().ok())))
        .collect();
    // That of the folder is closed by now, and its number is listed.
    Ok(numbers?.into_iter().flatten().filter(is_open).collect())
}

/// All that are open, for a process that has no `/proc`.
fn tried() -> BTreeSet<i32> {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|limit| i32::try_from(limit).ok()).unwrap_or(MOST_TRIED);
    (FIRST..limit.min(MOST_TRIED)).filter(is_open).collect()
}

fn is_open(number: &i32) -> bool {
    let number = u32::try_from(*number).ok();
    number.is_some_and(|number| descriptors::examine(number).is_ok())
}

/// Lets users number those that there are, and puts duplicates of all that the command line names
/// into their sets. It is to be called before anything is opened, so that nothing that the program
/// opens itself passes for one of them.
///
/// # Errors
/// If one of them is not open, or there are too many.
pub(super) fn handed_over(line: &CommandLine) -> Result<Arc<Descriptors>, StartError> {
    let all = Arc::<Descriptors>::default();
    all.inherit(started_with().iter().copied());
    for (entry, added, descriptor) in duplicates(line)? {
        let (set, opaque) = (Some(added.set), added.opaque.clone());
        all.add(set, opaque, descriptor).map_err(|error| refuse(entry, error.into()))?;
    }
    Ok(all)
}

/// Duplicates of the descriptors that the command line names.
fn duplicates(line: &CommandLine) -> Result<Vec<(&Entry, &AddFd, OwnedFd)>, StartError> {
    let mut taken: Vec<(&Entry, &AddFd, OwnedFd)> = Vec::new();
    if line.added_descriptors().next().is_none() {
        return Ok(taken);
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
    Ok(taken)
}

fn host(source: io::Error) -> StartError {
    StartError::Host { action: "duplicate a descriptor", source }
}

fn refuse(entry: &Entry, problem: OptionError) -> StartError {
    StartError::Option { place: entry.place_of("fd"), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_found_with_a_list_of_the_kernel_s_and_without() {
        let (reader, writer) = std::io::pipe().expect("there are descriptors");
        let listed = listed().expect("tests have /proc");
        let tried = tried();
        for number in [reader.as_raw_fd(), writer.as_raw_fd()] {
            assert!(listed.contains(&number) && tried.contains(&number), "{number}");
        }
        let closed = i32::from(u16::MAX) - 1;
        assert!(!listed.contains(&closed) && !tried.contains(&closed));
    }
}
