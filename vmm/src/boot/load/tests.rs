//! Tests of the whole way from a file to an entry state.

use std::fs::File;
use std::io::{Cursor, Write};

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::boot::acpi::tests::board;
use crate::boot::crafted::{SMALL_KERNEL, bzimage, memory, small_kernel, small_kernel_code};
use crate::boot::decompress::Compression;
use crate::boot::decompress::tests::compress;

const RAM: usize = 16 << 20;

fn cmdline(words: &str) -> Cmdline {
    let mut cmdline = Cmdline::new();
    cmdline.append(words).unwrap();
    cmdline
}

fn information<'a>(cmdline: &'a Cmdline, acpi: Option<&'a AcpiPlatform>) -> BootInformation<'a> {
    BootInformation { ram_size: RAM as u64, cmdline, initrd: None, acpi }
}

fn u64_of(memory: &GuestMemoryMmap, address: u64) -> u64 {
    memory.read_obj(GuestAddress(address)).unwrap()
}

#[test]
fn a_kernel_is_known_by_its_contents() {
    let probe_bytes = |bytes: &[u8]| probe(&mut Cursor::new(bytes));
    assert_eq!(probe_bytes(&small_kernel(None)).unwrap(), KernelKind::Elf);
    assert_eq!(probe_bytes(&bzimage(b"")).unwrap(), KernelKind::BzImage);
    assert!(matches!(probe_bytes(b""), Err(BootError::Empty)));
    assert!(matches!(
        probe_bytes(b"#!/bin/sh"),
        Err(BootError::NotAKernel { ref start }) if start == b"#!/b"
    ));
    // A boot sector that is not Linux's.
    let mut sector = vec![0; 4096];
    sector[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    assert!(matches!(probe_bytes(&sector), Err(BootError::NotAKernel { .. })));
    let image = bzimage(b"");
    for length in 1..PROBE_SIZE {
        assert!(probe_bytes(&image[..length]).is_err(), "{length:#x}");
    }
}

#[test]
fn a_pvh_kernel_from_a_real_file_finds_all_it_was_given() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&small_kernel(Some(SMALL_KERNEL + 0x20))).unwrap();
    let mut disk = tempfile::tempfile().unwrap();
    disk.write_all(b"initial RAM disk").unwrap();

    let memory = memory(RAM);
    let kernel = load_kernel(&mut file, &memory).unwrap();
    assert_eq!(kernel.kind, KernelKind::Elf);
    let initrd = load_initrd::<File>(&mut disk, &memory, &kernel).unwrap();
    let (cmdline, platform) = (cmdline("console=ttyS0"), board(2));
    let entry = finish_boot(
        &kernel,
        &memory,
        &BootInformation { initrd: Some(initrd), ..information(&cmdline, Some(&platform)) },
    )
    .unwrap();
    let Entry::Pvh { eip, start_info } = entry else {
        panic!("{entry:?}");
    };
    assert_eq!(u64::from(eip), SMALL_KERNEL + 0x20);
    let info = u64::from(start_info);
    let module = u64_of(&memory, info + 16);
    let mut seen = [0; 16];
    memory.read_slice(&mut seen, GuestAddress(u64_of(&memory, module))).unwrap();
    assert_eq!(&seen, b"initial RAM disk");
    let mut seen = [0; 14];
    memory.read_slice(&mut seen, GuestAddress(u64_of(&memory, info + 24))).unwrap();
    assert_eq!(&seen, b"console=ttyS0\0");
    let mut seen = [0; 8];
    memory.read_slice(&mut seen, GuestAddress(u64_of(&memory, info + 32))).unwrap();
    assert_eq!(&seen, b"RSD PTR ");
    let mut code = vec![0; 0x3f00];
    memory.read_slice(&mut code, GuestAddress(SMALL_KERNEL)).unwrap();
    assert_eq!(code, small_kernel_code()[..0x3f00]);
}

#[test]
fn a_64_bit_kernel_gets_a_zero_page_page_tables_and_descriptors() {
    let memory = memory(RAM);
    let payload = compress(Compression::Xz, &small_kernel(None));
    let kernel = load_kernel(&mut Cursor::new(bzimage(&payload)), &memory).unwrap();
    assert_eq!(kernel.kind, KernelKind::BzImage);
    let cmdline = cmdline("quiet");
    let entry = finish_boot(&kernel, &memory, &information(&cmdline, None)).unwrap();
    assert_eq!(
        entry,
        Entry::Linux64 {
            rip: SMALL_KERNEL + 0x10,
            boot_params: layout::ZERO_PAGE,
            page_table: layout::PML4,
            gdt: layout::GDT,
            gdt_limit: 31,
        }
    );
    let header: [u8; 4] = memory.read_obj(GuestAddress(layout::ZERO_PAGE + 0x202)).unwrap();
    assert_eq!(&header, b"HdrS");
    assert_eq!(u64_of(&memory, layout::ZERO_PAGE + 0x70), 0, "no ACPI");
    assert_eq!(u64_of(&memory, layout::PML4), layout::PDPT | 3);
    assert_ne!(u64_of(&memory, layout::GDT + 0x10), 0);
}

#[test]
fn a_command_line_longer_than_the_kernel_keeps_is_refused() {
    let memory = memory(RAM);
    let mut image = bzimage(&small_kernel(None));
    image[0x238..0x23c].copy_from_slice(&10_u32.to_le_bytes());
    let kernel = load_kernel(&mut Cursor::new(image), &memory).unwrap();
    for (words, fits) in [("0123456789", true), ("0123456789a", false)] {
        let cmdline = cmdline(words);
        let result = finish_boot(&kernel, &memory, &information(&cmdline, None));
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
}

#[test]
fn a_64_bit_kernel_past_the_page_tables_is_refused() {
    let kernel = LoadedKernel {
        kind: KernelKind::Elf,
        entry: KernelEntry::Linux64 { rip: 4 << 30 },
        range: 4 << 30..5 << 30,
        header: None,
    };
    assert!(matches!(
        finish_boot(&kernel, &memory(RAM), &information(&Cmdline::new(), None)),
        Err(BootError::NotMapped { .. })
    ));
}

#[test]
fn ram_that_the_board_or_the_guest_lacks_is_refused() {
    let memory = memory(RAM);
    let kernel = load_kernel(&mut Cursor::new(small_kernel(None)), &memory).unwrap();
    let cmdline = Cmdline::new();
    let mut information = information(&cmdline, None);
    information.ram_size = u64::MAX;
    assert!(matches!(finish_boot(&kernel, &memory, &information), Err(BootError::RamSize(_))));
    information.ram_size = RAM as u64 + 0x1000;
    assert!(matches!(
        finish_boot(&kernel, &memory, &information),
        Err(BootError::RamMissing { start: 0, end: 0x100_1000, memory: 0x100_0000 })
    ));
}

#[test]
fn an_error_tells_its_whole_cause() {
    let mut bytes = small_kernel(None);
    bytes.truncate(0x2000);
    let error = load_kernel(&mut Cursor::new(bytes), &memory(RAM)).unwrap_err();
    assert_eq!(
        format!("{:#}", anyhow::Error::from(error)),
        "ELF kernel cannot be loaded: segment 0: truncated: 16 KiB at offset 0x1000 are \
         not all there"
    );
}

proptest! {
    #[test]
    fn any_bytes_behind_a_magic_number_are_judged(
        mut bytes in proptest::collection::vec(any::<u8>(), 0x206..0x400),
        elf: bool,
    ) {
        if elf {
            bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        } else {
            bytes[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
            bytes[0x202..0x206].copy_from_slice(b"HdrS");
        }
        let memory = memory(4 << 20);
        if let Ok(kernel) = load_kernel(&mut Cursor::new(bytes), &memory) {
            prop_assert!(kernel.range.end <= 4 << 20);
        }
    }
}
