//! A user's text as it may stand in a one-line message: control characters escaped, length bounded.

use std::fmt::{self, Write};

/// Characters shown before an ellipsis.
const MAX_SHOWN: usize = 120;

/// Shows at most 120 characters of a text, on one line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shown, character) in self.0.chars().enumerate() {
            if shown == MAX_SHOWN {
                return f.write_char('…');
            }
            if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// The excerpt as an owned string, for the fields of an error.
pub(crate) fn excerpt(text: &str) -> String {
    Excerpt(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_unchanged() {
        assert_eq!(excerpt("isa-serial,chardev=ü"), "isa-serial,chardev=ü");
    }

    #[test]
    fn control_characters_cannot_break_the_line_or_reach_the_terminal() {
        assert_eq!(excerpt("a\nb\u{1b}[31m\u{2028}"), "a\\nb\\u{1b}[31m\\u{2028}");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = excerpt(&"x".repeat(1000));
        assert_eq!(shown.chars().count(), MAX_SHOWN + 1);
        assert!(shown.ends_with('…'));
    }
}
