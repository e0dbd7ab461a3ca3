//! `authz-list` and `authz-simple` as users and those who ask them meet them.

use device_model::{prelude::*, qom_core::SecurityStatus, testing::Machine};
// For its types, which the linker would leave out otherwise.
use devices as _;

fn allows(object: &Obj, identity: &str) -> bool {
    object.cast::<dyn Authz>().unwrap().is_allowed(identity)
}

#[test]
fn a_list_s_first_rule_decides_and_its_policy_does_without_one() {
    let machine = Machine::new();
    let rules = r#"[{"match": "O=evil,*", "policy": "deny", "format": "glob"},
                    {"match": "CN=fred", "policy": "allow"}]"#;
    let strict = machine.add("authz-list", "strict", &[("rules", rules)]);
    assert_eq!(strict.class().status(), SecurityStatus::Secure);
    assert!(allows(&strict, "CN=fred"));
    assert!(!allows(&strict, "O=evil,CN=fred") && !allows(&strict, "O=good,CN=fred"));
    let lax = machine.add("authz-list", "lax", &[("policy", "allow"), ("rules", rules)]);
    assert!(!allows(&lax, "O=evil,CN=fred") && allows(&lax, "O=good,CN=fred"));
    let empty = machine.add("authz-list", "empty", &[]);
    assert!(!allows(&empty, "") && !allows(&empty, "CN=fred"));
}

#[test]
fn a_list_that_lets_everybody_in_is_insecure() {
    let machine = Machine::new();
    let rules = r#"[{"match": "CN=fred", "policy": "allow"}]"#;
    for properties in [&[("policy", "allow")][..], &[("policy", "allow"), ("rules", rules)]] {
        let error = machine.create("authz-list", "a0", properties).unwrap_err().to_string();
        let verdict = "'authz-list.policy' with value 'allow' is declared as insecure";
        assert!(error.contains(verdict), "{error}");
    }
}

#[test]
fn a_single_name_is_that_name_only() {
    let machine = Machine::new();
    let simple = machine.add("authz-simple", "a0", &[("identity", "CN=*")]);
    assert!(allows(&simple, "CN=*") && !allows(&simple, "CN=fred") && !allows(&simple, ""));
    let error = machine.create("authz-simple", "a1", &[]).unwrap_err().to_string();
    assert!(error.contains("Parameter 'identity' is missing"), "{error}");
}
