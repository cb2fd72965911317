//! One look at earlier runs: the archive asked on a thread of its own, and what it tells put into measures.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::EarlierRuns;
use super::search::{Criteria, Search};
use crate::model::{Expectation, Found, Measures, Observation, RunId, Value};
use crate::probe::{Archive, Look, Probe, WantedRun};
use crate::template::{Scope, Template};

/// Tells a search on another thread that nobody waits any more.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Probe for EarlierRuns {
    fn describe(&self) -> String {
        format!("looks for a {}", self.wish(&self.what()))
    }

    fn implied(&self) -> Option<Expectation> {
        Some(self.asks())
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let asked = self.fill(look.scope).and_then(|wanted| Ok((wanted, self.criteria(look)?)));
        let (mut wanted, criteria) = match asked {
            Ok(asked) => asked,
            Err(cause) => return Observation::new(self.describe(), Found::refused(cause)),
        };
        wanted.since =
            self.within.and_then(|within| criteria.now.checked_sub_signed(TimeDelta::from_std(within).ok()?));
        let wish = self.wish(&named(&wanted));
        let request = format!("looks for a {wish}");
        let Some(archive) = look.archive.cloned() else {
            return Observation::new(request, Found::refused("earlier runs cannot be asked here: there is no store"));
        };
        let cancel = Cancel(Arc::default());
        let flag = Arc::clone(&cancel.0);
        let _busy = look.world.clock.busy();
        let now = criteria.now;
        let policy = Arc::clone(&look.world.policy);
        let searched = tokio::task::spawn_blocking(move || {
            let files = wanted.record.iter().chain(&wanted.allowed_signers);
            let mut judged = files.map(|file| policy.allow_path(std::path::Path::new(file)));
            judged.try_for_each(|judged| judged.map_err(|refusal| refusal.message))?;
            search(&*archive, &wanted, criteria, &flag)
        });
        let searched = searched.await;
        let search = match searched {
            Ok(Ok(search)) => search,
            Ok(Err(cause)) => return Observation::new(request, Found::could_not_look(cause)),
            Err(error) => {
                return Observation::new(request, Found::could_not_look(format!("the search broke off: {error}")));
            }
        };
        let mut observation = Observation::new(request, Found::Measures(self.measures(&search, &wish, now)));
        observation.notes.extend(search.remark());
        observation
    }
}

/// Asks the archive. Blocks.
fn search(
    archive: &dyn Archive,
    wanted: &WantedRun,
    criteria: Criteria,
    cancelled: &AtomicBool,
) -> Result<Search, String> {
    let mut search = Search::new(criteria);
    archive.runs(wanted, &mut |run| match cancelled.load(Ordering::Relaxed) {
        true => ControlFlow::Break(()),
        false => search.take(run),
    })?;
    Ok(search)
}

/// Names what is looked through.
fn named(wanted: &WantedRun) -> String {
    let run = wanted.run.as_ref().map(|run| format!("run {run}"));
    let record = wanted.record.as_ref().map(|path| format!("the record {path}"));
    let parts: Vec<_> = [wanted.checklist.clone(), run, record].into_iter().flatten().collect();
    parts.join(" in ")
}

impl EarlierRuns {
    fn fill(&self, scope: &Scope) -> Result<WantedRun, String> {
        let fill = |template: &Option<Template>| {
            let filled = template.as_ref().map(|template| template.render(scope)).transpose();
            let filled = filled.map_err(|error| error.message)?.map(|text| text.trim().to_owned());
            match filled.as_deref() {
                Some("") => Err("the name of the earlier run, its checklist or its record is empty".to_owned()),
                _ => Ok(filled),
            }
        };
        Ok(WantedRun {
            checklist: fill(&self.checklist)?,
            run: fill(&self.run)?.map(RunId::new),
            record: fill(&self.record)?,
            allowed_signers: fill(&self.allowed_signers)?,
            since: None,
        })
    }

    fn criteria(&self, look: &Look<'_>) -> Result<Criteria, String> {
        let value = |(name, expression): &(String, crate::template::Expression)| match expression.evaluate(look.scope) {
            Ok(value) if !value.is_null() => Ok((name.clone(), value)),
            Ok(_) | Err(_) => Err(format!("input {name:?} has no value, so no run has the same")),
        };
        Ok(Criteria {
            decision: self.decision,
            within: self.within,
            same: self.same.iter().map(value).collect::<Result<_, _>>()?,
            enough: if self.counts { usize::MAX } else { self.at_least },
            now: look.world.clock.now(),
        })
    }

    fn measures(&self, search: &Search, wish: &str, now: chrono::DateTime<chrono::Utc>) -> Measures {
        let mut measures = Measures::new();
        let count = Value::Number(search.count as f64);
        let Some(found) = &search.found else {
            let nothing = || Value::Missing(search.nothing(wish));
            measures.plain("run", nothing());
            measures.plain("decision", nothing());
            measures.plain("age", nothing());
            self.inputs.iter().for_each(|name| measures.keyed("inputs", name.as_str(), nothing()));
            measures.plain("count", count);
            return measures;
        };
        measures.plain("run", Value::Text(found.run.to_string()));
        measures.plain("decision", Value::Text(found.decision.word().to_owned()));
        measures.plain("age", Value::Number((now - found.at).as_seconds_f64()));
        for name in &self.inputs {
            let value = found.inputs.get(name).cloned();
            let value = value.map_or_else(|| Value::Missing(format!("the run recorded no input {name}")), Value::Json);
            measures.keyed("inputs", name.as_str(), value);
        }
        measures.plain("count", count);
        measures
    }
}
