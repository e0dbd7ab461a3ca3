//! Processors that never run.

use device_model::prelude::*;
use vmm::{cpu::Cpu, vcpu::VcpuSlot};

macro_rules! cpu {
    ($name:ident, $($statement:tt)*) => {
        /// Processor of one status
        #[qom_type($($statement)* parent = Cpu)]
        struct $name {
            slot: VcpuSlot,
        }

        impl Device for $name {
            fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
                Ok(())
            }
        }

        impl Cpu for $name {
            fn slot(&self) -> &VcpuSlot {
                &self.slot
            }
        }
    };
}

cpu!(SecureCpu, secure, name = "secure-x86_64-cpu",);
cpu!(InsecureCpu, insecure, reason = "an example", name = "insecure-x86_64-cpu",);
cpu!(UndeclaredCpu, name = "undeclared-x86_64-cpu",);
cpu!(DeprecatedCpu, secure, deprecated = "use another", name = "deprecated-x86_64-cpu",);
cpu!(UnstableCpu, secure, unstable, name = "unstable-x86_64-cpu",);
