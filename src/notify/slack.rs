//! `slack`: an incoming webhook, with blocks.

use serde_json::{Value, json};

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Post};
use super::message::{Line, Message};
use super::on::On;
use super::text::{cut, fitted, is_link};
use crate::shape::{Shape, field};
use crate::template::{Place, Template, TemplateError, mrkdwn};

/// The kind `slack`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "slack",
    summary: "a message in Slack, by an incoming webhook",
    manual: MANUAL,
    shape: Shape::Template,
    doc: "The URL of the webhook: a secret, since whoever knows it may write.",
    fields: &[field(
        "text",
        Shape::Template,
        "A text above the rest, in mrkdwn: `<!here>`, `<@U012>`; values are escaped.",
    )],
    on: &[On::Start, On::Held, On::NoGo, On::Go, On::Undecided],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Writes to the channel that an incoming webhook belongs to:

```yaml
inputs:
  slack_webhook: { secret: true, env: SLACK_WEBHOOK }
notify:
  - { slack: \"{{ inputs.slack_webhook }}\" }
  - slack: \"{{ inputs.slack_webhook }}\"
    name: on-call
    on: [no-go, held]
    text: \"<!here> {{ run.service }} needs you\"
```

The message has the title, the facts of the run, why, each step that did not come out well with what was observed \
against what was expected and its runbook, what waits, the commands to go on with, and links. Long texts are cut to \
Slack's limits: 150 characters of a header, 3,000 of a block, 50 blocks. What was measured is escaped, so that it is \
no markup and mentions nobody.

Slack answers 400, 403, 404 or 410 with a word such as `invalid_payload`, `no_service` or `channel_is_archived`: that \
is not tried again.

Sources: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, \
<https://docs.slack.dev/reference/block-kit/blocks>, <https://docs.slack.dev/messaging/formatting-message-text>.
";

/// The longest header, in characters.
const HEADER: usize = 150;
/// The longest text of a block.
const TEXT: usize = 3_000;
/// The longest field of a block, and the most of them.
const FIELD: (usize, usize) = (2_000, 10);
/// The most blocks.
const BLOCKS: usize = 50;
/// The longest text that stands in for the blocks where they cannot be shown.
const FALLBACK: usize = 3_000;

struct Slack {
    url: Template,
    text: Option<Template>,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let url = compiling.url("slack", true);
    let text = compiling.text("text", Place::Mrkdwn);
    Some(Box::new(Slack { url: url?, text }))
}

impl Channel for Slack {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let own = pen.say_some(self.text.as_ref())?;
        let url = pen.know(&self.url)?;
        let told = &message.told;
        let fallback = fitted(&format!("{} – {}", told.title, told.headline), FALLBACK, mrkdwn);
        let body = json!({ "text": fallback, "blocks": blocks(message, &own) });
        Ok(Some(Letter::Http(Box::new(Post::json(url, &body)))))
    }
}

fn blocks(message: &Message, own: &str) -> Vec<Value> {
    let told = &message.told;
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&format!("{} {}", sign(message.on), told.title), HEADER) },
    })];
    if !own.trim().is_empty() {
        // It is markup already; a text that is cut may end within a mention, which then is shown as written.
        blocks.push(section(cut(own, TEXT)));
    }
    if !told.headline.is_empty() {
        blocks.push(section(fitted(&told.headline, TEXT, mrkdwn)));
    }
    let field = |name: &str, value: &str| {
        let name = fitted(name, 100, mrkdwn);
        let room = FIELD.0 - name.chars().count() - 3;
        markup(&format!("*{name}*\n{}", fitted(value, room, mrkdwn)))
    };
    let fields: Vec<_> = message.facts().iter().take(FIELD.1).map(|fact| field(&fact.name, &fact.value)).collect();
    blocks.push(json!({ "type": "section", "fields": fields }));
    blocks.extend(told.failed.iter().map(|line| section(step(line))));
    blocks.extend(message.more().map(|more| section(fitted(&more, TEXT, mrkdwn))));
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            blocks.push(section(whole_lines(&format!("*{title}*"), &lines)));
        }
    };
    list("Waits", told.waits.iter().map(|wait| format!("• {}", fitted(wait, 500, mrkdwn))).collect());
    list(
        "Next",
        told.next.iter().map(|next| format!("• {}\n{}", fitted(&next.name, 200, mrkdwn), code(&next.value))).collect(),
    );
    let pages: Vec<String> = message.pages().iter().take(10).filter_map(|page| link(&page.value, &page.name)).collect();
    if !pages.is_empty() {
        blocks.push(section(whole_lines("", &[pages.join("  ·  ")])));
    }
    let mut foot = fitted(&told.path, 500, mrkdwn);
    if !told.report.is_empty() && !is_link(&told.report) {
        foot = format!("{foot}  ·  report: {}", fitted(&told.report, 500, mrkdwn));
    }
    blocks.push(json!({ "type": "context", "elements": [markup(&foot)] }));
    blocks.truncate(BLOCKS);
    blocks
}

fn section(text: String) -> Value {
    json!({ "type": "section", "text": markup(&text) })
}

/// Makes a text of what is escaped already. Slack is to find no names and addresses in it by itself.
fn markup(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

/// Joins lines as far as they fit: a line is markup, and not cut.
fn whole_lines(title: &str, lines: &[String]) -> String {
    let mut out = title.to_owned();
    let mut length = out.chars().count();
    for line in lines {
        length += line.chars().count() + 1;
        if length > TEXT {
            break;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

fn step(line: &Line) -> String {
    let weight = if line.counts { "" } else { " (does not count)" };
    let mut out = format!("*{}* – {}{weight}", fitted(&line.name, 500, mrkdwn), line.outcome);
    if !line.reason.is_empty() {
        out.push_str(&format!("\n{}", fitted(&line.reason, 1_200, mrkdwn)));
    }
    let mut foot = Vec::new();
    if !line.runbook.is_empty() {
        foot.push(link(&line.runbook, "runbook").unwrap_or_else(|| fitted(&line.runbook, 300, mrkdwn)));
    }
    if !line.owner.is_empty() {
        foot.push(fitted(&line.owner, 100, mrkdwn));
    }
    foot.push(code(&cut(&line.line, 300)));
    out.push_str(&format!("\n{}", foot.join("  ·  ")));
    out
}

/// Writes a link; nothing of what is none.
fn link(url: &str, name: &str) -> Option<String> {
    let encoded = mrkdwn(&url.replace('|', "%7C").replace('<', "%3C").replace('>', "%3E"));
    (is_link(url) && encoded.chars().count() < 1_000)
        .then(|| format!("<{encoded}|{}>", fitted(&name.replace('|', "/"), 100, mrkdwn)))
}

fn code(text: &str) -> String {
    format!("`{}`", fitted(&text.replace('`', "'"), 600, mrkdwn))
}

fn sign(on: On) -> &'static str {
    match on {
        On::Start => "▶",
        On::Held => "✋",
        On::Checkpoint => "⏱",
        On::Failure | On::NoGo => "❌",
        On::Go => "✅",
        On::Undecided => "❔",
        On::End => "🏁",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_cannot_be_broken_out_of() {
        assert_eq!(
            link("https://a.example/x?a=1&b=<2>|3", "a|b").as_deref(),
            Some("<https://a.example/x?a=1&amp;b=%3C2%3E%7C3|a/b>")
        );
        assert_eq!(link("javascript:alert(1)", "x"), None);
    }

    #[test]
    fn lists_end_with_a_whole_line() {
        let lines = vec!["x".repeat(1_600), "y".repeat(1_600)];
        assert_eq!(whole_lines("*Next*", &lines).chars().count(), 6 + 1 + 1_600);
    }
}
