//! The registers, and the items behind them.

use std::collections::BTreeMap;

use device_model::firmware_config::{FirmwareFile, FirmwareItems, key};

use super::spec::*;

/// The device's registers and items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FwCfg {
    has_dma: bool,
    pub(super) items: BTreeMap<u16, FirmwareFile>,
    /// The chosen item's key, and how far it has been read.
    selected: u16,
    pub(super) offset: usize,
    /// The high half of the DMA address that is being written.
    dma_high: u32,
}

impl FwCfg {
    /// A device with no item but those by which it is known.
    #[must_use]
    pub fn new(has_dma: bool) -> Self {
        let mut device = Self {
            has_dma,
            items: BTreeMap::new(),
            selected: key::SIGNATURE,
            offset: 0,
            dma_high: 0,
        };
        device.set_items(&FirmwareItems::default());
        device
    }

    /// Replaces all items but those by which the device is known. The chosen one stays chosen.
    pub fn set_items(&mut self, items: &FirmwareItems) {
        let revision = REVISION_TRADITIONAL | if self.has_dma { REVISION_DMA } else { 0 };
        let fixed = [
            (key::SIGNATURE, SIGNATURE.to_vec()),
            (key::REVISION, revision.to_le_bytes().to_vec()),
            (key::DIRECTORY, directory(items)),
        ];
        let numbers = items.numbers().map(|(key, bytes)| (key, bytes.to_vec()));
        let read_only = numbers.chain(fixed);
        self.items = read_only
            .map(|(key, bytes)| (key, FirmwareFile { bytes, is_writable: false }))
            .chain(items.files().map(|(key, _, file)| (key, file.clone())))
            .collect();
    }

    /// Returns to the state after power-on, with the items that there are.
    pub fn reset(&mut self) {
        self.select(key::SIGNATURE);
        self.dma_high = 0;
    }

    /// The chosen item's key, and how many of its bytes were read or skipped.
    #[must_use]
    pub const fn position(&self) -> (u16, usize) {
        (self.selected, self.offset)
    }

    pub(super) const fn select(&mut self, key: u16) {
        self.selected = key & !KEY_WRITE;
        self.offset = 0;
    }

    /// The chosen item; none if there is none of that key.
    pub(super) fn selected(&self) -> Option<&FirmwareFile> {
        self.items.get(&self.selected)
    }

    pub(super) fn selected_mut(&mut self) -> Option<&mut FirmwareFile> {
        self.items.get_mut(&self.selected)
    }

    /// What is left of the chosen item.
    pub(super) fn rest(&self) -> &[u8] {
        self.selected().and_then(|item| item.bytes.get(self.offset..)).unwrap_or_default()
    }

    /// The guest reads from selector and data. An item's end is followed by zeroes.
    pub fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        let place = DATA.checked_sub(offset).and_then(|index| usize::try_from(index).ok());
        if let Some(byte) = place.and_then(|index| data.get_mut(index)) {
            *byte = self.rest().first().copied().unwrap_or_default();
            self.offset = self.offset.saturating_add(1);
        }
    }

    /// The guest writes to selector and data: an item is chosen by a whole key.
    pub fn write(&mut self, offset: u64, data: &[u8]) {
        if let (SELECTOR, Ok(key)) = (offset, data.try_into()) {
            self.select(u16::from_le_bytes(key));
        }
    }

    /// The guest reads from the DMA address register.
    pub fn read_dma(&self, offset: u64, data: &mut [u8]) {
        for (offset, byte) in (offset..=u64::MAX).zip(data) {
            let index = usize::try_from(offset).ok().filter(|_| self.has_dma);
            *byte = index.and_then(|index| DMA_SIGNATURE.get(index)).copied().unwrap_or(0xff);
        }
    }

    /// The guest writes half of the DMA address register. The address of a descriptor whose transfer
    /// begins, which is to be carried out by [`FwCfg::transfer`].
    #[must_use = "the guest waits for the transfer"]
    pub fn write_dma(&mut self, offset: u64, data: &[u8]) -> Option<u64> {
        let half = data.try_into().ok().map(u32::from_be_bytes).filter(|_| self.has_dma)?;
        match offset {
            DMA_HIGH => {
                self.dma_high = half;
                None
            }
            DMA_LOW => {
                let high = std::mem::take(&mut self.dma_high);
                Some(u64::from(high) << 32 | u64::from(half))
            }
            _ => None,
        }
    }
}

/// The directory: how many files there are, then each one's entry.
fn directory(items: &FirmwareItems) -> Vec<u8> {
    // Neither can be more than its field: items bound both.
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = number(items.files().count()).to_vec();
    for (key, name, file) in items.files() {
        bytes.extend(number(file.bytes.len()));
        bytes.extend(key.to_be_bytes());
        bytes.extend([0; 2]);
        let mut field = [0; ENTRY_NAME];
        field.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        bytes.extend(field);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> FwCfg {
        let mut items = FirmwareItems::default();
        items.add_number(key::CPUS, [2, 0]).unwrap();
        items.add_file("etc/e820", vec![7; 20]).unwrap();
        items.add_file("bootorder", b"HALT".to_vec()).unwrap();
        let mut device = FwCfg::new(true);
        device.set_items(&items);
        device
    }

    fn read<const N: usize>(device: &mut FwCfg, key: u16) -> [u8; N] {
        device.write(SELECTOR, &key.to_le_bytes());
        next(device)
    }

    fn next<const N: usize>(device: &mut FwCfg) -> [u8; N] {
        std::array::from_fn(|_| {
            let mut byte = [0xa5];
            device.read(DATA, &mut byte);
            byte[0]
        })
    }

    #[test]
    fn it_is_known_by_its_signature_which_is_chosen_at_the_start() {
        let mut device = device();
        assert_eq!(next(&mut device), *b"QEMU");
        assert_eq!(read(&mut device, key::REVISION), [3, 0, 0, 0]);
        assert_eq!(read(&mut FwCfg::new(false), key::REVISION), [1, 0, 0, 0]);
        device.reset();
        assert_eq!(next(&mut device), *b"QEMU");
    }

    #[test]
    fn the_directory_tells_of_each_file() {
        let mut device = device();
        let found: [u8; 4 + 2 * 64] = read(&mut device, key::DIRECTORY);
        let mut expected = vec![0, 0, 0, 2];
        for (entry, name) in
            [([0, 0, 0, 4, 0, 0x20], "bootorder"), ([0, 0, 0, 20, 0, 0x21], "etc/e820")]
        {
            expected.extend(entry);
            expected.extend([0, 0]);
            expected.extend(name.bytes());
            expected.resize(expected.len() + 56 - name.len(), 0);
        }
        assert_eq!(found[..], expected);
        assert_eq!(read(&mut device, 0x20), *b"HALT");
        assert_eq!(read(&mut device, 0x21), [7; 20]);
    }

    #[test]
    fn behind_an_items_end_and_where_there_is_none_are_zeroes() {
        let mut device = device();
        assert_eq!(read(&mut device, key::CPUS), [2, 0, 0, 0]);
        for key in [0x22, key::RAM_SIZE, 0x3fff, 0x8000, 0x8003] {
            assert_eq!(read(&mut device, key), [0; 8], "{key:#x}");
        }
        // The flag that asked for writing chooses the same item.
        assert_eq!(read(&mut device, 0x4000 | key::CPUS), [2, 0]);
    }

    #[test]
    fn the_selector_takes_whole_keys_and_reads_as_nothing() {
        let mut device = device();
        for (offset, data) in
            [(SELECTOR, &[0x20][..]), (SELECTOR, &[0x20, 0, 0, 0]), (DATA, &[0x20])]
        {
            device.write(offset, data);
            assert_eq!(device.position(), (0, 0));
        }
        // Both at once: the selector says nothing, the data register its byte.
        let mut both = [0; 2];
        device.read(SELECTOR, &mut both);
        assert_eq!(both, [0xff, b'Q']);
        device.read(5, &mut both);
        assert_eq!((both, device.position()), ([0xff; 2], (0, 1)));
    }

    #[test]
    fn a_dma_address_is_written_high_half_first_and_counts_once() {
        let mut device = device();
        let mut found = [0; 8];
        device.read_dma(0, &mut found);
        assert_eq!(found, *b"QEMU CFG");
        assert_eq!(device.write_dma(DMA_HIGH, &[0, 0, 0, 1]), None);
        assert_eq!(device.write_dma(DMA_LOW, &[0x12, 0x34, 0x56, 0x78]), Some(0x1_1234_5678));
        assert_eq!(device.write_dma(DMA_LOW, &[0, 0, 0, 8]), Some(8));
        for (offset, data) in [(DMA_LOW, &[0, 8][..]), (2, &[0, 0, 0, 8]), (DMA_LOW + 3, &[8])] {
            assert_eq!(device.write_dma(offset, data), None);
        }
    }

    #[test]
    fn without_dma_its_register_is_not_there() {
        let mut device = FwCfg::new(false);
        let mut found = [0; 4];
        device.read_dma(0, &mut found);
        assert_eq!(found, [0xff; 4]);
        assert_eq!(device.write_dma(DMA_LOW, &[0, 0, 0, 8]), None);
    }
}
