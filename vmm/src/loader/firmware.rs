//! The loader of firmware: what a processor executes first, at the top of the first 4 GiB.

use std::{fs::File, io::Read, ops::Range};

use device_model::{
    descriptors::Descriptors,
    platform::Platform,
    qom_core::{BoxedError, qom_type},
};
use vm_memory::{Bytes, GuestAddress};

use super::{LoadError, Loader, open};
use crate::byte_count::ByteCount;

/// Where firmware ends: a processor's first instruction is 16 bytes below (Intel SDM volume 3,
/// section 10.1.4).
const END: u64 = 1 << 32;
/// Firmware is a whole number of these, so that its last 16 bytes are where a processor starts.
const UNIT: u64 = 64 << 10;
/// The largest firmware: below are the pages that some processors need of KVM.
const LARGEST: u64 = 16 << 20;
/// Firmware's end is below 1 MiB too, where a processor in real mode reaches it.
const SHADOW_END: u64 = 1 << 20;
/// How much of it at most: what PCs leave to it there.
const SHADOW_LARGEST: u64 = 128 << 10;

/// Loader of raw firmware images
#[qom_type(secure, parent = Loader)]
pub struct FirmwareLoader;

impl Loader for FirmwareLoader {
    fn load(&self, platform: &Platform) -> Result<(), BoxedError> {
        let file = self.file();
        let memory = platform.memory().ok_or(LoadError::NoMemory)?;
        let memory_error =
            |error: vm_memory::GuestMemoryError| LoadError::Contents(error.to_string());
        let mut opened = open(platform.descriptors(), &file).map_err(LoadError::from)?;
        let range = place_of(&opened)?;
        let size = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        memory
            .read_exact_volatile_from(GuestAddress(range.start), &mut opened, size)
            .map_err(memory_error)?;
        // A byte more means that the file has grown since its size decided where it goes.
        if opened.read(&mut [0]).map_err(LoadError::Read)? != 0 {
            return Err(LoadError::Contents("it grows".to_owned()).into());
        }
        let shadow = (range.end - range.start).min(SHADOW_LARGEST);
        let mut page = [0; 4096];
        for offset in (0..shadow).step_by(page.len()) {
            memory
                .read_slice(&mut page, GuestAddress(END - shadow + offset))
                .and_then(|()| {
                    memory.write_slice(&page, GuestAddress(SHADOW_END - shadow + offset))
                })
                .map_err(memory_error)?;
        }
        Ok(())
    }
}

/// The guest-physical addresses at which this firmware goes.
///
/// # Errors
/// If the file can't be read, or is of a size that firmware can't have.
pub(crate) fn place(descriptors: &Descriptors, file: &str) -> Result<Range<u64>, LoadError> {
    place_of(&open(descriptors, file)?)
}

/// The same of a file that is open.
fn place_of(file: &File) -> Result<Range<u64>, LoadError> {
    let size = file.metadata()?.len();
    if size == 0 || size % UNIT != 0 || size > LARGEST {
        return Err(LoadError::Contents(format!(
            "it has {size} bytes, and firmware has a multiple of {}, up to {}",
            ByteCount(UNIT),
            ByteCount(LARGEST)
        )));
    }
    Ok(END - size..END)
}
