//! Keys and agents of OpenSSH itself, made for one test and gone with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use holdpoint::signoff::sign::Signer;

/// A folder with keys.
pub(crate) struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Makes a key of a kind, `ed25519` or `rsa:3072`, and returns the file of its private half.
    pub(crate) fn make(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        let path = self.path(name);
        let ecdsa = kind.starts_with("ecdsa") && passphrase.is_empty();
        let (kind, bits) = kind.split_once(':').unwrap_or((kind, ""));
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"]).arg(&path);
        if !bits.is_empty() {
            command.args(["-b", bits]);
        }
        // Few rounds of the slow hash: the tests make many keys.
        let made = command.args(["-a", "4"]).stdin(Stdio::null()).output().expect("ssh-keygen");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // Some ECDSA keys are written in a way that is refused with a message of its own: another one is made.
        let text = std::fs::read_to_string(&path).expect("a key");
        if ecdsa && Signer::of_private_key(&text, &mut || None).is_err() {
            std::fs::remove_file(&path).expect("a file");
            let full = if bits.is_empty() { kind.to_owned() } else { format!("{kind}:{bits}") };
            return self.make(name, &full, passphrase);
        }
        path
    }

    /// Returns the kind and the base64 of a key, as a line of allowed signers wants them.
    pub(crate) fn public(&self, name: &str) -> String {
        let line = std::fs::read_to_string(self.path(&format!("{name}.pub"))).expect("a public key");
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Makes a key for a person and returns their line in the file of allowed signers.
    pub(crate) fn person(&self, principal: &str) -> String {
        self.make(principal, "ed25519", "");
        format!("{principal} {}\n", self.public(principal))
    }

    /// Runs ssh-keygen with a text on stdin.
    pub(crate) fn keygen(&self, args: &[&str], stdin: &str, zone: &str) -> Output {
        let mut command = Command::new("ssh-keygen");
        command.args(args).current_dir(self.folder.path()).env("TZ", zone);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ssh-keygen");
        // It may have said no before it read.
        let _ = child.stdin.take().expect("stdin").write_all(stdin.as_bytes());
        child.wait_with_output().expect("an end")
    }
}

/// An agent that ends with the test.
pub(crate) struct RunningAgent {
    child: Child,
    pub(crate) socket: PathBuf,
}

impl RunningAgent {
    pub(crate) fn start(folder: &Path) -> Self {
        let socket = folder.join("agent.sock");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("ssh-agent");
        let begin = Instant::now();
        while !socket.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the agent does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, socket }
    }

    pub(crate) fn add(&self, key: &Path) {
        let added = self.ssh_add(&[&key.display().to_string()]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }

    pub(crate) fn ssh_add(&self, args: &[&str]) -> Output {
        let mut command = Command::new("ssh-add");
        command.args(args).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::null()).output().expect("ssh-add")
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
