//! Memory slots hold their memory for as long as the kernel may use it, and no longer.

use super::*;
use crate::kvm::{MapError, Window};

fn window(guest: u64, source: u64, size: u64) -> Window {
    Window {
        guest: GuestAddress(guest),
        source: GuestAddress(source),
        size,
        access: Access::ReadWrite,
    }
}

fn two_pages_at(base: u64) -> Arc<GuestMemoryMmap> {
    Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(base), 0x2000)]).unwrap())
}

#[test]
fn memory_is_held_until_the_last_vcpu_is_gone() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let memory = two_pages_at(0);
    let vm = system.create_vm().unwrap();
    let slots = vm.map_all(&memory, |_| Access::ReadWrite).unwrap();
    assert_eq!((slots.len(), Arc::strong_count(&memory)), (1, 2));
    let vcpu = vm.create_vcpu(0).unwrap();
    drop(vm);
    assert_eq!(Arc::strong_count(&memory), 2);
    drop(vcpu);
    assert_eq!(Arc::strong_count(&memory), 1);
}

#[test]
fn unmapping_gives_memory_up_and_frees_its_addresses() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let memory = two_pages_at(0);
    let vm = system.create_vm().unwrap();
    let slot = vm.map(&memory, window(0x1000, 0, 0x1000)).unwrap();
    vm.unmap(slot).unwrap();
    assert_eq!(Arc::strong_count(&memory), 1);
    assert!(matches!(vm.unmap(slot), Err(MapError::NoSuchSlot { .. })));
    assert_eq!(vm.map(&memory, window(0x1000, 0x1000, 0x1000)).unwrap(), slot);
}

#[test]
fn a_window_that_cannot_be_mapped_is_refused_with_its_reason_and_not_held() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let memory = two_pages_at(0x4000);
    let vm = system.create_vm().unwrap();
    for unaligned in [
        window(1, 0x4000, 0x1000),
        window(0, 0x4001, 0x1000),
        window(0, 0x4000, 0x1001),
        window(0, 0x4000, 0),
    ] {
        assert!(
            matches!(vm.map(&memory, unaligned), Err(MapError::Unaligned { window }) if window == unaligned)
        );
    }
    for outside in [
        window(0, 0x3000, 0x1000),
        window(0, 0x4000, 0x3000),
        window(0, 0x5000, 0x2000),
        window(0, 0x4000, !0xfff),
    ] {
        assert!(matches!(vm.map(&memory, outside), Err(MapError::OutsideMemory { .. })));
    }
    assert_eq!(Arc::strong_count(&memory), 1);
    vm.map(&memory, window(0x8000, 0x4000, 0x2000)).unwrap();
    assert!(matches!(
        vm.map(&memory, window(0x9000, 0x4000, 0x2000)),
        Err(MapError::Overlaps { .. })
    ));
    assert_eq!(Arc::strong_count(&memory), 2);
}

#[test]
fn mapping_all_regions_maps_none_if_one_cannot_be() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let vm = system.create_vm().unwrap();
    let taken = two_pages_at(0x10000);
    vm.map_all(&taken, |_| Access::ReadWrite).unwrap();
    let ranges = [(GuestAddress(0), 0x1000), (GuestAddress(0x11000), 0x1000)];
    let memory = Arc::new(GuestMemoryMmap::from_ranges(&ranges).unwrap());
    assert!(matches!(vm.map_all(&memory, |_| Access::ReadWrite), Err(MapError::Overlaps { .. })));
    assert_eq!(Arc::strong_count(&memory), 1);
    assert_eq!(vm.read_memory(GuestAddress(0), &mut [0; 4]), 0);
}

#[test]
fn guest_memory_reads_go_on_from_slot_to_slot_and_end_where_nothing_is_mapped() {
    let Some(system) = system_or_skip() else {
        return;
    };
    let vm = system.create_vm().unwrap();
    let memory = two_pages_at(0);
    memory.write_slice(&[1; 0x1000], GuestAddress(0)).unwrap();
    memory.write_slice(&[2; 0x1000], GuestAddress(0x1000)).unwrap();
    // The second page first, then the first page behind it.
    vm.map(&memory, window(0x10000, 0x1000, 0x1000)).unwrap();
    vm.map(&memory, window(0x11000, 0, 0x1000)).unwrap();
    let mut bytes = [0; 4];
    assert_eq!(vm.read_memory(GuestAddress(0x10ffe), &mut bytes), 4);
    assert_eq!(bytes, [2, 2, 1, 1]);
    assert_eq!(vm.read_memory(GuestAddress(0x11ffe), &mut bytes), 2);
    assert_eq!(vm.read_memory(GuestAddress(0x12000), &mut bytes), 0);
    assert_eq!(vm.read_memory(GuestAddress(u64::MAX), &mut bytes), 0);
}
