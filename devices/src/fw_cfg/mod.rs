//! `fw_cfg`: what the board tells firmware, item by item, through a port or into memory.

mod device;
mod dma;
mod registers;
pub mod spec;

pub use device::FwCfgIo;
pub use dma::BEYOND_MAX;
pub use registers::FwCfg;
