//! `teams`: an adaptive card to a webhook of Microsoft Teams.

use serde_json::{Value, json};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Post};
use super::message::{Line, Message};
use super::on::On;
use super::text::{cut, fitted};
use crate::shape::{Shape, field};
use crate::template::{Place, Template, TemplateError, markdown};

/// The kind `teams`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "teams",
    summary: "a card in Microsoft Teams, by a workflow's webhook",
    manual: MANUAL,
    shape: Shape::Template,
    doc: "The URL of the webhook: a secret, since whoever knows it may write.",
    fields: &[field("text", Shape::Template, "A text above the rest, in the Markdown of cards; values are escaped.")],
    on: &[On::Start, On::Held, On::NoGo, On::Go, On::Undecided],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Posts an adaptive card to a channel or chat, by the webhook of a workflow (\"Post to a channel when a webhook request \
is received\"):

```yaml
inputs:
  teams_webhook: { secret: true, env: TEAMS_WEBHOOK }
notify:
  - { teams: \"{{ inputs.teams_webhook }}\", on: [held, no-go, go] }
```

The card has what the Slack message has. A message may have 28 KB: of a longer one, the last steps are left out and \
counted, then texts are shortened. What was measured is escaped, so that it is no markup.

Sources: <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>, \
<https://adaptivecards.io/explorer/>.
";

/// The largest message, in bytes: 28 KB, and some room for what is put around it.
const LARGEST: usize = 27 * 1024;

struct Teams {
    url: Template,
    text: Option<Template>,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let url = compiling.url("teams", true);
    let text = compiling.text("text", Place::Markdown);
    Some(Box::new(Teams { url: url?, text }))
}

impl Channel for Teams {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let own = pen.say_some(self.text.as_ref())?;
        let url = pen.know(&self.url)?;
        Ok(Some(Letter::Http(Box::new(Post::json(url, &fitting(message, &own))))))
    }
}

/// Makes the card as large as it may be.
fn fitting(message: &Message, own: &str) -> Value {
    let all = message.told.failed.len();
    let sizes = (0..=all).rev().map(|steps| (steps, 1_000)).chain([(0, 200), (0, 50)]);
    let mut last = Value::Null;
    for (steps, longest) in sizes {
        last = envelope(message, own, steps, longest);
        if last.to_string().len() <= LARGEST {
            break;
        }
    }
    last
}

fn envelope(message: &Message, own: &str, steps: usize, longest: usize) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body(message, own, steps, longest),
                "actions": actions(message),
            },
        }],
    })
}

fn body(message: &Message, own: &str, steps: usize, longest: usize) -> Vec<Value> {
    let told = &message.told;
    let words = |text: &str| fitted(text, longest, markdown);
    let mut body = vec![json!({
        "type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": true, "color": colour(message.on),
        "text": fitted(&told.title, longest.min(300), markdown),
    })];
    if !own.trim().is_empty() {
        body.push(text(cut(own, longest)));
    }
    if !told.headline.is_empty() {
        body.push(text(words(&told.headline)));
    }
    let fact =
        |name: &str, value: &str| json!({ "title": cut(name, 60), "value": fitted(value, longest.min(300), markdown) });
    let facts: Vec<_> = message.facts().iter().map(|f| fact(&f.name, &f.value)).collect();
    body.push(json!({ "type": "FactSet", "facts": facts }));
    body.extend(told.failed.iter().take(steps).map(|line| step(line, longest)));
    let left = told.failed.len() - steps + told.more;
    if left > 0 {
        body.push(text(words(&format!("and {left} more; holdpoint show {} lists them", told.id))));
    }
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            body.push(json!({ "type": "TextBlock", "weight": "Bolder", "text": title, "spacing": "Medium" }));
            body.extend(lines.into_iter().map(text));
        }
    };
    list("Waits", told.waits.iter().map(|wait| words(wait)).collect());
    list("Next", told.next.iter().map(|next| format!("{}: {}", words(&next.name), words(&next.value))).collect());
    if !told.report.is_empty() && !super::text::is_link(&told.report) {
        list("Report", vec![words(&told.report)]);
    }
    body
}

fn text(text: String) -> Value {
    json!({ "type": "TextBlock", "wrap": true, "text": text })
}

fn step(line: &Line, longest: usize) -> Value {
    let words = |text: &str| fitted(text, longest, markdown);
    let weight = if line.counts { "" } else { " (does not count)" };
    let mut items = vec![
        json!({ "type": "TextBlock", "wrap": true, "weight": "Bolder", "text": format!("{} – {}{weight}", words(&line.name), line.outcome) }),
        json!({ "type": "TextBlock", "wrap": true, "text": words(&line.reason), "spacing": "None" }),
    ];
    let foot: Vec<_> =
        [&line.runbook, &line.owner, &line.line].into_iter().filter(|t| !t.is_empty()).map(|t| words(t)).collect();
    items.push(
        json!({ "type": "TextBlock", "wrap": true, "isSubtle": true, "spacing": "None", "text": foot.join(" · ") }),
    );
    json!({ "type": "Container", "separator": true, "items": items })
}

/// Makes a button of each page. A card shows six at most.
fn actions(message: &Message) -> Vec<Value> {
    let pages = message.pages();
    let fits = pages.iter().filter(|page| page.value.len() <= 1_000);
    fits.take(6)
        .map(|page| json!({ "type": "Action.OpenUrl", "title": cut(&page.name, 60), "url": page.value }))
        .collect()
}

fn colour(on: On) -> &'static str {
    match on {
        On::Failure | On::NoGo => "Attention",
        On::Held | On::Undecided => "Warning",
        On::Go => "Good",
        On::Start | On::Checkpoint | On::End => "Default",
    }
}
