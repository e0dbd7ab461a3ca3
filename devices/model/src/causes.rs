//! An error with its causes, as one line tells them.

/// The error and each of its causes. Some errors tell their cause themselves.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).fold(
        error.to_string(),
        |line, cause| match line.ends_with(&cause) {
            true => line,
            false => format!("{line}: {cause}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("can't open: {source}")]
    struct Told {
        source: std::io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("can't think")]
    struct Silent(#[source] Told);

    #[test]
    fn each_cause_is_told_once() {
        let open = || Told { source: std::io::Error::other("no such luck") };
        assert_eq!(with_causes(&open()), "can't open: no such luck");
        assert_eq!(with_causes(&Silent(open())), "can't think: can't open: no such luck");
    }
}
