//! A mail server that takes what it is sent, or refuses it as a test says: RFC 5321, STARTTLS (RFC 3207), AUTH PLAIN
//! (RFC 4954).

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// How connections are kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Not at all, and it is not offered.
    None,
    /// STARTTLS is offered.
    StartTls,
    /// From the beginning.
    Tls,
}

/// What a server was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// The commands of all sessions, in order; behind `TLS ` those that came over TLS.
    pub(crate) commands: Vec<String>,
    /// The mails that were taken.
    pub(crate) mails: Vec<String>,
}

/// A running server.
pub(crate) struct Smtp {
    port: u16,
    heard: Arc<Mutex<Heard>>,
    folder: TempDir,
}

struct Post {
    secrecy: Secrecy,
    config: Arc<ServerConfig>,
    /// What it answers to DATA's end, one after the other; then 250.
    answers: Mutex<VecDeque<String>>,
    heard: Arc<Mutex<Heard>>,
}

impl Smtp {
    /// Starts a server that answers mails with these lines, one after the other, and takes those that come after.
    pub(crate) fn start(secrecy: Secrecy, answers: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).expect("a file");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config =
            config.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let answers = Mutex::new(answers.iter().map(|answer| (*answer).to_owned()).collect());
        let post = Arc::new(Post { secrecy, config: Arc::new(config), answers, heard: Arc::clone(&heard) });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let post = Arc::clone(&post);
                std::thread::spawn(move || post.serve(stream));
            }
        });
        Self { port, heard, folder }
    }

    /// Returns host and port.
    pub(crate) fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Returns the file of the authority to trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns what was heard so far.
    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().expect("no panic").clone()
    }
}

impl Post {
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
        if self.secrecy == Secrecy::Tls {
            return self.over_tls(stream, true);
        }
        if self.session(&mut stream, false, true) {
            self.over_tls(stream, false);
        }
    }

    fn over_tls(&self, stream: TcpStream, greet: bool) {
        let Ok(connection) = ServerConnection::new(Arc::clone(&self.config)) else { return };
        self.session(&mut StreamOwned::new(connection, stream), true, greet);
    }

    /// Talks until the client goes, or wants TLS.
    fn session(&self, stream: &mut (impl Read + Write), tls: bool, greet: bool) -> bool {
        if greet && stream.write_all(b"220 localhost ready\r\n").is_err() {
            return false;
        }
        loop {
            // Without buffering ahead: what comes behind STARTTLS belongs to TLS.
            let Some(line) = line(stream) else { return false };
            let shown = if tls { format!("TLS {line}") } else { line.clone() };
            self.heard.lock().expect("no panic").commands.push(shown);
            let word = line.split(' ').next().unwrap_or_default().to_uppercase();
            let answer = match word.as_str() {
                "EHLO" if self.secrecy == Secrecy::StartTls && !tls => {
                    "250-localhost\r\n250-STARTTLS\r\n250 AUTH PLAIN"
                }
                "EHLO" => "250-localhost\r\n250 AUTH PLAIN",
                "STARTTLS" => "220 go on",
                "AUTH" if line.ends_with("AG1lAHMzY3JldC1wdw==") => "235 welcome",
                "AUTH" => "535 5.7.8 wrong user or password",
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            if stream.write_all(format!("{answer}\r\n").as_bytes()).and_then(|()| stream.flush()).is_err() {
                return false;
            }
            match word.as_str() {
                "STARTTLS" => return true,
                "QUIT" => return false,
                "DATA" => {
                    let Some(mail) = mail(stream) else { return false };
                    let answer = self.answers.lock().expect("no panic").pop_front();
                    if answer.is_none() {
                        self.heard.lock().expect("no panic").mails.push(mail);
                    }
                    let answer = answer.unwrap_or_else(|| "250 taken".to_owned());
                    let _ = stream.write_all(format!("{answer}\r\n").as_bytes()).and_then(|()| stream.flush());
                }
                _ => {}
            }
        }
    }
}

fn line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        line.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn mail(stream: &mut impl Read) -> Option<String> {
    let mut lines = Vec::new();
    loop {
        match line(stream)?.as_str() {
            "." => return Some(unfolded(&lines.join("\n"))),
            text => lines.push(text.to_owned()),
        }
    }
}

/// Decodes a body in quoted-printable or base64, as the header says.
fn unfolded(mail: &str) -> String {
    let Some((head, body)) = mail.split_once("\n\n") else { return mail.to_owned() };
    if head.to_lowercase().contains("content-transfer-encoding: base64") {
        let joined: String = body.lines().collect();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, joined).expect("base64");
        return format!("{head}\n\n{}", String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
    }
    if !head.to_lowercase().contains("quoted-printable") {
        return mail.to_owned();
    }
    let mut bytes = Vec::new();
    for line in BufReader::new(body.as_bytes()).lines().map_while(Result::ok) {
        let (text, soft) = line.strip_suffix('=').map_or((line.as_str(), false), |text| (text, true));
        let mut rest = text;
        while let Some(at) = rest.find('=') {
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            let code = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(code.expect("a code"));
            rest = &rest[at + 3..];
        }
        bytes.extend_from_slice(rest.as_bytes());
        if !soft {
            bytes.push(b'\n');
        }
    }
    format!("{head}\n\n{}", String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}
