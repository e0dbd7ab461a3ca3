//! `chardev-stdio`: the process's standard input and output, a terminal or not.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use device_model::prelude::*;
use rustix::{
    io::fcntl_dupfd_cloexec,
    stdio::{stdin, stdout},
};

use super::{
    channel::{self, Channel, Ends, Host, Poller},
    inet::is_exposed_socket,
    terminal::RawTerminal,
};

/// Whether a [`ChardevStdio`] of this process is open.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Standard input and output of the VMM
///
/// A host that takes nothing holds a writer up until the stream is closed or told not to wait; what
/// nobody can read any more is lost. What several devices write at the same time may mix.
#[qom_type(secure, parent = Chardev)]
#[derive(Debug)]
pub struct ChardevStdio {
    /// Whether keys such as Ctrl-C send their signals, rather than go to the guest
    #[property(default = true)]
    signal: bool,
    /// Whether the streams may be sockets that others on the network have the other ends of, as who
    /// starts a process for a connection makes them; it is an error then if not
    #[property(
        default = true,
        insecure_when(
            leads_to_others,
            reason = "a standard stream is a socket on a non-loopback address: no encryption and no \
                      authorization"
        )
    )]
    remote: bool,
    channel: Arc<Channel>,
}

/// Whether another host is at one of the streams, and may be.
fn leads_to_others(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(configuration.get("remote")? && is_exposed())
}

fn is_exposed() -> bool {
    [stdin(), stdout()].into_iter().any(is_exposed_socket)
}

/// What is held while the stream is open. Its fields are dropped in this order.
struct Session {
    _terminal: Option<RawTerminal>,
    _claim: Claim,
}

impl Host for Session {}

/// The right to the standard streams, of which there is one.
#[derive(Debug)]
struct Claim;

impl Claim {
    fn take() -> io::Result<Self> {
        if OPEN.swap(true, Ordering::AcqRel) {
            return Err(io::Error::new(
                ErrorKind::ResourceBusy,
                "standard input and output are in use by another chardev-stdio",
            ));
        }
        Ok(Self)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        OPEN.store(false, Ordering::Release);
    }
}

impl Chardev for ChardevStdio {
    fn open(&self, platform: &Platform) -> io::Result<()> {
        if !self.remote && is_exposed() {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                "a standard stream is a socket on a non-loopback address, and 'remote' is off",
            ));
        }
        let claim = Claim::take()?;
        let terminal = RawTerminal::enter(stdin(), self.signal)?;
        let ends = Ends::Files {
            input: Some(fcntl_dupfd_cloexec(stdin(), 3)?),
            output: fcntl_dupfd_cloexec(stdout(), 3)?,
        };
        let session = Session { _terminal: terminal, _claim: claim };
        let poller = Arc::new(Poller::new()?);
        self.channel.open(platform.events(), Arc::clone(&poller), Box::new(session))?;
        self.channel.arrive(&poller, ends, self.filename()).inspect_err(|_| self.channel.close())
    }

    fn close(&self) {
        self.channel.close();
    }

    fn write(&self, bytes: &[u8]) {
        self.channel.write(bytes);
    }

    channel::delegate!();

    fn filename(&self) -> String {
        "stdio".to_owned()
    }
}
