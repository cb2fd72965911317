//! The files that the sample service writes.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::traffic::Lines;

/// A log that has grown to so many bytes is renamed and begun anew.
const ROTATE_AT: u64 = 16 * 1024 * 1024;

/// Writes the log and the events.
pub(super) struct Writer {
    log: Growing,
    events: Growing,
}

struct Growing {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Writer {
    pub(super) async fn open(log: &Path, events: &Path) -> io::Result<Self> {
        Ok(Self { log: Growing::open(log).await?, events: Growing::open(events).await? })
    }

    pub(super) async fn write(&mut self, lines: Lines) -> io::Result<()> {
        self.log.write(&lines.log).await?;
        self.events.write(&lines.events).await
    }
}

impl Growing {
    async fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).await?;
        Ok(Self { path: path.to_owned(), size: file.metadata().await?.len(), file })
    }

    async fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.size > ROTATE_AT {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            tokio::fs::rename(&self.path, old).await?;
            *self = Self::open(&self.path.clone()).await?;
        }
        self.file.write_all(text.as_bytes()).await?;
        self.size += text.len() as u64;
        self.file.flush().await
    }
}
