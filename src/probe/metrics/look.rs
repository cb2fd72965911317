//! Fetches the page, once or twice, and measures it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::page::{self, Read, Wanted};
use super::{Metrics, select};
use crate::model::{Evidence, Expectation, Found, Measures, Note, Observation, Value, quantity};
use crate::probe::http::Fetch;
use crate::probe::{Look, Probe};
use crate::promql::Selector;
use crate::promql::exposition::Format;
use crate::source::prometheus;
use crate::sys::http::{BodyEnd, Request, Response};
use crate::template::Scope;

/// The most characters of a page that are kept as evidence.
const EXCERPT: usize = 2048;

/// A page as it came.
struct Page {
    read: Read,
    latency: Duration,
    head: String,
}

#[async_trait]
impl Probe for Metrics {
    fn describe(&self) -> String {
        let select = self.select.as_ref().map(|select| format!(" for {}", select.source())).unwrap_or_default();
        let over = self.over.map(|over| format!(", twice within {}", quantity::seconds(over.as_secs_f64())));
        format!("reads the metrics of {}{select}{}", self.fetch.url().source(), over.unwrap_or_default())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(self.fetch.url(), scope)
    }

    fn implied(&self) -> Option<Expectation> {
        self.well_formed.clone()
    }

    fn silence_is_failure(&self) -> bool {
        true
    }

    fn needs(&self) -> Option<Duration> {
        // Each of the two looks has the step's timeout for itself.
        self.over.map(|over| over + self.timeout)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let mut observation = Observation::new(self.describe(), Found::Measures(Measures::new()));
        observation.found = match self.look(look, &mut observation).await {
            Ok(measures) => Found::Measures(measures),
            Err(found) => found,
        };
        observation
    }
}

impl Metrics {
    async fn look(&self, look: &Look<'_>, observation: &mut Observation) -> Result<Measures, Found> {
        let selector = match &self.select {
            None => None,
            Some(template) => {
                let text = template.render(look.scope).map_err(|error| Found::refused(error.to_string()))?;
                let read = select::read(&text);
                Some(read.map_err(|error| Found::refused(format!("the selector is not valid: {error}")))?)
            }
        };
        let timeout = self.timeout.min(look.timeout);
        let request = self.fetch.request(look, timeout).await.map_err(Found::refused)?;
        observation.request = Fetch::shown(&request);
        if request.connection.insecure {
            observation.notes.push(Note::warning("the server's certificate was not checked (insecure)"));
        }
        let Some(over) = self.over else {
            return Ok(kept(self.page(look, &request, selector).await?, observation));
        };
        let begun = look.world.clock.elapsed();
        let first = self.page(look, &request, selector.clone()).await?;
        // The distance is that of the beginnings, whatever the first look took.
        look.world.clock.sleep(over.saturating_sub(look.world.clock.elapsed() - begun)).await;
        let second = self.page(look, &request, selector.clone()).await?;
        let (grown, resets) = page::increase(&first.read, &second.read);
        let mut measures = kept(second, observation);
        if selector.is_some() {
            measures.plain("increase", grown);
        }
        if resets > 0 {
            let series = if resets == 1 { "one series".to_owned() } else { format!("{resets} series") };
            observation.notes.push(Note::warning(format!("{series} began anew at 0 between the two looks")));
        }
        Ok(measures)
    }

    async fn page(&self, look: &Look<'_>, request: &Request, selector: Option<Selector>) -> Result<Page, Found> {
        let busy = look.world.clock.busy();
        let begun = std::time::Instant::now();
        let headers = if request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            request.headers.clone()
        } else {
            let accept = ("accept".to_owned(), Format::ACCEPT.to_owned());
            request.headers.iter().cloned().chain([accept]).collect()
        };
        let request = Request { headers, ..request.clone() };
        let answer = look.world.http.send(&request).await.map_err(|error| Fetch::unanswered(error, &request))?;
        let latency = begun.elapsed();
        let (body, format) = body_of(&answer, &request)?;
        let wanted = self.wanted.clone();
        let head: String = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned();
        let read = match format {
            Err(why) => no_page(&body, &why, &wanted),
            // A large page takes a while to read.
            Ok(format) => tokio::task::spawn_blocking(move || page::read(&body, format, selector.as_ref(), &wanted))
                .await
                .map_err(|fault| Found::refused(format!("the page could not be read: {fault}")))?,
        };
        drop(busy);
        match read.too_many {
            Some(count) => Err(Found::refused(format!(
                "the selector finds {count} series, and at most {} are judged one by one; narrow it",
                page::MOST_SERIES
            ))),
            None => Ok(Page { read, latency, head }),
        }
    }
}

/// Tells a page from everything else that may come, and its format from what is no page of metrics.
fn body_of(answer: &Response, request: &Request) -> Result<(Bytes, Result<Format, String>), Found> {
    match answer.status {
        200 => {}
        401 | 403 => return Err(Found::refused(format!("access is denied: it answered {}", answer.status))),
        status => return Err(Found::NoAnswer { cause: format!("it answered {status} instead of a page") }),
    }
    match &answer.body_end {
        BodyEnd::Complete => {}
        BodyEnd::TooLarge => {
            let limit = quantity::bytes(request.max_body as f64);
            return Err(Found::refused(format!("the page is larger than max_body: {limit}")));
        }
        BodyEnd::Broken(cause) => return Err(Found::NoAnswer { cause: format!("the page broke off: {cause}") }),
    }
    let header = answer.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.as_str());
    Ok((answer.body.clone(), Format::of_content_type(header).map_err(|error| error.to_string())))
}

/// Measures what is no page of metrics.
fn no_page(body: &[u8], why: &str, wanted: &Wanted) -> Read {
    let mut measures = Measures::new();
    measures.plain("valid", Value::Bool(false));
    measures.plain("mistakes", Value::Set(vec![why.to_owned()]));
    measures.plain("format", Value::NoData(why.to_owned()));
    measures.plain("size", Value::Number(body.len() as f64));
    page::nothing(&mut measures, wanted, why);
    Read { measures, mistakes: Vec::new(), values: None, why_none: None, too_many: None }
}

/// Keeps what is worth keeping of a page, and returns its measures.
fn kept(page: Page, observation: &mut Observation) -> Measures {
    let mut measures = page.read.measures;
    measures.plain("latency", Value::Number(page.latency.as_secs_f64()));
    let mistakes = measures.get(&crate::model::MeasureName::plain("mistakes")).cloned();
    let Some(Value::Set(mistakes)) = mistakes.filter(|list| matches!(list, Value::Set(list) if !list.is_empty()))
    else {
        return measures;
    };
    let count = page.read.mistakes.len().max(1);
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    observation.notes.push(Note::warning(format!("this is no page of metrics: {}{more}", mistakes[0])));
    observation.evidence.push(Evidence { title: "mistakes".into(), text: mistakes.join("\n") + "\n", left_out: 0 });
    observation.evidence.push(Evidence { title: "page".into(), text: page.head, left_out: 0 });
    measures
}
