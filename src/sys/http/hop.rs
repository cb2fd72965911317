//! One request of a chain of redirects, and what may go on to the next.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::borrow::Cow;
use url::Url;

use super::message::{Connection, Fault, HttpError, Request};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("holdpoint/", env!("CARGO_PKG_VERSION")));

/// One request, ready to be sent. Its URL carries no credentials.
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether a redirect has led to another origin than the one that was asked for.
    foreign: bool,
}

impl Hop {
    /// Makes the first request: checked, with the headers that are always sent.
    pub(super) fn first(request: &Request) -> Result<Self, HttpError> {
        let wrong = |message: String| HttpError::new(Fault::Request, message);
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| wrong(format!("{:?} is not a method", request.method)))?;
        let mut url = parse(&request.url).map_err(wrong)?;
        let mut headers = HeaderMap::with_capacity(request.headers.len() + 3);
        for (name, value) in &request.headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong(format!("{name:?} is not a header's name")))?;
            // The value is not repeated: it may be a secret.
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
                wrong(format!("the header {name:?} has a value with a line break or another control sign"))
            })?;
            headers.append(key, value);
        }
        if let Some(value) = take_credentials(&mut url)
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, value);
        }
        url.set_fragment(None);
        for (name, value) in [
            (USER_AGENT, AGENT),
            (ACCEPT, HeaderValue::from_static("*/*")),
            (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
        ] {
            headers.entry(name).or_insert(value);
        }
        Ok(Self { method, url, headers, body: request.body.clone(), foreign: false })
    }

    /// Returns the request that a redirect leads to; nothing when the answer is no redirect.
    ///
    /// # Errors
    /// Says why the redirect must not be followed.
    pub(super) fn next(
        &self,
        status: u16,
        headers: &HeaderMap,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, HttpError> {
        let location = headers.get(LOCATION).filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
        let Some(location) = location else { return Ok(None) };
        let url = self.target(&String::from_utf8_lossy(location.as_bytes()))?;
        let (headers, body) = (self.headers.clone(), self.body.clone());
        let mut next = Self { method: self.method.clone(), url, headers, body, foreign: self.foreign };
        let becomes_get = match status {
            303 => self.method != Method::HEAD,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            next.method = Method::GET;
            next.body = Bytes::new();
            next.headers.remove(CONTENT_TYPE);
            next.headers.remove(CONTENT_LENGTH);
        }
        if self.url.origin() != next.url.origin() {
            if !next.body.is_empty() {
                let (from, to) = (self.shown(), origin(&next.url));
                let message = format!("{from} redirects to {to}: a redirect would send the body to another host");
                return Err(HttpError::new(Fault::Redirect, message));
            }
            next.foreign = true;
            next.hold_back(notes);
        }
        Ok(Some(next))
    }

    /// Reads where a redirect leads, and refuses what must not be followed.
    fn target(&self, location: &str) -> Result<Url, HttpError> {
        let refuse = |message: String| HttpError::new(Fault::Redirect, message);
        let mut url = self
            .url
            .join(location.trim())
            .map_err(|e| refuse(format!("{} redirects to {location:?}, which is no URL: {e}", self.shown())))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(format!("{} redirects to {}, which is not HTTP", self.shown(), shown(&url))));
        }
        if self.is_https() && url.scheme() == "http" {
            return Err(refuse(format!("{} redirects from https to http: {}", self.shown(), shown(&url))));
        }
        take_credentials(&mut url);
        url.set_fragment(None);
        Ok(url)
    }

    /// Returns how the connection is made: the client's certificate, too, stays with the origin it was given for, and so
    /// does a socket.
    pub(super) fn connection<'a>(&self, given: &'a Connection) -> Cow<'a, Connection> {
        match self.foreign && (given.client_cert.is_some() || given.unix_socket.is_some()) {
            true => Cow::Owned(Connection { client_cert: None, client_key: None, unix_socket: None, ..given.clone() }),
            false => Cow::Borrowed(given),
        }
    }

    /// Drops every header that could carry a credential, before the request goes to somebody else.
    fn hold_back(&mut self, notes: &mut Vec<String>) {
        let harmless = |name: &HeaderName| {
            *name == USER_AGENT
                || *name == CONTENT_TYPE
                || *name == CONTENT_LENGTH
                || name.as_str().starts_with("accept")
        };
        let mut dropped: Vec<HeaderName> = self.headers.keys().filter(|name| !harmless(name)).cloned().collect();
        dropped.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        for name in &dropped {
            self.headers.remove(name);
        }
        if !dropped.is_empty() {
            let names: Vec<_> = dropped.iter().map(HeaderName::as_str).collect();
            notes.push(format!("redirected to {}, without the headers {}", origin(&self.url), names.join(", ")));
        }
    }

    /// Tells whether TLS is spoken.
    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Tells whether sending it twice does no harm.
    pub(super) fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Returns host and port for messages.
    pub(super) fn peer(&self) -> String {
        origin(&self.url)
    }

    /// Returns the URL for messages.
    pub(super) fn shown(&self) -> String {
        shown(&self.url)
    }
}

/// Shows a URL without the credentials that it may carry.
pub fn shown(url: &Url) -> String {
    if url.username().is_empty() && url.password().is_none() {
        return url.as_str().to_owned();
    }
    let mut bare = url.clone();
    take_credentials(&mut bare);
    bare.into()
}

/// Returns host and port of a URL: `localhost:8080`.
pub fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Reads a URL that can be asked.
fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("this is not a URL: {e}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("a URL begins with http:// or https://, not {other}:")),
    }
}

/// Takes `user:password@` out of a URL and returns it as a header.
fn take_credentials(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pair = format!("{}:{}", plain(url.username()), plain(url.password().unwrap_or_default()));
    // Both only fail for URLs without a host, and an http URL has one.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hop(method: &str, url: &str, headers: &[(&str, &str)]) -> Hop {
        let request = Request {
            method: method.into(),
            url: url.into(),
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: Bytes::from_static(b"x"),
            timeout: Duration::from_secs(1),
            max_body: 1,
            max_redirects: 5,
            connection: Connection::default(),
            timed: false,
        };
        Hop::first(&request).expect("a good request")
    }

    fn next(hop: &Hop, status: u16, location: &str) -> Result<Option<Hop>, HttpError> {
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(location).expect("valid"))]);
        hop.next(status, &headers, &mut Vec::new())
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let secret = [("X-Api-Key", "k"), ("Cookie", "c"), ("Authorization", "a"), ("Accept", "text/plain")];
        let mut first = hop("GET", "http://a.test/x", &secret);
        first.body = Bytes::new();
        for elsewhere in ["http://b.test/", "http://a.test:81/", "https://a.test/"] {
            let gone = next(&first, 302, elsewhere).expect("allowed").expect("a redirect");
            let mut names: Vec<_> = gone.headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["accept", "accept-encoding", "user-agent"], "{elsewhere}");
            let given = Connection { client_cert: Some("me.pem".into()), ..Connection::default() };
            assert_eq!(
                (first.connection(&given).client_cert.is_some(), gone.connection(&given).client_cert.is_some()),
                (true, false)
            );
            let back = next(&gone, 302, "http://a.test/x").ok().flatten();
            assert!(back.is_none_or(|h| !h.headers.contains_key("x-api-key")), "dropped for good");
        }
        let same = next(&first, 302, "/y").expect("allowed").expect("a redirect");
        assert!(same.headers.contains_key("x-api-key"));
    }

    #[test]
    fn a_post_becomes_a_get_only_where_the_status_says_so() {
        let post = hop("POST", "http://a.test/x", &[("Content-Type", "text/plain")]);
        for (status, method, length) in
            [(301, "GET", 0), (302, "GET", 0), (303, "GET", 0), (307, "POST", 1), (308, "POST", 1)]
        {
            let next = next(&post, status, "/y").expect("allowed").expect("a redirect");
            assert_eq!((next.method.as_str(), next.body.len()), (method, length), "{status}");
        }
        assert!(next(&post, 200, "/y").expect("no redirect").is_none());
    }

    #[test]
    fn a_body_never_goes_to_another_host() {
        let post = hop("POST", "http://a.test/x", &[("Content-Type", "text/plain")]);
        for status in [307, 308] {
            let error = next(&post, status, "http://b.test/y").err().expect("refused");
            assert_eq!(error.kind, Fault::Redirect);
            assert!(error.message.contains("to b.test:80: a redirect would send the body"), "{}", error.message);
        }
        let gone = next(&post, 303, "http://b.test/y").expect("allowed").expect("a redirect");
        assert!(gone.body.is_empty());
    }

    #[test]
    fn no_redirect_leads_out_of_https_or_http() {
        let first = hop("GET", "https://a.test/x", &[]);
        for bad in ["http://a.test/", "file:///etc/passwd", "ftp://a.test/", "http://["] {
            assert_eq!(next(&first, 302, bad).err().map(|e| e.kind), Some(Fault::Redirect), "{bad}");
        }
    }

    #[test]
    fn credentials_in_a_url_become_a_header_and_are_never_shown() {
        let first = hop("GET", "http://me:s%40cret@a.test/x#part", &[]);
        assert_eq!(first.shown(), "http://a.test/x");
        assert_eq!(first.headers.get("authorization").map(HeaderValue::as_bytes), Some(&b"Basic bWU6c0BjcmV0"[..]));
    }
}
