//! A TLS connection over a socket. Nothing here waits, and one call does a bounded part of what a
//! peer may ask for.

use std::{
    fmt,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use device_model::prelude::Mutex;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use rustls::Connection;

/// Times that one call takes something from the socket, at most.
const MOST_ROUNDS: usize = 16;

/// Bytes that become one record (RFC 8446, section 5.1).
const MOST_IN_RECORD: usize = 1 << 14;

/// What a handshake waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing: it is over.
    Done,
    /// That the peer sends something.
    Input,
    /// That the peer takes something.
    Output,
}

/// A connection. It owns its socket.
pub(crate) struct TlsStream {
    socket: OwnedFd,
    session: Mutex<Session>,
}

/// The state of a connection. Its memory is bounded: nothing is taken from the socket while there are
/// bytes that nobody has read, and nothing is encrypted while there is something unsent.
struct Session {
    connection: Connection,
    /// Bytes that were decrypted and have not been read.
    plain: usize,
    /// Whether nothing more comes.
    ended: bool,
    /// Whether nothing more can be sent.
    closed: bool,
}

/// A socket, as what encrypts and decrypts reads and writes it.
struct Wire<'a>(BorrowedFd<'a>);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0, buffer, RecvFlags::DONTWAIT).map(|(_, length)| length)?)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Session {
    /// Sends what is encrypted.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if the socket does not take all of it now.
    fn flush(&mut self, wire: &mut Wire<'_>) -> Result<(), Errno> {
        while self.connection.wants_write() && !self.closed {
            match self.connection.write_tls(wire) {
                Ok(0) => return Err(Errno::AGAIN),
                Ok(_) => {}
                Err(error) => match errno(&error) {
                    Errno::INTR => {}
                    Errno::AGAIN => return Err(Errno::AGAIN),
                    error => {
                        self.closed = true;
                        return Err(error);
                    }
                },
            }
        }
        if self.closed { Err(Errno::PIPE) } else { Ok(()) }
    }

    /// Takes something from the socket and decrypts it.
    fn receive(&mut self, wire: &mut Wire<'_>) -> Result<(), ReceiveError> {
        match self.connection.read_tls(wire) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) => {
                let error = errno(&error);
                self.ended |= !matches!(error, Errno::AGAIN | Errno::INTR);
                return Err(ReceiveError::Socket(error));
            }
        }
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.plain = state.plaintext_bytes_to_read();
                self.ended |= state.peer_has_closed();
                // That part of it can't be sent now is no reason not to read.
                let _ = self.flush(wire);
                Ok(())
            }
            Err(error) => {
                self.ended = true;
                // So that the peer learns why.
                let _ = self.flush(wire);
                Err(ReceiveError::Tls(error))
            }
        }
    }
}

/// Why nothing was received.
enum ReceiveError {
    Socket(Errno),
    Tls(rustls::Error),
}

impl TlsStream {
    /// A connection that has not begun.
    pub(crate) fn new(socket: OwnedFd, connection: Connection) -> Self {
        let session = Session { connection, plain: 0, ended: false, closed: false };
        Self { socket, session: Mutex::new(session) }
    }

    /// Goes on with the handshake, as far as that is possible without waiting.
    ///
    /// # Errors
    /// If the peer has gone, or is not whom it has to be.
    pub(crate) fn advance(&self) -> io::Result<Progress> {
        let mut session = self.session.lock();
        let wire = &mut Wire(self.socket.as_fd());
        for _ in 0..MOST_ROUNDS {
            match session.flush(wire) {
                Ok(()) => {}
                Err(Errno::AGAIN) => return Ok(Progress::Output),
                Err(error) => return Err(error.into()),
            }
            if !session.connection.is_handshaking() {
                return Ok(Progress::Done);
            }
            if session.ended {
                let problem = "the peer ended the connection during the handshake";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
            }
            match session.receive(wire) {
                Ok(()) | Err(ReceiveError::Socket(Errno::INTR)) => {}
                Err(ReceiveError::Socket(Errno::AGAIN)) => return Ok(Progress::Input),
                Err(ReceiveError::Socket(error)) => return Err(error.into()),
                Err(ReceiveError::Tls(error)) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        }
        // There may be more already, of which the socket tells.
        Ok(Progress::Input)
    }

    /// The certificate that the peer showed, in DER; none if it showed none.
    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        let session = self.session.lock();
        let certificates = session.connection.peer_certificates()?;
        certificates.first().map(|certificate| certificate.to_vec())
    }

    /// Reads; 0 bytes are the end.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if there is nothing now.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut session = self.session.lock();
        let wire = &mut Wire(self.socket.as_fd());
        for _ in 0..MOST_ROUNDS {
            match session.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Whoever does not say that it is the end may have been cut off.
                Err(_) => return Err(Errno::CONNRESET),
                Ok(length) => {
                    session.plain = session.plain.saturating_sub(length);
                    return Ok(length);
                }
            }
            match session.receive(wire) {
                Ok(()) => {}
                Err(ReceiveError::Socket(error)) => return Err(error),
                Err(ReceiveError::Tls(_)) => return Err(Errno::PROTO),
            }
        }
        Err(Errno::AGAIN)
    }

    /// Whether there is something to be read of which the kernel does not know.
    pub(crate) fn has_plain(&self) -> bool {
        self.session.lock().plain != 0
    }

    /// Whether everything that came has been read and nothing more will come. Takes from the socket
    /// what is no input for anybody.
    pub(crate) fn is_drained(&self) -> bool {
        let mut session = self.session.lock();
        let wire = &mut Wire(self.socket.as_fd());
        for _ in 0..MOST_ROUNDS {
            if session.plain != 0 {
                return false;
            }
            if session.ended {
                return true;
            }
            if let Err(ReceiveError::Socket(Errno::AGAIN | Errno::INTR)) = session.receive(wire) {
                return false;
            }
        }
        false
    }

    /// Encrypts some of the bytes and sends of them what the socket takes; none, while it has not
    /// taken what came before.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if it takes none now.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut session = self.session.lock();
        let wire = &mut Wire(self.socket.as_fd());
        session.flush(wire)?;
        let bytes = bytes.get(..MOST_IN_RECORD).unwrap_or(bytes);
        let written = session.connection.writer().write(bytes).map_err(|error| errno(&error))?;
        match session.flush(wire) {
            Ok(()) | Err(Errno::AGAIN) => Ok(written),
            Err(error) => Err(error),
        }
    }

    /// Sends what the socket has not taken before.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if it does not take all of it now.
    pub(crate) fn flush(&self) -> Result<(), Errno> {
        self.session.lock().flush(&mut Wire(self.socket.as_fd()))
    }

    /// Whether something is encrypted that the socket has not taken and still may.
    pub(crate) fn has_unsent(&self) -> bool {
        let session = self.session.lock();
        session.connection.wants_write() && !session.closed
    }

    /// Tells the peer that this is the end, if it takes that at once.
    pub(crate) fn say_goodbye(&self) {
        let mut session = self.session.lock();
        session.connection.send_close_notify();
        let _ = session.flush(&mut Wire(self.socket.as_fd()));
        session.closed = true;
    }
}

impl AsFd for TlsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("socket", &self.socket).finish_non_exhaustive()
    }
}
