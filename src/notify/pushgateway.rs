//! `pushgateway`: the outcome of a run as metrics.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Post};
use super::message::Message;
use super::on::On;
use crate::diag::Diagnostic;
use crate::model::Decision;
use crate::shape::{Shape, field};
use crate::template::{Place, Template, TemplateError};

/// The kind `pushgateway`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "pushgateway",
    summary: "metrics of the run, pushed to a Prometheus Pushgateway",
    manual: MANUAL,
    shape: Shape::Template,
    doc: "Where the Pushgateway is: `http://pushgateway:9091`.",
    fields: &[
        field("job", Shape::Template, "The job; holdpoint when not given."),
        field("labels", Shape::Map(&Shape::Template), "Labels of the group beside checklist, service and stage."),
        field("bearer", Shape::Template, "A bearer token, where a proxy asks for one; use a secret input."),
    ],
    on: &[On::Start, On::End],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Pushes what became of the run, so that Prometheus can alert on a no-go, on a gate that takes too long, or on one that \
has not run for days:

```yaml
notify:
  - { pushgateway: \"http://pushgateway:9091\" }
  - pushgateway: \"http://pushgateway:9091\"
    name: per-region
    job: canary
    labels: { region: \"{{ inputs.region }}\" }
```

The group is the job, `checklist` (its title), `service`, `stage` and your labels: each run of a checklist replaces the \
numbers of the one before. What is pushed:

- `holdpoint_run_decision{decision=\"go\"}`: 1 for the decision, 0 for the three others
- `holdpoint_run_steps{outcome=\"pass\"}`: how many steps came out how
- `holdpoint_run_duration_seconds`
- `holdpoint_run_started_timestamp_seconds`, `holdpoint_run_finished_timestamp_seconds`
- `holdpoint_run_running`: 1 from the start until the end
- `holdpoint_last_go_timestamp_seconds`: pushed on a go alone, so it stays what it was on every other decision

They are pushed with POST, which leaves what is not pushed. At the start only the time and `holdpoint_run_running` are. \
The Pushgateway answers 400 when a metric does not fit what is there under the same name: that is not tried again.

Source: <https://github.com/prometheus/pushgateway#api>, \
<https://prometheus.io/docs/instrumenting/exposition_formats/>.
";

const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

struct Pushgateway {
    url: Template,
    job: Option<Template>,
    labels: Vec<(String, Template)>,
    bearer: Option<Template>,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let url = compiling.url("pushgateway", false);
    let job = compiling.text("job", Place::Plain);
    let labels = compiling.map("labels");
    let is_name = |name: &str| {
        let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        word && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.starts_with("__") && !name.is_empty()
    };
    for (name, _) in &labels {
        let taken = ["job", "checklist", "service", "stage"].contains(&name.as_str());
        if !is_name(name) || taken {
            let why = if taken { "is a label of every group already" } else { "is not the name of a label" };
            let span = compiling.node.entry("labels").map_or(compiling.value.span, |(key, _)| key.span);
            compiling.reading.say(Diagnostic::error("bad-value", span, format!("{name:?} {why}")));
        }
    }
    let bearer = compiling.secret("bearer");
    Some(Box::new(Pushgateway { url: url?, job, labels, bearer }))
}

impl Channel for Pushgateway {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let base = pen.know(&self.url)?;
        let job = self.job.as_ref().map_or(Ok("holdpoint".to_owned()), |job| pen.say(job))?;
        if job.is_empty() {
            return Err(TemplateError { message: "the job is empty".into(), range: None });
        }
        let told = &message.told;
        let mut url = format!("{}/metrics{}", base.trim_end_matches('/'), pair("job", &job));
        let own = [("checklist", &told.checklist), ("service", &told.service), ("stage", &told.stage)];
        own.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| url.push_str(&pair(name, value)));
        for (name, value) in &self.labels {
            url.push_str(&pair(name, &pen.say(value)?));
        }
        let mut post = Post::open(url, &serde_json::Value::Null);
        post.headers = vec![("content-type".into(), "text/plain; version=0.0.4; charset=utf-8".into())];
        post.body = metrics(message);
        if let Some(token) = &self.bearer {
            let token = pen.know(token)?;
            post = post.with_secret("authorization", format!("Bearer {token}"), &token);
        }
        Ok(Some(Letter::Http(Box::new(post))))
    }
}

/// Writes a label as a part of the path. A value with a slash, or none, goes as base64.
fn pair(name: &str, value: &str) -> String {
    match value.is_empty() || value.contains('/') {
        true => {
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, value);
            // Of nothing there is still one character, so that the path has a part.
            let encoded = if encoded.is_empty() { "=".to_owned() } else { encoded };
            format!("/{name}@base64/{encoded}")
        }
        false => format!("/{name}/{}", utf8_percent_encode(value, PATH)),
    }
}

fn metrics(message: &Message) -> String {
    let mut out = String::new();
    let seconds = |at: chrono::DateTime<chrono::Utc>| at.timestamp_millis() as f64 / 1e3;
    let running = if message.ended.is_some() { 0.0 } else { 1.0 };
    gauge(&mut out, "holdpoint_run_running", "Whether a run goes on.", &[("", running)]);
    let help = "When the latest run began.";
    gauge(&mut out, "holdpoint_run_started_timestamp_seconds", help, &[("", seconds(message.started))]);
    if let (Some(decision), Some(ended)) = (message.decision, message.ended) {
        let all = [Decision::Go, Decision::NoGo, Decision::Undecided, Decision::Held];
        let labels: Vec<_> = all
            .iter()
            .map(|d| (format!("{{decision=\"{}\"}}", d.word()), f64::from(u8::from(*d == decision))))
            .collect();
        let series: Vec<_> = labels.iter().map(|(labels, value)| (labels.as_str(), *value)).collect();
        gauge(&mut out, "holdpoint_run_decision", "The decision of the latest run: 1 for what it is.", &series);
        let counts = message.told.counts.each();
        let labels: Vec<_> = counts
            .iter()
            .filter(|(word, _)| *word != "to come")
            .map(|(word, count)| (format!("{{outcome=\"{word}\"}}"), *count as f64))
            .collect();
        let series: Vec<_> = labels.iter().map(|(labels, value)| (labels.as_str(), *value)).collect();
        gauge(&mut out, "holdpoint_run_steps", "How many steps of the latest run came out how.", &series);
        let help = "How long the latest run took.";
        gauge(&mut out, "holdpoint_run_duration_seconds", help, &[("", message.told.seconds)]);
        let help = "When the latest run ended.";
        gauge(&mut out, "holdpoint_run_finished_timestamp_seconds", help, &[("", seconds(ended))]);
        if decision == Decision::Go {
            let help = "When the latest go was given.";
            gauge(&mut out, "holdpoint_last_go_timestamp_seconds", help, &[("", seconds(ended))]);
        }
    }
    out
}

fn gauge(out: &mut String, name: &str, help: &str, series: &[(&str, f64)]) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    for (labels, value) in series {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_parts_of_the_path() {
        assert_eq!(pair("service", "zai proxy?"), "/service/zai%20proxy%3F");
        assert_eq!(pair("path", "a/b"), "/path@base64/YS9i");
        assert_eq!(pair("empty", ""), "/empty@base64/=");
    }
}
