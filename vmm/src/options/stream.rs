//! Where a stream leads, in the short form that `-serial` and `-qmp` speak: `unix:PATH,server=on`.

use device_model::qom_core::Suggestion;

use super::{
    choice::phrase,
    excerpt::excerpt,
    identifier::{self, IdentifierError},
    keyval::{Given, KeyvalError, OptionArgs, Syntax, Words},
};

/// Where a stream leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Stream {
    /// Nowhere: there is no stream.
    None,
    /// To a character device that is defined elsewhere, by its id.
    Chardev(String),
    /// To one of its own.
    Backend {
        /// What kind, as `-chardev` calls it.
        name: &'static str,
        /// Its properties.
        properties: Vec<(String, Given)>,
    },
}

/// Text that says of no stream where it leads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It starts like none.
    #[error("expected {expected}, given '{given}'{suggestion}")]
    Unknown {
        /// What was given, shortened where it is long.
        given: String,
        /// Everything that it could have been, as a phrase.
        expected: String,
        /// The nearest of them.
        suggestion: Suggestion,
    },
    /// There is no file, host or id after the colon.
    #[error("expected {expected} after '{after}'")]
    Incomplete {
        /// What is missing.
        expected: &'static str,
        /// What stands before it.
        after: &'static str,
    },
    /// A port that is none.
    #[error("expected HOST:PORT with a port from 0 to 65535, given '{given}'")]
    Address {
        /// What was given, shortened where it is long.
        given: String,
    },
    /// The keys after it.
    #[error(transparent)]
    Keys(#[from] KeyvalError),
    /// The id of a character device.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
}

/// What it can be, and which character device, as `-chardev` calls it, that makes.
pub(crate) const FORMS: [(&str, Option<&str>); 10] = [
    ("stdio", Some("stdio")),
    ("null", Some("null")),
    ("pty", Some("pty")),
    ("none", None),
    ("file:PATH", Some("file")),
    ("pipe:PATH", Some("pipe")),
    ("unix:PATH", Some("socket")),
    ("tcp:HOST:PORT", Some("socket")),
    ("udp:HOST:PORT", Some("udp")),
    ("chardev:ID", None),
];

const KEYS: Syntax = Syntax { implied_key: Some("where"), words: Words::Flags, json: false };

impl Stream {
    /// Reads the short form.
    ///
    /// ```
    /// use vmm::options::stream::Stream;
    ///
    /// let Stream::Backend { name, properties } = Stream::parse("unix:/run/vm.sock,server=on")? else {
    ///     unreachable!();
    /// };
    /// let keys: Vec<_> = properties.iter().map(|(key, _)| key.as_str()).collect();
    /// assert_eq!((name, keys), ("socket", vec!["path", "server"]));
    /// assert_eq!(Stream::parse("chardev:con")?, Stream::Chardev("con".to_owned()));
    /// # Ok::<(), vmm::options::stream::StreamError>(())
    /// ```
    ///
    /// # Errors
    /// If it has no such form.
    pub fn parse(text: &str) -> Result<Self, StreamError> {
        if let Some(id) = text.strip_prefix("chardev:") {
            identifier::check(id)?;
            return Ok(Self::Chardev(id.to_owned()));
        }
        if text == "none" {
            return Ok(Self::None);
        }
        let plain = ["stdio", "null", "pty"].into_iter().find(|name| *name == text);
        if let Some(name) = plain {
            return Ok(Self::Backend { name, properties: Vec::new() });
        }
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let unknown = || StreamError::Unknown {
            given: excerpt(text),
            expected: phrase(FORMS.into_iter().map(|(form, _)| form)),
            suggestion: Suggestion::of(
                scheme,
                FORMS.into_iter().map(|(form, _)| form.split(':').next().unwrap_or(form)),
            ),
        };
        let path = |after| match rest {
            "" => Err(StreamError::Incomplete { expected: "a path", after }),
            _ => OptionArgs::parse(rest, KEYS).map_err(StreamError::from),
        };
        let (name, properties) = match scheme {
            "file" => ("file", place("path", path("file:")?)),
            "pipe" => ("pipe", place("path", path("pipe:")?)),
            "unix" => ("socket", place("path", path("unix:")?)),
            "tcp" => ("socket", tcp(rest)?),
            "udp" => ("udp", udp(rest)?),
            _ => return Err(unknown()),
        };
        Ok(Self::Backend { name, properties })
    }
}

fn text(value: &str) -> Given {
    Given::Text(value.to_owned())
}

/// The first word as `key`, and the others.
fn place(key: &str, args: OptionArgs) -> Vec<(String, Given)> {
    let first = (key.to_owned(), Given::Text(args.implied.unwrap_or_default()));
    std::iter::once(first).chain(args.entries).collect()
}

/// `HOST:PORT`; an IPv6 address stands in brackets. No host means any, or this one.
fn address(given: &str) -> Result<(&str, &str), StreamError> {
    let wrong = || StreamError::Address { given: excerpt(given) };
    let (host, port) = given.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').ok_or_else(wrong)?,
        None if host.contains(':') => return Err(wrong()),
        None => host,
    };
    Ok((host, port))
}

fn tcp(rest: &str) -> Result<Vec<(String, Given)>, StreamError> {
    let args = OptionArgs::parse(rest, KEYS)?;
    let whole = args.implied.as_deref().unwrap_or_default();
    let (host, port) = address(whole)?;
    let mut properties = vec![("host".to_owned(), text(host)), ("port".to_owned(), text(port))];
    properties.extend(args.entries);
    Ok(properties)
}

/// `[HOST]:PORT[@[HOST]:PORT]`: where to send, and where from.
fn udp(rest: &str) -> Result<Vec<(String, Given)>, StreamError> {
    let args = OptionArgs::parse(rest, KEYS)?;
    let whole = args.implied.as_deref().unwrap_or_default();
    let (to, from) = whole.split_once('@').map_or((whole, None), |(to, from)| (to, Some(from)));
    let (host, port) = address(to)?;
    let mut properties = vec![("port".to_owned(), text(port))];
    if !host.is_empty() {
        properties.push(("host".to_owned(), text(host)));
    }
    if let Some(from) = from {
        let (host, port) = address(from)?;
        properties.push(("localport".to_owned(), text(port)));
        if !host.is_empty() {
            properties.push(("localaddr".to_owned(), text(host)));
        }
    }
    properties.extend(args.entries);
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(given: &str) -> String {
        match Stream::parse(given) {
            Ok(Stream::Backend { name, properties }) => {
                properties.iter().fold(name.to_owned(), |shown, (key, value)| {
                    format!("{shown},{key}={}", value.as_text().unwrap_or_default())
                })
            }
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_form_is_a_backend_with_its_properties() {
        for (given, expected) in [
            ("stdio", "stdio"),
            ("null", "null"),
            ("pty", "pty"),
            ("file:/tmp/a:b", "file,path=/tmp/a:b"),
            ("pipe:p,,q", "pipe,path=p,q"),
            ("unix:/s,server=on,wait=off", "socket,path=/s,server=on,wait=off"),
            ("unix:/s,server,nowait", "socket,path=/s,server=on,wait=off"),
            ("tcp:localhost:4444,server=on", "socket,host=localhost,port=4444,server=on"),
            ("tcp::4444", "socket,host=,port=4444"),
            ("tcp:[::1]:80", "socket,host=::1,port=80"),
            ("udp::4444", "udp,port=4444"),
            ("udp:h:1@:2", "udp,port=1,host=h,localport=2"),
            ("udp::1@l:2", "udp,port=1,localport=2,localaddr=l"),
        ] {
            assert_eq!(backend(given), expected, "{given}");
        }
        assert_eq!(Stream::parse("none"), Ok(Stream::None));
    }

    #[test]
    fn what_is_no_form_is_refused_with_what_is_expected() {
        for (given, expected) in [
            ("unix:", "expected a path after 'unix:'"),
            ("file:", "expected a path after 'file:'"),
            ("tcp:host", "expected HOST:PORT with a port from 0 to 65535, given 'host'"),
            ("tcp:h:65536", "expected HOST:PORT with a port from 0 to 65535, given 'h:65536'"),
            ("tcp:::1:80", "expected HOST:PORT with a port from 0 to 65535, given '::1:80'"),
            ("tcp:[::1:80", "expected HOST:PORT with a port from 0 to 65535, given '[::1:80'"),
            ("udp:h:1@2", "expected HOST:PORT with a port from 0 to 65535, given '2'"),
        ] {
            assert_eq!(backend(given), expected, "{given}");
        }
        let near = backend("unx:/s");
        assert!(near.starts_with("expected stdio, null, pty, none, file:PATH"), "{near}");
        assert!(near.ends_with("given 'unx:/s'; did you mean 'unix'?"), "{near}");
        assert!(backend("").starts_with("expected stdio"));
        assert!(matches!(Stream::parse("chardev:1x"), Err(StreamError::Identifier(_))));
    }
}
