//! The configuration file of `-readconfig`: sections of `key = "value"` lines.

use std::io::Read;
use std::path::Path;

use super::excerpt::excerpt;
use super::keyval::has_key_form;
use device_model::descriptors::Descriptors;

use crate::regular_file::{self, OpenError};
use device_model::qom_core::Suggestion;

/// The largest file that is read, in bytes.
pub const MAX_FILE_SIZE: u64 = 1 << 20;

/// The longest line, in bytes.
pub const MAX_LINE_LENGTH: usize = 4096;

/// Section names, and the option that each section is an instance of. `smp-opts` and `memory` are
/// QEMU's names for these groups.
pub const GROUPS: [(&str, &str); 12] = [
    ("accel", "accel"),
    ("chardev", "chardev"),
    ("compat", "compat"),
    ("device", "device"),
    ("drive", "drive"),
    ("global", "global"),
    ("machine", "machine"),
    ("memory", "m"),
    ("name", "name"),
    ("netdev", "netdev"),
    ("object", "object"),
    ("smp-opts", "smp"),
];

/// One section of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The option that the section stands for, without dash.
    pub option: &'static str,
    /// The id after the section's name.
    pub id: Option<String>,
    /// The line of the section's name, from 1.
    pub line: usize,
    /// Keys and values in order.
    pub pairs: Vec<(String, String)>,
    /// The line of each of them, from 1.
    pub lines: Vec<usize>,
}

/// A file that cannot be read or understood. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The system could not read it.
    #[error("-readconfig {file}: {reason}")]
    Read {
        /// The file's name as given.
        file: String,
        /// Why.
        reason: OpenError,
    },
    /// It is larger than [`MAX_FILE_SIZE`].
    #[error(
        "-readconfig {file}: expected a configuration file of at most 1 MiB, given a larger one"
    )]
    TooLarge {
        /// The file's name as given.
        file: String,
    },
    /// A line is wrong.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// The file's name as given.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// Not UTF-8.
    #[error("expected text in UTF-8, given other bytes")]
    NotText,
    /// Longer than [`MAX_LINE_LENGTH`].
    #[error("expected at most {MAX_LINE_LENGTH} bytes in a line, given {length}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Neither a section's start nor `key = "value"`.
    #[error("expected [group], [group \"id\"] or key = \"value\", given '{given}'")]
    Malformed {
        /// The line, shortened where it is long.
        given: String,
    },
    /// A key with characters no key has.
    #[error("expected a key of letters, digits, '-', '_' and '.', given '{given}'")]
    Key {
        /// The key, shortened where it is long.
        given: String,
    },
    /// `key = "value"` before the first section.
    #[error("{key}: expected a section such as [machine] before the first key")]
    OutsideSection {
        /// The key.
        key: String,
    },
    /// A section for an option that does not exist or has no section.
    #[error("[{group}]: unknown section, expected {expected}{suggestion}")]
    UnknownGroup {
        /// The section's name, shortened where it is long.
        group: String,
        /// Every section that exists, as a phrase.
        expected: String,
        /// The nearest of them.
        suggestion: Suggestion,
    },
}

/// Reads a configuration file.
///
/// # Errors
/// [`ConfigFileError`] when the file cannot be read, is larger than [`MAX_FILE_SIZE`] or has a line
/// that [`parse`] refuses.
pub fn read(path: &Path) -> Result<Vec<Section>, ConfigFileError> {
    let name = excerpt(&path.to_string_lossy());
    let mut bytes = Vec::new();
    // It is read before anything can be handed over.
    regular_file::open(&Descriptors::default(), path)
        .and_then(|file| Ok(file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?))
        .map_err(|reason| ConfigFileError::Read { file: name.clone(), reason })?;
    parse(&name, &bytes)
}

/// Reads the sections of `bytes`; `file` is its name for errors.
///
/// Empty lines and lines that start with `#` are passed over. A value stands in double quotes and
/// holds none; commas in it are not doubled.
///
/// # Errors
/// [`ConfigFileError`] with the first line that is wrong.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Section>, ConfigFileError> {
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(ConfigFileError::TooLarge { file: file.to_owned() });
    }
    let mut sections: Vec<Section> = Vec::new();
    for (index, bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = index + 1;
        parse_line(bytes, line, &mut sections).map_err(|problem| ConfigFileError::Line {
            file: file.to_owned(),
            line,
            problem,
        })?;
    }
    Ok(sections)
}

fn parse_line(bytes: &[u8], line: usize, sections: &mut Vec<Section>) -> Result<(), LineProblem> {
    if bytes.len() > MAX_LINE_LENGTH {
        return Err(LineProblem::TooLong { length: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| LineProblem::NotText)?.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(());
    }
    let malformed = || LineProblem::Malformed { given: excerpt(text) };
    if let Some(header) = text.strip_prefix('[') {
        let header = header.strip_suffix(']').ok_or_else(malformed)?;
        let (group, id) = split_header(header).ok_or_else(malformed)?;
        let option = option_of(group)?;
        sections.push(Section { option, id, line, pairs: Vec::new(), lines: Vec::new() });
        return Ok(());
    }
    let (key, value) = text.split_once('=').ok_or_else(malformed)?;
    let (key, value) = (key.trim_end(), unquote(value.trim_start()).ok_or_else(malformed)?);
    if !has_key_form(key) {
        return Err(LineProblem::Key { given: excerpt(key) });
    }
    match sections.last_mut() {
        Some(section) => {
            section.pairs.push((key.to_owned(), value.to_owned()));
            section.lines.push(line);
        }
        None => {
            return Err(LineProblem::OutsideSection { key: key.to_owned() });
        }
    }
    Ok(())
}

/// `group` or `group "id"`.
fn split_header(header: &str) -> Option<(&str, Option<String>)> {
    let header = header.trim();
    let (group, id) = match header.split_once(char::is_whitespace) {
        Some((group, id)) => (group, Some(unquote(id.trim_start())?.to_owned())),
        None => (header, None),
    };
    (!group.is_empty() && !group.contains('"')).then_some((group, id))
}

/// The text between two double quotes that are the first and the last character.
fn unquote(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('"')).then_some(inner)
}

fn option_of(group: &str) -> Result<&'static str, LineProblem> {
    let names = || GROUPS.iter().map(|(name, _)| *name);
    GROUPS.iter().find(|(name, _)| *name == group).map(|(_, option)| *option).ok_or_else(|| {
        LineProblem::UnknownGroup {
            group: excerpt(group),
            expected: super::choice::phrase(names()),
            suggestion: Suggestion::of(group, names()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const EXAMPLE: &str = r#"
# A small machine
[machine]
  type = "q35"
  require-secure = "yes"

[device "exit"]
  driver = "isa-debug-exit"
  iobase="0x501"
[chardev "con"]
  backend = "file"
  path = "/tmp/a,b = c"
  empty = ""
"#;

    fn message(text: &str) -> String {
        parse("vm.conf", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn sections_keep_their_order_lines_and_keys() {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let expected = [
            Section {
                option: "machine",
                id: None,
                line: 3,
                pairs: pairs(&[("type", "q35"), ("require-secure", "yes")]),
                lines: vec![4, 5],
            },
            Section {
                option: "device",
                id: Some("exit".to_owned()),
                line: 7,
                pairs: pairs(&[("driver", "isa-debug-exit"), ("iobase", "0x501")]),
                lines: vec![8, 9],
            },
            Section {
                option: "chardev",
                id: Some("con".to_owned()),
                line: 10,
                pairs: pairs(&[("backend", "file"), ("path", "/tmp/a,b = c"), ("empty", "")]),
                lines: vec![11, 12, 13],
            },
        ];
        assert_eq!(parse("vm.conf", EXAMPLE.as_bytes()).unwrap(), expected);
        let other_line_ends = EXAMPLE.replace('\n', "\r\n");
        assert_eq!(parse("vm.conf", other_line_ends.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn errors_start_with_file_and_line() {
        assert_eq!(
            message("[machine]\n\ntype q35\n"),
            "vm.conf:3: expected [group], [group \"id\"] or key = \"value\", given 'type q35'"
        );
        assert_eq!(
            message("# x\nkey = \"1\""),
            "vm.conf:2: key: expected a section such as [machine] before the first key"
        );
        assert_eq!(
            message("[machin]"),
            "vm.conf:1: [machin]: unknown section, expected accel, chardev, compat, device, drive, \
             global, machine, memory, name, netdev, object or smp-opts; did you mean 'machine'?"
        );
        assert_eq!(
            message("[device]\na b = \"1\""),
            "vm.conf:2: expected a key of letters, digits, '-', '_' and '.', given 'a b'"
        );
    }

    #[test]
    fn quotes_and_brackets_have_to_match() {
        for line in [
            "a = b",
            "a = \"b",
            "a = b\"",
            "a = \"b\"c\"",
            "a = \"b\" # c",
            "a = \"",
            "[",
            "[]",
            "[device",
            "[device \"x]",
            "[device x]",
            "[device \"x\" y]",
            "[\"x\"]",
            "a",
        ] {
            let error = parse("f", format!("[device]\n{line}").as_bytes()).unwrap_err();
            assert!(
                matches!(
                    error,
                    ConfigFileError::Line { line: 2, problem: LineProblem::Malformed { .. }, .. }
                ),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn size_line_length_and_encoding_are_bounded() {
        let longest = format!("#{}", "x".repeat(MAX_LINE_LENGTH - 1));
        assert!(parse("f", longest.as_bytes()).is_ok());
        assert_eq!(
            message(&format!("\n{longest}x")),
            "vm.conf:2: expected at most 4096 bytes in a line, given 4097"
        );
        assert!(matches!(
            parse("f", &vec![b'\n'; (1 << 20) + 1]),
            Err(ConfigFileError::TooLarge { .. })
        ));
        assert!(parse("f", &vec![b'\n'; 1 << 20]).is_ok());
        let error = parse("f", b"\n\xff").unwrap_err().to_string();
        assert_eq!(error, "f:2: expected text in UTF-8, given other bytes");
    }

    #[test]
    fn a_file_is_read_and_a_missing_or_endless_one_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(read(file.path()).unwrap().len(), 3);
        let missing = read(Path::new("/nonexistent/vm.conf")).unwrap_err().to_string();
        assert!(
            missing.starts_with("-readconfig /nonexistent/vm.conf: can't open it: "),
            "{missing}"
        );
        for other in ["/dev/zero", "/"] {
            let refused = read(Path::new(other)).unwrap_err().to_string();
            assert_eq!(refused, format!("-readconfig {other}: it is not a regular file"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse("f", &bytes);
        }

        #[test]
        fn any_text_is_survived(text in "(\\[device\\]\n)?([a\\[\\]\"= #]{0,12}\n){0,4}") {
            let _ = parse("f", text.as_bytes());
        }
    }
}
