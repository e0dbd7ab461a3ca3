//! The least server there can be: reads lines from its client on a Unix socket and answers each
//! with the same bytes, which is what a round trip costs without anything being done for it.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    process::ExitCode,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), Some(answer), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: ping-pong SOCKET ANSWER");
        return ExitCode::from(2);
    };
    let serve = || -> std::io::Result<()> {
        let (client, _) = UnixListener::bind(path)?.accept()?;
        let mut answer = answer.as_encoded_bytes().to_vec();
        answer.extend(b"\r\n");
        let mut lines = BufReader::new(&client);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            line.clear();
            (&client).write_all(&answer)?;
        }
        Ok(())
    };
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ping-pong: {error}");
            ExitCode::FAILURE
        }
    }
}
