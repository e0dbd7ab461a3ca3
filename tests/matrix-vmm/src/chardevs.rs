//! Character devices.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use device_model::prelude::*;

use crate::{in_each_status, with_each_feature};

macro_rules! chardev {
    ($name:ident, $($statement:tt)*) => {
        /// Stream of one status that leads nowhere
        #[qom_type($($statement)* parent = Chardev)]
        #[derive(Debug)]
        struct $name {
            connected: AtomicBool,
        }

        impl Chardev for $name {
            fn open(&self, _: &Platform) -> io::Result<()> {
                Ok(())
            }

            fn close(&self) {}

            fn write(&self, _: &[u8]) {}

            fn connect(&self, _: Frontend) -> bool {
                !self.connected.swap(true, Ordering::AcqRel)
            }

            fn disconnect(&self) {
                self.connected.store(false, Ordering::Release);
            }

            fn accept_input(&self) {}

            fn filename(&self) -> String {
                "nowhere".to_owned()
            }
        }
    };
}

in_each_status!(chardev: ChardevSecure, ChardevInsecure, ChardevUndeclared);
with_each_feature!(chardev: ChardevDeprecated, ChardevUnstable);
