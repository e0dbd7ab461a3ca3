//! Block nodes that interpret what another holds.

use std::io;

use device_model::{
    block::{Access, BlockChild, BlockError, OpenContext, Operation, announce_file},
    prelude::*,
};

use crate::in_each_status;

macro_rules! format {
    ($name:ident, $($statement:tt)*) => {
        /// Format of one status without a byte
        #[qom_type($($statement)* parent = FormatNode, children = announce_file)]
        #[derive(Debug)]
        struct $name {
            file: Realized<BlockChild>,
        }

        impl FormatNode for $name {}

        impl BlockNode for $name {
            fn open(&self, cx: &OpenContext<'_>) -> Result<(), BlockError> {
                self.file.set(cx.child("file", Access::AsParent)?);
                Ok(())
            }

            fn close(&self) {
                self.file.clear();
            }

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

in_each_status!(format: BlockdevSecureFormat, BlockdevInsecureFormat, BlockdevUndeclaredFormat);
