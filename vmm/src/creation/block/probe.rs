//! Guessing the format of an image by its first bytes, which whoever wrote it chose.

use std::{fs::File, io::Read, path::Path};

use device_model::{block::FormatProbe, descriptors::Descriptors, qom_core::Registry};

use super::{BlockdevError, all_drivers, definition::driver_name};
use crate::regular_file;

/// The name of the driver of the format that a file seems to be of.
///
/// # Errors
/// If the file can't be read, or no driver takes it.
pub(super) fn format(
    registry: &Registry,
    descriptors: &Descriptors,
    file: &str,
) -> Result<String, BlockdevError> {
    let opened = regular_file::open(descriptors, Path::new(file))
        .map_err(|error| BlockdevError::probe(file, error))?;
    let head = head(opened).map_err(|error| BlockdevError::probe_read(file, &error))?;
    let claims = all_drivers(registry).filter_map(|class| {
        let FormatProbe(probe) = class.data::<FormatProbe>()?;
        Some((probe(&head), driver_name(class)))
    });
    // Of those that are as sure, the first by name.
    let surest = claims
        .filter(|(sure, _)| *sure > 0)
        .max_by(|one, other| one.0.cmp(&other.0).then_with(|| other.1.cmp(one.1)));
    let driver = surest.map(|(_, driver)| driver.to_owned());
    driver.ok_or_else(|| BlockdevError::Missing { key: "format".to_owned() })
}

/// The first bytes of a file, as many as are looked at.
fn head(file: File) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(FormatProbe::LENGTH);
    file.take(u64::try_from(FormatProbe::LENGTH).unwrap_or(u64::MAX)).read_to_end(&mut head)?;
    Ok(head)
}
