//! The targets that a step is about, and what is measured of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::model::{Measures, Sample, Tally, Value};
use crate::probe::asked;
use crate::probe::labels::Filled;
use crate::source::prometheus::told::{Target, Targets};

/// The most dropped targets that are named in a remark.
const MOST_NAMED: usize = 5;
/// The most targets that are kept as evidence.
const MOST_KEPT: usize = 100;

/// The targets that a step is about.
pub(super) struct Chosen<'a> {
    all: &'a Targets,
    jobs: &'a [String],
    targets: Vec<&'a Target>,
}

impl<'a> Chosen<'a> {
    pub(super) fn new(all: &'a Targets, jobs: &'a [String], labels: &Filled) -> Self {
        let is_of = |target: &&Target| jobs.is_empty() || jobs.iter().any(|job| job == job_of(target));
        let targets = all.active_targets.iter().filter(is_of).filter(|target| labels.hold(&target.labels)).collect();
        Self { all, jobs, targets }
    }

    pub(super) fn measures(&self, now: DateTime<Utc>) -> Measures {
        let mut measures = Measures::new();
        let jobs: BTreeSet<&str> = self.targets.iter().map(|target| job_of(target)).collect();
        match self.targets.is_empty() {
            true => {
                let why = self.why_none();
                for name in ["up", "last_scrape_age", "scrape_duration", "last_error"] {
                    measures.plain(name, Value::Missing(why.clone()));
                }
            }
            false => {
                measures.plain("up", Value::Tally(self.up()));
                measures.plain("last_scrape_age", self.series(|target| age(target, now)));
                measures.plain("scrape_duration", self.series(duration));
                measures.plain("last_error", Value::Text(self.errors()));
            }
        }
        measures.plain("count", Value::Number(self.targets.len() as f64));
        measures.plain("jobs", Value::Set(jobs.into_iter().map(str::to_owned).collect()));
        measures.plain("dropped", Value::Number(self.dropped() as f64));
        measures
    }

    /// Counts those that are up. A job that is asked for and has no target is one that is not.
    fn up(&self) -> Tally {
        let without = self.jobs.iter().filter(|job| !self.targets.iter().any(|target| job_of(target) == *job));
        let without = without.map(|job| (format!("any target of {job}"), false));
        let targets = self.targets.iter().map(|target| (self.name(target), target.health == "up"));
        Tally::named(targets.chain(without))
    }

    /// Says why there is no target.
    fn why_none(&self) -> String {
        let there: BTreeSet<&str> = self.all.active_targets.iter().map(job_of).collect();
        let there: Vec<&str> = there.into_iter().collect();
        match self.jobs.iter().find(|job| !there.contains(&job.as_str())) {
            Some(job) => asked::nothing("job", job, &there),
            None if there.is_empty() => "nothing is scraped at all".to_owned(),
            None => {
                let count = self.all.active_targets.iter().filter(|target| self.is_of(target)).count();
                let targets = if count == 1 { "target" } else { "targets" };
                format!("there is no target with such labels, but {count} {targets} with others")
            }
        }
    }

    fn is_of(&self, target: &Target) -> bool {
        self.jobs.is_empty() || self.jobs.iter().any(|job| job == job_of(target))
    }

    fn series(&self, value: impl Fn(&Target) -> f64) -> Value {
        let sample = |target: &&Target| {
            let label = |name: &str| target.labels.get(name).map(|value| (name.to_owned(), value.clone()));
            Sample { labels: ["job", "instance"].into_iter().filter_map(label).collect(), value: value(target) }
        };
        Value::Series(self.targets.iter().map(sample).collect())
    }

    fn errors(&self) -> String {
        let wrong = self.targets.iter().filter(|target| !target.last_error.is_empty());
        wrong.map(|target| format!("{}: {}", self.name(target), target.last_error)).collect::<Vec<_>>().join("\n")
    }

    /// Names a target: by its instance, and by its job where there are several.
    fn name(&self, target: &Target) -> String {
        let instance = target.labels.get("instance").filter(|instance| !instance.is_empty());
        let instance = instance.unwrap_or(&target.scrape_url);
        match self.targets.iter().all(|other| job_of(other) == job_of(target)) && self.jobs.len() < 2 {
            true => instance.clone(),
            false => format!("{} {instance}", job_of(target)),
        }
    }

    fn dropped(&self) -> u64 {
        if self.all.dropped_target_counts.is_empty() {
            return self.dropped_named().count() as u64;
        }
        let pools = self.pools();
        let counts = &self.all.dropped_target_counts;
        counts.iter().filter(|(pool, _)| self.jobs.is_empty() || pools.contains(pool.as_str())).map(|(_, n)| n).sum()
    }

    /// Names the scrape pools of the jobs: one is called like its job unless relabelling changed the label.
    fn pools(&self) -> BTreeSet<&str> {
        let of_targets =
            self.all.active_targets.iter().filter(|target| self.is_of(target)).map(|t| t.scrape_pool.as_str());
        of_targets.chain(self.jobs.iter().map(String::as_str)).collect()
    }

    fn dropped_named(&self) -> impl Iterator<Item = &'a BTreeMap<String, String>> {
        let pools: BTreeSet<String> = self.pools().into_iter().map(str::to_owned).collect();
        let every = self.jobs.is_empty();
        let labels = self.all.dropped_targets.iter().map(|dropped| &dropped.discovered_labels);
        labels.filter(move |labels| every || labels.get("job").is_some_and(|job| pools.contains(job)))
    }

    /// Remarks on what was dropped, and on jobs without a target.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let count = self.dropped();
        if count > 0 {
            let named: Vec<_> = self
                .dropped_named()
                .map(|labels| labels.get("__address__").map_or("a target without an address", String::as_str))
                .take(MOST_NAMED)
                .collect();
            let names = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
            let more = if count as usize > named.len() && !named.is_empty() { ", …" } else { "" };
            let targets = if count == 1 { "target" } else { "targets" };
            notes.push(format!("relabelling dropped {count} {targets}{names}{more}"));
        }
        let unknown = self.targets.iter().filter(|target| target.health == "unknown").count();
        if unknown > 0 {
            notes.push(format!("{unknown} of {} targets not scraped yet", self.targets.len()));
        }
        notes
    }

    /// Lists the targets, those that are not up first.
    pub(super) fn evidence(&self) -> String {
        let mut sorted = self.targets.clone();
        sorted.sort_by_key(|target| (target.health == "up", self.name(target)));
        let line = |target: &&Target| {
            let error = if target.last_error.is_empty() { String::new() } else { format!("  {}", target.last_error) };
            format!("{:<7} {} {}{error}\n", target.health, self.name(target), target.scrape_url)
        };
        let mut text: String = sorted.iter().take(MOST_KEPT).map(line).collect();
        if sorted.len() > MOST_KEPT {
            text.push_str(&format!("and {} more\n", sorted.len() - MOST_KEPT));
        }
        text
    }
}

fn job_of(target: &Target) -> &str {
    target.labels.get("job").map_or("", String::as_str)
}

/// Returns how long ago a target was scraped, in seconds; NaN when it never was.
fn age(target: &Target, now: DateTime<Utc>) -> f64 {
    match was_scraped(target) {
        true => (now - target.last_scrape).as_seconds_f64().max(0.0),
        false => f64::NAN,
    }
}

fn duration(target: &Target) -> f64 {
    if was_scraped(target) { target.last_scrape_duration } else { f64::NAN }
}

/// A target that was never scraped has a time long before Prometheus was written.
fn was_scraped(target: &Target) -> bool {
    target.health != "unknown" && target.last_scrape.timestamp() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MeasureName;
    use serde_json::json;

    fn told(counts: serde_json::Value) -> Targets {
        let target = |job: &str, instance: &str, health: &str, at: &str| {
            json!({ "labels": { "job": job, "instance": instance, "zone": "a" }, "scrapePool": job,
                "scrapeUrl": format!("http://{instance}/metrics"), "lastScrape": at, "lastScrapeDuration": 0.5,
                "lastError": if health == "down" { "connection refused" } else { "" }, "health": health })
        };
        serde_json::from_value(json!({
            "activeTargets": [
                target("api", "a:1", "up", "2026-01-01T00:00:00Z"),
                target("api", "b:1", "down", "2026-01-01T00:00:10Z"),
                target("db", "c:1", "unknown", "0001-01-01T00:00:00Z"),
            ],
            "droppedTargets": [{ "discoveredLabels": { "__address__": "d:1", "job": "api" } }],
            "droppedTargetCounts": counts,
        }))
        .expect("targets")
    }

    fn measured(jobs: &[&str], name: &'static str) -> Value {
        let all = told(json!({ "api": 7, "db": 2 }));
        let jobs: Vec<String> = jobs.iter().map(|job| (*job).to_owned()).collect();
        let chosen = Chosen::new(&all, &jobs, &Filled::default());
        let now = "2026-01-01T00:01:00Z".parse().expect("a time");
        chosen.measures(now).get(&MeasureName::plain(name)).expect("measured").clone()
    }

    #[test]
    fn targets_are_counted_and_named() {
        let up = |jobs: &[&str]| match measured(jobs, "up") {
            Value::Tally(tally) => (tally.count, tally.of, tally.others),
            other => panic!("{other:?}"),
        };
        assert_eq!(up(&["api"]), (1, 2, vec!["b:1".to_owned()]));
        assert_eq!(up(&[]), (1, 3, vec!["api b:1".into(), "db c:1".into()]));
        assert_eq!(up(&["api", "cache"]).2, ["api b:1", "any target of cache"]);
        let Value::Series(ages) = measured(&[], "last_scrape_age") else { panic!("a vector") };
        assert_eq!((ages[0].value, ages[1].value, ages[2].value.is_nan()), (60.0, 50.0, true));
        assert_eq!(measured(&["api"], "last_error"), Value::Text("b:1: connection refused".into()));
        assert_eq!((measured(&["api"], "dropped"), measured(&[], "dropped")), (Value::Number(7.0), Value::Number(9.0)));
    }

    #[test]
    fn no_target_is_missing_and_the_jobs_are_named() {
        let Value::Missing(why) = measured(&["cache"], "up") else { panic!("missing") };
        assert_eq!(why, "there is no job \"cache\"; there are api, db");
        assert_eq!(measured(&["cache"], "count"), Value::Number(0.0));
    }

    #[test]
    fn older_servers_count_what_they_list() {
        let all = told(json!({}));
        let jobs = ["api".to_owned()];
        let chosen = Chosen::new(&all, &jobs, &Filled::default());
        assert_eq!(chosen.dropped(), 1);
        assert_eq!(chosen.notes(), ["relabelling dropped 1 target: d:1"]);
    }
}
