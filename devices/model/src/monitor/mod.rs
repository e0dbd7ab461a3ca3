//! What a monitor's clients can ask for and hear of: commands and events, each registered where it
//! is written.
//!
//! A command is a type without values:
//!
//! ```
//! use device_model::monitor::{Command, CommandContext, CommandError, register_command};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// How many objects there are.
//! struct CountObjects;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Arguments {
//!     below: Option<String>,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Count {
//!     count: usize,
//! }
//!
//! impl Command for CountObjects {
//!     const NAME: &'static str = "x-count-objects";
//!     type Arguments = Arguments;
//!     type Returns = Count;
//!
//!     fn run(context: &CommandContext<'_>, arguments: Arguments) -> Result<Count, CommandError> {
//!         let below = arguments.below.unwrap_or_default();
//!         let objects = context.tree().walk();
//!         let paths = objects.iter().filter_map(|object| object.path());
//!         Ok(Count { count: paths.filter(|path| path.starts_with(&below)).count() })
//!     }
//! }
//!
//! register_command!(CountObjects);
//! ```

pub mod ascii;
mod command;
mod error;
mod event;
pub mod schema;
mod table;

#[doc(hidden)]
pub use command::CommandShapes;
pub use command::{Answer, Command, CommandContext, CommandInfo, Lifecycle, Nothing};
pub use error::{CommandError, ErrorClass};
#[doc(hidden)]
pub use event::EventShape;
pub use event::{Event, EventInfo, EventListener, Occurrence};

pub use table::{CommandTable, DuplicateName, DuplicateNames, EventTable, Table};

pub use crate::{register_command, register_event};
