//! The firmware configuration device's registers, keys and structures.
//!
//! Source: QEMU, "QEMU Firmware Configuration (fw_cfg) Device" (`docs/specs/fw_cfg`); Linux,
//! `include/uapi/linux/qemu_fw_cfg.h` for the names. Keys are in
//! [`device_model::firmware_config::key`].

/// The first port's usual address.
pub const DEFAULT_IOBASE: u16 = 0x510;
/// Ports of selector and data.
pub const REGISTER_COUNT: u8 = 2;
/// Selector: 16 bits, little-endian, write-only. Data are read from the chosen item's start then.
pub const SELECTOR: u64 = 0;
/// Data: 8 bits, read-only. Each read gives the next byte of the item.
pub const DATA: u64 = 1;

/// Where the DMA address register is behind the first port.
pub const DMA_OFFSET: u16 = 4;
/// Ports of the DMA address register: 64 bits, big-endian, as two words.
pub const DMA_COUNT: u64 = 8;
/// The word with the high half of the address.
pub const DMA_HIGH: u64 = 0;
/// The word with the low half, whose writing starts the transfer.
pub const DMA_LOW: u64 = 4;
/// What the DMA address register reads as, lowest port first.
pub const DMA_SIGNATURE: [u8; 8] = *b"QEMU CFG";
/// Ports of everything, from the first on.
pub const PORT_COUNT: u8 = 12;

/// The item by which the device is known.
pub const SIGNATURE: [u8; 4] = *b"QEMU";
/// Bit of the revision: selector and data registers.
pub const REVISION_TRADITIONAL: u32 = 1 << 0;
/// Bit of the revision: the DMA address register.
pub const REVISION_DMA: u32 = 1 << 1;

/// Bits of a key that choose an item (FW_CFG_ENTRY_MASK without the flags). Bit 14 asked for writing by
/// the data register, which no device takes any more; bit 15 is of items of the architecture alone, of
/// which there are none.
pub const KEY_WRITE: u16 = 1 << 14;

/// Bytes of an entry of the directory: size (32 bits) and key (16 bits), big-endian, two bytes of
/// nothing, and the name with a zero (struct fw_cfg_file).
pub const ENTRY_NAME: usize = 56;

/// Bytes of a DMA descriptor: control and length (32 bits), address (64 bits), big-endian (struct
/// fw_cfg_dma_access).
pub const DESCRIPTOR_SIZE: usize = 16;
/// Control, as the device leaves it: the transfer failed (FW_CFG_DMA_CTL_ERROR).
pub const CONTROL_ERROR: u32 = 1 << 0;
/// Control: copy from the item to memory (FW_CFG_DMA_CTL_READ).
pub const CONTROL_READ: u32 = 1 << 1;
/// Control: go on in the item (FW_CFG_DMA_CTL_SKIP).
pub const CONTROL_SKIP: u32 = 1 << 2;
/// Control: choose the item of the key in the upper 16 bits first (FW_CFG_DMA_CTL_SELECT).
pub const CONTROL_SELECT: u32 = 1 << 3;
/// Control: copy from memory to the item (FW_CFG_DMA_CTL_WRITE).
pub const CONTROL_WRITE: u32 = 1 << 4;
/// Where the key is in control.
pub const CONTROL_KEY_SHIFT: u32 = 16;

/// The device's identifier in ACPI's namespace, by which Linux's driver finds it (Linux,
/// `drivers/firmware/qemu_fw_cfg.c`).
pub const ACPI_ID: &str = "QEMU0002";
