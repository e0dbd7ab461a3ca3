//! Memory in a file of whatever length: the file keeps what it has, and what is mapped is what was
//! asked for.

use std::{fs, io::Write, sync::Arc};

use device_model::{memory_backend::MemoryBackend, qom_core::Obj, testing::Machine};
use tempfile::NamedTempFile;
use vm_memory::{MmapRegion, VolatileMemory};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "memory-backend-file", covers: &["memory-backend-file"], run });

/// The processor's smallest page, in bytes.
const PAGE: u64 = 4096;

/// Flags, the file's length, offset and size in parts of a page, and where the memory is cut; the
/// rest is what the file begins with.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let has = |bit: u8| flags >> bit & 1 != 0;
    let mut quarter_pages = || u64::from(input.byte()) * PAGE / 4;
    let (length, offset, size, cut) =
        (quarter_pages(), quarter_pages(), quarter_pages(), quarter_pages());
    let mut contents = input.rest().to_vec();
    contents.resize(usize::try_from(length).unwrap(), 0xa5);
    let mut file = NamedTempFile::new().expect("there is room");
    file.write_all(&contents).expect("there is room");
    let machine = Machine::new();
    let on = |on| if on { "on" } else { "off" };
    let created = machine.create(
        "memory-backend-file",
        "ram0",
        &[
            ("mem-path", file.path().to_str().expect("it is text")),
            ("size", &size.to_string()),
            ("offset", &offset.to_string()),
            ("share", on(has(0))),
            ("readonly", on(has(1))),
            ("prealloc", on(has(2))),
            ("reserve", on(!has(3))),
            ("rom", ["auto", "on", "off", "auto"][usize::from(flags >> 4 & 3)]),
        ],
    );
    let bytes = || fs::read(file.path()).expect("it is there");
    let Ok(created) = created else {
        assert!(machine.paths().is_empty());
        return assert!(bytes() == contents, "a file was changed that was refused");
    };
    let object = &created.objects[0];
    let backend = object.cast::<dyn MemoryBackend>().expect("it is one");
    if contents.is_empty() {
        contents.resize(usize::try_from(offset + size).unwrap(), 0);
    }
    let end = usize::try_from(offset + size).unwrap();
    assert!(end <= contents.len() && !has(1) | backend_fits(object), "{flags:#x}");
    let taken = match backend.take(&[0..cut, cut..size]) {
        Ok(taken) => taken,
        Err(_) => {
            assert!(cut == 0 || cut >= size || !cut.is_multiple_of(PAGE), "{cut} of {size}");
            let whole = 0..size;
            backend.take(std::slice::from_ref(&whole)).expect("it is nobody's")
        }
    };
    let start = usize::try_from(offset).unwrap();
    assert!(shown(&taken) == contents[start..end], "other bytes than the file's");
    if backend.is_writable() {
        taken[0].get_ref::<u8>(0).expect("it is not empty").store(!contents[start]);
        if has(0) {
            contents[start] = !contents[start];
        }
    }
    assert!(bytes() == contents, "share={}", on(has(0)));
}

/// Whether memory whose file can't be written to goes about it as it says.
fn backend_fits(object: &Obj) -> bool {
    let backend = object.cast::<dyn MemoryBackend>().expect("it is one");
    let rom = object.get("rom").expect("it has that property");
    backend.is_writable() == (rom == "off")
}

fn shown(parts: &[Arc<MmapRegion>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let mut copy = vec![0; part.size()];
        part.as_volatile_slice().copy_to(&mut copy[..]);
        bytes.extend(copy);
    }
    bytes
}
