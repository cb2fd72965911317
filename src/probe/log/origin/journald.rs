//! The journal of systemd, read with its own program: entries of a unit, as JSON, each with its time.
//!
//! The fields of an entry are those of `systemd.journal-fields(7)`, their form in JSON that of
//! <https://systemd.io/JOURNAL_EXPORT_FORMATS/>.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Origin, OriginKind, Sent, Wanted, stamped};
use crate::diag::Diagnostic;
use crate::probe::{Compiling, Look};
use crate::shape::{Object, Shape, field};
use crate::source::Failure;
use crate::sys::process::{self, Capture, End, Invocation};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind.
pub(super) const KIND: OriginKind = OriginKind {
    field: field("journald", SHAPE, "The journal of systemd on this machine, read with journalctl: a unit, or a map."),
    manual: MANUAL,
    compile,
};

const MANUAL: &str = "\
`journald` looks at the journal of systemd on this machine, read with its own program `journalctl`: at the messages of \
a unit, each line with the time at which it was logged, which is no part of the line.

```yaml
- name: The proxy logged no error in the last ten minutes
  log: { journald: zai-proxy.service, since: 10m }
  expect: { matches: { '(?i)error': 0 } }

- name: Nothing grave was logged since the boot
  log: { journald: { unit: zai-proxy.service, identifier: zai-proxy, priority: err, boot: current } }
  expect: { matches: { '.': 0 } }
```

A unit without one entry in the journal is an *error*, for it may be misspelled; one without an entry since the time \
that is asked about has an empty log. It is an error too when journalctl is not there, fails, or says that it could \
not read everything, as it does to users outside the groups `systemd-journal` and `adm`. journalctl only reads and \
gets no option but these, so `--read-only` does not refuse it.
";

const SHAPE: Shape = Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]);

static OBJECT: Object = Object {
    name: "a journal",
    fields: &[
        field("unit", Shape::Template, "The unit whose entries are looked at: `app.service`."),
        field("identifier", Shape::Template, "Only entries of this syslog identifier, often the program's name."),
        field(
            "priority",
            Shape::Word(&["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]),
            "Only entries of this priority or a graver one.",
        ),
        field(
            "boot",
            Shape::Word(&["current", "all"]),
            "Whether entries of earlier boots are left out; all unless given.",
        ),
        field("user", Shape::Bool, "Whether it is a unit of the user's own manager."),
        field("directory", Shape::Template, "A folder of journal files to read instead of this machine's journal."),
    ],
    open: false,
};

/// How much is kept of what the program says of its troubles, in bytes.
const KEEP: usize = 4096;

/// The longest entry that is read, in bytes: one field of an entry has 768 MiB at most, and none that is sane.
const LONGEST: usize = 64 << 20;

/// A part of the journal as the checklist names it.
#[derive(Clone, Debug)]
struct Journal {
    unit: Option<Template>,
    identifier: Option<Template>,
    priority: Option<String>,
    this_boot: bool,
    user: bool,
    directory: Option<Template>,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Origin>> {
    let reading = &mut *compiling.reading;
    let nothing =
        Journal { unit: None, identifier: None, priority: None, this_boot: false, user: false, directory: None };
    if node.map().is_none() {
        let unit = Some(reading.template(node, Place::Plain)?);
        return Some(Box::new(Journal { unit, ..nothing }));
    }
    if node.get("unit").is_none() && node.get("identifier").is_none() {
        let message = "a journal needs a unit or an identifier: whose entries are looked at";
        reading.say(Diagnostic::error("missing-key", node.span, message));
        return None;
    }
    Some(Box::new(Journal {
        unit: reading.template_at(node, "unit", Place::Plain),
        identifier: reading.template_at(node, "identifier", Place::Plain),
        priority: node.get("priority").and_then(Node::text).map(str::to_owned),
        this_boot: node.get("boot").and_then(Node::text) == Some("current"),
        user: node.get("user").and_then(Node::bool).unwrap_or(false),
        directory: reading.template_at(node, "directory", Place::Plain),
    }))
}

#[async_trait]
impl Origin for Journal {
    fn describe(&self) -> String {
        let whose = [&self.unit, &self.identifier].into_iter().flatten().map(Template::source);
        format!("the journal of {}", whose.collect::<Vec<_>>().join(", "))
    }

    fn grace(&self) -> std::time::Duration {
        process::GRACE + std::time::Duration::from_secs(2)
    }

    fn is_stamped(&self) -> bool {
        true
    }

    fn request(&self, look: &Look<'_>, wanted: &Wanted) -> Result<String, Failure> {
        Ok(self.argv(look.scope, wanted)?.join(" "))
    }

    async fn pump(&self, look: &Look<'_>, wanted: &Wanted, to: mpsc::Sender<Bytes>) -> Result<Sent, Failure> {
        let entries = read(look, self.argv(look.scope, wanted)?, wanted, &to).await?;
        // Nothing young enough, or nothing at all: a unit that never wrote anything may not be there.
        let narrowed = wanted.since.is_some() || self.priority.is_some() || self.this_boot;
        if entries == 0 && !to.is_closed() {
            let any = Journal { priority: None, this_boot: false, ..self.clone() };
            let last = Wanted { since: None, tail: Some(1), ..wanted.clone() };
            let (nobody, mut unread) = mpsc::channel(16);
            let asked =
                async { if narrowed { read(look, any.argv(look.scope, &last)?, &last, &nobody).await } else { Ok(0) } };
            let found = tokio::select! {
                found = asked => found?,
                () = async { while unread.recv().await.is_some() {} } => 0,
            };
            if found == 0 {
                return Err(Failure::lasting(format!("there is no entry at all in {}", self.named(look.scope)?)));
            }
        }
        Ok(Sent::default())
    }
}

impl Journal {
    /// Makes the command. Values stand behind `=`, so that none is ever taken as an option.
    fn argv(&self, scope: &Scope, wanted: &Wanted) -> Result<Vec<String>, Failure> {
        let mut argv: Vec<String> =
            ["journalctl", "--no-pager", "--output=json", "--output-fields=MESSAGE", "--all", "--utc"]
                .map(str::to_owned)
                .into();
        if let Some(unit) = &self.unit {
            argv.push(format!("--{}={}", if self.user { "user-unit" } else { "unit" }, fill(unit, scope)?));
        }
        if let Some(identifier) = &self.identifier {
            argv.push(format!("--identifier={}", fill(identifier, scope)?));
        }
        argv.extend(self.priority.as_ref().map(|priority| format!("--priority={priority}")));
        if let Some(directory) = &self.directory {
            argv.push(format!("--directory={}", fill(directory, scope)?));
        }
        if self.this_boot {
            argv.push("--boot".into());
        }
        // Whole seconds: older versions read nothing finer. The scanner leaves out what is too much.
        argv.extend(wanted.since.map(|since| format!("--since=@{}", since.timestamp())));
        argv.extend(wanted.tail.map(|tail| format!("--lines={tail}")));
        Ok(argv)
    }

    fn named(&self, scope: &Scope) -> Result<String, Failure> {
        let whose = [&self.unit, &self.identifier].into_iter().flatten().map(|template| fill(template, scope));
        Ok(format!("the journal of {}", whose.collect::<Result<Vec<_>, _>>()?.join(", ")))
    }
}

fn fill(template: &Template, scope: &Scope) -> Result<String, Failure> {
    template.render(scope).map_err(|error| Failure::lasting(error.to_string()))
}

/// Runs the program and sends its entries as stamped lines. Returns how many entries there were.
async fn read(look: &Look<'_>, argv: Vec<String>, wanted: &Wanted, to: &mpsc::Sender<Bytes>) -> Result<u64, Failure> {
    let env = process::minimal_env(&look.world.env);
    let invocation = Invocation { argv, env, cwd: None, stdin: None, timeout: wanted.timeout, keep: KEEP };
    let (sender, mut pieces) = mpsc::channel::<Bytes>(16);
    let translate = async {
        let mut entries = Entries::default();
        while let Some(piece) = pieces.recv().await {
            let lines = entries.take(&piece)?;
            if !lines.is_empty() && to.send(lines.into()).await.is_err() {
                // The program ends when nobody takes what it prints.
                drop(pieces);
                return Ok(entries.count);
            }
        }
        entries.end()
    };
    let (streamed, entries) = tokio::join!(look.world.stream(&invocation, sender), translate);
    let streamed = streamed.map_err(|error| Failure { cause: error.message, retry: error.retry, short: false })?;
    let said = last_line(&streamed.stderr);
    match (streamed.end, said) {
        (Some(End::TimedOut), _) => {
            Err(Failure::passing("journalctl did not end in time; its process group was ended"))
        }
        (None, _) | (Some(End::Exited(0)), None) => entries.map_err(Failure::lasting),
        // What it says beside the entries is about entries that it could not show.
        (Some(End::Exited(0)), Some(said)) => Err(Failure::lasting(format!("journalctl: {said}"))),
        (Some(End::Exited(code)), said) => {
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            Err(Failure::passing(format!("journalctl ended with exit code {code}{said}")))
        }
        (Some(End::Signalled(signal)), _) => {
            Err(Failure::passing(format!("journalctl was ended by {}", process::signal_name(signal))))
        }
    }
}

fn last_line(stderr: &Capture) -> Option<String> {
    let text = [stderr.head(), stderr.tail()].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // A hint is spread over lines; the first one says what it is about.
    lines.first().map(|line| line.chars().take(400).collect())
}

/// Turns entries, one JSON object a line, into lines with their times.
#[derive(Default)]
struct Entries {
    open: Vec<u8>,
    count: u64,
}

impl Entries {
    fn take(&mut self, piece: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        self.open.extend_from_slice(piece);
        let Some(end) = memchr::memrchr(b'\n', &self.open) else {
            return match self.open.len() > LONGEST {
                true => Err(format!("an entry of the journal has more than {} MiB", LONGEST >> 20)),
                false => Ok(out),
            };
        };
        let rest = self.open.split_off(end + 1);
        let whole = std::mem::replace(&mut self.open, rest);
        for line in whole.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let (at, message) = entry(line)?;
            self.count += 1;
            stamped(&mut out, at, &message);
        }
        Ok(out)
    }

    fn end(self) -> Result<u64, String> {
        match self.open.trim_ascii().is_empty() {
            true => Ok(self.count),
            false => Err("the output of journalctl breaks off in an entry".into()),
        }
    }
}

/// Reads an entry: its time and its message. A message that is not UTF-8 is a list of bytes; one entry may have several.
fn entry(line: &[u8]) -> Result<(DateTime<Utc>, Vec<u8>), String> {
    let unreadable = || "journalctl answered what is no entry of a journal".to_owned();
    let entry: Value = serde_json::from_slice(line).map_err(|_| unreadable())?;
    let time = entry.get("__REALTIME_TIMESTAMP").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let at = time.and_then(DateTime::from_timestamp_micros).ok_or_else(unreadable)?;
    Ok((at, message(entry.get("MESSAGE").unwrap_or(&Value::Null)).ok_or_else(unreadable)?))
}

fn message(value: &Value) -> Option<Vec<u8>> {
    match value {
        // An entry need not have one.
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Array(parts) if parts.iter().all(Value::is_u64) => {
            parts.iter().map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect()
        }
        Value::Array(several) => {
            let all = several.iter().map(message).collect::<Option<Vec<_>>>()?;
            Some(all.join(&b'\n'))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> Result<String, String> {
        let mut entries = Entries::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(entries.take(piece.as_bytes())?);
        }
        entries.end()?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn entries_are_lines_with_their_times_wherever_they_are_cut() {
        let text = concat!(
            r#"{"__REALTIME_TIMESTAMP":"1795199830000001","MESSAGE":"an error"}"#,
            "\n",
            r#"{"__REALTIME_TIMESTAMP":"1795199831000000","MESSAGE":[104,105,10,104,111]}"#,
            "\n",
            r#"{"__REALTIME_TIMESTAMP":"1795199832000000","MESSAGE":["a","b"]}"#,
            "\n",
            r#"{"__REALTIME_TIMESTAMP":"1795199833000000"}"#,
            "\n",
        );
        let expected = "2026-11-20T18:37:10.000001000Z an error\n\
            2026-11-20T18:37:11.000000000Z hi\n2026-11-20T18:37:11.000000000Z ho\n\
            2026-11-20T18:37:12.000000000Z a\n2026-11-20T18:37:12.000000000Z b\n\
            2026-11-20T18:37:13.000000000Z \n";
        assert_eq!(lines(&[text]).as_deref(), Ok(expected));
        for at in 0..text.len() {
            assert_eq!(lines(&[&text[..at], &text[at..]]).as_deref(), Ok(expected), "{at}");
        }
    }

    #[test]
    fn what_is_no_entry_is_said() {
        for text in ["-- No entries --\n", "{}\n", "{\"__REALTIME_TIMESTAMP\":\"x\"}\n", "[]\n", "{\"__REALT"] {
            assert!(lines(&[text]).is_err(), "{text}");
        }
        let odd = r#"{"__REALTIME_TIMESTAMP":"1795199830000001","MESSAGE":[300]}"#;
        assert!(lines(&[odd, "\n"]).is_err());
    }
}
