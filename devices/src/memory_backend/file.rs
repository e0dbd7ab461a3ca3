//! `memory-backend-file`: memory in a file.

use std::{ops::Range, sync::Arc};

use device_model::{
    descriptors::Descriptors,
    memory_backend::{MemoryBackend, MemoryBackendError},
    prelude::*,
    qom_core::BoxedError,
};
use vm_memory::MmapRegion;

use super::{
    backing_file::{self, BackingFile, Wanted},
    mapping::{Backing, Mapping},
    settings,
};

/// Whether memory can be read only
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
pub enum Rom {
    /// If its file can.
    #[default]
    Auto,
    /// It can.
    On,
    /// It can be written to.
    Off,
}

/// Memory in a file
///
/// A file that is missing is made, for its owner alone, and one that is empty is made long enough.
/// One that has contents is the memory's contents, and keeps its length. In a folder a file is made
/// that nobody else can find and that ends with the VM. What was made is taken back if the VM does
/// not come to be. A path `/dev/fdset/N` stands for a descriptor of that set, which is open for both
/// reading and writing, or only for reading with readonly=on.
#[qom_type(
    secure,
    parent = MemoryBackend,
    interfaces(UserCreatable),
    boundary(file),
    children = check
)]
#[derive(Debug)]
pub struct MemoryBackendFile {
    /// The file, or a folder for one
    #[property(
        required,
        insecure_when(
            others_may_write,
            reason = "who may write to the file can shorten it, which ends the process when the \
                      guest next touches it"
        )
    )]
    mem_path: String,
    /// Whether what the guest writes comes to be in the file, rather than in memory of its own
    #[property]
    share: bool,
    /// Where in the file it begins
    #[property]
    offset: Size,
    /// Whether the file is opened for reading only
    #[property]
    readonly: bool,
    /// Whether the memory can be read only
    #[property(default = Rom::Auto)]
    rom: Rom,
    mapping: Mapping,
    /// Until it is certain that the VM comes to be.
    made: Mutex<Option<BackingFile>>,
}

/// Judges the file that is mapped, once one is.
fn others_may_write(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let living = configuration.object().and_then(Obj::cast::<MemoryBackendFile>);
    let mapped = living.and_then(|living| living.mapping.file());
    let path: String = configuration.get("mem-path")?;
    let judged = match mapped {
        Some(file) => backing_file::others_may_write(&*file),
        None => {
            let descriptors = Descriptors::known_to(configuration);
            let writes = !configuration.get::<bool>("readonly")?;
            backing_file::others_may_write_at(descriptors, &path, writes)
        }
    };
    judged.map_err(|error| PlanError::refused("mem-path", format!("can't open '{path}': {error}")))
}

/// Refuses what can't be. It announces no children.
fn check(configuration: &Configuration<'_>, _children: &mut Children) -> Result<(), PlanError> {
    settings::check(configuration)?;
    let (Size(size), Size(offset)) = (configuration.get("size")?, configuration.get("offset")?);
    let page = settings::PAGE;
    if !offset.is_multiple_of(page) {
        let problem =
            format!("Parameter 'offset' expects a multiple of {page} bytes, got {offset}");
        return Err(PlanError::refused("offset", problem));
    }
    if offset.checked_add(size).is_none_or(|end| i64::try_from(end).is_err()) {
        let problem = format!("no file reaches to offset {offset} and {size} bytes more");
        return Err(PlanError::refused("offset", problem));
    }
    let (readonly, share) = (configuration.get::<bool>("readonly")?, configuration.get("share")?);
    match configuration.get("rom")? {
        Rom::On if !readonly => Err(PlanError::refused("rom", "rom=on needs readonly=on")),
        Rom::Off if readonly && share => {
            let problem = "rom=off and readonly=on need share=off: the file stays as it is";
            Err(PlanError::refused("rom", problem))
        }
        _ => Ok(()),
    }
}

impl MemoryBackend for MemoryBackendFile {
    fn take(&self, parts: &[Range<u64>]) -> Result<Vec<Arc<MmapRegion>>, MemoryBackendError> {
        self.mapping.take(parts)
    }

    fn is_writable(&self) -> bool {
        match self.rom {
            Rom::Auto => !self.readonly,
            Rom::On => false,
            Rom::Off => true,
        }
    }

    fn keep(&self) {
        *self.made.lock() = None;
    }
}

impl UserCreatable for MemoryBackendFile {
    fn complete(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let size = self.size().0;
        let backing = BackingFile::open(Wanted {
            descriptors: platform.descriptors(),
            path: &self.mem_path,
            offset: self.offset.0,
            size,
            readonly: self.readonly,
            prealloc: self.prealloc(),
        })?;
        let mapped = backing.file.try_clone().map_err(BoxedError::from).and_then(|file| {
            Ok(self.mapping.open(Backing {
                backend: object.path().unwrap_or_default(),
                file: Some((Arc::new(file), self.offset.0)),
                size,
                flags: settings::flags(self, self.share),
                writable: self.is_writable(),
                huge_pages: backing.huge_pages,
            })?)
        });
        match mapped {
            Ok(()) => {
                *self.made.lock() = Some(backing);
                Ok(())
            }
            Err(error) => {
                backing.discard();
                Err(error)
            }
        }
    }

    fn undo(&self) {
        self.mapping.close();
        let made = self.made.lock().take();
        if let Some(made) = made {
            made.discard();
        }
    }
}
