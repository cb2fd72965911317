//! One probe, from its YAML to its observation, with nothing around it.

use std::time::Duration;

use holdpoint::checklist::reading::Reading;
use holdpoint::diag::{Diagnostics, SourceMap};
use holdpoint::model::{Found, MeasureName, Measures, Observation, Value};
use holdpoint::probe::{self, Compiling, Look, Probe, Wants};
use holdpoint::shape;
use holdpoint::source::{self, Sources};
use holdpoint::sys::World;
use holdpoint::sys::env::Env;
use holdpoint::template::Scope;
use holdpoint::yaml;

/// What a probe is given in a test.
pub(crate) struct Probing {
    world: World,
    scope: Scope,
    timeout: Duration,
    ignore: Vec<String>,
    sources: Sources,
    source: Option<String>,
    as_of: Option<chrono::DateTime<chrono::Utc>>,
    started: chrono::DateTime<chrono::Utc>,
}

impl Probing {
    /// Makes a world of its own, with ten seconds for each look.
    pub(crate) fn new() -> Self {
        Self {
            world: World::real(),
            scope: Scope::default(),
            timeout: Duration::from_secs(10),
            ignore: Vec::new(),
            sources: Sources::default(),
            source: None,
            as_of: None,
            started: chrono::DateTime::UNIX_EPOCH,
        }
    }

    /// Looks in another world.
    pub(crate) fn world(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// Declares `sources:`.
    pub(crate) fn sources(mut self, declared: &str) -> Self {
        let (sources, said) = declare(declared, &self.scope);
        assert!(said.is_empty(), "{said:?}");
        self.sources = sources;
        self
    }

    /// Names the source to ask, as the step's `source:` does.
    pub(crate) fn source(mut self, name: &str) -> Self {
        self.source = Some(name.to_owned());
        self
    }

    /// Asks about a past time.
    pub(crate) fn about(mut self, at: chrono::DateTime<chrono::Utc>) -> Self {
        self.as_of = Some(at);
        self
    }

    /// Says when the run began: 1970 unless it is said.
    pub(crate) fn started(mut self, at: chrono::DateTime<chrono::Utc>) -> Self {
        self.started = at;
        self
    }

    /// Gives values to `{{ inputs.… }}`.
    pub(crate) fn inputs(mut self, inputs: serde_json::Value) -> Self {
        self.scope = Scope::new(serde_json::Map::from_iter([("inputs".to_owned(), inputs)]));
        self
    }

    /// Names patterns of expected noise.
    pub(crate) fn ignoring(mut self, patterns: &[&str]) -> Self {
        self.ignore = patterns.iter().map(|p| (*p).to_owned()).collect();
        self
    }

    /// Sets an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        let set = (name.to_owned(), value.to_owned());
        let others = self.world.env.iter().filter(|(known, _)| *known != name);
        let all: Vec<_> = others.map(|(name, value)| (name.to_owned(), value.to_owned())).chain([set]).collect();
        self.world.env = std::sync::Arc::new(Env::of(all));
        self
    }

    /// Gives each look so much time.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Compiles a probe; the codes and messages of its mistakes otherwise.
    pub(crate) fn compile(&self, kind: &str, wants: &[&str], yaml: &str) -> Result<Box<dyn Probe>, Vec<String>> {
        let kind = probe::find(kind).expect("a kind of probe");
        let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
        let file = sources.add("probe.yaml", yaml);
        let node = yaml::parse(&mut sources, file, &mut diagnostics);
        let said = |diagnostics: &Diagnostics| {
            diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect::<Vec<_>>()
        };
        let Some(node) = node.filter(|node| shape::check(node, &kind.shape, &mut diagnostics)) else {
            return Err(said(&diagnostics));
        };
        let wants = wants.iter().fold(Wants::default(), |mut all, name| {
            all.add(name_of(name));
            all
        });
        let mut reading = Reading::new(&sources, &mut diagnostics, &self.scope);
        let probe = (kind.compile)(
            &mut Compiling {
                reading: &mut reading,
                wants: &wants,
                sources: &self.sources,
                source: self.source.clone(),
                default_source: None,
                timeout: self.timeout,
                ignore: &self.ignore,
                along: None,
                soak: false,
            },
            &node,
        );
        probe.ok_or_else(|| said(&diagnostics))
    }

    /// Compiles a probe and looks once.
    pub(crate) async fn look(&self, kind: &str, wants: &[&str], yaml: &str) -> Observation {
        let probe = self.compile(kind, wants, yaml).unwrap_or_else(|said| panic!("{yaml}\n{said:#?}"));
        self.observe(&*probe).await
    }

    /// Looks once.
    pub(crate) async fn observe(&self, probe: &dyn Probe) -> Observation {
        let look = Look {
            world: &self.world,
            scope: &self.scope,
            sources: &self.sources,
            timeout: self.timeout,
            run_started: self.started,
            as_of: self.as_of,
            soak: None,
            archive: None,
        };
        // A probe keeps its time by itself; the rest is for a slow machine.
        let limit = self.timeout + Duration::from_secs(5);
        tokio::time::timeout(limit, probe.observe(&look)).await.expect("a look ends within its time")
    }
}

/// Reads `sources:`, with the codes and messages of its mistakes.
pub(crate) fn declare(declared: &str, scope: &Scope) -> (Sources, Vec<String>) {
    let (mut map, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = map.add("sources.yaml", declared);
    let node = yaml::parse(&mut map, file, &mut diagnostics).expect("valid YAML");
    let sources = match shape::check(&node, &source::SHAPE, &mut diagnostics) {
        true => Sources::compile(&mut Reading::new(&map, &mut diagnostics, scope), &node),
        false => Sources::default(),
    };
    (sources, diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect())
}

/// Returns the measures of a look that measured.
pub(crate) fn measures(observation: &Observation) -> &Measures {
    match &observation.found {
        Found::Measures(measures) => measures,
        other => panic!("{}: {other:?}", observation.request),
    }
}

/// Returns one measure of a look that measured.
pub(crate) fn get<'a>(observation: &'a Observation, name: &str) -> &'a Value {
    let all = measures(observation);
    all.get(&name_of(name)).unwrap_or_else(|| panic!("{name} is not among {all:?}"))
}

/// Returns a measured number.
pub(crate) fn number(observation: &Observation, name: &str) -> f64 {
    match get(observation, name) {
        Value::Number(number) => *number,
        other => panic!("{name}: {other:?}"),
    }
}

/// Returns a measured text.
pub(crate) fn text<'a>(observation: &'a Observation, name: &str) -> &'a str {
    match get(observation, name) {
        Value::Text(text) => text,
        other => panic!("{name}: {other:?}"),
    }
}

/// Returns why there was no answer, or why it could not look.
pub(crate) fn cause(observation: &Observation) -> &str {
    match &observation.found {
        Found::NoAnswer { cause } | Found::CouldNotLook { cause, .. } | Found::NotEnough { cause } => cause,
        other => panic!("{}: {other:?}", observation.request),
    }
}

/// Names a measure; names of measures live as long as the program.
fn name_of(text: &str) -> MeasureName {
    MeasureName::parse(text)
}
