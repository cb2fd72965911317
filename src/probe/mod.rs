//! What looks. One file a kind, and [`KINDS`], the table.
//!
//! A kind declares its form ([`Shape`]), its measures and its manual page; `compile` turns what was written into a
//! [`Probe`], which looks and returns measures, or says that it could not. A probe never decides.

pub mod alerts;
mod asked;
mod compose;
pub mod dns;
pub mod docker;
pub mod earlier_run;
pub mod exec;
pub mod file;
pub mod git;
pub mod grafana;
pub mod http;
mod json;
pub mod kubernetes;
mod labels;
pub mod log;
pub mod manual;
pub mod metrics;
pub mod parsed;
pub mod paths;
pub mod promql;
pub mod rules;
pub mod targets;
pub mod tcp;
pub mod tls;
pub mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::checklist::reading::Reading;
use crate::model::{Decision, Expectation, Kind, MeasureName, Measures, Observation, Reference, RunId, StepId};
use crate::shape::Shape;
use crate::source::Sources;
use crate::sys::World;
use crate::sys::policy::Touch;
use crate::template::{Scope, Template};
use crate::yaml::Node;

/// Every kind of probe, in the order of the manual.
pub const KINDS: &[&ProbeKind] = &[
    &http::KIND,
    &promql::KIND,
    &metrics::KIND,
    &targets::KIND,
    &rules::KIND,
    &alerts::KIND,
    &log::KIND,
    &kubernetes::KIND,
    &exec::KIND,
    &tcp::KIND,
    &file::KIND,
    &docker::KIND,
    &grafana::KIND,
    &dns::KIND,
    &tls::KIND,
    &git::KIND,
    &earlier_run::KIND,
    &manual::KIND,
    &wait::KIND,
];

/// Looks a kind up by its name.
pub fn find(name: &str) -> Option<&'static ProbeKind> {
    KINDS.iter().copied().find(|kind| kind.name == name)
}

/// A kind of probe.
pub struct ProbeKind {
    /// The key in a step.
    pub name: &'static str,
    /// What it looks at, in one line.
    pub summary: &'static str,
    /// The manual page, in Markdown: what it does, what is a failure and what an error, examples. The lists of keys
    /// and measures are added from `shape` and `measures`.
    pub manual: &'static str,
    /// The form of the value under the key.
    pub shape: Shape,
    /// The measures, the primary one first.
    pub measures: &'static [MeasureSpec],
    /// Whether a step needs no `expect`, because the probe's answer speaks for itself (`manual`, `wait`).
    pub speaks_for_itself: bool,
    /// Turns what was written into a probe. `node` has passed `shape` already. Nothing when a mistake was said.
    pub compile: fn(&mut Compiling<'_, '_>, &Node) -> Option<Box<dyn Probe>>,
}

/// A measure that a kind of probe takes.
#[derive(Debug)]
pub struct MeasureSpec {
    /// Its name; a dot separates parts.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// For a keyed measure: what the keys are.
    pub keys: Option<Keys>,
    /// What it is, with its unit.
    pub doc: &'static str,
}

/// What the keys of a keyed measure are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// JSONPath expressions.
    JsonPath,
    /// Regular expressions.
    Regex,
    /// Names.
    Name,
}

/// Declares a measure.
pub const fn measure(name: &'static str, kind: Kind, doc: &'static str) -> MeasureSpec {
    MeasureSpec { name, kind, keys: None, doc }
}

/// Declares a keyed measure.
pub const fn keyed(name: &'static str, kind: Kind, keys: Keys, doc: &'static str) -> MeasureSpec {
    MeasureSpec { name, kind, keys: Some(keys), doc }
}

/// What a probe has at hand while it is made.
pub struct Compiling<'a, 'b> {
    /// Reads values, says mistakes.
    pub reading: &'a mut Reading<'b>,
    /// The measures that the step uses: what is not wanted need not be taken.
    pub wants: &'a Wants,
    /// The back ends that the checklist declares.
    pub sources: &'a Sources,
    /// The back end that the step names.
    pub source: Option<String>,
    /// The back end that the defaults name, for steps that name none.
    pub default_source: Option<String>,
    /// How long one look may take.
    pub timeout: Duration,
    /// Patterns of expected noise, for log and text measures.
    pub ignore: &'a [String],
    /// What the step's baseline is, when its own probe is to ask for it.
    pub along: Option<Along>,
    /// Whether the checklist is spread over a soak, so that a range may reach to its start.
    pub soak: bool,
}

/// What a probe asks along with its own question, to hold the answer against.
#[derive(Clone, Debug)]
pub enum Along {
    /// The same question about that much earlier.
    Offset(Duration),
    /// Another question.
    Query(Template),
}

/// The measures that a step's expectations, captures and expressions use.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    names: BTreeSet<MeasureName>,
}

impl Wants {
    /// Adds a measure.
    pub fn add(&mut self, name: MeasureName) {
        self.names.insert(name);
    }

    /// Tells whether no measure is used: everything that comes without effort is taken then.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Walks over the measures that are used.
    pub fn iter(&self) -> impl Iterator<Item = &MeasureName> {
        self.names.iter()
    }

    /// Tells whether a measure is used at all, with or without keys.
    pub fn any(&self, name: &str) -> bool {
        self.names.iter().any(|n| n.name() == name)
    }

    /// Tells whether a measure is used as a whole, by an expression.
    pub fn whole(&self, name: &str) -> bool {
        self.names.iter().any(|n| n.name() == name && n.key().is_none())
    }

    /// Returns the keys of a keyed measure that are used.
    pub fn keys(&self, name: &str) -> Vec<&str> {
        self.names.iter().filter(|n| n.name() == name).filter_map(MeasureName::key).collect()
    }
}

/// What a probe has at hand while it looks.
pub struct Look<'a> {
    /// The door to the world.
    pub world: &'a World,
    /// The values that templates may use.
    pub scope: &'a Scope,
    /// The back ends.
    pub sources: &'a Sources,
    /// How long this look may take. A probe ends before that with what it knows; the engine cuts it off shortly after.
    pub timeout: Duration,
    /// When the run began.
    pub run_started: DateTime<Utc>,
    /// The past time that is asked about; nothing for now. Only probes that [`Probe::can_look_back`] are asked so.
    pub as_of: Option<DateTime<Utc>>,
    /// From when to when the soak goes, for `last: soak`.
    pub soak: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Earlier runs, where they can be asked.
    pub archive: Option<&'a Arc<dyn Archive>>,
}

/// Earlier runs, for whoever builds on them. Implemented over the record; what it tells was verified. It blocks.
pub trait Archive: Send + Sync + fmt::Debug {
    /// Walks over runs, the one that began last first, until `each` has enough. The run that asks is not among them.
    ///
    /// # Errors
    /// Says why the archive cannot be asked, or which run in it is damaged.
    fn runs(&self, wanted: &WantedRun, each: &mut EachRun<'_>) -> Result<(), String>;

    /// Returns what a step measured in its last look of a run.
    ///
    /// # Errors
    /// Says why there is no such value.
    fn measures(&self, run: &RunId, step: &StepId) -> Result<(Measures, DateTime<Utc>), String>;
}

/// Takes a run; `Break` ends the walk.
pub type EachRun<'a> = dyn FnMut(EarlierRun) -> ControlFlow<()> + 'a;

/// Which earlier runs are wanted.
#[derive(Clone, Debug, Default)]
pub struct WantedRun {
    /// Of a checklist: the end of its path, or its title.
    pub checklist: Option<String>,
    /// This very run, by its name or the beginning of it.
    pub run: Option<RunId>,
    /// An exported record instead of the store.
    pub record: Option<String>,
    /// The file of those who may sign: one of them must have signed all of the run, and nobody else any of it.
    pub allowed_signers: Option<String>,
    /// Of the runs that ended before this, the latest is enough.
    pub since: Option<DateTime<Utc>>,
}

/// An earlier run, as far as others build on it.
#[derive(Clone, Debug)]
pub struct EarlierRun {
    /// The run.
    pub run: RunId,
    /// The title of its checklist.
    pub checklist: String,
    /// What it comes to, judged again now: signatures that lapsed count as missing.
    pub decision: Decision,
    /// When it ended: an answer or a signature that came later does not make it younger. Of one without an end, when
    /// it began.
    pub at: DateTime<Utc>,
    /// Why it does not stand for the whole checklist at its own time: steps were left out, or it is about the past.
    pub partial: Option<String>,
    /// Its inputs as the record shows them, secrets left out.
    pub inputs: BTreeMap<String, serde_json::Value>,
}

/// Looks, and returns measures.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Says in one line what it will do, templates unfilled: for `plan`.
    fn describe(&self) -> String;

    /// Names whom it will ask (`host:port`), for limits per host. Nothing when it asks nobody.
    fn host(&self, _scope: &Scope) -> Option<String> {
        None
    }

    /// Says what of the world it will touch, as far as that is known: a policy is asked about it before anything runs.
    /// What becomes known only later, addresses and links, is judged where it is touched.
    fn touches(&self, scope: &Scope) -> Vec<Touch> {
        self.host(scope).iter().map(|host| Touch::host(host)).collect()
    }

    /// Names the source that it asks, so that one that collects while the run goes on can begin with the run.
    fn source(&self) -> Option<&str> {
        None
    }

    /// Returns what the probe itself asserts: a comparison taken out of a PromQL query.
    fn implied(&self) -> Option<Expectation> {
        None
    }

    /// Tells whether one series that holds is enough, instead of every one.
    fn series_any(&self) -> bool {
        false
    }

    /// Tells what it means when a look takes too long: `true` when that is a failure of the service looked at,
    /// `false` when nothing is known of it.
    fn silence_is_failure(&self) -> bool {
        false
    }

    /// Returns the least time that a look takes by design: a timeout must not cut it short. Nothing for most probes;
    /// zero for one that may wait by the clock, within its timeout.
    fn needs(&self) -> Option<Duration> {
        None
    }

    /// Returns how much longer than its timeout a look may take to end what it started: a command that is asked to
    /// end gets time to do so. A look that is dropped before ends it at once.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    /// Tells whether it can be asked what was there at a past time.
    fn can_look_back(&self) -> bool {
        false
    }

    /// Tells whether it can ask for its own baseline; see [`Along`].
    fn takes_along(&self) -> bool {
        false
    }

    /// Asks for the baseline of each measure that the step uses, with where it comes from; what cannot be had is there
    /// with the reason. Nothing when the probe was not made with an [`Along`].
    async fn along(&self, _look: &Look<'_>) -> Vec<Reference> {
        Vec::new()
    }

    /// Tells whether it runs a command: refused by `--read-only`.
    fn runs_commands(&self) -> bool {
        false
    }

    /// Looks once. Dropping the future ends the look and everything that it started.
    async fn observe(&self, look: &Look<'_>) -> Observation;
}
