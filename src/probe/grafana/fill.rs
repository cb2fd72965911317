//! Puts variables and the time into queries, escaped as the data source of each wants it.
//!
//! Source: <https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/>.

use std::sync::LazyLock;
use std::time::Duration;

use chrono::SecondsFormat;
use regex::{Captures, Regex};
use serde_json::Value as Json;

use super::period::{Period, words};
use super::variables::{Vars, Worth};

/// `$name`, `${name}`, `${name.field:format}`, `[[name]]`, `[[name:format]]`.
#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test uses it")]
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)").expect("a pattern")
});

/// How values stand in the queries of a kind of data source when the query does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Escaped for strings and regular expressions; several as `(a|b)`.
    Prometheus,
    /// The same; several as `a|b`.
    Loki,
    /// Several quoted, with commas.
    Sql,
    /// Several as `{a,b}`.
    Other,
}

impl Style {
    /// Returns the style of a kind of data source.
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "loki" => Style::Loki,
            "mysql" | "postgres" | "mssql" | "grafana-postgresql-datasource" => Style::Sql,
            kind if kind.contains("prometheus") => Style::Prometheus,
            _ => Style::Other,
        }
    }
}

/// What is put into the queries of a data source.
pub(super) struct Fill<'a> {
    pub(super) vars: &'a Vars,
    pub(super) style: Style,
    pub(super) period: Period,
    /// The distance of two points, and how often the service is scraped.
    pub(super) step: Duration,
    pub(super) scrape: Duration,
    pub(super) dashboard: &'a str,
}

impl Fill<'_> {
    /// Fills every text in a JSON value, its keys left alone.
    ///
    /// # Errors
    /// Says of which variable nobody knows what it stands for, or which format is not known.
    pub(super) fn json(&self, json: &Json) -> Result<Json, String> {
        Ok(match json {
            Json::String(text) => Json::String(self.text(text)?),
            Json::Array(items) => Json::Array(items.iter().map(|item| self.json(item)).collect::<Result<_, _>>()?),
            Json::Object(fields) => Json::Object(
                fields
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.json(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
        })
    }

    /// Fills a text.
    ///
    /// # Errors
    /// Says of which variable nobody knows what it stands for, or which format is not known.
    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        self.filled(text, true)
    }

    fn filled(&self, text: &str, again: bool) -> Result<String, String> {
        let mut fault = None;
        let filled = VARIABLE.replace_all(text, |found: &Captures<'_>| {
            let group = |at: usize| found.get(at).map(|group| group.as_str());
            let name = group(1).or(group(4)).or(group(6)).unwrap_or_default();
            let format = group(3).or(group(5));
            match self.one(name, group(2), format, again) {
                Ok(Some(value)) => value,
                // What is no variable may be a macro of the data source, or the end of a regular expression.
                Ok(None) => found[0].to_owned(),
                Err(cause) => {
                    fault.get_or_insert(cause);
                    String::new()
                }
            }
        });
        match fault {
            Some(cause) => Err(cause),
            None => Ok(filled.into_owned()),
        }
    }

    fn one(
        &self,
        name: &str,
        field: Option<&str>,
        format: Option<&str>,
        again: bool,
    ) -> Result<Option<String>, String> {
        match self.vars.get(name) {
            None => self.builtin(name, format),
            Some(Worth::Unknown(why)) => Err(why.clone()),
            // The interval variable `auto` stands for another variable.
            Some(Worth::Whole(text)) if again => self.filled(text, false).map(Some),
            Some(Worth::Whole(text)) => Ok(Some(text.clone())),
            Some(Worth::Values { values, many }) => {
                let format = if field == Some("text") { Some("text") } else { format };
                let value = match format {
                    Some(format) => formatted(values, format)
                        .ok_or_else(|| format!("the format {format:?} of the variable {name} is not known here"))?,
                    None => self.plain(values, *many),
                };
                Ok(Some(value))
            }
        }
    }

    /// Puts values where the query says no format.
    fn plain(&self, values: &[String], many: bool) -> String {
        match self.style {
            Style::Prometheus | Style::Loki if !many => in_string(&values.join(",")),
            Style::Prometheus | Style::Loki => {
                let escaped: Vec<_> = values.iter().map(|value| in_pattern(value)).collect();
                match (escaped.len(), self.style) {
                    (0 | 1, _) | (_, Style::Loki) => escaped.join("|"),
                    (_, Style::Prometheus | Style::Sql | Style::Other) => format!("({})", escaped.join("|")),
                }
            }
            Style::Sql if many => quoted(values, '\'', "''"),
            Style::Sql | Style::Other => braced(values),
        }
    }

    /// Returns what Grafana itself gives: the time and the steps.
    fn builtin(&self, name: &str, format: Option<&str>) -> Result<Option<String>, String> {
        let rate = (self.step + self.scrape).max(self.scrape * 4);
        let range = self.period.length();
        let seconds = |length: Duration| length.as_secs_f64().round().to_string();
        Ok(Some(match name {
            "__interval" => words(self.step),
            "__interval_ms" => self.step.as_millis().to_string(),
            "__rate_interval" => words(rate),
            "__rate_interval_ms" => rate.as_millis().to_string(),
            "__range" => format!("{}s", seconds(range)),
            "__range_s" => seconds(range),
            "__range_ms" => range.as_millis().to_string(),
            "__dashboard" => self.dashboard.to_owned(),
            "__from" | "__to" => {
                let at = if name == "__from" { self.period.from } else { self.period.to };
                match format {
                    None => at.timestamp_millis().to_string(),
                    Some("date" | "date:iso") => at.to_rfc3339_opts(SecondsFormat::Millis, true),
                    Some("date:seconds") => at.timestamp().to_string(),
                    Some(other) => return Err(format!("the format {other:?} of {name} is not known here")),
                }
            }
            _ => return Ok(None),
        }))
    }
}

/// Puts values as a format says that a query names.
fn formatted(values: &[String], format: &str) -> Option<String> {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    Some(match format {
        "raw" | "csv" => values.join(","),
        "glob" => braced(values),
        "pipe" => values.join("|"),
        "regex" => match values {
            [one] => regex::escape(one),
            several => format!("({})", several.iter().map(|v| regex::escape(v)).collect::<Vec<_>>().join("|")),
        },
        "json" => Json::from(values.to_vec()).to_string(),
        "singlequote" => quoted(values, '\'', "\\'"),
        "doublequote" => quoted(values, '"', "\\\""),
        "sqlstring" => quoted(values, '\'', "''"),
        "text" => values.join(" + "),
        "percentencode" | "uriencode" => encoded(&braced(values)).replace('+', "%20"),
        "lucene" => {
            let each: Vec<_> = values.iter().map(|value| format!("\"{}\"", value.replace('"', "\\\""))).collect();
            match each.as_slice() {
                [_] => lucene(&values[0]),
                _ => format!("({})", each.join(" OR ")),
            }
        }
        _ => return None,
    })
}

fn braced(values: &[String]) -> String {
    match values {
        [one] => one.clone(),
        several => format!("{{{}}}", several.join(",")),
    }
}

fn quoted(values: &[String], quote: char, inner: &str) -> String {
    let each = values.iter().map(|value| format!("{quote}{}{quote}", value.replace(quote, inner)));
    each.collect::<Vec<_>>().join(",")
}

fn lucene(value: &str) -> String {
    let special = |c: char| r#"+-=&|><!(){}[]^"~*?:\/ "#.contains(c);
    value.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Escapes for a string of PromQL or LogQL.
fn in_string(value: &str) -> String {
    value.replace('\\', r"\\").replace('\'', r"\'")
}

/// Escapes for a regular expression within a string of PromQL or LogQL.
fn in_pattern(value: &str) -> String {
    let mut out = String::new();
    for sign in value.chars() {
        match sign {
            '\\' => out.push_str(r"\\\\"),
            _ if "$^*{}[]'+?.()|".contains(sign) => {
                out.push_str(r"\\");
                out.push(sign);
            }
            _ => out.push(sign),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, style: Style) -> Result<String, String> {
        let mut vars = Vars::default();
        let values =
            |values: &[&str], many| Worth::Values { values: values.iter().map(|v| (*v).to_owned()).collect(), many };
        vars.set("one", values(&["a.b"], false));
        vars.set("multi", values(&["a.b"], true));
        vars.set("two", values(&["a.b", "c'd"], true));
        vars.set("all", Worth::Whole(".*".into()));
        vars.set("auto", Worth::Whole("$__interval".into()));
        vars.set("lost", Worth::Unknown("lost is not known".into()));
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0).expect("a time");
        let fill = Fill {
            vars: &vars,
            style,
            period: Period { from: at(1_700_000_000), to: at(1_700_003_600) },
            step: Duration::from_secs(15),
            scrape: Duration::from_secs(15),
            dashboard: "App",
        };
        fill.text(text)
    }

    #[test]
    fn variables_are_written_in_every_way_and_escaped_for_their_place() {
        use Style::{Loki, Other, Prometheus, Sql};
        for (text, style, expected) in [
            ("up{a=\"$one\"} [[one]] ${one}", Prometheus, "up{a=\"a.b\"} a.b a.b"),
            ("up{a=~\"$multi\"}", Prometheus, r#"up{a=~"a\\.b"}"#),
            ("up{a=~\"$two\"}", Prometheus, r#"up{a=~"(a\\.b|c\\'d)"}"#),
            ("{a=~\"$two\"}", Loki, r#"{a=~"a\\.b|c\\'d"}"#),
            ("in ($two)", Sql, "in ('a.b','c''d')"),
            ("x.$two.y", Other, "x.{a.b,c'd}.y"),
            ("${two:regex} ${two:pipe} ${two:csv} ${two:json}", Other, r#"(a\.b|c'd) a.b|c'd a.b,c'd ["a.b","c'd"]"#),
            ("[[two:singlequote]] ${two:doublequote}", Other, r#"'a.b','c\'d' "a.b","c'd""#),
            ("up{a=~\"$all\"} ${one.text}", Prometheus, "up{a=~\".*\"} a.b"),
            ("rate(x[$auto])", Prometheus, "rate(x[15s])"),
            ("x$ $nothing $1 $__timeFilter(t)", Prometheus, "x$ $nothing $1 $__timeFilter(t)"),
        ] {
            assert_eq!(filled(text, style), Ok(expected.to_owned()), "{text}");
        }
        assert_eq!(filled("$lost", Prometheus), Err("lost is not known".into()));
        assert!(filled("${one:emoji}", Other).is_err());
    }

    #[test]
    fn the_time_and_the_steps_are_filled_in() {
        for (text, expected) in [
            ("rate(x[$__rate_interval])", "rate(x[1m])"),
            ("[$__interval] [$__range] [${__range_s}] $__interval_ms", "[15s] [3600s] [3600] 15000"),
            ("$__from ${__to:date:seconds} ${__from:date:iso}", "1700000000000 1700003600 2023-11-14T22:13:20.000Z"),
            ("$__dashboard", "App"),
        ] {
            assert_eq!(filled(text, Style::Prometheus), Ok(expected.to_owned()), "{text}");
        }
    }
}
