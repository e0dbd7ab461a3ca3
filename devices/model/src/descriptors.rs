//! Descriptors that a VM's users hand over, instead of having it open something: by name, or in sets
//! that stand for files.
//!
//! They are judged by what they are, never by what they are called, and they stay open until their
//! user takes them back. Whoever opens a file for a user does it by [`Descriptors::open`], which takes
//! the path of a set as well.
//!
//! A user may also give a number. Most numbers are those of what the program opened itself: a
//! monitor's socket, the guest's memory. None of that is a user's to have, so that
//! [`Descriptors::duplicate`] gives what was handed over and no other.

mod number;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Arc, Weak},
};

pub use number::{DescriptorNumber, DescriptorNumbers, DescriptorProperty};
use parking_lot::Mutex;
use qom_core::Obj;
use rustix::{
    fs::{OFlags, fcntl_getfl},
    io::{Errno, fcntl_dupfd_cloexec},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};

use crate::named_file;

/// How many descriptors a VM keeps for its users.
const MOST_DESCRIPTORS: usize = 1024;

/// The longest name, and the longest description, in bytes.
const LONGEST_TEXT: usize = 1024;

/// Why a descriptor is not taken, or not given back. The words are QEMU's where it has any.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// A name that a number could be taken for.
    #[error("Parameter 'fdname' expects a name not starting with a digit")]
    Name,
    /// A name or description that is too long.
    #[error("Parameter '{parameter}' expects at most {LONGEST_TEXT} bytes")]
    TooLong {
        /// What it was given as.
        parameter: &'static str,
    },
    /// Nothing of that name, or no such set or member.
    #[error("File descriptor named '{0}' not found")]
    Missing(String),
    /// There are enough of them.
    #[error("at most {MOST_DESCRIPTORS} descriptors are kept")]
    TooMany,
    /// No number is free.
    #[error("no number for another set is free")]
    NoNumber,
}

/// A descriptor of a set.
#[derive(Debug)]
struct Member {
    descriptor: OwnedFd,
    opaque: Option<String>,
}

/// A set, as users see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorSet {
    /// Its number.
    pub id: u32,
    /// Its descriptors: the number of each in this process, and what its user said of it.
    pub members: Vec<(i32, Option<String>)>,
}

/// All that a VM keeps for its users.
#[derive(Debug, Default)]
pub struct Descriptors(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    named: BTreeMap<String, Arc<OwnedFd>>,
    sets: BTreeMap<u32, Vec<Member>>,
    /// Those that objects were made of.
    used: Vec<(Obj, Arc<OwnedFd>)>,
    /// All that were ever named and are still open.
    passed: Vec<Weak<OwnedFd>>,
    /// Numbers of those that the process was started with.
    inherited: BTreeSet<i32>,
}

impl Kept {
    fn check_room(&self) -> Result<(), DescriptorError> {
        let members: usize = self.sets.values().map(Vec::len).sum();
        match self.named.len() + members < MOST_DESCRIPTORS {
            true => Ok(()),
            false => Err(DescriptorError::TooMany),
        }
    }
}

fn check_length(parameter: &'static str, text: &str) -> Result<(), DescriptorError> {
    match text.len() <= LONGEST_TEXT {
        true => Ok(()),
        false => Err(DescriptorError::TooLong { parameter }),
    }
}

impl Descriptors {
    /// Keeps a descriptor under a name, and closes what was kept under it.
    ///
    /// # Errors
    /// If it is no name, or there are enough.
    pub fn name(&self, name: &str, descriptor: OwnedFd) -> Result<(), DescriptorError> {
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(DescriptorError::Name);
        }
        check_length("fdname", name)?;
        let mut kept = self.0.lock();
        if !kept.named.contains_key(name) {
            kept.check_room()?;
        }
        let descriptor = Arc::new(descriptor);
        // As many as there are names, objects and commands that hold one.
        kept.passed.retain(|passed| passed.strong_count() > 0);
        kept.passed.push(Arc::downgrade(&descriptor));
        kept.named.insert(name.to_owned(), descriptor);
        Ok(())
    }

    /// Closes what is kept under a name.
    ///
    /// # Errors
    /// If nothing is.
    pub fn unname(&self, name: &str) -> Result<(), DescriptorError> {
        let removed = self.0.lock().named.remove(name);
        removed.map(drop).ok_or_else(|| DescriptorError::Missing(name.to_owned()))
    }

    /// What is kept under a name. It stays open for as long as this is held.
    ///
    /// # Errors
    /// If nothing is.
    pub fn named(&self, name: &str) -> Result<Arc<OwnedFd>, DescriptorError> {
        let kept = self.0.lock();
        kept.named.get(name).cloned().ok_or_else(|| DescriptorError::Missing(name.to_owned()))
    }

    /// Keeps a descriptor open for as long as an object is in its tree that was made of it and is
    /// judged by its number, which may be at any time.
    pub fn keep(&self, object: &Obj, descriptor: Arc<OwnedFd>) {
        let gone: Vec<_> = {
            let mut kept = self.0.lock();
            let gone = kept.used.extract_if(.., |(object, _)| object.path().is_none()).collect();
            kept.used.push((object.clone(), descriptor));
            gone
        };
        // An object may have much to do when it goes, so that nothing is locked then.
        drop(gone);
    }

    /// States the numbers of the descriptors that the process was started with and that are its
    /// users' to give, in place of those stated before.
    pub fn inherit(&self, numbers: impl IntoIterator<Item = i32>) {
        self.0.lock().inherited = numbers.into_iter().collect();
    }

    /// The descriptor of that number, if a client passed and named it and it is still open. It stays
    /// so, and its number its own, for as long as this is held.
    #[must_use]
    pub fn passed(&self, number: u32) -> Option<Arc<OwnedFd>> {
        let number = i32::try_from(number).ok()?;
        // Each that is dropped here may be the last, so that nothing is locked then.
        let passed: Vec<_> = self.0.lock().passed.iter().filter_map(Weak::upgrade).collect();
        passed.into_iter().find(|passed| passed.as_raw_fd() == number)
    }

    /// A duplicate of the descriptor that has a number a user gave: one that the process was started
    /// with, or that a client passed and named and that is still open.
    ///
    /// # Errors
    /// If there is none of that number, of kind [`ErrorKind::NotFound`]; if it is the program's own,
    /// of kind [`ErrorKind::PermissionDenied`].
    pub fn duplicate(&self, number: u32) -> io::Result<OwnedFd> {
        if let Some(passed) = self.passed(number) {
            return Ok(fcntl_dupfd_cloexec(&*passed, 3)?);
        }
        let inherited = |number| self.0.lock().inherited.contains(&number);
        match i32::try_from(number).is_ok_and(inherited) {
            true => examine(number),
            false => {
                // Only to tell one mistake from the other.
                examine(number)?;
                Err(io::Error::new(
                    ErrorKind::PermissionDenied,
                    "the process was not started with that descriptor, and no client passed it",
                ))
            }
        }
    }

    /// Adds a descriptor to a set, or to a new one of the first number that is free. The numbers of
    /// the set and of the descriptor.
    ///
    /// # Errors
    /// If there are enough, or the description is too long.
    pub fn add(
        &self,
        set: Option<u32>,
        opaque: Option<String>,
        descriptor: OwnedFd,
    ) -> Result<(u32, i32), DescriptorError> {
        if let Some(opaque) = &opaque {
            check_length("opaque", opaque)?;
        }
        let mut kept = self.0.lock();
        kept.check_room()?;
        let free = || (0..=u32::MAX).find(|number| !kept.sets.contains_key(number));
        let set = set.or_else(free).ok_or(DescriptorError::NoNumber)?;
        let number = descriptor.as_raw_fd();
        kept.sets.entry(set).or_default().push(Member { descriptor, opaque });
        Ok((set, number))
    }

    /// Closes a descriptor of a set, or all of them; a set without any is none.
    ///
    /// # Errors
    /// If there is no such set or descriptor.
    pub fn remove(&self, set: u32, number: Option<i32>) -> Result<(), DescriptorError> {
        let missing = || {
            let number = number.map(|number| format!(", fd:{number}")).unwrap_or_default();
            DescriptorError::Missing(format!("fdset-id:{set}{number}"))
        };
        let mut kept = self.0.lock();
        let members = kept.sets.get_mut(&set).ok_or_else(missing)?;
        let before = members.len();
        members.retain(|member| number.is_some_and(|it| it != member.descriptor.as_raw_fd()));
        if members.len() == before {
            return Err(missing());
        }
        if members.is_empty() {
            kept.sets.remove(&set);
        }
        Ok(())
    }

    /// All sets, by number.
    #[must_use]
    pub fn sets(&self) -> Vec<DescriptorSet> {
        let member = |member: &Member| (member.descriptor.as_raw_fd(), member.opaque.clone());
        let kept = self.0.lock();
        let sets = kept.sets.iter();
        sets.map(|(id, members)| DescriptorSet {
            id: *id,
            members: members.iter().map(member).collect(),
        })
        .collect()
    }

    /// A duplicate of the descriptor in a set that allows just the access that is asked for.
    pub(crate) fn duplicate_member(&self, set: u32, access: OFlags) -> io::Result<OwnedFd> {
        let kept = self.0.lock();
        let wrong = |kind, what: String| io::Error::new(kind, what);
        let members = kept.sets.get(&set).ok_or_else(|| {
            wrong(ErrorKind::NotFound, format!("there is no set {set} of descriptors"))
        })?;
        for member in members {
            let descriptor = member.descriptor.as_fd();
            if fcntl_getfl(descriptor)? & OFlags::ACCMODE == access & OFlags::ACCMODE {
                named_file::check(&member.descriptor)?;
                return Ok(fcntl_dupfd_cloexec(descriptor, 3)?);
            }
        }
        let what = match access & OFlags::ACCMODE {
            OFlags::WRONLY => "writing",
            OFlags::RDWR => "both reading and writing",
            _ => "reading",
        };
        Err(wrong(
            ErrorKind::PermissionDenied,
            format!("set {set} has no descriptor that is open for {what}"),
        ))
    }
}

fn none() -> io::Error {
    io::Error::new(ErrorKind::NotFound, "the process has no such descriptor")
}

/// A duplicate of the process's descriptor of that number, whoever's it is: to see what it leads to,
/// for whoever judges a number before there is a platform. What is to be used comes from
/// [`Descriptors::duplicate`].
///
/// # Errors
/// If there is none, of kind [`ErrorKind::NotFound`], or the host refuses.
pub fn examine(number: u32) -> io::Result<OwnedFd> {
    let number = i32::try_from(number).map_err(|_| none())?;
    // A number alone does not show that a descriptor stays open while it is used. So it is
    // duplicated as another process's would be.
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    if number == this.as_raw_fd() {
        return Err(none());
    }
    pidfd_getfd(this, number, PidfdGetfdFlags::empty())
        .map_err(|error| if error == Errno::BADF { none() } else { error.into() })
}
