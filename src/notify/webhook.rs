//! `webhook`: any HTTP service, with a body of one's own.

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::{Letter, Post};
use super::message::Message;
use super::on::On;
use crate::diag::Diagnostic;
use crate::shape::{Shape, field};
use crate::template::{Place, Template, TemplateError};

/// The kind `webhook`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "webhook",
    summary: "a request to any HTTP service, with a body of your own",
    manual: MANUAL,
    shape: Shape::Template,
    doc: "The URL.",
    fields: &[
        field("method", Shape::Word(METHODS), "POST when not given."),
        field("headers", Shape::Map(&Shape::Template), "Headers; `content-type: application/json` when none is given."),
        field("body", Shape::Template, "The body; a JSON document of all that may be used in it when not given."),
    ],
    on: &[On::Start, On::Held, On::NoGo, On::Go, On::Undecided],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Sends a request wherever you like. Without `body` it is a JSON document with everything that `run.NAME` has:

```yaml
inputs:
  hook_token: { secret: true, env: HOOK_TOKEN }
notify:
  - webhook: https://deploys.example.com/hooks/holdpoint
    headers: { authorization: \"Bearer {{ inputs.hook_token }}\" }

  - webhook: https://chat.example.com/hooks/deploys
    on: [no-go, go]
    body: |
      { \"text\": \"{{ run.title }}\", \"urgent\": {{ run.decision == 'no-go' }},
        \"failed\": [{% for step in run.failed %}\"{{ step.name }}\"{% if not loop.last %}, {% endif %}{% endfor %}] }
```

Values are escaped for where they stand: in a body of JSON as JSON, in the URL percent-encoded. A body whose \
`content-type` does not say JSON is text, and values are put in as they are. A body of JSON that is none when it is \
filled in is not sent, and that is said.

Every status from 200 to 299 is a yes. 408, 425, 429 and 5xx are tried again; redirects are not followed. Of the URL \
only the host is ever shown. Secrets in the body are masked: they belong in headers and in the URL.

Source: RFC 9110 (HTTP).
";

const METHODS: &[&str] = &["POST", "PUT", "PATCH"];

struct Webhook {
    url: Template,
    method: String,
    headers: Vec<(String, Template)>,
    body: Option<Template>,
    json: bool,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let url = compiling.url("webhook", false);
    let headers = compiling.map("headers");
    for (name, _) in &headers {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("{name:?} is not the name of a header");
            let span = compiling.node.entry("headers").map_or(compiling.value.span, |(key, _)| key.span);
            compiling.reading.say(Diagnostic::error("bad-value", span, message));
        }
    }
    let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let json = kind.is_none_or(|(_, value)| value.source().contains("json"));
    let body = compiling.text("body", if json { Place::Json } else { Place::Plain });
    let method = compiling.word("method").unwrap_or_else(|| "POST".to_owned());
    Some(Box::new(Webhook { url: url?, method, headers, body, json }))
}

impl Channel for Webhook {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let url = pen.know(&self.url)?;
        let body = match &self.body {
            Some(template) => pen.say(template)?,
            None => serde_json::Value::Object(message.root()).to_string(),
        };
        if self.json
            && let Err(fault) = serde_json::from_str::<serde_json::Value>(&body)
        {
            return Err(TemplateError { message: format!("the body is not JSON: {fault}"), range: None });
        }
        let mut post = Post::json(url, &serde_json::Value::Null);
        post.method.clone_from(&self.method);
        post.body = body;
        if self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            post.headers.clear();
        }
        for (name, template) in &self.headers {
            let (value, shown) = (pen.know(template)?, pen.say(template)?);
            let name = name.to_lowercase();
            match value == shown && !says_who_we_are(&name) {
                true => post.headers.push((name, value)),
                false => post = post.with_secret(&name, value.clone(), &value),
            }
        }
        Ok(Some(Letter::Http(Box::new(post))))
    }
}

/// Tells whether a header is one that says who we are: its value is not shown, even where it is no secret input.
fn says_who_we_are(name: &str) -> bool {
    ["auth", "token", "key", "secret", "cookie", "signature"].iter().any(|word| name.contains(word))
}
