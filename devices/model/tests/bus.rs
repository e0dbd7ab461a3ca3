//! Buses: which device answers at which address, at the edges too, and while devices come and go.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use device_model::{
    bus::{ClaimError, MemoryBus, PortBus},
    prelude::*,
};
use qom_core::{Globals, NoCompletion, Policy, Registry, Request, Tree};

/// A device that answers at ports and in memory with the low bytes of its addresses, and notes
/// what reaches it
#[qom_type(secure, parent = SysBusDevice, interfaces(PortIo, MemoryIo))]
struct Probe {
    notes: Mutex<Vec<(u8, u64, Vec<u8>)>>,
    reads: AtomicU64,
}

impl Device for Probe {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl SysBusDevice for Probe {}

impl Probe {
    fn answer(&self, offset: u64, data: &mut [u8]) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        for (byte, at) in data.iter_mut().zip(offset..) {
            *byte = at.to_le_bytes()[0];
        }
    }

    fn note(&self, region: u8, offset: u64, data: &[u8]) {
        self.notes.lock().unwrap().push((region, offset, data.to_vec()));
    }

    fn notes(&self) -> Vec<(u8, u64, Vec<u8>)> {
        std::mem::take(&mut *self.notes.lock().unwrap())
    }
}

impl PortIo for Probe {
    fn read(&self, _: u8, offset: u64, data: &mut [u8]) {
        assert!((1..=4).contains(&data.len()));
        self.answer(offset, data);
    }

    fn write(&self, region: u8, offset: u64, data: &[u8]) {
        assert!((1..=4).contains(&data.len()));
        self.note(region, offset, data);
    }
}

impl MemoryIo for Probe {
    fn read(&self, _: u8, offset: u64, data: &mut [u8]) {
        assert!((1..=8).contains(&data.len()));
        self.answer(offset, data);
    }

    fn write(&self, region: u8, offset: u64, data: &[u8]) {
        assert!((1..=8).contains(&data.len()));
        self.note(region, offset, data);
    }
}

/// An object that answers nowhere
#[qom_type(secure, parent = Object)]
struct Mute;

/// A device that leaves what it is asked to read as it is
#[qom_type(secure, parent = Object, interfaces(MemoryIo))]
struct Silent;

impl MemoryIo for Silent {
    fn read(&self, _: u8, _: u64, _: &mut [u8]) {}
    fn write(&self, _: u8, _: u64, _: &[u8]) {}
}

fn tree() -> Tree {
    let registry = Registry::global().expect("the registry is sound");
    Tree::new(Arc::clone(registry), Policy::default(), Globals::default()).expect("an empty tree")
}

fn create(tree: &Tree, type_name: &str, name: &str) -> Obj {
    let request = Request::new(type_name, "/", name);
    let created = tree.create([request], &mut NoCompletion).expect("it is secure");
    created.objects.last().expect("it").clone()
}

fn read(bus: &MemoryBus, address: u64, length: usize) -> Vec<u8> {
    let mut data = vec![0x5a; length];
    bus.read(address, &mut data);
    data
}

#[test]
fn a_region_is_taken_by_the_first_that_claims_any_part_of_it() {
    let tree = tree();
    let (first, second) = (create(&tree, "probe", "a"), create(&tree, "probe", "b"));
    let bus = PortBus::new(tree.id());
    bus.claim(&first, 0, 0x3f8, 8).expect("it is free");
    for (start, size) in [(0x3f8, 8), (0x3ff, 1), (0x3f0, 9), (0x3fa, 2), (0, 0x1_0000)] {
        let error = bus.claim(&second, 0, start, size).unwrap_err();
        let last = start + size - 1;
        assert_eq!(
            error.to_string(),
            format!("ports {start:#x}-{last:#x} are taken by '/a' (type 'probe')")
        );
    }
    bus.claim(&second, 0, 0x400, 1).expect("it is right behind");
    bus.claim(&second, 1, 0x3f7, 1).expect("it is right before");
    let regions: Vec<_> = bus.regions().iter().map(|(first, last, _)| (*first, *last)).collect();
    assert_eq!(regions, [(0x3f7, 0x3f7), (0x3f8, 0x3ff), (0x400, 0x400)]);
    bus.claim(&first, 1, 0x3f8, 8).expect_err("its own region is taken as well");
}

#[test]
fn a_region_ends_at_or_below_the_greatest_address() {
    let tree = tree();
    let probe = create(&tree, "probe", "p");
    let ports = PortBus::new(tree.id());
    ports.claim(&probe, 0, 0xffff, 1).expect("it is the last port");
    for (first, size) in [(0xffff, 2), (0x1_0000, 1), (0, 0x1_0001), (8, 0), (u64::MAX, u64::MAX)] {
        let error = ports.claim(&probe, 1, first, size).unwrap_err();
        assert!(matches!(error, ClaimError::OutOfSpace { greatest: 0xffff, .. }), "{error}");
    }
    let memory = MemoryBus::new(tree.id());
    memory.claim(&probe, 0, u64::MAX, 1).expect("it is the last byte");
    for (first, size) in [(u64::MAX, 2), (u64::MAX - 1, u64::MAX), (0, 0)] {
        let error = memory.claim(&probe, 1, first, size).unwrap_err();
        assert!(matches!(error, ClaimError::OutOfSpace { greatest: u64::MAX, .. }), "{error}");
    }
    assert_eq!(memory.regions().len(), 1);
}

#[test]
fn a_bus_takes_no_handle_of_another_tree() {
    let (ours, theirs) = (tree(), tree());
    let foreign = create(&theirs, "probe", "p");
    let bus = MemoryBus::new(ours.id());
    let error = bus.claim(&foreign, 0, 0, 16).unwrap_err();
    assert_eq!(error, ClaimError::Foreign { type_name: "probe" });
    assert_eq!(error.to_string(), "the object of type 'probe' belongs to another object tree");
    assert!(bus.regions().is_empty());
}

#[test]
fn a_device_that_can_not_answer_claims_nothing() {
    let tree = tree();
    let mute = create(&tree, "mute", "m");
    let error = PortBus::new(tree.id()).claim(&mute, 0, 0, 1).unwrap_err();
    assert_eq!(error.to_string(), "type 'mute' does not offer the interface 'port-io'");
    let silent = create(&tree, "silent", "s");
    let error = PortBus::new(tree.id()).claim(&silent, 0, 0, 1).unwrap_err();
    assert_eq!(error, ClaimError::NoInterface { type_name: "silent", interface: "port-io" });
}

#[test]
fn what_nothing_answers_for_reads_as_ones_and_takes_writes() {
    let tree = tree();
    let bus = MemoryBus::new(tree.id());
    assert_eq!(read(&bus, 0x1000, 4), [0xff; 4]);
    bus.write(0x1000, &[1, 2, 3]);
    let silent = create(&tree, "silent", "s");
    bus.claim(&silent, 0, 0x1000, 4).expect("it is free");
    assert_eq!(read(&bus, 0x1000, 4), [0xff; 4], "a device that leaves it alone is no different");
}

#[test]
fn an_access_is_cut_at_region_ends_and_gaps() {
    let tree = tree();
    let (one, two) = (create(&tree, "probe", "a"), create(&tree, "probe", "b"));
    let bus = MemoryBus::new(tree.id());
    bus.claim(&one, 3, 0x100, 2).expect("it is free");
    bus.claim(&two, 5, 0x104, 2).expect("it is free");
    assert_eq!(read(&bus, 0xff, 8), [0xff, 0, 1, 0xff, 0xff, 0, 1, 0xff]);
    bus.write(0xff, &[10, 11, 12, 13, 14, 15, 16, 17]);
    let notes = |device: &Obj| device.cast::<Probe>().expect("it is a probe").notes();
    assert_eq!(notes(&one), [(3, 0, vec![11, 12])]);
    assert_eq!(notes(&two), [(5, 0, vec![15, 16])]);
    bus.write(0x101, &[1]);
    assert_eq!(notes(&one), [(3, 1, vec![1])]);
    assert_eq!(read(&bus, 0x105, 1), [1]);
    assert!(read(&bus, 0x100, 0).is_empty());
}

#[test]
fn an_access_past_the_greatest_address_does_not_wrap_around() {
    let tree = tree();
    let (low, high) = (create(&tree, "probe", "a"), create(&tree, "probe", "b"));
    let memory = MemoryBus::new(tree.id());
    memory.claim(&low, 0, 0, 8).expect("it is free");
    memory.claim(&high, 0, u64::MAX - 1, 2).expect("it is free");
    assert_eq!(read(&memory, u64::MAX - 1, 8), [0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    memory.write(u64::MAX, &[7, 8]);
    let notes = |device: &Obj| device.cast::<Probe>().expect("it is a probe").notes();
    assert_eq!((notes(&high), notes(&low)), (vec![(0, 1, vec![7])], vec![]));

    let ports = PortBus::new(tree.id());
    ports.claim(&low, 0, 0, 8).expect("it is free");
    ports.claim(&high, 0, 0xfffe, 2).expect("it is free");
    let mut data = [0x5a; 4];
    ports.read(0xffff, &mut data);
    assert_eq!(data, [1, 0xff, 0xff, 0xff]);
    ports.write(0xffff, &[1, 2, 3, 4]);
    assert_eq!((notes(&high), notes(&low)), (vec![(0, 1, vec![1])], vec![]));
}

#[test]
fn an_access_wider_than_a_device_takes_reaches_it_in_parts() {
    let tree = tree();
    let probe = create(&tree, "probe", "p");
    let memory = MemoryBus::new(tree.id());
    memory.claim(&probe, 0, 0x100, 0x100).expect("it is free");
    assert_eq!(read(&memory, 0x100, 19), (0..19).collect::<Vec<u8>>());
    memory.write(0x100, &[9; 12]);
    let notes = || probe.cast::<Probe>().expect("it is a probe").notes();
    assert_eq!(notes(), [(0, 0, vec![9; 8]), (0, 8, vec![9; 4])]);
    let ports = PortBus::new(tree.id());
    ports.claim(&probe, 0, 0, 0x100).expect("it is free");
    let mut data = [0; 8];
    ports.read(1, &mut data);
    assert_eq!(data, [1, 2, 3, 4, 5, 6, 7, 8]);
    ports.write(0, &[9; 6]);
    assert_eq!(notes(), [(0, 0, vec![9; 4]), (0, 4, vec![9; 2])]);
}

#[test]
fn release_takes_away_all_regions_of_one_device_and_no_other() {
    let tree = tree();
    let (one, two) = (create(&tree, "probe", "a"), create(&tree, "probe", "b"));
    let bus = MemoryBus::new(tree.id());
    bus.claim(&one, 0, 0, 4).unwrap();
    bus.claim(&two, 0, 4, 4).unwrap();
    bus.claim(&one, 1, 8, 4).unwrap();
    bus.release(&one);
    assert_eq!(read(&bus, 0, 12), [255, 255, 255, 255, 0, 1, 2, 3, 255, 255, 255, 255]);
    bus.release(&one);
    bus.claim(&two, 1, 0, 4).expect("it is free again");
}

#[test]
fn devices_come_and_go_while_other_threads_read() {
    let tree = tree();
    let (stays, leaves) = (create(&tree, "probe", "a"), create(&tree, "probe", "b"));
    let bus = MemoryBus::new(tree.id());
    bus.claim(&stays, 0, 0x10, 4).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let data = read(&bus, 0x10, 8);
                    assert_eq!(data[..4], [0, 1, 2, 3], "it is there all the time");
                    let rest = &data[4..];
                    assert!(rest == [0, 1, 2, 3] || rest == [0xff; 4], "all or nothing: {rest:?}");
                }
            });
        }
        for _ in 0..500 {
            bus.claim(&leaves, 0, 0x14, 4).expect("it is free");
            bus.release(&leaves);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let reads = &leaves.cast::<Probe>().expect("it is a probe").reads;
    let after = reads.load(Ordering::Relaxed);
    read(&bus, 0x14, 4);
    assert_eq!(reads.load(Ordering::Relaxed), after, "nothing reaches it any more");
}

/// A device that takes itself off its bus when it is written to
#[qom_type(secure, parent = Object, interfaces(MemoryIo))]
struct Ejected {
    slot: Mutex<Option<(Arc<MemoryBus>, Obj)>>,
}

impl MemoryIo for Ejected {
    fn read(&self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(1);
    }

    fn write(&self, _: u8, _: u64, _: &[u8]) {
        if let Some((bus, object)) = self.slot.lock().unwrap().take() {
            bus.release(&object);
        }
    }
}

#[test]
fn a_device_can_leave_the_bus_in_the_middle_of_an_access_to_it() {
    let tree = tree();
    let object = create(&tree, "ejected", "e");
    let bus = Arc::new(MemoryBus::new(tree.id()));
    bus.claim(&object, 0, 0, 4).unwrap();
    let device = object.cast::<Ejected>().expect("it is");
    *device.slot.lock().unwrap() = Some((Arc::clone(&bus), object.clone()));
    assert_eq!(read(&bus, 0, 2), [1, 1]);
    bus.write(0, &[0]);
    assert_eq!(read(&bus, 0, 2), [0xff, 0xff]);
}

#[test]
fn a_bus_takes_no_handle_of_an_object_that_has_left_the_tree() {
    let tree = tree();
    let gone = create(&tree, "probe", "p");
    tree.remove(&gone, &mut NoCompletion).expect("it is not in use");
    let bus = MemoryBus::new(tree.id());
    let error = bus.claim(&gone, 0, 0, 16).unwrap_err();
    assert_eq!(error, ClaimError::Detached { type_name: "probe" });
    assert_eq!(error.to_string(), "the object of type 'probe' stands in no object tree");
    assert!(bus.regions().is_empty());
}
