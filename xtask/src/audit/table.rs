//! An audit as tables for a terminal.

use comfy_table::{Table, presets};

use super::report::{Counts, Entry, Report};

/// SGR sequences (ECMA-48): red, green, yellow, bold, and back to normal.
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const NORMAL: &str = "\x1b[0m";

/// Types, classes, counts, and last what is undeclared. `colour` is for terminals.
pub(super) fn render(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    let mut section = |title: String, table: &Table| {
        let title = if colour { format!("{BOLD}{title}{NORMAL}") } else { title };
        text.push_str(&format!("{title}\n{}\n\n", table.trim_fmt()));
    };
    let title = |what: &str, count: usize| format!("{what} ({count})");
    section(title("Types", report.types.len()), &entries(&report.types));
    section(
        title("Abstract classes and interfaces, never created", report.classes.len()),
        &entries(&report.classes),
    );
    section("Types by category and status".to_owned(), &counts(report));
    let gaps: Vec<_> = report
        .undeclared
        .iter()
        .map(|gap| format!("  {} at {}\n", gap.name, gap.stated_at))
        .collect();
    text.push_str(&format!("Undeclared types: {}\n{}", gaps.len(), gaps.concat()));
    if colour { coloured(&text) } else { text }
}

fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    table
}

/// Rows of types. One that states nothing is said to be undeclared only if that is a gap.
fn entries(entries: &[Entry]) -> Table {
    let mut table = new_table(&["name", "security", "boundaries", "category", "stated by", "at"]);
    for entry in entries {
        table.add_row([
            entry.name,
            if entry.is_blank_class() { "-" } else { entry.security },
            &entry.boundaries.to_string(),
            entry.category,
            &entry.stated_by,
            &entry.stated_at,
        ]);
    }
    table
}

fn counts(report: &Report) -> Table {
    let mut table = new_table(&["category", "secure", "insecure", "undeclared", "all"]);
    let mut row = |name: &str, counts: Counts| {
        let numbers = [counts.secure, counts.insecure, counts.undeclared, counts.total()];
        let mut cells = vec![name.to_owned()];
        cells.extend(numbers.map(|number| number.to_string()));
        table.add_row(cells);
    };
    for (name, counts) in &report.categories {
        row(name, *counts);
    }
    row("all", report.counts);
    table
}

/// The words of a status in its colour, where they stand as a cell of their own.
fn coloured(text: &str) -> String {
    let mut text = text.to_owned();
    for (word, colour) in [("secure", GREEN), ("insecure", RED), ("undeclared", YELLOW)] {
        text = text.replace(&format!("  {word} "), &format!("  {colour}{word}{NORMAL} "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::report::tests::sample;

    #[test]
    fn undeclared_types_come_last_with_their_places() {
        let text = render(&sample(), false);
        assert!(
            text.ends_with(
                "\nUndeclared types: 2\n  beeper at devices/src/some.rs:7\n  zip at devices/src/some.rs:7\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_table_shows_every_type_once_and_the_sums() {
        let text = render(&sample(), false);
        for name in ["beeper", "clock", "floppy", "zip", "device", "plug"] {
            let rows =
                text.lines().filter(|line| line.trim_start().starts_with(&format!("{name} ")));
            let in_tables = rows.filter(|line| line.contains("some-devices 1.2.3")).count();
            assert_eq!(in_tables, 1, "{name}:\n{text}");
        }
        let sums = text.lines().find(|line| line.trim_start().starts_with("all ")).unwrap();
        assert_eq!(sums.split_whitespace().collect::<Vec<_>>(), ["all", "1", "1", "2", "4"]);
    }

    #[test]
    fn a_class_that_states_nothing_is_not_called_undeclared() {
        let text = render(&sample(), false);
        let row = |name: &str| {
            let starts = |line: &&str| line.trim_start().starts_with(name);
            text.lines().find(starts).unwrap().split_whitespace().nth(1).unwrap().to_owned()
        };
        assert_eq!([row("device "), row("zip ")], ["-", "undeclared"]);
    }

    #[test]
    fn colour_is_only_for_terminals() {
        assert!(!render(&sample(), false).contains('\x1b'));
        assert!(render(&sample(), true).contains("\x1b[32msecure\x1b[0m"));
    }
}
