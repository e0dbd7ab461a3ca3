//! Loaders of kernels that are the name of their loader and nothing more.

use device_model::{platform::Platform, prelude::*, qom_core::BoxedError};
use vmm::{
    boot::LoadedKernel,
    loader::{KernelFormat, KernelLoader, Loaded, Loader},
};

macro_rules! kernel {
    ($name:ident, $format:ident, $type_name:literal, $($statement:tt)*) => {
        /// Loader of one status, which loads nothing
        #[qom_type($($statement)* name = $type_name, parent = KernelLoader, class_data = $format)]
        struct $name {
            loaded: Loaded<LoadedKernel>,
        }

        static $format: KernelFormat =
            KernelFormat { recognise: |start| start.starts_with($type_name.as_bytes()) };

        impl Loader for $name {
            fn load(&self, _: &Platform) -> Result<(), BoxedError> {
                Ok(())
            }
        }

        impl KernelLoader for $name {
            fn loaded(&self) -> &Loaded<LoadedKernel> {
                &self.loaded
            }
        }
    };
}

kernel!(SecureLoader, SECURE, "secure-loader", secure,);
kernel!(InsecureLoader, INSECURE, "insecure-loader", insecure, reason = "an example",);
kernel!(UndeclaredLoader, UNDECLARED, "undeclared-loader",);
