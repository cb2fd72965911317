//! `pagerduty`: an event of the Events API v2 that opens an incident, and one that closes it.

use serde_json::{Value, json};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Post};
use super::message::Message;
use super::on::On;
use super::text::{cut, cut_bytes, is_link};
use crate::shape::{Shape, field};
use crate::template::{Place, Template, TemplateError};

/// The kind `pagerduty`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "pagerduty",
    summary: "an incident in PagerDuty, opened and resolved (Events API v2)",
    manual: MANUAL,
    shape: Shape::Template,
    doc: "The integration key of the service: a secret.",
    fields: &[
        field(
            "dedup_key",
            Shape::Template,
            "Which incident it is; made of service, stage and title when not given, so that the next go resolves it.",
        ),
        field("severity", Shape::Word(SEVERITIES), "How bad it is; it follows from the event when not given."),
        field("component", Shape::Template, "The part of the service."),
        field("group", Shape::Template, "The group of the part."),
        field("url", Shape::Template, "Where the API is; https://events.pagerduty.com when not given."),
    ],
    on: &[On::NoGo, On::Undecided, On::Go],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Opens an incident when something is wrong, and resolves it on a go:

```yaml
inputs:
  pagerduty_key: { secret: true, env: PAGERDUTY_KEY }
notify:
  - { pagerduty: \"{{ inputs.pagerduty_key }}\" }
  - pagerduty: \"{{ inputs.pagerduty_key }}\"
    name: soak
    on: [failure, no-go, go]
    severity: warning
    dedup_key: soak-{{ run.service }}
```

`go` resolves the incident of the same `dedup_key`; everything else triggers one, or adds to the one that is open. \
Without a key it is the same for every run of a checklist that has the same service and stage: the go of a later run \
resolves what an earlier one has opened. `start`, `checkpoint` and `end` can be told too and trigger with severity \
`info`; that is seldom what is wanted.

The summary has at most 1,024 characters and the whole event less than 512 KB; the custom details hold the run, the \
counts, the steps that did not come out well and the commands to go on with.

Source: <https://developer.pagerduty.com/docs/events-api-v2-overview>.
";

const SEVERITIES: &[&str] = &["critical", "error", "warning", "info"];
/// The longest summary, in characters.
const SUMMARY: usize = 1_024;
/// The longest key of an incident, in characters.
const KEY: usize = 255;
const API: &str = "https://events.pagerduty.com";

struct PagerDuty {
    key: Template,
    dedup_key: Option<Template>,
    severity: Option<String>,
    component: Option<Template>,
    group: Option<Template>,
    url: Option<Template>,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let key = compiling.secret("pagerduty");
    let dedup_key = compiling.text("dedup_key", Place::Plain);
    let (component, group) = (compiling.text("component", Place::Plain), compiling.text("group", Place::Plain));
    let url = compiling.text("url", Place::Url);
    let severity = compiling.word("severity");
    Some(Box::new(PagerDuty { key: key?, dedup_key, severity, component, group, url }))
}

impl Channel for PagerDuty {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let key = pen.know(&self.key)?;
        let base = self.url.as_ref().map_or(Ok(API.to_owned()), |url| pen.know(url))?;
        let dedup = match &self.dedup_key {
            Some(template) => pen.say(template)?,
            None => usual_key(message),
        };
        let dedup = cut(&dedup, KEY);
        let url = format!("{}/v2/enqueue", base.trim_end_matches('/'));
        let body = match message.on {
            On::Go => json!({ "routing_key": key, "event_action": "resolve", "dedup_key": dedup }),
            On::Start | On::Held | On::Checkpoint | On::Failure | On::NoGo | On::Undecided | On::End => json!({
                "routing_key": key,
                "event_action": "trigger",
                "dedup_key": dedup,
                "payload": self.payload(message, pen)?,
                "links": links(message),
                "client": "holdpoint",
            }),
        };
        let mut post = Post::open(url, &body);
        post.secrets.push(key);
        Ok(Some(Letter::Http(Box::new(post))))
    }
}

impl PagerDuty {
    fn payload(&self, message: &Message, pen: &Pen<'_>) -> Result<Value, TemplateError> {
        let told = &message.told;
        let summary = match told.headline.is_empty() {
            true => told.title.clone(),
            false => format!("{} – {}", told.title, told.headline),
        };
        let source = if told.service.is_empty() { &told.host } else { &told.service };
        let mut payload = json!({
            "summary": cut(&summary, SUMMARY),
            "source": cut(source, KEY),
            "severity": self.severity.as_deref().unwrap_or(severity(message.on)),
            "timestamp": crate::report::view::machine_moment(message.at),
            "class": message.on.word(),
            "custom_details": details(message),
        });
        for (name, template) in [("component", &self.component), ("group", &self.group)] {
            if let Some(template) = template {
                payload[name] = json!(cut(&pen.say(template)?, KEY));
            }
        }
        Ok(payload)
    }
}

fn usual_key(message: &Message) -> String {
    let told = &message.told;
    let parts = [told.service.as_str(), told.stage.as_str(), told.checklist.as_str()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("holdpoint/{}", parts.join("/"))
}

fn severity(on: On) -> &'static str {
    match on {
        On::NoGo | On::Failure => "critical",
        On::Undecided => "error",
        On::Held => "warning",
        On::Start | On::Checkpoint | On::Go | On::End => "info",
    }
}

/// What is said beside the summary, far below the limit of an event: ten steps of bounded texts.
fn details(message: &Message) -> Value {
    let told = &message.told;
    let step = |line: &super::message::Line| {
        json!({
            "step": cut(&line.name, 500),
            "outcome": line.outcome,
            "reason": cut_bytes(&line.reason, 4_000),
            "runbook": cut(&line.runbook, 1_000),
            "line": cut(&line.line, 500),
        })
    };
    let next: Vec<_> = told.next.iter().map(|next| cut(&next.value, 1_000)).collect();
    json!({
        "run": told.id,
        "checklist": cut(&told.checklist, 500),
        "stage": cut(&told.stage, 200),
        "decision": told.decision,
        "steps": told.steps,
        "failed": told.failed.iter().map(step).collect::<Vec<_>>(),
        "more": told.more,
        "waits": told.waits.iter().map(|wait| cut(wait, 500)).collect::<Vec<_>>(),
        "next": next,
        "report": cut(&told.report, 1_000),
    })
}

fn links(message: &Message) -> Vec<Value> {
    let mut links: Vec<Value> =
        message.pages().iter().map(|page| json!({ "href": page.value, "text": cut(&page.name, 200) })).collect();
    let runbooks = message.told.failed.iter().filter(|line| is_link(&line.runbook));
    links.extend(
        runbooks.map(|line| json!({ "href": line.runbook, "text": cut(&format!("runbook: {}", line.name), 200) })),
    );
    links.truncate(20);
    links
}
