//! A small sample service inside the process, for the demo and for tests: something real to look at.
//!
//! It answers on loopback (`/health`, `/ready`, `/version`, `/api/orders`, `/metrics`), handles made-up traffic, so
//! that its metrics grow as those of a real service, and writes logs. [`Flaws`] say what is wrong with it; they can
//! be switched while it runs, from inside or by `POST /admin/flaws`.
//!
//! It stands for the outside world and so uses sockets, files and the wall clock by itself.

mod flaws;
mod http;
mod logs;
mod metrics;
mod traffic;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use flaws::Flaws;

use traffic::Traffic;

/// How often made-up requests are handled.
const BEAT: Duration = Duration::from_millis(100);

/// How many beats of traffic have happened when the service starts: two minutes' worth.
const HISTORY: i32 = 1200;

/// The running service. Dropping it stops it and removes the folder that it made.
pub struct Service {
    address: SocketAddr,
    log_path: PathBuf,
    events_path: PathBuf,
    own_folder: Option<PathBuf>,
    shared: Shared,
    tasks: JoinSet<()>,
}

/// What the tasks of the service share.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Traffic>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Traffic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Starts the service on a free port of 127.0.0.1. Its logs go to `folder`, or to a new temporary one.
    ///
    /// # Errors
    /// Says why the port or the files could not be opened.
    pub async fn start(flaws: Flaws, folder: Option<&Path>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (folder, own_folder) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let folder = temporary_folder(address.port())?;
                (folder.clone(), Some(folder))
            }
        };
        let (log_path, events_path) = (folder.join("service.log"), folder.join("events.jsonl"));
        let mut traffic = Traffic::new(flaws, Utc::now());
        let shared = {
            (1..=HISTORY).rev().for_each(|ago| traffic.beat(Utc::now() - BEAT * ago.unsigned_abs()));
            Shared(Arc::new(Mutex::new(traffic)))
        };
        let mut service = Self { address, log_path, events_path, own_folder, shared, tasks: JoinSet::new() };
        let mut writer = logs::Writer::open(&service.log_path, &service.events_path).await?;
        let history = service.shared.lock().take_lines();
        writer.write(history).await?;
        service.tasks.spawn(live(service.shared.clone(), writer));
        service.tasks.spawn(http::serve(listener, service.shared.clone()));
        Ok(service)
    }

    /// Returns the beginning of its URLs: `http://127.0.0.1:40123`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its log: plain lines, and JSON lines among them.
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Returns its log of business events: JSON lines alone.
    pub fn events_path(&self) -> &Path {
        &self.events_path
    }

    /// Returns what is wrong with it.
    pub fn flaws(&self) -> Flaws {
        self.shared.lock().flaws()
    }

    /// Breaks or mends it while it runs. What its logs said already stays there.
    pub fn set_flaws(&self, flaws: Flaws) {
        self.shared.lock().set_flaws(flaws, Utc::now());
    }

    /// Stops the service and waits until its port is free.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.tasks.abort_all();
        if let Some(folder) = &self.own_folder {
            // A folder that cannot be removed is a temporary one still.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Lets the traffic flow and writes down what it says.
async fn live(shared: Shared, mut writer: logs::Writer) {
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let lines = {
            let mut traffic = shared.lock();
            traffic.beat(Utc::now());
            traffic.take_lines()
        };
        if writer.write(lines).await.is_err() {
            // Its folder is gone or full: the service goes on without a log, as a real one would.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Makes a new folder that nobody else may read.
fn temporary_folder(port: u16) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let start = Utc::now().timestamp_nanos_opt().unwrap_or_default();
    for n in 0..16 {
        let folder = std::env::temp_dir().join(format!("holdpoint-demo-{}-{port}-{:x}", std::process::id(), start + n));
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
