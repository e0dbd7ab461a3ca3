//! Firmware: a file of any size, at the top of the first 4 GiB and below 1 MiB, or not at all.

use std::{
    fs::File,
    ops::Range,
    os::fd::AsRawFd,
    os::unix::fs::FileExt,
    sync::{Arc, OnceLock},
};

use device_model::{
    platform::{GuestMemory, Platform},
    prelude::*,
    qom_core::{BoxedError, Globals, Policy, Registry, Request, Tree},
};
use rustix::fs::{MemfdFlags, memfd_create};
use vm_memory::{Bytes, GuestAddress};
use vmm::loader::Loader;

use crate::{Target, input::Input};

inventory::submit!(Target { name: "firmware", covers: &["firmware-loader"], run });

/// What firmware is a multiple of, its most, where it ends, and the same of its copy in low memory.
const UNIT: u64 = 64 << 10;
const LARGEST: u64 = 16 << 20;
const END: u64 = 1 << 32;
const SHADOW_LARGEST: u64 = 128 << 10;
const SHADOW_END: u64 = 1 << 20;

/// The memory in which any firmware lies, and that of its copy.
const HIGH: Range<u64> = END - LARGEST..END;
const LOW: Range<u64> = 0..SHADOW_END;
/// Memories that machines have: all that any firmware needs, and less.
const LAYOUTS: [&[Range<u64>]; 5] = [
    &[LOW, HIGH],
    &[LOW, END - UNIT..END],
    &[0..SHADOW_END - UNIT, HIGH],
    &[HIGH],
    // A machine without any.
    &[],
];

/// The memory of a layout. Made once: each load has its own bytes to find there.
fn memory(layout: usize) -> Option<&'static Arc<GuestMemory>> {
    static MEMORIES: OnceLock<Vec<Option<Arc<GuestMemory>>>> = OnceLock::new();
    let made = |ranges: &&[Range<u64>]| {
        let parts: Vec<_> = ranges
            .iter()
            .map(|range| {
                let length = usize::try_from(range.end - range.start).expect("a few mebibytes");
                (GuestAddress(range.start), length)
            })
            .collect();
        GuestMemory::from_ranges(&parts).ok().map(Arc::new)
    };
    MEMORIES.get_or_init(|| LAYOUTS.iter().map(made).collect()).get(layout)?.as_ref()
}

/// Lets loaders do their work, and nothing else.
struct Loading<'a>(&'a Platform);

impl Completion for Loading<'_> {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        object.cast::<dyn Loader>().map_or(Ok(()), |loader| loader.load(self.0))
    }

    fn undo(&mut self, _: &Obj) {}
}

/// A byte for the memory; the file's size as a number of units and one of bytes, two bytes each; then
/// what the file starts and ends with, with zeroes between.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let layout = usize::from(input.byte()) % LAYOUTS.len();
    let mut number = || u64::from(u16::from_le_bytes([input.byte(), input.byte()]));
    // A little more than the most.
    let (units, bytes) = (number() % (LARGEST / UNIT + 4), number());
    let size = units * UNIT + bytes;
    let file = file(size, input.rest());
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());

    let registry = Registry::global().expect("the types are in order");
    let tree = Tree::new(Arc::clone(registry), Policy::default(), Globals::new(Vec::new()))
        .expect("a tree can be made");
    let platform = Platform::new(tree.id()).expect("there are descriptors");
    let memory = memory(layout);
    if let Some(memory) = memory {
        platform.set_memory(Arc::clone(memory));
    }
    let request = Request::new("firmware-loader", "/", "firmware").set("file", path.as_str());
    let created = tree.create([request], &mut Loading(&platform));
    let expected = fits(layout, size);
    assert_eq!(created.is_ok(), expected, "{size:#x} bytes, memory {layout}: {:?}", created.err());
    if let Some(memory) = memory.filter(|_| expected) {
        judge(memory, &file, size);
        let loader = tree.resolve("/firmware").ok().and_then(|object| object.cast::<dyn Loader>());
        loader.expect("it was created").load(&platform).expect("it is loaded at each reset");
        judge(memory, &file, size);
    }
    assert_eq!(tree.walk().len(), 1 + usize::from(expected), "what failed is still there");
    tree.clear(&mut Loading(&platform));
}

/// A file of that size which starts and ends with `bytes`.
fn file(size: u64, bytes: &[u8]) -> File {
    let file = File::from(memfd_create("firmware", MemfdFlags::CLOEXEC).expect("there is memory"));
    file.set_len(size).expect("there is memory");
    let length = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
    file.write_all_at(&bytes[..length], 0).expect("there is memory");
    file.write_all_at(&bytes[..length], size - length as u64).expect("there is memory");
    file
}

/// Whether firmware of that size is one, and the memory has room for it and for its copy.
fn fits(layout: usize, size: u64) -> bool {
    let has = |start: u64, end: u64| {
        LAYOUTS[layout].iter().any(|range| range.start <= start && end <= range.end)
    };
    (UNIT..=LARGEST).contains(&size)
        && size.is_multiple_of(UNIT)
        && has(END - size, END)
        && has(SHADOW_END - size.min(SHADOW_LARGEST), SHADOW_END)
}

/// What is in memory is what the file has.
fn judge(memory: &GuestMemory, file: &File, size: u64) {
    let shadow = size.min(SHADOW_LARGEST);
    let (mut expected, mut found) = ([0; 4096], [0; 4096]);
    let places = [
        (END - size, 0),
        (END - 4096, size - 4096),
        (SHADOW_END - shadow, size - shadow),
        (SHADOW_END - 4096, size - 4096),
    ];
    for (address, offset) in places {
        file.read_exact_at(&mut expected, offset).expect("the file is that long");
        memory.read_slice(&mut found, GuestAddress(address)).expect("there is memory");
        assert!(expected == found, "{address:#x} is not {offset:#x} of the file");
    }
}
