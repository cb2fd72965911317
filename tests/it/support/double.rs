//! A double of a back end that cannot run here: answers what a file says, as the documentation of its API shapes it.
//!
//! The file is a list, one entry an answer:
//!
//! ```yaml
//! - ask: GET /api/dashboards/uid/orders        # method and path; with a query, only requests that have these pairs
//!   body: { dashboard: { title: Orders } }     # JSON; `text:` for anything else, `file:` for a file beside
//! - { ask: GET /api/health, status: 503, headers: { retry-after: "1" }, text: busy, type: text/plain }
//! - { ask: GET /api/slow, after: 5s }          # answers late
//! - { ask: GET /api/cut, body: { a: 1 }, cut: 4 }   # breaks off after so many bytes
//! ```
//!
//! Of several entries for one request each is used once, in order, and the last one from then on. What is not there is
//! answered with 404.

use std::collections::HashMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use holdpoint::diag::{Diagnostics, SourceMap};
use holdpoint::model::quantity;
use holdpoint::yaml;
use serde_json::Value;

use super::rogue::{Asked, Rogue, write};

/// Starts a double that answers what a file says.
pub(crate) fn start(file: &Path) -> Rogue {
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    answering(&text, &folder)
}

/// Starts a double that answers what a text says; the files that it names stand in `folder`.
pub(crate) fn answering(text: &str, folder: &Path) -> Rogue {
    let answers = Answers { all: read(text), folder: folder.to_owned(), used: Mutex::default() };
    Rogue::start(move |asked, stream| answers.answer(asked, stream))
}

struct Answers {
    all: Vec<Value>,
    folder: PathBuf,
    used: Mutex<HashMap<String, usize>>,
}

fn read(text: &str) -> Vec<Value> {
    let (mut map, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
    let file = map.add("answers.yaml", text);
    let node = yaml::parse(&mut map, file, &mut diagnostics).expect("valid YAML");
    assert!(!diagnostics.has_errors(), "{:?}", diagnostics.iter().map(|d| &d.message).collect::<Vec<_>>());
    node.json().as_array().expect("a list of answers").clone()
}

impl Answers {
    fn answer(&self, asked: &Asked, stream: &mut TcpStream) {
        let fitting: Vec<&Value> = self.all.iter().filter(|answer| fits(answer, asked)).collect();
        // Of those that fit, the ones written like the first: a query that is named goes before the bare path.
        let Some(most) = fitting.iter().map(|answer| ask(answer).len()).max() else {
            return write(stream, &response(404, "application/json", &[], br#"{"message":"not found"}"#, None));
        };
        let fitting: Vec<&Value> = fitting.into_iter().filter(|answer| ask(answer).len() == most).collect();
        let answer = {
            let mut used = self.used.lock().expect("no script panics");
            let used = used.entry(ask(fitting[0]).to_owned()).or_default();
            let answer = fitting[(*used).min(fitting.len() - 1)];
            *used += 1;
            answer
        };
        if let Some(after) = answer["after"].as_str() {
            std::thread::sleep(quantity::duration(after).unwrap_or(Duration::ZERO));
        }
        let (body, kind) = self.body(answer);
        let kind = answer["type"].as_str().unwrap_or(kind);
        let headers = answer["headers"].as_object().cloned().unwrap_or_default();
        let headers: Vec<(String, String)> = headers.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        let status = answer["status"].as_u64().unwrap_or(200);
        let cut = answer["cut"].as_u64().and_then(|cut| usize::try_from(cut).ok());
        write(stream, &response(status, kind, &headers, &body, cut));
    }

    fn body(&self, answer: &Value) -> (Vec<u8>, &'static str) {
        if let Some(file) = answer["file"].as_str() {
            let path = self.folder.join(file);
            let kind = if file.ends_with(".json") { "application/json" } else { "text/plain" };
            return (std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())), kind);
        }
        match (&answer["text"], &answer["body"]) {
            (Value::Null, Value::Null) => (b"{}".to_vec(), "application/json"),
            (Value::Null, body) => (body.to_string().into_bytes(), "application/json"),
            (text, _) => (plain(text).into_bytes(), "text/plain"),
        }
    }
}

fn ask(answer: &Value) -> &str {
    answer["ask"].as_str().expect("an answer says what is asked")
}

fn fits(answer: &Value, asked: &Asked) -> bool {
    let Some((method, target)) = ask(answer).split_once(' ') else { return false };
    let (path, wanted) = target.split_once('?').unwrap_or((target, ""));
    let (asked_path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    method == asked.method
        && path == asked_path
        && url::form_urlencoded::parse(wanted.as_bytes()).all(|pair| pairs.contains(&pair))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn response(status: u64, kind: &str, headers: &[(String, String)], body: &[u8], cut: Option<usize>) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(&body[..cut.unwrap_or(body.len()).min(body.len())]);
    bytes
}
