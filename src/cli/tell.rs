//! Telling of a run while this process works on it: who is told, with what, and what becomes of it in the record.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;

use crate::event::{Event, Sink};
use crate::notify::Channels;
use crate::notify::message::{Mask, Occasion, Telling};
use crate::notify::office::{Ear, Office, Setting};
use crate::plan::Plan;
use crate::record::{self, Handle, RunRecord, store};
use crate::report::RunView;
use crate::run::{Asked, Redactor};
use crate::signoff;
use crate::sys::env::Env;

use super::args::{HowArgs, NotifyArg};
use super::conduct::Job;
use super::reports::Wanted;
use super::{signers, stdio};

/// How long the program stays for messages when the run is over.
const LINGER: Duration = Duration::from_secs(20);
/// The same for a run that was interrupted: whoever did so waits.
const SHORT: Duration = Duration::from_secs(3);

/// Returns who is told of a run. Of one about the past only the machine that it runs on is told.
pub(super) fn who(mut channels: Channels, how: &HowArgs, env: &Env, past: bool) -> Arc<Channels> {
    if how.no_notify {
        return Arc::default();
    }
    channels.with_runner(env);
    if past {
        channels.only_of_process();
    }
    Arc::new(channels)
}

/// Returns the argument that names the store, for commands; empty for the usual one.
pub(super) fn store_argument(store: &str) -> String {
    match store == ".holdpoint/holdpoint.db" {
        true => String::new(),
        false => format!(" --store {store}"),
    }
}

/// Makes a mask of the secrets that a redactor knows.
pub(super) fn mask(redactor: Redactor) -> Mask {
    Arc::new(move |text| redactor.text(text).into_owned())
}

/// Tells of one run.
pub(super) struct Teller {
    office: Office,
    ear: Option<Ear>,
}

impl Teller {
    /// Opens an office, if anybody is to be told.
    pub(super) fn open(
        job: &Job<'_>,
        plan: &Plan,
        kept: &Handle,
        asks: &mpsc::UnboundedSender<Asked>,
        wanted: &Wanted,
        again: bool,
    ) -> Option<Self> {
        if job.channels.is_empty() {
            return None;
        }
        let run = kept.run();
        let before = if again { kept.with_store(|store| record::load(store, &run)).ok() } else { None };
        let before = before.map(|record| record.notices.into_iter().map(|(_, notice)| notice).collect());
        let asks = asks.clone();
        let setting = Setting {
            channels: Arc::clone(&job.channels),
            world: job.world.clone(),
            telling: Telling {
                mask: mask(Redactor::new(plan.secrets())),
                store: store_argument(job.store),
                report: wanted.place(),
                sample: false,
            },
            look: looks(job.store, kept.clone()),
            // When the run is over nobody takes it any more: it is added to the record at the end.
            keep: Arc::new(move |notice| drop(asks.send(Asked::Notified(notice)))),
            say: Arc::new(stdio::say),
            dry: job.how.notify == NotifyArg::DryRun,
            before: before.unwrap_or_default(),
        };
        let (office, ear) = Office::open(setting);
        Some(Self { office, ear: Some(ear) })
    }

    /// Hands out the ear, which knows what happened before.
    pub(super) fn ear(&mut self, before: &[Event]) -> Option<Box<dyn Sink>> {
        let mut ear = self.ear.take()?;
        ear.recall(before);
        Some(Box::new(ear))
    }

    /// Tells how it ended, waits until everything is sent, and keeps what became of it.
    pub(super) async fn close(self, view: RunView, kept: &Handle, wanted: &Wanted, job: &Job<'_>) {
        let record = view.record();
        let (over, interrupted) = (record.finished.is_some(), record.interrupted.is_some());
        self.office.leave(view.clone()).await;
        if over {
            self.office.tell(view.clone(), Occasion::Decided).await;
            self.office.tell(view, Occasion::End).await;
        }
        let linger = if interrupted { SHORT } else { LINGER };
        let notices = self.office.close(tokio::time::sleep(linger)).await;
        if notices.is_empty() {
            return;
        }
        let lost = notices.iter().any(|notice| notice.failed.is_some());
        let run = kept.run();
        let added = kept.with_store(|store| {
            let head = store.summary(&run)?.head;
            record::append_notices(store, &run, &head, notices, Utc::now())
        });
        match added {
            Err(error) => {
                stdio::say(&format!("warning: the record does not say which messages were sent: {error}"));
            }
            // The reports are to say what nobody was told.
            Ok(_) if lost => write_again(kept, wanted, job),
            Ok(_) => {}
        }
    }
}

fn write_again(kept: &Handle, wanted: &Wanted, job: &Job<'_>) {
    let run = kept.run();
    let Ok(record) = kept.with_store(|store| record::load(store, &run)) else { return };
    let allowed = signers::at_hand(&record);
    let ruling = signoff::decide_against(&record, &[], allowed.as_ref(), job.world.clock.now());
    let export = |out: &mut dyn std::io::Write| {
        kept.with_store(|store| record::format::export(store, &run, out))?;
        Ok(())
    };
    wanted.write_again(&RunView::new(record, &ruling), &export);
}

/// Shows a run as it stands. Its file is opened anew each time, so that the recorder does not wait for a reader.
fn looks(place: &str, kept: Handle) -> Arc<dyn Fn(bool) -> Option<RunView> + Send + Sync> {
    let place = place.to_owned();
    Arc::new(move |decided| {
        let run = kept.run();
        let own = if place.starts_with("memory:") { None } else { store::open(&place).ok() };
        let record = match own {
            Some(store) => record::load(&*store, &run).ok(),
            None => kept.with_store(|store| record::load(store, &run)).ok(),
        };
        let mut record = record?;
        if decided && record.finished.is_none() {
            // Actions still run; what counts has ended.
            record.finished = Some(Utc::now());
        }
        Some(view(record))
    })
}

/// Looks at a run as it is decided now.
pub(super) fn view(record: RunRecord) -> RunView {
    let allowed = signers::at_hand(&record);
    let ruling = signoff::decide_against(&record, &[], allowed.as_ref(), Utc::now());
    RunView::new(record, &ruling)
}
