//! `netdev-tap`: a TAP interface of the host.

mod queue;
mod settings;

use std::{
    fmt,
    io::{self, IoSlice},
    process::{Command, Stdio},
    sync::Arc,
};

use device_model::{
    netdev::{Offloads, VnetHeader},
    prelude::*,
    qom_core::BoxedError,
};
use tap_interface::{Kind, Tap};

use self::{
    queue::{Interface, Shared},
    settings::{Settings, Source, program},
};
use super::port::Port;
use crate::chardev::channel::Poller;

/// TAP interface of the host
///
/// The interface of `ifname` is opened, or made and gone with the network; setting it up is for
/// whoever has the right to. Instead, descriptors can be inherited, which need no right. Frames are
/// the kernel's to read: what a guest sends is as if it came by a cable.
#[qom_type(secure, parent = Netdev, children = settings::check)]
pub struct NetdevTap {
    /// Name of the interface, in which %d stands for a number that the kernel chooses; tap%d if none
    #[property]
    ifname: Option<String>,
    /// Number of an inherited descriptor of a TAP interface
    #[property]
    fd: Option<DescriptorNumber>,
    /// Numbers of such descriptors, one for each queue, with colons between them
    #[property]
    fds: Option<DescriptorNumbers>,
    /// How many queues the interface has
    #[property(range = 1..=256)]
    queues: Option<u16>,
    /// Program that is run with the interface's name once it is there, or no
    #[property(
        default = "no",
        insecure_when(
            settings::runs_script,
            reason = "runs a program that the configuration names, with all rights of this one"
        )
    )]
    script: String,
    /// Program that is run with the interface's name before it goes, even if script failed, or no
    #[property(
        default = "no",
        insecure_when(
            settings::runs_downscript,
            reason = "runs a program that the configuration names, with all rights of this one"
        )
    )]
    downscript: String,
    /// How many bytes may be on their way into the host at once; 0 for no limit
    #[property(range = 0..=2_147_483_647)]
    sndbuf: Option<u32>,
    /// Whether frames have a header, which lets checksums and segments be left to the host; on if none
    #[property(name = "vnet_hdr")]
    vnet_hdr: Option<bool>,
    /// Whether frames are left to the kernel, which they are not
    #[property]
    vhost: Option<bool>,
    port: Arc<Port>,
    open: Mutex<Option<Opened>>,
}

impl fmt::Debug for NetdevTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetdevTap").field("port", &self.port).finish_non_exhaustive()
    }
}

/// What is there while the network is open.
struct Opened {
    shared: Arc<Shared>,
    name: String,
    queues: u16,
    /// Whether the interface is ours.
    opened_by_name: bool,
}

impl NetdevTap {
    fn settings(&self) -> Settings {
        Settings {
            fd: self.fd.map(|fd| fd.0),
            fds: self.fds.as_ref().map(|fds| fds.0.clone()),
            ifname: self.ifname.clone(),
            queues: self.queues,
            vnet_hdr: self.vnet_hdr,
            script: self.script.clone(),
            downscript: self.downscript.clone(),
            vhost: self.vhost,
        }
    }

    fn taps(&self, source: &Source, platform: &Platform) -> Result<Vec<Tap>, BoxedError> {
        let (name, queues) = match source {
            Source::Inherited(property, fds) => {
                let taps = settings::inherit_all(property, fds, platform.descriptors())?;
                for tap in &taps {
                    rustix::io::ioctl_fionbio(tap, true)?;
                }
                return Ok(taps);
            }
            Source::Opened(name, queues) => (name, *queues),
        };
        let kind = Kind { vnet_header: self.vnet_hdr.unwrap_or(true), multi_queue: queues > 1 };
        let open = |name: &str| {
            Tap::open(name, kind).map_err(|error| {
                io::Error::new(error.kind(), format!("can't open the interface '{name}': {error}"))
            })
        };
        let first = open(name)?;
        let name = first.name().to_owned();
        let mut taps = vec![first];
        for _ in 1..queues {
            taps.push(open(&name)?);
        }
        Ok(taps)
    }

    fn take(&self) -> Option<Opened> {
        self.open.lock().take()
    }

    fn start(&self, platform: &Platform, taps: Vec<Tap>) -> Result<Arc<Shared>, BoxedError> {
        if let Some(bytes) = self.sndbuf {
            let bytes = i32::try_from(bytes).ok().filter(|bytes| *bytes > 0).unwrap_or(i32::MAX);
            for tap in &taps {
                tap.set_send_buffer(bytes)?;
            }
        }
        let poller = Arc::new(Poller::new()?);
        let shared = Arc::new(Shared::new(taps, &poller)?);
        let interface = Interface::new(Arc::clone(&shared));
        self.port.open(platform.events(), poller, Box::new(interface))?;
        Ok(shared)
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.open.lock().as_ref().map(|opened| Arc::clone(&opened.shared))
    }
}

/// Runs a program with the interface's name, and waits for it.
///
/// # Errors
/// If it can't be run, or fails.
fn run(program: &str, name: &str) -> io::Result<()> {
    let status =
        Command::new(program).arg(name).stdin(Stdio::null()).status().map_err(|error| {
            io::Error::new(error.kind(), format!("can't run '{program}': {error}"))
        })?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("'{program} {name}' failed: {status}"))),
    }
}

impl Netdev for NetdevTap {
    fn open(&self, _object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let source = self.settings().source()?;
        let taps = self.taps(&source, platform)?;
        let name = taps.first().map(|tap| tap.name().to_owned()).unwrap_or_default();
        let queues = u16::try_from(taps.len())?;
        let shared = self.start(platform, taps)?;
        let opened_by_name = matches!(source, Source::Opened(..));
        *self.open.lock() = Some(Opened { shared, name: name.clone(), queues, opened_by_name });
        // Last, so that nothing else can fail once it has run. If it fails itself, it may have done
        // half of its work, which is undone like the whole.
        if let Some(script) = program(&self.script) {
            run(script, &name).inspect_err(|_| self.close())?;
        }
        self.port.set_link(true);
        Ok(())
    }

    fn close(&self) {
        let Some(opened) = self.take() else { return };
        if let Some(script) = program(&self.downscript).filter(|_| opened.opened_by_name) {
            // It goes all the same.
            let _ = run(script, &opened.name);
        }
        self.port.close();
    }

    fn connect(&self, peer: PeerHandle) -> bool {
        self.port.connect(peer)
    }

    fn disconnect(&self) {
        self.port.disconnect();
        if let Some(shared) = self.shared() {
            shared.reset_offloads();
        }
    }

    fn send(&self, queue: u16, frame: &[IoSlice<'_>]) -> Sending {
        match self.shared() {
            Some(shared) => shared.send(&self.port, queue, frame),
            None => {
                self.port.send_dropped();
                Sending::Taken
            }
        }
    }

    fn accept_frames(&self, _queue: u16) {
        self.port.kick();
    }

    fn queues(&self) -> u16 {
        self.open.lock().as_ref().map_or(1, |opened| opened.queues)
    }

    fn offloads(&self) -> Option<Offloads> {
        // The kernel finishes whatever it is given.
        let all = Offloads { checksum: true, tso4: true, tso6: true, ecn: true, uso: true };
        self.shared().filter(|shared| shared.has_header()).map(|_| all)
    }

    fn set_offloads(&self, header: VnetHeader, accepted: Offloads) -> io::Result<()> {
        let shared = self.shared().ok_or(io::ErrorKind::NotConnected)?;
        shared.set_offloads(header, accepted)
    }

    fn is_link_up(&self) -> bool {
        self.port.is_link_up()
    }

    fn counters(&self) -> device_model::netdev::Counters {
        self.port.counters()
    }

    /// `ifname=NAME`, with the number of queues behind it if there are several.
    fn info(&self) -> String {
        match &*self.open.lock() {
            Some(Opened { name, queues: 1, .. }) => format!("ifname={name}"),
            Some(Opened { name, queues, .. }) => format!("ifname={name},queues={queues}"),
            None => String::new(),
        }
    }
}
