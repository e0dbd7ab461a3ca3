//! A boot sector that reads and writes its disk by the firmware's services, and the disk that it is on.

use guests::{
    GuestError,
    iced_x86::code_asm::{
        CodeAssembler, CodeLabel, ax, bx, cl, cx, di, dl, ds, es, si, sp, ss, word_ptr,
    },
    print,
};

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// How many sectors it reads, from the second of the disk on.
pub const READ: u16 = 64;
/// The sector that it writes.
pub const WRITTEN: usize = 100;
/// Sectors of the disk: firmware starts none of less than a cylinder, which has 1008.
pub const SECTORS: usize = 2048;
/// What it says when all is well.
pub const VERDICT: &str = "64 sectors read, 1 written\n";

/// Where firmware puts it (SeaBIOS and IBM PC: 0000:7c00).
const ORIGIN: u64 = 0x7c00;
/// The disk address packet, in memory that nobody uses at that time (Enhanced Disk Drive
/// Specification 3.0, "Device Address Packet").
const PACKET: u16 = 0x600;
/// Segment of the buffer, which starts at its offset 0.
const BUFFER: u16 = 0x1000;
/// Functions of int 13h: extended read and write.
const EXTENDED_READ: i32 = 0x4200;
const EXTENDED_WRITE: i32 = 0x4300;
/// The words on the disk: each is the one before it times one number, plus another.
const FIRST_WORD: u16 = 0x1234;
const FACTOR: u16 = 0x6255;
const STEP: u16 = 0x3619;
/// Port and value by which the keyboard controller resets the machine.
const RESET: (i32, i32) = (0x64, 0xfe);

/// The words that the disk has from its second sector on.
fn words() -> impl Iterator<Item = u16> {
    let next = |word: &u16| Some(word.wrapping_mul(FACTOR).wrapping_add(STEP));
    std::iter::successors(Some(FIRST_WORD), next)
}

/// A disk with the boot sector, what that is to find, and a pattern behind.
///
/// # Panics
/// If the code has no room in a sector.
pub fn disk() -> Vec<u8> {
    let mut disk = code().expect("it can be assembled");
    assert!(disk.len() <= SECTOR - 2, "{} bytes of code", disk.len());
    disk.resize(SECTOR - 2, 0);
    disk.extend([0x55, 0xaa]);
    let count = usize::from(READ) * SECTOR / 2;
    disk.extend(words().take(count).flat_map(u16::to_le_bytes));
    disk.resize(SECTORS * SECTOR, 0x77);
    disk
}

/// The disk once it has run: the first sector that it read, each bit turned over, is in one more.
pub fn disk_afterwards() -> Vec<u8> {
    let mut disk = disk();
    let turned: Vec<u8> = disk[SECTOR..2 * SECTOR].iter().map(|byte| !byte).collect();
    disk[WRITTEN * SECTOR..(WRITTEN + 1) * SECTOR].copy_from_slice(&turned);
    disk
}

/// Reads, checks, turns over, writes, tells, and resets the machine.
fn code() -> Result<Vec<u8>, GuestError> {
    let code = &mut CodeAssembler::new(16)?;
    let (mut unreadable, mut wrong, mut unwritable, mut end) =
        (code.create_label(), code.create_label(), code.create_label(), code.create_label());
    // The drive's number is in dl.
    code.xor(ax, ax)?;
    code.mov(ds, ax)?;
    code.mov(ss, ax)?;
    code.mov(sp, 0x7c00)?;
    transfer(code, EXTENDED_READ, READ, 1, unreadable)?;
    check(code, wrong)?;
    turn_over(code)?;
    let place = u16::try_from(WRITTEN).unwrap_or_default();
    transfer(code, EXTENDED_WRITE, 1, place, unwritable)?;
    print(code, VERDICT)?;
    code.jmp(end)?;
    for (label, text) in [
        (&mut unreadable, "can't read\n"),
        (&mut wrong, "wrong data\n"),
        (&mut unwritable, "can't write\n"),
    ] {
        code.set_label(label)?;
        print(code, text)?;
        code.jmp(end)?;
    }
    code.set_label(&mut end)?;
    code.mov(ax, RESET.1)?;
    code.out(RESET.0, guests::iced_x86::code_asm::al)?;
    code.hlt()?;
    code.jmp(end)?;
    Ok(code.assemble(ORIGIN)?)
}

/// Has the firmware move so many sectors between the disk and the buffer.
fn transfer(
    code: &mut CodeAssembler,
    function: i32,
    count: u16,
    sector: u16,
    failed: CodeLabel,
) -> Result<(), GuestError> {
    let size = 16;
    // Size, count, the buffer's offset and segment, the sector's number in 64 bits.
    for (at, word) in (PACKET..).step_by(2).zip([size, count, 0, BUFFER, sector, 0, 0, 0]) {
        code.mov(word_ptr(u64::from(at)), u32::from(word))?;
    }
    code.mov(si, i32::from(PACKET))?;
    code.mov(ax, function)?;
    code.int(0x13)?;
    code.jc(failed)?;
    Ok(())
}

/// Compares the buffer with the words that are to be there.
fn check(code: &mut CodeAssembler, wrong: CodeLabel) -> Result<(), GuestError> {
    let mut next = code.create_label();
    // The product is in dx too, which has the drive's number.
    code.mov(cl, dl)?;
    code.push(cx)?;
    code.mov(ax, i32::from(BUFFER))?;
    code.mov(es, ax)?;
    code.xor(di, di)?;
    code.mov(ax, u32::from(FIRST_WORD))?;
    code.mov(bx, u32::from(FACTOR))?;
    code.mov(cx, i32::from(READ) * 256)?;
    code.set_label(&mut next)?;
    code.cmp(word_ptr(di).es(), ax)?;
    code.jne(wrong)?;
    code.mul(bx)?;
    code.add(ax, u32::from(STEP))?;
    code.add(di, 2)?;
    code.dec(cx)?;
    code.jne(next)?;
    code.pop(cx)?;
    code.mov(dl, cl)?;
    Ok(())
}

/// Turns over each bit of the buffer's first sector.
fn turn_over(code: &mut CodeAssembler) -> Result<(), GuestError> {
    let mut next = code.create_label();
    code.xor(di, di)?;
    code.mov(cx, 256)?;
    code.set_label(&mut next)?;
    code.not(word_ptr(di).es())?;
    code.add(di, 2)?;
    code.dec(cx)?;
    code.jne(next)?;
    Ok(())
}
