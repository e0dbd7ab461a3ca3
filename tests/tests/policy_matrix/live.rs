//! An insecure value that is set on an object that exists, under every policy.

use std::collections::BTreeSet;

use serde_json::json;
use tests::qmp::error_of;

use super::{
    kinds::NONE,
    policies::{Action, POLICIES},
    registry::Registry,
    vm,
    ways::attempts,
};

#[test]
fn a_value_that_is_insecure_is_judged_when_it_is_set_later_as_when_it_is_given() {
    let registry = Registry::ask();
    let mut tried = BTreeSet::new();
    for policy in POLICIES {
        let mut vm = vm(policy.options, NONE);
        let mut told = Vec::new();
        for attempt in attempts(&registry).iter().filter(|attempt| attempt.insecure.is_none()) {
            let values = registry.insecure_values(attempt.type_name);
            for insecure in values.iter().filter(|value| value.live) {
                let path = attempt.create(&mut vm);
                let before = vm.qmp.property(&path, &insecure.property);
                let set = json!({
                    "execute": "qom-set",
                    "arguments":
                        { "path": path, "property": insecure.property, "value": insecure.value },
                });
                let error = error_of(&vm.qmp.ask(&set));
                let now = vm.qmp.property(&path, &insecure.property);
                let expected = policy.action(registry.security(attempt.type_name));
                match expected.max(policy.insecure) {
                    Action::Refuse => {
                        let (_, text) = error.expect("it is refused");
                        assert!(text.contains("is declared as insecure"), "{text}");
                        assert_eq!(now, before);
                    }
                    action => {
                        assert_eq!((error, &now), (None, &insecure.value));
                        let subject = format!(
                            "'{}.{}' with value '{}' is declared as insecure",
                            attempt.type_name,
                            insecure.property,
                            insecure.value.as_str().expect("it is a word"),
                        );
                        told.push((subject, action == Action::Warn));
                    }
                }
                tried.insert((attempt.type_name, insecure.property.clone()));
                attempt.remove(&mut vm);
            }
        }
        let log = vm.quit().code(0);
        for (subject, is_warned) in told {
            let is_warning = |line: &str| line.contains(": warning: ") && line.contains(&subject);
            assert_eq!(log.stderr().lines().any(is_warning), is_warned, "{log}");
        }
    }
    assert!(!tried.is_empty());
}
