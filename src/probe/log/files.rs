//! Log files: opened anew at every look, regular ones only, and watched for what happens to them meanwhile.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::probe::paths;

/// A log file as it was when it was opened.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Its size then: what is added later belongs to the next look.
    size: u64,
    inode: (u64, u64),
    regular: bool,
}

/// Lists the files that a path, a folder or a glob stands for; never none.
pub(super) fn list(path: &str, cancelled: &AtomicBool) -> Result<Vec<PathBuf>, String> {
    let plain = Path::new(path);
    match std::fs::metadata(plain) {
        Ok(meta) if meta.is_dir() => match paths::of_folder(plain)? {
            files if files.is_empty() => Err(format!("the folder {path} holds no file")),
            files => Ok(files),
        },
        Ok(_) => Ok(vec![plain.to_owned()]),
        Err(_) if paths::is_glob(path) => match paths::matching(path, cancelled)? {
            files if files.is_empty() => Err(format!("no file matches {path}")),
            files => Ok(files),
        },
        Err(error) => Err(cause(plain, &error)),
    }
}

fn cause(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no file {}", path.display()),
        std::io::ErrorKind::PermissionDenied => format!("no permission to read {}", path.display()),
        _ => format!("cannot read {}: {error}", path.display()),
    }
}

impl LogFile {
    /// Opens a file. What is no regular file never ends, so it is only read up to a limit.
    pub(super) fn open(path: &Path, limit: Option<u64>) -> Result<Self, String> {
        // A FIFO without a writer would hold the opening up; this way it does not.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| cause(path, &e))?;
        let meta = file.metadata().map_err(|e| cause(path, &e))?;
        let regular = meta.is_file();
        if !regular && (limit.is_none() || !meta.file_type().is_char_device()) {
            let what = what(&meta);
            return Err(format!("{} is {what}; only regular files are read", path.display()));
        }
        let size = if regular { meta.len() } else { limit.unwrap_or(0) };
        Ok(Self { path: path.to_owned(), file, size, inode: (meta.dev(), meta.ino()), regular })
    }

    /// Returns the size that will be read.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns a reader of what the file held when it was opened, at most `limit` bytes of it.
    pub(super) fn reader(&self, limit: Option<u64>) -> std::io::Result<Box<dyn Read + Send>> {
        let file = self.file.try_clone()?;
        Ok(Box::new(file.take(limit.map_or(self.size, |limit| limit.min(self.size)))))
    }

    /// Skips what stands before the last `bytes`, unless the file is packed. Tells whether anything was skipped.
    pub(super) fn skip_to_last(&mut self, bytes: u64) -> std::io::Result<bool> {
        let mut head = Vec::new();
        (&self.file).take(4).read_to_end(&mut head)?;
        self.file.rewind()?;
        let packed = matches!(
            head.as_slice(),
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] | [0xff, 0xfe, ..] | [0xfe, 0xff, ..]
        );
        if packed || !self.regular || self.size <= bytes {
            return Ok(false);
        }
        self.file.seek(SeekFrom::Start(self.size - bytes))?;
        self.size = bytes;
        Ok(true)
    }

    /// Tells what happened to the file while it was read: an error when something of it was lost, else remarks.
    pub(super) fn afterwards(&self) -> Result<Option<String>, String> {
        let name = self.path.display();
        if !self.regular {
            return Ok(None);
        }
        let mut file = &self.file;
        let at = file.stream_position().map_err(|e| cause(&self.path, &e))?;
        let now = self.file.metadata().map_err(|e| cause(&self.path, &e))?;
        if now.len() < at || now.len() < self.size {
            return Err(format!("{name} was cut from {} to {} bytes while it was read", self.size, now.len()));
        }
        Ok(match std::fs::metadata(&self.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == self.inode => None,
            Ok(_) => Some(format!("{name} was replaced while it was read; the file that was there before was read")),
            Err(_) => Some(format!("{name} was removed while it was read; it was read to its end all the same")),
        })
    }
}

fn what(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    match () {
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () if kind.is_dir() => "a folder",
        () => "no regular file",
    }
}
