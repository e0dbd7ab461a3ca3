//! What a character device keeps in memory: `ringbuf-read`, `ringbuf-write`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use device_model::{
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    ring_buffer::RingBuffer,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::child;
use crate::creation::chardev::CHARDEVS;

/// How bytes are written in a string.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DataFormat {
    /// As text. What is none is read as U+FFFD, and so are the parts of a letter that a size divides.
    #[default]
    Utf8,
    /// In base64 with its padding (RFC 4648, section 4), by which nothing gets lost.
    Base64,
}

impl DataFormat {
    fn encode(self, bytes: Vec<u8>) -> String {
        match self {
            // Those bytes are gone from the device already, so that an error would lose all of them.
            Self::Utf8 => String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }

    fn decode(self, data: String) -> Result<Vec<u8>, CommandError> {
        match self {
            Self::Utf8 => Ok(data.into_bytes()),
            Self::Base64 => STANDARD.decode(data).map_err(|error| {
                CommandError::generic(format!("Parameter 'data' expects base64: {error}"))
            }),
        }
    }
}

/// The device of that id.
fn ring(context: &CommandContext<'_>, device: &str) -> Result<Arc<dyn RingBuffer>, CommandError> {
    let object = child(context.tree().root(), CHARDEVS, device)
        .ok_or_else(|| CommandError::generic(format!("Device '{device}' not found")))?;
    object
        .cast()
        .ok_or_else(|| CommandError::generic(format!("'{device}' is not a ringbuf device")))
}

/// `ringbuf-read`.
struct RingbufRead;

/// What to read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RingbufReadArguments {
    /// Id of the character device.
    device: String,
    /// The most bytes to read. Fewer are read if there are fewer.
    size: i64,
    /// How they are written.
    #[serde(default)]
    format: DataFormat,
}

impl Command for RingbufRead {
    const NAME: &'static str = "ringbuf-read";
    type Arguments = RingbufReadArguments;
    type Returns = String;

    fn run(
        context: &CommandContext<'_>,
        arguments: RingbufReadArguments,
    ) -> Result<String, CommandError> {
        let RingbufReadArguments { device, size, format } = arguments;
        let ring = ring(context, &device)?;
        let size = usize::try_from(size).ok().filter(|size| *size > 0).ok_or_else(|| {
            let problem = format!("Parameter 'size' expects a number greater than 0, got '{size}'");
            CommandError::generic(problem)
        })?;
        Ok(format.encode(ring.take(size)))
    }
}

register_command!(RingbufRead);

/// `ringbuf-write`.
struct RingbufWrite;

/// What to write.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RingbufWriteArguments {
    /// Id of the character device.
    device: String,
    /// The bytes.
    data: String,
    /// How they are written.
    #[serde(default)]
    format: DataFormat,
}

impl Command for RingbufWrite {
    const NAME: &'static str = "ringbuf-write";
    type Arguments = RingbufWriteArguments;
    type Returns = Nothing;

    fn run(
        context: &CommandContext<'_>,
        arguments: RingbufWriteArguments,
    ) -> Result<Nothing, CommandError> {
        let RingbufWriteArguments { device, data, format } = arguments;
        let ring = ring(context, &device)?;
        ring.put(&format.decode(data)?);
        Ok(Nothing {})
    }
}

register_command!(RingbufWrite);

#[cfg(test)]
mod tests {
    use device_model::{
        monitor::ErrorClass::GenericError, prelude::*, qom_core::Request, realize::DeviceRealizer,
    };
    use serde_json::{Value, json};

    use super::super::testing::Bench;
    use crate::creation::chardev::CHARDEVS;

    /// Memory that commands read and write
    #[qom_type(secure, parent = Object, interfaces(RingBuffer))]
    struct TestRing {
        kept: Mutex<Vec<u8>>,
    }

    impl RingBuffer for TestRing {
        fn take(&self, count: usize) -> Vec<u8> {
            let mut kept = self.kept.lock();
            let count = count.min(kept.len());
            kept.drain(..count).collect()
        }

        fn put(&self, bytes: &[u8]) {
            self.kept.lock().extend(bytes);
        }
    }

    fn bench() -> Bench {
        let bench = Bench::new();
        let file = json!({"type": "file", "data": {"out": "/log"}});
        bench.ok("chardev-add", json!({"id": "file", "backend": file}));
        let machine = &bench.machine;
        let ring = [Request::new("test-ring", CHARDEVS, "ring")];
        machine.tree.create(ring, &mut DeviceRealizer::new(&machine.platform)).unwrap();
        bench
    }

    fn read(bench: &Bench, size: i64, format: Option<&str>) -> Value {
        let mut arguments = json!({"device": "ring", "size": size});
        if let Some(format) = format {
            arguments["format"] = json!(format);
        }
        bench.ok("ringbuf-read", arguments)
    }

    #[test]
    fn what_was_written_is_read_once() {
        let bench = bench();
        let write = |arguments| assert_eq!(bench.ok("ringbuf-write", arguments), json!({}));
        write(json!({"device": "ring", "data": "h\u{e9}llo, "}));
        write(json!({"device": "ring", "data": "d29ybGQ=", "format": "base64"}));
        write(json!({"device": "ring", "data": "!\0", "format": "utf8"}));
        assert_eq!(read(&bench, 3, None), "h\u{e9}");
        assert_eq!(read(&bench, 5, Some("base64")), "bGxvLCA=");
        assert_eq!(read(&bench, i64::MAX, Some("utf8")), "world!\0");
        for format in [None, Some("utf8"), Some("base64")] {
            assert_eq!(read(&bench, 1, format), "");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_in_text_alone() {
        let bench = bench();
        let write = || {
            let data = json!({"device": "ring", "data": "Yf9i4oI=", "format": "base64"});
            bench.ok("ringbuf-write", data)
        };
        write();
        assert_eq!(read(&bench, 100, None), "a\u{fffd}b\u{fffd}");
        write();
        assert_eq!(read(&bench, 100, Some("base64")), "Yf9i4oI=");
    }

    #[test]
    fn what_cannot_be_read_or_written_is_told() {
        let bench = bench();
        bench.ok("ringbuf-write", json!({"device": "ring", "data": "kept"}));
        for (device, text) in
            [("file", "'file' is not a ringbuf device"), ("none", "Device 'none' not found")]
        {
            let arguments = json!({"device": device, "size": 1});
            bench.refuses("ringbuf-read", &arguments, GenericError, text);
            let arguments = json!({"device": device, "data": "x"});
            bench.refuses("ringbuf-write", &arguments, GenericError, text);
        }
        for size in [0, -1, i64::MIN] {
            let text = format!("Parameter 'size' expects a number greater than 0, got '{size}'");
            let arguments = json!({"device": "ring", "size": size});
            bench.refuses("ringbuf-read", &arguments, GenericError, &text);
        }
        let arguments = json!({"device": "ring", "data": "d29ybGQ", "format": "base64"});
        let text = "Parameter 'data' expects base64: Invalid padding";
        bench.refuses("ringbuf-write", &arguments, GenericError, text);
        let arguments = json!({"device": "ring", "size": 1, "format": "hex"});
        let text = "Parameter 'format' does not accept value 'hex'";
        bench.refuses("ringbuf-read", &arguments, GenericError, text);
        assert_eq!(read(&bench, 100, None), "kept");
    }
}
