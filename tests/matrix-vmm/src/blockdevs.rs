//! Block nodes.

use std::io;

use device_model::{
    block::{BlockError, OpenContext, Operation},
    prelude::*,
};

use crate::in_each_status;

macro_rules! blockdev {
    ($name:ident, $($statement:tt)*) => {
        /// Node of one status without a byte
        #[qom_type($($statement)* parent = BlockNode)]
        #[derive(Debug)]
        struct $name;

        impl BlockNode for $name {
            fn open(&self, _: &OpenContext<'_>) -> Result<(), BlockError> {
                Ok(())
            }

            fn close(&self) {}

            fn length(&self) -> u64 {
                0
            }

            fn is_writable(&self) -> bool {
                !self.read_only()
            }

            fn filename(&self) -> String {
                "nowhere".to_owned()
            }

            fn perform(&self, _: &Operation<'_>) -> io::Result<()> {
                Ok(())
            }
        }
    };
}

in_each_status!(blockdev: BlockdevSecure, BlockdevInsecure, BlockdevUndeclared);
