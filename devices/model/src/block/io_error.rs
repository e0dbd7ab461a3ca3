//! What becomes of requests that fail: what the user wants, and what monitors are told.

use std::io;

use qom_core::PropertyEnum;
use schemars::JsonSchema;
use serde::Serialize;

use crate::monitor::{Event, register_event};

/// What becomes of requests that fail
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
#[property(name = "BlockdevOnError")]
pub enum OnError {
    /// The guest is told of those that read, and the machine stops if there is no room for what was
    /// to be written.
    #[default]
    Auto,
    /// The guest is told.
    Report,
    /// The guest is told that all is well.
    Ignore,
    /// The machine stops if it is for want of room, and the guest is told otherwise.
    Enospc,
    /// The machine stops, and they are tried again when it goes on.
    Stop,
}

/// What is done about one request that failed. The words are QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "BlockErrorAction")]
pub enum ErrorAction {
    /// The guest is told that it was done.
    Ignore,
    /// The guest is told that it failed.
    Report,
    /// The machine stops, and it is tried again when that goes on.
    Stop,
}

/// What a request that failed was to do. The words are QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "IoOperationType")]
pub enum IoOperation {
    /// To read.
    Read,
    /// To write, or anything else that concerns what was written.
    Write,
}

/// What a user wants done about the requests to one disk that fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorPolicy {
    /// Those that read.
    pub read: OnError,
    /// All others.
    pub write: OnError,
}

impl ErrorPolicy {
    /// What is to be done about this one.
    #[must_use]
    pub fn action(self, operation: IoOperation, error: &io::Error) -> ErrorAction {
        let wanted = match operation {
            IoOperation::Read => self.read,
            IoOperation::Write => self.write,
        };
        match (wanted, operation) {
            (OnError::Ignore, _) => ErrorAction::Ignore,
            (OnError::Stop, _) => ErrorAction::Stop,
            (OnError::Enospc, _) | (OnError::Auto, IoOperation::Write) if is_for_room(error) => {
                ErrorAction::Stop
            }
            (OnError::Report | OnError::Enospc | OnError::Auto, _) => ErrorAction::Report,
        }
    }
}

fn is_for_room(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StorageFull
}

/// A request to a disk has failed
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BlockIoError {
    /// Path of the device
    pub qom_path: String,
    /// Id of the device, empty if it has none
    pub device: String,
    /// Name of the node behind it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// What was to be done
    pub operation: IoOperation,
    /// What is done about it
    pub action: ErrorAction,
    /// Whether there was no room, given if the machine stops
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nospace: Option<bool>,
    /// Why it failed, in words
    pub reason: String,
}

impl BlockIoError {
    /// The failure of a request of the device at a path.
    #[must_use]
    pub fn new(
        qom_path: String,
        device: String,
        node_name: Option<String>,
        operation: IoOperation,
        action: ErrorAction,
        error: &io::Error,
    ) -> Self {
        let nospace = (action == ErrorAction::Stop).then(|| is_for_room(error));
        let reason = error.to_string();
        Self { qom_path, device, node_name, operation, action, nospace, reason }
    }
}

impl Event for BlockIoError {
    const NAME: &'static str = "BLOCK_IO_ERROR";
    const CAUSED_BY_GUEST: bool = true;
}

register_event!(BlockIoError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_says_what_is_done_about_a_failure() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let broken = || io::Error::other("it is broken");
        let expected = [
            // For want of room and otherwise, read and write.
            (OnError::Report, [ErrorAction::Report; 4]),
            (OnError::Ignore, [ErrorAction::Ignore; 4]),
            (OnError::Stop, [ErrorAction::Stop; 4]),
            (
                OnError::Enospc,
                [ErrorAction::Stop, ErrorAction::Stop, ErrorAction::Report, ErrorAction::Report],
            ),
            (
                OnError::Auto,
                [ErrorAction::Report, ErrorAction::Stop, ErrorAction::Report, ErrorAction::Report],
            ),
        ];
        for (wanted, actions) in expected {
            let policy = ErrorPolicy { read: wanted, write: wanted };
            let found = [
                policy.action(IoOperation::Read, &full()),
                policy.action(IoOperation::Write, &full()),
                policy.action(IoOperation::Read, &broken()),
                policy.action(IoOperation::Write, &broken()),
            ];
            assert_eq!(found, actions, "{wanted:?}");
        }
    }

    #[test]
    fn each_direction_has_a_policy_of_its_own() {
        let policy = ErrorPolicy { read: OnError::Ignore, write: OnError::Stop };
        let error = io::Error::other("it is broken");
        assert_eq!(policy.action(IoOperation::Read, &error), ErrorAction::Ignore);
        assert_eq!(policy.action(IoOperation::Write, &error), ErrorAction::Stop);
    }

    #[test]
    fn the_event_tells_of_room_only_if_the_machine_stops() {
        let of = |action| {
            let error = io::Error::from_raw_os_error(28);
            let path = "/machine/peripheral/d".to_owned();
            let event =
                BlockIoError::new(path, "d".to_owned(), None, IoOperation::Write, action, &error);
            serde_json::to_value(event).expect("it can be told")
        };
        assert_eq!(of(ErrorAction::Stop)["nospace"], true);
        assert_eq!(of(ErrorAction::Stop)["action"], "stop");
        assert!(of(ErrorAction::Report).get("nospace").is_none());
        assert_eq!(of(ErrorAction::Report)["qom-path"], "/machine/peripheral/d");
    }
}
