//! How formats are told apart by what files hold.

/// How surely a file is of a format, from 0 (it is not) to 100 (it is), by its first bytes, of which
/// there are at most [`FormatProbe::LENGTH`]: class data of a driver of a format. Where several claim
/// a file, the surest has it.
///
/// Whoever writes the file, a guest among them, chooses what is found.
#[derive(Clone, Copy, Debug)]
pub struct FormatProbe(pub fn(&[u8]) -> u8);

impl FormatProbe {
    /// How many bytes are looked at.
    pub const LENGTH: usize = 2048;
}
