//! Manual pages: what `explain` prints of channels, made from their declarations.

use std::fmt::Write;

use super::CHANNELS;
use super::channel::ChannelKind;
use super::declared::{COMMON, keys};
use super::message::NAMES;
use super::on::On;

const INTRO: &str = "\
Tells people and other systems how a run goes. Each item names one channel and where it is:

```yaml
notify:
  - { slack: \"{{ inputs.slack_webhook }}\", on: [start, held, no-go, go] }
  - { pagerduty: \"{{ inputs.pagerduty_key }}\", on: [no-go, go] }
  - { pushgateway: \"http://pushgateway:9091\" }
```

A message is never part of the gate: whether it arrives changes neither the decision nor the exit status, and the run \
does not wait for it. It is tried again with growing pauses (and as long as `Retry-After` asks, up to a minute) when \
nobody answers, on 429 and on 5xx; when the run is over the program stays for it, at most 20 seconds. What could not be \
sent is said on stderr and is a remark of the reports. What was sent is in the record, so that a run that is taken up \
with `resume` or `tick` does not say the same again.

Secrets are masked in everything that is said. They belong in addresses, headers and keys, which are never shown: the \
URL of a webhook is a secret, so use an input with `secret: true`.

`holdpoint notify FILE --event no-go --dry-run` prints every message of a made-up run and sends nothing; without \
`--dry-run` it sends them, marked as a sample. `holdpoint notify RUN` sends the message of a run that is over once \
more. `holdpoint run --notify dry-run` prints instead of sending, `--no-notify` is silent.
";

/// Returns the page of all channels.
pub fn overview() -> String {
    let mut out = format!("# notify\n\nmessages out, while a checklist runs and after it\n\n{INTRO}\n## Channels\n\n");
    for kind in CHANNELS {
        let _ = writeln!(out, "- `{}`: {}; `holdpoint explain {0}` tells more", kind.name, kind.summary);
    }
    out.push_str("\n## What a channel is told of\n\n");
    for on in On::ALL {
        let _ = writeln!(out, "- `{}`: {}", on.word(), on.doc());
    }
    out.push_str("\n## Keys of every channel\n\n");
    for field in COMMON {
        let _ = writeln!(out, "- `{}` ({}): {}", field.key, field.shape.form(), field.doc);
    }
    out.push_str("\n## What templates may use\n\n`{{ inputs.NAME }}`, and of the run, as `{{ run.NAME }}`:\n\n");
    for (name, doc) in NAMES {
        let _ = writeln!(out, "- `{name}`: {doc}");
    }
    out
}

/// Returns the page of one kind.
pub fn page(kind: &ChannelKind) -> String {
    let mut out = format!("# {}\n\n{}\n\n{}\n\n## Keys\n\n", kind.name, kind.summary, kind.manual.trim());
    let _ = writeln!(out, "- `{}` ({}, required): {}", kind.name, kind.shape.form(), kind.doc);
    for field in keys(kind) {
        let needed = if field.required { ", required" } else { "" };
        let _ = writeln!(out, "- `{}` ({}{needed}): {}", field.key, field.shape.form(), field.doc);
    }
    let on: Vec<_> = kind.on.iter().map(|on| format!("`{}`", on.word())).collect();
    let _ = write!(
        out,
        "\nTold of {} when `on` is not given. `holdpoint explain notify` has what holds for all.\n",
        on.join(", ")
    );
    out
}
