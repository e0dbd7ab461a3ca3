//! `stop`, `cont`, `system_reset`, `system_powerdown`, `quit`: the VM as a whole.

use device_model::{
    control::Order,
    monitor::{CommandContext, CommandError},
};

use super::line_command;

fn order(context: &CommandContext<'_>, order: Order) -> Result<String, CommandError> {
    context.vm().order(order).map(|()| String::new())
}

fn stop(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    order(context, Order::Stop)
}

fn cont(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    order(context, Order::Continue)
}

fn system_reset(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    order(context, Order::Reset)
}

fn system_powerdown(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    order(context, Order::PowerDown)
}

fn quit(context: &CommandContext<'_>, _: &str) -> Result<String, CommandError> {
    order(context, Order::Quit)
}

line_command!("stop", "", "stop the processors", stop);
line_command!("cont", "", "let the processors go on", cont);
line_command!("system_reset", "", "start the machine over", system_reset);
line_command!("system_powerdown", "", "press the power button", system_powerdown);
line_command!("quit", "", "end the VM", quit);
