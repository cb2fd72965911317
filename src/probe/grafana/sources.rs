//! The data sources of a Grafana: by uid, by name, the default one.
//!
//! Source: <https://grafana.com/docs/grafana/latest/developers/http_api/data_source/>. Whoever may only view dashboards
//! may not list them there; `/api/frontend/settings` tells such a user what the browser needs to know of them.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use super::period::span;
use super::variables::{Vars, Worth};
use crate::source::Failure;
use crate::source::api::Asked;

/// How often a Prometheus scrapes when its data source does not say.
pub(super) const USUAL_SCRAPE: Duration = Duration::from_secs(15);

/// The data sources, asked for when one of them is looked for, once a look.
pub(super) struct DataSources<'a> {
    asked: &'a Asked<'a>,
    all: OnceCell<Vec<DataSource>>,
}

/// A data source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataSource {
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) kind: String,
    is_default: bool,
    /// How often what it knows is scraped, if it says so.
    scrape: Option<Duration>,
}

/// Why a query is not asked.
#[derive(Debug)]
pub(super) enum Fault {
    /// Its panel shows this error.
    Shown(String),
    /// Nobody knows what it would ask, with the reason.
    Unknown(String),
}

impl Fault {
    /// Returns the reason.
    pub(super) fn words(self) -> String {
        match self {
            Fault::Shown(why) | Fault::Unknown(why) => why,
        }
    }
}

impl<'a> DataSources<'a> {
    /// Gets ready; nothing is asked yet.
    pub(super) fn new(asked: &'a Asked<'a>) -> Self {
        Self { asked, all: OnceCell::new() }
    }

    /// Lists all of them.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub(super) async fn all(&self) -> Result<&[DataSource], Failure> {
        self.all.get_or_try_init(|| self.list()).await.map(Vec::as_slice)
    }

    async fn list(&self) -> Result<Vec<DataSource>, Failure> {
        let path = "/api/datasources";
        let reply = self.asked.send("GET", path, &[], None).await?;
        let known = match reply.status {
            401 | 403 => settings(&self.asked.get("/api/frontend/settings", &[]).await?),
            _ => {
                self.asked.check(&reply, path)?;
                self.asked.json(&reply)?.as_array().map(|all| all.iter().filter_map(DataSource::read).collect())
            }
        };
        known.ok_or_else(|| {
            Failure::lasting(format!("{} answered with something else than data sources", self.asked.through()))
        })
    }

    /// Finds the data source that a query means. Within: that there is none.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub(super) async fn find(&self, written: &Json, vars: &Vars) -> Result<Result<DataSource, Fault>, Failure> {
        let kind = written["type"].as_str();
        let (text, is_uid) = match (written.as_str(), written["uid"].as_str()) {
            (Some(name), _) => (name, false),
            (None, Some(uid)) => (uid, true),
            (None, None) if kind == Some("__expr__") => ("__expr__", true),
            (None, None) => ("default", false),
        };
        let name = match chosen(text, vars) {
            Ok(name) => name,
            Err(why) => return Ok(Err(Fault::Unknown(why))),
        };
        match name.as_str() {
            "__expr__" => return Ok(Ok(DataSource::own("__expr__", "__expr__"))),
            "grafana" | "-- Grafana --" => return Ok(Ok(DataSource::own("grafana", "datasource"))),
            _ => {}
        }
        // A uid that is written out needs no list, if the query also says what kind it is of.
        if let (true, Some(kind), true) = (is_uid, kind, name == text) {
            return Ok(Ok(DataSource::own(&name, kind)));
        }
        let all = self.all().await?;
        let found =
            all.iter().find(|source| source.uid == name).or_else(|| all.iter().find(|source| source.name == name));
        let default = || all.iter().find(|source| source.is_default && kind.is_none_or(|kind| kind == source.kind));
        let of_kind = || all.iter().find(|source| kind.is_some_and(|kind| kind == source.kind));
        let found = match name.as_str() {
            "default" => found.or_else(default).or_else(of_kind),
            _ => found,
        };
        Ok(found.cloned().ok_or_else(|| match name.as_str() {
            "default" => Fault::Shown("there is no default data source".into()),
            name => Fault::Shown(format!("there is no data source {name:?}")),
        }))
    }

    /// Tells how often what a data source knows is scraped. Within: a remark when that is only a guess.
    pub(super) async fn scrape(&self, source: &DataSource) -> (Duration, Option<String>) {
        let known = source.scrape.or(match self.all().await {
            Ok(all) => all.iter().find(|one| one.uid == source.uid).and_then(|one| one.scrape),
            Err(failure) => {
                let text = format!("how often {} is scraped is not known, so 15s is taken: {failure}", source.uid);
                return (USUAL_SCRAPE, Some(text));
            }
        });
        (known.unwrap_or(USUAL_SCRAPE), None)
    }
}

/// Fills in a variable that names a data source.
fn chosen(text: &str, vars: &Vars) -> Result<String, String> {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).or_else(|| text.strip_prefix('$'));
    let name = name.or_else(|| text.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")));
    let Some(name) = name else { return Ok(text.to_owned()) };
    match vars.get(name) {
        Some(Worth::Values { values, .. }) => match values.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(format!("the variable {name} names {} data sources", values.len())),
        },
        Some(Worth::Whole(_)) => Err(format!("the variable {name} names all data sources")),
        Some(Worth::Unknown(why)) => Err(why.clone()),
        None => Err(format!("the data source is {text}, which is no variable of the dashboard")),
    }
}

impl DataSource {
    fn own(uid: &str, kind: &str) -> Self {
        Self { uid: uid.to_owned(), name: uid.to_owned(), kind: kind.to_owned(), is_default: false, scrape: None }
    }

    fn read(json: &Json) -> Option<Self> {
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        Some(Self {
            uid: text("uid")?,
            name: text("name")?,
            kind: text("type")?,
            is_default: json["isDefault"] == true,
            scrape: json["jsonData"]["timeInterval"].as_str().and_then(span),
        })
    }

    /// Names it as queries do.
    pub(super) fn reference(&self) -> Json {
        json!({ "type": self.kind, "uid": self.uid })
    }
}

/// Reads the settings of the browser.
fn settings(json: &Json) -> Option<Vec<DataSource>> {
    let default = json["defaultDatasource"].as_str();
    let read = |(name, source): (&String, &Json)| {
        let mut source = source.clone();
        source.as_object_mut()?.insert("name".into(), Json::from(name.clone()));
        let read = DataSource::read(&source)?;
        Some(DataSource { is_default: default == Some(name), ..read })
    };
    Some(json["datasources"].as_object()?.iter().filter_map(read).collect())
}
