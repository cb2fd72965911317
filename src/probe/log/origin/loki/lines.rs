//! The lines that a query finds, page by page, from the oldest on, or for `tail` from the newest back.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Logql, SHAPE, ask, had_streams};
use crate::diag::Diagnostic;
use crate::model::Note;
use crate::probe::log::origin::{Origin, OriginKind, Sent, Wanted, stamped};
use crate::probe::{Compiling, Look};
use crate::shape::field;
use crate::source::Failure;
use crate::source::api::Asked;
use crate::source::prometheus;
use crate::template::Scope;
use crate::yaml::Node;

/// The kind.
pub(in crate::probe::log::origin) const KIND: OriginKind = OriginKind {
    field: field(
        "loki",
        SHAPE,
        "A query to a Loki, in LogQL, or a map: one for lines, or, for `value`, one for numbers.",
    ),
    manual: MANUAL,
    compile,
};

const MANUAL: &str = "\
`loki` looks at the lines that a query in LogQL finds in a Loki, which is declared as a source; with `value`, at the \
numbers that a metric query gives.

```yaml
sources:
  loki: { url: \"http://localhost:3100\", headers: { X-Scope-OrgID: team-a } }
sections:
  - name: Logs
    steps:
      - name: No error in the last ten minutes
        log: { loki: '{app=\"orders\"} |= \"error\"', since: 10m }
        expect: { matches: { '.': 0 } }
        ignore: ['context canceled']
      - name: Fewer than 5 errors in 5 minutes
        log: { loki: 'sum(count_over_time({app=\"orders\"} |= \"error\" [5m]))' }
        expect: { value: \"< 5\" }
        on_no_data: pass
      - name: Tokens are counted
        log: { loki: { query: '{app=\"orders\"} | json', limit: 500000 }, since: 24h, where: { event: usage } }
        expect: { matches: { tokens: '>= 1' } }
```

**Lines** are asked for from `since` on; without it, from an hour ago. They come in pages until there are no more, or \
more than `limit`: of a log that was cut, counts have no data. The same goes for an answer with a warning, and when \
more lines have the very same time than a page holds. The time of a line is the one that Loki keeps, and is no part of \
it. With `tail`, only the newest are asked for. When there is no line at all, it must be because nothing was logged: \
that no stream fits the selector, nor did in seven days, is an *error*, for it may be misspelled.

**Values.** A query that begins with something else than a selector gives numbers: `value` is that of each series, every \
one of which must hold, and `series` how many there are. Loki gives no series at all where no line was found: `value` has \
no data then, and `on_no_data: pass` says that this is good, as does `expect: { series: 0 }`; or write `… or vector(0)`. \
That no stream fits is an error here too. The time is that of the look, and the range stands in the query, so that \
`since`, `tail`, `where` and the like have no meaning.

A Loki that does not answer, denies access or answers with something else is an *error*, as is a query that it refuses; \
what it says of it is shown. Both forms can be asked about a past time. Protocol: the HTTP API of Loki, \
<https://grafana.com/docs/loki/latest/reference/loki-http-api/>.
";

/// The most lines that are read unless the checklist says otherwise.
const USUAL_LIMIT: usize = 100_000;
/// The lines of one answer: a Loki gives 5000 at most unless it is told otherwise, and some are told less.
const PAGE: usize = 1000;
/// How far back is looked without `since`.
const USUAL_SPAN: TimeDelta = TimeDelta::hours(1);

/// A query for lines.
#[derive(Clone, Debug)]
struct Lines(Logql);

/// A line with its time, and the labels of its stream as one text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Line {
    at: i64,
    stream: String,
    text: String,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Origin>> {
    let logql = Logql::read(compiling, node)?;
    if logql.finds_lines() == Some(false) {
        let message = "this query gives numbers, not lines; the measures for them are value and series";
        let help = "a query for lines begins with its selector: '{app=\"orders\"} |= \"error\"'";
        compiling.reading.say(Diagnostic::error("bad-value", node.span, message).help(help));
        return None;
    }
    Some(Box::new(Lines(logql)))
}

#[async_trait]
impl Origin for Lines {
    fn describe(&self) -> String {
        format!("the lines of {} in {}", self.0.query.source().trim(), self.0.source)
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(&self.0.url, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.0.source)
    }

    fn can_look_back(&self) -> bool {
        true
    }

    fn is_stamped(&self) -> bool {
        true
    }

    fn request(&self, look: &Look<'_>, _wanted: &Wanted) -> Result<String, Failure> {
        self.0.fill(look.scope)
    }

    async fn pump(&self, look: &Look<'_>, wanted: &Wanted, to: mpsc::Sender<Bytes>) -> Result<Sent, Failure> {
        let query = self.0.fill(look.scope)?;
        let source = look.sources.api("loki", Some(&self.0.source));
        let source = source.ok_or_else(|| Failure::lasting(format!("there is no source {:?}", self.0.source)))?;
        let asked = source.open(look.world, look.scope, wanted.timeout)?;
        let end = wanted.until.unwrap_or_else(|| look.world.clock.now());
        let start = wanted.since.unwrap_or(end - USUAL_SPAN);
        let mut sent = Sent { through: Some(asked.through()), ..Sent::default() };
        if wanted.since.is_none() {
            sent.notes.push(Note::info("the last hour, as nobody said `since`"));
        }
        let limit = self.0.limit.unwrap_or(USUAL_LIMIT);
        let tail = wanted.tail.and_then(|tail| usize::try_from(tail).ok());
        // The end of a range is not part of it.
        let end_nanos = end.timestamp_nanos_opt().unwrap_or(i64::MAX).saturating_add(1);
        let mut pages = Pages {
            asked: &asked,
            query: &query,
            from: start.timestamp_nanos_opt().unwrap_or_default(),
            to: end_nanos,
            backward: tail.is_some(),
            edge: HashSet::new(),
        };
        let (count, partial) = match tail {
            Some(tail) => last(&mut pages, tail.min(limit), tail > limit, &to).await?,
            None => all(&mut pages, limit, &to).await?,
        };
        if count == 0 && !to.is_closed() {
            had_streams(&asked, &query, end).await?;
        }
        sent.partial = partial;
        Ok(sent)
    }
}

/// Sends all lines up to a limit. Returns how many, and why these may not be all.
async fn all(
    pages: &mut Pages<'_>,
    limit: usize,
    to: &mpsc::Sender<Bytes>,
) -> Result<(usize, Option<String>), Failure> {
    let mut count = 0;
    loop {
        // One more than is wanted tells whether there are more.
        let page = pages.next(PAGE.min(limit - count + 1)).await?;
        let more = page.lines.len() > limit - count;
        let mut text = Vec::new();
        for line in page.lines.iter().take(limit - count) {
            line.write(&mut text);
        }
        count += page.lines.len().min(limit - count);
        if !text.is_empty() && to.send(text.into()).await.is_err() {
            return Ok((count, None));
        }
        if more {
            return Ok((count, Some(format!("there are more than {limit} lines (limit)"))));
        }
        if page.warning.is_some() || page.last {
            return Ok((count, page.warning));
        }
    }
}

/// Sends the last lines. Returns how many, and why these may not be all.
async fn last(
    pages: &mut Pages<'_>,
    wanted: usize,
    cut: bool,
    to: &mpsc::Sender<Bytes>,
) -> Result<(usize, Option<String>), Failure> {
    let mut lines: Vec<Line> = Vec::new();
    let mut partial = None;
    while lines.len() < wanted {
        let page = pages.next(PAGE.min(wanted - lines.len())).await?;
        lines.extend(page.lines);
        partial = page.warning;
        if partial.is_some() || page.last {
            break;
        }
    }
    lines.truncate(wanted);
    lines.reverse();
    let count = lines.len();
    for piece in lines.chunks(PAGE) {
        let mut text = Vec::new();
        piece.iter().for_each(|line| line.write(&mut text));
        if to.send(text.into()).await.is_err() {
            return Ok((count, None));
        }
    }
    let cut = (cut && count == wanted).then(|| format!("more lines are wanted than the limit of {wanted}"));
    Ok((count, partial.or(cut)))
}

/// Goes through the answers, one page after the other.
struct Pages<'a> {
    asked: &'a Asked<'a>,
    query: &'a str,
    /// The range that is left, in nanoseconds, its end not part of it.
    from: i64,
    to: i64,
    /// Whether the newest lines come first.
    backward: bool,
    /// Lines that came already and have the time at which the next page begins.
    edge: HashSet<Line>,
}

struct Page {
    /// Lines that did not come before, in the order of the pages.
    lines: Vec<Line>,
    /// Whether there are no more.
    last: bool,
    /// Why lines may be missing.
    warning: Option<String>,
}

impl Pages<'_> {
    /// Asks for the next lines, `count` of them that did not come before, unless there are fewer.
    async fn next(&mut self, count: usize) -> Result<Page, Failure> {
        let limit = count + self.edge.len();
        let (from, to, size) = (self.from.to_string(), self.to.to_string(), limit.to_string());
        let direction = if self.backward { "backward" } else { "forward" };
        let pairs = [
            ("query", self.query),
            ("start", from.as_str()),
            ("end", to.as_str()),
            ("limit", size.as_str()),
            ("direction", direction),
        ];
        let (data, warning) = ask(self.asked, "/loki/api/v1/query_range", &pairs).await?;
        let mut lines = read(&data).map_err(|why| Failure::lasting(format!("{}: {why}", self.asked.through())))?;
        match self.backward {
            true => lines.sort_by_key(|line| std::cmp::Reverse(line.at)),
            false => lines.sort_by_key(|line| line.at),
        }
        let full = lines.len() >= limit;
        let Some(edge) = lines.last().map(|line| line.at) else {
            return Ok(Page { lines, last: true, warning });
        };
        let fresh: Vec<Line> = lines.iter().filter(|line| !self.edge.contains(line)).cloned().collect();
        let stuck = full && fresh.is_empty();
        let same = if self.backward { edge == self.to - 1 } else { edge == self.from };
        if !same {
            self.edge.clear();
        }
        self.edge.extend(lines.into_iter().filter(|line| line.at == edge));
        match self.backward {
            true => self.to = edge + 1,
            false => self.from = edge,
        }
        let crowded = stuck || self.edge.len() > PAGE * 4;
        let crowd = crowded.then(|| "more lines have the same time than one answer holds".to_owned());
        Ok(Page { lines: fresh, last: !full || crowded, warning: warning.or(crowd) })
    }
}

impl Line {
    fn write(&self, out: &mut Vec<u8>) {
        stamped(out, DateTime::<Utc>::from_timestamp_nanos(self.at), self.text.as_bytes());
    }
}

/// Reads the lines of an answer.
fn read(data: &Value) -> Result<Vec<Line>, String> {
    if data["resultType"] != "streams" {
        let kind = data["resultType"].as_str().unwrap_or("something else");
        return Err(format!("the query gives a {kind}, not lines"));
    }
    let Some(streams) = data["result"].as_array() else { return Err("the answer holds no streams".into()) };
    let mut lines = Vec::new();
    for stream in streams {
        let labels = stream["stream"].to_string();
        let Some(values) = stream["values"].as_array() else { return Err("a stream has no lines".into()) };
        for value in values {
            let at = value[0].as_str().and_then(|at| at.parse().ok());
            let (Some(at), Some(text)) = (at, value[1].as_str()) else {
                return Err("a line of the answer has no time or no text".into());
            };
            lines.push(Line { at, stream: labels.clone(), text: text.to_owned() });
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_of_all_streams_are_read_and_what_is_none_is_said() {
        let data = json!({ "resultType": "streams", "result": [
            { "stream": { "app": "a" }, "values": [["2", "two"], ["1", "one", { "trace": "x" }]] },
            { "stream": { "app": "b" }, "values": [["3", "three"]] },
        ] });
        let lines: Vec<_> = read(&data).expect("lines").into_iter().map(|line| (line.at, line.text)).collect();
        assert_eq!(lines, [(2, "two".into()), (1, "one".into()), (3, "three".into())]);
        assert_eq!(read(&json!({ "resultType": "vector" })), Err("the query gives a vector, not lines".into()));
        assert!(read(&json!({ "resultType": "streams", "result": [{ "values": [[1, "x"]] }] })).is_err());
    }
}
