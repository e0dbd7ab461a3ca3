//! A device with a disk behind it, for tests of nodes.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use device_model::{
    block::{Buffers, Completion, Request},
    prelude::*,
    testing::Machine,
};
// For its types.
use devices as _;

/// Device in front of a node
#[qom_type(secure, parent = Device)]
pub(crate) struct TestDisk {
    /// The node
    #[property(link = dyn BlockNode, required)]
    drive: Link<dyn BlockNode>,
    /// Whether it only reads
    #[property]
    reads: bool,
    backend: Realized<Arc<BlockBackend>>,
    resized: AtomicUsize,
}

impl Device for TestDisk {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        if let Some(backend) = cx.attach(self, &self.drive, !self.reads)? {
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

impl TestDisk {
    /// Puts one in front of the node `/node` of a machine.
    pub(crate) fn before(machine: &Machine, node: &str) -> Arc<Self> {
        let name = format!("disk-of-{node}");
        machine.add("test-disk", &name, &[("drive", node)]).cast().expect("it is one")
    }

    pub(crate) fn backend(&self) -> Arc<BlockBackend> {
        Arc::clone(&*self.backend.get().expect("it is realized"))
    }

    /// How many times it was told of another length.
    pub(crate) fn resizes(&self) -> usize {
        self.resized.load(Ordering::Relaxed)
    }

    /// What becomes of requests, by their tokens.
    pub(crate) fn run(&self, requests: Vec<Request>) -> Vec<Completion> {
        let mut queue = self.backend().queue(32).expect("there are descriptors");
        let mut done = Vec::new();
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let room = queue.room();
            queue.submit(requests.by_ref().take(room), &mut done);
            queue.drain(&mut done);
        }
        done.sort_by_key(|completion| completion.token);
        done
    }

    /// What becomes of one.
    pub(crate) fn one(&self, request: Request) -> io::Result<Vec<u8>> {
        let completion = self.run(vec![request]).pop().expect("one was asked for");
        completion.result.map(|()| match completion.buffers {
            Buffers::Owned(bytes) => bytes,
            _ => Vec::new(),
        })
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.one(Request::read(0, offset, Buffers::Owned(vec![0xee; length])))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.one(Request::write(0, offset, Buffers::Owned(bytes.to_vec()))).map(drop)
    }
}

/// The words in which an attempt to create something fails, which leaves nothing.
pub(crate) fn refusal(machine: &Machine, type_name: &str, properties: &[(&str, &str)]) -> String {
    let before = machine.paths();
    let error = machine.create(type_name, "refused", properties).expect_err("it is refused");
    assert_eq!(machine.paths(), before);
    error.to_string()
}
