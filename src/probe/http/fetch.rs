//! A page that another probe fetches: read, sent and refused as `http` does.

use std::time::Duration;

use super::fill::Way;
use super::spec::{self, Spec};
use super::{fill, unanswered};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::Found;
use crate::probe::Look;
use crate::sys::http::{HttpError, Request};
use crate::template::Template;
use crate::yaml::Node;

/// How a page is fetched.
pub(in crate::probe) struct Fetch(Spec);

impl Fetch {
    /// Reads a URL, or a map with the keys of `http`. Nothing when a mistake was said.
    pub(in crate::probe) fn read(reading: &mut Reading<'_>, node: &Node) -> Option<Self> {
        let spec = spec::read(reading, node)?;
        if spec.method != "GET" {
            let place = node.get("url").unwrap_or(node);
            let message = format!("a page is fetched with GET, not with {}", spec.method);
            reading.say(Diagnostic::error("bad-value", place.span, message));
            return None;
        }
        Some(Self(spec))
    }

    /// Returns the URL, its templates unfilled.
    pub(in crate::probe) fn url(&self) -> &Template {
        &self.0.url
    }

    /// Makes the request, which takes `timeout` at most.
    ///
    /// # Errors
    /// Says in one line what is missing or makes no sense.
    pub(in crate::probe) async fn request(&self, look: &Look<'_>, timeout: Duration) -> Result<Request, String> {
        let way = Way { scope: look.scope, timeout, policy: &look.world.policy };
        fill::request(&self.0, &way, false).await
    }

    /// Shows a request in one line, without credentials.
    pub(in crate::probe) fn shown(request: &Request) -> String {
        fill::shown(request)
    }

    /// Tells whose fault it is that there is no answer.
    pub(in crate::probe) fn unanswered(error: HttpError, request: &Request) -> Found {
        unanswered(error, request)
    }
}
