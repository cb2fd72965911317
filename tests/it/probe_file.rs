//! The probe `file` against real files.

use std::os::unix::fs::PermissionsExt;

use holdpoint::model::{Observation, Value};
use serde_json::json;

use crate::support::probing::{Probing, get, number, text};

async fn look(wants: &[&str], value: serde_json::Value) -> Observation {
    Probing::new().look("file", wants, &value.to_string()).await
}

#[tokio::test]
async fn a_file_is_measured_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("values.yaml");
    std::fs::write(&path, "image: { tag: 1.2.3 }\nports: [80, 443]\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("changed");
    let wants = ["text", "json[$.image.tag]", "json[$.ports[*]]", "json[$.nope]", "sha256"];
    let seen = look(&wants, json!(path)).await;
    assert_eq!(get(&seen, "exists"), &Value::Bool(true));
    assert_eq!(get(&seen, "json[$.image.tag]"), &Value::Json(json!("1.2.3")));
    assert_eq!(get(&seen, "json[$.ports[*]]"), &Value::Json(json!([80, 443])));
    assert!(matches!(get(&seen, "json[$.nope]"), Value::Missing(_)));
    assert_eq!(number(&seen, "size"), 39.0);
    assert_eq!(text(&seen, "mode"), "0640");
    assert!((-1.0..60.0).contains(&number(&seen, "age")), "{seen:?}");
    let sum = std::process::Command::new("sha256sum").arg(&path).output().expect("installed");
    assert!(String::from_utf8_lossy(&sum.stdout).starts_with(text(&seen, "sha256")));
}

#[tokio::test]
async fn a_missing_file_is_measured_as_missing() {
    let seen = look(&["text", "json[$.a]"], json!("/nonexistent/file.json")).await;
    assert_eq!(get(&seen, "exists"), &Value::Bool(false));
    assert_eq!(number(&seen, "count"), 0.0);
    for name in ["text", "size", "age", "mode"] {
        assert!(matches!(get(&seen, name), Value::Missing(_)), "{name}: {seen:?}");
    }
    // No field is absent from a file that is not there.
    assert!(matches!(get(&seen, "json[$.a]"), Value::NoData(_)), "{seen:?}");
}

#[tokio::test]
async fn a_glob_is_counted_and_needs_one_file_for_its_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a.txt"), "alone").expect("written");
    assert_eq!(text(&look(&["text"], json!(at("*.txt"))).await, "text"), "alone");
    std::fs::write(at("b.txt"), "").expect("written");
    let seen = look(&["text"], json!({ "path": at("*.txt") })).await;
    assert_eq!(number(&seen, "count"), 2.0);
    assert!(matches!(get(&seen, "text"), Value::NoData(why) if why.contains("2 files")), "{seen:?}");
    assert_eq!(get(&look(&[], json!(at("*.nope"))).await, "exists"), &Value::Bool(false));
}

#[tokio::test]
async fn content_that_is_too_large_or_not_valid_gives_no_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.json");
    std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).expect("written");
    assert!(matches!(get(&look(&["text"], json!(path)).await, "text"), Value::NoData(_)));
    std::fs::write(&path, "{").expect("written");
    let seen = look(&["json[$.a]"], json!(path)).await;
    assert!(matches!(get(&seen, "json[$.a]"), Value::NoData(why) if why.contains("not valid JSON")), "{seen:?}");
}
