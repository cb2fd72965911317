//! One question to a program that listens on a Unix socket, in frames with their length before them, as an `ssh-agent`
//! wants it. What the frames say is not known here.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The longest answer that is taken, in bytes, as in OpenSSH.
const LONGEST: usize = 256 * 1024;

/// Sends one message and returns the answer. Blocks, at most `patience` for each read and write.
///
/// # Errors
/// Nobody listens, the answer does not come in time, or it is too long.
pub fn ask(socket: &Path, message: &[u8], patience: Duration) -> Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let length = u32::try_from(message.len()).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(Error::new(ErrorKind::InvalidData, format!("an answer of {length} bytes, more than {LONGEST}")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
