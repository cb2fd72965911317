//! The engine in this process: a plan from YAML, probes that play a part, a clock that jumps.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use holdpoint::checklist;
use holdpoint::checklist::inputs::{self, Given};
use holdpoint::diag::{Diagnostics, SourceMap, Span};
use holdpoint::event::{Event, EventKind, Resumption, Sink, SinkError, StepResult};
use holdpoint::model::outline::Header;
use holdpoint::model::{Found, Measures, Observation, RunId, Value};
use holdpoint::plan::{self, Plan, Selection};
use holdpoint::probe::{Look, Probe};
use holdpoint::record::{self, Head, RunRecord};
use holdpoint::run::{Asked, Ended, Errand, Identity, Journal, Options, Point, TakenUp};
use holdpoint::sys::{Clock, World};
use tokio::sync::{mpsc, watch};

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
    /// The command ends at once, with this code and so many seconds of work in its measures.
    Took(f64, f64),
    /// It cannot be looked at; another attempt may help.
    Away,
    /// The probe panics.
    Panic,
}

type Play = dyn Fn(u32, DateTime<Utc>) -> Scene + Send + Sync;

struct Player {
    id: String,
    log: Log,
    looks: AtomicU32,
    play: Box<Play>,
    kept: Kept,
    looks_back: bool,
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

    fn can_look_back(&self) -> bool {
        self.looks_back
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
        let when = look.as_of.unwrap_or_else(|| clock.now());
        match (self.play)(self.looks.fetch_add(1, Ordering::SeqCst), when) {
            Scene::Exit(code, seconds) => {
                clock.sleep(Duration::from_secs(seconds)).await;
                measures.plain("exit_code", Value::Number(code));
            }
            Scene::Took(code, seconds) => {
                measures.plain("exit_code", Value::Number(code));
                measures.plain("duration", Value::Number(seconds));
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

/// Something that happens to a run from outside, at a time by its clock.
type Act = Box<dyn FnOnce(&Clock, &mpsc::UnboundedSender<Asked>, &watch::Sender<Option<String>>)>;

/// A run to be staged.
pub(crate) struct Stage {
    pub plan: Plan,
    pub options: Options,
    pub log: Log,
    pub clock: Clock,
    kept: Kept,
    acts: Vec<(Duration, Act)>,
    /// What was recorded by processes before, when it is taken up again.
    before: Vec<Event>,
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
        let (acts, before) = (Vec::new(), Vec::new());
        let mut stage = Self { plan: plan(yaml, only), options, log: Arc::default(), clock, kept, acts, before };
        for at in 0..stage.plan.steps.len() {
            stage.cast(at, false, |_, _| Scene::Exit(0.0, 0));
        }
        stage
    }

    /// Takes up a run from what was recorded of it, so long after that.
    pub(crate) fn after(mut self, before: &[Event], wait: Duration) -> Self {
        let last = before.last().expect("an event").at;
        self.clock = Clock::manual(last + TimeDelta::from_std(wait).expect("a time"));
        self.before = before.to_vec();
        self
    }

    /// Gives a step its part: what each of its looks comes to.
    pub(crate) fn play(mut self, id: &str, play: impl Fn(u32) -> Scene + Send + Sync + 'static) -> Self {
        let at = self.position(id);
        self.cast(at, false, move |n, _| play(n));
        self
    }

    /// The same by the time that is asked about; the step can be asked about the past.
    pub(crate) fn play_at(mut self, id: &str, play: impl Fn(DateTime<Utc>) -> Scene + Send + Sync + 'static) -> Self {
        let at = self.position(id);
        self.cast(at, true, move |_, when| play(when));
        self
    }

    /// The same for a step that sees only what there is now.
    pub(crate) fn play_now(mut self, id: &str, play: impl Fn(DateTime<Utc>) -> Scene + Send + Sync + 'static) -> Self {
        let at = self.position(id);
        self.cast(at, false, move |_, when| play(when));
        self
    }

    fn position(&self, id: &str) -> usize {
        self.plan.steps.iter().position(|s| s.outline.id.as_str() == id).unwrap_or_else(|| panic!("no step {id}"))
    }

    fn cast(
        &mut self,
        at: usize,
        looks_back: bool,
        play: impl Fn(u32, DateTime<Utc>) -> Scene + Send + Sync + 'static,
    ) {
        let step = &mut self.plan.steps[at];
        step.probe = Box::new(Player {
            id: step.outline.id.to_string(),
            log: Arc::clone(&self.log),
            looks: AtomicU32::new(0),
            play: Box::new(play),
            kept: self.kept.clone(),
            looks_back,
        });
    }

    /// Lets so many steps run side by side.
    pub(crate) fn jobs(mut self, jobs: usize) -> Self {
        self.options.jobs = jobs;
        self
    }

    /// Changes how it is carried out.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Lets something happen from outside, so long after the beginning.
    pub(crate) fn act(
        mut self,
        at: Duration,
        act: impl FnOnce(&Clock, &mpsc::UnboundedSender<Asked>, &watch::Sender<Option<String>>) + 'static,
    ) -> Self {
        self.acts.push((at, Box::new(act)));
        self
    }

    /// Runs to the end.
    pub(crate) fn run(self) -> Played {
        self.run_until(None)
    }

    /// Runs, and asks it to stop at a time by its clock.
    pub(crate) fn run_until(mut self, stop_at: Option<Duration>) -> Played {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let world = World { clock: self.clock.clone(), ..World::real() };
        let header = Header {
            tool: "0".into(),
            checklist: self.plan.head.clone(),
            inputs: self.plan.inputs.shown.clone(),
            host: "host".into(),
            user: "user".into(),
            roles: self.plan.roles.clone(),
            soak: self.plan.soak.as_ref().map(|soak| soak.times),
            ..Header::default()
        };
        let identity = Identity { run: RunId::new("19700101-000000-0000"), header };
        let (journal, thread) = Journal::start(Box::new(self.kept.clone()), Vec::new());
        let (sender, stop) = watch::channel(stop_at.filter(Duration::is_zero).map(|_| "SIGTEST".to_owned()));
        let (ask, inbox) = mpsc::unbounded_channel();
        if let Some(at) = stop_at {
            self.acts.push((at, Box::new(|_, _, stop| drop(stop.send(Some("SIGTEST".to_owned()))))));
        }
        self.acts.sort_by_key(|(at, _)| *at);
        let (acts, clock) = (std::mem::take(&mut self.acts), self.clock.clone());
        let begin = clock.elapsed();
        let asks = async move {
            for (at, act) in acts {
                clock.sleep((begin + at).saturating_sub(clock.elapsed())).await;
                act(&clock, &ask, &sender);
            }
            std::future::pending::<()>().await;
        };
        let plan = Arc::new(self.plan);
        let taken_up = (!self.before.is_empty()).then(|| TakenUp {
            point: point(&plan, &self.before),
            resumption: Resumption {
                by: "user".into(),
                host: "host".into(),
                tool: "0".into(),
                digest: plan.head.digest.clone(),
                how: "resume".into(),
                last_seen: self.before.last().expect("an event").at,
                accepted: Vec::new(),
            },
        });
        let options = self.options;
        let run = holdpoint::run::run(Errand { plan, world, identity, options, journal, stop, inbox, taken_up });
        let ended = runtime.block_on(async {
            tokio::select! {
                ended = run => ended,
                () = self.clock.drive() => unreachable!("the clock never stops"),
                () = asks => unreachable!("asking never ends"),
            }
        });
        let end = thread.join().expect("the journal ends");
        let mut events = self.before;
        events.extend(self.kept.events.lock().expect("no panic").iter().cloned());
        events.extend(end.unrecorded);
        let log = self.log.lock().expect("no panic").clone();
        Played { ended, events, log, took: self.clock.elapsed() }
    }
}

/// Finds out where a run stands.
pub(crate) fn point(plan: &Arc<Plan>, events: &[Event]) -> Point {
    let mut point = Point::new(Arc::clone(plan));
    events.iter().for_each(|event| point.take(event));
    point
}

impl Played {
    /// Tells the run as the record does; what cannot have happened is a panic.
    pub(crate) fn record(&self) -> RunRecord {
        let head = Head { seq: self.events.len() as u64, digest: String::new() };
        record::fold(self.events.iter().cloned(), head).unwrap_or_else(|e| panic!("{e}: {:#?}", self.events))
    }

    /// Returns how a step came out, the last time.
    pub(crate) fn result(&self, id: &str) -> &StepResult {
        let found = self.events.iter().rev().find_map(|event| match &event.kind {
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
