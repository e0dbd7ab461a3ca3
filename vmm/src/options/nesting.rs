//! Dotted keys as the objects and lists that they stand for: `a.b=1`, `a.0=1`.

use std::collections::HashMap;

use super::excerpt::excerpt;
use super::keyval::{Given, MAX_KEY_DEPTH};

/// A value with the structure that its keys describe.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A value without further keys.
    Value(Given),
    /// Named members, in order of first appearance.
    Object(Vec<(String, Node)>),
    /// Elements numbered from 0.
    List(Vec<Node>),
}

/// Keys that do not describe one structure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NestingError {
    /// `a=1,a.b=2`: both a value and a parent of values.
    #[error("{key}: expected either a value or keys below it, given both")]
    Both {
        /// The key that has both.
        key: String,
    },
    /// `a.0=1,a.b=2`: both a list and an object.
    #[error("{key}: expected either list indices or names below it, given both")]
    Mixed {
        /// The key that has both.
        key: String,
    },
    /// `a.0=1,a.2=2`: an index is missing.
    #[error("{key}: expected a list without gaps, but element {missing} is not given")]
    Gap {
        /// The list's key.
        key: String,
        /// The first index that is missing.
        missing: usize,
    },
    /// More parts than a key may have.
    #[error("{key}: expected a key of at most {MAX_KEY_DEPTH} parts")]
    Depth {
        /// The key, shortened.
        key: String,
    },
}

/// Builds the structure that `entries` describe. Keys of JSON values are taken whole, since the
/// JSON form has its own objects and lists.
///
/// # Errors
/// [`NestingError`] when two keys contradict each other or a list has a gap.
pub fn nest(entries: &[(String, Given)]) -> Result<Vec<(String, Node)>, NestingError> {
    let mut root = Members::default();
    for (key, value) in entries {
        match value {
            Given::Text(_) => root.insert(key, 0, value)?,
            Given::Json(_) => root.insert_whole(key, value)?,
        }
    }
    root.into_named("")
}

/// An object under construction: members in order, and where each name stands.
#[derive(Default)]
struct Members {
    ordered: Vec<(String, Partial)>,
    positions: HashMap<String, usize>,
}

enum Partial {
    Value(Given),
    Members(Members),
}

impl Members {
    /// The member of that name, made with `new` if there is none.
    fn member(&mut self, name: &str, new: impl FnOnce() -> Partial) -> Option<&mut Partial> {
        let position = match self.positions.get(name) {
            Some(position) => *position,
            None => {
                self.positions.insert(name.to_owned(), self.ordered.len());
                self.ordered.push((name.to_owned(), new()));
                self.ordered.len() - 1
            }
        };
        self.ordered.get_mut(position).map(|(_, partial)| partial)
    }

    /// Puts `value` under the parts of `key` from byte `start` on.
    fn insert(&mut self, key: &str, start: usize, value: &Given) -> Result<(), NestingError> {
        if key.split('.').count() > MAX_KEY_DEPTH {
            return Err(NestingError::Depth { key: excerpt(key) });
        }
        let rest = key.get(start..).unwrap_or_default();
        let Some((name, _)) = rest.split_once('.') else {
            return self.place(key, rest, value);
        };
        let end = start + name.len();
        let both = || NestingError::Both { key: excerpt(key.get(..end).unwrap_or_default()) };
        match self.member(name, || Partial::Members(Members::default())) {
            Some(Partial::Members(members)) => members.insert(key, end + 1, value),
            _ => Err(both()),
        }
    }

    fn insert_whole(&mut self, key: &str, value: &Given) -> Result<(), NestingError> {
        self.place(key, key, value)
    }

    /// Puts `value` here as `name`; `key` is its full key, for errors. A later value wins.
    fn place(&mut self, key: &str, name: &str, value: &Given) -> Result<(), NestingError> {
        match self.member(name, || Partial::Value(value.clone())) {
            Some(Partial::Value(present)) => {
                *present = value.clone();
                Ok(())
            }
            _ => Err(NestingError::Both { key: excerpt(key) }),
        }
    }

    fn into_named(self, path: &str) -> Result<Vec<(String, Node)>, NestingError> {
        self.ordered
            .into_iter()
            .map(|(name, partial)| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                Ok((name, partial.into_node(&path)?))
            })
            .collect()
    }
}

impl Partial {
    fn into_node(self, path: &str) -> Result<Node, NestingError> {
        let members = match self {
            Partial::Value(value) => return Ok(Node::Value(value)),
            Partial::Members(members) => members,
        };
        let numbered = members.ordered.iter().filter(|(name, _)| is_index(name)).count();
        if numbered == 0 {
            return members.into_named(path).map(Node::Object);
        }
        if numbered < members.ordered.len() {
            return Err(NestingError::Mixed { key: excerpt(path) });
        }
        let count = members.ordered.len();
        if let Some(missing) = (0..count).find(|n| !members.positions.contains_key(&n.to_string()))
        {
            return Err(NestingError::Gap { key: excerpt(path), missing });
        }
        let mut elements = members.into_named(path)?;
        // Without a gap and without leading zeros, the indices are exactly 0..count.
        elements.sort_by_key(|(name, _)| name.parse::<usize>().unwrap_or(usize::MAX));
        Ok(Node::List(elements.into_iter().map(|(_, node)| node).collect()))
    }
}

fn is_index(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(pairs: &[(&str, &str)]) -> Vec<(String, Given)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Given::Text((*value).to_owned())))
            .collect()
    }

    fn value(text: &str) -> Node {
        Node::Value(Given::Text(text.to_owned()))
    }

    fn message(pairs: &[(&str, &str)]) -> String {
        nest(&entries(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn dots_make_objects_and_numbers_make_lists() {
        let nested = nest(&entries(&[("z", "0"), ("a.1", "y"), ("a.0", "x"), ("b.c.d", "1")]));
        assert_eq!(
            nested.unwrap(),
            [
                ("z".to_owned(), value("0")),
                ("a".to_owned(), Node::List(vec![value("x"), value("y")])),
                (
                    "b".to_owned(),
                    Node::Object(vec![(
                        "c".to_owned(),
                        Node::Object(vec![("d".to_owned(), value("1"))])
                    )])
                ),
            ]
        );
    }

    #[test]
    fn ten_elements_are_sorted_as_numbers() {
        let pairs: Vec<(String, Given)> =
            (0..12).map(|n| (format!("a.{n}"), Given::Text(n.to_string()))).collect();
        let expected = (0..12).map(|n| value(&n.to_string())).collect();
        assert_eq!(nest(&pairs).unwrap(), [("a".to_owned(), Node::List(expected))]);
    }

    #[test]
    fn contradicting_keys_are_refused() {
        let both = "a.b: expected either a value or keys below it, given both";
        assert_eq!(message(&[("a.b", "1"), ("a.b.c", "2")]), both);
        assert_eq!(message(&[("a.b.c", "2"), ("a.b", "1")]), both);
        assert_eq!(
            message(&[("a.0", "1"), ("a.x", "2")]),
            "a: expected either list indices or names below it, given both"
        );
    }

    #[test]
    fn a_list_has_no_gaps() {
        assert_eq!(
            message(&[("a.0", "1"), ("a.2", "2")]),
            "a: expected a list without gaps, but element 1 is not given"
        );
        assert!(nest(&entries(&[("a.00", "1")])).is_err());
        assert!(nest(&entries(&[("a.99999999999999999999999", "1")])).is_err());
    }

    #[test]
    fn keys_of_json_values_are_not_split() {
        let json = Given::Json(serde_json::json!(1));
        let nested = nest(&[("a.b".to_owned(), json.clone())]).unwrap();
        assert_eq!(nested, [("a.b".to_owned(), Node::Value(json))]);
    }

    #[test]
    fn depth_is_bounded() {
        let key = vec!["a"; 100_000].join(".");
        assert!(matches!(
            nest(&[(key, Given::Text(String::new()))]),
            Err(NestingError::Depth { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_keys_are_survived(keys in prop::collection::vec("[ab01.]{0,6}|.{0,8}", 0..8)) {
            let pairs: Vec<_> =
                keys.into_iter().map(|key| (key, Given::Text(String::new()))).collect();
            let _ = nest(&pairs);
        }
    }
}
