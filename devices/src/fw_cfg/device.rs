//! `fw_cfg_io`: the firmware configuration device at I/O ports.

use std::sync::Arc;

use device_model::prelude::*;

use super::{
    registers::FwCfg,
    spec::{ACPI_ID, DEFAULT_IOBASE, DMA_COUNT, DMA_OFFSET, PORT_COUNT, REGISTER_COUNT},
};

/// Numbers of the regions.
const REGISTERS: u8 = 0;
const DMA: u8 = 1;

/// Ports by which firmware reads what the board tells it
#[qom_type(
    secure,
    name = "fw_cfg_io",
    parent = SysBusDevice,
    interfaces(PortIo, AcpiNode, FirmwareConfig)
)]
#[derive(Debug)]
pub struct FwCfgIo {
    /// First I/O port
    #[property(default = DEFAULT_IOBASE)]
    iobase: u16,
    /// Whether items can be copied into the guest's memory
    #[property(default = true)]
    dma_enabled: bool,
    /// Locked while a transfer copies, which is of bounded length and calls nothing.
    registers: Mutex<Option<FwCfg>>,
    memory: Realized<Arc<GuestMemory>>,
}

impl Device for FwCfgIo {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        *self.registers.lock() = Some(FwCfg::new(self.dma_enabled));
        if self.dma_enabled {
            let first = self.iobase.checked_add(DMA_OFFSET).ok_or_else(|| {
                DeviceError::configuration("iobase: the DMA address's ports are past the last")
            })?;
            self.memory.set(Arc::clone(cx.memory()?));
            cx.claim_ports(DMA, first, DMA_COUNT)?;
        }
        cx.claim_ports(REGISTERS, self.iobase, REGISTER_COUNT.into())
    }

    fn reset(&self) {
        if let Some(registers) = &mut *self.registers.lock() {
            registers.reset();
        }
    }
}

impl SysBusDevice for FwCfgIo {}

impl FirmwareConfig for FwCfgIo {
    fn set_items(&self, items: &FirmwareItems) {
        if let Some(registers) = &mut *self.registers.lock() {
            registers.set_items(items);
        }
    }
}

impl PortIo for FwCfgIo {
    fn read(&self, region: u8, offset: u64, data: &mut [u8]) {
        let mut registers = self.registers.lock();
        match &mut *registers {
            Some(registers) if region == DMA => registers.read_dma(offset, data),
            Some(registers) => registers.read(offset, data),
            None => {}
        }
    }

    fn write(&self, region: u8, offset: u64, data: &[u8]) {
        let mut registers = self.registers.lock();
        let Some(registers) = &mut *registers else { return };
        if region != DMA {
            registers.write(offset, data);
        } else if let Some(descriptor) = registers.write_dma(offset, data) {
            self.memory.with(|memory| registers.transfer(memory, descriptor));
        }
    }
}

impl AcpiNode for FwCfgIo {
    fn acpi(&self) -> Vec<AcpiDevice> {
        let count = if self.dma_enabled { PORT_COUNT } else { REGISTER_COUNT };
        vec![AcpiDevice {
            name: "FWCF".to_owned(),
            hardware_id: ACPI_ID.to_owned(),
            unique_id: 0,
            coherent: Some(true),
            resources: vec![Resource::Ports { start: self.iobase, count }],
            events: None,
        }]
    }
}
