//! What a user asks to be shown instead of a machine being started.

/// A request for information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelpRequest {
    /// `--help`: how to call the program.
    Usage,
    /// `--version`.
    Version,
    /// `-device help`: which types there are.
    Types(HelpTopic),
    /// `-device X,help`: which properties the type X has.
    Properties(HelpTopic, String),
    /// `-drive help`: which keys an option has that names no type.
    Keys(String),
    /// `-serial help`: where a stream can lead.
    Streams,
}

/// The option whose types or properties are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HelpTopic {
    /// `-accel`.
    Accelerator,
    /// `-blockdev`.
    Blockdev,
    /// `-chardev`.
    Chardev,
    /// `-cpu`.
    Cpu,
    /// `-device`.
    Device,
    /// `-machine`.
    Machine,
    /// `-netdev`.
    Netdev,
    /// `-object`.
    Object,
}

/// Each with the name of its option, without dashes.
const OPTIONS: [(HelpTopic, &str); 8] = [
    (HelpTopic::Accelerator, "accel"),
    (HelpTopic::Blockdev, "blockdev"),
    (HelpTopic::Chardev, "chardev"),
    (HelpTopic::Cpu, "cpu"),
    (HelpTopic::Device, "device"),
    (HelpTopic::Machine, "machine"),
    (HelpTopic::Netdev, "netdev"),
    (HelpTopic::Object, "object"),
];

impl HelpTopic {
    /// The name of the option, without dashes.
    #[must_use]
    pub fn option(self) -> &'static str {
        OPTIONS.into_iter().find_map(|(topic, name)| (topic == self).then_some(name)).unwrap_or("")
    }

    /// That of the option of that name, without dashes; none if it names no type.
    #[must_use]
    pub fn of_option(name: &str) -> Option<Self> {
        OPTIONS.into_iter().find_map(|(topic, option)| (option == name).then_some(topic))
    }
}

impl HelpRequest {
    /// What an option asks for whose value is `help`; none if that is a value like any other.
    pub(super) fn of_option(name: &str, has_keys: bool) -> Option<Self> {
        match (HelpTopic::of_option(name), name) {
            (Some(topic), _) => Some(Self::Types(topic)),
            (None, "serial" | "qmp" | "qmp-pretty" | "qtest") => Some(Self::Streams),
            // A guest may be called so.
            (None, "name") => None,
            (None, name) => has_keys.then(|| Self::Keys(name.to_owned())),
        }
    }
}
