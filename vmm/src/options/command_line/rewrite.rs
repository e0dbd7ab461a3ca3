//! Option names with one dash or two, brought to the one form that the parser takes.

use std::ffi::{OsStr, OsString};

use clap::Command;

use super::definitions;
use super::error::CommandLineError;
use crate::options::excerpt::excerpt;
use device_model::qom_core::Suggestion;

/// What the arguments come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// Arguments for the parser, each `--name` or `--name=value`.
    Arguments(Vec<String>),
    /// The option that makes all others irrelevant: `help` or `version`.
    Only(&'static str),
}

/// Gives every option two dashes and joins it with its value.
///
/// An option that takes a value takes the next argument whatever it looks like, as in QEMU: the
/// value of `-append` may start with a dash, and is never taken for an option. `-name=value` is one
/// argument for both. `-help` and `-version` end it: nothing after them is looked at.
///
/// # Errors
/// [`CommandLineError`] for an unknown option, a missing or superfluous value, an argument that is
/// no option, and one that is not UTF-8.
pub(super) fn rewrite(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Rewritten, CommandLineError> {
    let mut rewritten = Vec::new();
    let mut arguments = arguments.into_iter().enumerate().map(|(index, argument)| {
        argument.into_string().map_err(|argument| CommandLineError::NotUnicode {
            position: index + 1,
            given: excerpt(&argument.to_string_lossy()),
        })
    });
    while let Some(argument) = arguments.next() {
        let argument = argument?;
        let Some(bare) = argument.strip_prefix('-') else {
            return Err(unexpected(command, &argument));
        };
        let bare = bare.strip_prefix('-').unwrap_or(bare);
        let (name, joined) = match bare.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (bare, None),
        };
        let Some(option) = definitions::find(command, name) else {
            return Err(unknown(command, &argument, name));
        };
        let id = option.get_id().as_str();
        if option.get_action().takes_values() {
            let value = match joined {
                Some(value) => value.to_owned(),
                None => match arguments.next() {
                    Some(value) => value?,
                    None => return Err(CommandLineError::missing_value(&argument, option)),
                },
            };
            rewritten.push(format!("--{id}={value}"));
        } else if joined.is_some() {
            return Err(CommandLineError::UnwantedValue { given: excerpt(&argument) });
        } else {
            match id {
                "help" => return Ok(Rewritten::Only("help")),
                "version" => return Ok(Rewritten::Only("version")),
                _ => rewritten.push(format!("--{id}")),
            }
        }
    }
    Ok(Rewritten::Arguments(rewritten))
}

fn all_names(command: &Command) -> impl Iterator<Item = &str> {
    command.get_arguments().flat_map(definitions::names)
}

fn unknown(command: &Command, argument: &str, name: &str) -> CommandLineError {
    let shown = argument.split_once('=').map_or(argument, |(shown, _)| shown);
    CommandLineError::UnknownOption {
        given: excerpt(shown),
        suggestion: Suggestion::of(name, all_names(command)).prefixed("-"),
    }
}

/// The error for a first argument that is neither an option nor a known word.
pub(super) fn unexpected_first(command: &Command, argument: &OsStr) -> CommandLineError {
    let given = argument.to_string_lossy();
    let word = Suggestion::of(&given, super::SUBCOMMANDS);
    match unexpected(command, &given) {
        CommandLineError::UnexpectedArgument { given, .. } if word != Suggestion::default() => {
            CommandLineError::UnexpectedArgument { given, suggestion: word }
        }
        other => other,
    }
}

fn unexpected(command: &Command, argument: &str) -> CommandLineError {
    CommandLineError::UnexpectedArgument {
        given: excerpt(argument),
        suggestion: Suggestion::of(argument, all_names(command)).prefixed("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn rewritten(arguments: &[&str]) -> Result<Rewritten, CommandLineError> {
        rewrite(&definitions::command(), arguments.iter().map(OsString::from))
    }

    fn arguments(arguments: &[&str]) -> Rewritten {
        Rewritten::Arguments(arguments.iter().map(|text| (*text).to_owned()).collect())
    }

    fn message(arguments: &[&str]) -> String {
        rewritten(arguments).unwrap_err().to_string()
    }

    #[test]
    fn one_dash_and_two_are_the_same() {
        assert_eq!(
            rewritten(&["-kernel", "x", "--kernel", "y", "-m", "1", "-S", "-M", "q35"]).unwrap(),
            arguments(&["--kernel=x", "--kernel=y", "--m=1", "--S", "--machine=q35"])
        );
    }

    #[test]
    fn a_value_is_never_taken_for_an_option() {
        assert_eq!(
            rewritten(&["-append", "-kernel", "-name", "--help", "-append", "", "-append", "-S=1"])
                .unwrap(),
            arguments(&["--append=-kernel", "--name=--help", "--append=", "--append=-S=1"])
        );
    }

    #[test]
    fn a_value_may_be_joined_with_an_equals_sign() {
        assert_eq!(
            rewritten(&["--kernel=x", "-append=a=b"]).unwrap(),
            arguments(&["--kernel=x", "--append=a=b"])
        );
    }

    #[test]
    fn help_and_version_end_it() {
        for ask in ["-h", "--h", "-help", "--help"] {
            assert_eq!(rewritten(&["-S", ask, "-kernl"]).unwrap(), Rewritten::Only("help"));
        }
        assert_eq!(rewritten(&["--version"]).unwrap(), Rewritten::Only("version"));
    }

    #[test]
    fn an_unknown_option_names_the_nearest() {
        assert_eq!(message(&["-kernl", "x"]), "-kernl: unknown option; did you mean '-kernel'?");
        assert_eq!(message(&["--kernl=x"]), "--kernl: unknown option; did you mean '-kernel'?");
        for nothing in ["-", "--", "-x", "---kernel", "-audiodev"] {
            let message = message(&[nothing]);
            assert!(message.starts_with(&format!("{nothing}: unknown option")), "{message}");
        }
    }

    #[test]
    fn values_have_to_be_there_where_they_belong_and_nowhere_else() {
        assert_eq!(message(&["-S", "-kernel"]), "-kernel: expected a value (FILE), given none");
        assert_eq!(message(&["-S=on"]), "-S=on: this option takes no value");
    }

    #[test]
    fn an_argument_that_is_no_option_is_refused() {
        assert_eq!(message(&["disk.img"]), "'disk.img': unexpected argument, expected an option");
        assert_eq!(
            message(&["-S", "kernel", "x"]),
            "'kernel': unexpected argument, expected an option; did you mean '-kernel'?"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let argument = OsString::from_vec(vec![b'a', 0xff]);
        let given = ["-kernel".into(), argument];
        assert_eq!(
            rewrite(&definitions::command(), given).unwrap_err().to_string(),
            "argument 2: expected text in UTF-8, given 'a\u{fffd}'"
        );
    }
}
