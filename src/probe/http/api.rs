//! A URL that is looked *through*: the API of a system that knows about the service. Whatever keeps it from answering
//! says nothing of the service, and a list that goes on is read to its end or is no data.

use serde_json::Value as Json;
use serde_json_path::JsonPath;
use url::Url;

use super::fill;
use super::spec::Spec;
use crate::checklist::reading::{Reading, is_deep_path};
use crate::diag::Diagnostic;
use crate::model::{Found, Value, quantity};
use crate::probe::{Look, json};
use crate::sys::http::{BodyEnd, Fault, HttpError, Request, Response};
use crate::yaml::Node;

/// How many pages of a list are read unless something else is given.
const PAGES: usize = 10;
/// The most bytes of all pages together.
const MOST_BYTES: usize = 64 << 20;
/// The most that is repeated of what an API says of an error, in characters.
const MOST_SAID: usize = 200;

/// What was written under `api`.
pub(super) struct Api {
    pages: usize,
    data: Vec<(String, JsonPath)>,
    no_data: Vec<(String, JsonPath)>,
}

/// What an API answered: the first answer, and the document of all pages.
pub(super) struct Answered {
    pub(super) response: Response,
    pub(super) document: Result<Json, Value>,
    pub(super) pages: usize,
}

/// Shows what was asked, in messages: what stands in the query is another one each time.
fn bare(url: &str) -> String {
    let shown = fill::bare(url);
    shown.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Reads `api`. Nothing at all when a mistake was said.
pub(super) fn read(reading: &mut Reading<'_>, node: &Node) -> Option<Option<Api>> {
    let Some((key, value)) = node.entry("api").filter(|(_, value)| value.bool() != Some(false)) else {
        return Some(None);
    };
    if let Some((times, _)) = node.entry("times") {
        let message = "a burst looks at a service, `api` looks through one";
        reading.say(Diagnostic::error("bad-value", key.span, message).also(times.span, "the burst"));
        return None;
    }
    let (data, no_data) = (paths(reading, value.get("data")), paths(reading, value.get("no_data")));
    let pages = value.get("pages").and_then(Node::number).map_or(PAGES, |n| n as usize);
    Some(Some(Api { pages, data: data?, no_data: no_data? }))
}

fn paths(reading: &mut Reading<'_>, node: Option<&Node>) -> Option<Vec<(String, JsonPath)>> {
    let Some(node) = node else { return Some(Vec::new()) };
    let items = node.list().unwrap_or(std::slice::from_ref(node));
    items.iter().map(|item| path(reading, item)).collect()
}

fn path(reading: &mut Reading<'_>, node: &Node) -> Option<(String, JsonPath)> {
    let text = node.text()?;
    if is_deep_path(text) {
        reading.say(Diagnostic::error("bad-jsonpath", node.span, "the path is nested too deeply"));
        return None;
    }
    match JsonPath::parse(text) {
        Ok(path) => Some((text.to_owned(), path)),
        Err(error) => {
            let message = format!("bad JSONPath: {}", error.message());
            reading.say(Diagnostic::error("bad-jsonpath", node.span, message));
            None
        }
    }
}

impl Api {
    /// Asks, and reads on until the list ends. `reads` tells whether the body matters at all.
    ///
    /// # Errors
    /// Says why nothing is known.
    pub(super) async fn ask(&self, request: &Request, look: &Look<'_>, reads: bool) -> Result<Answered, Found> {
        let until = look.world.clock.elapsed() + request.timeout;
        let response = send(request, look).await?;
        if !reads && self.data.is_empty() && self.no_data.is_empty() {
            return Ok(Answered { response, document: Ok(Json::Null), pages: 1 });
        }
        let mut document = document(&response, request)?;
        let (mut pages, mut bytes) = (1, response.body.len());
        let mut following = next(&response, request)?;
        while let Some(url) = following {
            if pages == self.pages || bytes > MOST_BYTES {
                let message = format!("the list goes on after {pages} pages, and so many are read (api.pages)");
                return Ok(Answered { response, document: Err(Value::NoData(message)), pages });
            }
            let left = until.saturating_sub(look.world.clock.elapsed());
            if left.is_zero() {
                let who = bare(&request.url);
                return Err(Found::could_not_look(format!("{who}: the time was up after {pages} pages of the list")));
            }
            let request = Request { url, timeout: left, ..request.clone() };
            let more = send(&request, look).await?;
            bytes += more.body.len();
            append(&mut document, self::document(&more, &request)?);
            pages += 1;
            following = next(&more, &request)?;
        }
        let document = self.holds_data(document);
        Ok(Answered { response, document, pages })
    }

    /// Tells an answer from one that says that there is nothing to say.
    fn holds_data(&self, document: Json) -> Result<Json, Value> {
        if let Some((text, _)) =
            self.data.iter().find(|(_, path)| !path.query(&document).all().into_iter().any(is_filled))
        {
            return Err(Value::NoData(format!("the answer holds nothing at {text}")));
        }
        if let Some((text, _)) = self.no_data.iter().find(|(_, path)| !path.query(&document).is_empty()) {
            return Err(Value::NoData(format!("the answer says that there is no data, at {text}")));
        }
        Ok(document)
    }
}

async fn send(request: &Request, look: &Look<'_>) -> Result<Response, Found> {
    let response = look.world.http.send(request).await.map_err(unanswered)?;
    let who = bare(&request.url);
    let said = said(&response.body).map(|said| format!(": {said}")).unwrap_or_default();
    let status = response.status;
    match status {
        200..=299 => Ok(response),
        401 | 403 => Err(Found::refused(format!("{who} answered {status}: access is denied{said}"))),
        404 => Err(Found::refused(format!(
            "{who} answered 404{said}; it is not there, or these credentials may not see it"
        ))),
        429 | 500.. => {
            let wait = response.header("retry-after").map(|wait| format!(" (retry after {wait})")).unwrap_or_default();
            Err(Found::could_not_look(format!("{who} answered {status}{wait}{said}")))
        }
        _ => Err(Found::refused(format!("{who} answered {status}{said}"))),
    }
}

fn unanswered(error: HttpError) -> Found {
    match error.kind {
        Fault::Request => Found::refused(error.message),
        Fault::Connect | Fault::Dns | Fault::Tls | Fault::Timeout | Fault::Protocol | Fault::Redirect => {
            Found::could_not_look(error.message)
        }
    }
}

/// Reads the body of one page; one that is no JSON says nothing of the service.
fn document(response: &Response, request: &Request) -> Result<Json, Found> {
    let who = bare(&request.url);
    match &response.body_end {
        BodyEnd::Complete => {}
        BodyEnd::TooLarge => {
            let limit = quantity::bytes(request.max_body as f64);
            return Err(Found::refused(format!("{who}: the body is larger than {limit} (max_body)")));
        }
        BodyEnd::Broken(cause) => return Err(Found::could_not_look(format!("{who}: {cause}"))),
    }
    let kind = response.header("content-type").filter(|kind| !kind.is_empty()).unwrap_or("no content type");
    json::parse(&response.body, "the body", Some(kind)).map_err(|why| match why {
        Value::NoData(why) => Found::could_not_look(format!("{who}: {why}")),
        _ => Found::could_not_look(format!("{who}: the body cannot be read")),
    })
}

/// Adds a page: lists go on, at the top or under the same name; everything else is that of the first page.
fn append(document: &mut Json, page: Json) {
    match (document, page) {
        (Json::Array(all), Json::Array(more)) => all.extend(more),
        (Json::Object(all), Json::Object(more)) => {
            for (name, value) in more {
                if let (Some(Json::Array(items)), Json::Array(more)) = (all.get_mut(&name), value) {
                    items.extend(more);
                }
            }
        }
        _ => {}
    }
}

/// Finds the URL of the next page in `Link` (RFC 8288). One elsewhere is not followed: the credentials stay here.
fn next(response: &Response, request: &Request) -> Result<Option<String>, Found> {
    let links = response.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str());
    let Some(target) = links.flat_map(split).find_map(next_of) else { return Ok(None) };
    let here = Url::parse(&request.url).ok();
    let Some(there) = here.as_ref().and_then(|here| here.join(target).ok()) else {
        return Err(Found::refused(format!("{} names a next page that is no URL", bare(&request.url))));
    };
    match here.is_some_and(|here| here.origin() == there.origin()) {
        true => Ok(Some(there.into())),
        false => Err(Found::refused(format!("{} names a next page on another host", bare(&request.url)))),
    }
}

/// Splits a `Link` header at the commas between links: one within `<…>` or quotes is part of its link.
fn split(header: &str) -> Vec<&str> {
    let (mut parts, mut from, mut angle, mut quoted) = (Vec::new(), 0, false, false);
    for (at, c) in header.char_indices() {
        match c {
            '"' if !angle => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            ',' if !angle && !quoted => {
                parts.push(&header[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&header[from..]);
    parts
}

/// Returns the target of a link to the next page. Sentry names one that holds nothing any more: `results="false"`.
fn next_of(link: &str) -> Option<&str> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is = |name: &str, wanted: &str| {
        rest.split(';').filter_map(|pair| pair.split_once('=')).any(|(key, value)| {
            key.trim().eq_ignore_ascii_case(name) && value.trim().trim_matches('"').split(' ').any(|v| v == wanted)
        })
    };
    (is("rel", "next") && !is("results", "false")).then_some(target)
}

/// Tells whether a value holds anything.
fn is_filled(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(fields) => !fields.is_empty(),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

/// Returns what an API says of an error, in one bounded line.
fn said(body: &[u8]) -> Option<String> {
    let value: Json = serde_json::from_slice(body).ok()?;
    let text = ["message", "detail", "error", "errors"].iter().find_map(|key| match value.get(key)? {
        Json::String(text) => Some(text.clone()),
        Json::Array(items) => items.first()?.as_str().map(str::to_owned),
        _ => None,
    })?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| line.chars().take(MOST_SAID).collect())
}

/// Says through what is looked: the scheme, host and port.
pub(super) fn through(spec: &Spec, request: &Request) -> Option<String> {
    let url = Url::parse(&request.url).ok().filter(|_| spec.api.is_some())?;
    Some(format!("the API at {}", url.origin().ascii_serialization()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_next_page_is_found_among_links() {
        let github = r#"<https://h/a?page=1>; rel="prev", <https://h/a?x=1,2&page=3>; rel="next", <https://h/a?page=9>; rel="last""#;
        assert_eq!(split(github).into_iter().find_map(next_of), Some("https://h/a?x=1,2&page=3"));
        let sentry = r#"<https://h/i?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", <https://h/i?cursor=0:100:0>; rel="next"; results="NEXT"; cursor="0:100:0""#;
        let find =
            |results: &str| split(&sentry.replace("NEXT", results)).into_iter().find_map(next_of).map(str::to_owned);
        assert_eq!(find("true").as_deref(), Some("https://h/i?cursor=0:100:0"));
        assert_eq!(find("false"), None);
    }

    #[test]
    fn pages_are_joined_list_by_list() {
        let mut list = json!([1]);
        append(&mut list, json!([2, 3]));
        assert_eq!(list, json!([1, 2, 3]));
        let mut object = json!({ "total_count": 3, "items": [1] });
        append(&mut object, json!({ "total_count": 3, "items": [2, 3] }));
        assert_eq!(object, json!({ "total_count": 3, "items": [1, 2, 3] }));
    }
}
