//! Runs the queries of a panel through Grafana, as the browser does when it shows the panel.
//!
//! Source: `POST /api/ds/query`, <https://grafana.com/docs/grafana/latest/developers/http_api/data_source/#query-a-data-source>.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json, json};

use super::fill::{Fill, Style};
use super::frames::{self, Given};
use super::panel::{Panel, Query};
use super::period::{Period, span, words};
use super::sources::{DataSource, DataSources, Fault, USUAL_SCRAPE};
use super::variables::Vars;
use crate::source::Failure;
use crate::source::api::{Asked, Reply};

/// Where queries are asked.
const PATH: &str = "/api/ds/query";
/// How often a panel may be repeated.
const MOST_REPEATS: usize = 50;

/// What came of the queries of a panel.
#[derive(Debug)]
pub(super) enum Ran {
    /// It has no query.
    NoQuery,
    /// They were asked: the answers of each repetition, of which there is one unless the panel is repeated.
    Answers(Vec<Vec<Answer>>),
    /// They cannot be asked, with the reason: nothing is known of the panel.
    Unknown(String),
}

/// What came of one query.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) ref_id: String,
    /// The data, or the error that is shown instead.
    pub(super) given: Result<Given, String>,
}

/// Whom to ask, and about what.
pub(super) struct Running<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) sources: &'a DataSources<'a>,
    pub(super) vars: &'a Vars,
    pub(super) period: Period,
    pub(super) now: DateTime<Utc>,
    pub(super) dashboard: &'a str,
}

impl Running<'_> {
    /// Runs the queries of a panel. Adds to `remarks` what a reader should know.
    ///
    /// # Errors
    /// Says why Grafana gives no answer: nothing is known of any panel then.
    pub(super) async fn run(&self, panel: &Panel, remarks: &mut Vec<String>) -> Result<Ran, Failure> {
        if let Some(fault) = &panel.fault {
            return Ok(Ran::Answers(vec![vec![Answer { ref_id: "-".into(), given: Err(fault.clone()) }]]));
        }
        if panel.shown().next().is_none() {
            return Ok(Ran::NoQuery);
        }
        let period = match self.period.of_panel(panel.time_from.as_deref(), panel.time_shift.as_deref(), self.now) {
            Ok(period) => period,
            Err(why) => return Ok(Ran::Unknown(why)),
        };
        let repetitions = match self.repetitions(panel) {
            Ok(repetitions) => repetitions,
            Err(why) => return Ok(Ran::Unknown(why)),
        };
        let mut answers = Vec::new();
        for vars in &repetitions {
            match self.once(panel, vars, period, remarks).await? {
                Ok(given) => answers.push(given),
                Err(why) => return Ok(Ran::Unknown(why)),
            }
        }
        Ok(Ran::Answers(answers))
    }

    /// Returns the variables of each repetition.
    fn repetitions(&self, panel: &Panel) -> Result<Vec<Vars>, String> {
        let mut all = vec![self.vars.clone()];
        for name in &panel.repeats {
            let each: Vec<Vec<Vars>> = all.iter().map(|vars| vars.repeated(name)).collect::<Result<_, _>>()?;
            all = each.into_iter().flatten().collect();
            if all.len() > MOST_REPEATS {
                return Err(format!("it is repeated more than {MOST_REPEATS} times; say fewer values in `vars`"));
            }
        }
        match all.is_empty() {
            true => Err("it is repeated for each value of a variable that has none".into()),
            false => Ok(all),
        }
    }

    /// Runs the queries once. Within: why they cannot be asked.
    async fn once(
        &self,
        panel: &Panel,
        vars: &Vars,
        period: Period,
        remarks: &mut Vec<String>,
    ) -> Result<Result<Vec<Answer>, String>, Failure> {
        let (mut bodies, mut answers) = (Vec::new(), Vec::new());
        for query in panel.sent() {
            match self.body(panel, query, vars, period, remarks).await? {
                Ok(body) => bodies.push(body),
                Err(Fault::Unknown(why)) => return Ok(Err(why)),
                Err(Fault::Shown(error)) => answers.push(Answer { ref_id: query.ref_id.clone(), given: Err(error) }),
            }
        }
        if !bodies.is_empty() {
            let shown: Vec<&str> = panel.shown().map(|query| query.ref_id.as_str()).collect();
            let asked: Vec<String> =
                bodies.iter().filter_map(|body| body["refId"].as_str()).map(str::to_owned).collect();
            let answered = self.ask(&bodies, period).await?;
            for ref_id in asked.into_iter().filter(|id| shown.contains(&id.as_str())) {
                let given = answered.of(&ref_id);
                answers.push(Answer { ref_id, given });
            }
        }
        Ok(Ok(answers))
    }

    /// Makes the body of one query.
    async fn body(
        &self,
        panel: &Panel,
        query: &Query,
        vars: &Vars,
        period: Period,
        remarks: &mut Vec<String>,
    ) -> Result<Result<Json, Fault>, Failure> {
        let source = match self.sources.find(&query.datasource, vars).await? {
            Ok(source) => source,
            Err(fault) => return Ok(Err(fault)),
        };
        let style = Style::of(&source.kind);
        let (step, scrape) = match self.steps(panel, query, &source, vars, period, remarks).await {
            Ok(steps) => steps,
            Err(why) => return Ok(Err(Fault::Unknown(why))),
        };
        let fill = Fill { vars, style, period, step, scrape, dashboard: self.dashboard };
        let mut body = query.body.clone();
        for value in body.values_mut() {
            match fill.json(value) {
                Ok(filled) => *value = filled,
                Err(why) => return Ok(Err(Fault::Unknown(why))),
            }
        }
        body.insert("refId".into(), Json::from(query.ref_id.clone()));
        body.insert("datasource".into(), source.reference());
        body.insert("intervalMs".into(), Json::from(u64::try_from(step.as_millis()).unwrap_or(u64::MAX)));
        body.insert("maxDataPoints".into(), json!(panel.max_points));
        if style == Style::Prometheus {
            body.insert("interval".into(), Json::from(words(step)));
            // Exemplars come as frames of their own, and are no values of the panel.
            body.insert("exemplar".into(), Json::Bool(false));
        }
        Ok(Ok(Json::Object(body)))
    }

    /// Returns the distance of two points of a query, and how often what it asks about is scraped.
    ///
    /// # Errors
    /// Says of which variable in the least distance nobody knows what it stands for.
    async fn steps(
        &self,
        panel: &Panel,
        query: &Query,
        source: &DataSource,
        vars: &Vars,
        period: Period,
        remarks: &mut Vec<String>,
    ) -> Result<(Duration, Duration), String> {
        let style = Style::of(&source.kind);
        let mut scrape = USUAL_SCRAPE;
        if vars.uses_steps(&query.text()) {
            let remark;
            (scrape, remark) = self.sources.scrape(source).await;
            remarks.extend(remark);
        }
        let second = Duration::from_secs(1);
        let fill = Fill { vars, style, period, step: second, scrape, dashboard: self.dashboard };
        let least = |text: Option<&str>| match text {
            Some(text) => fill.text(text).map(|text| span(&text)),
            None => Ok(None),
        };
        let own = least(query.body.get("interval").and_then(Json::as_str))?;
        let of_panel = least(panel.interval.as_deref())?;
        let usual = if style == Style::Prometheus { scrape } else { Duration::from_millis(1) };
        Ok((period.step(panel.max_points, own.or(of_panel).unwrap_or(usual)), own.unwrap_or(scrape)))
    }

    async fn ask(&self, bodies: &[Json], period: Period) -> Result<Answered, Failure> {
        let body = json!({
            "from": period.from.timestamp_millis().to_string(),
            "to": period.to.timestamp_millis().to_string(),
            "queries": bodies,
        });
        let reply = self.asked.send("POST", PATH, &[], Some(&body)).await?;
        self.answered(&reply)
    }

    /// Tells the answers of single queries, errors among them, from that of a Grafana that cannot be asked.
    fn answered(&self, reply: &Reply) -> Result<Answered, Failure> {
        if matches!(reply.status, 401 | 403) {
            self.asked.check(reply, PATH)?;
        }
        let json = match self.asked.json(reply) {
            Ok(json) => json,
            Err(failure) => {
                self.asked.check(reply, PATH)?;
                return Err(failure);
            }
        };
        if let Some(results) = json["results"].as_object().filter(|results| !results.is_empty()) {
            return Ok(Answered::Each(results.clone()));
        }
        match (reply.status, json["message"].as_str()) {
            // What is wrong with these queries is shown in their panel: a data source that is gone, a bad request.
            (400 | 404 | 412 | 422, Some(message)) => Ok(Answered::Error(message.to_owned())),
            _ => {
                self.asked.check(reply, PATH)?;
                Err(Failure::lasting(format!("{} answered a query without results", self.asked.through())))
            }
        }
    }
}

/// The answer to the queries of a panel.
enum Answered {
    Each(Map<String, Json>),
    Error(String),
}

impl Answered {
    fn of(&self, ref_id: &str) -> Result<Given, String> {
        match self {
            Answered::Error(message) => Err(message.clone()),
            Answered::Each(results) => match results.get(ref_id) {
                Some(result) => frames::read(result),
                None => Err("Grafana gave no answer to this query".into()),
            },
        }
    }
}
