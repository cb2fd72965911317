//! Logs of GitHub Actions: of the jobs of a run, which is named or is the latest of a workflow for a commit or branch.
//!
//! The API is that of <https://docs.github.com/en/rest/actions/workflow-jobs>. A log is answered with a redirect to a
//! signed address at another host, to which no credentials go along.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::tail::Last;
use super::{Origin, OriginKind, Sent, Wanted};
use crate::diag::Diagnostic;
use crate::model::Note;
use crate::probe::{Compiling, Look, asked};
use crate::shape::{Object, Shape, field, required};
use crate::source::api::Asked;
use crate::source::{Failure, prometheus};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind.
pub(super) const KIND: OriginKind = OriginKind {
    field: field("github", Shape::Object(&OBJECT), "The logs of jobs of GitHub Actions."),
    manual: MANUAL,
    compile,
};

static OBJECT: Object = Object {
    name: "logs of GitHub Actions",
    fields: &[
        required("repository", Shape::Template, "The repository: `owner/name`."),
        field("run", Shape::Template, "The run, by its number in URLs."),
        field("workflow", Shape::Template, "The workflow whose latest run is meant, by its file: `ci.yaml`."),
        field("branch", Shape::Template, "Of the workflow, the latest run on this branch."),
        field("commit", Shape::Template, "Of the workflow, the latest run for this commit: its whole SHA."),
        field("event", Shape::Template, "Of the workflow, the latest run for this event: `push`."),
        field("job", Shape::Template, "The job by its name, with all cells of its matrix; every job unless given."),
        field("source", Shape::Text, "Which of the `sources` to ask; the one of kind github when there is one alone."),
    ],
    open: false,
};

const MANUAL: &str = "\
`github` looks at the logs of jobs of GitHub Actions, each line with its time, which is no part of the line. It needs a \
source of kind `github`, with a token that may read actions.

```yaml
sources:
  github: { bearer: \"{{ inputs.github_token }}\" }

- name: The tests of this commit logged no warning
  log:
    github: { repository: acme/shop, workflow: ci.yaml, commit: \"{{ inputs.commit }}\", job: test }
  expect: { matches: { '##\\[warning\\]': 0 } }
```

A run or a job that is not there is an *error*, as is a log that GitHub no longer keeps, an access that is denied and \
a rate limit. A job that has not ended is *inconclusive*: its log is not kept yet. A job that was skipped has no log, \
which is said; when all were, it is an error. `tail` holds for each job.
";

/// The largest number of jobs on a page of a list.
const PAGE: usize = 100;
/// The most jobs of a run, by GitHub's limits of matrices a bit generously.
const MOST_JOBS: usize = 10_000;

/// Jobs as the checklist names them.
#[derive(Debug)]
struct Jobs {
    source: String,
    url: Template,
    repository: Template,
    run: Run,
    job: Option<Template>,
}

/// Which run is meant.
#[derive(Debug)]
enum Run {
    Number(Template),
    Latest { workflow: Template, conditions: Vec<(&'static str, Template)> },
}

/// The same with the templates filled in.
struct Filled {
    repository: String,
    run: FilledRun,
    job: Option<String>,
}

enum FilledRun {
    Number(String),
    Latest(String, Vec<(&'static str, String)>),
}

/// A job of a run.
struct Job {
    id: u64,
    name: String,
    status: String,
    conclusion: String,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Origin>> {
    let api = asked::api(compiling, node, "github", "logs of jobs");
    let reading = &mut *compiling.reading;
    let repository = reading.template_at(node, "repository", Place::Plain);
    if let Some(template) = repository.as_ref().filter(|template| template.is_literal())
        && split(template.source()).is_none()
    {
        let span = node.get("repository").map_or(node.span, |node| node.span);
        let message = format!("{:?} is no repository: write owner/name", template.source());
        reading.say(Diagnostic::error("bad-value", span, message));
        return None;
    }
    let conditions = ["branch", "commit", "event"].into_iter().filter(|key| node.get(key).is_some());
    let run = match (node.entry("run"), node.entry("workflow")) {
        (Some(_), None) => {
            if let Some((key, _)) = conditions.clone().find_map(|key| node.entry(key)) {
                let message =
                    format!("{:?} chooses a run of a workflow, and the run is named", key.text().unwrap_or(""));
                reading.say(Diagnostic::error("bad-value", key.span, message));
                return None;
            }
            reading.template_at(node, "run", Place::Plain).map(Run::Number)
        }
        (None, Some(_)) => {
            let conditions =
                conditions.map(|key| Some((parameter(key), reading.template_at(node, key, Place::Plain)?)));
            let conditions: Option<Vec<_>> = conditions.collect::<Vec<_>>().into_iter().collect();
            let workflow = reading.template_at(node, "workflow", Place::Plain);
            workflow.zip(conditions).map(|(workflow, conditions)| Run::Latest { workflow, conditions })
        }
        (Some((first, _)), Some((second, _))) => {
            let message = "a run is named by its number or as the latest of a workflow, not both";
            reading.say(Diagnostic::error("bad-value", second.span, message).also(first.span, "the run"));
            None
        }
        (None, None) => {
            reading.say(Diagnostic::error("missing-key", node.span, "logs of GitHub Actions need a run or a workflow"));
            None
        }
    };
    let job = reading.template_at(node, "job", Place::Plain);
    let (name, url) = api.map(|api| (api.name().to_owned(), api.url().clone()))?;
    Some(Box::new(Jobs { source: name, url, repository: repository?, run: run?, job }))
}

/// Returns the name of a condition in the API.
fn parameter(key: &str) -> &'static str {
    match key {
        "commit" => "head_sha",
        "event" => "event",
        _ => "branch",
    }
}

fn split(repository: &str) -> Option<(&str, &str)> {
    repository.split_once('/').filter(|(owner, name)| is_part(owner) && is_part(name))
}

/// Tells whether a text may be a part of a path.
fn is_part(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().all(sign) && text.chars().any(|c| c != '.')
}

#[async_trait]
impl Origin for Jobs {
    fn describe(&self) -> String {
        let of = match &self.run {
            Run::Number(run) => format!("run {}", run.source()),
            Run::Latest { workflow, .. } => workflow.source().to_owned(),
        };
        let job = self.job.as_ref().map(|job| format!("job {} of ", job.source())).unwrap_or_default();
        format!("the log of {job}{of} in {}", self.repository.source())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        prometheus::host(&self.url, scope)
    }

    fn source(&self) -> Option<&str> {
        Some(&self.source)
    }

    fn is_stamped(&self) -> bool {
        true
    }

    fn takes_tails(&self) -> bool {
        true
    }

    fn request(&self, look: &Look<'_>, _wanted: &Wanted) -> Result<String, Failure> {
        let filled = self.fill(look.scope)?;
        Ok(format!("logs of {}", filled.words()))
    }

    async fn pump(&self, look: &Look<'_>, wanted: &Wanted, to: mpsc::Sender<Bytes>) -> Result<Sent, Failure> {
        let filled = self.fill(look.scope)?;
        let api = look.sources.api("github", Some(&self.source));
        let api = api.ok_or_else(|| Failure::lasting(format!("there is no source {:?}", self.source)))?;
        let asked = api.open(look.world, look.scope, wanted.timeout)?;
        let run = filled.number(&asked).await?;
        let jobs = filled.choose(jobs(&asked, &filled.repository, &run).await?, &run)?;
        let mut sent = Sent { through: Some(asked.through()), ..Sent::default() };
        if let Some(job) = jobs.iter().find(|job| job.status != "completed") {
            return Err(Failure::short(format!(
                "the job {:?} of run {run} has not ended: it is {}",
                job.name, job.status
            )));
        }
        let (skipped, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.conclusion == "skipped");
        if jobs.is_empty() {
            return Err(Failure::lasting(format!("no job of run {run} has a log: all were skipped")));
        }
        let of = |job: &Job| Note::info(format!("the job {:?} was skipped and has no log", job.name));
        sent.notes.extend(skipped.iter().map(of));
        for job in &jobs {
            if !send(&asked, &filled.repository, job, wanted, &to).await? {
                break;
            }
        }
        Ok(sent)
    }
}

impl Jobs {
    fn fill(&self, scope: &Scope) -> Result<Filled, Failure> {
        let fill = |template: &Template| {
            let text = template.render(scope).map_err(|error| Failure::lasting(error.to_string()))?;
            match text.trim() {
                "" => Err(Failure::lasting(format!("{} is empty", template.source()))),
                text => Ok(text.to_owned()),
            }
        };
        let repository = fill(&self.repository)?;
        if split(&repository).is_none() {
            return Err(Failure::lasting(format!("{repository:?} is no repository: write owner/name")));
        }
        let run = match &self.run {
            Run::Number(run) => match fill(run)? {
                run if run.bytes().all(|byte| byte.is_ascii_digit()) => FilledRun::Number(run),
                run => return Err(Failure::lasting(format!("{run:?} is not the number of a run"))),
            },
            Run::Latest { workflow, conditions } => {
                let workflow = fill(workflow)?;
                if !is_part(&workflow) {
                    return Err(Failure::lasting(format!("{workflow:?} is not the file of a workflow: write ci.yaml")));
                }
                let filled = conditions.iter().map(|(key, value)| Ok((*key, fill(value)?)));
                FilledRun::Latest(workflow, filled.collect::<Result<_, Failure>>()?)
            }
        };
        Ok(Filled { repository, run, job: self.job.as_ref().map(fill).transpose()? })
    }
}

impl Filled {
    fn words(&self) -> String {
        let run = match &self.run {
            FilledRun::Number(run) => format!("run {run}"),
            FilledRun::Latest(workflow, conditions) => {
                let conditions = conditions.iter().map(|(key, value)| format!(" {key}={value}"));
                format!("the latest run of {workflow}{}", conditions.collect::<String>())
            }
        };
        let job = self.job.as_ref().map(|job| format!("job {job} of ")).unwrap_or_default();
        format!("{job}{run} in {}", self.repository)
    }

    /// Finds the number of the run.
    async fn number(&self, asked: &Asked<'_>) -> Result<String, Failure> {
        let (workflow, conditions) = match &self.run {
            FilledRun::Number(run) => return Ok(run.clone()),
            FilledRun::Latest(workflow, conditions) => (workflow, conditions),
        };
        let path = format!("/repos/{}/actions/workflows/{workflow}/runs", self.repository);
        let mut query: Vec<(&str, &str)> = conditions.iter().map(|(key, value)| (*key, value.as_str())).collect();
        query.push(("per_page", "1"));
        let answer = asked.get(&path, &query).await?;
        let runs = answer.get("workflow_runs").and_then(Value::as_array).ok_or_else(|| odd(asked, "runs"))?;
        let Some(first) = runs.first() else {
            return Err(Failure::lasting(format!("there is no such run: {}", self.words())));
        };
        first.get("id").and_then(Value::as_u64).map(|id| id.to_string()).ok_or_else(|| odd(asked, "runs"))
    }

    /// Chooses the jobs that are meant; never none.
    fn choose(&self, jobs: Vec<Job>, run: &str) -> Result<Vec<Job>, Failure> {
        let Some(wanted) = &self.job else {
            return match jobs.is_empty() {
                true => Err(Failure::lasting(format!("run {run} has no job"))),
                false => Ok(jobs),
            };
        };
        // The cells of a matrix are called `test (ubuntu, 1.80)`.
        let cell = format!("{wanted} (");
        let fits = |job: &Job| job.name == *wanted || job.name.starts_with(&cell) && job.name.ends_with(')');
        let (chosen, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(fits);
        if chosen.is_empty() {
            let names: Vec<_> = others.iter().map(|job| job.name.as_str()).collect();
            return Err(Failure::lasting(format!(
                "run {run} has no job {wanted:?}; its jobs are {}",
                names.join(", ")
            )));
        }
        Ok(chosen)
    }
}

/// Lists the jobs of the latest attempt of a run, page by page to the end.
async fn jobs(asked: &Asked<'_>, repository: &str, run: &str) -> Result<Vec<Job>, Failure> {
    let path = format!("/repos/{repository}/actions/runs/{run}/jobs");
    let mut jobs: Vec<Job> = Vec::new();
    for page in 1.. {
        let (size, number) = (PAGE.to_string(), page.to_string());
        let query = [("filter", "latest"), ("per_page", size.as_str()), ("page", number.as_str())];
        let answer = asked.get(&path, &query).await?;
        let total = answer.get("total_count").and_then(Value::as_u64).ok_or_else(|| odd(asked, "jobs"))?;
        let list = answer.get("jobs").and_then(Value::as_array).ok_or_else(|| odd(asked, "jobs"))?;
        let read = list.iter().map(job).collect::<Option<Vec<_>>>().ok_or_else(|| odd(asked, "jobs"))?;
        let last = read.is_empty();
        jobs.extend(read);
        if jobs.len() as u64 >= total {
            return Ok(jobs);
        }
        if last || jobs.len() > MOST_JOBS {
            let message = format!("{} named {} of {total} jobs of run {run}", asked.through(), jobs.len());
            return Err(Failure::passing(message));
        }
    }
    Ok(jobs)
}

fn job(value: &Value) -> Option<Job> {
    let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
    let conclusion = text("conclusion").unwrap_or_default();
    Some(Job { id: value.get("id")?.as_u64()?, name: text("name")?, status: text("status")?, conclusion })
}

/// Sends the log of a job. Tells whether more is wanted.
async fn send(
    asked: &Asked<'_>,
    repository: &str,
    job: &Job,
    wanted: &Wanted,
    to: &mpsc::Sender<Bytes>,
) -> Result<bool, Failure> {
    let path = format!("/repos/{repository}/actions/jobs/{}/logs", job.id);
    let named =
        |failure: Failure| Failure { cause: format!("the log of job {:?}: {}", job.name, failure.cause), ..failure };
    let mut answer = asked.stream_from_elsewhere(&path, &[]).await.map_err(named)?;
    let mut last = wanted.tail.map(|_| Last::default());
    let (mut begun, mut end) = (false, b'\n');
    while let Some(piece) = answer.next().await {
        let mut piece = piece.map_err(|error| named(Failure::passing(error.to_string())))?;
        if !begun && piece.starts_with("\u{feff}".as_bytes()) {
            piece = piece.slice(3..);
        }
        begun = true;
        end = piece.last().copied().unwrap_or(end);
        match &mut last {
            Some(last) => last.push(&piece),
            None => {
                if to.send(piece).await.is_err() {
                    return Ok(false);
                }
            }
        }
    }
    let mut rest = match (last, wanted.tail) {
        (Some(last), Some(count)) => {
            let tail = last.finish(count);
            if tail.cut {
                let message = format!("the last {count} lines of job {:?} are too long to be kept", job.name);
                return Err(Failure::short(message));
            }
            tail.bytes
        }
        (_, _) => Vec::new(),
    };
    // The next log begins on a line of its own.
    if end != b'\n' {
        rest.push(b'\n');
    }
    Ok(rest.is_empty() || to.send(rest.into()).await.is_ok())
}

fn odd(asked: &Asked<'_>, what: &str) -> Failure {
    Failure::lasting(format!("{} answered with what is no list of {what}", asked.through()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_owner_and_a_name() {
        assert_eq!(split("acme/shop.rs"), Some(("acme", "shop.rs")));
        for bad in ["acme", "acme/", "/shop", "a/b/c", "a/..", "../b", "a b/c", "a/b?x"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
