//! The `file` probe: whether a file is there, what it says, how old and how large it is.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::json::Paths;
use super::{Compiling, Keys, Look, Probe, ProbeKind, keyed, measure, parsed, paths};
use crate::diag::Diagnostic;
use crate::model::{Found, Kind, Measures, Observation, Value};
use crate::shape::{Object, Shape, field};
use crate::sys::policy::Touch;
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "file",
    summary: "a file or a glob: there or not, content, size, age, mode, digest",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: &[
        measure("exists", Kind::Bool, "Whether there is a file; of a glob, whether it matches any."),
        measure("text", Kind::Text, "The content, of at most 1 MiB."),
        keyed("json", Kind::Json, Keys::JsonPath, "The value at a JSONPath in the parsed content."),
        measure("size", Kind::Size, "The size in bytes."),
        measure("age", Kind::Duration, "The time since the last change of the content."),
        measure("mode", Kind::Text, "The permissions in octal: 0644."),
        measure("sha256", Kind::Text, "The SHA-256 digest of the content in hexadecimal."),
        measure("count", Kind::Number, "How many files the path or the glob stands for."),
    ],
    speaks_for_itself: false,
    compile,
};

static OBJECT: Object = Object {
    name: "a file",
    fields: &[
        field("path", Shape::Template, "The file or a glob."),
        field(
            "format",
            Shape::Word(parsed::FORMATS),
            "How the content is read for `json`; by the name's ending if it is left out.",
        ),
        field("secrets", Shape::Any, "Not built yet."),
        field("pii", Shape::Any, "Not built yet."),
    ],
    open: false,
};

const MANUAL: &str = "\
Looks at a file. `json` reads YAML, JSON, TOML, `.env` and INI files and takes values out of them by JSONPath.

A file that is not there is measured: `exists` is false, and everything else is missing, which fails unless `absent` \
is expected. A file that may not be read, or a folder on the way that may not be entered, is an *error*: nothing is \
known. Content that cannot be parsed, or is larger than 1 MiB, gives no data, and so does `json` of a file that is not \
there: no field is absent from what was not read. Of a glob, `exists` and `count` are measured; the other measures \
need it to match exactly one file and are *no data* otherwise. A folder counts as being there and has no content.

```yaml
- name: The runbook is there
  file: docs/runbook.md
  expect: exists

- name: The image is pinned
  file: deploy/values.yaml
  expect: { json: { $.image.tag: { matches: '^\\d+\\.\\d+\\.\\d+$' } } }

- name: The last backup is fresh
  file: { path: '/backup/{{ inputs.service }}-latest.tar.gz' }
  expect: { age: '< 24h', size: '> 1MiB' }
```
";

/// The largest content that is kept or parsed.
const MAX_CONTENT: u64 = 1 << 20;

#[derive(Clone)]
struct Spec {
    path: Template,
    format: Option<String>,
    json: Paths,
    text: bool,
    digest: bool,
}

struct FileProbe(Spec);

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    if let Some((key, _)) = ["secrets", "pii"].iter().find_map(|key| node.entry(key)) {
        let message = format!("the detector {} is not built yet", key.text().unwrap_or_default());
        compiling.reading.say(Diagnostic::error("not-yet", key.span, message));
        return None;
    }
    let written = match node.map() {
        Some(_) => node.get("path"),
        None => Some(node),
    };
    let Some(written) = written else {
        compiling.reading.say(Diagnostic::error("missing-key", node.span, "a file needs a path"));
        return None;
    };
    let path = compiling.reading.template(written, Place::Plain)?;
    let fault = match path.source().trim() {
        "" => Some("the path is empty".to_owned()),
        text if path.is_literal() && paths::is_glob(text) => {
            paths::check(text).err().map(|error| format!("bad glob: {error}"))
        }
        _ => None,
    };
    if let Some(message) = fault {
        compiling.reading.say(Diagnostic::error("bad-glob", written.span, message));
        return None;
    }
    let json = Paths::of(compiling.wants);
    if let Some(message) = json.fault() {
        compiling.reading.say(Diagnostic::error("bad-jsonpath", node.span, message));
        return None;
    }
    Some(Box::new(FileProbe(Spec {
        path,
        format: node.get("format").and_then(Node::text).map(str::to_owned),
        json,
        text: compiling.wants.any("text"),
        digest: compiling.wants.any("sha256"),
    })))
}

/// Tells a look on another thread that nobody waits any more.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Probe for FileProbe {
    fn describe(&self) -> String {
        format!("look at the file {}", self.0.path.source())
    }

    fn touches(&self, scope: &Scope) -> Vec<Touch> {
        self.0.path.render(scope).map(|path| Touch::of_files(&path)).into_iter().collect()
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let path = match self.0.path.render(look.scope) {
            Ok(path) => path,
            Err(error) => return Observation::new(self.describe(), Found::refused(error.to_string())),
        };
        let (spec, now) = (self.0.clone(), look.world.clock.now());
        let cancel = Cancel(Arc::default());
        let (flag, asked, policy) = (Arc::clone(&cancel.0), path.clone(), Arc::clone(&look.world.policy));
        let _busy = look.world.clock.busy();
        let found = tokio::task::spawn_blocking(move || {
            let files = find(&asked, &flag);
            // Whether a file is there is told only of what may be read.
            match policy.allow_files(&asked, files.as_deref().unwrap_or_default()) {
                Ok(()) => Ok(files.and_then(|files| spec.look(&files, now, &flag))),
                Err(refusal) => Err(refusal),
            }
        });
        let found = match found.await.map(|judged| judged.map_err(|refusal| Found::refused(refusal.message))) {
            Ok(Err(refused)) => refused,
            Ok(Ok(Ok(measures))) => Found::Measures(measures),
            Ok(Ok(Err(cause))) => Found::could_not_look(cause),
            Err(error) => Found::could_not_look(format!("the look broke off: {error}")),
        };
        Observation::new(path, found)
    }
}

impl Spec {
    fn look(&self, found: &[PathBuf], now: DateTime<Utc>, flag: &AtomicBool) -> Result<Measures, String> {
        let mut measures = Measures::new();
        measures.plain("exists", Value::Bool(!found.is_empty()));
        measures.plain("count", Value::Number(found.len() as f64));
        match found {
            [] => self.none(&mut measures, "no such file", Value::Missing),
            [one] => self.one(&mut measures, one, now, flag)?,
            many => self.none(&mut measures, &format!("{} files match, and not one", many.len()), Value::NoData),
        }
        Ok(measures)
    }

    /// Says of every measure but `exists` and `count` that there is none; what stands in a file that is not read
    /// nobody knows.
    fn none(&self, measures: &mut Measures, why: &str, value: fn(String) -> Value) {
        for name in ["text", "size", "age", "mode", "sha256"] {
            measures.plain(name, value(why.to_owned()));
        }
        self.json.measure("the file", Err(Value::NoData(why.to_owned())), measures);
    }

    fn one(&self, measures: &mut Measures, path: &Path, now: DateTime<Utc>, flag: &AtomicBool) -> Result<(), String> {
        let meta = std::fs::metadata(path).map_err(|e| cause(path, &e))?;
        let changed = DateTime::<Utc>::from(meta.modified().map_err(|e| cause(path, &e))?);
        measures.plain("age", Value::Number((now - changed).as_seconds_f64()));
        measures.plain("mode", Value::Text(format!("{:04o}", meta.permissions().mode() & 0o7777)));
        if !meta.is_file() {
            let why = if meta.is_dir() { "it is a folder" } else { "it is no regular file" };
            for name in ["text", "size", "sha256"] {
                measures.plain(name, Value::Missing(why.into()));
            }
            self.json.measure("the file", Err(Value::NoData(why.into())), measures);
            return Ok(());
        }
        measures.plain("size", Value::Number(meta.len() as f64));
        if self.text || !self.json.is_empty() {
            self.content(measures, path, &meta)?;
        }
        if self.digest {
            measures.plain("sha256", Value::Text(digest(path, flag)?));
        }
        Ok(())
    }

    fn content(&self, measures: &mut Measures, path: &Path, meta: &Metadata) -> Result<(), String> {
        let mut bytes = Vec::new();
        open(path)?.take(MAX_CONTENT + 1).read_to_end(&mut bytes).map_err(|e| cause(path, &e))?;
        let text = match bytes.len() as u64 > MAX_CONTENT {
            true => Err(format!("the file has {} bytes; at most {MAX_CONTENT} are read", meta.len())),
            false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        };
        if !self.json.is_empty() {
            let document = text.clone().and_then(|text| parsed::parse(&text, self.format.as_deref(), path));
            self.json.measure("the file", document.map_err(Value::NoData), measures);
        }
        measures.plain("text", text.map_or_else(Value::NoData, Value::Text));
        Ok(())
    }
}

/// Finds the files that a path or a glob stands for.
fn find(path: &str, flag: &AtomicBool) -> Result<Vec<PathBuf>, String> {
    let plain = Path::new(path);
    match std::fs::metadata(plain) {
        Ok(_) => Ok(vec![plain.to_owned()]),
        Err(_) if paths::is_glob(path) => paths::matching(path, flag),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(cause(plain, &error)),
    }
}

fn cause(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!("no permission to read {}", path.display()),
        _ => format!("cannot read {}: {error}", path.display()),
    }
}

/// Opens a file; one that became a FIFO meanwhile does not hold the look up.
fn open(path: &Path) -> Result<File, String> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| cause(path, &e))?;
    match file.metadata().map_err(|e| cause(path, &e))?.is_file() {
        true => Ok(file),
        false => Err(format!("{} is no regular file", path.display())),
    }
}

fn digest(path: &Path, flag: &AtomicBool) -> Result<String, String> {
    let file = open(path)?;
    let size = file.metadata().map_err(|e| cause(path, &e))?.len();
    let mut reader = file.take(size);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        if flag.load(Ordering::Relaxed) {
            return Err("nobody waits for it any more".into());
        }
        match reader.read(&mut buffer).map_err(|e| cause(path, &e))? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
