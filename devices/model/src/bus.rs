//! Buses: which device answers at which address.

use std::{fmt, marker::PhantomData, sync::Arc};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use qom_core::{Obj, Object, TreeId, qom_interface};
use thiserror::Error;

/// Whether an object stands in its tree: what was removed answers no more, whoever has its handle.
pub(crate) fn is_attached(object: &Obj) -> bool {
    object.path().is_some()
}

/// A device that answers at I/O ports
///
/// A device may claim several regions; it numbers them itself and is told the number at each
/// access, with the offset from the region's first port. An access never extends past its region.
#[qom_interface]
pub trait PortIo: Object {
    /// Reads `data.len()` bytes, 1 to 4. What the device leaves alone reads as ones.
    fn read(&self, region: u8, offset: u64, data: &mut [u8]);

    /// Writes `data.len()` bytes, 1 to 4.
    fn write(&self, region: u8, offset: u64, data: &[u8]);
}

/// A device that answers in guest-physical memory
///
/// Regions are as for [`PortIo`]. An access never extends past its region.
#[qom_interface]
pub trait MemoryIo: Object {
    /// Reads `data.len()` bytes, 1 to 8. What the device leaves alone reads as ones.
    fn read(&self, region: u8, offset: u64, data: &mut [u8]);

    /// Writes `data.len()` bytes, 1 to 8.
    fn write(&self, region: u8, offset: u64, data: &[u8]);
}

/// The kind of addresses that a bus has.
pub trait AddressSpace: Send + Sync + 'static {
    /// The interface through which a device answers.
    type Target: ?Sized + Send + Sync + 'static;

    /// What an address is called, as in "ports 0x3f8-0x3ff".
    const NOUN: &'static str;
    /// The name of the interface, for a device that lacks it.
    const INTERFACE: &'static str;
    /// The greatest address.
    const LAST: u64;
    /// The most bytes that a device is given at once; a wider access is several.
    const WIDEST: usize;

    /// Reads at an offset from the region's start.
    fn read(target: &Self::Target, region: u8, offset: u64, data: &mut [u8]);
    /// Writes at an offset from the region's start.
    fn write(target: &Self::Target, region: u8, offset: u64, data: &[u8]);
}

/// The 65,536 I/O ports of an x86 machine.
#[derive(Debug)]
pub struct Ports;

impl AddressSpace for Ports {
    type Target = dyn PortIo;

    const NOUN: &'static str = "ports";
    const INTERFACE: &'static str = "port-io";
    const LAST: u64 = u16::MAX as u64;
    const WIDEST: usize = 4;

    fn read(target: &dyn PortIo, region: u8, offset: u64, data: &mut [u8]) {
        target.read(region, offset, data);
    }

    fn write(target: &dyn PortIo, region: u8, offset: u64, data: &[u8]) {
        target.write(region, offset, data);
    }
}

/// Guest-physical addresses that no memory is behind.
#[derive(Debug)]
pub struct Memory;

impl AddressSpace for Memory {
    type Target = dyn MemoryIo;

    const NOUN: &'static str = "addresses";
    const INTERFACE: &'static str = "memory-io";
    const LAST: u64 = u64::MAX;
    const WIDEST: usize = 8;

    fn read(target: &dyn MemoryIo, region: u8, offset: u64, data: &mut [u8]) {
        target.read(region, offset, data);
    }

    fn write(target: &dyn MemoryIo, region: u8, offset: u64, data: &[u8]) {
        target.write(region, offset, data);
    }
}

/// The bus of I/O ports.
pub type PortBus = Bus<Ports>;
/// The bus of memory-mapped devices.
pub type MemoryBus = Bus<Memory>;

/// A bus: regions of addresses, each answered by one device.
///
/// Look-ups take no lock, so that vCPUs don't wait for each other or for a device that comes or
/// goes. A bus takes handles only, of its own tree:
///
/// ```compile_fail,E0308
/// use device_model::{bus::{PortBus, PortIo}, qom_core::Object};
/// use std::sync::Arc;
///
/// fn smuggle(bus: &PortBus, device: Arc<dyn Object>) {
///     bus.claim(&device, 0, 0x3f8, 8);
/// }
/// ```
pub struct Bus<S: AddressSpace> {
    tree: TreeId,
    /// Sorted by first address; regions don't overlap.
    regions: ArcSwap<Vec<Region<S>>>,
    changes: Mutex<()>,
    space: PhantomData<S>,
}

struct Region<S: AddressSpace> {
    first: u64,
    last: u64,
    number: u8,
    target: Arc<S::Target>,
    owner: Obj,
}

impl<S: AddressSpace> Clone for Region<S> {
    fn clone(&self) -> Self {
        Self { target: Arc::clone(&self.target), owner: self.owner.clone(), ..*self }
    }
}

/// Why a region could not be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// Another device answers there.
    #[error("{noun} {first:#x}-{last:#x} are taken by '{owner}' (type '{owner_type}')")]
    Taken {
        /// `ports` or `addresses`.
        noun: &'static str,
        /// First address asked for.
        first: u64,
        /// Last address asked for.
        last: u64,
        /// Path of the device that is there.
        owner: String,
        /// Its type.
        owner_type: &'static str,
    },
    /// No such addresses.
    #[error("{size:#x} {noun} from {first:#x} do not end at or below {greatest:#x}")]
    OutOfSpace {
        /// `ports` or `addresses`.
        noun: &'static str,
        /// First address asked for.
        first: u64,
        /// Number of addresses.
        size: u64,
        /// Greatest address there is.
        greatest: u64,
    },
    /// The device can't answer.
    #[error("type '{type_name}' does not offer the interface '{interface}'")]
    NoInterface {
        /// The device's type.
        type_name: &'static str,
        /// What it lacks.
        interface: &'static str,
    },
    /// The handle is of another tree.
    #[error("the object of type '{type_name}' belongs to another object tree")]
    Foreign {
        /// The object's type.
        type_name: &'static str,
    },
    /// The object has left the tree, or never stood in it.
    #[error("the object of type '{type_name}' stands in no object tree")]
    Detached {
        /// The object's type.
        type_name: &'static str,
    },
}

impl<S: AddressSpace> Bus<S> {
    /// An empty bus for the devices of one tree.
    #[must_use]
    pub fn new(tree: TreeId) -> Self {
        Self {
            tree,
            regions: ArcSwap::from_pointee(Vec::new()),
            changes: Mutex::new(()),
            space: PhantomData,
        }
    }

    /// Lets `device` answer at `size` addresses from `first` on; it calls that region `number`.
    ///
    /// # Errors
    /// If the addresses are taken or don't exist, or the device can't answer, is another tree's or
    /// has left its tree.
    pub fn claim(&self, device: &Obj, number: u8, first: u64, size: u64) -> Result<(), ClaimError> {
        let type_name = device.class().name();
        if device.tree() != self.tree {
            return Err(ClaimError::Foreign { type_name });
        }
        if !is_attached(device) {
            return Err(ClaimError::Detached { type_name });
        }
        let last = size
            .checked_sub(1)
            .and_then(|less| first.checked_add(less))
            .filter(|last| *last <= S::LAST)
            .ok_or(ClaimError::OutOfSpace { noun: S::NOUN, first, size, greatest: S::LAST })?;
        let target = device
            .cast::<S::Target>()
            .ok_or(ClaimError::NoInterface { type_name, interface: S::INTERFACE })?;
        let _changes = self.changes.lock();
        let mut regions = Vec::clone(&self.regions.load());
        if let Some(there) = regions.iter().find(|there| there.first <= last && first <= there.last)
        {
            return Err(ClaimError::Taken {
                noun: S::NOUN,
                first,
                last,
                owner: there.owner.path().unwrap_or_default(),
                owner_type: there.owner.class().name(),
            });
        }
        let at = regions.partition_point(|there| there.first < first);
        regions.insert(at, Region { first, last, number, target, owner: device.clone() });
        self.regions.store(Arc::new(regions));
        Ok(())
    }

    /// Takes away all that `device` claimed. An access that began before, on another thread, may
    /// still reach it after this returns; none that begins later does.
    pub fn release(&self, device: &Obj) {
        let _changes = self.changes.lock();
        let mut regions = Vec::clone(&self.regions.load());
        regions.retain(|region| !region.owner.same(device));
        self.regions.store(Arc::new(regions));
    }

    /// Reads from whatever answers at `address`; what nothing answers for reads as ones.
    pub fn read(&self, address: u64, data: &mut [u8]) {
        data.fill(0xff);
        let regions = self.regions.load();
        let mut done = 0;
        while done < data.len() {
            let rest = &mut data[done..];
            let Some((region, offset, length)) = reach(&regions, address, done, rest.len()) else {
                return;
            };
            if let Some(region) = region {
                S::read(&region.target, region.number, offset, &mut rest[..length]);
            }
            done += length;
        }
    }

    /// Writes to whatever answers at `address`; what nothing answers for is lost.
    pub fn write(&self, address: u64, data: &[u8]) {
        let regions = self.regions.load();
        let mut done = 0;
        while done < data.len() {
            let rest = &data[done..];
            let Some((region, offset, length)) = reach(&regions, address, done, rest.len()) else {
                return;
            };
            if let Some(region) = region {
                S::write(&region.target, region.number, offset, &rest[..length]);
            }
            done += length;
        }
    }

    /// The regions as (first address, last address, owner), sorted by address.
    #[must_use]
    pub fn regions(&self) -> Vec<(u64, u64, Obj)> {
        self.regions
            .load()
            .iter()
            .map(|region| (region.first, region.last, region.owner.clone()))
            .collect()
    }
}

/// What answers `done` bytes into an access, at which offset of its region, and for how many of
/// the bytes that are left: at least one. None past the end of all addresses.
#[inline]
fn reach<S: AddressSpace>(
    regions: &[Region<S>],
    address: u64,
    done: usize,
    left: usize,
) -> Option<(Option<&Region<S>>, u64, usize)> {
    let at = address.checked_add(done as u64)?;
    let next = regions.partition_point(|region| region.first <= at);
    let until = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).min(left);
    if let Some(region) = next.checked_sub(1).and_then(|below| regions.get(below))
        && at <= region.last
    {
        let room = (region.last - at).saturating_add(1);
        return Some((Some(region), at - region.first, until(room).min(S::WIDEST)));
    }
    let gap = regions.get(next).map_or(u64::MAX, |region| region.first - at);
    Some((None, 0, until(gap)))
}

impl<S: AddressSpace> fmt::Debug for Bus<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (first, last, owner) in self.regions() {
            map.entry(&format_args!("{first:#x}-{last:#x}"), &owner);
        }
        map.finish()
    }
}
