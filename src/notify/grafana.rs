//! `grafana`: an annotation that begins with the run and ends with it.

use serde_json::{Value, json};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Post};
use super::message::Message;
use super::on::On;
use super::text::cut;
use crate::shape::{Shape, field};
use crate::template::{Place, Template, TemplateError};

/// The kind `grafana`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "grafana",
    summary: "an annotation in Grafana, from the start of the run to its end",
    manual: MANUAL,
    shape: Shape::Template,
    doc: "Where Grafana is: `https://grafana.example.com`.",
    fields: &[
        field("token", Shape::Template, "A token of a service account that may write annotations; use a secret input."),
        field("dashboard", Shape::Template, "The UID of the dashboard; one of the whole organisation when not given."),
        field("panel", Shape::Int(0, i64::MAX), "The number of a panel of that dashboard."),
        field(
            "tags",
            Shape::OneOrMany(&Shape::Template),
            "Tags beside `holdpoint`, the service, the stage and the decision.",
        ),
        field("text", Shape::Template, "The text; title, headline and counts when not given."),
    ],
    on: &[On::Start, On::End],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Marks the time of the run in dashboards: an annotation is made at the start and becomes a region when the run ends, \
with the decision in its text and tags:

```yaml
inputs:
  grafana_token: { secret: true, env: GRAFANA_TOKEN }
notify:
  - grafana: https://grafana.example.com
    token: \"{{ inputs.grafana_token }}\"
    dashboard: zai-proxy
    tags: [deploy, \"{{ inputs.version }}\"]
```

The number that Grafana gives the annotation is kept in the record, so that the process that takes the run up, hours \
later, closes the same one. When the start could not be told, the whole region is made at the end. Other events \
(`failure`, `checkpoint`, `held` …) are annotations of a moment.

Grafana answers 401 or 403 when the token may not write annotations (`annotations:create`, `annotations:write`), 404 \
when the dashboard is not there: neither is tried again.

Source: <https://grafana.com/docs/grafana/latest/developers/http_api/annotations/>.
";

/// The longest text, in characters.
const TEXT: usize = 4_000;
/// The longest tag: Grafana keeps 100 characters of one.
const TAG: usize = 100;

struct Grafana {
    url: Template,
    token: Option<Template>,
    dashboard: Option<Template>,
    panel: Option<u64>,
    tags: Vec<Template>,
    text: Option<Template>,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let url = compiling.url("grafana", false);
    let token = compiling.secret("token");
    let dashboard = compiling.text("dashboard", Place::Plain);
    let panel = compiling.node.get("panel").and_then(crate::yaml::Node::number).map(|n| n as u64);
    let tags = compiling.texts("tags");
    let text = compiling.text("text", Place::Plain);
    Some(Box::new(Grafana { url: url?, token, dashboard, panel, tags, text }))
}

impl Channel for Grafana {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let base = pen.know(&self.url)?;
        let base = base.trim_end_matches('/');
        let (time, started) = (message.at.timestamp_millis(), message.started.timestamp_millis());
        let ended = message.ended.map_or(time, |at| at.timestamp_millis()).max(started);
        let text = match &self.text {
            Some(template) => pen.say(template)?,
            None => usual_text(message),
        };
        let mut body = json!({ "text": cut(&text, TEXT), "tags": self.tags(message, pen)? });
        let mut post = match (message.on, pen.id) {
            (On::End, Some(id)) => {
                body["time"] = json!(started);
                body["timeEnd"] = json!(ended);
                let mut post = Post::open(format!("{base}/api/annotations/{}", plain_id(id)), &body);
                post.method = "PATCH".into();
                post
            }
            (on, _) => {
                self.place(&mut body, pen)?;
                body["time"] = json!(if matches!(on, On::Start | On::End) { started } else { time });
                if on == On::End {
                    body["timeEnd"] = json!(ended);
                }
                Post::open(format!("{base}/api/annotations"), &body)
            }
        };
        post.id_key = (message.on == On::Start).then_some("id");
        if let Some(token) = &self.token {
            let token = pen.know(token)?;
            post = post.with_secret("authorization", format!("Bearer {token}"), &token);
        }
        Ok(Some(Letter::Http(Box::new(post))))
    }
}

impl Grafana {
    fn place(&self, body: &mut Value, pen: &Pen<'_>) -> Result<(), TemplateError> {
        if let Some(dashboard) = &self.dashboard {
            body["dashboardUID"] = json!(pen.say(dashboard)?);
        }
        if let Some(panel) = self.panel {
            body["panelId"] = json!(panel);
        }
        Ok(())
    }

    fn tags(&self, message: &Message, pen: &Pen<'_>) -> Result<Vec<String>, TemplateError> {
        let told = &message.told;
        let mut tags = vec!["holdpoint".to_owned()];
        tags.extend([&told.service, &told.stage, &told.decision].into_iter().filter(|tag| !tag.is_empty()).cloned());
        for tag in &self.tags {
            tags.push(pen.say(tag)?);
        }
        let mut seen = Vec::new();
        for tag in tags.iter().map(|tag| cut(tag.trim(), TAG)).filter(|tag| !tag.is_empty()) {
            if !seen.contains(&tag) {
                seen.push(tag);
            }
        }
        Ok(seen)
    }
}

/// Keeps of an id what may stand in a path.
fn plain_id(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// Words an annotation. Grafana shows it as HTML, so it has no markup of its own and what was measured is no tag.
fn usual_text(message: &Message) -> String {
    let told = &message.told;
    let text = match told.headline.is_empty() {
        true => format!("{}\nrun {}", told.title, told.id),
        false => format!("{}\n{}\n{} – run {}", told.title, told.headline, told.steps, told.id),
    };
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
