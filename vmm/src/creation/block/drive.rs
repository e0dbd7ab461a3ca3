//! `-drive`: a format node over a file, and a disk before it, in fewer words.

use device_model::{
    descriptors::Descriptors,
    qom_core::{Given, Suggestion, Value},
};

use super::{BlockdevError, Definition, Place, probe};
use crate::options::{
    choice::choose,
    excerpt::excerpt,
    key::{Key, names},
    keyval::{OptionArgs, unquoted},
    nesting::Node,
};

/// The keys that mean the same as keys of the format node.
const OF_THE_FORMAT: [&str; 2] = ["read-only", "discard"];
/// The keys that mean the same as keys of the file node.
const OF_THE_FILE: [&str; 2] = ["aio", "locking"];
/// The keys that mean the same as properties of the disk.
const OF_THE_DISK: [&str; 2] = ["rerror", "werror"];
/// All keys, those of the disk included.
pub(in crate::creation) const KEYS: [Key; 11] = [
    Key::text("file", "File with what is on it"),
    Key::text("format", "What interprets the file; guessed if absent, which is insecure"),
    Key::text("id", "What the node is called"),
    Key::text("if", "What it is plugged into: virtio, or none, so that a -device names it"),
    Key::text("cache", "How the host's cache is used: writeback, none or unsafe"),
    Key::switch("read-only", "Whether it can't be written to"),
    Key::text("discard", "What becomes of requests to discard: ignore or unmap"),
    Key::text("aio", "How the file is read and written"),
    Key::text("locking", "Whether the file is locked"),
    Key::text("rerror", "What becomes of requests that fail to read, with if=virtio"),
    Key::text("werror", "What becomes of all others that fail, with if=virtio"),
];
/// The type of the disk of a virtio drive.
const VIRTIO_DISK: &str = "virtio-blk-device";

/// A format that every file has.
const ANY_FORMAT: &str = "raw";

/// A drive: a node with a name by itself (`if=none`), or a disk before one (`if=virtio`).
#[derive(Debug)]
pub struct Drive<'a> {
    arguments: &'a OptionArgs,
}

/// What stands before a drive's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interface {
    None,
    Virtio,
}

const INTERFACES: [(&str, Interface); 2] =
    [("none", Interface::None), ("virtio", Interface::Virtio)];

/// How the host's cache is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cache {
    /// It is avoided.
    direct: bool,
    /// Requests to flush are passed over.
    no_flush: bool,
    /// What was written may have to be flushed.
    writeback: bool,
}

const fn cache(direct: bool, no_flush: bool, writeback: bool) -> Cache {
    Cache { direct, no_flush, writeback }
}

/// QEMU's names for it. Under the last two every write is flushed, which is a disk's to do: nodes by
/// themselves have the others.
const CACHES: [(&str, Cache); 5] = [
    ("writeback", cache(false, false, true)),
    ("none", cache(true, false, true)),
    ("unsafe", cache(false, true, true)),
    ("writethrough", cache(false, false, false)),
    ("directsync", cache(true, false, false)),
];
const CACHES_OF_NODES: usize = 3;

/// A disk that stands before a drive's node.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// Its type.
    pub driver: &'static str,
    /// What is set for it besides its node: the key of the drive by which it is, the property, its
    /// value.
    pub properties: Vec<(&'static str, &'static str, Given)>,
}

impl<'a> Drive<'a> {
    /// The drive that an option asks for.
    #[must_use]
    pub const fn new(arguments: &'a OptionArgs) -> Self {
        Self { arguments }
    }

    /// Its nodes. `position` is that of the option among its kind, by which a drive without an id is
    /// named. If its format is not given, its file is looked at; unless the policy will refuse what
    /// comes of that, which `may_guess` tells: no file is opened for what is refused.
    ///
    /// # Errors
    /// If a key or value is none, or the file can't be looked at.
    pub fn definition(
        &self,
        place: &Place<'_>,
        descriptors: &Descriptors,
        position: usize,
        may_guess: bool,
    ) -> Result<Definition, BlockdevError> {
        let given = |key: &str| self.arguments.get(key).map(unquoted);
        let interface = self.interface()?;
        let has_disk = interface != Interface::None;
        let known = || names(&KEYS).filter(|key| has_disk || !OF_THE_DISK.contains(key));
        let unknown = |key: &&(String, Given)| !known().any(|known| known == key.0);
        if let Some((key, _)) = self.arguments.entries.iter().find(unknown) {
            let suggestion = Suggestion::of(key, known());
            return Err(BlockdevError::Unexpected { key: excerpt(key), suggestion });
        }
        let missing = || BlockdevError::Missing { key: "file".to_owned() };
        let file = given("file").filter(|file| !file.is_empty()).ok_or_else(missing)?;
        let (driver, probed) = match given("format") {
            Some(format) => (format, false),
            None if may_guess => (probe::format(place.registry, descriptors, &file)?, true),
            // Whatever it would have been, it is the guess that is refused.
            None => (ANY_FORMAT.to_owned(), true),
        };
        let text = |text: String| Node::Value(Given::Text(text));
        let mut below = vec![
            ("driver".to_owned(), text("file".to_owned())),
            ("filename".to_owned(), text(file)),
        ];
        below.extend(self.all(&OF_THE_FILE));
        if let Some(Cache { direct, no_flush, .. }) = self.cache(interface)? {
            for (key, on) in [("cache.direct", direct), ("cache.no-flush", no_flush)] {
                below.push((key.to_owned(), Node::Value(Given::Json(Value::Bool(on)))));
            }
        }
        let word = if interface == Interface::None { "none" } else { "virtio" };
        let name = given("id").unwrap_or_else(|| format!("{word}{position}"));
        let mut members = vec![
            ("driver".to_owned(), text(driver)),
            ("node-name".to_owned(), text(name)),
            ("file".to_owned(), Node::Object(below)),
        ];
        if probed {
            members.push(("probed".to_owned(), Node::Value(Given::Json(Value::Bool(true)))));
        }
        members.extend(self.all(&OF_THE_FORMAT));
        Ok(Definition::of(members))
    }

    /// The disk before its node; none if it has none.
    ///
    /// # Errors
    /// If a key's value is none.
    pub fn disk(&self) -> Result<Option<Disk>, BlockdevError> {
        let interface = self.interface()?;
        if interface == Interface::None {
            return Ok(None);
        }
        let given = |key: &'static str| Some((key, key, self.arguments.get(key)?.clone()));
        let mut properties: Vec<_> = OF_THE_DISK.into_iter().filter_map(given).collect();
        if let Some(Cache { writeback: false, .. }) = self.cache(interface)? {
            properties.push(("cache", "write-cache", Given::from("off")));
        }
        Ok(Some(Disk { driver: VIRTIO_DISK, properties }))
    }

    fn interface(&self) -> Result<Interface, BlockdevError> {
        let given = self.arguments.get("if").map(unquoted);
        Ok(choose("if", given.as_deref().unwrap_or_default(), &INTERFACES)?)
    }

    fn cache(&self, interface: Interface) -> Result<Option<Cache>, BlockdevError> {
        let Some(given) = self.arguments.get("cache").map(unquoted) else { return Ok(None) };
        let most = if interface == Interface::None { CACHES_OF_NODES } else { CACHES.len() };
        Ok(Some(choose("cache", &given, CACHES.get(..most).unwrap_or_default())?))
    }

    fn all(&self, keys: &'static [&'static str]) -> impl Iterator<Item = (String, Node)> {
        let has = |key: &&&str| self.arguments.get(key).is_some();
        keys.iter().filter(has).filter_map(|key| {
            let value = self.arguments.get(key)?.clone();
            Some(((*key).to_owned(), Node::Value(value)))
        })
    }
}
