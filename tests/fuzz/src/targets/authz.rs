//! Authorization: a peer chooses its identity, and no rule takes long over it or lets in whom it is
//! not for.

use std::time::{Duration, Instant};

use device_model::prelude::PropertyType;
use devices::authz::{
    glob,
    rules::{Decision, LONGEST_IDENTITY, Rules},
};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "authz", covers: &["authz-list", "authz-simple"], run });

/// Longer than any input takes on a host that emulates every instruction.
const LONG: Duration = Duration::from_secs(20);

/// A byte for the length of the pattern, the pattern, then the identity.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let length = usize::from(input.byte());
    let pattern = String::from_utf8_lossy(input.take(length)).into_owned();
    let identity = String::from_utf8_lossy(input.rest()).into_owned();
    let start = Instant::now();
    let fits = glob::matches(&pattern, &identity);
    assert!(start.elapsed() < LONG, "{pattern:?} {identity:?}");
    // What has no wildcard fits itself only; a star more never keeps anybody out.
    if !pattern.contains(['*', '?']) {
        assert_eq!(fits, pattern == identity);
    }
    if fits {
        assert!(glob::matches(&format!("*{pattern}*"), &identity));
    }
    for (format, expected) in [("glob", fits), ("exact", pattern == identity)] {
        let rule = serde_json::json!([{"match": pattern, "policy": "allow", "format": format}]);
        let rules = Rules::from_json(&rule).expect("a pattern of 255 letters can be a rule's");
        let allowed = rules.decide(&identity, Decision::Deny) == Decision::Allow;
        assert_eq!(allowed, expected && identity.len() <= LONGEST_IDENTITY);
    }
    // The whole input as what a user gives for rules.
    if let Ok(rules) = Rules::from_text(&String::from_utf8_lossy(data)) {
        assert_eq!(Rules::from_json(&rules.to_json()), Ok(rules));
    }
}
