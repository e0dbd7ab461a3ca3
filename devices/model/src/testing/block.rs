//! What stands in front of a node in tests that have no device for it.

use std::sync::Arc;

use crate::block::{BlockBackend, BlockChild, BlockNode};

/// What a device would have of a node in front of which it stands alone.
#[must_use]
pub fn backend(node: Arc<dyn BlockNode>, writes: bool) -> Arc<BlockBackend> {
    BlockBackend::new(BlockChild::new(node, writes))
}
