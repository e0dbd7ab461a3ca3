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
