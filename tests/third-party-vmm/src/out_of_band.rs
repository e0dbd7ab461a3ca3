//! Commands of which one waits until the other, which overtakes it, has been given.

use std::sync::OnceLock;

use device_model::monitor::{Command, CommandContext, CommandError, Nothing, register_command};

static LET_GO: OnceLock<()> = OnceLock::new();

/// `x-wait`: answered once `x-let-go` has been.
struct Wait;

impl Command for Wait {
    const NAME: &'static str = "x-wait";
    type Arguments = Nothing;
    type Returns = Nothing;

    fn run(_: &CommandContext<'_>, _: Nothing) -> Result<Nothing, CommandError> {
        LET_GO.wait();
        Ok(Nothing {})
    }
}

register_command!(Wait);

/// `x-let-go`, which waits for nothing and may overtake.
struct LetGo;

impl Command for LetGo {
    const NAME: &'static str = "x-let-go";
    type Arguments = Nothing;
    type Returns = Nothing;
    const OUT_OF_BAND: bool = true;

    fn run(_: &CommandContext<'_>, _: Nothing) -> Result<Nothing, CommandError> {
        LET_GO.set(()).map_err(|()| CommandError::generic("it has been let go"))?;
        Ok(Nothing {})
    }
}

register_command!(LetGo);
