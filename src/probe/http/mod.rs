//! `http`: one request, or a burst of them, and what the answer holds.
//!
//! [`spec`] reads what was written, [`fill`] makes a request of it, [`answer`] measures one answer,
//! [`burst`] measures many, [`api`] asks what is looked through instead of at. [`fetch`] lends all this to other probes.

mod answer;
mod api;
mod burst;
mod fetch;
mod fill;
mod payload;
mod spec;

pub(super) use fetch::Fetch;

use async_trait::async_trait;
use fill::Way;

use self::answer::Taking;
use self::spec::Spec;
use super::{Compiling, Keys, Look, MeasureSpec, Probe, ProbeKind, keyed, measure};
use crate::diag::Diagnostic;
use crate::model::{Found, Kind, Note, Observation};
use crate::shape::{Field, Object, Shape, field};
use crate::sys::http::{Fault, HttpError, Request, origin};
use crate::template::Scope;
use crate::yaml::Node;

/// The kind `http`.
pub const KIND: ProbeKind = ProbeKind {
    name: "http",
    summary: "one HTTP request, or a burst of them",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const MANUAL: &str = "\
Sends one request and measures the answer. The short form is a URL, with the method before it if it is not `GET`:

```yaml
- name: Health endpoint responds
  http: GET {{ inputs.base_url }}/health
  expect:
    status: 200
    json: { $.status: ok }
    latency: \"< 500ms\"

- name: An order can be placed
  http:
    url: \"{{ inputs.base_url }}/orders\"
    json: { item: 7, count: \"{{ inputs.count }}\" }     # a POST, because there is a body
    auth: { bearer: \"{{ inputs.token }}\" }
  expect: 201

- name: A hundred requests, five at a time
  http: { url: \"{{ inputs.base_url }}/health\", times: 100, parallel: 5 }
  expect: { statuses: { 200: 100 }, latency.p95: \"< 200ms\", error_rate: 0% }
```

**Failure or error.** A service that refuses the connection, does not answer within `timeout`, breaks the answer off, \
has no address, or shows a certificate that is not trusted has *failed*. A request that cannot be sent (a file that \
is not there, a header with a line break) and a proxy that cannot be reached are *errors*: nothing is known of the \
service. An answer whose body breaks off keeps its status and headers; its body and its latency are *no data*, and the \
report says so. A `GET`, `HEAD` or `OPTIONS` whose connection closes before anything comes back is sent a second time, \
because servers close idle connections at any moment; the report says that too.

**Redirects** are followed, at most `redirects` of them (10; 0 takes the first answer as it is). None is followed from \
https to http. When one leads to another scheme, host or port, the only headers that go along are `Accept…`, \
`User-Agent` and `Content-Type`, and a request with a body does not go along at all: that is a *failure*. The report says which redirects were followed; `url` and `redirects` can be expected.

**Bodies** are decoded (gzip) and read up to `max_body` decoded bytes (10MiB). What is larger is not read on: `body`, \
`json`, `size` and `latency` are then *no data*.

**JSONPath** (RFC 9535): a path that finds one value gives that value, one that finds several gives a list, one that \
finds none is *missing*. A body that is no JSON is *no data*: no field is absent from it.

**Values in `json:`** keep their type: a text that is nothing but `{{ inputs.count }}` becomes a number when the input \
is one. A block of JSON text may be given instead of a map.

**Phases** (`timing.dns`, `timing.connect`, `timing.tls`, `timing.first_byte`) are measured on a new connection, after \
redirects that of the last one, and not through a proxy.

**APIs** (`api`). A URL that is asked *about* the service, such as the API of GitHub, is looked through, not at. No \
connection, no answer in time, a denial (401, 403), a 404 and every other status than 2xx are *errors* then: nothing is \
known of the service. A list that goes on (`Link` with `rel=\"next\"`, RFC 8288) is read page by page, at most `pages` of \
them (10), all within `timeout`, and judged as one document: lists are joined, at the top or under their name. A list \
that goes on after that is *no data*, and so is an answer with nothing at one of the paths of `data`, or with something \
at one of those of `no_data`:

```yaml
- name: The repository has an environment for production
  http:
    url: https://api.github.com/repos/acme/orders/environments?per_page=100
    auth: { bearer: \"{{ inputs.token }}\" }
    api: { data: \"$.environments\" }
  expect: { json: { '$.environments[?@.name == \"production\"].name': exists } }
```

**Time.** In what is sent, `{{ now }}` is the time of the look in seconds since 1970, and `seconds` makes such of a \
duration: `from: \"{{ now - ('5m' | seconds) }}\"`.

**Bursts** (`times`) send the same request again and again, `parallel` of them at a time, within `timeout` for all. \
`status` must then hold for every answer, `latency` is the slowest. A request without an answer counts as infinitely \
slow. `statuses` counts, by status (`200`), by class \
(`5xx`) or `none` for requests without an answer. `error_rate` is the share of requests without an answer or with a \
5xx. `rate` is answers per second. Bodies, headers, phases and certificates of a burst are not kept.
";

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

const OBJECT: Object = Object {
    name: "http",
    open: false,
    fields: &[
        Field { required: true, ..field("url", Shape::Template, "The URL, with `http://` or `https://`.") },
        field("method", Shape::Word(METHODS), "The method: GET, or POST when there is a body."),
        field("query", Shape::Map(&Shape::OneOrMany(&Shape::Template)), "Parameters that are added to the URL."),
        field("headers", Shape::Map(&Shape::OneOrMany(&Shape::Template)), "Headers."),
        field("body", Shape::Template, "The body as text."),
        field("json", Shape::Any, "The body as JSON: any value, or a text that is JSON."),
        field("form", Shape::Map(&Shape::OneOrMany(&Shape::Template)), "The body as a form."),
        field("file", Shape::Template, "The body from a file."),
        field("auth", Shape::Object(&AUTH), "Credentials: `basic`, `bearer` or `header`."),
        field("tls", Shape::Object(&TLS), "Whom to trust, and a client certificate."),
        field("redirects", Shape::Int(0, 10), "How many redirects are followed, 10 unless given."),
        field(
            "resolve",
            Shape::Map(&Shape::Template),
            "Addresses by host, instead of asking DNS: `10.0.0.1`. A port counts only when the URL names none.",
        ),
        field("proxy", Shape::Template, "A proxy: `http://…` or `socks5://…`. The environment names none."),
        field("version", Shape::Word(&["1.1", "2"]), "The HTTP version to insist on; 2 without TLS too."),
        field(
            "api",
            Shape::Either(&[Shape::Bool, Shape::Object(&API)]),
            "Whether the URL is an API that is looked through: what keeps it from answering is then an error.",
        ),
        field("times", Shape::Int(1, 100_000), "How many requests to send: makes it a burst."),
        field("parallel", Shape::Int(1, 1_000), "How many requests of a burst are sent at a time, 1 unless given."),
        field(
            "max_body",
            Shape::Text,
            "How many decoded bytes of a body are read, 10MiB unless given, 256MiB at most.",
        ),
    ],
};

const API: Object = Object {
    name: "api",
    open: false,
    fields: &[
        field("pages", Shape::Int(1, 100), "How many pages of a list are read at most, 10 unless given."),
        field(
            "data",
            Shape::OneOrMany(&Shape::Text),
            "JSONPaths at which there must be something; without it the answer is no data.",
        ),
        field(
            "no_data",
            Shape::OneOrMany(&Shape::Text),
            "JSONPaths at which there is something only when the answer is no data.",
        ),
    ],
};

pub(super) const AUTH: Object = Object {
    name: "auth",
    open: false,
    fields: &[
        field("basic", Shape::Object(&BASIC), "User and password."),
        field("bearer", Shape::Template, "A token."),
        field("header", Shape::Map(&Shape::Template), "A header that carries the credential, by name."),
    ],
};

const BASIC: Object = Object {
    name: "basic",
    open: false,
    fields: &[
        Field { required: true, ..field("user", Shape::Template, "The user.") },
        Field { required: true, ..field("password", Shape::Template, "The password.") },
    ],
};

pub(super) const TLS: Object = Object {
    name: "tls",
    open: false,
    fields: &[
        field("ca", Shape::Template, "A file with certificate authorities (PEM) to trust instead of the system's."),
        field("cert", Shape::Template, "A file with the client's certificate and key (PEM)."),
        field("insecure", Shape::Bool, "Leaves the server's certificate unchecked; the report says so."),
    ],
};

const MEASURES: &[MeasureSpec] = &[
    measure("status", Kind::Number, "The status, such as 200. In a burst it must hold for every answer."),
    measure("latency", Kind::Duration, "From the start until the last byte. In a burst, of the slowest answer."),
    measure("body", Kind::Text, "The body as text."),
    keyed("json", Kind::Json, Keys::JsonPath, "What the body holds as JSON, by JSONPath."),
    keyed("headers", Kind::Text, Keys::Name, "The headers, by name in any case."),
    measure("size", Kind::Size, "The size of the decoded body."),
    measure("version", Kind::Text, "The HTTP version: `HTTP/1.1`, `HTTP/2`."),
    measure("url", Kind::Text, "The URL that answered, after redirects."),
    measure("redirects", Kind::Number, "How many redirects were followed."),
    measure("timing.dns", Kind::Duration, "Asking for the address."),
    measure("timing.connect", Kind::Duration, "Connecting."),
    measure("timing.tls", Kind::Duration, "The TLS handshake."),
    measure("timing.first_byte", Kind::Duration, "From the request until the head of the answer."),
    measure("tls.expires_in", Kind::Duration, "How long the server's certificate is still valid."),
    measure("tls.issuer", Kind::Text, "Who issued the server's certificate."),
    measure("tls.subject", Kind::Text, "Whom the server's certificate names."),
    keyed("statuses", Kind::Number, Keys::Name, "Bursts: how many answers, by `200`, `5xx` or `none`."),
    measure("error_rate", Kind::Ratio, "Bursts: the share of requests without an answer or with a 5xx."),
    measure("latency.p50", Kind::Duration, "Bursts: half of the requests were answered at least as quickly."),
    measure("latency.p95", Kind::Duration, "Bursts: 95% of the requests were answered at least as quickly."),
    measure("latency.p99", Kind::Duration, "Bursts: 99% of the requests were answered at least as quickly."),
    measure("latency.max", Kind::Duration, "Bursts: the slowest answer; infinite when a request was not answered."),
    measure("rate", Kind::Rate, "Bursts: answers per second."),
];

/// A request, ready to be filled in and sent.
struct Http {
    spec: Spec,
    taking: Taking,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let spec = spec::read(compiling.reading, node)?;
    let misplaced = burst::misplaced(compiling.wants, spec.burst.is_some());
    if let Some(message) = misplaced {
        let place = node.entry("times").map_or(node.span, |(key, _)| key.span);
        compiling.reading.say(Diagnostic::error("expect-unknown-measure", place, message));
        return None;
    }
    Some(Box::new(Http { taking: Taking::of(compiling.wants), spec }))
}

#[async_trait]
impl Probe for Http {
    fn describe(&self) -> String {
        let times = self.spec.burst.map(|b| format!(", {} times, {} at a time", b.times, b.parallel));
        format!("{} {}{}", self.spec.method, self.spec.url.shown(), times.unwrap_or_default())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        Some(origin(&url::Url::parse(&self.spec.url.render(scope).ok()?).ok()?))
    }

    fn silence_is_failure(&self) -> bool {
        self.spec.api.is_none()
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let scope = look.scope.with("now", look.world.clock.now().timestamp().into());
        let way = Way { scope: &scope, timeout: look.timeout, policy: &look.world.policy };
        let request = match fill::request(&self.spec, &way, self.taking.timing).await {
            Ok(request) => request,
            Err(cause) => return Observation::new(self.describe(), Found::refused(cause)),
        };
        let mut observation = match (self.spec.burst, &self.spec.api) {
            (Some(burst), _) => burst::observe(burst, &request, look, &self.taking).await,
            (None, Some(api)) => match api.ask(&request, look, self.taking.reads_json()).await {
                Ok(answered) => answer::of_api(answered, &request, &self.taking, look.world.clock.now()),
                Err(found) => Observation::new(fill::shown(&request), found),
            },
            (None, None) => match look.world.http.send(&request).await {
                Ok(response) => answer::observe(&response, &request, &self.taking, look.world.clock.now()),
                Err(error) => Observation::new(fill::shown(&request), unanswered(error, &request)),
            },
        };
        if request.connection.insecure {
            observation.notes.push(Note::warning("the server's certificate was not checked (insecure)"));
        }
        let proxy = request.connection.proxy.as_deref().map(|p| format!("proxy {}", fill::bare(p)));
        observation.through = proxy.or_else(|| api::through(&self.spec, &request));
        observation
    }
}

/// Tells whose fault it is that there is no answer.
fn unanswered(error: HttpError, request: &Request) -> Found {
    match error.kind {
        Fault::Request => Found::refused(error.message),
        Fault::Connect | Fault::Dns if request.connection.proxy.is_some() => Found::could_not_look(error.message),
        Fault::Connect | Fault::Dns | Fault::Tls | Fault::Timeout | Fault::Protocol | Fault::Redirect => {
            Found::NoAnswer { cause: error.message }
        }
    }
}
