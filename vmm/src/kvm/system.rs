//! The KVM device node: opening it, what it offers, and creating VMs.

use std::ffi::{CString, NulError};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvm_bindings::{CpuId, KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::{Cap, Kvm};
use rustix::io::Errno;

use super::error::IoctlFailed;
use super::power_on;
use super::vm::Vm;

/// How often creating a VM is tried again after a signal interrupted it.
///
/// The kernel gives `EINTR` if a signal arrives while it waits for its own locks; a process that
/// is signalled more often than this is not going to start a guest anyway.
const CREATE_VM_ATTEMPTS: usize = 5;

/// Guest-physical addresses that a VM's memory must leave free.
///
/// Intel processors before "unrestricted guest" run real mode with a page table and a task state
/// segment that KVM puts there, four pages in all (`KVM_SET_IDENTITY_MAP_ADDR`,
/// `KVM_SET_TSS_ADDR`). Below the largest firmware, 16 MiB, and above the local APIC.
pub const PROCESSOR_PAGES: Range<u64> = 0xfeff_c000..0xff00_0000;

/// Where the three pages of the task state segment start, behind the page table.
const TSS_ADDRESS: usize = 0xfeff_d000;

/// Why a KVM device node can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path holds a NUL byte, which no file name can.
    #[error("{path:?} is not a path")]
    Path {
        /// The path given.
        path: PathBuf,
        /// Where the NUL byte is.
        source: NulError,
    },
    /// Nothing is there.
    #[error("{path:?} does not exist: is the kernel's kvm module loaded?")]
    Missing {
        /// The path given.
        path: PathBuf,
    },
    /// This process may not open it for reading and writing.
    #[error("no permission to open {path:?} for reading and writing{}", advice(group.as_deref()))]
    PermissionDenied {
        /// The path given.
        path: PathBuf,
        /// The group whose members may, if it has one.
        group: Option<String>,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The node is there and no driver answers.
    #[error("{path:?} exists, but no driver stands behind it: is the kernel's kvm module loaded?")]
    NoDriver {
        /// The path given.
        path: PathBuf,
    },
    /// It can't be opened for another reason.
    #[error("cannot open {path:?}")]
    Open {
        /// The path given.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It opens, and does not answer as KVM does.
    #[error("{path:?} is not a KVM device: it does not answer KVM_GET_API_VERSION")]
    NotKvm {
        /// The path given.
        path: PathBuf,
    },
    /// It is a KVM of another interface.
    #[error("{path:?} speaks KVM API version {found}, expected {KVM_API_VERSION}")]
    ApiVersion {
        /// The path given.
        path: PathBuf,
        /// The version it states.
        found: i32,
    },
    /// It lacks what every machine here needs.
    #[error("the kernel's KVM ({path:?}) lacks {}", missing.join(", "))]
    MissingCapabilities {
        /// The path given.
        path: PathBuf,
        /// The capabilities it lacks, as the kernel names them.
        missing: Vec<&'static str>,
    },
}

/// What a user without permission can do.
fn advice(group: Option<&str>) -> String {
    match group {
        Some(group) => format!(" (members of group '{group}' have it; ask to be added to it)"),
        None => String::new(),
    }
}

/// The group whose members may read and write that file: its name, or its number if it has none.
fn group_of(path: &Path) -> Option<String> {
    const READ_AND_WRITE: u32 = 0o060;
    let node = std::fs::metadata(path).ok()?;
    if node.mode() & READ_AND_WRITE != READ_AND_WRITE {
        return None;
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    Some(group_name(&groups, node.gid()).unwrap_or_else(|| node.gid().to_string()))
}

/// The name of a group by the system's list of them (`group(5)`).
fn group_name(groups: &str, gid: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}

/// The capabilities that [`System::open`] insists on, by the kernel's names
/// (`Documentation/virt/kvm/api.rst`). Every kernel since 4.17 has them.
pub const REQUIRED_CAPABILITIES: &[(&str, Cap)] = &[
    ("KVM_CAP_DESTROY_MEMORY_REGION_WORKS", Cap::DestroyMemoryRegionWorks),
    ("KVM_CAP_EXT_CPUID", Cap::ExtCpuid),
    ("KVM_CAP_IMMEDIATE_EXIT", Cap::ImmediateExit),
    ("KVM_CAP_IOEVENTFD", Cap::Ioeventfd),
    ("KVM_CAP_IRQCHIP", Cap::Irqchip),
    ("KVM_CAP_IRQFD", Cap::Irqfd),
    ("KVM_CAP_IRQ_ROUTING", Cap::IrqRouting),
    ("KVM_CAP_JOIN_MEMORY_REGIONS_WORKS", Cap::JoinMemoryRegionsWorks),
    ("KVM_CAP_MP_STATE", Cap::MpState),
    ("KVM_CAP_READONLY_MEM", Cap::ReadonlyMem),
    ("KVM_CAP_SET_IDENTITY_MAP_ADDR", Cap::SetIdentityMapAddr),
    ("KVM_CAP_SET_TSS_ADDR", Cap::SetTssAddr),
    ("KVM_CAP_SIGNAL_MSI", Cap::SignalMsi),
    ("KVM_CAP_SPLIT_IRQCHIP", Cap::SplitIrqchip),
    ("KVM_CAP_USER_MEMORY", Cap::UserMemory),
];

/// An open KVM device node that was found fit for use.
#[derive(Debug)]
pub struct System {
    kvm: Kvm,
}

impl System {
    /// Opens the KVM device node at `path`, usually `/dev/kvm`, and checks that it can be used.
    ///
    /// Costs one `open` and about a dozen ioctls that only read constants.
    ///
    /// # Errors
    /// Each reason for which it can't be used, see [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let given = || path.to_path_buf();
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|source| OpenError::Path { path: given(), source })?;
        let kvm = Kvm::new_with_path(name).map_err(|errno| {
            let source = io::Error::from(errno);
            match Errno::from_io_error(&source) {
                Some(Errno::NOENT) => OpenError::Missing { path: given() },
                Some(Errno::ACCESS | Errno::PERM) => {
                    OpenError::PermissionDenied { path: given(), group: group_of(path), source }
                }
                Some(Errno::NXIO | Errno::NODEV) => OpenError::NoDriver { path: given() },
                _ => OpenError::Open { path: given(), source },
            }
        })?;
        match kvm.get_api_version() {
            // The ioctl's own failure: the file belongs to some other driver, or to none.
            found if found < 0 => return Err(OpenError::NotKvm { path: given() }),
            found if u32::try_from(found) == Ok(KVM_API_VERSION) => {}
            found => {
                return Err(OpenError::ApiVersion { path: given(), found });
            }
        }
        let missing = missing_capabilities(|capability| kvm.check_extension(capability));
        if !missing.is_empty() {
            return Err(OpenError::MissingCapabilities { path: given(), missing });
        }
        Ok(Self { kvm })
    }

    /// The greatest number of vCPUs that one VM can have.
    pub fn max_vcpus(&self) -> usize {
        self.kvm.get_max_vcpus()
    }

    /// One more than the greatest vCPU number (APIC id) that a VM can have.
    pub fn max_vcpu_id(&self) -> usize {
        self.kvm.get_max_vcpu_id()
    }

    /// The number of memory slots that one VM can have.
    pub fn max_memory_slots(&self) -> usize {
        self.kvm.get_nr_memslots()
    }

    /// Whether the kernel's local APIC has the TSC-deadline timer.
    ///
    /// The CPUID bit alone does not tell: kernels before 6.14 leave it out of
    /// [`System::supported_cpuid`] although they have it.
    pub fn has_tsc_deadline_timer(&self) -> bool {
        self.kvm.check_extension(Cap::TscDeadlineTimer)
    }

    /// The CPUID that the kernel can give a guest (`KVM_GET_SUPPORTED_CPUID`).
    ///
    /// # Errors
    /// The kernel's, if it has more than [`KVM_MAX_CPUID_ENTRIES`] entries to tell of.
    pub fn supported_cpuid(&self) -> Result<CpuId, IoctlFailed> {
        self.kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(IoctlFailed::of("KVM_GET_SUPPORTED_CPUID"))
    }

    /// Creates a VM without memory, interrupt chip or vCPU. [`PROCESSOR_PAGES`] are taken.
    ///
    /// # Errors
    /// The kernel's; `EBUSY` if another hypervisor holds the processor's virtualization.
    pub fn create_vm(&self) -> Result<Arc<Vm>, IoctlFailed> {
        let interrupted = Errno::INTR.raw_os_error();
        let mut created = self.kvm.create_vm();
        for _ in 1..CREATE_VM_ATTEMPTS {
            match &created {
                Err(errno) if errno.errno() == interrupted => created = self.kvm.create_vm(),
                _ => break,
            }
        }
        let vm = created.map_err(IoctlFailed::of("KVM_CREATE_VM"))?;
        // One page, then three. Other vendors' processors ignore both.
        vm.set_identity_map_address(PROCESSOR_PAGES.start)
            .map_err(IoctlFailed::of("KVM_SET_IDENTITY_MAP_ADDR"))?;
        vm.set_tss_address(TSS_ADDRESS).map_err(IoctlFailed::of("KVM_SET_TSS_ADDR"))?;
        let msrs =
            self.kvm.get_msr_index_list().map_err(IoctlFailed::of("KVM_GET_MSR_INDEX_LIST"))?;
        Ok(Arc::new(Vm::new(vm, power_on::kept(msrs.as_slice()))))
    }
}

/// The names of the required capabilities that `offers` says are not there.
fn missing_capabilities(offers: impl Fn(Cap) -> bool) -> Vec<&'static str> {
    REQUIRED_CAPABILITIES
        .iter()
        .filter(|(_, capability)| !offers(*capability))
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::guest_tests::system_or_skip;

    #[test]
    fn a_group_is_found_by_its_number() {
        let groups = "root:x:0:\nodd\nkvm:x:109:me,you\n";
        assert_eq!(group_name(groups, 109).as_deref(), Some("kvm"));
        assert_eq!(group_name(groups, 0).as_deref(), Some("root"));
        assert_eq!(group_name(groups, 10), None);
    }

    #[test]
    fn a_missing_node_is_told_from_every_other_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kvm");
        match System::open(&path) {
            Err(OpenError::Missing { path: named }) => assert_eq!(named, path),
            other => panic!("expected Missing, got {other:?}"),
        }
    }

    #[test]
    fn a_device_of_another_driver_is_not_kvm() {
        assert!(matches!(
            System::open(Path::new("/dev/null")),
            Err(OpenError::NotKvm { path }) if path == Path::new("/dev/null")
        ));
    }

    #[test]
    fn a_regular_file_is_not_kvm() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(System::open(file.path()), Err(OpenError::NotKvm { .. })));
    }

    #[test]
    fn a_folder_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(System::open(folder.path()), Err(OpenError::Open { .. })));
    }

    #[test]
    fn a_path_with_a_nul_byte_is_named_as_such() {
        assert!(matches!(System::open(Path::new("/dev/kvm\0")), Err(OpenError::Path { .. })));
    }

    /// sysfs refuses to open an attribute for writing that has no writer, even to root.
    #[test]
    fn a_node_without_permission_says_so() {
        let read_only = Path::new("/sys/kernel/uevent_seqnum");
        if !read_only.exists() {
            eprintln!("skipped: needs {read_only:?}");
            return;
        }
        match System::open(read_only) {
            Err(error @ OpenError::PermissionDenied { .. }) => {
                assert!(error.to_string().contains("uevent_seqnum"), "{error}");
            }
            other => panic!("expected PermissionDenied, got {other:?}"),
        }
    }

    #[test]
    fn the_processors_pages_follow_each_other_and_lie_below_firmware() {
        let tss = u64::try_from(TSS_ADDRESS).unwrap();
        assert_eq!(PROCESSOR_PAGES.start + 0x1000, tss);
        assert_eq!(PROCESSOR_PAGES.end, tss + 3 * 0x1000);
        assert_eq!(PROCESSOR_PAGES.end, (1 << 32) - (16 << 20));
    }

    #[test]
    fn capabilities_that_are_missing_are_all_named() {
        let missing = missing_capabilities(|capability| {
            !matches!(capability, Cap::SplitIrqchip | Cap::SignalMsi)
        });
        assert_eq!(missing, ["KVM_CAP_SIGNAL_MSI", "KVM_CAP_SPLIT_IRQCHIP"]);
        let error = OpenError::MissingCapabilities { path: PathBuf::from("/dev/kvm"), missing };
        assert!(error.to_string().contains("KVM_CAP_SIGNAL_MSI, KVM_CAP_SPLIT_IRQCHIP"));
    }

    #[test]
    fn the_real_node_opens_and_tells_its_limits() {
        let Some(system) = system_or_skip() else {
            return;
        };
        assert!(system.max_vcpus() >= 1);
        assert!(system.max_vcpu_id() >= system.max_vcpus());
        assert!(system.max_memory_slots() >= 32);
        assert!(!system.supported_cpuid().unwrap().as_slice().is_empty());
    }
}
