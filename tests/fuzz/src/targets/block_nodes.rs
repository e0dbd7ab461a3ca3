//! Requests to disks: what a guest asks of a stack of nodes is done within its part of the file and
//! nowhere else, whatever it asks.

use std::{
    fs::File,
    io::Write,
    os::{fd::AsRawFd, unix::fs::FileExt},
    sync::Arc,
};

use device_model::{
    block::{BlockNode, BlockQueue, Buffers, Command, Completion, GuestRange, Request},
    platform::{GuestMemory, Platform},
    prelude::*,
    qom_core::{Globals, Policy, Registry, Request as Creation, Tree},
    realize::DeviceRealizer,
    testing,
};
use rustix::fs::{MemfdFlags, memfd_create};
use vm_memory::{Bytes, GuestAddress};

use crate::{Target, input::Input};

inventory::submit!(Target {
    name: "block-nodes",
    covers: &["blockdev-file", "blockdev-null-co", "blockdev-raw"],
    run,
});

/// The longest file, in bytes.
const LONGEST_FILE: u64 = 16 << 10;
/// The guest's memory, in bytes: two regions that touch.
const MEMORY: u64 = 0x3000;
/// Most bytes of one request.
const LONGEST: u64 = 0x1800;
/// What buffers hold before they are filled.
const UNTOUCHED: u8 = 0xa5;

/// The disk as it should be.
struct Oracle {
    file: Vec<u8>,
    offset: usize,
    length: usize,
    writable: bool,
    /// Whether it keeps anything.
    keeps: bool,
    discards: bool,
}

impl Oracle {
    /// The disk's bytes.
    fn disk(&mut self) -> &mut [u8] {
        &mut self.file[self.offset..self.offset + self.length]
    }

    /// Where in the disk a request lies; none if it is to be refused.
    fn range(&self, request: &Request) -> Option<std::ops::Range<usize>> {
        let writes = !matches!(request.command, Command::Read | Command::Flush);
        if writes && !self.writable {
            return None;
        }
        if request.length == 0 || request.command == Command::Flush {
            return Some(0..0);
        }
        let start = usize::try_from(request.offset).ok()?;
        let end = start.checked_add(usize::try_from(request.length).ok()?)?;
        (end <= self.length).then_some(start..end)
    }
}

/// A byte of switches, the file's length, where the part begins, its length; then requests.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let switches = input.byte();
    let on = |bit: u8| switches & 1 << bit != 0;
    let (null, whole, read_only, discards, zeroes) = (on(0), on(1), on(2), on(3), on(4));
    let mut short = || u64::from(input.byte()) << 8 | u64::from(input.byte());
    let (length, offset, size) = (short() % LONGEST_FILE, short(), short());
    let mut file = File::from(memfd_create("image", MemfdFlags::CLOEXEC).expect("there is memory"));
    let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 253).unwrap_or(0)).collect();
    file.write_all(&bytes).expect("there is memory");

    let registry = Registry::global().expect("the types are in order");
    let tree = Tree::new(Arc::clone(registry), Policy::default(), Globals::new(Vec::new()))
        .expect("a tree can be made");
    let platform = Platform::new(tree.id()).expect("there are descriptors");
    let read_only_text = if read_only { "on" } else { "off" };
    let below = match null {
        true => Creation::new("blockdev-null-co", "/", "below")
            .set("size", length.to_string())
            .set("read-zeroes", if zeroes { "on" } else { "off" }),
        false => Creation::new("blockdev-file", "/", "below")
            .set("filename", format!("/proc/self/fd/{}", file.as_raw_fd())),
    };
    let below = below.set("read-only", read_only_text).set("discard", "unmap");
    let above = Creation::new("blockdev-raw", "/", "disk")
        .set("file-node", "/below")
        .set("read-only", read_only_text)
        .set("offset", if whole { "0".to_owned() } else { offset.to_string() })
        .set("discard", if discards { "unmap" } else { "ignore" });
    let above = if whole { above } else { above.set("size", size.to_string()) };
    let created = tree.create([below, above], &mut DeviceRealizer::new(&platform));
    let fits = whole || size.is_multiple_of(512) && offset.saturating_add(size) <= length;
    assert_eq!(created.is_ok(), fits, "{offset} + {size} of {length}: {created:?}");
    let Ok(created) = created else { return };
    let node = created.objects.get(1).and_then(Obj::cast::<dyn BlockNode>).expect("it is a node");
    let (offset, size) = if whole { (0, length) } else { (offset, size) };
    assert_eq!((node.length(), node.is_writable()), (size, !read_only));
    let in_memory = |number| usize::try_from(number).expect("it is small");
    let oracle = Oracle {
        file: bytes,
        offset: in_memory(offset),
        length: in_memory(size),
        writable: !read_only,
        keeps: !null,
        discards,
    };
    let backend = testing::backend(node, !read_only);
    let regions = [(GuestAddress(0), 0x1000), (GuestAddress(0x1000), 0x2000)];
    let memory = Arc::new(GuestMemory::from_ranges(&regions).expect("there is memory"));
    let mut bench = Bench {
        oracle,
        memory,
        queue: backend.queue(4).expect("there are descriptors"),
        zeroes,
        file,
    };
    while let Some(first) = input.next() {
        bench.step(first, &mut input);
    }
    bench.compare();
    drop(bench);
    drop(backend);
    tree.clear(&mut DeviceRealizer::new(&platform));
}

struct Bench {
    oracle: Oracle,
    memory: Arc<GuestMemory>,
    queue: BlockQueue,
    zeroes: bool,
    file: File,
}

impl Bench {
    fn step(&mut self, first: u8, input: &mut Input<'_>) {
        // Near the disk, or anywhere.
        let offset = match first & 0x80 {
            0 => u64::from(input.byte()) << 6 | u64::from(input.byte()),
            _ => input.number(),
        };
        let length = u64::from(input.byte()) << 5 | u64::from(input.byte());
        let (buffers, mapped) = match first & 0x40 {
            0 => (Buffers::Owned(vec![UNTOUCHED; usize::try_from(length).unwrap_or(0)]), true),
            _ => self.guest_buffers(input, length.min(LONGEST)),
        };
        let mut request = match first % 6 {
            0 | 1 => Request::read(7, offset, buffers),
            2 => Request::write(7, offset, buffers),
            3 => Request::flush(7),
            4 => Request::discard(7, offset, length),
            _ => Request::write_zeroes(7, offset, length, first & 0x20 != 0),
        };
        let value = input.byte();
        if request.command == Command::Write {
            fill(&self.memory, &mut request.buffers, value);
        }
        let range = self.oracle.range(&request);
        let (command, has_buffers) = (request.command, !matches!(request.buffers, Buffers::None));
        let completion = self.carry_out(request);
        // A node that keeps nothing may not look at buffers that it does not need.
        let may_fail = has_buffers && !mapped;
        match (&completion.result, range) {
            (Err(_), None) => {}
            (Err(error), Some(_)) => assert!(may_fail, "{command:?} fails: {error}"),
            (Ok(()), None) => panic!("{command:?} from {offset} on succeeds"),
            (Ok(()), Some(_)) if may_fail => assert!(!self.oracle.keeps, "{command:?}"),
            (Ok(()), Some(range)) => self.judge(command, range, value, &completion.buffers),
        }
    }

    /// Pieces of guest memory, and whether the guest has all of it.
    fn guest_buffers(&self, input: &mut Input<'_>, length: u64) -> (Buffers, bool) {
        let (mut ranges, mut left, mut mapped) = (Vec::new(), length, true);
        // Apart from each other, so that a read has one outcome.
        let mut at = u64::from(input.byte()) << 4;
        while left > 0 {
            let piece = left.min(u64::from(input.byte()) + 1);
            mapped &= at + piece <= MEMORY;
            let length = u32::try_from(piece).unwrap_or_default();
            ranges.push(GuestRange { address: GuestAddress(at), length });
            at += piece + 3;
            left -= piece;
        }
        let memory = Arc::clone(&self.memory);
        (Buffers::Guest { memory, ranges }, mapped)
    }

    fn carry_out(&mut self, request: Request) -> Completion {
        let mut done = Vec::new();
        self.queue.submit([request], &mut done);
        self.queue.drain(&mut done);
        let completion = done.pop().expect("every request is answered");
        assert!(done.is_empty() && completion.token == 7 && self.queue.room() == 4);
        completion
    }

    fn judge(
        &mut self,
        command: Command,
        range: std::ops::Range<usize>,
        value: u8,
        buffers: &Buffers,
    ) {
        let (keeps, discards) = (self.oracle.keeps, self.oracle.discards);
        let part = &mut self.oracle.disk()[range.clone()];
        match command {
            Command::Read => {
                let read = contents(&self.memory, buffers);
                if keeps {
                    assert!(read == part, "{range:?} reads as something else");
                } else if self.zeroes {
                    assert!(read.iter().all(|byte| *byte == 0), "{range:?} is not zeroes");
                }
            }
            Command::Write => part.fill(value),
            Command::WriteZeroes { .. } => part.fill(0),
            // The file gives up whole pages and clears the rest.
            Command::Discard if discards => part.fill(0),
            Command::Discard | Command::Flush => {}
        }
    }

    /// Whether the file is as it should be, the bytes included that are not the disk's.
    fn compare(&self) {
        if self.oracle.keeps {
            let length = self.file.metadata().expect("it is open").len();
            let mut there = vec![0; usize::try_from(length).unwrap_or_default()];
            self.file.read_exact_at(&mut there, 0).expect("it is readable");
            assert!(there == self.oracle.file, "the file is not as it should be");
        }
    }
}

fn fill(memory: &GuestMemory, buffers: &mut Buffers, value: u8) {
    match buffers {
        Buffers::Owned(bytes) => bytes.fill(value),
        Buffers::Guest { ranges, .. } => {
            for range in ranges {
                let length = usize::try_from(range.length).unwrap_or_default();
                // What the guest does not have can't be filled.
                let _ = memory.write_slice(&vec![value; length], range.address);
            }
        }
        Buffers::None => {}
    }
}

fn contents(memory: &GuestMemory, buffers: &Buffers) -> Vec<u8> {
    match buffers {
        Buffers::Owned(bytes) => bytes.clone(),
        Buffers::Guest { ranges, .. } => {
            let mut all = Vec::new();
            for range in ranges {
                let mut bytes = vec![0; usize::try_from(range.length).unwrap_or_default()];
                memory.read_slice(&mut bytes, range.address).expect("the guest has it");
                all.extend(bytes);
            }
            all
        }
        Buffers::None => Vec::new(),
    }
}
