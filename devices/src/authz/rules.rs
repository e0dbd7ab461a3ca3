//! Rules: whom a pattern lets in or keeps out.

use device_model::prelude::*;
use serde::{Deserialize, Serialize};

use super::glob;

/// Rules in a list, at most.
pub const MOST_RULES: usize = 1024;

/// Bytes in the pattern of a rule, at most.
pub const LONGEST_PATTERN: usize = 1024;

/// Bytes in an identity that any rule can be for. A longer one is let in by none.
pub const LONGEST_IDENTITY: usize = 4096;

/// What becomes of somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[property(name = "QAuthZListPolicy")]
pub enum Decision {
    /// He is kept out.
    #[default]
    Deny,
    /// He is let in.
    Allow,
}

/// How a rule's pattern is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As the identity itself.
    #[default]
    Exact,
    /// With `*` and `?`, as [`glob::matches`] takes them.
    Glob,
}

/// Whom it is for, and what becomes of him.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Who.
    #[serde(rename = "match")]
    pub pattern: String,
    /// What.
    pub policy: Decision,
    /// How the pattern is meant.
    #[serde(default)]
    pub format: Format,
}

impl Rule {
    fn is_for(&self, identity: &str) -> bool {
        match self.format {
            Format::Exact => self.pattern == identity,
            Format::Glob => glob::matches(&self.pattern, identity),
        }
    }

    /// Whether it is for every identity, or for every one of some length or more.
    fn is_for_everybody(&self) -> bool {
        self.format == Format::Glob && glob::asks_for_no_letter(&self.pattern)
    }
}

/// The rules of a list, of which the first that is for somebody decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// What the first rule says that is for that identity, or else `otherwise`. Nobody is let in
    /// whose identity is longer than [`LONGEST_IDENTITY`].
    #[must_use]
    pub fn decide(&self, identity: &str, otherwise: Decision) -> Decision {
        if identity.len() > LONGEST_IDENTITY {
            return Decision::Deny;
        }
        let first = self.0.iter().find(|rule| rule.is_for(identity));
        first.map_or(otherwise, |rule| rule.policy)
    }

    /// Whether a rule lets everybody in, save those whom rules before it keep out.
    #[must_use]
    pub fn let_everybody_in(&self) -> bool {
        self.0.iter().any(|rule| rule.policy == Decision::Allow && rule.is_for_everybody())
    }
}

impl PropertyType for Rules {
    fn value_type() -> ValueType {
        ValueType::plain("QAuthZListRuleList")
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        let value = serde_json::from_str(text)
            .map_err(|_| ValueError::Refused("expects a list of rules in JSON".to_owned()))?;
        Self::from_json(&value)
    }

    fn from_json(value: &Value) -> Result<Self, ValueError> {
        let rules = match value {
            Value::Null => Vec::new(),
            rules => Vec::deserialize(rules).map_err(|error| {
                let expected = "expects a list of {match, policy, format}";
                ValueError::Refused(format!("{expected}: {error}"))
            })?,
        };
        if rules.len() > MOST_RULES {
            let count = rules.len();
            let problem = format!("expects at most {MOST_RULES} rules, got {count}");
            return Err(ValueError::Refused(problem));
        }
        if let Some(rule) = rules.iter().find(|rule: &&Rule| rule.pattern.len() > LONGEST_PATTERN) {
            let length = rule.pattern.len();
            let problem = format!(
                "expects 'match' to have at most {LONGEST_PATTERN} bytes, one has {length}"
            );
            return Err(ValueError::Refused(problem));
        }
        Ok(Self(rules))
    }

    fn to_json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(value: Value) -> Rules {
        Rules::from_json(&value).unwrap()
    }

    #[test]
    fn the_first_rule_that_is_for_somebody_decides() {
        let rules = rules(json!([
            {"match": "CN=eve", "policy": "deny", "format": "exact"},
            {"match": "CN=*", "policy": "allow", "format": "glob"},
            {"match": "CN=mallory", "policy": "deny"},
            {"match": "O=*", "policy": "allow"},
        ]));
        for (identity, decision) in [
            ("CN=eve", Decision::Deny),
            ("CN=mallory", Decision::Allow),
            ("O=x", Decision::Deny),
            ("O=*", Decision::Allow),
            ("", Decision::Deny),
        ] {
            assert_eq!(rules.decide(identity, Decision::Deny), decision, "{identity}");
        }
        assert_eq!(rules.decide("O=x", Decision::Allow), Decision::Allow);
    }

    #[test]
    fn nobody_is_let_in_by_a_name_of_any_length() {
        let rules = rules(json!([{"match": "*", "policy": "allow", "format": "glob"}]));
        let longest = "x".repeat(LONGEST_IDENTITY);
        assert_eq!(rules.decide(&longest, Decision::Allow), Decision::Allow);
        assert_eq!(rules.decide(&(longest + "x"), Decision::Allow), Decision::Deny);
    }

    #[test]
    fn a_rule_lets_everybody_in_that_allows_and_asks_for_no_letter() {
        let lets = |pattern: &str, policy: &str, format: &str| {
            let rule = json!({"match": pattern, "policy": policy, "format": format});
            let eve = json!({"match": "CN=eve", "policy": "deny"});
            rules(json!([eve, rule])).let_everybody_in()
        };
        for pattern in ["*", "**", "?*", "*?*"] {
            assert!(lets(pattern, "allow", "glob"), "{pattern}");
            assert!(
                !lets(pattern, "deny", "glob") && !lets(pattern, "allow", "exact"),
                "{pattern}"
            );
        }
        for pattern in ["", "?", "????", "O=Example,*", "*x*"] {
            assert!(!lets(pattern, "allow", "glob"), "{pattern}");
        }
        assert!(!Rules::default().let_everybody_in());
    }

    #[test]
    fn rules_are_shown_as_they_can_be_given_again() {
        let given = json!([{"match": "a", "policy": "deny", "format": "glob"}]);
        assert_eq!(rules(given.clone()).to_json(), given);
        assert_eq!(Rules::from_text(&given.to_string()).unwrap(), rules(given));
        assert_eq!(Rules::default().to_json(), json!([]));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (wrong, problem) in [
            (json!({}), "expects a list of {match, policy, format}"),
            (json!([{"match": "a"}]), "missing field `policy`"),
            (json!([{"policy": "deny"}]), "missing field `match`"),
            (json!([{"match": "a", "policy": "maybe"}]), "unknown variant `maybe`"),
            (json!([{"match": "a", "policy": "deny", "format": "re"}]), "unknown variant `re`"),
            (json!([{"match": "a", "policy": "deny", "x": 1}]), "unknown field `x`"),
            (
                json!([{"match": "a".repeat(1025), "policy": "deny"}]),
                "expects 'match' to have at most 1024 bytes, one has 1025",
            ),
            (
                json!(vec![json!({"match": "a", "policy": "deny"}); 1025]),
                "expects at most 1024 rules, got 1025",
            ),
        ] {
            let error = Rules::from_json(&wrong).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let error = Rules::from_text("[").unwrap_err();
        assert_eq!(error.to_string(), "expects a list of rules in JSON");
    }
}
