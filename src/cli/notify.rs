//! `notify`: the messages of a checklist before there is anything to tell, and once more those of a run.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use chrono::Utc;

use crate::event::Notice;
use crate::model::outline::{Header, Part};
use crate::model::{Outcome, RunId};
use crate::notify::letter::Letter;
use crate::notify::message::{Message, Occasion, Telling};
use crate::notify::post::{self, Refused, Taken};
use crate::notify::{Channels, On, Open, sample};
use crate::plan::Plan;
use crate::record::{self, RunRecord, RunStore};
use crate::report::RunView;
use crate::sys::World;

use super::args::{NotifyArgs, SelectArgs};
use super::conduct::runtime;
use super::load::{Ask, Loaded, load};
use super::past::open_existing;
use super::tell::{mask, store_argument, view};
use super::{Result, USAGE, stdio};

pub(super) fn main(args: &NotifyArgs) -> Result<u8> {
    let on = args.event.as_deref().map(event).transpose()?;
    match Path::new(&args.what).exists() {
        true => of_checklist(args, on.unwrap_or(On::NoGo)),
        false => of_run(args, on),
    }
}

fn event(word: &str) -> Result<On> {
    match On::find(word) {
        Some(on) => Ok(on),
        None => match crate::diag::did_you_mean(word, On::WORDS) {
            Some(near) => anyhow::bail!("there is no event {word:?}; did you mean {near:?}?"),
            None => anyhow::bail!("there is no event {word:?}; there are {}", On::WORDS.join(", ")),
        },
    }
}

/// Prints or sends the messages of a made-up run.
fn of_checklist(args: &NotifyArgs, on: On) -> Result<u8> {
    let world = World::real();
    let select = SelectArgs::default();
    let ask = Ask { inputs: &args.inputs, select: &select, env: &world.env, complete: !args.dry_run, recorded: &[] };
    let Some((plan, post)) = settle(load(Path::new(&args.what), &ask)?, args, &world, true)? else {
        return Ok(USAGE);
    };
    let sections = plan.sections.iter().map(|section| {
        let steps = plan.steps[section.steps.clone()].iter().map(|step| step.outline.clone()).collect();
        (section.outline.clone(), steps)
    });
    let (view, occasion) = sample::run(header(&plan, &world), sections.collect(), on, Utc::now());
    post.all(&[(view, occasion)], &[]).map(|_| 0)
}

fn header(plan: &Plan, world: &World) -> Header {
    Header {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        checklist: plan.head.clone(),
        inputs: plan.inputs.shown.clone(),
        host: world.env.host(),
        user: world.env.user(),
        roles: plan.roles.clone(),
        sign_rules: plan.sign_rules.clone(),
        soak: plan.soak.as_ref().map(|soak| soak.times),
        ..Header::default()
    }
}

/// Prints or sends the messages of a run once more.
fn of_run(args: &NotifyArgs, on: Option<On>) -> Result<u8> {
    let mut store = open_existing(&args.store.store)?;
    let run = store.resolve(&args.what).with_context(|| format!("{:?} is no file either", args.what))?;
    let record = record::load(&*store, &run)?;
    let world = World::real();
    let header = &record.header;
    let select = SelectArgs::default();
    let ask = Ask {
        inputs: &args.inputs,
        select: &select,
        env: &world.env,
        complete: !args.dry_run,
        recorded: &header.inputs,
    };
    let path = header.checklist.path.clone();
    let Some((_, post)) = settle(load(Path::new(&path), &ask)?, args, &world, false)? else { return Ok(USAGE) };
    let before: Vec<Notice> = record.notices.iter().map(|(_, notice)| notice.clone()).collect();
    let occasions = occasions(&record, on)?;
    let over = record.finished.is_some() || record.paused.is_some();
    let view = view(record);
    if let Some(on) = on
        && occasions.iter().any(|occasion| occasion.on(view.decision()) != on)
    {
        anyhow::bail!("run {run} is not {}: it is {}", on.word(), view.decision());
    }
    let told: Vec<(RunView, Occasion)> = occasions.into_iter().map(|occasion| (view.clone(), occasion)).collect();
    let notices = post.all(&told, &before)?;
    keep(&mut *store, &run, notices, over);
    Ok(0)
}

/// Says what there is to tell of a run: what became of it, or what was asked for.
fn occasions(record: &RunRecord, on: Option<On>) -> Result<Vec<Occasion>> {
    let run = &record.run;
    let waits = || {
        let mut sections = record.sections.iter();
        let held = sections.find(|section| section.held.is_some() && section.releases.is_empty());
        held.map(|section| Occasion::Held(section.outline.id.clone()))
    };
    let over = record.finished.is_some();
    Ok(vec![match on {
        None if over => return Ok(vec![Occasion::Decided, Occasion::End]),
        None => waits().with_context(|| format!("run {run} is not over, and waits for nobody; name an --event"))?,
        Some(On::Start) => Occasion::Start,
        Some(On::Held) => match waits() {
            Some(waits) => waits,
            None if over => Occasion::Decided,
            None => anyhow::bail!("run {run} waits for nobody"),
        },
        Some(On::Checkpoint) => {
            let last = record.checkpoints.iter().map(|(_, checkpoint)| checkpoint).rfind(|c| c.n > 0);
            Occasion::Checkpoint(last.with_context(|| format!("run {run} has no checkpoint"))?.n)
        }
        Some(On::Failure) => {
            let counts = record.sections.iter().filter(|s| matches!(s.outline.part, Part::Section | Part::Guard));
            let wrong = counts.flat_map(|section| &section.steps).filter(|step| {
                let came = step.result.as_ref().map(|result| result.outcome);
                matches!(came, Some(Outcome::Fail | Outcome::Error))
            });
            let steps: Vec<_> = wrong.map(|step| (step.outline.id.clone(), None)).collect();
            anyhow::ensure!(!steps.is_empty(), "no step of run {run} failed");
            Occasion::Failure(steps)
        }
        Some(On::NoGo | On::Go | On::Undecided | On::End) if !over => anyhow::bail!("run {run} is not over"),
        Some(On::NoGo | On::Go | On::Undecided) => Occasion::Decided,
        Some(On::End) => Occasion::End,
    }])
}

/// Adds what became of messages to the record, when nobody works on the run.
fn keep(store: &mut dyn RunStore, run: &RunId, notices: Vec<Notice>, over: bool) {
    if notices.is_empty() || !over {
        return;
    }
    let added = store.own(run).and_then(|_owner| {
        let head = store.summary(run)?.head;
        record::append_notices(store, run, &head, notices, Utc::now())
    });
    if let Err(error) = added {
        stdio::say(&format!("warning: the record does not say which messages were sent: {error}"));
    }
}

/// Makes ready to send: the checklist must be good, and the channels that were named be there.
fn settle(loaded: Loaded, args: &NotifyArgs, world: &World, sample: bool) -> Result<Option<(Plan, Post)>> {
    stdio::tell(&loaded.complaints());
    let Loaded { plan, channels, redactor, .. } = loaded;
    let Some(plan) = plan else {
        stdio::say("nothing was sent; `holdpoint explain CODE` tells more about a mistake");
        return Ok(None);
    };
    let names: Vec<_> = channels.iter().map(|open| open.name.clone()).collect();
    anyhow::ensure!(!names.is_empty(), "the checklist tells nobody: it has no `notify`, or no channel of it is on");
    if let Some(unknown) = args.channel.iter().find(|name| !names.contains(name)) {
        anyhow::bail!("there is no channel {unknown:?}; there are {}", names.join(", "));
    }
    let telling = Telling { mask: mask(redactor), store: store_argument(&args.store.store), report: None, sample };
    let (only, dry_run) = (args.channel.clone(), args.dry_run);
    Ok(Some((plan, Post { channels: Arc::new(channels), telling, only, dry_run, world: world.clone() })))
}

/// Sends messages one after the other, or prints them.
struct Post {
    channels: Arc<Channels>,
    telling: Telling,
    only: Vec<String>,
    dry_run: bool,
    world: World,
}

impl Post {
    /// Sends everything, and returns what became of it. That something was not sent is an error, said at the end.
    fn all(&self, told: &[(RunView, Occasion)], before: &[Notice]) -> Result<Vec<Notice>> {
        let runtime = runtime()?;
        let (mut notices, mut failed, mut nobody) = (Vec::new(), 0, true);
        for (view, occasion) in told {
            let message = self.telling.message(view, occasion, self.world.clock.now());
            for open in self.channels.iter().filter(|open| self.only.is_empty() || self.only.contains(&open.name)) {
                if !open.wants(message.on) {
                    continue;
                }
                nobody = false;
                match self.one(open, &message, before, &runtime) {
                    Ok(notice) => notices.extend(notice),
                    Err(why) => {
                        failed += 1;
                        stdio::say(&format!("error: {} was not told of {}: {why}", open.name, message.on.word()));
                    }
                }
            }
        }
        runtime.shutdown_background();
        let on: Vec<_> = told.iter().map(|(view, occasion)| occasion.on(view.decision()).word()).collect();
        anyhow::ensure!(!nobody, "no channel is told of {}; see `on`", on.join(" or "));
        anyhow::ensure!(failed == 0, "{failed} of the messages {} not sent", if failed == 1 { "was" } else { "were" });
        Ok(notices)
    }

    fn one(
        &self,
        open: &Open,
        message: &Message,
        before: &[Notice],
        runtime: &tokio::runtime::Runtime,
    ) -> std::result::Result<Option<Notice>, String> {
        let of_start = |notice: &&Notice| notice.channel == open.name && notice.on == On::Start.word();
        let id = before.iter().filter(of_start).find_map(|notice| notice.id.as_deref());
        let of = (&self.telling.mask, &*self.world.env);
        let letter =
            open.letter(message, &self.channels, of, id).map_err(|error| (self.telling.mask)(&error.message))?;
        let Some(letter) = letter else { return Ok(None) };
        if self.dry_run {
            stdio::print(&shown(open, message, &letter));
            return Ok(None);
        }
        match runtime.block_on(post::send(&letter, &self.world, open.effort)) {
            Ok(Taken { attempts, id }) => {
                stdio::say(&format!("{} was told of {}", open.name, message.on.word()));
                let notice = Notice {
                    channel: open.name.clone(),
                    on: message.on.word().to_owned(),
                    about: message.about.clone(),
                    attempts,
                    id,
                    failed: None,
                };
                Ok(Some(notice).filter(|_| !open.kind.of_process))
            }
            Err(Refused { why, .. }) => Err((self.telling.mask)(&why)),
        }
    }
}

fn shown(open: &Open, message: &Message, letter: &Letter) -> String {
    format!("# {}, told of {}\n{}\n\n", open.name, message.on.word(), letter.show().trim_end())
}
