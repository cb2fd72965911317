//! The source kind `scrape`: pages fetched while the run goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::target::{State, States, Target};
use super::{Cover, Need, Of, Pages};
use crate::model::quantity;
use crate::promql::storage::{Feed, Honor, Memory, Shape};
use crate::source::Failure;
use crate::source::reach::{Filled, Reach};
use crate::sys::{Clock, World};
use crate::template::{Scope, Template};

/// The most targets that are named one by one.
const MOST_NAMED: usize = 3;

/// Targets that a checklist declares.
#[derive(Debug)]
pub struct Scrape {
    pub(super) name: String,
    pub(super) targets: Vec<Reach>,
    pub(super) every: Duration,
    pub(super) keep: Duration,
    pub(super) job: Option<Template>,
    pub(super) labels: Vec<(String, Template)>,
    pub(super) honor: Honor,
    pub(super) max_series: usize,
    pub(super) max_body: usize,
    pub(super) running: Mutex<Option<Arc<Collecting>>>,
}

/// Targets that are being scraped. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Collecting {
    memory: Arc<Memory>,
    states: watch::Receiver<Vec<State>>,
    tasks: Vec<AbortHandle>,
    every: Duration,
    keep: Duration,
    insecure: bool,
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Scrape {
    /// Returns the name under which it is declared.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how long samples are kept.
    pub fn keep(&self) -> Duration {
        self.keep
    }

    /// Begins to scrape, if that has not begun yet.
    ///
    /// # Errors
    /// Says which template cannot be filled, or that a URL is none.
    pub fn begin(&self, world: &World, scope: &Scope) -> Result<(), Failure> {
        self.collecting(world, scope).map(drop)
    }

    /// Ends what was begun.
    pub fn end(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Makes the samples askable; begins to scrape if need be.
    ///
    /// # Errors
    /// Says which template cannot be filled, or that a URL is none.
    pub fn open<'a>(&self, world: &'a World, scope: &Scope, timeout: Duration) -> Result<Pages<'a>, Failure> {
        Ok(Pages::new(world, Of::Scrapes(self.collecting(world, scope)?), timeout))
    }

    fn collecting(&self, world: &World, scope: &Scope) -> Result<Arc<Collecting>, Failure> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collecting) = &*running {
            return Ok(Arc::clone(collecting));
        }
        let collecting = Arc::new(self.start(world, scope)?);
        *running = Some(Arc::clone(&collecting));
        Ok(collecting)
    }

    fn start(&self, world: &World, scope: &Scope) -> Result<Collecting, Failure> {
        let memory = Arc::new(Memory::new(Shape { keep: Some(self.keep), max_series: self.max_series }));
        let mut filled = Vec::new();
        for reach in &self.targets {
            filled.push(reach.fill(&self.name, scope)?);
        }
        let labels = self.labels(scope, &filled)?;
        let state = |at: &Filled| State { shown: at.shown.clone(), ..State::default() };
        let (states, receiver) = watch::channel(filled.iter().map(state).collect());
        let states: Arc<States> = Arc::new(states);
        let mut tasks = Vec::new();
        for (number, ((at, reach), labels)) in filled.into_iter().zip(&self.targets).zip(labels).enumerate() {
            let target = Target {
                world: world.clone(),
                at,
                connection: reach.connection.clone(),
                every: self.every,
                timeout: reach.timeout.unwrap_or(self.every.min(Duration::from_secs(10))),
                max_body: self.max_body,
                memory: Arc::clone(&memory),
            };
            let feed = Feed::new(Arc::clone(&memory), labels, self.honor);
            tasks.push(tokio::spawn(target.run(feed, Arc::clone(&states), number)).abort_handle());
        }
        let insecure = self.targets.iter().any(|reach| reach.connection.insecure);
        Ok(Collecting { memory, states: receiver, tasks, every: self.every, keep: self.keep, insecure })
    }

    /// Returns the labels of each target: its own, `job` and `instance`.
    fn labels(&self, scope: &Scope, targets: &[Filled]) -> Result<Vec<Vec<(String, String)>>, Failure> {
        let fill = |template: &Template| {
            template.render(scope).map_err(|error| Failure::lasting(format!("the source {:?}: {error}", self.name)))
        };
        let job = match &self.job {
            None => self.name.clone(),
            Some(job) => fill(job)?,
        };
        let mut own: BTreeMap<String, String> = BTreeMap::from([("job".to_owned(), job)]);
        for (name, value) in &self.labels {
            own.insert(name.clone(), fill(value)?);
        }
        let instances = instances(targets);
        let of = |instance: String| {
            let mut labels = own.clone();
            labels.entry("instance".to_owned()).or_insert(instance);
            labels.into_iter().collect()
        };
        Ok(instances.into_iter().map(of).collect())
    }
}

/// Returns `host:port` of each target; with the path when another one has the same.
fn instances(targets: &[Filled]) -> Vec<String> {
    let short = |at: &Filled| {
        let port = at.url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", at.url.host_str().unwrap_or_default())
    };
    let all: Vec<String> = targets.iter().map(short).collect();
    let alone = |instance: &String| all.iter().filter(|other| *other == instance).count() == 1;
    let name = |(instance, at): (&String, &Filled)| match alone(instance) {
        true => instance.clone(),
        false => format!("{instance}{}", &at.url[url::Position::BeforePath..url::Position::AfterQuery]),
    };
    all.iter().zip(targets).map(name).collect()
}

impl Collecting {
    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Waits until the first scrape of every target has ended, at most so long. Tells whether it has.
    pub(super) async fn begun(&self, clock: &Clock, most: Duration) -> bool {
        let mut states = self.states.clone();
        let ended = async { states.wait_for(|all| all.iter().all(|state| state.scrapes > 0)).await.is_ok() };
        clock.timeout(most, ended).await.unwrap_or(false)
    }

    /// Tells whether the samples are there that a query needs.
    pub(super) fn covers(&self, need: &Need) -> Cover {
        let states = self.states.borrow();
        let soon = Duration::from_millis(50).min(self.every);
        if states.iter().any(|s| s.scrapes == 0) {
            return Cover::Later(soon);
        }
        if need.pair && states.iter().any(|s| s.trouble.is_none() && s.pages < 2) {
            return Cover::Later(soon);
        }
        let (Some(from), Some(since)) = (need.from, since(&states)) else { return Cover::Whole };
        if need.back > self.keep {
            return Cover::Never;
        }
        // A range of Prometheus begins between two scrapes too.
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        let missing = since.saturating_sub(every).saturating_sub(from);
        match missing <= 0 {
            true => Cover::Whole,
            false if need.moves => Cover::Later(Duration::from_millis(missing.unsigned_abs())),
            false => Cover::Never,
        }
    }

    pub(super) fn every(&self) -> Duration {
        self.every
    }

    pub(super) fn keep(&self) -> Duration {
        self.keep
    }

    /// Returns since when pages are there.
    pub(super) fn since(&self) -> Option<i64> {
        since(&self.states.borrow())
    }

    /// Names the targets: `http://a/metrics`, `4 targets`.
    pub(super) fn whom(&self) -> String {
        let states = self.states.borrow();
        match &states[..] {
            [one] => one.shown.clone(),
            several => format!("{} targets", several.len()),
        }
    }

    pub(super) fn shown(&self) -> String {
        let insecure = if self.insecure { ", certificate not checked" } else { "" };
        format!("scrapes of {} every {}{insecure}", self.whom(), quantity::seconds(self.every.as_secs_f64()))
    }

    /// Says which targets cannot be scraped.
    pub(super) fn trouble(&self) -> Option<String> {
        let states = self.states.borrow();
        let troubled: Vec<_> = states.iter().filter_map(|s| Some((&s.shown, s.trouble.as_ref()?))).collect();
        let named = troubled.iter().take(MOST_NAMED);
        let mut said: Vec<_> = named.map(|(shown, why)| format!("{shown} could not be scraped: {why}")).collect();
        if troubled.len() > MOST_NAMED {
            said.push(format!("nor could {} more", troubled.len() - MOST_NAMED));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Tells whether not one target can be scraped: nothing is known of the service then.
    pub(super) fn is_dark(&self) -> bool {
        let states = self.states.borrow();
        !states.is_empty() && states.iter().all(|state| state.trouble.is_some())
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.trouble().into_iter().collect();
        let states = self.states.borrow();
        let dropping = states.iter().filter_map(|s| Some((s, s.dropped.words()?)));
        notes.extend(dropping.take(MOST_NAMED).map(|(state, words)| {
            format!("{} samples of {} were not kept: {words}", state.dropped.count(), state.shown)
        }));
        notes
    }
}

/// Returns since when pages are there: the latest first page of those targets that gave one at all.
fn since(states: &[State]) -> Option<i64> {
    states.iter().filter_map(|state| state.first_page).max().or_else(|| states.iter().filter_map(|s| s.first).max())
}
