//! A server of this machine behind a socket file: what comes in at the file is handed to a port on loopback and back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

/// A socket file with a server behind it.
pub(crate) struct Socket {
    folder: TempDir,
    stop: Arc<AtomicBool>,
}

impl Socket {
    /// Opens a socket file in front of a port.
    pub(crate) fn before(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("engine.sock")).expect("a socket");
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(far) = TcpStream::connect(address) {
                    join(near, far);
                }
            }
        });
        Self { folder, stop }
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(self.path());
    }
}

/// Hands on what either side says until it ends.
fn join(near: UnixStream, far: TcpStream) {
    let (Ok(near_in), Ok(far_in)) = (near.try_clone(), far.try_clone()) else { return };
    thread::spawn(move || {
        pass(near_in, &far);
        let _ = far.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        pass(far_in, &near);
        let _ = near.shutdown(Shutdown::Both);
    });
}

fn pass(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}
