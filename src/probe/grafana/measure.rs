//! Makes measures of what a dashboard has and what its queries gave.

use std::collections::BTreeSet;

use super::dashboard::Dashboard;
use super::frames::Given;
use super::mapping::{self, Mapping};
use super::panel::{Panel, Query};
use super::query::Ran;
use crate::model::{Evidence, Measures, Sample, Value};
use crate::probe::Wants;

/// The measures that need the queries of a panel to be run.
pub(super) const OF_DATA: &[&str] =
    &["panels.has_data", "panels.value", "panels.shows", "panels.series", "panels.error"];
/// The measures that are read from the dashboard itself.
const OF_PANEL: &[&str] = &[
    "panels.present",
    "panels.type",
    "panels.row",
    "panels.place",
    "panels.queries",
    "panels.mappings",
    "panels.thresholds",
];
/// The sets of titles.
pub(super) const OF_RUN: &[&str] = &["without_data", "errors"];
/// The most numbers that a panel may show.
const MOST_NUMBERS: usize = 1000;
/// The most lines that are kept as evidence.
const MOST_LINES: usize = 200;

/// A dashboard that was looked at.
pub(super) struct Looked {
    pub(super) dashboard: Dashboard,
    pub(super) panels: Vec<Seen>,
    /// The titles that the sets are about; nothing for all.
    pub(super) chosen: Option<Vec<String>>,
    pub(super) markers: Option<Value>,
}

/// A panel that was looked at.
pub(super) struct Seen {
    pub(super) panel: Panel,
    /// The title with its variables filled in.
    pub(super) title: String,
    /// What came of its queries, if they were run.
    pub(super) ran: Option<Ran>,
}

impl Looked {
    /// Returns every measure that is wanted.
    pub(super) fn measures(&self, wants: &Wants) -> Measures {
        let mut measures = Measures::new();
        measures.plain("rows", Value::Set(self.dashboard.rows.clone()));
        for name in OF_PANEL.iter().chain(OF_DATA).filter(|name| wants.any(name)) {
            for key in self.keys(wants, name) {
                let value = self.of_panel(name, &key);
                measures.keyed(name, key, value);
            }
        }
        measures.plain("total", Value::Number(self.panels.len() as f64));
        measures.plain("without_query", self.set(|seen| Ok(seen.panel.fault.is_none() && seen.asks_nothing())));
        if OF_RUN.iter().any(|name| wants.any(name)) {
            measures.plain("without_data", self.set(|seen| seen.has_data().map(|has| !has)));
            measures.plain("errors", self.set(|seen| seen.error().map(|error| error.is_some())));
        }
        measures.plain("annotations", Value::Set(self.dashboard.annotations.clone()));
        if let Some(markers) = &self.markers {
            measures.plain("markers", markers.clone());
        }
        measures.plain("title", Value::Text(self.dashboard.title.clone()));
        measures
    }

    /// Lists the keys of a measure that are wanted; for an expression, all that there are.
    fn keys(&self, wants: &Wants, name: &str) -> Vec<String> {
        let mut keys: Vec<String> = wants.keys(name).into_iter().map(str::to_owned).collect();
        if wants.whole(name) {
            let titles: BTreeSet<String> = self.panels.iter().map(|seen| seen.title.clone()).collect();
            keys.extend(titles.into_iter().filter(|title| !title.is_empty()));
        }
        keys.dedup();
        keys
    }

    /// Tells whether the queries of a panel have to be run.
    pub(super) fn is_wanted(&self, seen: &Seen, wants: &Wants) -> bool {
        let whole = OF_DATA.iter().any(|name| wants.whole(name));
        let keyed = || OF_DATA.iter().flat_map(|name| wants.keys(name)).any(|key| seen.is_called(key));
        let listed = || OF_RUN.iter().any(|name| wants.any(name)) && self.is_chosen(seen);
        seen.panel.needs_query() && (whole || keyed() || listed())
    }

    fn is_chosen(&self, seen: &Seen) -> bool {
        self.chosen.as_ref().is_none_or(|titles| titles.iter().any(|title| seen.is_called(title)))
    }

    /// Returns the titles of the panels for which something holds; why nobody knows where it is not known of one.
    fn set(&self, holds: impl Fn(&Seen) -> Result<bool, String>) -> Value {
        let titles = self.chosen.iter().flatten();
        let gone: Vec<_> = titles.filter(|title| !self.panels.iter().any(|seen| seen.is_called(title))).collect();
        if let [first, ..] = gone[..] {
            return Value::Missing(self.no_panel(first));
        }
        if self.panels.is_empty() {
            return Value::NoData("the dashboard has no panels".into());
        }
        let mut asked = self.panels.iter().filter(|seen| self.is_chosen(seen) && seen.panel.needs_query()).peekable();
        if asked.peek().is_none() {
            return Value::NoData("no panel needs a query".into());
        }
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for seen in asked {
            match holds(seen) {
                Ok(true) => found.push(self.name(seen)),
                Ok(false) => {}
                Err(why) => unknown.push(format!("of {} nothing is known: {why}", self.name(seen))),
            }
        }
        match unknown.first() {
            None => Value::Set(found),
            Some(first) => {
                let more = if unknown.len() > 1 { format!(" (and {} more)", unknown.len() - 1) } else { String::new() };
                let known =
                    if found.is_empty() { String::new() } else { format!("; it holds of {}", found.join(", ")) };
                Value::NoData(format!("{first}{more}{known}"))
            }
        }
    }

    /// Names a panel so that it is told apart from others of the same title.
    fn name(&self, seen: &Seen) -> String {
        let same = self.panels.iter().filter(|other| other.title == seen.title).count();
        match (seen.panel.id, same) {
            (Some(id), 2..) if !seen.title.is_empty() => format!("{} (#{id})", seen.title),
            _ if seen.title.is_empty() => seen.panel.name(),
            _ => seen.title.clone(),
        }
    }

    fn no_panel(&self, title: &str) -> String {
        let mut names: Vec<String> = self.panels.iter().map(|seen| self.name(seen)).collect();
        let left = names.len().saturating_sub(20);
        names.truncate(20);
        let more = if left > 0 { format!(" and {left} more") } else { String::new() };
        match names.is_empty() {
            true => format!("the dashboard has no panel {title:?}; it has none"),
            false => format!("the dashboard has no panel {title:?}; it has {}{more}", names.join(", ")),
        }
    }

    fn of_panel(&self, name: &str, key: &str) -> Value {
        let called: Vec<&Seen> = self.panels.iter().filter(|seen| seen.is_called(key)).collect();
        let seen = match (name, called.as_slice()) {
            ("panels.present", found) => return Value::Bool(!found.is_empty()),
            (_, []) => return Value::Missing(self.no_panel(key)),
            (_, [one]) => *one,
            (_, several) => {
                let ids: Vec<_> = several.iter().map(|seen| seen.place_words()).collect();
                let text = format!("{} panels have this title: {}; name one by its id", several.len(), ids.join(", "));
                return Value::NoData(text);
            }
        };
        let panel = &seen.panel;
        match name {
            "panels.type" => Value::Text(panel.kind.clone()),
            "panels.row" => match &panel.row {
                Some(row) => Value::Text(row.clone()),
                None => Value::Missing("the panel stands in no row".into()),
            },
            "panels.place" => Value::Number(panel.place as f64),
            "panels.queries" => Value::Set(panel.shown().map(Query::text).collect()),
            "panels.mappings" => Value::Set(panel.mappings.iter().map(Mapping::words).collect()),
            "panels.thresholds" => Value::Set(panel.thresholds.clone()),
            _ => seen.of_data(name),
        }
    }

    /// Says of each panel whose queries were run what came of them.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        let run: Vec<_> = self.panels.iter().filter(|seen| seen.ran.is_some()).collect();
        let lines: Vec<String> = run.iter().map(|seen| format!("{}: {}", self.name(seen), seen.words())).collect();
        let kept = lines.iter().take(MOST_LINES).cloned().collect::<Vec<_>>().join("\n");
        let left_out: usize = lines.iter().skip(MOST_LINES).map(|line| line.len() + 1).sum();
        (!kept.is_empty()).then(|| Evidence { title: "panels".into(), text: kept, left_out: left_out as u64 })
    }

    /// Says what data sources remarked, each once.
    pub(super) fn notices(&self) -> BTreeSet<String> {
        let given = self.panels.iter().flat_map(|seen| seen.given().map(move |given| (seen, given)));
        given
            .flat_map(|(seen, given)| given.notices.iter().map(|text| format!("{}: {text}", self.name(seen))))
            .collect()
    }
}

impl Seen {
    /// Tells whether a key names this panel: by its title, as stored or as shown, or by its id.
    fn is_called(&self, key: &str) -> bool {
        let by_id = || key.strip_prefix('#').and_then(|id| id.parse().ok());
        key == self.title || key == self.panel.title || self.panel.id.is_some_and(|id| by_id() == Some(id))
    }

    fn place_words(&self) -> String {
        let id = self.panel.id.map_or_else(|| "without an id".to_owned(), |id| format!("#{id}"));
        match &self.panel.row {
            Some(row) => format!("{id} in {row}"),
            None => id,
        }
    }

    fn asks_nothing(&self) -> bool {
        self.panel.shown().next().is_none()
    }

    /// Walks over the answers that gave data frames.
    fn given(&self) -> impl Iterator<Item = &Given> {
        let answers = match &self.ran {
            Some(Ran::Answers(each)) => each.as_slice(),
            Some(Ran::NoQuery | Ran::Unknown(_)) | None => &[],
        };
        answers.iter().flatten().filter_map(|answer| answer.given.as_ref().ok())
    }

    /// Tells whether each repetition of the panel shows something.
    fn has_data(&self) -> Result<bool, String> {
        match &self.ran {
            Some(Ran::NoQuery) => Ok(false),
            Some(Ran::Unknown(why)) => Err(why.clone()),
            None => Err("its queries were not run".into()),
            Some(Ran::Answers(each)) => {
                let shows = |given: &Given| given.has_data().is_ok();
                Ok(each.iter().all(|answers| answers.iter().any(|answer| answer.given.as_ref().is_ok_and(shows))))
            }
        }
    }

    /// Returns the first error.
    fn error(&self) -> Result<Option<String>, String> {
        match &self.ran {
            Some(Ran::NoQuery) => Ok(None),
            Some(Ran::Unknown(why)) => Err(why.clone()),
            None => Err("its queries were not run".into()),
            Some(Ran::Answers(each)) => {
                let error = |answer: &super::query::Answer| {
                    answer.given.as_ref().err().map(|error| format!("query {}: {error}", answer.ref_id))
                };
                Ok(each.iter().flatten().find_map(error))
            }
        }
    }

    fn of_data(&self, name: &str) -> Value {
        let panel = &self.panel;
        if !panel.needs_query() {
            return Value::Missing(format!("a panel of type {} asks nothing", panel.kind));
        }
        let (has, error) = match (self.has_data(), self.error()) {
            (Ok(has), Ok(error)) => (has, error),
            (Err(why), _) | (_, Err(why)) => return Value::NoData(why),
        };
        match (name, error) {
            ("panels.has_data", _) => Value::Bool(has),
            ("panels.error", Some(error)) => Value::Text(error),
            ("panels.error", None) => Value::Missing("no query ended with an error".into()),
            (_, Some(error)) => Value::NoData(error),
            (_, None) if !has => Value::NoData(self.emptiness()),
            (_, None) if !panel.transformations.is_empty() => {
                Value::NoData(format!("what is shown is made in the browser, by {}", panel.transformations.join(", ")))
            }
            ("panels.series", None) => {
                Value::Set(self.given().flat_map(Given::names).collect::<BTreeSet<_>>().into_iter().collect())
            }
            (name, None) => self.shown(name),
        }
    }

    /// Says why there is no data: of the first query, or of the first repetition.
    fn emptiness(&self) -> String {
        match self.given().find_map(|given| given.has_data().err()) {
            Some("no data") => "the queries give nothing".into(),
            Some(why) => format!("the queries give {why}"),
            None => "the panel has no query".into(),
        }
    }

    fn shown(&self, name: &str) -> Value {
        let panel = &self.panel;
        let mut shown = Vec::new();
        for given in self.given() {
            match given.shown(&panel.calc, panel.every_value) {
                Some(some) => shown.extend(some),
                None => return Value::NoData(format!("what {:?} makes of a series is not known here", panel.calc)),
            }
        }
        if shown.len() > MOST_NUMBERS {
            return Value::NoData(format!("the panel shows {} numbers, more than {MOST_NUMBERS}", shown.len()));
        }
        if name == "panels.value" {
            let samples: Vec<Sample> = shown.into_iter().map(|shown| shown.sample).collect();
            return match samples.is_empty() {
                true => Value::NoData("the queries give no number".into()),
                false => Value::Series(samples),
            };
        }
        let cells: Vec<_> = match shown.is_empty() {
            true => self.given().flat_map(Given::texts).collect(),
            false => shown.into_iter().map(|shown| shown.cell).collect(),
        };
        let words: BTreeSet<String> = cells.iter().map(|cell| mapping::shown(&panel.mappings, cell)).collect();
        match words.is_empty() {
            true => Value::NoData("the queries give nothing that is shown as one value".into()),
            false => Value::Text(words.into_iter().collect::<Vec<_>>().join(", ")),
        }
    }

    /// Says what came of the queries, in one line.
    fn words(&self) -> String {
        match &self.ran {
            None => "not asked".into(),
            Some(Ran::NoQuery) => "no query".into(),
            Some(Ran::Unknown(why)) => format!("not known: {why}"),
            Some(Ran::Answers(each)) => {
                let said = each.iter().flatten().map(|answer| match &answer.given {
                    Err(error) => format!("{} error: {error}", answer.ref_id),
                    Ok(given) => format!("{} {}", answer.ref_id, given.has_data().err().unwrap_or("data")),
                });
                said.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// Says of everything that is wanted that it is missing, as there is no dashboard.
pub(super) fn gone(wants: &Wants, why: &str) -> Measures {
    let mut measures = Measures::new();
    for spec in super::MEASURES {
        match spec.keys {
            None => measures.plain(spec.name, Value::Missing(why.to_owned())),
            Some(_) => {
                for key in wants.keys(spec.name) {
                    let value = match spec.name {
                        "panels.present" => Value::Bool(false),
                        _ => Value::Missing(why.to_owned()),
                    };
                    measures.keyed(spec.name, key, value);
                }
            }
        }
    }
    measures
}
