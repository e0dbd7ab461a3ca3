//! Network backends.

use std::{
    io::IoSlice,
    sync::atomic::{AtomicBool, Ordering},
};

use device_model::{netdev::Counters, prelude::*, qom_core::BoxedError};

use crate::{in_each_status, with_each_feature};

macro_rules! netdev {
    ($name:ident, $($statement:tt)*) => {
        /// Network of one status that leads nowhere
        #[qom_type($($statement)* parent = Netdev)]
        #[derive(Debug)]
        struct $name {
            connected: AtomicBool,
        }

        impl Netdev for $name {
            fn open(&self, _: &Obj, _: &Platform) -> Result<(), BoxedError> {
                Ok(())
            }

            fn close(&self) {}

            fn connect(&self, _: PeerHandle) -> bool {
                !self.connected.swap(true, Ordering::AcqRel)
            }

            fn disconnect(&self) {
                self.connected.store(false, Ordering::Release);
            }

            fn send(&self, _: u16, _: &[IoSlice<'_>]) -> Sending {
                Sending::Taken
            }

            fn accept_frames(&self, _: u16) {}

            fn is_link_up(&self) -> bool {
                false
            }

            fn counters(&self) -> Counters {
                Counters::default()
            }

            fn info(&self) -> String {
                "nowhere".to_owned()
            }
        }
    };
}

in_each_status!(netdev: NetdevSecure, NetdevInsecure, NetdevUndeclared);
with_each_feature!(netdev: NetdevDeprecated, NetdevUnstable);
