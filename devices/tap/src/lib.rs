//! TAP network interfaces, as the kernel offers them: an interface of the host whose cable ends in a
//! descriptor, from which its frames are read and to which frames for it are written.
//!
//! The requests are those of `linux/if_tun.h`; `Documentation/networking/tuntap.rst` of the kernel
//! explains them.

mod requests;

use std::{
    io::{self, ErrorKind},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor, open};

pub use requests::Features;
use requests::{
    IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TAP, IFF_TUN_EXCL, IFF_VNET_HDR, Interface, NAME_SIZE,
};

/// Where the kernel makes such interfaces.
const CLONE_DEVICE: &str = "/dev/net/tun";

/// The number of that device (`MISC_MAJOR` of linux/major.h, `TUN_MINOR` of linux/miscdevice.h).
const CLONE_NUMBER: (u32, u32) = (10, 200);

/// What an interface is to be, or is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// Whether each frame stands behind a `struct virtio_net_hdr` (virtio 1.2, section 5.1.6).
    pub vnet_header: bool,
    /// Whether there may be several descriptors, each a queue of its own.
    pub multi_queue: bool,
}

/// One queue of a TAP interface.
#[derive(Debug)]
pub struct Tap {
    descriptor: OwnedFd,
    name: String,
    kind: Kind,
}

impl Tap {
    /// Opens the interface of that name, or makes one, which then lasts as long as a descriptor of
    /// it is open. In the name, `%d` stands for a number that the kernel chooses.
    ///
    /// # Errors
    /// If the name is none, the process lacks the right, the interface is of another kind, or
    /// somebody else has it.
    pub fn open(name: &str, kind: Kind) -> io::Result<Self> {
        Self::with_flags(name, kind, 0)
    }

    /// As [`Tap::open`], if there is no such interface yet.
    ///
    /// # Errors
    /// As there, or if there is one.
    pub fn create(name: &str, kind: Kind) -> io::Result<Self> {
        Self::with_flags(name, kind, IFF_TUN_EXCL)
    }

    fn with_flags(name: &str, kind: Kind, further: u16) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let descriptor = open(CLONE_DEVICE, flags, Mode::empty()).map_err(|error| {
            io::Error::new(
                io::Error::from(error).kind(),
                format!("can't open '{CLONE_DEVICE}': {}", io::Error::from(error)),
            )
        })?;
        let mut flags = IFF_TAP | IFF_NO_PI | further;
        if kind.vnet_header {
            flags |= IFF_VNET_HDR;
        }
        if kind.multi_queue {
            flags |= IFF_MULTI_QUEUE;
        }
        let mut interface = Interface::new(name, flags).ok_or_else(|| {
            let problem = format!(
                "'{name}' is no name of an interface, which has 1 to {} bytes",
                NAME_SIZE - 1
            );
            io::Error::new(ErrorKind::InvalidInput, problem)
        })?;
        requests::set_interface(descriptor.as_fd(), &mut interface)?;
        Ok(Self { descriptor, name: interface.name(), kind })
    }

    /// Takes a descriptor that is a queue of a TAP interface already, such as another process opened.
    ///
    /// # Errors
    /// If it is something else, or its frames stand behind the protocol information that
    /// `IFF_NO_PI` leaves out.
    pub fn from_descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        let wrong = |what| io::Error::new(ErrorKind::InvalidInput, what);
        let file = fstat(&descriptor)?;
        let is_clone = FileType::from_raw_mode(file.st_mode) == FileType::CharacterDevice
            && (major(file.st_rdev), minor(file.st_rdev)) == CLONE_NUMBER;
        if !is_clone {
            return Err(wrong("it is no TAP interface"));
        }
        let interface =
            requests::interface(descriptor.as_fd()).map_err(|_| wrong("it is no TAP interface"))?;
        let flags = interface.flags();
        if flags & IFF_TAP == 0 {
            return Err(wrong("it is no TAP interface, but a TUN interface, which has no frames"));
        }
        if flags & IFF_NO_PI == 0 {
            return Err(wrong("its frames have protocol information before them (no IFF_NO_PI)"));
        }
        let kind = Kind {
            vnet_header: flags & IFF_VNET_HDR != 0,
            multi_queue: flags & IFF_MULTI_QUEUE != 0,
        };
        Ok(Self { descriptor, name: interface.name(), kind })
    }

    /// What the host calls the interface.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the interface is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Sets how long the header before each frame is: 10 or 12 bytes. It holds for all queues.
    ///
    /// # Errors
    /// If the interface has no headers.
    pub fn set_header_length(&self, bytes: u8) -> io::Result<()> {
        Ok(requests::set_header_length(self.as_fd(), bytes)?)
    }

    /// Lets the kernel give frames that are unfinished in these ways. It holds for all queues.
    ///
    /// # Errors
    /// If the kernel knows none of them, or the interface has no headers.
    pub fn set_offloads(&self, accepted: Features) -> io::Result<()> {
        Ok(requests::set_offloads(self.as_fd(), accepted)?)
    }

    /// Sets how many bytes may be on their way into the host at once.
    ///
    /// # Errors
    /// If that is none.
    pub fn set_send_buffer(&self, bytes: i32) -> io::Result<()> {
        Ok(requests::set_send_buffer(self.as_fd(), bytes)?)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_interface_has_is_refused() {
        for name in ["", "sixteen-bytes-xx", "a\0b", "a/b", "a b", ".", ".."] {
            let error = Tap::open(name, Kind::default()).unwrap_err().to_string();
            assert!(
                error.contains("is no name of an interface") || error.contains("/dev/net/tun"),
                "{name:?}: {error}"
            );
        }
    }

    #[test]
    fn a_descriptor_is_judged_by_what_it_is() {
        let (socket, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let error = Tap::from_descriptor(socket.into()).unwrap_err().to_string();
        assert_eq!(error, "it is no TAP interface");
    }
}
