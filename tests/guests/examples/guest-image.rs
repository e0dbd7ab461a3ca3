//! Writes a guest that says what it is given: `guest-image FILE TEXT`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(text)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: guest-image FILE TEXT");
        return ExitCode::from(2);
    };
    let written = guests::hello(&text)
        .map_err(|error| error.to_string())
        .and_then(|image| std::fs::write(file, image).map_err(|error| error.to_string()));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-image: {error}");
            ExitCode::FAILURE
        }
    }
}
