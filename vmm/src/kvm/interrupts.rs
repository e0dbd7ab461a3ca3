//! Interrupt chips of a VM, how interrupts reach them, and events for guest writes.

use kvm_bindings::{
    KVM_CAP_SPLIT_IRQCHIP, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
    KVM_PIT_SPEAKER_DUMMY, KvmIrqRouting, kvm_enable_cap, kvm_irq_routing_entry, kvm_msi,
    kvm_pic_state, kvm_pit_config, kvm_pit_state2,
};
use kvm_ioctls::{IoEventAddress, NoDatamatch};
use rustix::io::Errno;
use vmm_sys_util::eventfd::EventFd;

use super::abi::{self, IoapicState};
use super::error::IoctlFailed;
use super::vm::Vm;

/// Pins of the I/O APIC that a split interrupt chip reserves the first routes for, as on the
/// Intel 82093AA.
pub const SPLIT_IRQCHIP_PINS: u32 = 24;

/// Where an interrupt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// A message to the local APICs (Intel SDM volume 3, section 11.11). With bit 15 of `data`
    /// set (level-triggered) on one of the first [`SPLIT_IRQCHIP_PINS`] interrupts of a split
    /// chip, the guest's end of interrupt exits to
    /// [`ExitHandler::ioapic_eoi`](super::ExitHandler::ioapic_eoi).
    Msi {
        /// Address of the message.
        address: u64,
        /// Data of the message.
        data: u32,
    },
    /// Pin 0 to 7 of the kernel's first PIC.
    PicMaster(u32),
    /// Pin 0 to 7 of the kernel's second PIC.
    PicSlave(u32),
    /// Pin of the kernel's I/O APIC.
    Ioapic(u32),
}

/// One route: an interrupt number, as lines and irqfds use, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Interrupt number (global system interrupt).
    pub gsi: u32,
    /// Where it goes.
    pub target: RouteTarget,
}

impl Route {
    /// As the kernel wants it.
    fn entry(self) -> kvm_irq_routing_entry {
        match self.target {
            RouteTarget::Msi { address, data } => abi::msi_route(self.gsi, address, data),
            RouteTarget::PicMaster(pin) => abi::chip_route(self.gsi, KVM_IRQCHIP_PIC_MASTER, pin),
            RouteTarget::PicSlave(pin) => abi::chip_route(self.gsi, KVM_IRQCHIP_PIC_SLAVE, pin),
            RouteTarget::Ioapic(pin) => abi::chip_route(self.gsi, KVM_IRQCHIP_IOAPIC, pin),
        }
    }
}

/// What a guest has to write to for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventAddress {
    /// An I/O port.
    Port(u16),
    /// A guest-physical address that no memory slot covers.
    Memory(u64),
}

impl From<EventAddress> for IoEventAddress {
    fn from(address: EventAddress) -> Self {
        match address {
            EventAddress::Port(port) => Self::Pio(u64::from(port)),
            EventAddress::Memory(address) => Self::Mmio(address),
        }
    }
}

/// Which write to the address makes the event; all others exit as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventMatch {
    /// Every write, of any size and value.
    Any,
    /// A write of one byte of this value.
    Byte(u8),
    /// A write of two bytes of this value.
    Word(u16),
    /// A write of four bytes of this value.
    Dword(u32),
    /// A write of eight bytes of this value.
    Qword(u64),
}

impl Vm {
    /// Gives every vCPU a local APIC in the kernel and leaves PIC, I/O APIC and PIT to the VMM.
    ///
    /// The far cheaper chip to create and tear down. To be called before any vCPU is created;
    /// the first [`SPLIT_IRQCHIP_PINS`] interrupt numbers are then those of the VMM's I/O APIC.
    ///
    /// # Errors
    /// The kernel's: `EEXIST` if there is a chip or a vCPU already.
    pub fn create_split_irqchip(&self) -> Result<(), IoctlFailed> {
        let capability = kvm_enable_cap {
            cap: KVM_CAP_SPLIT_IRQCHIP,
            args: [u64::from(SPLIT_IRQCHIP_PINS), 0, 0, 0],
            ..Default::default()
        };
        self.fd()
            .enable_cap(&capability)
            .map_err(IoctlFailed::of("KVM_ENABLE_CAP(KVM_CAP_SPLIT_IRQCHIP)"))
    }

    /// Creates both PICs, the I/O APIC and every vCPU's local APIC in the kernel, with routes
    /// of interrupts 0 to 15 to PIC and I/O APIC, and of 16 to 23 to the I/O APIC.
    ///
    /// To be called before any vCPU is created.
    ///
    /// # Errors
    /// The kernel's: `EEXIST` if there is a chip already, `EINVAL` if there is a vCPU.
    pub fn create_irqchip(&self) -> Result<(), IoctlFailed> {
        self.fd().create_irq_chip().map_err(IoctlFailed::of("KVM_CREATE_IRQCHIP"))
    }

    /// Creates the interval timer (Intel 8254) in the kernel, with a dummy of the speaker port
    /// 0x61, through which guests wait for its channel 2.
    ///
    /// # Errors
    /// The kernel's: `ENOENT` without the kernel's full interrupt chip.
    pub fn create_pit(&self) -> Result<(), IoctlFailed> {
        let config = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
        self.fd().create_pit2(config).map_err(IoctlFailed::of("KVM_CREATE_PIT2"))
    }

    /// Replaces all routes by `routes`.
    ///
    /// The kernel waits for every vCPU to see the change; not for a path that is taken often.
    ///
    /// # Errors
    /// The kernel's: `EINVAL` for a number or pin out of range, or a chip that is not there.
    pub fn set_routes(&self, routes: &[Route]) -> Result<(), IoctlFailed> {
        const REQUEST: &str = "KVM_SET_GSI_ROUTING";
        let entries: Vec<_> = routes.iter().map(|route| route.entry()).collect();
        let table = KvmIrqRouting::from_entries(&entries)
            .map_err(|_| IoctlFailed { request: REQUEST, source: Errno::TOOBIG.into() })?;
        self.fd().set_gsi_routing(&table).map_err(IoctlFailed::of(REQUEST))
    }

    /// Sends a message-signalled interrupt. Whether a local APIC took it: not if the guest's
    /// address names none, or none that is switched on.
    ///
    /// # Errors
    /// The kernel's: `EINVAL` or `ENXIO` without a local APIC in the kernel.
    pub fn signal_msi(&self, address: u64, data: u32) -> Result<bool, IoctlFailed> {
        let (address_lo, address_hi) = abi::halves(address);
        let message = kvm_msi { address_lo, address_hi, data, ..Default::default() };
        match self.fd().signal_msi(message) {
            Ok(delivered) => Ok(delivered > 0),
            // The kernel's handler gives -1 if no APIC matches, which arrives as EPERM.
            Err(errno) if errno.errno() == Errno::PERM.raw_os_error() => Ok(false),
            Err(errno) => Err(IoctlFailed::of("KVM_SIGNAL_MSI")(errno)),
        }
    }

    /// Sets interrupt `gsi` to a level; an edge is raised and lowered by two calls.
    ///
    /// # Errors
    /// The kernel's: `ENXIO` without an interrupt chip.
    pub fn set_irq_line(&self, gsi: u32, active: bool) -> Result<(), IoctlFailed> {
        self.fd().set_irq_line(gsi, active).map_err(IoctlFailed::of("KVM_IRQ_LINE"))
    }

    /// Has the kernel raise interrupt `gsi` as an edge whenever `event` is written.
    ///
    /// # Errors
    /// The kernel's: `EBUSY` if `event` is in such use already.
    pub fn register_irqfd(&self, event: &EventFd, gsi: u32) -> Result<(), IoctlFailed> {
        self.fd().register_irqfd(event, gsi).map_err(IoctlFailed::of("KVM_IRQFD"))
    }

    /// Has the kernel raise interrupt `gsi` as a level whenever `event` is written, lower it at
    /// the guest's end of interrupt, and then write to `resample`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn register_level_irqfd(
        &self,
        event: &EventFd,
        resample: &EventFd,
        gsi: u32,
    ) -> Result<(), IoctlFailed> {
        self.fd()
            .register_irqfd_with_resample(event, resample, gsi)
            .map_err(IoctlFailed::of("KVM_IRQFD"))
    }

    /// Undoes [`Vm::register_irqfd`] or [`Vm::register_level_irqfd`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn unregister_irqfd(&self, event: &EventFd, gsi: u32) -> Result<(), IoctlFailed> {
        self.fd().unregister_irqfd(event, gsi).map_err(IoctlFailed::of("KVM_IRQFD"))
    }

    /// Has the kernel write to `event` instead of exiting when the guest writes `value` to
    /// `address`.
    ///
    /// # Errors
    /// The kernel's: `EEXIST` if the same address and match are registered, `ENOSPC` if there
    /// are too many.
    pub fn register_ioevent(
        &self,
        event: &EventFd,
        address: EventAddress,
        value: EventMatch,
    ) -> Result<(), IoctlFailed> {
        let (vm, address) = (self.fd(), address.into());
        match value {
            EventMatch::Any => vm.register_ioevent(event, &address, NoDatamatch),
            EventMatch::Byte(value) => vm.register_ioevent(event, &address, value),
            EventMatch::Word(value) => vm.register_ioevent(event, &address, value),
            EventMatch::Dword(value) => vm.register_ioevent(event, &address, value),
            EventMatch::Qword(value) => vm.register_ioevent(event, &address, value),
        }
        .map_err(IoctlFailed::of("KVM_IOEVENTFD"))
    }

    /// Undoes [`Vm::register_ioevent`] with the same arguments.
    ///
    /// # Errors
    /// The kernel's: `ENOENT` if nothing such is registered.
    pub fn unregister_ioevent(
        &self,
        event: &EventFd,
        address: EventAddress,
        value: EventMatch,
    ) -> Result<(), IoctlFailed> {
        let (vm, address) = (self.fd(), address.into());
        match value {
            EventMatch::Any => vm.unregister_ioevent(event, &address, NoDatamatch),
            EventMatch::Byte(value) => vm.unregister_ioevent(event, &address, value),
            EventMatch::Word(value) => vm.unregister_ioevent(event, &address, value),
            EventMatch::Dword(value) => vm.unregister_ioevent(event, &address, value),
            EventMatch::Qword(value) => vm.unregister_ioevent(event, &address, value),
        }
        .map_err(IoctlFailed::of("KVM_IOEVENTFD"))
    }

    /// State of the kernel's first and second PIC (Intel 8259A).
    ///
    /// # Errors
    /// The kernel's: `ENXIO` without the kernel's full interrupt chip.
    pub fn pic_states(&self) -> Result<[kvm_pic_state; 2], IoctlFailed> {
        let failed = IoctlFailed::of("KVM_GET_IRQCHIP");
        Ok([
            abi::pic_state(self.fd(), KVM_IRQCHIP_PIC_MASTER).map_err(&failed)?,
            abi::pic_state(self.fd(), KVM_IRQCHIP_PIC_SLAVE).map_err(&failed)?,
        ])
    }

    /// State of the kernel's I/O APIC.
    ///
    /// # Errors
    /// The kernel's: `ENXIO` without the kernel's full interrupt chip.
    pub fn ioapic_state(&self) -> Result<IoapicState, IoctlFailed> {
        abi::ioapic_state(self.fd()).map_err(IoctlFailed::of("KVM_GET_IRQCHIP"))
    }

    /// State of the kernel's interval timer.
    ///
    /// # Errors
    /// The kernel's: `ENXIO` without a timer in the kernel.
    pub fn pit_state(&self) -> Result<kvm_pit_state2, IoctlFailed> {
        self.fd().get_pit2().map_err(IoctlFailed::of("KVM_GET_PIT2"))
    }
}
