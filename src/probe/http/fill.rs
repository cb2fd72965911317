//! Fills in the variables and makes the request.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::spec::{Auth, Spec};
use crate::sys::Policy;
use crate::sys::http::{self, Connection, Request};
use crate::template::{Scope, Template};

/// What a request is made with.
pub(super) struct Way<'a> {
    /// The values of variables.
    pub(super) scope: &'a Scope,
    /// How long it may take.
    pub(super) timeout: Duration,
    /// Which files it may carry.
    pub(super) policy: &'a Arc<Policy>,
}

/// Makes the request that is sent.
///
/// # Errors
/// Says in one line what is missing or makes no sense.
pub(super) async fn request(spec: &Spec, way: &Way<'_>, timed: bool) -> Result<Request, String> {
    let (scope, timeout) = (way.scope, way.timeout);
    let mut headers = pairs(&spec.headers, scope)?;
    if let Some(value) = authorization(spec.auth.as_ref(), scope)? {
        headers.push(("authorization".into(), value));
    }
    if let Some(kind) = spec.payload.content_type()
        && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        headers.push(("content-type".into(), kind.into()));
    }
    Ok(Request {
        method: spec.method.clone(),
        url: url(spec, scope)?,
        headers,
        body: spec.payload.fill(scope, way.policy).await?,
        timeout,
        max_body: spec.max_body,
        max_redirects: spec.redirects,
        connection: Connection {
            ca_file: optional(spec.way.ca.as_ref(), scope)?,
            client_cert: optional(spec.way.cert.as_ref(), scope)?,
            insecure: spec.way.insecure,
            resolve: pairs(&spec.way.resolve, scope)?,
            proxy: optional(spec.way.proxy.as_ref(), scope)?,
            version: spec.way.version,
            ..Connection::default()
        },
        timed,
    })
}

/// Shows a request in one line, without credentials.
pub(super) fn shown(request: &Request) -> String {
    format!("{} {}", request.method, bare(&request.url))
}

/// Shows a URL without credentials.
pub(super) fn bare(url: &str) -> String {
    match url.contains('@') {
        false => url.to_owned(),
        true => Url::parse(url).map_or_else(|_| "a URL that cannot be read".into(), |url| http::shown(&url)),
    }
}

fn url(spec: &Spec, scope: &Scope) -> Result<String, String> {
    let text = spec.url.render(scope).map_err(|e| e.message)?;
    if spec.query.is_empty() {
        return Ok(text);
    }
    let mut url = Url::parse(&text).map_err(|e| format!("with its variables filled in, this is not a URL: {e}"))?;
    for (name, value) in pairs(&spec.query, scope)? {
        url.query_pairs_mut().append_pair(&name, &value);
    }
    Ok(url.into())
}

fn authorization(auth: Option<&Auth>, scope: &Scope) -> Result<Option<String>, String> {
    let render = |template: &Template| template.render(scope).map_err(|e| e.message);
    Ok(match auth {
        None => None,
        Some(Auth::Bearer(token)) => Some(format!("Bearer {}", render(token)?.trim())),
        Some(Auth::Basic(user, password)) => {
            let pair = format!("{}:{}", render(user)?, render(password)?);
            Some(format!("Basic {}", STANDARD.encode(pair)))
        }
    })
}

fn pairs(templates: &[(String, Template)], scope: &Scope) -> Result<Vec<(String, String)>, String> {
    let fill =
        |(name, template): &(String, Template)| Ok((name.clone(), template.render(scope).map_err(|e| e.message)?));
    templates.iter().map(fill).collect()
}

fn optional(template: Option<&Template>, scope: &Scope) -> Result<Option<String>, String> {
    template.map(|template| template.render(scope).map_err(|e| e.message)).transpose()
}
