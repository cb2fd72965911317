//! One look at a dashboard: fetch it, run the queries that are wanted, measure.

use async_trait::async_trait;
use chrono::SecondsFormat;
use futures_util::stream::{self, StreamExt};
use indexmap::IndexMap;
use serde_json::Value as Json;

use super::dashboard::{Dashboard, Placed, text};
use super::fill::{Fill, Style};
use super::measure::{self, Looked, OF_DATA, OF_RUN, Seen};
use super::options::Resolving;
use super::panel::Panel;
use super::period::Period;
use super::query::Running;
use super::sources::DataSources;
use super::spec::Spec;
use super::variables::Vars;
use crate::model::{Found, Measures, Note, Observation, Value};
use crate::probe::{Look, Probe, Wants};
use crate::source::Failure;
use crate::source::api::Asked;
use crate::template::{Scope, Template, TemplateError};

/// How many panels are asked about at a time: a browser does not ask more either.
const AT_ONCE: usize = 4;
/// The most annotations that are counted.
const MOST_MARKERS: usize = 1000;
/// Where Grafana keeps dashboards as resources.
const RESOURCES: &str = "/apis/dashboard.grafana.app/";

/// A `grafana` step.
pub(super) struct Grafana {
    spec: Spec,
    wants: Wants,
}

/// A step with its templates filled in.
struct Filled {
    uid: String,
    panels: Option<Vec<String>>,
    vars: IndexMap<String, Vec<String>>,
    tags: Vec<String>,
}

/// What a look came to, with what a reader should know of it.
struct Came {
    measures: Measures,
    notes: Vec<Note>,
    looked: Option<Looked>,
}

#[async_trait]
impl Probe for Grafana {
    fn describe(&self) -> String {
        format!("looks at the dashboard {} of {}", self.spec.dashboard.source(), self.spec.source)
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        crate::source::prometheus::host(&self.spec.url, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.spec.source)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let filled = match self.spec.fill(look.scope) {
            Ok(filled) => filled,
            Err(error) => return Observation::new(self.describe(), Found::refused(error.to_string())),
        };
        let mut observation = Observation::new(filled.request(), Found::Measures(Measures::new()));
        let opened = match look.sources.api("grafana", Some(&self.spec.source)) {
            Some(api) => api.open(look.world, look.scope, look.timeout),
            None => Err(Failure::lasting(format!("there is no source {:?}", self.spec.source))),
        };
        let came = match opened {
            Ok(asked) => {
                observation.through = Some(asked.through());
                self.look(&asked, &filled, look, &mut observation.request).await
            }
            Err(failure) => Err(failure),
        };
        match came {
            Ok(came) => {
                observation.evidence = came.looked.and_then(|looked| looked.evidence()).into_iter().collect();
                observation.notes = came.notes;
                observation.found = Found::Measures(came.measures);
            }
            Err(Failure { cause, retry, .. }) => observation.found = Found::CouldNotLook { cause, retry },
        }
        observation
    }
}

impl Grafana {
    pub(super) fn new(spec: Spec, wants: Wants) -> Self {
        Self { spec, wants }
    }

    async fn look(
        &self,
        asked: &Asked<'_>,
        filled: &Filled,
        look: &Look<'_>,
        request: &mut String,
    ) -> Result<Came, Failure> {
        let answer = match fetch(asked, &filled.uid).await? {
            Ok(answer) => answer,
            Err(why) => {
                return Ok(Came { measures: measure::gone(&self.wants, &why), notes: Vec::new(), looked: None });
            }
        };
        let unreadable = |why: String| Failure::lasting(format!("{}: {why}", asked.through()));
        let mut dashboard = Dashboard::read(&answer).map_err(unreadable)?;
        let faults = library_panels(asked, &mut dashboard.panels).await?;
        dashboard.follow();
        let panels: Vec<Panel> =
            dashboard.panels.iter().zip(faults).map(|(placed, fault)| Panel::read(placed, fault)).collect();
        let mut remarks = std::mem::take(&mut dashboard.remarks);
        let now = look.world.clock.now();
        let named = dashboard
            .rows
            .iter()
            .chain(panels.iter().map(|panel| &panel.title))
            .any(|title| title.contains(['$', '[']));
        let runs = OF_DATA.iter().chain(OF_RUN).any(|name| self.wants.any(name));
        let dated = runs || self.wants.any("markers");
        let period = match (self.spec.last, dated) {
            (Some(length), _) => Period::last(now, length),
            (None, true) => {
                let end = |end: &Option<String>, usual: &str| end.clone().unwrap_or_else(|| usual.to_owned());
                Period::read(&end(&dashboard.from, "now-6h"), &end(&dashboard.to, "now"), now)
                    .map_err(Failure::lasting)?
            }
            (None, false) => Period::last(now, std::time::Duration::from_secs(3600)),
        };
        if dated {
            let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
            request.push_str(&format!(", from {} to {}", time(period.from), time(period.to)));
        }
        let sources = DataSources::new(asked);
        let resolving =
            Resolving { asked, sources: &sources, period, dashboard: &dashboard.title, given: &filled.vars };
        let vars = match runs || named || !filled.vars.is_empty() {
            true => resolving.all(&dashboard.variables, &mut remarks).await?,
            false => Vars::default(),
        };
        let titled = |title: &str| shown(title, &vars, period);
        let rows = dashboard.rows.iter().map(|row| titled(row)).collect();
        let title = dashboard.title.clone();
        dashboard.rows = rows;
        let seen = panels.into_iter().map(|mut panel| {
            panel.row = panel.row.map(|row| titled(&row));
            Seen { title: titled(&panel.title), panel, ran: None }
        });
        let mut looked = Looked { dashboard, panels: seen.collect(), chosen: filled.panels.clone(), markers: None };
        if runs {
            let running = Running { asked, sources: &sources, vars: &vars, period, now, dashboard: &title };
            self.run(&running, &mut looked, &mut remarks).await?;
        }
        if self.wants.any("markers") {
            looked.markers = Some(markers(asked, filled, period).await?);
        }
        remarks.extend(looked.notices());
        remarks.dedup();
        let notes = remarks.into_iter().take(20).map(Note::warning).collect();
        Ok(Came { measures: looked.measures(&self.wants), notes, looked: Some(looked) })
    }

    /// Runs the queries of the panels that are wanted, a few panels at a time.
    async fn run(&self, running: &Running<'_>, looked: &mut Looked, remarks: &mut Vec<String>) -> Result<(), Failure> {
        let places = 0..looked.panels.len();
        let wanted: Vec<usize> = places.filter(|at| looked.is_wanted(&looked.panels[*at], &self.wants)).collect();
        let panels: Vec<Panel> = wanted.iter().map(|at| looked.panels[*at].panel.clone()).collect();
        let asking = panels.iter().map(|panel| async move {
            let mut remarks = Vec::new();
            running.run(panel, &mut remarks).await.map(|ran| (ran, remarks))
        });
        let mut answers = stream::iter(asking.collect::<Vec<_>>()).buffered(AT_ONCE);
        let mut wanted = wanted.into_iter();
        while let (Some(answer), Some(at)) = (answers.next().await, wanted.next()) {
            let (ran, said) = answer?;
            looked.panels[at].ran = Some(ran);
            remarks.extend(said.into_iter().filter(|text| !remarks.contains(text)).collect::<Vec<_>>());
        }
        Ok(())
    }
}

impl Spec {
    fn fill(&self, scope: &Scope) -> Result<Filled, TemplateError> {
        let all = |templates: &[Template]| templates.iter().map(|t| t.render(scope)).collect::<Result<Vec<_>, _>>();
        let vars = self.vars.iter().map(|(name, values)| Ok((name.clone(), all(values)?)));
        Ok(Filled {
            uid: self.dashboard.render(scope)?.trim().to_owned(),
            panels: self.panels.as_deref().map(all).transpose()?,
            vars: vars.collect::<Result<_, TemplateError>>()?,
            tags: all(&self.tags)?,
        })
    }
}

impl Filled {
    fn request(&self) -> String {
        let vars: Vec<_> = self.vars.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect();
        let with = if vars.is_empty() { String::new() } else { format!(" with {}", vars.join(" ")) };
        format!("dashboard {}{with}", self.uid)
    }
}

/// Fetches a dashboard, from where it is kept. Within: that it is not there.
async fn fetch(asked: &Asked<'_>, uid: &str) -> Result<Result<Json, String>, Failure> {
    let encoded: String = url::form_urlencoded::byte_serialize(uid.as_bytes()).collect();
    let path = format!("/api/dashboards/uid/{encoded}");
    let reply = asked.send("GET", &path, &[], None).await?;
    let message = || asked.json(&reply).ok().and_then(|json| text(&json, "message")).unwrap_or_default();
    match reply.status {
        404 if message().to_lowercase().contains("dashboard") => Ok(Err(format!("there is no dashboard {uid:?}"))),
        // The classic API says where a dashboard of the second form is kept.
        406 => match resource(&message()) {
            Some(path) => match asked.find(&path, &[]).await? {
                Some(json) => Ok(Ok(json)),
                None => Ok(Err(format!("there is no dashboard {uid:?}"))),
            },
            None => {
                asked.check(&reply, &path)?;
                Err(Failure::lasting(format!("{} cannot give the dashboard {uid:?}", asked.through())))
            }
        },
        _ => {
            asked.check(&reply, &path)?;
            asked.json(&reply).map(Ok)
        }
    }
}

/// Takes the path of a resource out of a message.
fn resource(message: &str) -> Option<String> {
    let path = &message[message.find(RESOURCES)?..];
    let path = path.split_whitespace().next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    (path.chars().all(plain) && !path.contains("..")).then(|| path.to_owned())
}

/// Puts library panels in the place of what refers to them. Returns for each panel why it cannot be shown, if so.
async fn library_panels(asked: &Asked<'_>, panels: &mut [Placed]) -> Result<Vec<Option<String>>, Failure> {
    let mut faults = Vec::with_capacity(panels.len());
    for placed in panels {
        let mut fault = None;
        let known = placed.json["targets"].is_array() && placed.json["type"] != "library-panel-ref";
        if let Some(uid) = text(&placed.json["libraryPanel"], "uid").filter(|_| !known) {
            let encoded: String = url::form_urlencoded::byte_serialize(uid.as_bytes()).collect();
            match asked.find(&format!("/api/library-elements/{encoded}"), &[]).await? {
                Some(answer) if answer["result"]["model"].is_object() => {
                    let mut model = answer["result"]["model"].clone();
                    for key in ["id", "title", "gridPos"] {
                        if !placed.json[key].is_null() && placed.json[key] != "" {
                            model[key] = placed.json[key].clone();
                        }
                    }
                    placed.json = model;
                }
                Some(_) => return Err(Failure::lasting(format!("{} gave no library panel {uid:?}", asked.through()))),
                None => fault = Some(format!("its library panel {uid:?} is not there")),
            }
        }
        faults.push(fault);
    }
    Ok(faults)
}

/// Fills a title in; it stays as it is where nobody knows what it stands for.
fn shown(title: &str, vars: &Vars, period: Period) -> String {
    let second = std::time::Duration::from_secs(1);
    let fill = Fill { vars, style: Style::Other, period, step: second, scrape: second, dashboard: "" };
    fill.text(title).unwrap_or_else(|_| title.to_owned())
}

/// Counts the annotations within a time.
async fn markers(asked: &Asked<'_>, filled: &Filled, period: Period) -> Result<Value, Failure> {
    let (from, to) = (period.from.timestamp_millis().to_string(), period.to.timestamp_millis().to_string());
    let limit = MOST_MARKERS.to_string();
    let mut query = vec![("from", from.as_str()), ("to", to.as_str()), ("limit", limit.as_str())];
    match filled.tags.is_empty() {
        true => query.push(("dashboardUID", &filled.uid)),
        false => query.extend(filled.tags.iter().map(|tag| ("tags", tag.as_str()))),
    }
    let answer = asked.get("/api/annotations", &query).await?;
    match answer.as_array().map(Vec::len) {
        None => Err(Failure::lasting(format!("{} answered with something else than annotations", asked.through()))),
        Some(count) if count >= MOST_MARKERS => {
            Ok(Value::NoData(format!("there are {MOST_MARKERS} annotations or more; name `tags`, or a shorter time")))
        }
        Some(count) => Ok(Value::Number(count as f64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_resource_is_taken_out_of_the_message() {
        let path = "/apis/dashboard.grafana.app/v2beta1/namespaces/default/dashboards/app";
        let message = format!("dashboard api version not supported, use {path} instead");
        assert_eq!(resource(&message).as_deref(), Some(path));
        assert_eq!(resource("use /apis/dashboard.grafana.app/../../admin instead"), None);
        assert_eq!(resource("not acceptable"), None);
    }
}
