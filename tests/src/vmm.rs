//! Starting a monitor.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::{finished::Finished, palisade, running::Running, terminal::Terminal};

/// A monitor to be started: program and arguments.
#[derive(Clone, Debug)]
pub struct Vmm {
    program: PathBuf,
    arguments: Vec<OsString>,
    folder: Option<PathBuf>,
    user: Option<u32>,
}

impl Vmm {
    /// The program `palisade` with these arguments.
    pub fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::of(palisade(), arguments)
    }

    /// Another program with these arguments.
    pub fn of<A: AsRef<OsStr>>(
        program: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        Self {
            program: program.as_ref().to_owned(),
            arguments: arguments.collect(),
            folder: None,
            user: None,
        }
    }

    /// `palisade` with arguments separated by blanks, none of which has one inside.
    pub fn line(arguments: &str) -> Self {
        Self::new(arguments.split_whitespace())
    }

    /// Further arguments, separated by blanks.
    #[must_use]
    pub fn and(mut self, arguments: &str) -> Self {
        self.arguments.extend(arguments.split_whitespace().map(OsString::from));
        self
    }

    /// Further arguments as they are.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// The kernel in that file.
    #[must_use]
    pub fn kernel(self, file: impl AsRef<OsStr>) -> Self {
        self.args([OsStr::new("-kernel"), file.as_ref()])
    }

    /// A monitor for programs, which listens there.
    #[must_use]
    pub fn monitor(self, socket: &Path) -> Self {
        self.args(["-qmp".into(), format!("unix:{},server=on,wait=off", socket.display())])
    }

    /// Starts it in that folder, so that file names are as a user would write them.
    #[must_use]
    pub fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Starts it as another user, which only root can.
    #[must_use]
    pub fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(user) = self.user {
            use std::os::unix::process::CommandExt;
            command.uid(user).gid(user);
        }
        command
    }

    /// Starts it with a pipe for each of its three streams.
    pub fn start(&self) -> Running {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{self}: {error}"));
        Running::new(self.to_string(), child)
    }

    /// Starts it and takes nothing of its standard output, until it can write no more.
    pub fn start_unread(&self) -> Running {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{self}: {error}"));
        let unread = child.stdout.take().expect("standard output is a pipe");
        Running::unread(self.to_string(), child, unread)
    }

    /// Starts it with a standard error that is full from the start, and that nobody reads.
    pub fn start_unheard(&self) -> Running {
        let (unheard, full) = std::io::pipe().expect("there are descriptors");
        let flags = fcntl_getfl(&full).expect("it is open");
        fcntl_setfl(&full, flags | OFlags::NONBLOCK).expect("it is ours");
        while (&full).write(&[b'.'; 4096]).is_ok() {}
        fcntl_setfl(&full, flags).expect("it is ours");
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(full);
        let child = command.spawn().unwrap_or_else(|error| panic!("{self}: {error}"));
        Running::unheard(self.to_string(), child, unheard)
    }

    /// Starts it with a terminal for standard input and output.
    pub fn start_on(&self, terminal: &Terminal) -> Running {
        let mut command = self.command();
        command.stdin(terminal.end()).stdout(terminal.end()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{self}: {error}"));
        Running::on(self.to_string(), child, terminal)
    }

    /// Starts it, with nothing to read, and waits until it ends.
    pub fn run(&self) -> Finished {
        let mut running = self.start();
        running.end_input();
        running.finish()
    }
}

/// What would be typed.
impl fmt::Display for Vmm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.file_name().unwrap_or_default().display())?;
        for argument in &self.arguments {
            write!(f, " {:?}", argument.display().to_string())?;
        }
        Ok(())
    }
}
