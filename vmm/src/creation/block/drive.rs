//! `-drive`: a format node over a file, in fewer words.

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
/// All keys.
pub(in crate::creation) const KEYS: [Key; 9] = [
    Key::text("file", "File with what is on it"),
    Key::text("format", "What interprets the file; guessed if absent, which is insecure"),
    Key::text("id", "What the node is called"),
    Key::text("if", "What it is plugged into: none, so that a -device names it"),
    Key::text("cache", "How the host's cache is used: writeback, none or unsafe"),
    Key::switch("read-only", "Whether it can't be written to"),
    Key::text("discard", "What becomes of requests to discard: ignore or unmap"),
    Key::text("aio", "How the file is read and written"),
    Key::text("locking", "Whether the file is locked"),
];

/// A format that every file has.
const ANY_FORMAT: &str = "raw";

/// A drive that no device has been made for (`if=none`).
#[derive(Debug)]
pub struct Drive<'a> {
    arguments: &'a OptionArgs,
}

/// How the host's cache is used: whether it is avoided, and whether flushes are passed over.
type Cache = (bool, bool);

/// QEMU's names for it. Those under which every write is flushed are the device's to keep.
const CACHES: [(&str, Cache); 3] =
    [("writeback", (false, false)), ("none", (true, false)), ("unsafe", (false, true))];

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
        let unknown = |key: &&(String, Given)| !names(&KEYS).any(|known| known == key.0);
        if let Some((key, _)) = self.arguments.entries.iter().find(unknown) {
            let suggestion = Suggestion::of(key, names(&KEYS));
            return Err(BlockdevError::Unexpected { key: excerpt(key), suggestion });
        }
        choose("if", given("if").as_deref().unwrap_or_default(), &[("none", ())])?;
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
        if let Some(cache) = given("cache") {
            let (direct, no_flush) = choose("cache", &cache, &CACHES)?;
            for (key, on) in [("cache.direct", direct), ("cache.no-flush", no_flush)] {
                below.push((key.to_owned(), Node::Value(Given::Json(Value::Bool(on)))));
            }
        }
        let name = given("id").unwrap_or_else(|| format!("none{position}"));
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

    fn all(&self, keys: &'static [&'static str]) -> impl Iterator<Item = (String, Node)> {
        let has = |key: &&&str| self.arguments.get(key).is_some();
        keys.iter().filter(has).filter_map(|key| {
            let value = self.arguments.get(key)?.clone();
            Some(((*key).to_owned(), Node::Value(value)))
        })
    }
}
