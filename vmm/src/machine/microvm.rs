//! The microvm board: what a modern guest needs, and nothing that it has to probe for.

use device_model::{
    causes::with_causes,
    chardev::Chardev,
    descriptors::Descriptors,
    firmware_config::FirmwareConfig,
    platform::Platform,
    qom_core::{BoxedError, Children, Configuration, Given, Link, Obj, PlanError, qom_type},
};

use super::{
    Buses, Machine, MachineClass, OnOffAuto, acpi, firmware::FirmwareBoard, memory, processors,
};
use crate::{
    accelerator::{AcceleratorClass, Legacy, PIC},
    boot::{
        self, BootInformation,
        acpi::{
            AcpiPlatform, FirmwareTables, InterruptOverride, IoApic, Polarity, Register,
            SleepRegisters, Trigger,
        },
        cmdline::{Cmdline, CmdlineError, LINUX_CMDLINE_MAX},
        entry::Entry,
        layout,
    },
    cpu::Cpu,
    loader::{InitrdLoader, KernelLoader, firmware, kernel_loader},
};

/// Machine with a serial port, a clock and no bus to probe
#[qom_type(
    secure,
    name = "microvm-machine",
    parent = Machine,
    boundary(guest),
    class_data = CLASS,
    children = children
)]
pub struct MicrovmMachine {
    /// Type of the processors
    #[property(default = "host-x86_64-cpu")]
    cpu_type: String,
    /// Features switched on and off in the processors, as in +popcnt,-cx16
    #[property(default = "")]
    cpu_features: String,
    /// Sockets
    #[property(default = 1, range = 1..=255)]
    sockets: u32,
    /// Cores of each socket
    #[property(default = 1, range = 1..=255)]
    cores: u32,
    /// Threads of each core
    #[property(default = 1, range = 1..=255)]
    threads: u32,
    /// Kernel that the guest starts from
    #[property(default = "")]
    kernel: String,
    /// Initial RAM disk for the kernel
    #[property(default = "")]
    initrd: String,
    /// Firmware that the guest starts from
    #[property(default = "")]
    bios: String,
    /// Command line for the kernel
    #[property(default = "")]
    append: String,
    /// Whether a kernel is told of the virtio devices on its command line too, for one without ACPI
    #[property(default = true)]
    auto_kernel_cmdline: bool,
    /// Whether it has the pair of 8259 interrupt controllers, which come with kernel-irqchip=on
    #[property(default = OnOffAuto::Auto)]
    pic: OnOffAuto,
    /// Whether it has the 8254 timer
    #[property(default = false)]
    pit: bool,
    /// Whether it has the clock
    #[property(default = true)]
    rtc: bool,
    /// Whether it has the first serial port
    #[property(default = true)]
    isa_serial: bool,
    /// What the first serial port leads to
    #[property(link = dyn Chardev)]
    serial0: Link<dyn Chardev>,
}

/// What the objects are called that load kernel and initial RAM disk. A child's name is a
/// property's too, and `kernel` and `initrd` are those of the files.
const KERNEL_LOADER: &str = "kernel-loader";
const INITRD_LOADER: &str = "initrd-loader";
/// What firmware reads the board's items by, among the unattached.
const FIRMWARE_CONFIG: &str = "fw_cfg";

static CLASS: MachineClass = MachineClass {
    is_default: true,
    runs_guest: true,
    has_serial: true,
    max_cpus: 255,
    buses: &[Buses::ISA, VIRTIO_BUSES],
};

/// The buses of its virtio-mmio transports.
const VIRTIO_BUSES: Buses =
    Buses { kind: "virtio-bus", name: "virtio-mmio-bus", count: layout::VIRTIO_MMIO_COUNT };

/// ISA interrupt of the 8254 timer, and the I/O APIC's pin that it is wired to.
const TIMER_INTERRUPT: (u8, u32) = (0, 2);
/// Value of the sleep control register's type field that switches the machine off.
const SLEEP_TYPE_OFF: u8 = 5;
/// Value of the reset register that resets the machine.
const RESET_VALUE: u8 = 0x42;

fn json(value: impl Into<serde_json::Value>) -> Given {
    Given::Json(value.into())
}

/// Everything on the board, in the order of creation: interrupt chips, which the accelerator names;
/// processors; devices; what the guest starts from.
fn children(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    let accelerator = config.linked("accel")?.ok_or(PlanError::Missing { property: "accel" })?;
    let accelerator_path = accelerator.path();
    let class = accelerator.class().data::<AcceleratorClass>().ok_or_else(|| {
        PlanError::Refused(format!(
            "accelerator '{}' runs no processors",
            accelerator.class().name()
        ))
    })?;
    for name in ["peripheral", "peripheral-anon", "unattached"] {
        children.add_container(name);
    }
    let legacy = Legacy { pic: config.get("pic")?, pit: config.get("pit")? };
    for chip in (class.controllers)(&accelerator, legacy)? {
        let child = children.add(format!("unattached/{}", chip.name), chip.type_name);
        if let Some(link) = chip.accelerator_link {
            child.link(link, Some(accelerator_path.clone()));
        }
    }
    add_processors(config, children, &accelerator_path)?;
    let size = memory::planned_size(config)?;
    devices(config, children, size)?;
    files(config, children)
}

fn add_processors(
    config: &Configuration<'_>,
    children: &mut Children,
    accelerator: &str,
) -> Result<(), PlanError> {
    let count = config.get::<u32>("cpus")?;
    if count == 0 {
        return Err(PlanError::refused("cpus", "a guest needs at least one processor"));
    }
    let mut arrangement = [("sockets", 1), ("cores", 1), ("threads", 1)];
    for (name, number) in &mut arrangement {
        *number = config.get::<u32>(name)?;
    }
    // `cpus` alone means that many cores.
    let described: u64 = arrangement.iter().map(|(_, number)| u64::from(*number)).product();
    if described == 1 && count > 1 {
        arrangement[1].1 = count;
    } else if described != u64::from(count) {
        let [(_, sockets), (_, cores), (_, threads)] = arrangement;
        return Err(PlanError::refused(
            "cpus",
            format!("cpus={count} is not {sockets} sockets of {cores} cores of {threads} threads"),
        ));
    }
    let cpu_type = config.get::<String>("cpu-type")?;
    processors::check_type(config, &cpu_type)?;
    for index in 0..count {
        let cpu = children.add(format!("unattached/cpu[{index}]"), &cpu_type);
        cpu.link("accel", Some(accelerator.to_owned()))
            .set("index", json(index))
            .set("features", json(config.get::<String>("cpu-features")?))
            .because_of("cpu-features");
        for (name, number) in &arrangement {
            cpu.set(name, json(*number));
        }
    }
    Ok(())
}

fn devices(
    config: &Configuration<'_>,
    children: &mut Children,
    memory_size: u64,
) -> Result<(), PlanError> {
    children.add("unattached/ged", "acpi-ged").set("base", json(layout::GED));
    children.add("unattached/i8042", "i8042");
    if config.get("rtc")? {
        let low = memory_size.min(layout::LOW_RAM_END);
        children
            .add("unattached/rtc", "mc146818rtc")
            .set("memory-below-4g", json(low))
            .set("memory-above-4g", json(memory_size - low));
    }
    if config.get("isa-serial")? {
        let serial = config.linked("serial0")?.map(|chardev| chardev.path());
        children
            .add("unattached/serial0", "isa-serial")
            .link("chardev", serial)
            .because_of("serial0");
    } else if config.linked("serial0")?.is_some() {
        return Err(PlanError::refused(
            "serial0",
            "there is no first serial port for it: isa-serial=off",
        ));
    }
    for index in 0..layout::VIRTIO_MMIO_COUNT {
        children
            .add(format!("unattached/virtio-mmio[{index}]"), "virtio-mmio")
            .set("base", json(layout::virtio_mmio(index)))
            .set("gsi", json(layout::VIRTIO_MMIO_GSI + index))
            .set("index", json(index));
    }
    Ok(())
}

/// How a kernel is told of the virtio devices that it would not find by itself (Linux,
/// Documentation/admin-guide/kernel-parameters.txt, `virtio_mmio.device=`).
fn virtio_words(platform: &Platform) -> impl Iterator<Item = String> {
    let buses = platform.virtio_buses();
    (0..).zip(VIRTIO_BUSES.names()).filter_map(move |(index, name)| {
        let taken = buses.iter().any(|(bus, device)| *bus == name && device.is_some());
        let (size, at) = (layout::VIRTIO_MMIO_STRIDE, layout::virtio_mmio(index));
        let gsi = layout::VIRTIO_MMIO_GSI + index;
        taken.then(|| format!("virtio_mmio.device={size}@{at:#x}:{gsi}"))
    })
}

/// The kernel's command line, of a length that Linux keeps.
fn command_line(
    words: &str,
    more: impl IntoIterator<Item = String>,
) -> Result<Cmdline, CmdlineError> {
    let mut cmdline = Cmdline::new();
    cmdline.append(words)?;
    more.into_iter().try_for_each(|words| cmdline.append(&words))?;
    cmdline.check_length(LINUX_CMDLINE_MAX)?;
    Ok(cmdline)
}

fn files(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    let kernel = config.get::<String>("kernel")?;
    let initrd = config.get::<String>("initrd")?;
    let firmware = config.get::<String>("bios")?;
    let handed_over = Descriptors::known_to(config);
    if !firmware.is_empty() {
        if !kernel.is_empty() {
            return Err(PlanError::refused(
                "kernel",
                format!(
                    "firmware '{firmware}' finds no kernel here: give -kernel or -bios, not both"
                ),
            ));
        }
        firmware::place(handed_over, &firmware)
            .map_err(|error| PlanError::refused("bios", error))?;
        children
            .add("firmware-loader", "firmware-loader")
            .set("file", json(firmware))
            .because_of("bios");
        children.add(format!("unattached/{FIRMWARE_CONFIG}"), "fw_cfg_io").because_of("bios");
    }
    if kernel.is_empty() {
        if !initrd.is_empty() {
            return Err(PlanError::refused("initrd", "there is no kernel for it: give -kernel"));
        }
        if !config.get::<String>("append")?.is_empty() {
            return Err(PlanError::refused("append", "there is no kernel for it: give -kernel"));
        }
        return Ok(());
    }
    let loader = kernel_loader(config.registry(), handed_over, &kernel)
        .map_err(|error| PlanError::refused("kernel", error))?;
    children.add(KERNEL_LOADER, loader).set("file", json(kernel)).because_of("kernel");
    if !initrd.is_empty() {
        let kernel = children.path_of(KERNEL_LOADER);
        children
            .add(INITRD_LOADER, "initrd-loader")
            .set("file", json(initrd))
            .link("kernel", Some(kernel))
            .because_of("initrd");
    }
    command_line(&config.get::<String>("append")?, [])
        .map_err(|error| PlanError::refused("append", error))?;
    Ok(())
}

impl MicrovmMachine {
    /// How much memory the guest has, in bytes.
    fn ram_size(&self) -> u64 {
        self.memory_backend().map_or_else(|| self.memory_size(), |backend| backend.size()).0
    }

    /// The board as its ACPI tables tell of it.
    fn describe(&self, machine: &Obj) -> AcpiPlatform {
        AcpiPlatform {
            local_apics: local_apics(machine),
            local_apic: layout::LAPIC,
            io_apics: vec![IoApic { id: 0, address: layout::IOAPIC, gsi_base: 0 }],
            interrupt_overrides: vec![InterruptOverride {
                isa: TIMER_INTERRUPT.0,
                gsi: TIMER_INTERRUPT.1,
                trigger: Trigger::Edge,
                polarity: Polarity::ActiveHigh,
            }],
            legacy_pic: has_pic(machine),
            sleep: Some(SleepRegisters {
                control: layout::GED_SLEEP_CONTROL,
                status: layout::GED_SLEEP_STATUS,
                s5_type: SLEEP_TYPE_OFF,
            }),
            reset: Some(Register { address: layout::GED_RESET, value: RESET_VALUE }),
            devices: acpi::devices(machine),
        }
    }
}

impl MicrovmMachine {
    /// Has firmware find what there is, as it is now.
    fn tell_firmware(&self, machine: &Obj) -> Result<(), BoxedError> {
        let config = machine.child("unattached").and_then(|parts| parts.child(FIRMWARE_CONFIG));
        let Some(config) = config.and_then(|device| device.cast::<dyn FirmwareConfig>()) else {
            return Ok(());
        };
        let platform = self.describe(machine);
        let board = FirmwareBoard {
            ram: &layout::ram_ranges(self.ram_size())?,
            local_apics: &platform.local_apics,
            has_serial: self.isa_serial,
            acpi: FirmwareTables::new(&platform)?,
        };
        config.set_items(&board.items()?);
        Ok(())
    }
}

/// Whether the accelerator brought the pair of 8259 interrupt controllers.
fn has_pic(machine: &Obj) -> bool {
    machine.child("unattached").is_some_and(|unattached| unattached.child(PIC).is_some())
}

/// Identifier of each processor's local APIC, in the processors' order.
fn local_apics(machine: &Obj) -> Vec<u32> {
    let unattached = machine.child("unattached").map(|container| container.children());
    let mut cpus: Vec<_> =
        unattached.into_iter().flatten().filter_map(|(_, child)| child.cast::<dyn Cpu>()).collect();
    cpus.sort_by_key(|cpu| cpu.index());
    cpus.iter().filter_map(|cpu| cpu.apic_id()).collect()
}

impl Machine for MicrovmMachine {
    fn prepare(&self, platform: &Platform) -> Result<(), BoxedError> {
        let accelerator = self.accel().ok_or(PlanError::Missing { property: "accel" })?;
        if accelerator.runs_processors() && self.kernel.is_empty() && self.bios.is_empty() {
            // Only now: what the policy has to say of the configuration comes first.
            let problem = "nothing to boot from: give -kernel or -bios";
            return Err(PlanError::Refused(problem.to_owned()).into());
        }
        let backend = self.memory_backend();
        let memory_error = |error: &dyn std::error::Error| {
            let property = if backend.is_some() { memory::BACKEND } else { "memory-size" };
            PlanError::refused(property, with_causes(error))
        };
        let ram = layout::ram_ranges(self.ram_size()).map_err(|error| memory_error(&error))?;
        let firmware = match &*self.bios {
            "" => None,
            file => Some(firmware::place(platform.descriptors(), file)?),
        };
        let layout = memory::Layout { ram, firmware };
        let memory =
            memory::allocate(&layout, backend.as_deref()).map_err(|error| memory_error(&error))?;
        accelerator.attach_memory(&memory, layout.firmware.as_ref())?;
        platform.set_memory(memory);
        Ok(())
    }

    fn boot(&self, machine: &Obj, platform: &Platform) -> Result<Option<Entry>, BoxedError> {
        let Some(memory) = platform.memory() else { return Ok(None) };
        if !self.bios.is_empty() {
            self.tell_firmware(machine)?;
            return Ok(Some(Entry::Reset));
        }
        let kernel =
            machine.child(KERNEL_LOADER).and_then(|object| object.cast::<dyn KernelLoader>());
        let Some(kernel) = kernel.and_then(|loader| loader.loaded().get()) else {
            return Ok(None);
        };
        let initrd = machine.child(INITRD_LOADER).and_then(|object| object.cast::<InitrdLoader>());
        let virtio = self.auto_kernel_cmdline.then(|| virtio_words(platform));
        let cmdline = command_line(&self.append, virtio.into_iter().flatten())?;
        let acpi = self.describe(machine);
        let information = BootInformation {
            ram_size: self.ram_size(),
            cmdline: &cmdline,
            initrd: initrd.and_then(|loader| loader.loaded()),
            acpi: Some(&acpi),
        };
        Ok(Some(boot::finish_boot(&kernel, memory, &information)?))
    }
}
