//! Block nodes that are only there, and a device in front of one.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use device_model::{
    block::{
        Access, BlockChild, BlockError, Buffers, FormatProbe, OpenContext, Operation, Request,
        announce_file,
    },
    prelude::*,
    qom_core::BoxedError,
};

use super::HOTPLUGGABLE;

/// Node that keeps nothing
#[qom_type(secure, parent = BlockNode)]
struct BlockdevFile {
    /// Where it would be
    #[property(required)]
    filename: String,
    /// Whether it fails to open
    #[property]
    fails: bool,
    length: AtomicU64,
}

impl BlockNode for BlockdevFile {
    fn open(&self, _: &OpenContext<'_>) -> Result<(), BlockError> {
        if self.fails {
            return Err(BlockError::configuration("the node was told to fail"));
        }
        self.length.store(4096, Ordering::Relaxed);
        Ok(())
    }

    fn close(&self) {
        self.length.store(0, Ordering::Relaxed);
    }

    fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    fn is_writable(&self) -> bool {
        !self.read_only()
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn perform(&self, _: &Operation<'_>) -> io::Result<()> {
        Ok(())
    }

    fn resize(&self, length: u64) -> Result<(), BlockError> {
        self.length.store(length, Ordering::Relaxed);
        Ok(())
    }
}

/// Node over another
#[qom_type(secure, parent = FormatNode, children = announce_file, class_data = PROBE)]
struct BlockdevRaw {
    file: Realized<BlockChild>,
}

static PROBE: FormatProbe = FormatProbe(|_| 1);

impl FormatNode for BlockdevRaw {}

impl BlockNode for BlockdevRaw {
    fn open(&self, cx: &OpenContext<'_>) -> Result<(), BlockError> {
        self.file.set(cx.child("file", Access::AsParent)?);
        Ok(())
    }

    fn close(&self) {
        self.file.clear();
    }

    fn length(&self) -> u64 {
        self.file.with(BlockChild::length).unwrap_or_default()
    }

    fn is_writable(&self) -> bool {
        self.file.with(BlockChild::is_writable).unwrap_or_default()
    }

    fn filename(&self) -> String {
        self.file.with(|file| file.node().filename()).unwrap_or_default()
    }

    fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        self.file.with(|file| file.perform(operation)).unwrap_or(Ok(()))
    }

    fn resize(&self, length: u64) -> Result<(), BlockError> {
        self.file.with(|file| file.resize(length)).unwrap_or(Ok(()))
    }
}

/// Device in front of a node
#[qom_type(secure, parent = Device, class_data = HOTPLUGGABLE)]
struct TestDisk {
    /// The node
    #[property(link = dyn BlockNode)]
    drive: Link<dyn BlockNode>,
    /// How many times it was told of another length
    #[property(get = Self::resizes)]
    resizes: Computed<u64>,
    backend: Realized<Arc<BlockBackend>>,
    resized: AtomicU64,
}

impl TestDisk {
    fn resizes(&self) -> u64 {
        self.resized.load(Ordering::Relaxed)
    }
}

impl Device for TestDisk {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        if let Some(backend) = cx.attach(self, &self.drive, true)? {
            // Its guest reads once.
            let mut queue = backend.queue(1).map_err(BoxedError::from)?;
            queue.submit([Request::read(0, 0, Buffers::Owned(vec![0; 512]))], &mut Vec::new());
            self.backend.set(backend);
        }
        Ok(())
    }

    fn unrealize(&self) {
        self.backend.clear();
    }
}

impl BlockWatcher for TestDisk {
    fn resized(&self) {
        self.resized.fetch_add(1, Ordering::Relaxed);
    }
}
