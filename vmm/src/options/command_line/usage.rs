//! The text of `--help`: one line an option, aligned, at most 80 columns.

use std::fmt::Write;

use super::{Subcommand, definitions};

/// Where explanations start, in columns from 0.
const EXPLANATION: usize = 34;

/// The two switches of `-machine` that are policy and not properties, told with the options.
const POLICY_SWITCHES: [(&str, &str); 2] = [
    ("-machine require-secure=yes", "refuse all not declared secure (the default)"),
    ("-machine prohibit-insecure=yes", "refuse only what is declared insecure"),
];

/// What one line has no room for.
const SECURITY_NOTE: &str = "
-compat insecure-types=ACTION is for what is not declared secure: accept it,
warn of it, reject it, or crash, which rejects it and aborts the process.
insecure-input= is another name of it. Of several switches the strictest counts.
-compat deprecated-input=ACTION and unstable-input=ACTION are for what will go
and what may change without notice; deprecated-output= and unstable-output=
accept it in what the program tells, or hide it. Of several the last counts.
";

/// The text for `--help` after a word that stands first.
pub fn subcommand_usage(program: &str, subcommand: &Subcommand) -> String {
    match subcommand {
        Subcommand::Demo(_) => format!(
            "Usage: {program} demo\n\n\
             Runs a guest of a few instructions on a machine of its own, shows each object\n\
             of it with what its type declares, then a refusal. Ends with status 1 if the\n\
             guest finds fault or does not come to its end.\n"
        ),
        Subcommand::Check(_) => format!(
            "Usage: {program} check [OPTION]... [--json | --explain TYPE]\n\n\
             Judges each object that the options would make, and makes none. Ends with status\n\
             1 if one would be refused. The options are those of a start.\n\n  \
             --json          write the answer as JSON\n  \
             --explain TYPE  tell what TYPE declares, and what would become of it\n"
        ),
        Subcommand::Types(_) => format!(
            "Usage: {program} types [--json] [TYPE]...\n\n\
             Shows what each TYPE, or every type, declares of its security, and where.\n\n  \
             --json  write all that is known of them as JSON, properties included\n"
        ),
    }
}

/// The text for a program called `program`.
pub fn usage(program: &str) -> String {
    let mut text = format!(
        "Usage: {program} [OPTION]...\n       \
         {program} demo                      run the built-in demonstration\n       \
         {program} check [OPTION]... [--json | --explain TYPE]\n                                 \
         tell whether a configuration holds, and why\n       \
         {program} types [--json] [TYPE]...  show what types declare of themselves\n\n\
         Options take one dash or two. A value that ends in [,...] goes on with\n\
         key=value pairs. The value 'help' of -machine, -accel, -cpu, -device, -object,\n\
         -blockdev, -chardev and -netdev lists what there is; after a TYPE, as in\n\
         -device TYPE,help, what can be set of it. Of other options it lists the\n\
         keys, and of those that take a STREAM where that can lead.\n"
    );
    let command = definitions::command();
    let mut heading = None;
    for option in command.get_arguments() {
        if option.get_help_heading() != heading {
            heading = option.get_help_heading();
            let _ = write!(text, "\n{}:\n", heading.unwrap_or("Other"));
            if heading == Some("Security") {
                for (switch, explanation) in POLICY_SWITCHES {
                    line(&mut text, switch, explanation);
                }
            }
        }
        let names: Vec<String> =
            definitions::names(option).map(|name| format!("-{name}")).collect();
        let mut shown = names.join(", ");
        if let Some(value) = option.get_value_names().and_then(<[_]>::first)
            && option.get_action().takes_values()
        {
            let _ = write!(shown, " {value}");
        }
        let explanation = option.get_help().map(ToString::to_string).unwrap_or_default();
        line(&mut text, &shown, &explanation);
    }
    text + SECURITY_NOTE
}

fn line(text: &mut String, shown: &str, explanation: &str) {
    let width = EXPLANATION - 3;
    // Writing to a string does not fail.
    let _ = writeln!(text, "  {shown:<width$} {explanation}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_80_columns_and_every_explanation_is_aligned() {
        let text = usage("palisade");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert_eq!(line.trim_end(), line);
            if line.starts_with("  -") {
                let (left, right) = line.split_at(EXPLANATION);
                assert!(left.ends_with(' ') && !right.starts_with(' '), "{line}");
            }
        }
    }

    #[test]
    fn every_option_has_one_line_and_an_explanation() {
        let text = usage("palisade");
        for option in definitions::command().get_arguments() {
            let name = format!("  -{}", option.get_id());
            let lines = text
                .lines()
                .filter(|line| line.split([' ', ',']).take(3).eq(["", "", name.trim_start()]))
                .filter(|line| !POLICY_SWITCHES.iter().any(|(switch, _)| line.contains(switch)));
            assert_eq!(lines.count(), 1, "{name}");
            assert!(option.get_help().is_some_and(|help| !help.to_string().is_empty()), "{name}");
        }
    }

    #[test]
    fn the_programs_own_name_is_shown() {
        assert!(usage("my-vmm").starts_with("Usage: my-vmm [OPTION]..."));
    }
}
