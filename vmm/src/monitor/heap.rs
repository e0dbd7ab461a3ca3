//! Memory that was freed, and which the allocator keeps for more of the same thread, goes back to the
//! system: what one thread freed another can't have otherwise, so that the memory of all together
//! would be bounded by nothing.
#![allow(unsafe_code, reason = "the C library alone knows what its allocator keeps")]

/// Has the allocator give back whatever pages it has no use for. An allocator that can't be told so
/// keeps them.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) touches only memory that is free, under the allocator's own locks, and
    // may be called from any thread. That nothing could be given back is no error.
    let _ = unsafe { libc::malloc_trim(0) };
}
