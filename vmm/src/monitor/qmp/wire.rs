//! What a client is sent: the greeting, answers and events, each ended by CR and LF.

use std::time::{SystemTime, UNIX_EPOCH};

use device_model::monitor::{Answer, CommandError, Occurrence, ascii};
use serde::Serialize;
use serde_json::Value;

/// The version of QEMU whose protocol is spoken, and who speaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub micro: u32,
    /// What else tells this program from others.
    pub package: String,
}

impl Version {
    /// That of this crate, whose commands are those of QEMU 10.2 as far as it has them.
    #[must_use]
    pub fn this() -> Self {
        let package = concat!("palisade ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { major: 10, minor: 2, micro: 0, package }
    }
}

/// How messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Over several lines and indented, instead of one line each.
    pub pretty: bool,
}

/// What stands between `{` and `}` in each kind of message.
#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Greeting {
        #[serde(rename = "QMP")]
        qmp: Greeting<'a>,
    },
    Success {
        #[serde(rename = "return")]
        value: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
    },
    Failure {
        error: Failure<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Value>,
    },
    Event {
        timestamp: Timestamp,
        event: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Value>,
    },
}

#[derive(Serialize)]
struct Greeting<'a> {
    version: VersionMember<'a>,
    capabilities: [&'a str; 1],
}

#[derive(Serialize)]
struct VersionMember<'a> {
    qemu: Numbers,
    package: &'a str,
}

#[derive(Serialize)]
struct Numbers {
    micro: u32,
    minor: u32,
    major: u32,
}

#[derive(Serialize)]
struct Failure<'a> {
    class: &'a str,
    desc: String,
}

/// Seconds since 1970 began, and a part of one. Both are -1 if the host's clock can't tell: QEMU,
/// docs/interop/qmp-spec.rst, "Asynchronous events".
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Timestamp {
    seconds: i64,
    microseconds: i64,
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).ok();
        let told = since.and_then(|since| {
            let seconds = i64::try_from(since.as_secs()).ok()?;
            Some(Self { seconds, microseconds: since.subsec_micros().into() })
        });
        told.unwrap_or(Self { seconds: -1, microseconds: -1 })
    }
}

impl Wire {
    /// What a client is sent before it says anything.
    #[must_use]
    pub fn greeting(self, version: &Version) -> Vec<u8> {
        let &Version { major, minor, micro, ref package } = version;
        let version = VersionMember { qemu: Numbers { micro, minor, major }, package };
        self.write(&Message::Greeting { qmp: Greeting { version, capabilities: ["oob"] } })
    }

    /// The answer to a command that succeeded.
    #[must_use]
    pub fn success(self, value: &Value, id: Option<&Value>) -> Vec<u8> {
        self.write(&Message::Success { value, id })
    }

    /// The answer to one that failed.
    #[must_use]
    pub fn error(self, error: &CommandError, id: Option<&Value>) -> Vec<u8> {
        let error = Failure { class: error.class().name(), desc: error.to_string() };
        self.write(&Message::Failure { error, id })
    }

    /// The answer to a command, whether it succeeded or not.
    #[must_use]
    pub fn answer(self, result: &Result<Value, CommandError>, id: Option<&Value>) -> Vec<u8> {
        match result {
            Ok(value) => self.success(value, id),
            Err(error) => self.error(error, id),
        }
    }

    /// As [`Wire::answer`], for what a command of the program gives.
    #[must_use]
    pub fn told(self, result: &Result<Answer, CommandError>, id: Option<&Value>) -> Vec<u8> {
        let answer = match result {
            Ok(answer) if self.pretty => return self.success(&answer.to_value(), id),
            Ok(answer) => answer.as_json(),
            Err(error) => return self.error(error, id),
        };
        let mut out = Vec::with_capacity(answer.len() + 64);
        out.extend_from_slice(b"{\"return\": ");
        out.extend_from_slice(answer.as_bytes());
        if let Some(id) = id {
            out.extend_from_slice(b", \"id\": ");
            ascii::write(&mut out, id, false);
        }
        out.extend_from_slice(b"}\r\n");
        out
    }

    /// Something that happened.
    #[must_use]
    pub fn event(self, occurrence: &Occurrence) -> Vec<u8> {
        let Occurrence { name: event, ref data, time, .. } = *occurrence;
        self.write(&Message::Event { timestamp: time.into(), event, data: data.as_ref() })
    }

    fn write(self, message: &Message<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        ascii::write(&mut out, message, self.pretty);
        out.extend_from_slice(b"\r\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use device_model::monitor::ErrorClass;
    use serde_json::json;

    const WIRE: Wire = Wire { pretty: false };

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_greeting_tells_version_and_capabilities() {
        let version = Version { major: 10, minor: 2, micro: 1, package: "palisade".to_owned() };
        assert_eq!(
            text(WIRE.greeting(&version)),
            "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, \"minor\": 2, \"major\": 10}, \
             \"package\": \"palisade\"}, \"capabilities\": [\"oob\"]}}\r\n"
        );
    }

    #[test]
    fn an_answer_repeats_the_id_if_there_is_one() {
        assert_eq!(text(WIRE.success(&json!({}), None)), "{\"return\": {}}\r\n");
        let id = json!({"n": null});
        assert_eq!(
            text(WIRE.answer(&Ok(json!([1])), Some(&id))),
            "{\"return\": [1], \"id\": {\"n\": null}}\r\n"
        );
        let error = CommandError::new(ErrorClass::KvmMissingCap, "can't: \u{e9}");
        assert_eq!(
            text(WIRE.answer(&Err(error.clone()), None)),
            "{\"error\": {\"class\": \"KVMMissingCap\", \"desc\": \"can't: \\u00e9\"}}\r\n"
        );
        assert_eq!(
            text(WIRE.error(&error, Some(&Value::Null))),
            "{\"error\": {\"class\": \"KVMMissingCap\", \"desc\": \"can't: \\u00e9\"}, \
             \"id\": null}\r\n"
        );
    }

    #[test]
    fn pretty_messages_end_like_others() {
        let pretty = Wire { pretty: true };
        assert_eq!(text(pretty.success(&json!({}), None)), "{\n    \"return\": {}\n}\r\n");
    }

    #[test]
    fn an_event_tells_when() {
        let mut occurrence = Occurrence {
            name: "STOP",
            data: None,
            time: UNIX_EPOCH + Duration::new(1_700_000_000, 999_999_999),
            caused_by_guest: false,
        };
        assert_eq!(
            text(WIRE.event(&occurrence)),
            "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 999999}, \
             \"event\": \"STOP\"}\r\n"
        );
        occurrence.data = Some(json!({"offset": 1}));
        occurrence.time = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(
            text(WIRE.event(&occurrence)),
            "{\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \
             \"event\": \"STOP\", \"data\": {\"offset\": 1}}\r\n"
        );
    }
}
