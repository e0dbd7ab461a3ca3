//! A processor's local APIC in the kernel.

use device_model::prelude::*;
use serde_json::{Map, Value, json};

use super::accelerator;
use crate::{accelerator::Accelerator, cpu::Cpu, kvm::lapic_offset};

/// Local APIC in the kernel
#[qom_type(secure, parent = SysBusDevice)]
pub struct KvmApic {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Place of its processor among the machine's, from 0
    #[property(default = 0)]
    index: u32,
    /// Registers by name
    #[property(get = Self::registers)]
    registers: Computed<Value>,
    processor: std::sync::OnceLock<std::sync::Weak<dyn Cpu>>,
}

impl KvmApic {
    /// Asks the processor, wherever it runs.
    fn registers(&self) -> Value {
        let Some(processor) = self.processor.get().and_then(std::sync::Weak::upgrade) else {
            return Value::Null;
        };
        let state = processor.slot().ask(self.index, |vcpu| vcpu.local_apic());
        let Ok(Some(state)) = state else { return Value::Null };
        let shown: Map<_, _> = lapic_offset::NAMED
            .iter()
            .filter_map(|(name, offset)| {
                Some(((*name).to_owned(), json!(state.register(*offset)?)))
            })
            .collect();
        Value::Object(shown)
    }
}

impl Device for KvmApic {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        accelerator(&self.accel)?;
        let processor = cx.object().parent().and_then(|parent| parent.cast::<dyn Cpu>());
        let processor = processor.ok_or(DeviceError::Missing("processor for a local APIC"))?;
        // It is realized once.
        let _ = self.processor.set(std::sync::Arc::downgrade(&processor));
        Ok(())
    }
}

impl SysBusDevice for KvmApic {}
