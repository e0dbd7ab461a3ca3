//! `memory-backend-ram`, and what all memory backends have in common.

#![allow(clippy::single_range_in_vec_init)] // One part is a list of one.

use std::{os::unix::fs::FileExt, sync::Arc};

use device_model::{
    memory_backend::{MemoryBackend, MemoryBackendError},
    prelude::*,
    qom_core::{InsecureTypes, Policy, PolicyStatement, Request, SecurityStatus},
    realize::DeviceRealizer,
    testing::Machine,
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use vm_memory::{MmapRegion, VolatileMemory};

const MIB: u64 = 1 << 20;
const TYPE: &str = "memory-backend-ram";

fn add(machine: &Machine, properties: &[(&str, &str)]) -> Arc<dyn MemoryBackend> {
    machine.add(TYPE, "ram0", properties).cast().unwrap()
}

/// Bytes of it that are in the host's memory (Linux, Documentation/admin-guide/mm/pagemap.rst).
fn resident(region: &MmapRegion) -> u64 {
    const PAGE: u64 = 4096;
    const PRESENT: u64 = 1 << 63;
    let (first, count) = (region.as_ptr() as u64 / PAGE, region.size() as u64 / PAGE);
    let mut entries = vec![0; usize::try_from(count * 8).unwrap()];
    let pagemap = std::fs::File::open("/proc/self/pagemap").unwrap();
    pagemap.read_exact_at(&mut entries, first * 8).unwrap();
    let (entries, _) = entries.as_chunks();
    let present = entries.iter().filter(|entry| u64::from_ne_bytes(**entry) & PRESENT != 0);
    present.count() as u64 * PAGE
}

/// Whether a byte that is written is read back, and all starts with zeroes.
fn works(region: &MmapRegion) -> bool {
    let last = region.size() - 1;
    let cell = region.get_ref::<u8>(last).unwrap();
    let empty = cell.load() == 0;
    cell.store(0x5a);
    empty && cell.load() == 0x5a
}

#[test]
fn it_is_declared_secure_and_stands_at_no_boundary() {
    let object = Machine::new().add(TYPE, "ram0", &[("size", "1M")]);
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    assert_eq!(object.class().boundaries().iter().count(), 0);
    assert!(object.is::<dyn MemoryBackend>() && object.is::<dyn UserCreatable>());
}

#[test]
fn sizes_are_what_users_write() {
    let machine = Machine::new();
    for (text, size) in [("512M", 512 * MIB), ("1.5G", 1536 * MIB), ("4096", 4096), ("8k", 8192)] {
        let object = machine.add(TYPE, "ram0", &[("size", text)]);
        assert_eq!(object.get("size").unwrap(), size);
        machine.remove(&object);
    }
}

#[test]
fn it_is_handed_over_whole_or_in_parts() {
    let machine = Machine::new();
    let backend = add(&machine, &[("size", "4M")]);
    let whole = backend.take(&[0..4 * MIB]).unwrap();
    assert!(matches!(&whole[..], [region] if region.size() as u64 == 4 * MIB && works(region)));
    drop(whole);
    let parts = backend.take(&[0..3 * MIB, 3 * MIB..4 * MIB]).unwrap();
    let sizes: Vec<_> = parts.iter().map(|part| part.size() as u64).collect();
    assert_eq!(sizes, [3 * MIB, MIB]);
    assert!(parts.iter().all(|part| works(part)), "and what another had is not in it");
}

#[test]
fn it_serves_one_user_at_a_time() {
    let machine = Machine::new();
    let backend = add(&machine, &[("size", "2M")]);
    let mut parts = backend.take(&[0..MIB, MIB..2 * MIB]).unwrap();
    for _ in 0..2 {
        let error = backend.take(&[0..2 * MIB]).unwrap_err();
        assert_eq!(error.to_string(), "memory backend '/ram0' is used already");
        // A part that is left is enough.
        parts.truncate(1);
    }
    drop(parts);
    assert!(backend.take(&[0..2 * MIB]).is_ok());
}

#[test]
fn parts_that_are_not_all_of_it_are_refused() {
    let backend = add(&Machine::new(), &[("size", "2M")]);
    for parts in [vec![], vec![0..MIB], vec![0..MIB, 2 * MIB..3 * MIB], vec![0..3 * MIB]] {
        let error = backend.take(&parts).unwrap_err();
        assert!(matches!(error, MemoryBackendError::Parts { .. }), "{parts:?}: {error}");
    }
    assert!(backend.take(&[0..2 * MIB]).is_ok(), "it is nobody's");
}

#[test]
fn the_host_gives_it_at_once_if_told_and_otherwise_when_it_is_touched() {
    let machine = Machine::new();
    for (prealloc, parts) in [
        ("off", vec![0..8 * MIB]),
        ("on", vec![0..8 * MIB]),
        ("on", vec![0..6 * MIB, 6 * MIB..8 * MIB]),
    ] {
        let object = machine.add(TYPE, "ram0", &[("size", "8M"), ("prealloc", prealloc)]);
        let taken = object.cast::<dyn MemoryBackend>().unwrap().take(&parts).unwrap();
        let there: u64 = taken.iter().map(|part| resident(part)).sum();
        assert_eq!(there, if prealloc == "on" { 8 * MIB } else { 0 }, "{prealloc} {parts:?}");
        machine.remove(&object);
    }
}

#[test]
fn what_was_handed_over_outlives_the_object_and_nothing_else_does() {
    let machine = Machine::new();
    let object = machine.add(TYPE, "ram0", &[("size", "1M")]);
    let backend = object.cast::<dyn MemoryBackend>().unwrap();
    let taken = backend.take(&[0..MIB]).unwrap();
    machine.remove(&object);
    assert!(works(&taken[0]));
    assert!(matches!(backend.take(&[0..MIB]), Err(MemoryBackendError::Absent)));
}

#[test]
fn merging_pages_is_insecure_and_says_why() {
    let merging = [("size", "1M"), ("merge", "on")];
    let error = Machine::new().create(TYPE, "ram0", &merging).unwrap_err();
    let text = "Property 'memory-backend-ram.merge' with value 'true' is declared as insecure";
    assert_eq!(error.to_string(), text);
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    let machine = Machine::with_policy(Policy::of(&[accept]));
    machine.add(TYPE, "ram0", &merging);
    assert!(machine.tree.taints()[0].cause.to_string().contains("merge"));
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let machine = Machine::new();
    for (properties, text) in [
        (vec![], "Parameter 'size' is missing"),
        (vec![("size", "0")], "Parameter 'size' expects a multiple of 4096 bytes, got 0"),
        (vec![("size", "5000")], "Parameter 'size' expects a multiple of 4096 bytes, got 5000"),
        (
            vec![("size", "8E")],
            "Parameter 'size' expects a multiple of 4096 bytes, got 9223372036854775808",
        ),
        (
            vec![("size", "1M"), ("prealloc", "on"), ("reserve", "off")],
            "prealloc=on needs reserve=on: what is given at once is used",
        ),
        (vec![("size", "7E")], "can't map 8070450532247928832 bytes of memory"),
    ] {
        let error = machine.create(TYPE, "ram0", &properties).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert!(machine.paths().is_empty());
    }
}

/// Object that can't take up its work
#[qom_type(secure, parent = Object, interfaces(UserCreatable))]
struct Unable {}

impl UserCreatable for Unable {
    fn complete(&self, _: &Obj, _: &Platform) -> Result<(), device_model::qom_core::BoxedError> {
        Err("it never works".into())
    }
}

#[test]
fn nothing_stays_mapped_of_a_plan_that_fails_later() {
    let machine = Machine::new();
    let mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        // No other test of this program has memory of that size.
        maps.lines().filter(|line| is_of_size(line, 77 * MIB)).count()
    };
    let backend = || Request::new(TYPE, "/", "ram0").set("size", "77M").set("share", "on");
    let mut realizer = DeviceRealizer::new(&machine.platform);
    let created = machine.tree.create([backend()], &mut realizer).unwrap();
    assert_eq!(mapped(), 1);
    machine.remove(&created.objects[0]);
    assert_eq!(mapped(), 0);
    let requests = [backend(), Request::new("unable", "/", "unable")];
    assert!(machine.tree.create(requests, &mut realizer).is_err());
    assert_eq!(mapped(), 0);
}

/// Whether a line of `/proc/PID/maps` is of a mapping of so many bytes.
fn is_of_size(line: &str, size: u64) -> bool {
    let addresses = line.split_whitespace().next().and_then(|range| range.split_once('-'));
    let number = |text| u64::from_str_radix(text, 16).ok();
    addresses.and_then(|(start, end)| number(end)?.checked_sub(number(start)?)) == Some(size)
}
