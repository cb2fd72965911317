//! `datadog`: an event, by the API of version 1 or 2.

use serde_json::{Value, json};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Post};
use super::message::Message;
use super::on::On;
use super::text::cut;
use crate::shape::{Shape, field};
use crate::template::{Place, Template, TemplateError};

/// The kind `datadog`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "datadog",
    summary: "an event in Datadog",
    manual: MANUAL,
    shape: Shape::Template,
    doc: "The API key: a secret.",
    fields: &[
        field(
            "site",
            Shape::Template,
            "The Datadog site: `datadoghq.com` (when not given), `datadoghq.eu`, `us5.datadoghq.com` …",
        ),
        field("version", Shape::Word(VERSIONS), "The version of the API: v1 when not given."),
        field("tags", Shape::OneOrMany(&Shape::Template), "Tags beside those of the run: `team:proxy`."),
        field("aggregation_key", Shape::Template, "What events are grouped by; the run when not given."),
        field("url", Shape::Template, "Where the API is, when it is not that of the site."),
    ],
    on: &[On::Start, On::Held, On::NoGo, On::Go, On::Undecided],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Posts an event to the stream, so that the run stands among the deployments and alerts of the service:

```yaml
inputs:
  datadog_key: { secret: true, env: DD_API_KEY }
notify:
  - { datadog: \"{{ inputs.datadog_key }}\" }
  - { datadog: \"{{ inputs.datadog_key }}\", site: datadoghq.eu, version: v2, tags: [\"team:proxy\"], on: [no-go] }
```

Version 1 makes an event of the type `error` (no-go, failure), `warning` (undecided, held), `success` (go) or `info`; \
version 2 an alert event with the status `error`, `warn` or `ok`. Tags are `source:holdpoint`, `service:`, `stage:`, \
`decision:` and yours. The title has at most 100 characters, the text 4,000.

Datadog answers 403 when the key is wrong and 400 when it does not take the event: neither is tried again.

Source: <https://docs.datadoghq.com/api/latest/events/post-an-event/>.
";

const VERSIONS: &[&str] = &["v1", "v2"];
/// The longest title, text, key and tag, in characters.
const TITLE: usize = 100;
const TEXT: usize = 4_000;
const KEY: usize = 100;
const TAG: usize = 200;

struct Datadog {
    key: Template,
    site: Option<Template>,
    second: bool,
    tags: Vec<Template>,
    aggregation_key: Option<Template>,
    url: Option<Template>,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let key = compiling.secret("datadog");
    let site = compiling.text("site", Place::Plain);
    let second = compiling.word("version").as_deref() == Some("v2");
    let tags = compiling.texts("tags");
    let aggregation_key = compiling.text("aggregation_key", Place::Plain);
    let url = compiling.text("url", Place::Url);
    Some(Box::new(Datadog { key: key?, site, second, tags, aggregation_key, url }))
}

impl Channel for Datadog {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let key = pen.know(&self.key)?;
        let site = self.site.as_ref().map_or(Ok("datadoghq.com".to_owned()), |site| pen.know(site))?;
        if site.is_empty() || !site.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')) {
            return Err(TemplateError { message: format!("{site:?} is not a site of Datadog"), range: None });
        }
        let base = match &self.url {
            Some(url) => pen.know(url)?,
            None if self.second => format!("https://event-management-intake.{site}"),
            None => format!("https://api.{site}"),
        };
        let base = base.trim_end_matches('/');
        let group = match &self.aggregation_key {
            Some(template) => pen.say(template)?,
            None => message.told.id.clone(),
        };
        let tags = self.tags(message, pen)?;
        let (path, body) = match self.second {
            true => ("/api/v2/events", second(message, &group, &tags)),
            false => ("/api/v1/events", first(message, &group, &tags)),
        };
        let post = Post::open(format!("{base}{path}"), &body);
        Ok(Some(Letter::Http(Box::new(post.with_secret("dd-api-key", key.clone(), &key)))))
    }
}

impl Datadog {
    fn tags(&self, message: &Message, pen: &Pen<'_>) -> Result<Vec<String>, TemplateError> {
        let told = &message.told;
        let mut tags = vec!["source:holdpoint".to_owned(), format!("event:{}", told.event)];
        let named = [("service", &told.service), ("stage", &told.stage), ("decision", &told.decision)];
        tags.extend(named.into_iter().filter(|(_, v)| !v.is_empty()).map(|(name, value)| format!("{name}:{value}")));
        for tag in &self.tags {
            tags.push(pen.say(tag)?);
        }
        // A comma ends a tag.
        Ok(tags.iter().map(|tag| cut(&tag.replace([',', '\n'], "_"), TAG)).collect())
    }
}

fn first(message: &Message, group: &str, tags: &[String]) -> Value {
    json!({
        "title": cut(&message.told.title, TITLE),
        "text": cut(&message.plain(), TEXT),
        "date_happened": message.at.timestamp(),
        "alert_type": kind(message.on),
        "aggregation_key": cut(group, KEY),
        "tags": tags,
    })
}

fn second(message: &Message, group: &str, tags: &[String]) -> Value {
    let links: Vec<Value> = message
        .pages()
        .iter()
        .take(20)
        .map(|page| {
            let category = if page.name.to_lowercase().contains("runbook") { "runbook" } else { "resource" };
            json!({ "category": category, "title": cut(&page.name, 300), "url": page.value })
        })
        .collect();
    let status = match kind(message.on) {
        "error" => "error",
        "warning" => "warn",
        _ => "ok",
    };
    let mut attributes = json!({ "status": status, "custom": { "run": message.told.id, "steps": message.told.steps } });
    if !links.is_empty() {
        attributes["links"] = json!(links);
    }
    json!({
        "data": {
            "type": "event",
            "attributes": {
                "category": "alert",
                "title": cut(&message.told.title, TITLE),
                "message": cut(&message.plain(), TEXT),
                "timestamp": crate::report::view::machine_moment(message.at),
                "aggregation_key": cut(group, KEY),
                "tags": tags,
                "attributes": attributes,
            },
        },
    })
}

fn kind(on: On) -> &'static str {
    match on {
        On::NoGo | On::Failure => "error",
        On::Undecided | On::Held => "warning",
        On::Go => "success",
        On::Start | On::Checkpoint | On::End => "info",
    }
}
