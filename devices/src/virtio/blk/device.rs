//! `virtio-blk-device`: what users configure, and how it is driven.

use std::{io, sync::Arc};

use device_model::{
    block::{ErrorPolicy, OnError},
    prelude::*,
    virtio::{VirtioDevice, VirtioDriver, spec::device_id},
};

use super::{
    disk::{Disk, Failures, Names},
    lane::Lane,
    layout::{Layout, MOST_SECTORS, Settings},
    spec::config,
};

/// The most queues that it has: each takes two descriptors of the host's.
const MOST_QUEUES: u16 = 256;
/// The size of a block that all disks have, in bytes.
const BLOCK: u32 = 512;

/// Whether what was written may have to be flushed
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
#[property(name = "OnOffAuto")]
enum WriteCache {
    /// As disks have it that say nothing: on.
    #[default]
    Auto,
    /// It may.
    On,
    /// It is flushed before the guest is told that it was written.
    Off,
}

/// Disk
#[qom_type(
    secure,
    name = "virtio-blk-device",
    parent = VirtioDevice,
    category = "Storage devices"
)]
pub struct VirtioBlkDevice {
    /// The node with its bytes
    #[property(link = dyn BlockNode, required)]
    drive: Link<dyn BlockNode>,
    /// Serial number, of which the guest is told the first 20 bytes
    #[property(default = "")]
    serial: String,
    /// Bytes of a logical block
    #[property(name = "logical_block_size", default = BLOCK)]
    logical_block_size: u32,
    /// Bytes of a physical block
    #[property(name = "physical_block_size", default = BLOCK)]
    physical_block_size: u32,
    /// The least that is best transferred at once, in bytes; 0 if nobody says
    #[property(name = "min_io_size")]
    min_io_size: u32,
    /// What is best transferred at once, in bytes; 0 if nobody says
    #[property(name = "opt_io_size")]
    opt_io_size: u32,
    /// What is best discarded at once, in bytes; as the node has it if absent
    #[property(name = "discard_granularity")]
    discard_granularity: Option<u32>,
    /// How many queues it has
    #[property(default = 1, range = 1..=MOST_QUEUES)]
    num_queues: u16,
    /// The greatest size of each, in descriptors, a power of two
    #[property(default = 256)]
    queue_size: u16,
    /// Whether what was written may have to be flushed
    #[property]
    write_cache: WriteCache,
    /// Whether the guest may switch that
    #[property(default = true)]
    config_wce: bool,
    /// Whether the guest may discard
    #[property(default = true)]
    discard: bool,
    /// Whether the guest may have zeroes written
    #[property(default = true)]
    write_zeroes: bool,
    /// The most sectors that one request discards
    #[property(default = MOST_SECTORS)]
    max_discard_sectors: u32,
    /// The most sectors that one request fills with zeroes
    #[property(default = MOST_SECTORS)]
    max_write_zeroes_sectors: u32,
    /// What becomes of requests that fail to read
    #[property]
    rerror: OnError,
    /// What becomes of all others that fail
    #[property]
    werror: OnError,
    /// Thread that serves its queues
    #[property(link = dyn EventLoopBase)]
    iothread: Link<dyn EventLoopBase>,
    disk: Realized<Arc<Disk>>,
    work: Realized<Work>,
}

/// A driver, and its queues at work.
struct Work {
    driver: VirtioDriver,
    lanes: Vec<Option<Arc<Lane>>>,
}

impl VirtioBlkDevice {
    fn settings(&self, backend: &BlockBackend) -> Settings {
        Settings {
            logical_block_size: self.logical_block_size,
            physical_block_size: self.physical_block_size,
            min_io_size: self.min_io_size,
            opt_io_size: self.opt_io_size,
            discard_granularity: self.discard_granularity,
            num_queues: self.num_queues,
            queue_size: self.queue_size,
            discard: self.discard,
            write_zeroes: self.write_zeroes,
            max_discard_sectors: self.max_discard_sectors,
            max_write_zeroes_sectors: self.max_write_zeroes_sectors,
            read_only: !backend.is_writable(),
            config_wce: self.config_wce,
            node: backend.limits(),
        }
    }

    fn names(&self, object: &Obj) -> Names {
        let path = object.path().unwrap_or_default();
        let id = path.strip_prefix("/machine/peripheral/").unwrap_or_default().to_owned();
        Names { path, id, node: self.drive.get().map(|node| node.node_name()) }
    }

    fn lanes(&self) -> Vec<Arc<Lane>> {
        let lanes = self.work.with(|work| work.lanes.iter().flatten().cloned().collect());
        lanes.unwrap_or_default()
    }
}

impl Device for VirtioBlkDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let writes = self.drive.get().is_some_and(|node| node.is_writable());
        let backend = cx.attach(self, &self.drive, writes)?;
        let backend = backend.ok_or(DeviceError::Missing("node for the disk"))?;
        let layout = Layout::new(self.settings(&backend)).map_err(DeviceError::configuration)?;
        let failures = Failures {
            policy: ErrorPolicy { read: self.rerror, write: self.werror },
            names: self.names(cx.object()),
            announcer: cx.platform().announcer().clone(),
            requests: Arc::clone(cx.requests()),
        };
        let caches = self.write_cache != WriteCache::Off;
        self.disk.set(Arc::new(Disk::new(backend, layout, &self.serial, caches, failures)));
        cx.plug_virtio(self)
    }

    fn unrealize(&self) {
        self.disk.clear();
    }

    fn resumed(&self) {
        for lane in self.lanes() {
            lane.retry();
        }
    }
}

impl BlockWatcher for VirtioBlkDevice {
    fn resized(&self) {
        self.disk.with(|disk| disk.resized());
        // A generation of the configuration begins behind the new length.
        let driver = self.work.with(|work| work.driver.clone());
        if let Some(driver) = driver {
            driver.config_changed();
        }
    }
}

impl VirtioDevice for VirtioBlkDevice {
    fn device_id(&self) -> u32 {
        device_id::BLOCK
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![self.queue_size; self.num_queues.into()]
    }

    fn features(&self) -> u64 {
        self.disk.with(|disk| disk.layout().features()).unwrap_or_default()
    }

    fn config_size(&self) -> u64 {
        config::SIZE as u64
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let Some(bytes) = self.disk.with(|disk| disk.config()) else { return };
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(data.len());
        if let Some(bytes) = bytes.get(start..end) {
            data.copy_from_slice(bytes);
        }
    }

    fn write_config(&self, offset: u64, data: &[u8]) {
        // The only field that is the driver's to write has one byte.
        if let (Ok(config::WRITEBACK), [byte]) = (usize::try_from(offset), data) {
            self.disk.with(|disk| disk.set_writeback(*byte != 0));
        }
    }

    fn event_loop(&self) -> Option<Arc<EventLoop>> {
        self.iothread.get()?.events()
    }

    fn start(&self, driver: VirtioDriver) -> io::Result<()> {
        let disk = self.disk.get().ok_or(io::ErrorKind::NotConnected)?;
        disk.begin(driver.features());
        let lanes = driver.queues().iter().map(|queue| {
            let lane = queue.as_ref().map(|queue| Lane::new(&disk, &driver, queue));
            lane.transpose()
        });
        let lanes: io::Result<Vec<_>> = lanes.collect();
        self.work.set(Work { lanes: lanes?, driver });
        Ok(())
    }

    fn notified(&self, queue: u16) {
        let lane = self.work.with(|work| work.lanes.get(usize::from(queue)).cloned().flatten());
        if let Some(lane) = lane.flatten() {
            lane.serve();
        }
    }

    fn queue_stopped(&self, queue: u16) {
        let lane = self.work.with(|work| work.lanes.get(usize::from(queue)).cloned().flatten());
        if let Some(lane) = lane.flatten() {
            lane.stop();
        }
    }

    fn stop(&self) {
        for lane in self.lanes() {
            lane.stop();
        }
        self.work.clear();
        self.disk.with(|disk| disk.end());
    }
}
