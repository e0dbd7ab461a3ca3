//! Headings under which help lists types.

use syn::LitStr;

use crate::{mistakes::Mistakes, suggestion};

/// The headings of QEMU's help, and those of the classes that it lists elsewhere.
const HEADINGS: [&str; 15] = [
    "Controller/Bridge/Hub devices",
    "USB devices",
    "Storage devices",
    "Network devices",
    "Input devices",
    "Display devices",
    "Sound devices",
    "Misc devices",
    "CPU devices",
    "Watchdog devices",
    "Character devices",
    "Accelerators",
    "Machines",
    "Loaders",
    "Uncategorized devices",
];

/// Notes the text of `category = "…"` if there is no such heading. A slip of the finger would open
/// a heading of its own, so one that is new is announced.
pub(crate) fn check_known(heading: &LitStr, mistakes: &mut Mistakes) {
    let text = heading.value();
    if !text.trim().is_empty() && !HEADINGS.contains(&text.as_str()) {
        let instead = suggestion::instead(&text, &HEADINGS);
        let end = if instead.ends_with('?') { "" } else { "." };
        mistakes.at(
            heading,
            format!(
                "there is no category `{text}`: {instead}{end} A new one is introduced by the \
                 trait of a class: `new_category = \"{text}\"`"
            ),
        );
    }
}

/// Notes the text of `new_category = "…"` if it is not new.
pub(crate) fn check_new(heading: &LitStr, mistakes: &mut Mistakes) {
    let text = heading.value();
    if HEADINGS.contains(&text.as_str()) {
        mistakes.at(heading, format!("this category is not new: write `category = \"{text}\"`"));
    }
}
