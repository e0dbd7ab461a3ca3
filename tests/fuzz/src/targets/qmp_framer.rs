//! Messages of a machine protocol's client: the pieces that they come in make no difference, what
//! is read is what a JSON reader reads, memory is given back, and a client that is lost gets on.

use std::sync::Arc;

use crate::{Target, input::Input};
use serde_json::{Value, json};
use vmm::monitor::qmp::{
    budget::{Budget, TOKEN_BYTES},
    framer::{FrameError, Framer, Limits},
};

inventory::submit!(Target { name: "qmp-framer", covers: &[], run });

/// What all messages may take: less than the largest that the limits allow.
const CAPACITY: usize = 32_000;

type Message = Result<Value, FrameError>;

fn feed(framer: &mut Framer, mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(message) = framer.next(&mut bytes) {
        messages.push(message.map(|message| message.into_parts().0));
    }
    assert!(bytes.is_empty(), "input is left without a message to tell of");
    messages
}

/// Three bytes for limits; the rest is the stream.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = Limits {
        nesting: input.byte().into(),
        bytes: usize::from(input.byte()) * 16,
        tokens: input.byte().into(),
    };
    let budget = Budget::new(CAPACITY);
    let mut framer = Framer::with_limits(limits, Arc::clone(&budget));
    let whole = feed(&mut framer, input.rest());
    assert!(budget.used() <= CAPACITY, "more is taken than there is");

    let mut other = Framer::with_limits(limits, Budget::new(CAPACITY));
    let single: Vec<_> = input.rest().iter().flat_map(|byte| feed(&mut other, &[*byte])).collect();
    assert_eq!(whole, single, "messages depend on the pieces that they came in");

    for value in whole.into_iter().flatten() {
        assert!(depth(&value) <= limits.nesting, "a message nests deeper than its limit");
    }
    feed(&mut framer, b"\xff\n");
    assert_eq!(budget.used(), 0, "memory is kept without a message");

    let mut fresh = Framer::new(Arc::clone(&budget));
    feed(&mut fresh, input.rest());
    feed(&mut fresh, b"\xff\n");
    assert_eq!(feed(&mut fresh, b"{'a': 1}"), [Ok(json!({"a": 1}))]);
    if let Ok(value) = serde_json::from_slice::<Value>(input.rest()) {
        let text = [&serde_json::to_vec(&value).expect("it was JSON"), &b"\n"[..]].concat();
        // Written again: each key once, and numbers as they are read back. Each byte may be a token,
        // in room for two, and be there twice more once it is read.
        if text.len() * (TOKEN_BYTES + 4) + 256 < CAPACITY {
            let again = serde_json::from_slice(&text).expect("it was written");
            assert_eq!(feed(&mut fresh, &text), [Ok(again)]);
        }
    }
    drop((framer, fresh));
    assert_eq!(budget.used(), 0, "memory is kept without a client");
}

/// How deep arrays and objects stand in one another. Limits here keep it small.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(elements) => elements.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    deepest.unwrap_or_default() + 1
}
