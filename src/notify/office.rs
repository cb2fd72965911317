//! Sends messages beside the run. An [`Ear`] listens to its events; a clerk makes a message of what is worth one; each
//! channel has a queue and a task of its own, so that a slow one keeps nobody waiting, the run least of all.
//!
//! What became of each message is handed to the record while the run goes on, and what is left over at the end is
//! returned by [`Office::close`].

mod ear;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::declared::{Channels, Open};
use super::letter::Letter;
use super::message::{Mask, Message, Occasion, Telling};
use super::on::On;
use super::post::{self, Refused, Taken};
use crate::event::Notice;
use crate::report::RunView;
use crate::sys::World;

pub use ear::Ear;

/// The most occasions that wait for the clerk, and the most messages that wait for one channel.
const QUEUE: usize = 64;
/// How long failures are gathered before they are told.
const GATHER: Duration = Duration::from_secs(2);
/// The most messages of failures: what comes then is told with the decision.
const FAILURES: usize = 20;

/// What an office needs.
pub struct Setting {
    /// Who is told of what.
    pub channels: Arc<Channels>,
    /// The door to the world.
    pub world: World,
    /// How messages are worded.
    pub telling: Telling,
    /// Shows the run as it stands, or, when asked to, as it is when it ends with what it has decided; called on a thread
    /// that may block. Nothing when it cannot be read.
    pub look: Arc<dyn Fn(bool) -> Option<RunView> + Send + Sync>,
    /// Keeps what became of a message, as far as the run still can.
    pub keep: Arc<dyn Fn(Notice) + Send + Sync>,
    /// Says something to whoever started the program.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
    /// Whether letters are shown instead of sent.
    pub dry: bool,
    /// What was sent before, by other processes.
    pub before: Vec<Notice>,
}

/// Sends messages beside a run.
pub struct Office {
    desk: Arc<Desk>,
    occasions: mpsc::Sender<Asked>,
    tasks: JoinSet<()>,
}

/// Something for the clerk.
enum Asked {
    /// It is worth a message, of the run as it stands.
    Occasion(Occasion),
    /// The same, of a run that is at hand.
    Of(Box<(RunView, Occasion)>),
    /// The process leaves: channels that speak of what it did have their say.
    Leaving(Box<RunView>),
}

/// What everybody in the office shares.
struct Desk {
    setting: Setting,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was told, or is about to be: channel, event, which of them.
    told: HashSet<(String, On, String)>,
    /// What the other side calls what it was sent at the start, by channel.
    ids: HashMap<String, String>,
    /// What is on its way.
    open: Vec<Notice>,
    /// What became of the others.
    done: Vec<Notice>,
    /// What the record is known to have.
    kept: Vec<Notice>,
    /// How many messages of failures there were.
    failures: usize,
    /// What did not fit into a queue.
    lost: usize,
}

impl Office {
    /// Opens an office, and the ear through which it hears of the run. Needs a runtime.
    pub fn open(setting: Setting) -> (Self, Ear) {
        let mut state = State::default();
        for notice in setting.before.iter().filter(|notice| notice.failed.is_none()) {
            if let Some(on) = On::find(&notice.on) {
                state.told.insert((notice.channel.clone(), on, notice.about.clone()));
            }
            if let (true, Some(id)) = (notice.on == On::Start.word(), &notice.id) {
                state.ids.insert(notice.channel.clone(), id.clone());
            }
        }
        let desk = Arc::new(Desk { setting, state: Mutex::new(state) });
        let (occasions, asked) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        let mut queues = Vec::new();
        for position in 0..desk.setting.channels.iter().count() {
            let (queue, messages) = mpsc::channel(QUEUE);
            queues.push(queue);
            tasks.spawn(tell(Arc::clone(&desk), position, messages));
        }
        tasks.spawn(clerk(Arc::clone(&desk), asked, queues));
        let ear = Ear::new(Arc::clone(&desk), occasions.clone());
        (Self { desk, occasions, tasks }, ear)
    }

    /// Tells of something, of a run that is at hand; what was told before is not told again.
    pub async fn tell(&self, view: RunView, occasion: Occasion) {
        // The clerk goes only when nobody can ask any more.
        let _ = self.occasions.send(Asked::Of(Box::new((view, occasion)))).await;
    }

    /// Lets the channels that speak of what a process did have their say.
    pub async fn leave(&self, view: RunView) {
        let _ = self.occasions.send(Asked::Leaving(Box::new(view))).await;
    }

    /// Waits until everything is sent, or until `enough` is over, and returns what became of messages that the record
    /// does not have. What is on its way then is given up.
    pub async fn close(mut self, enough: impl Future<Output = ()>) -> Vec<Notice> {
        drop(self.occasions);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = all => {}
            () = enough => {}
        }
        self.tasks.shutdown().await;
        let open = std::mem::take(&mut self.desk.state().open);
        for notice in open {
            let failed = Some("it was not taken while the program stayed for it".to_owned());
            self.desk.came(Notice { failed, ..notice });
        }
        let lost = std::mem::take(&mut self.desk.state().lost);
        if lost > 0 {
            (self.desk.setting.say)(&format!("warning: {lost} messages were not sent: too many waited already"));
        }
        let state = self.desk.state();
        let failed = |notice: &Notice| notice.failed.is_some();
        let unkept = |notice: &&Notice| !state.kept.iter().any(|k| k.same(notice) && failed(k) == failed(notice));
        state.done.iter().filter(unkept).cloned().collect()
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can break down half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether anybody wants to be told of this.
    fn wanted(&self, on: On) -> bool {
        self.setting.channels.iter().any(|open| !open.kind.of_process && open.wants(on))
    }

    /// Takes down what became of a message, says it when it was not sent, and has it kept.
    fn came(&self, notice: Notice) {
        if let Some(words) = notice.words() {
            (self.setting.say)(&format!("warning: {words}"));
        }
        let mut state = self.state();
        state.open.retain(|open| !open.same(&notice));
        if let (true, Some(id)) = (notice.on == On::Start.word(), &notice.id) {
            state.ids.insert(notice.channel.clone(), id.clone());
        }
        state.done.push(notice.clone());
        drop(state);
        (self.setting.keep)(notice);
    }
}

/// Makes messages of occasions, and puts them into the queues of those who want them.
async fn clerk(desk: Arc<Desk>, mut asked: mpsc::Receiver<Asked>, queues: Vec<mpsc::Sender<Arc<Message>>>) {
    let mut next = None;
    loop {
        let one = match next.take() {
            Some(one) => one,
            None => match asked.recv().await {
                Some(one) => one,
                None => return,
            },
        };
        match one {
            Asked::Occasion(Occasion::Failure(mut steps)) => {
                next = gather(&desk, &mut asked, &mut steps).await;
                let failures = {
                    let mut state = desk.state();
                    state.failures += 1;
                    state.failures
                };
                if failures <= FAILURES {
                    hand_out(&desk, &queues, look(&desk, false).await, &Occasion::Failure(steps));
                }
            }
            Asked::Occasion(occasion) => {
                let view = look(&desk, occasion == Occasion::Decided).await;
                hand_out(&desk, &queues, view, &occasion);
            }
            Asked::Of(of) => {
                let (view, occasion) = *of;
                hand_out(&desk, &queues, Some(view), &occasion);
            }
            Asked::Leaving(view) => {
                let message = message(&desk, &view, &Occasion::Decided);
                put(&desk, &queues, &message, |open| open.kind.of_process);
            }
        }
    }
}

/// Adds the failures that come within a short time, and returns what came instead.
async fn gather(
    desk: &Desk,
    asked: &mut mpsc::Receiver<Asked>,
    steps: &mut Vec<(crate::model::StepId, Option<u32>)>,
) -> Option<Asked> {
    let clock = &desk.setting.world.clock;
    let until = clock.elapsed() + GATHER;
    loop {
        let left = until.checked_sub(clock.elapsed())?;
        match clock.timeout(left, asked.recv()).await? {
            Some(Asked::Occasion(Occasion::Failure(more))) => steps.extend(more),
            other => return other,
        }
    }
}

async fn look(desk: &Arc<Desk>, decided: bool) -> Option<RunView> {
    let look = Arc::clone(&desk.setting.look);
    tokio::task::spawn_blocking(move || look(decided)).await.ok().flatten()
}

fn message(desk: &Desk, view: &RunView, occasion: &Occasion) -> Arc<Message> {
    Arc::new(desk.setting.telling.message(view, occasion, desk.setting.world.clock.now()))
}

fn hand_out(desk: &Desk, queues: &[mpsc::Sender<Arc<Message>>], view: Option<RunView>, occasion: &Occasion) {
    let Some(view) = view else {
        (desk.setting.say)("warning: a message was not sent: the run cannot be read");
        return;
    };
    let message = message(desk, &view, occasion);
    put(desk, queues, &message, |open| !open.kind.of_process);
}

/// Puts a message into the queues of the channels that want it and were not told the same before.
fn put(desk: &Desk, queues: &[mpsc::Sender<Arc<Message>>], message: &Arc<Message>, of: impl Fn(&Open) -> bool) {
    for (open, queue) in desk.setting.channels.iter().zip(queues) {
        if !of(open) || !open.wants(message.on) {
            continue;
        }
        let mut state = desk.state();
        let key = (open.name.clone(), message.on, message.about.clone());
        if !open.kind.of_process && !state.told.insert(key) {
            continue;
        }
        state.open.push(notice(open, message));
        if queue.try_send(Arc::clone(message)).is_err() {
            state.open.pop();
            state.lost += 1;
        }
    }
}

fn notice(open: &Open, message: &Message) -> Notice {
    Notice {
        channel: open.name.clone(),
        on: message.on.word().to_owned(),
        about: message.about.clone(),
        attempts: 0,
        id: None,
        failed: None,
    }
}

/// Sends the messages of one channel, one after the other.
async fn tell(desk: Arc<Desk>, position: usize, mut messages: mpsc::Receiver<Arc<Message>>) {
    while let Some(message) = messages.recv().await {
        let Some(open) = desk.setting.channels.at(position) else { return };
        let notice = notice(open, &message);
        let id = desk.state().ids.get(&open.name).cloned();
        let of = (&desk.setting.telling.mask, &*desk.setting.world.env);
        match open.letter(&message, &desk.setting.channels, of, id.as_deref()) {
            Ok(None) => desk.state().open.retain(|other| !other.same(&notice)),
            Ok(Some(letter)) if desk.setting.dry => {
                let what = format!("{}, told of {}, would be sent:\n{}", open.name, message.on.word(), letter.show());
                (desk.setting.say)(what.trim_end());
                desk.state().open.retain(|other| !other.same(&notice));
            }
            Ok(Some(letter)) => deliver(&desk, open, notice, &letter).await,
            Err(error) => {
                let why = (desk.setting.telling.mask)(&format!("the message cannot be written: {error}"));
                desk.came(Notice { failed: Some(why), ..notice });
            }
        }
    }
}

async fn deliver(desk: &Desk, open: &Open, notice: Notice, letter: &Letter) {
    let sent = post::send(letter, &desk.setting.world, open.effort).await;
    match sent {
        // What a process wrote for its own machine is no message of the run.
        Ok(_) if open.kind.of_process => desk.state().open.retain(|other| !other.same(&notice)),
        Ok(Taken { attempts, id }) => desk.came(Notice { attempts, id, ..notice }),
        Err(Refused { attempts, why }) => {
            let why = mask_all(&desk.setting.telling.mask, &why);
            desk.came(Notice { attempts, failed: Some(why), ..notice });
        }
    }
}

fn mask_all(mask: &Mask, text: &str) -> String {
    mask(&crate::report::plain::line(text))
}
