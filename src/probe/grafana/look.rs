//! One look at a dashboard: fetch it, run the queries that are wanted, measure.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::stream::{self, StreamExt};
use indexmap::IndexMap;

use super::dashboard::Dashboard;
use super::fetch;
use super::fill::{Fill, Style};
use super::measure::{self, Looked, OF_DATA, OF_RUN, Seen};
use super::options::Resolving;
use super::panel::Panel;
use super::period::Period;
use super::query::Running;
use super::sources::DataSources;
use super::spec::Spec;
use super::variables::Vars;
use crate::model::{Found, Measures, Note, Observation};
use crate::probe::{Look, Probe, Wants};
use crate::source::Failure;
use crate::source::api::Asked;
use crate::template::{Scope, Template, TemplateError};

/// How many panels are asked about at a time: a browser does not ask more either.
const AT_ONCE: usize = 4;
/// The most remarks that are kept.
const MOST_NOTES: usize = 20;

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

/// A dashboard as it was fetched, with what a reader should know of how it was read.
struct Read {
    dashboard: Dashboard,
    panels: Vec<Panel>,
    remarks: Vec<String>,
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
        let mut read = match self.read(asked, &filled.uid).await? {
            Ok(read) => read,
            Err(why) => {
                return Ok(Came { measures: measure::gone(&self.wants, &why), notes: Vec::new(), looked: None });
            }
        };
        let now = look.world.clock.now();
        let runs = OF_DATA.iter().chain(OF_RUN).any(|name| self.wants.any(name));
        let dated = runs || self.wants.any("markers");
        let period = self.period(&read.dashboard, now, dated)?;
        if dated {
            let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
            request.push_str(&format!(", from {} to {}", time(period.from), time(period.to)));
        }
        let title = read.dashboard.title.clone();
        let sources = DataSources::new(asked);
        let vars = match runs || read.is_named_by_variables() || !filled.vars.is_empty() {
            true => {
                let given = &filled.vars;
                let resolving = Resolving { asked, sources: &sources, period, dashboard: &title, given };
                resolving.all(&read.dashboard.variables, &mut read.remarks).await?
            }
            false => Vars::default(),
        };
        let (mut looked, mut remarks) = read.with_titles(&vars, period, filled.panels.clone());
        if runs {
            let running = Running { asked, sources: &sources, vars: &vars, period, now, dashboard: &title };
            self.run(&running, &mut looked, &mut remarks).await?;
        }
        if self.wants.any("markers") {
            looked.markers = Some(fetch::markers(asked, &filled.uid, &filled.tags, period).await?);
        }
        remarks.extend(looked.notices());
        remarks.dedup();
        let notes = remarks.into_iter().take(MOST_NOTES).map(Note::warning).collect();
        Ok(Came { measures: looked.measures(&self.wants), notes, looked: Some(looked) })
    }

    /// Fetches the dashboard and reads it. Within: that it is not there.
    async fn read(&self, asked: &Asked<'_>, uid: &str) -> Result<Result<Read, String>, Failure> {
        let answer = match fetch::dashboard(asked, uid).await? {
            Ok(answer) => answer,
            Err(why) => return Ok(Err(why)),
        };
        let unreadable = |why: String| Failure::lasting(format!("{}: {why}", asked.through()));
        let mut dashboard = Dashboard::read(&answer).map_err(unreadable)?;
        let faults = fetch::library_panels(asked, &mut dashboard.panels).await?;
        dashboard.follow();
        let panels = dashboard.panels.iter().zip(faults).map(|(placed, fault)| Panel::read(placed, fault)).collect();
        let remarks = std::mem::take(&mut dashboard.remarks);
        Ok(Ok(Read { dashboard, panels, remarks }))
    }

    /// Returns the time that is looked at. That of the dashboard is read only where something is asked about it.
    fn period(&self, dashboard: &Dashboard, now: DateTime<Utc>, dated: bool) -> Result<Period, Failure> {
        match self.spec.last {
            Some(length) => Ok(Period::last(now, length)),
            None if dated => {
                let end = |end: &Option<String>, usual: &str| end.clone().unwrap_or_else(|| usual.to_owned());
                let (from, to) = (end(&dashboard.from, "now-6h"), end(&dashboard.to, "now"));
                Period::read(&from, &to, now).map_err(Failure::lasting)
            }
            None => Ok(Period::last(now, Duration::from_secs(3600))),
        }
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

impl Read {
    /// Tells whether a title has variables in it.
    fn is_named_by_variables(&self) -> bool {
        let titles = self.dashboard.rows.iter().chain(self.panels.iter().map(|panel| &panel.title));
        titles.into_iter().any(|title| title.contains(['$', '[']))
    }

    /// Fills the titles in. Returns the remarks beside it.
    fn with_titles(self, vars: &Vars, period: Period, chosen: Option<Vec<String>>) -> (Looked, Vec<String>) {
        let Self { mut dashboard, panels, remarks } = self;
        let titled = |title: &String| shown(title, vars, period);
        dashboard.rows = dashboard.rows.iter().map(titled).collect();
        let seen = panels.into_iter().map(|mut panel| {
            panel.row = panel.row.as_ref().map(titled);
            Seen { title: titled(&panel.title), panel, ran: None }
        });
        let panels = seen.collect();
        (Looked { dashboard, panels, chosen, markers: None }, remarks)
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

/// Fills a title in; it stays as it is where nobody knows what it stands for.
fn shown(title: &str, vars: &Vars, period: Period) -> String {
    let second = Duration::from_secs(1);
    let fill = Fill { vars, style: Style::Other, period, step: second, scrape: second, dashboard: "" };
    fill.text(title).unwrap_or_else(|_| title.to_owned())
}
