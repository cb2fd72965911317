//! Questions to a cluster: one object, a whole list, the log of a container.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::resource::{self, Resource};
use super::{Kubernetes, Session, Slot, answer};
use crate::source::Failure;
use crate::sys::World;
use crate::sys::kubernetes::{Access, Answer, Streaming};

/// The largest answer that is read, in bytes. A page of a list is one answer.
const MAX_BODY: usize = 64 << 20;
/// How many objects are asked for at once.
const PAGE: usize = 250;
/// The most objects of one list.
const MOST: usize = 20_000;
/// How often a list is begun anew because it grew too old while it was read.
const ANEW: usize = 3;
/// How often one question is put again because the server asks to wait.
const WAITS: usize = 3;
/// From this size on an answer is read on a thread of its own.
const LARGE: usize = 256 << 10;

/// A cluster that can be asked.
pub struct Asked<'a> {
    pub(super) source: &'a Kubernetes,
    pub(super) world: &'a World,
    pub(super) access: Access,
    pub(super) slot: Arc<Slot>,
    pub(super) session: Mutex<Arc<Session>>,
    pub(super) namespace: String,
    /// The longest time for one request.
    pub(super) timeout: Duration,
    /// When the time for all requests is up, by the clock that never goes back.
    pub(super) until: Duration,
}

/// What is asked, for the message when it is not answered.
pub(super) struct Question {
    /// `get`, `list`: what a role must allow.
    pub(super) verb: &'static str,
    /// `deployments.apps`.
    pub(super) what: String,
    /// In which namespace; nowhere for what has none.
    pub(super) namespace: Option<String>,
    /// Path and query.
    pub(super) path: String,
}

/// The log of a container while it comes.
pub struct Lines(Streaming);

impl Lines {
    /// Returns the next piece; nothing at the end.
    ///
    /// # Errors
    /// Says why it broke off.
    pub async fn next(&mut self) -> Option<Result<Bytes, String>> {
        self.0.next().await.map(|piece| piece.map_err(|error| error.to_string()))
    }
}

/// A page of a list.
enum Page<T> {
    /// What stands on it, and where the next one begins.
    Of(Vec<T>, Option<String>),
    /// The list is older than the server remembers.
    TooOld,
}

impl Asked<'_> {
    /// Says through what is looked.
    pub fn through(&self) -> String {
        self.session().cluster.through()
    }

    /// Returns the namespace that is asked about.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Tells the time of the clock here, which is taken for the cluster's.
    pub fn now(&self) -> DateTime<Utc> {
        self.world.clock.now()
    }

    /// Gets one object; nothing when there is none of that name.
    ///
    /// # Errors
    /// Says why nothing is known.
    pub async fn find(&self, resource: &Resource, name: &str) -> Result<Option<Value>, Failure> {
        let question = self.question("get", resource, resource.path(&self.namespace, Some(name))?);
        let answer = self.send(&question).await?;
        if answer.status == 404 && answer::is_status(&answer) {
            return Ok(None);
        }
        self.check(&answer, &question)?;
        let object = self.json(answer).await?;
        match object.pointer("/metadata/name").and_then(Value::as_str) {
            Some(found) if found == name => Ok(Some(object)),
            _ => Err(self.senseless("what is not the object that was asked for")),
        }
    }

    /// Reads a list to its end, each object by `read`, which says what is wrong with one. `query` are pairs such as
    /// `labelSelector`.
    ///
    /// # Errors
    /// Says why the list is not known as a whole.
    pub async fn list<T: Send>(
        &self,
        resource: &Resource,
        query: &[(&str, &str)],
        read: impl Fn(Value) -> Result<T, String> + Sync,
    ) -> Result<Vec<T>, Failure> {
        'anew: for _ in 0..ANEW {
            let (mut all, mut next) = (Vec::new(), None::<String>);
            loop {
                match self.page(resource, query, next.as_deref(), &read).await? {
                    Page::TooOld => continue 'anew,
                    Page::Of(items, following) => {
                        let empty = items.is_empty();
                        all.extend(items);
                        if following.is_some() && (all.len() >= MOST || empty) {
                            let why = if empty { "it has a page without objects" } else { "narrow it down" };
                            let what = resource.words();
                            return Err(Failure::lasting(format!("the list of {what} does not end: {why}")));
                        }
                        match following {
                            Some(token) => next = Some(token),
                            None => return Ok(all),
                        }
                    }
                }
            }
        }
        let what = resource.words();
        let cause = format!("{} forgot the list of {what} {ANEW} times while it was read (410)", self.through());
        Err(Failure::passing(cause))
    }

    async fn page<T>(
        &self,
        resource: &Resource,
        query: &[(&str, &str)],
        from: Option<&str>,
        read: &(impl Fn(Value) -> Result<T, String> + Sync),
    ) -> Result<Page<T>, Failure> {
        let limit = PAGE.to_string();
        let more = [("limit", limit.as_str())].into_iter().chain(from.map(|from| ("continue", from)));
        let pairs: Vec<_> = query.iter().copied().chain(more).collect();
        let path = format!("{}?{}", resource.path(&self.namespace, None)?, encoded(&pairs));
        let question = self.question("list", resource, path);
        let answer = self.send(&question).await?;
        if answer.status == 410 && from.is_some() {
            return Ok(Page::TooOld);
        }
        self.check(&answer, &question)?;
        let mut list = self.json(answer).await?;
        let next = list.pointer("/metadata/continue").and_then(Value::as_str).filter(|token| !token.is_empty());
        let next = next.map(str::to_owned);
        let named = list["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        let Some(Value::Array(items)) = list.get_mut("items").map(Value::take).filter(|_| named) else {
            return Err(self.senseless("what is not a list"));
        };
        let items: Result<Vec<T>, String> = items.into_iter().map(read).collect();
        items.map(|items| Page::Of(items, next)).map_err(|why| self.senseless(&format!("an object that {why}")))
    }

    /// Tells whether the namespace that is asked about exists; nothing when that may not be asked.
    ///
    /// # Errors
    /// Says why nothing is known, other than for lack of a permission.
    pub async fn namespace_exists(&self) -> Result<Option<bool>, Failure> {
        let path = resource::NAMESPACES.path("", Some(&self.namespace))?;
        let question = self.question("get", &resource::NAMESPACES, path);
        let answer = self.send(&question).await?;
        match answer.status {
            403 => Ok(None),
            404 if answer::is_status(&answer) => Ok(Some(false)),
            _ => self.check(&answer, &question).map(|()| Some(true)),
        }
    }

    /// Begins to read the log of a container of a pod. `query` are the pairs of the API: `container`, `tailLines`.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub async fn log(&self, pod: &str, query: &[(&str, &str)]) -> Result<Lines, Failure> {
        let path = format!("{}/log?{}", resource::PODS.path(&self.namespace, Some(pod))?, encoded(query));
        let (what, namespace) = ("pods/log".to_owned(), Some(self.namespace.clone()));
        let question = Question { verb: "get", what, namespace, path };
        let streaming = self.session().cluster.stream(&question.path, self.left()).await;
        let streaming = streaming.map_err(|error| answer::unanswered(&self.through(), &error))?;
        if (200..300).contains(&streaming.status) {
            return Ok(Lines(streaming));
        }
        let status = streaming.status;
        let body = streaming.beginning(64 << 10).await;
        let end = crate::sys::http::BodyEnd::Complete;
        let answer = Answer { status, headers: Vec::new(), body, end };
        self.check(&answer, &question)?;
        Err(self.senseless("neither a log nor an error"))
    }

    /// Gets a path that is not about objects: what there is in the API.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, Failure> {
        let (what, namespace) = ("the API's own index".to_owned(), None);
        let question = Question { verb: "get", what, namespace, path: path.to_owned() };
        let answer = self.send(&question).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        self.check(&answer, &question)?;
        self.json(answer).await.map(Some)
    }

    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn question(&self, verb: &'static str, resource: &Resource, path: String) -> Question {
        let namespace = resource.namespaced.then(|| self.namespace.clone());
        Question { verb, what: resource.words(), namespace, path }
    }

    /// Returns how long one request may still take.
    pub(crate) fn left(&self) -> Duration {
        let left = self.until.saturating_sub(self.world.clock.elapsed());
        self.timeout.min(left).max(Duration::from_millis(1))
    }

    /// Puts a question. Credentials that a command gave are asked for again when they are not accepted, and a server
    /// that asks to wait a little is asked again after that.
    async fn send(&self, question: &Question) -> Result<Answer, Failure> {
        let (mut renewed, mut waits) = (false, 0);
        loop {
            let session = self.session();
            let answer = session.cluster.get(&question.path, MAX_BODY, self.left()).await;
            let answer = answer.map_err(|error| answer::unanswered(&self.through(), &error))?;
            match (answer.status, answer::wait(&answer)) {
                (401, _) if session.cluster.by_plugin() && !renewed => {
                    renewed = true;
                    self.forget(&session).await;
                    let again = self.source.session(&self.access, &self.slot, self.world, self.left()).await?;
                    *self.session.lock().unwrap_or_else(PoisonError::into_inner) = again;
                }
                (429 | 503, Some(wait)) if waits < WAITS && wait < self.left() => {
                    waits += 1;
                    tokio::time::sleep(wait).await;
                }
                (401, _) => {
                    // Whoever asks next reads the credentials anew.
                    self.forget(&session).await;
                    return answer::whole(&self.through(), answer);
                }
                _ => return answer::whole(&self.through(), answer),
            }
        }
    }

    async fn forget(&self, session: &Arc<Session>) {
        let mut kept = self.slot.lock().await;
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, session)) {
            *kept = None;
        }
    }

    fn check(&self, answer: &Answer, question: &Question) -> Result<(), Failure> {
        answer::check(&self.through(), answer, question)
    }

    async fn json(&self, answer: Answer) -> Result<Value, Failure> {
        let through = self.through();
        if answer.body.len() < LARGE {
            return answer::json(&through, &answer);
        }
        let read = tokio::task::spawn_blocking(move || answer::json(&through, &answer)).await;
        read.unwrap_or_else(|fault| Err(Failure::lasting(format!("the answer could not be read: {fault}"))))
    }

    fn senseless(&self, what: &str) -> Failure {
        Failure::lasting(format!("{} answered with {what}", self.through()))
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
