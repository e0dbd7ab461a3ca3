//! What the registers do. It knows no bus and no device: what is to be done is told.

use device_model::{platform::GuestMemory, virtio::spec::status::DEVICE_NEEDS_RESET};

use super::spec::*;
use crate::virtio::core::{RingPart, StatusChange, VirtioState};

/// What the registers show that others know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The device needs a reset.
    pub is_broken: bool,
    /// Reasons of interrupts.
    pub interrupts: u32,
    /// Number of the configuration's generation.
    pub generation: u32,
}

/// What a write asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MmioWrite {
    /// Nothing.
    None,
    /// To start the device.
    Start,
    /// To reset it, and [`MmioRegisters::reset`] then.
    Reset,
    /// To take a queue from it.
    StopQueue(u16),
    /// To notify it of a queue.
    Notify(u32),
    /// To forget reasons of interrupts.
    Acknowledge(u32),
}

/// The registers of a transport behind which there is a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MmioRegisters {
    device_id: u32,
    state: VirtioState,
}

impl MmioRegisters {
    /// Those of a device of that kind, after reset.
    #[must_use]
    pub fn new(device_id: u32, features: u64, queue_sizes: &[u16]) -> Self {
        Self { device_id, state: VirtioState::new(features, queue_sizes) }
    }

    /// What a transport's register reads as that has no device: there is nothing to negotiate.
    #[must_use]
    pub const fn vacant(offset: u64) -> u32 {
        match offset {
            MAGIC_VALUE => MAGIC,
            VERSION => VERSION_2,
            VENDOR_ID => VENDOR,
            _ => 0,
        }
    }

    /// What the driver has negotiated and set up.
    #[must_use]
    pub const fn state(&self) -> &VirtioState {
        &self.state
    }

    /// The device status as the driver reads it.
    #[must_use]
    pub const fn status(&self, is_broken: bool) -> u32 {
        self.state.status() | if is_broken { DEVICE_NEEDS_RESET } else { 0 }
    }

    /// The device has been reset.
    pub fn reset(&mut self) {
        self.state.reset();
    }

    /// Reads a register: 0 where there is none.
    #[must_use]
    pub fn read(&self, offset: u64, live: Live) -> u32 {
        match offset {
            DEVICE_ID => self.device_id,
            DEVICE_FEATURES => self.state.offered(),
            QUEUE_NUM_MAX => self.state.queue_most().into(),
            QUEUE_READY => self.state.queue_ready().into(),
            INTERRUPT_STATUS => live.interrupts,
            STATUS => self.status(live.is_broken),
            // Of no region that there is.
            SHM_LEN_LOW | SHM_LEN_HIGH | SHM_BASE_LOW | SHM_BASE_HIGH => u32::MAX,
            CONFIG_GENERATION => live.generation,
            _ => Self::vacant(offset),
        }
    }

    /// Writes a register; nothing where there is none. Queues can be set up in `memory`.
    pub fn write(
        &mut self,
        offset: u64,
        value: u32,
        is_broken: bool,
        memory: Option<&GuestMemory>,
    ) -> MmioWrite {
        let state = &mut self.state;
        match offset {
            DEVICE_FEATURES_SEL => state.select_offered(value),
            DRIVER_FEATURES_SEL => state.select_accepted(value),
            DRIVER_FEATURES => state.accept(value),
            QUEUE_SEL => state.select_queue(value),
            QUEUE_NUM => state.set_queue_size(value),
            QUEUE_READY if value & 1 != 0 => state.make_ready(memory),
            QUEUE_READY => {
                return state.make_unready().map_or(MmioWrite::None, MmioWrite::StopQueue);
            }
            QUEUE_NOTIFY => return MmioWrite::Notify(value),
            INTERRUPT_ACK => return MmioWrite::Acknowledge(value),
            STATUS => {
                return match state.write_status(value, is_broken) {
                    StatusChange::None => MmioWrite::None,
                    StatusChange::Reset => MmioWrite::Reset,
                    StatusChange::Start => MmioWrite::Start,
                };
            }
            QUEUE_DESC_LOW => state.set_low(RingPart::Descriptors, value),
            QUEUE_DESC_HIGH => state.set_high(RingPart::Descriptors, value),
            QUEUE_DRIVER_LOW => state.set_low(RingPart::Available, value),
            QUEUE_DRIVER_HIGH => state.set_high(RingPart::Available, value),
            QUEUE_DEVICE_LOW => state.set_low(RingPart::Used, value),
            QUEUE_DEVICE_HIGH => state.set_high(RingPart::Used, value),
            _ => {}
        }
        MmioWrite::None
    }
}
