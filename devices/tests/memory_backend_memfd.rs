//! `memory-backend-memfd`, as the machine that uses it and a process that shares it meet it.

#![allow(clippy::single_range_in_vec_init)] // One part is a list of one.

use std::{
    fs::File,
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, MetadataExt},
    },
};

use device_model::{memory_backend::MemoryBackend, qom_core::SecurityStatus, testing::Machine};
// For its types, which the linker would leave out otherwise.
use devices as _;
use rustix::fs::{SealFlags, fcntl_get_seals};
use vm_memory::{MmapRegion, VolatileMemory};

const MIB: u64 = 1 << 20;
const TYPE: &str = "memory-backend-memfd";

/// The file, as another process finds it that was told of the descriptor.
fn from_outside(region: &MmapRegion) -> File {
    let descriptor = region.file_offset().expect("it has a descriptor").file().as_raw_fd();
    let path = format!("/proc/self/fd/{descriptor}");
    let name = std::fs::read_link(&path).unwrap();
    assert!(name.to_string_lossy().starts_with("/memfd:ram0"), "{name:?}");
    File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn it_is_declared_secure_and_found_by_its_class() {
    let object = Machine::new().add(TYPE, "ram0", &[("size", "1M")]);
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    assert!(object.is::<dyn MemoryBackend>());
}

#[test]
fn what_is_written_inside_is_read_outside_and_the_other_way_round() {
    let machine = Machine::new();
    let object = machine.add(TYPE, "ram0", &[("size", "4M")]);
    let parts = object.cast::<dyn MemoryBackend>().unwrap().take(&[0..MIB, MIB..4 * MIB]).unwrap();
    let file = from_outside(&parts[1]);
    parts[1].get_ref::<u32>(16).unwrap().store(0x1234_5678);
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, MIB + 16).unwrap();
    assert_eq!(u32::from_ne_bytes(bytes), 0x1234_5678);
    // A mapping of another's own.
    let offset = vm_memory::FileOffset::new(file, 0);
    let outside = MmapRegion::<()>::from_file(offset, usize::try_from(4 * MIB).unwrap()).unwrap();
    let at = usize::try_from(MIB).unwrap() + 16;
    assert_eq!(outside.get_ref::<u32>(at).unwrap().load(), 0x1234_5678);
    outside.get_ref::<u32>(0).unwrap().store(7);
    assert_eq!(parts[0].get_ref::<u32>(0).unwrap().load(), 7);
}

#[test]
fn what_is_not_shared_is_a_copy() {
    let machine = Machine::new();
    let object = machine.add(TYPE, "ram0", &[("size", "1M"), ("share", "off")]);
    let parts = object.cast::<dyn MemoryBackend>().unwrap().take(&[0..MIB]).unwrap();
    parts[0].get_ref::<u8>(0).unwrap().store(1);
    let mut byte = [0xff];
    from_outside(&parts[0]).read_exact_at(&mut byte, 0).unwrap();
    assert_eq!(byte, [0]);
}

#[test]
fn nobody_can_change_its_size_unless_the_policy_lets_that_be() {
    let machine = Machine::new();
    let object = machine.add(TYPE, "ram0", &[("size", "1M")]);
    let parts = object.cast::<dyn MemoryBackend>().unwrap().take(&[0..MIB]).unwrap();
    let file = from_outside(&parts[0]);
    for size in [0, 2 * MIB] {
        assert!(file.set_len(size).is_err());
    }
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    assert_eq!(fcntl_get_seals(&file).unwrap(), seals);
    let error = machine.create(TYPE, "ram1", &[("size", "1M"), ("seal", "off")]).unwrap_err();
    let text = "Property 'memory-backend-memfd.seal' with value 'false' is declared as insecure";
    assert_eq!(error.to_string(), text);
}

#[test]
fn the_host_gives_it_at_once_if_told() {
    let machine = Machine::new();
    for (prealloc, there) in [("off", 0), ("on", 8 * MIB)] {
        let object = machine.add(TYPE, "ram0", &[("size", "8M"), ("prealloc", prealloc)]);
        let parts = object.cast::<dyn MemoryBackend>().unwrap().take(&[0..8 * MIB]).unwrap();
        let status = from_outside(&parts[0]).metadata().unwrap();
        assert_eq!(status.blocks() * 512, there);
        machine.remove(&object);
    }
}

#[test]
fn its_descriptor_goes_with_it() {
    let machine = Machine::new();
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        links
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|link| link.to_string_lossy().starts_with("/memfd:short-lived"))
            .count()
    };
    let object = machine.add(TYPE, "short-lived", &[("size", "1M")]);
    assert_eq!(open(), 1);
    machine.remove(&object);
    assert_eq!(open(), 0);
    // 2^62 bytes are a size that a descriptor may have and no address space.
    assert!(machine.create(TYPE, "short-lived", &[("size", "4E")]).is_err());
    assert_eq!(open(), 0);
}

#[test]
fn huge_pages_are_of_a_size_that_fits() {
    let machine = Machine::new();
    for (properties, text) in [
        (vec![("size", "4M"), ("hugetlbsize", "2M")], "'hugetlbsize' needs hugetlb=on"),
        (
            vec![("size", "6M"), ("hugetlb", "on"), ("hugetlbsize", "3M")],
            "Parameter 'hugetlbsize' expects a power of two, got 3145728",
        ),
        (
            vec![("size", "3M"), ("hugetlb", "on"), ("hugetlbsize", "2M")],
            "Parameter 'size' expects whole pages of 2097152 bytes, got 3145728",
        ),
    ] {
        let error = machine.create(TYPE, "ram0", &properties).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    // A host that has set no huge pages aside says so at once, and one that has gives them.
    let huge = [("size", "2M"), ("hugetlb", "on"), ("hugetlbsize", "2M")];
    match machine.create(TYPE, "ram0", &huge) {
        Ok(created) => {
            let backend = created.objects[0].cast::<dyn MemoryBackend>().unwrap();
            let parts = backend.take(&[0..2 * MIB]).unwrap();
            assert_eq!(parts[0].is_hugetlbfs(), Some(true));
        }
        Err(error) => {
            assert_eq!(error.to_string(), "can't map 2097152 bytes of memory");
            assert!(machine.paths().is_empty());
        }
    }
}
