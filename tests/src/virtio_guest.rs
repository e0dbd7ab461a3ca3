//! Guests that drive virtio devices themselves, and one that tells what its command line says of them.

use guests::{
    COM1, GuestError, assemble,
    iced_x86::code_asm::{
        CodeAssembler, CodeLabel, al, byte_ptr, dword_ptr, dx, eax, ebx, ecx, esi, word_ptr,
    },
    print,
};

use crate::virtio::{Queue, Transport, flag, register, status};

type Image = Result<Vec<u8>, GuestError>;

/// The board's register that switches it off, and what is written for that (ACPI 6.5, section 4.8.3.7).
const POWER_OFF: (u32, u32) = (0xfea0_0000, 5 << 2 | 1 << 5);
/// Index and window of the I/O APIC (Intel 82093AA, section 3.1).
const IOAPIC: (u32, u32) = (0xfec0_0000, 0xfec0_0010);
/// Spurious-interrupt register of the local APIC, and one of those that tell of requests (Intel SDM
/// volume 3, section 11.4.1): that of vectors from 64 on.
const LOCAL_APIC: (u32, u32) = (0xfee0_00f0, 0xfee0_0220);
/// Vector of the device's interrupt.
const VECTOR: u32 = 0x41;
/// The pin of the first transport.
const PIN: u32 = 16;
/// Where the queue and the buffer are.
const RINGS: u32 = 0x20_0000;
const BUFFER: u32 = 0x21_0000;
/// Bytes that are asked for at once.
const LENGTH: u32 = 64;

/// Where the command line's address is in what a guest of PVH is handed (`hvm_start_info`).
const CMDLINE: i32 = 24;

fn write(code: &mut CodeAssembler, register: u64, value: u32) -> Result<(), GuestError> {
    code.mov(dword_ptr(Transport::number(0).at(register)), value)?;
    Ok(())
}

fn off(code: &mut CodeAssembler) -> Result<(), GuestError> {
    let mut here = code.create_label();
    code.mov(eax, POWER_OFF.1)?;
    code.mov(byte_ptr(POWER_OFF.0), al)?;
    code.set_label(&mut here)?;
    code.jmp(here)?;
    Ok(())
}

/// Low half of an address or a number of 64 bits.
fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).unwrap_or_default()
}

/// Sets the first transport's device to work with those queues and no features; goes to `refused` if
/// the device does not take part.
fn set_up(
    code: &mut CodeAssembler,
    queues: &[&Queue],
    refused: CodeLabel,
) -> Result<(), GuestError> {
    let known = low(status::ACKNOWLEDGE | status::DRIVER);
    write(code, register::STATUS, known)?;
    write(code, register::DRIVER_FEATURES_SEL, 1)?;
    write(code, register::DRIVER_FEATURES, 1)?;
    write(code, register::STATUS, known | low(status::FEATURES_OK))?;
    for queue in queues {
        write(code, register::QUEUE_SEL, low(queue.index))?;
        write(code, register::QUEUE_NUM, queue.size.into())?;
        for (register, address) in [
            (register::QUEUE_DESC_LOW, queue.descriptors),
            (register::QUEUE_DRIVER_LOW, queue.available),
            (register::QUEUE_DEVICE_LOW, queue.used),
        ] {
            write(code, register, low(address))?;
        }
        write(code, register::QUEUE_READY, 1)?;
    }
    write(code, register::STATUS, low(status::DRIVEN))?;
    code.mov(eax, dword_ptr(Transport::number(0).at(register::STATUS)))?;
    code.cmp(eax, low(status::DRIVEN))?;
    code.jne(refused)?;
    Ok(())
}

/// Asks the first transport's entropy device for random bytes, so many times, and says `entropy` for
/// each answer with bytes that are not all as they were; then says `interrupted` if an interrupt has
/// come by its way, and switches the machine off. Says `refused` if the device does not take part.
pub fn reads_entropy(times: u16) -> Image {
    let queue = Queue::new(0, 8, RINGS.into());
    assemble(|code| {
        let mut refused = code.create_label();
        // Interrupts are switched off all the time: the local APIC keeps the request.
        code.mov(dword_ptr(LOCAL_APIC.0), 0x1ff)?;
        for (index, word) in [(0x11 + 2 * PIN, 0), (0x10 + 2 * PIN, 0x8000 | VECTOR)] {
            code.mov(dword_ptr(IOAPIC.0), index)?;
            code.mov(dword_ptr(IOAPIC.1), word)?;
        }
        set_up(code, &[&queue], refused)?;
        // Descriptor 0: a buffer to be written.
        let descriptor = low(queue.descriptors);
        code.mov(dword_ptr(descriptor), BUFFER)?;
        code.mov(dword_ptr(descriptor + 8), LENGTH)?;
        code.mov(word_ptr(descriptor + 12), u32::from(flag::WRITE))?;
        for time in 1..=u32::from(times) {
            let (mut wait, mut look) = (code.create_label(), code.create_label());
            for at in (BUFFER..BUFFER + LENGTH).step_by(4) {
                code.mov(dword_ptr(at), 0)?;
            }
            // Every entry of the ring is descriptor 0.
            code.mov(word_ptr(low(queue.available) + 2), time)?;
            write(code, register::QUEUE_NOTIFY, 0)?;
            code.set_label(&mut wait)?;
            code.cmp(word_ptr(low(queue.used) + 2), time)?;
            code.jne(wait)?;
            code.mov(ecx, LENGTH / 4)?;
            code.mov(esi, BUFFER)?;
            code.xor(eax, eax)?;
            code.set_label(&mut look)?;
            code.or(eax, dword_ptr(esi))?;
            code.add(esi, 4)?;
            code.dec(ecx)?;
            code.jne(look)?;
            code.test(eax, eax)?;
            code.je(refused)?;
            print(code, "entropy\n")?;
        }
        // It is requested a moment later than the chain is used.
        let mut request = code.create_label();
        code.set_label(&mut request)?;
        code.mov(eax, dword_ptr(LOCAL_APIC.1))?;
        code.test(eax, 1_u32 << (VECTOR - 64))?;
        code.je(request)?;
        print(code, "interrupted\n")?;
        // A driver that goes resets its device.
        write(code, register::STATUS, 0)?;
        off(code)?;
        code.set_label(&mut refused)?;
        print(code, "refused\n")?;
        off(code)
    })
}

/// A request's header (section 5.2.6), and its status.
const HEADER: u32 = 0x22_0000;
const STATUS: u32 = 0x22_1000;

/// Writes the text that the first transport's disk has in its first sector, and copies the sector to
/// the second; then switches the machine off. Says `refused` if the device does not take part, and
/// `failed` if a request is not done.
pub fn copies_a_sector() -> Image {
    let queue = Queue::new(0, 8, RINGS.into());
    assemble(|code| {
        let (mut refused, mut failed) = (code.create_label(), code.create_label());
        set_up(code, &[&queue], refused)?;
        for (number, (address, length, next)) in (0..).zip([
            (HEADER, 16, flag::NEXT),
            (BUFFER, 512, flag::NEXT),
            (STATUS, 1, flag::WRITE),
        ]) {
            let descriptor = low(queue.descriptors) + 16 * number;
            code.mov(dword_ptr(descriptor), address)?;
            code.mov(dword_ptr(descriptor + 8), length)?;
            code.mov(word_ptr(descriptor + 12), u32::from(next))?;
            code.mov(word_ptr(descriptor + 14), number + 1)?;
        }
        // Kind, sector, and whether the device writes the data.
        for (time, (kind, sector, writes)) in (1..).zip([(0_u32, 0_u32, flag::WRITE), (1, 1, 0)]) {
            let mut wait = code.create_label();
            code.mov(dword_ptr(HEADER), kind)?;
            code.mov(dword_ptr(HEADER + 8), sector)?;
            let flags = u32::from(flag::NEXT | writes);
            code.mov(word_ptr(low(queue.descriptors) + 16 + 12), flags)?;
            code.mov(byte_ptr(STATUS), 0xff_u32)?;
            // Every entry of the ring is descriptor 0.
            code.mov(word_ptr(low(queue.available) + 2), time)?;
            write(code, register::QUEUE_NOTIFY, 0)?;
            code.set_label(&mut wait)?;
            code.cmp(word_ptr(low(queue.used) + 2), time)?;
            code.jne(wait)?;
            code.cmp(byte_ptr(STATUS), 0)?;
            code.jne(failed)?;
        }
        code.mov(esi, BUFFER)?;
        print_text(code)?;
        write(code, register::STATUS, 0)?;
        off(code)?;
        code.set_label(&mut failed)?;
        print(code, "failed\n")?;
        off(code)?;
        code.set_label(&mut refused)?;
        print(code, "refused\n")?;
        off(code)
    })
}

/// Bytes of a buffer for a frame and its header.
const FRAME_ROOM: u32 = 2048;

/// Sends the first frame that the first transport's network card gets back, says `echoed`, and switches
/// the machine off. Says `refused` if the device does not take part.
pub fn echoes_a_frame() -> Image {
    let receive = Queue::new(0, 8, RINGS.into());
    let send = Queue::new(1, 8, u64::from(RINGS) + 0x3000);
    assemble(|code| {
        let mut refused = code.create_label();
        set_up(code, &[&receive, &send], refused)?;
        let [get, give] = [&receive, &send].map(|queue| low(queue.descriptors));
        code.mov(dword_ptr(get), BUFFER)?;
        code.mov(dword_ptr(get + 8), FRAME_ROOM)?;
        code.mov(word_ptr(get + 12), u32::from(flag::WRITE))?;
        for queue in [&receive, &send] {
            let mut wait = code.create_label();
            // The only entry of the ring is descriptor 0.
            code.mov(word_ptr(low(queue.available) + 2), 1)?;
            write(code, register::QUEUE_NOTIFY, low(queue.index))?;
            code.set_label(&mut wait)?;
            code.cmp(word_ptr(low(queue.used) + 2), 1)?;
            code.jne(wait)?;
            // What was written is what is sent, header included.
            code.mov(dword_ptr(give), BUFFER)?;
            code.mov(eax, dword_ptr(low(receive.used) + 8))?;
            code.mov(dword_ptr(give + 8), eax)?;
        }
        print(code, "echoed\n")?;
        write(code, register::STATUS, 0)?;
        off(code)?;
        code.set_label(&mut refused)?;
        print(code, "refused\n")?;
        off(code)
    })
}

/// Writes the text that `esi` refers to, up to a zero.
fn print_text(code: &mut CodeAssembler) -> Result<(), GuestError> {
    let (mut next, mut end) = (code.create_label(), code.create_label());
    code.mov(dx, i32::from(COM1))?;
    code.set_label(&mut next)?;
    code.mov(al, byte_ptr(esi))?;
    code.test(al, al)?;
    code.je(end)?;
    code.out(dx, al)?;
    code.inc(esi)?;
    code.jmp(next)?;
    code.set_label(&mut end)?;
    code.zero_bytes()?;
    Ok(())
}

/// Writes its command line, and switches the machine off.
pub fn tells_its_command_line() -> Image {
    assemble(|code| {
        code.mov(esi, dword_ptr(ebx + CMDLINE))?;
        print_text(code)?;
        off(code)
    })
}
