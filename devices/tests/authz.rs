//! `authz-list` and `authz-simple` as users and those who ask them meet them.

use device_model::{
    prelude::*,
    qom_core::{InsecureTypes, Policy, PolicyStatement, SecurityStatus},
    testing::Machine,
};
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
    let empty = machine.add("authz-list", "empty", &[]);
    assert!(!allows(&empty, "") && !allows(&empty, "CN=fred"));
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    let machine = Machine::with_policy(Policy::of(&[accept]));
    let lax = machine.add("authz-list", "lax", &[("policy", "allow"), ("rules", rules)]);
    assert!(!allows(&lax, "O=evil,CN=fred") && allows(&lax, "O=good,CN=fred"));
}

#[test]
fn a_list_that_lets_strangers_in_is_insecure() {
    let machine = Machine::new();
    let refused = |properties: &[(&str, &str)]| {
        machine.create("authz-list", "a0", properties).unwrap_err().to_string()
    };
    let fred = r#"[{"match": "CN=fred", "policy": "allow"}]"#;
    let all_but_eve = r#"[{"match": "CN=eve", "policy": "deny"}]"#;
    let verdict = "'authz-list.policy' with value 'allow' is declared as insecure";
    for rules in ["[]", fred, all_but_eve] {
        let error = refused(&[("policy", "allow"), ("rules", rules)]);
        assert!(error.contains(verdict), "{error}");
    }
    let all = r#"{"match": "*", "policy": "allow", "format": "glob"}"#;
    for rules in
        [format!("[{all}]"), format!(r#"[{{"match": "CN=eve", "policy": "deny"}}, {all}]"#)]
    {
        let error = refused(&[("policy", "deny"), ("rules", &rules)]);
        assert!(error.contains("'authz-list.rules' with value"), "{error}");
        assert!(error.contains("declared as insecure"), "{error}");
    }
    assert_eq!(machine.paths(), [] as [&str; 0]);
    machine.add("authz-list", "a0", &[("rules", fred)]);
}

#[test]
fn a_single_name_is_that_name_only() {
    let machine = Machine::new();
    let simple = machine.add("authz-simple", "a0", &[("identity", "CN=*")]);
    assert!(allows(&simple, "CN=*") && !allows(&simple, "CN=fred") && !allows(&simple, ""));
    let error = machine.create("authz-simple", "a1", &[]).unwrap_err().to_string();
    assert!(error.contains("Parameter 'identity' is missing"), "{error}");
}
