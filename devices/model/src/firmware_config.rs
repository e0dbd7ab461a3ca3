//! What a board tells firmware: numbers and files, each under a key.
//!
//! The board fills [`FirmwareItems`] and hands them to the machine's [`FirmwareConfig`], by which the
//! guest's firmware reads them. The keys are those of QEMU's firmware configuration device (QEMU,
//! "QEMU Firmware Configuration (fw_cfg) Device").

use std::collections::BTreeMap;

use qom_core::{Object, qom_interface};
use thiserror::Error;

/// Keys of numbers, little-endian.
pub mod key {
    /// Bytes of RAM; 64 bits.
    pub const RAM_SIZE: u16 = 0x03;
    /// Not zero if messages go to the serial port, there being no display; 16 bits.
    pub const NO_GRAPHIC: u16 = 0x04;
    /// Processors that there are at the start; 16 bits.
    pub const CPUS: u16 = 0x05;
    /// Processors that there can be, by the greatest identifier of a local APIC and one more; 16 bits.
    pub const MAX_CPUS: u16 = 0x0f;
    /// From here on files have their keys; below are numbers, and what the device itself says.
    pub const FIRST_FILE: u16 = 0x20;
    /// The last: two more bits of a key are flags.
    pub const LAST: u16 = 0x3fff;

    /// What the device says itself: that it is one, what it can do, which files there are.
    pub const OF_DEVICE: [u16; 3] = [SIGNATURE, REVISION, DIRECTORY];
    /// Four letters that tell the device from nothing.
    pub const SIGNATURE: u16 = 0x00;
    /// What the device can do; 32 bits.
    pub const REVISION: u16 = 0x01;
    /// The files' directory.
    pub const DIRECTORY: u16 = 0x19;
}

/// Bytes of a file's name: one less than its place in the directory has, for a zero.
pub const NAME_MAX: usize = 55;
/// The most bytes of one item.
pub const ITEM_MAX: usize = 16 << 20;
/// The most files.
pub const FILES_MAX: usize = (key::LAST - key::FIRST_FILE) as usize + 1;

/// Why an item can't be told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FirmwareItemError {
    /// The key is no number's.
    #[error(
        "key {key:#x} is of the device itself or of files, expected one below {:#x}",
        key::FIRST_FILE
    )]
    Key {
        /// The key.
        key: u16,
    },
    /// The name is none that a directory has room for.
    #[error("firmware file name {name:?}, expected 1 to {NAME_MAX} printable ASCII characters")]
    Name {
        /// The name.
        name: String,
    },
    /// There is such an item.
    #[error("there are two firmware items {name}")]
    Duplicate {
        /// The file's name, or the key.
        name: String,
    },
    /// It is too large.
    #[error("firmware item {name} of {size} bytes, expected at most {ITEM_MAX}")]
    TooLarge {
        /// The file's name, or the key.
        name: String,
        /// Its bytes.
        size: usize,
    },
    /// There are as many files as keys.
    #[error("more than {FILES_MAX} firmware files")]
    TooMany,
}

/// A file that firmware reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether the guest may write to it, never beyond its length.
    pub is_writable: bool,
}

/// All that a board tells firmware.
///
/// ```
/// use device_model::firmware_config::{FirmwareItems, key};
///
/// let mut items = FirmwareItems::default();
/// items.add_number(key::CPUS, 2_u16.to_le_bytes())?;
/// items.add_file("etc/e820", vec![0; 20])?;
/// assert!(items.add_number(key::DIRECTORY, [0]).is_err());
/// # Ok::<_, device_model::firmware_config::FirmwareItemError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareItems {
    numbers: BTreeMap<u16, Vec<u8>>,
    files: BTreeMap<String, FirmwareFile>,
}

impl FirmwareItems {
    /// Adds a number, in the bytes in which the guest reads it.
    ///
    /// # Errors
    /// If the key is not one of numbers, or has one.
    pub fn add_number(
        &mut self,
        key: u16,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<(), FirmwareItemError> {
        if key >= key::FIRST_FILE || key::OF_DEVICE.contains(&key) {
            return Err(FirmwareItemError::Key { key });
        }
        let (bytes, name) = (bytes.into(), format!("{key:#x}"));
        if bytes.len() > ITEM_MAX {
            return Err(FirmwareItemError::TooLarge { name, size: bytes.len() });
        }
        if self.numbers.contains_key(&key) {
            return Err(FirmwareItemError::Duplicate { name });
        }
        self.numbers.insert(key, bytes);
        Ok(())
    }

    /// Adds a file that the guest can only read.
    ///
    /// # Errors
    /// If the name or the length is none that files have, there is one of that name, or there is no
    /// key left.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), FirmwareItemError> {
        self.add(name, FirmwareFile { bytes, is_writable: false })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// As [`FirmwareItems::add_file`].
    pub fn add(&mut self, name: &str, file: FirmwareFile) -> Result<(), FirmwareItemError> {
        let named = || name.to_owned();
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > NAME_MAX || !printable {
            return Err(FirmwareItemError::Name { name: named() });
        }
        if file.bytes.len() > ITEM_MAX {
            return Err(FirmwareItemError::TooLarge { name: named(), size: file.bytes.len() });
        }
        if self.files.contains_key(name) {
            return Err(FirmwareItemError::Duplicate { name: named() });
        }
        if self.files.len() >= FILES_MAX {
            return Err(FirmwareItemError::TooMany);
        }
        self.files.insert(named(), file);
        Ok(())
    }

    /// The numbers, in rising order of key.
    pub fn numbers(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.numbers.iter().map(|(key, bytes)| (*key, &**bytes))
    }

    /// The files with their keys, in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = (u16, &str, &FirmwareFile)> {
        let files = (key::FIRST_FILE..=key::LAST).zip(&self.files);
        files.map(|(key, (name, file))| (key, &**name, file))
    }
}

/// A device by which firmware reads what the board tells it
#[qom_interface]
pub trait FirmwareConfig: Object {
    /// Replaces everything that there is to read, what the guest has written included.
    fn set_items(&self, items: &FirmwareItems);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_keys_in_the_order_of_their_names() {
        let mut items = FirmwareItems::default();
        for name in ["etc/table-loader", "bootorder", "etc/e820"] {
            items.add_file(name, name.into()).unwrap();
        }
        let found: Vec<_> = items.files().map(|(key, name, _)| (key, name)).collect();
        assert_eq!(found, [(0x20, "bootorder"), (0x21, "etc/e820"), (0x22, "etc/table-loader")]);
    }

    #[test]
    fn keys_of_the_device_and_of_files_are_no_numbers() {
        let mut items = FirmwareItems::default();
        for key in [0, 1, 0x19, 0x20, 0x3fff, 0x4003, u16::MAX] {
            assert_eq!(items.add_number(key, [1]), Err(FirmwareItemError::Key { key }));
        }
        items.add_number(key::CPUS, [1, 0]).unwrap();
        let again = items.add_number(key::CPUS, [2, 0]).unwrap_err();
        assert_eq!(again.to_string(), "there are two firmware items 0x5");
        assert_eq!(items.numbers().collect::<Vec<_>>(), [(5, &[1, 0][..])]);
    }

    #[test]
    fn names_and_lengths_that_a_directory_has_no_room_for_are_refused() {
        let mut items = FirmwareItems::default();
        let longest = "n".repeat(NAME_MAX);
        items.add_file(&longest, Vec::new()).unwrap();
        for name in ["", "a\0b", "a b", "\u{e9}tc", &format!("{longest}n")] {
            let refused = items.add_file(name, Vec::new()).unwrap_err();
            assert_eq!(refused, FirmwareItemError::Name { name: name.to_owned() });
        }
        let again = items.add_file(&longest, Vec::new()).unwrap_err();
        assert_eq!(again, FirmwareItemError::Duplicate { name: longest });
        let large = items.add_file("large", vec![0; ITEM_MAX + 1]).unwrap_err();
        assert_eq!(
            large.to_string(),
            "firmware item large of 16777217 bytes, expected at most 16777216"
        );
    }

    #[test]
    fn there_are_as_many_files_as_keys() {
        let mut items = FirmwareItems::default();
        for number in 0..FILES_MAX {
            items.add_file(&number.to_string(), Vec::new()).unwrap();
        }
        assert_eq!(items.files().last().map(|(key, ..)| key), Some(key::LAST));
        assert_eq!(items.add_file("more", Vec::new()), Err(FirmwareItemError::TooMany));
    }
}
