//! A real nginx on a free port of loopback, stopped with its owner.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running nginx.
pub(crate) struct Nginx {
    child: Child,
    folder: TempDir,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// Its port.
    pub(crate) port: u16,
}

impl Nginx {
    /// Starts one whose server block holds `locations`; nothing when nginx is not installed.
    pub(crate) fn start(locations: &str) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|p| Path::new(p).exists())?;
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let home = folder.path().display();
        let config = format!(
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid {home}/pid;\nerror_log {home}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{\n access_log off;\n client_body_temp_path {home}/body;\n proxy_temp_path {home}/proxy;\n\
             fastcgi_temp_path {home}/fastcgi;\n uwsgi_temp_path {home}/uwsgi;\n scgi_temp_path {home}/scgi;\n\
             server {{\n listen 127.0.0.1:{port};\n root {home}/www;\n{locations}\n }}\n}}\n"
        );
        fs::create_dir(folder.path().join("www")).expect("a folder");
        fs::write(folder.path().join("nginx.conf"), config).expect("a configuration");
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let nginx = Self { child, folder, url: format!("http://127.0.0.1:{port}"), port };
        nginx.wait();
        Some(nginx)
    }

    /// Puts a file under its root.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join("www").join(name), content).expect("a file");
    }

    fn wait(&self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(10), "nginx does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds a port that nobody uses at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
