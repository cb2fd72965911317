//! The engine in this process: a plan from YAML, probes that play a part, a clock that jumps.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::DateTime;
use holdpoint::checklist;
use holdpoint::checklist::inputs::{self, Given};
use holdpoint::diag::{Diagnostics, SourceMap, Span};
use holdpoint::event::{Event, EventKind, Sink, SinkError, StepResult};
use holdpoint::model::outline::Header;
use holdpoint::model::{Found, Measures, Observation, RunId, Value};
use holdpoint::plan::{self, Plan, Selection};
use holdpoint::probe::{Look, Probe};
use holdpoint::run::{Ended, Identity, Journal, Options};
use holdpoint::sys::{Clock, World};
use tokio::sync::watch;

/// What happened, by the clock of the run: `+id` when a look begins, `-id` when it ends.
pub(crate) type Log = Arc<Mutex<Vec<(Duration, String)>>>;

/// Makes a plan as the program does. `only` is what `--only` would say.
pub(crate) fn plan(yaml: &str, only: &[&str]) -> Plan {
    let (mut sources, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = sources.add("checklist.yaml", yaml);
    let checklist = checklist::read(&mut sources, file, &mut diagnostics).expect("a checklist");
    let given = Given::default();
    let filled = inputs::fill(&checklist.inputs, &given, |_| None, true, Span::new(file, 0, 0), &mut diagnostics);
    let only: Vec<String> = only.iter().map(|p| (*p).to_owned()).collect();
    let selection = Selection::new(&only, &[]).expect("patterns");
    let plan = plan::build(checklist, filled, &selection, Arc::new(sources), &mut diagnostics);
    let said: Vec<_> = diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect();
    plan.unwrap_or_else(|| panic!("{said:#?}"))
}

/// What a look comes to.
#[derive(Clone)]
pub(crate) enum Scene {
    /// The command ends with this code after so many seconds.
    Exit(f64, u64),
    /// It prints this.
    Says(&'static str),
    /// It cannot be looked at; another attempt may help.
    Away,
    /// The probe panics.
    Panic,
}

type Play = dyn Fn(u32) -> Scene + Send + Sync;

struct Player {
    id: String,
    log: Log,
    looks: AtomicU32,
    play: Box<Play>,
    kept: Kept,
}

#[async_trait::async_trait]
impl Probe for Player {
    fn describe(&self) -> String {
        self.id.clone()
    }

    /// It lives by the made-up clock, which must not stand still for it.
    fn needs(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn runs_commands(&self) -> bool {
        true
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let clock = &look.world.clock;
        let note =
            |sign: &str| self.log.lock().expect("no panic").push((clock.elapsed(), format!("{sign}{}", self.id)));
        note("+");
        if self.kept.on_disk(&self.id) {
            note("recorded ");
        }
        let mut measures = Measures::new();
        measures.plain("exit_code", Value::Number(0.0));
        match (self.play)(self.looks.fetch_add(1, Ordering::SeqCst)) {
            Scene::Exit(code, seconds) => {
                clock.sleep(Duration::from_secs(seconds)).await;
                measures.plain("exit_code", Value::Number(code));
            }
            Scene::Says(text) => measures.plain("stdout", Value::Text(text.to_owned())),
            Scene::Away => return Observation::new("looks", Found::could_not_look("it is away")),
            Scene::Panic => panic!("a probe that breaks down"),
        }
        note("-");
        Observation::new("looks", Found::Measures(measures))
    }
}

/// Keeps the events of a run, as a recorder would; fails from a given one on.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    events: Arc<Mutex<Vec<Event>>>,
    room: Option<usize>,
}

impl Kept {
    fn on_disk(&self, id: &str) -> bool {
        let begun = |e: &Event| matches!(&e.kind, EventKind::StepStarted { step, .. } if step.as_str() == id);
        self.events.lock().expect("no panic").iter().any(begun)
    }
}

impl Sink for Kept {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        let mut kept = self.events.lock().expect("no panic");
        if self.room.is_some_and(|room| kept.len() + events.len() > room) {
            return Err(SinkError("no space is left".to_owned()));
        }
        kept.extend_from_slice(events);
        Ok(())
    }
}

/// A run to be staged.
pub(crate) struct Stage {
    pub plan: Plan,
    pub options: Options,
    pub log: Log,
    pub clock: Clock,
    kept: Kept,
}

/// What came of it.
pub(crate) struct Played {
    pub ended: Ended,
    pub events: Vec<Event>,
    /// What happened, in order.
    pub log: Vec<(Duration, String)>,
    /// How long it took by its clock.
    pub took: Duration,
}

impl Stage {
    /// Every step plays: a plain pass at once, unless it is given another part.
    pub(crate) fn new(yaml: &str, only: &[&str]) -> Self {
        Self::with_room(yaml, only, None)
    }

    /// The same, with a recorder that can keep so many events.
    pub(crate) fn with_room(yaml: &str, only: &[&str], room: Option<usize>) -> Self {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let kept = Kept { events: Arc::default(), room };
        let options = Options { allow_changes: true, ..Options::default() };
        let mut stage = Self { plan: plan(yaml, only), options, log: Arc::default(), clock, kept };
        for at in 0..stage.plan.steps.len() {
            stage.cast(at, |_| Scene::Exit(0.0, 0));
        }
        stage
    }

    /// Gives a step its part: what each of its looks comes to.
    pub(crate) fn play(mut self, id: &str, play: impl Fn(u32) -> Scene + Send + Sync + 'static) -> Self {
        let at = self.plan.steps.iter().position(|s| s.outline.id.as_str() == id).expect("a step");
        self.cast(at, play);
        self
    }

    fn cast(&mut self, at: usize, play: impl Fn(u32) -> Scene + Send + Sync + 'static) {
        let step = &mut self.plan.steps[at];
        step.probe = Box::new(Player {
            id: step.outline.id.to_string(),
            log: Arc::clone(&self.log),
            looks: AtomicU32::new(0),
            play: Box::new(play),
            kept: self.kept.clone(),
        });
    }

    /// Lets so many steps run side by side.
    pub(crate) fn jobs(mut self, jobs: usize) -> Self {
        self.options.jobs = jobs;
        self
    }

    /// Runs to the end.
    pub(crate) fn run(self) -> Played {
        self.run_until(None)
    }

    /// Runs, and asks it to stop at a time by its clock.
    pub(crate) fn run_until(self, stop_at: Option<Duration>) -> Played {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let world = World { clock: self.clock.clone(), ..World::real() };
        let header = Header {
            tool: "0".into(),
            checklist: self.plan.head.clone(),
            inputs: self.plan.inputs.shown.clone(),
            host: "host".into(),
            user: "user".into(),
            ..Header::default()
        };
        let identity = Identity { run: RunId::new("19700101-000000-0000"), header };
        let (journal, thread) = Journal::start(Box::new(self.kept.clone()), Vec::new());
        let (sender, stop) = watch::channel(stop_at.filter(Duration::is_zero).map(|_| "SIGTEST".to_owned()));
        let clock = self.clock.clone();
        let asks = async {
            match stop_at {
                Some(at) => clock.sleep(at).await,
                None => std::future::pending().await,
            }
            let _ = sender.send(Some("SIGTEST".to_owned()));
            std::future::pending::<()>().await;
        };
        let run = holdpoint::run::run(Arc::new(self.plan), world, identity, self.options, journal, stop);
        let ended = runtime.block_on(async {
            tokio::select! {
                ended = run => ended,
                () = self.clock.drive() => unreachable!("the clock never stops"),
                () = asks => unreachable!("asking never ends"),
            }
        });
        let end = thread.join().expect("the journal ends");
        let mut events = self.kept.events.lock().expect("no panic").clone();
        events.extend(end.unrecorded);
        let log = self.log.lock().expect("no panic").clone();
        Played { ended, events, log, took: self.clock.elapsed() }
    }
}

impl Played {
    /// Returns how a step came out.
    pub(crate) fn result(&self, id: &str) -> &StepResult {
        let found = self.events.iter().find_map(|event| match &event.kind {
            EventKind::StepFinished { step, result } if step.as_str() == id => Some(&**result),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{id} did not end"))
    }

    /// Returns the seconds at which looks of a step began.
    pub(crate) fn looks(&self, id: &str) -> Vec<f64> {
        let begun = format!("+{id}");
        self.log.iter().filter(|(_, what)| *what == begun).map(|(at, _)| at.as_secs_f64()).collect()
    }

    /// Returns where in the log something happened.
    pub(crate) fn at(&self, what: &str) -> usize {
        self.log.iter().position(|(_, w)| w == what).unwrap_or_else(|| panic!("{what} is not in {:?}", self.log))
    }

    /// Returns how many looks went on at the same time, at most.
    pub(crate) fn side_by_side(&self) -> usize {
        let (mut now, mut most) = (0usize, 0);
        for (_, what) in &self.log {
            match what.as_bytes()[0] {
                b'+' => now += 1,
                b'-' => now -= 1,
                _ => {}
            }
            most = most.max(now);
        }
        most
    }
}
