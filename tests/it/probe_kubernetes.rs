//! `kubernetes`: against a double of the API server that speaks the documented API, over HTTP and over TLS.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use holdpoint::model::{Found, Observation, Value};
use holdpoint::probe;
use serde_json::json;

use crate::support::cluster::{Cluster, Front, Holds, deployment, namespace, pod};
use crate::support::env::TestEnv;
use crate::support::probing::{Probing, cause, declare, get, number, text};
use crate::support::rogue::{Rogue, stall, write};

fn web() -> Holds {
    let mut objects = vec![namespace(), deployment("web")];
    objects
        .extend((0..3).map(|n| pod(&format!("web-7c5d79b5bb-4x{n}zk"), json!({ "app": "web", "version": "1.2.3" }))));
    Holds { objects, ..Holds::default() }
}

async fn look(cluster: &Cluster, wants: &[&str], yaml: &str) -> Observation {
    Probing::new().sources(&cluster.source()).look("kubernetes", wants, yaml).await
}

fn tally(observation: &Observation, name: &str) -> (u64, u64) {
    match get(observation, name) {
        Value::Tally(tally) => (tally.count, tally.of),
        other => panic!("{name}: {other:?}"),
    }
}

fn retries(observation: &Observation) -> bool {
    matches!(observation.found, Found::CouldNotLook { retry: true, .. })
}

#[tokio::test]
async fn pods_are_counted_and_measured_together() {
    let mut holds = web();
    holds.objects[2]["status"]["conditions"][0]["status"] = json!("False");
    holds.objects[3]["status"]["containerStatuses"][0]["restartCount"] = json!(4);
    holds.objects[3]["status"]["containerStatuses"][0]["state"] =
        json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    let mut leaving = pod("web-old", json!({ "app": "web" }));
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    holds.objects.push(leaving);
    let cluster = Cluster::start(holds);
    let seen = look(&cluster, &["labels[version]", "labels[tier]"], "{ pods: app=web }").await;
    assert_eq!((tally(&seen, "ready"), number(&seen, "count")), ((2, 3), 3.0));
    assert_eq!((number(&seen, "restarts"), number(&seen, "restarts.total")), (4.0, 4.0));
    assert_eq!(tally(&seen, "crash_looping"), (1, 3));
    assert_eq!(get(&seen, "phases"), &Value::Set(vec!["Running".into()]));
    assert_eq!(get(&seen, "images"), &Value::Set(vec!["shop/web:1.2.3".into()]));
    assert_eq!(get(&seen, "labels[version]"), &Value::Set(vec!["1.2.3".into()]));
    assert!(matches!(get(&seen, "labels[tier]"), Value::Missing(why) if why.contains("no label tier")));
    assert_eq!((tally(&seen, "probes.readiness"), tally(&seen, "probes.startup")), ((3, 3), (0, 3)));
    let notes: Vec<_> = seen.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(notes.iter().any(|note| note.contains("CrashLoopBackOff")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("being deleted")), "{notes:?}");
    assert!(seen.evidence[0].text.contains("web-old"), "{:?}", seen.evidence);
    assert!(seen.through.as_deref().is_some_and(|t| t.starts_with("kubernetes at http://127.0.0.1")), "{seen:?}");
}

#[tokio::test]
async fn lists_are_read_to_their_end_page_by_page() {
    let mut holds = web();
    holds.objects.extend((0..700).map(|n| pod(&format!("many-{n}"), json!({ "app": "many" }))));
    let cluster = Cluster::start(holds);
    let seen = look(&cluster, &[], "{ pods: app=many }").await;
    assert_eq!((number(&seen, "count"), tally(&seen, "ready")), (700.0, (700, 700)));
    let asked = cluster.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked.iter().all(|one| one.path.contains("limit=250") && one.path.contains("labelSelector=app%3Dmany")));
    assert!(asked[2].path.contains("continue=500"), "{}", asked[2].path);
}

#[tokio::test]
async fn a_list_that_is_forgotten_meanwhile_is_begun_anew() {
    let many = |forgets| {
        let mut holds = Holds { forgets, ..web() };
        holds.objects.extend((0..600).map(|n| pod(&format!("many-{n}"), json!({ "app": "many" }))));
        Cluster::start(holds)
    };
    let once = look(&many(1), &[], "{ pods: app=many }").await;
    assert_eq!(number(&once, "count"), 600.0);
    let always = look(&many(100), &[], "{ pods: app=many }").await;
    assert!(cause(&always).contains("410") && retries(&always), "{}", cause(&always));
}

#[tokio::test]
async fn no_pods_are_no_pass_and_no_namespace_is_an_error() {
    let cluster = Cluster::start(web());
    let none = look(&cluster, &["labels[app]"], "{ pods: app=wbe }").await;
    assert_eq!(number(&none, "count"), 0.0);
    for name in ["ready", "crash_looping", "restarts", "phases", "images", "labels[app]", "probes.liveness"] {
        let Value::NoData(why) = get(&none, name) else { panic!("{name}: {:?}", get(&none, name)) };
        assert_eq!(why, "there is no pod app=wbe in the namespace shop");
    }
    for form in ["pods: app=web", "deployment: web", "events: \"*\"", "object: secret/web"] {
        let lost = look(&cluster, &[], &format!("{{ {form}, namespace: shpo }}")).await;
        assert_eq!(cause(&lost), "there is no namespace shpo", "{form}");
        assert!(!retries(&lost));
    }
    let blind = Cluster::start(Holds { denied: vec![("get", "namespaces")], ..web() });
    let none = look(&blind, &[], "{ pods: app=wbe }").await;
    assert_eq!(number(&none, "count"), 0.0);
    assert!(none.notes.iter().any(|note| note.text.contains("is not known")), "{:?}", none.notes);
}

#[tokio::test]
async fn a_workload_is_measured_and_one_that_is_not_there_is_missing() {
    let cluster = Cluster::start(web());
    let wants = ["labels[version]", "conditions[Available]", "json[$.spec.replicas]"];
    let there = look(&cluster, &wants, "{ deployment: web }").await;
    assert_eq!(
        (tally(&there, "updated"), tally(&there, "available"), tally(&there, "ready")),
        ((3, 3), (3, 3), (3, 3))
    );
    assert_eq!((text(&there, "image"), number(&there, "desired")), ("shop/web:1.2.3", 3.0));
    for name in ["exists", "rolled_out", "generation_observed", "conditions[Available]"] {
        assert_eq!(get(&there, name), &Value::Bool(true), "{name}");
    }
    assert_eq!(get(&there, "json[$.spec.replicas]"), &Value::Json(json!(3)));
    assert_eq!(get(&there, "labels[version]"), &Value::Set(vec!["1.2.3".into()]));
    let lost = look(&cluster, &wants, "{ deployment: wbe }").await;
    assert_eq!(get(&lost, "exists"), &Value::Bool(false));
    for name in ["updated", "rolled_out", "image", "labels[version]", "json[$.spec.replicas]"] {
        assert!(
            matches!(get(&lost, name), Value::Missing(why) if why == "there is no deployment wbe in the namespace shop")
        );
    }
    let pods = look(&cluster, &[], "{ pods: deployment/web }").await;
    assert_eq!(number(&pods, "count"), 3.0);
    let lost = look(&cluster, &[], "{ pods: deployment/wbe }").await;
    assert!(matches!(get(&lost, "count"), Value::Missing(_)));
    let one = look(&cluster, &[], "{ pods: pod/web-7c5d79b5bb-4x1zk }").await;
    assert_eq!(number(&one, "count"), 1.0);
    let every = look(&cluster, &[], "{ pods: \"*\", fields: status.phase=Running }").await;
    assert_eq!(number(&every, "count"), 3.0);
}

#[tokio::test]
async fn any_object_is_found_in_the_clusters_own_index() {
    let mut holds = web();
    let metadata = json!({ "name": "web", "namespace": "shop", "generation": 1 });
    let ready = json!([{ "type": "Ready", "status": "True" }, { "type": "Issuing", "status": "Unknown" }]);
    let status = json!({ "conditions": ready, "observedGeneration": 1 });
    holds.objects.push(json!({ "kind": "Certificate", "metadata": metadata, "status": status }));
    holds.objects.push(json!({ "kind": "Node", "metadata": { "name": "node-1" } }));
    let secret = json!({ "password": "aHVudGVyMg==" });
    holds.objects.push(json!({ "kind": "Secret", "metadata": { "name": "db", "namespace": "shop" }, "data": secret }));
    let cluster = Cluster::start(holds);
    let wants = ["conditions[Ready]", "conditions[Issuing]", "conditions[Lost]"];
    for word in ["certificate/web", "certificates.cert.test/web", "Certificate/web", "cert/web"] {
        let seen = look(&cluster, &wants, &format!("{{ object: {word} }}")).await;
        assert_eq!(get(&seen, "conditions[Ready]"), &Value::Bool(true), "{word}");
        assert!(matches!(get(&seen, "conditions[Issuing]"), Value::NoData(_)));
        assert!(matches!(get(&seen, "conditions[Lost]"), Value::Missing(_)));
    }
    let named = look(&cluster, &[], "{ object: certificate/web, api_version: cert.test/v1 }").await;
    assert_eq!(get(&named, "exists"), &Value::Bool(true));
    let node = look(&cluster, &[], "{ object: node/node-1 }").await;
    assert_eq!(node.request, "GET /api/v1/nodes/node-1");
    let masked = look(&cluster, &["json[$.data.password]"], "{ object: secret/db }").await;
    assert_eq!(get(&masked, "json[$.data.password]"), &Value::Json(json!("***")));
    let odd = look(&cluster, &[], "{ object: gadget/web }").await;
    assert!(cause(&odd).ends_with("has no kind of object called \"gadget\""), "{}", cause(&odd));
    // What was found once is not looked for again.
    let probing = Probing::new().sources(&cluster.source());
    for expected in [true, false] {
        let before = cluster.asked().len();
        probing.look("kubernetes", &[], "{ object: certificate/web }").await;
        let index = cluster.asked()[before..].iter().any(|asked| asked.path == "/apis");
        assert_eq!(index, expected);
    }
}

#[tokio::test]
async fn warnings_of_a_workload_are_those_of_its_pods_too() {
    let mut holds = web();
    let now = chrono::Utc::now();
    let event = |name: &str, kind: &str, reason: &str, minutes: i64| {
        let at = (now - chrono::TimeDelta::minutes(minutes)).to_rfc3339();
        json!({ "kind": "Event", "metadata": { "name": format!("{name}.{reason}"), "namespace": "shop" }, "type": "Warning",
            "reason": reason, "message": "it went wrong", "count": 3, "lastTimestamp": at,
            "involvedObject": { "kind": kind, "name": name, "namespace": "shop" } })
    };
    holds.objects.extend([
        event("web-7c5d79b5bb-4x2zk", "Pod", "BackOff", 5),
        event("web-7c5d79b5bb-4x2zk", "Pod", "Unhealthy", 50),
        event("web", "Deployment", "Quota", 2),
        event("web-admin-7c5d79b5bb-4x2zk", "Pod", "Failed", 2),
    ]);
    holds.objects.push(json!({ "kind": "Event", "type": "Normal", "metadata": { "name": "n", "namespace": "shop" } }));
    let cluster = Cluster::start(holds);
    let of = async |yaml: &str| look(&cluster, &[], yaml).await;
    let own = of("{ events: deployment/web, since: 15m }").await;
    assert_eq!(number(&own, "warnings"), 2.0);
    assert_eq!(get(&own, "reasons"), &Value::Set(vec!["BackOff".into(), "Quota".into()]));
    assert_eq!(get(&own, "messages"), &Value::Set(vec!["it went wrong".into()]));
    assert_eq!(number(&of("{ events: deployment/web }").await, "warnings"), 3.0);
    assert_eq!(number(&of("{ events: \"*\", since: 10m }").await, "warnings"), 3.0);
    let lost = of("{ events: deployment/wbe }").await;
    assert!(matches!(get(&lost, "warnings"), Value::Missing(_)), "of what is not there, no warnings are no good news");
}

#[tokio::test]
async fn a_context_brings_its_cluster_its_user_and_its_namespace() {
    let cluster = Cluster::start(Holds { tokens: vec!["t-ann", "t-file"], ..web() });
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), "t-file").expect("written");
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: ann\nclusters:\n- {{ name: c, cluster: {{ server: \"{}\" }} }}\ncontexts:\n\
         - {{ name: ann, context: {{ cluster: c, user: ann, namespace: shop }} }}\n\
         - {{ name: file, context: {{ cluster: c, user: file, namespace: shop }} }}\n\
         - {{ name: bob, context: {{ cluster: c, user: bob, namespace: shop }} }}\n\
         users:\n- {{ name: ann, user: {{ token: t-ann }} }}\n- {{ name: bob, user: {{ token: t-bob }} }}\n\
         - {{ name: file, user: {{ tokenFile: token }} }}\n",
        cluster.url()
    );
    let file = folder.path().join("config");
    std::fs::write(&file, config).expect("written");
    let file = file.display().to_string();
    let of = async |source: &str| {
        let probing = Probing::new().variable("KUBECONFIG", &file).sources(&format!("kubernetes: {source}"));
        probing.look("kubernetes", &[], "{ pods: app=web }").await
    };
    for good in ["{}", "{ context: file }", &format!("{{ kubeconfig: \"{file}\", context: ann }}")] {
        let seen = of(good).await;
        assert_eq!(number(&seen, "count"), 3.0, "{good}");
        assert!(seen.through.as_deref().is_some_and(|through| through.contains("context ")), "{seen:?}");
    }
    let refused = of("{ context: bob }").await;
    assert!(cause(&refused).contains("401") && !cause(&refused).contains("t-bob"), "{}", cause(&refused));
    let lost = of("{ context: carl }").await;
    assert!(cause(&lost).contains("there is no context \"carl\"") && cause(&lost).contains("ann, file, bob"));
    let elsewhere = of("{ namespace: prod }").await;
    assert_eq!(cause(&elsewhere), "there is no namespace prod");
}

/// A kubeconfig whose user's credentials come from a script.
fn plugin(server: &str, script: &str, more: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("plugin");
    std::fs::write(&program, format!("#!/bin/sh\necho ran >>'{}'\n{script}\n", folder.path().join("runs").display()))
        .expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("made a program");
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- {{ name: c, cluster: {{ {server} }} }}\n\
         contexts:\n- {{ name: c, context: {{ cluster: c, user: u, namespace: shop }} }}\nusers:\n- name: u\n  user:\n    exec:\n\
         \x20     apiVersion: client.authentication.k8s.io/v1\n      command: ./plugin\n      args: [get-token]\n\
         \x20     env: [{{ name: WHO, value: ann }}]\n      interactiveMode: IfAvailable\n{more}"
    );
    let file = folder.path().join("config");
    std::fs::write(&file, config).expect("written");
    (folder, file)
}

fn credential(status: &str) -> String {
    format!(
        "echo '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{{{status}}}}}'"
    )
}

fn runs(folder: &tempfile::TempDir) -> usize {
    std::fs::read_to_string(folder.path().join("runs")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_command_gives_the_credentials_once_and_again_when_they_expire_or_are_refused() {
    let cluster = Cluster::start(Holds { tokens: vec!["t-ann"], ..web() });
    let server = format!("server: \"{}\"", cluster.url());
    let of = |file: &PathBuf| {
        let source = format!("kubernetes: {{ kubeconfig: \"{}\" }}", file.display());
        Probing::new().sources(&source)
    };
    let told = "case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*'\"server\"'*) ;; *) exit 9;; esac\n\
        [ \"$1 $WHO\" = 'get-token ann' ] || exit 8\n";
    let script = format!("{told}{}", credential("\"token\":\"t-ann\""));
    let (folder, file) = plugin(&server, &script, "      provideClusterInfo: true\n");
    let probing = of(&file);
    let probe = probing.compile("kubernetes", &[], "{ pods: app=web }").expect("compiles");
    assert!(probe.runs_commands(), "the kubeconfig may have come with the checklist");
    for _ in 0..3 {
        assert_eq!(number(&probing.observe(&*probe).await, "count"), 3.0);
    }
    assert_eq!(runs(&folder), 1);
    let script = credential("\"token\":\"t-ann\",\"expirationTimestamp\":\"2020-01-01T00:00:00Z\"");
    let (folder, file) = plugin(&server, &script, "");
    let probing = of(&file);
    for _ in 0..2 {
        assert_eq!(number(&probing.look("kubernetes", &[], "{ pods: app=web }").await, "count"), 3.0);
    }
    assert_eq!(runs(&folder), 2, "expired credentials are asked for anew");
    let old = format!(
        "if [ $(wc -l <\"${{0%/*}}/runs\") -gt 1 ]; then {}; else {}; fi",
        credential("\"token\":\"t-ann\""),
        credential("\"token\":\"t-old\"")
    );
    let (folder, file) = plugin(&server, &old, "");
    assert_eq!(number(&of(&file).look("kubernetes", &[], "{ pods: app=web }").await, "count"), 3.0);
    assert_eq!(runs(&folder), 2, "refused credentials are asked for once more");
    let never = credential("\"token\":\"t-old\"");
    let (folder, file) = plugin(&server, &never, "");
    let refused = of(&file).look("kubernetes", &[], "{ pods: app=web }").await;
    assert!(cause(&refused).contains("401") && runs(&folder) == 2, "{}", cause(&refused));
}

#[tokio::test]
async fn a_command_that_gives_no_credentials_is_an_error_that_repeats_no_secret() {
    let cluster = Cluster::start(web());
    let server = format!("server: \"{}\"", cluster.url());
    for (script, more, why) in [
        ("echo 's3cret'; echo 'log in first' >&2; exit 3", "", "ended with exit code 3: log in first"),
        ("echo 's3cret'", "", "did not print JSON"),
        ("exit 0", "      interactiveMode: Always\n", "asks a person"),
        ("kill -9 $$", "", "was ended by SIGKILL"),
    ] {
        let (_folder, file) = plugin(&server, script, "");
        if !more.is_empty() {
            let text = std::fs::read_to_string(&file).expect("read").replace("IfAvailable", "Always");
            std::fs::write(&file, text).expect("written");
        }
        let source = format!("kubernetes: {{ kubeconfig: \"{}\" }}", file.display());
        let seen = Probing::new().sources(&source).look("kubernetes", &[], "{ pods: app=web }").await;
        assert!(cause(&seen).contains(why) && !cause(&seen).contains("s3cret"), "{}", cause(&seen));
    }
    let (_folder, file) = plugin(&server, "sleep 60", "");
    let source = format!("kubernetes: {{ kubeconfig: \"{}\" }}", file.display());
    let begun = Instant::now();
    let probing = Probing::new().timeout(Duration::from_secs(1)).sources(&source);
    let seen = probing.look("kubernetes", &[], "{ pods: app=web }").await;
    assert!(cause(&seen).contains("did not end within") && retries(&seen), "{}", cause(&seen));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn over_tls_the_authority_is_checked_and_a_certificate_shown() {
    let cluster = Cluster::start(web());
    let front = Front::start(cluster.address(), true);
    let encoded = |name: &str| base64::engine::general_purpose::STANDARD.encode(front.read(name));
    let port = front.address.port();
    let ca = format!("certificate-authority-data: {}", encoded("ca.pem"));
    let folder = tempfile::tempdir().expect("a folder");
    let of = async |cluster: &str, user: &str| {
        let config = format!(
            "current-context: c\nclusters:\n- {{ name: c, cluster: {{ {cluster} }} }}\n\
             contexts:\n- {{ name: c, context: {{ cluster: c, user: u, namespace: shop }} }}\n\
             users:\n- {{ name: u, user: {{ {user} }} }}\n"
        );
        let file = folder.path().join("config");
        std::fs::write(&file, config).expect("written");
        let source = format!("kubernetes: {{ kubeconfig: \"{}\" }}", file.display());
        Probing::new().sources(&source).look("kubernetes", &[], "{ pods: app=web }").await
    };
    let (crt, key) = (front.file("client.crt"), front.file("client.key"));
    let files = format!("client-certificate: {}, client-key: {}", crt.display(), key.display());
    let data =
        format!("client-certificate-data: {}, client-key-data: {}", encoded("client.crt"), encoded("client.key"));
    let here = format!("server: \"https://127.0.0.1:{port}\"");
    for (place, user) in [
        (format!("{here}, {ca}"), &files),
        (format!("{here}, {ca}"), &data),
        (format!("{here}, certificate-authority: {}", front.file("ca.pem").display()), &data),
        (format!("{here}, {ca}, tls-server-name: kubernetes.test"), &data),
        (format!("{here}, insecure-skip-tls-verify: true"), &data),
    ] {
        let seen = of(&place, user).await;
        assert_eq!(number(&seen, "count"), 3.0, "{place}");
        let marked = seen.through.as_deref().is_some_and(|through| through.contains("not checked"));
        assert_eq!(marked, place.contains("insecure"), "{:?}", seen.through);
    }
    let anonymous = of(&format!("{here}, {ca}"), "token: t").await;
    assert!(cause(&anonymous).contains("client certificate"), "{}", cause(&anonymous));
    let stranger = of(&here, &data).await;
    assert!(
        cause(&stranger).contains("not trusted") || cause(&stranger).contains("certificate"),
        "{}",
        cause(&stranger)
    );
    let other = of(&format!("{here}, {ca}, tls-server-name: other.test"), &data).await;
    assert!(cause(&other).contains("other.test"), "{}", cause(&other));
    let status = format!(
        "\"clientCertificateData\":\"{}\",\"clientKeyData\":\"{}\"",
        front.read("client.crt"),
        front.read("client.key")
    );
    let script = credential(&status.replace('\n', "\\n"));
    let (_folder, file) = plugin(&format!("{here}, {ca}"), &script.replacen("echo", "printf '%s\\n'", 1), "");
    let source = format!("kubernetes: {{ kubeconfig: \"{}\" }}", file.display());
    let seen = Probing::new().sources(&source).look("kubernetes", &[], "{ pods: app=web }").await;
    assert_eq!(number(&seen, "count"), 3.0, "certificates of a command");
    let tls = format!(
        "tls: {{ ca: \"{}\", cert: \"{}\" }}",
        front.file("ca.pem").display(),
        front.file("client.pem").display()
    );
    let source = format!("kubernetes: {{ url: \"https://127.0.0.1:{port}\", namespace: shop, {tls} }}");
    let seen = Probing::new().sources(&source).look("kubernetes", &[], "{ pods: app=web }").await;
    assert_eq!(number(&seen, "count"), 3.0, "certificates of a plain source");
}

#[tokio::test]
async fn inside_of_a_cluster_the_account_of_the_pod_is_used() {
    let cluster = Cluster::start(Holds { tokens: vec!["t-pod"], ..web() });
    let front = Front::start(cluster.address(), false);
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    put("token", "t-pod");
    put("ca.crt", &front.read("ca.pem"));
    put("namespace", "shop");
    let source = format!("kubernetes: {{ in_cluster: true, service_account: \"{}\" }}", folder.path().display());
    let outside = Probing::new().sources(&source).look("kubernetes", &[], "{ pods: app=web }").await;
    assert!(cause(&outside).contains("does not run in a cluster"), "{}", cause(&outside));
    let inside = Probing::new()
        .variable("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .variable("KUBERNETES_SERVICE_PORT", &front.address.port().to_string())
        .sources(&source);
    let seen = inside.look("kubernetes", &[], "{ pods: app=web }").await;
    assert_eq!((number(&seen, "count"), tally(&seen, "ready")), (3.0, (3, 3)));
}

#[tokio::test]
async fn what_is_denied_is_named_with_verb_resource_and_namespace() {
    let denied = |what| Cluster::start(Holds { denied: vec![what], ..web() });
    for (what, yaml, words) in [
        (("list", "pods"), "{ pods: app=web }", "to list pods in the namespace shop is missing"),
        (("get", "deployments"), "{ deployment: web }", "to get deployments.apps in the namespace shop is missing"),
        (
            ("get", "deployments"),
            "{ pods: deployment/web }",
            "to get deployments.apps in the namespace shop is missing",
        ),
        (("list", "events"), "{ events: \"*\" }", "to list events in the namespace shop is missing"),
        (("get", "nodes"), "{ object: node/a }", "to get nodes is missing"),
    ] {
        let seen = look(&denied(what), &[], yaml).await;
        let said = cause(&seen);
        assert!(said.contains(words) && said.contains("403") && said.contains("User \"ann\""), "{said}");
        assert!(!retries(&seen), "no attempt will mend it");
    }
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_asked_again_after_that() {
    let cluster = Cluster::start(Holds { busy: 1, ..web() });
    let begun = Instant::now();
    assert_eq!(number(&look(&cluster, &[], "{ pods: app=web }").await, "count"), 3.0);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let always = Cluster::start(Holds { busy: 1000, ..web() });
    let probing = Probing::new().timeout(Duration::from_millis(1500)).sources(&always.source());
    let seen = probing.look("kubernetes", &[], "{ pods: app=web }").await;
    assert!(cause(&seen).contains("429 (retry after 1)") && retries(&seen), "{}", cause(&seen));
}

#[tokio::test]
async fn what_is_no_answer_of_the_api_is_told_apart() {
    let answer = |status: u16, kind: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} A\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    };
    let json = "application/json";
    for (bytes, words, retry) in [
        (answer(200, "text/html", "<html>"), "answered with HTML", false),
        (answer(200, json, "{\"items\": [}"), "cannot be understood", false),
        (answer(200, json, "{\"items\": ["), "breaks off after 11 bytes", true),
        (answer(200, json, "{}"), "what is not a list", false),
        (answer(200, json, "{\"kind\":\"Status\",\"items\":[]}"), "what is not a list", false),
        (answer(200, json, "{\"kind\":\"PodList\",\"items\":[{}]}"), "an object that has no name", false),
        (answer(404, "text/plain", "404 page not found"), "is this the address of its API?", false),
        (
            answer(302, "text/plain", "").replace("connection", "location: /login\r\nconnection"),
            "redirects to /login",
            false,
        ),
        (answer(503, "text/plain", "busy"), "answered 503", true),
        (answer(400, json, "{\"kind\":\"Status\",\"message\":\"unable to parse\"}"), "unable to parse", false),
        ("HTTP/1.1 200 A\r\ncontent-length: 100\r\n\r\n{\"items\"".into(), "broke off", true),
        ("nonsense\r\n\r\n".into(), "did not answer in HTTP", true),
    ] {
        let rogue = Rogue::answering(bytes.clone());
        let source = format!("kubernetes: {{ url: \"{}\", namespace: shop }}", rogue.url(""));
        let seen = Probing::new().sources(&source).look("kubernetes", &[], "{ pods: app=web }").await;
        assert!(cause(&seen).contains(words), "{bytes}\n{}", cause(&seen));
        assert_eq!(retries(&seen), retry, "{bytes}\n{}", cause(&seen));
    }
    let endless = "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"x\"},\"items\":[]}";
    let rogue = Rogue::answering(answer(200, json, endless));
    let source = format!("kubernetes: {{ url: \"{}\", namespace: shop }}", rogue.url(""));
    let seen = Probing::new().sources(&source).look("kubernetes", &[], "{ pods: app=web }").await;
    assert!(cause(&seen).contains("does not end"), "{}", cause(&seen));
}

#[tokio::test]
async fn a_cluster_that_is_down_or_slow_is_an_error_in_time() {
    let gone = Rogue::answering("");
    let url = gone.url("");
    drop(gone);
    let source = format!("kubernetes: {{ url: \"{url}\", namespace: shop }}");
    let down = Probing::new().sources(&source).look("kubernetes", &[], "{ deployment: web }").await;
    assert!(cause(&down).contains("does not answer") && retries(&down), "{}", cause(&down));
    for slow in [
        Rogue::start(|_, stream| stall(stream)),
        Rogue::start(|_, stream| {
            write(stream, b"HTTP/1.1 200 A\r\ncontent-length: 100\r\n\r\n{");
            stall(stream);
        }),
    ] {
        let source = format!("kubernetes: {{ url: \"{}\", namespace: shop }}", slow.url(""));
        let begun = Instant::now();
        let probing = Probing::new().timeout(Duration::from_millis(700)).sources(&source);
        let seen = probing.look("kubernetes", &[], "{ deployment: web }").await;
        assert!(cause(&seen).contains("no whole answer from") && retries(&seen), "{}", cause(&seen));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn answers_are_bounded() {
    let rogue = Rogue::start(|_, stream| {
        write(stream, b"HTTP/1.1 200 A\r\ncontent-type: application/json\r\n\r\n");
        let piece = vec![b'['; 1 << 20];
        (0..80).for_each(|_| write(stream, &piece));
    });
    let source = format!("kubernetes: {{ url: \"{}\", namespace: shop }}", rogue.url(""));
    let seen = Probing::new().sources(&source).look("kubernetes", &[], "{ deployment: web }").await;
    assert!(cause(&seen).contains("larger than 64 MiB"), "{}", cause(&seen));
}

#[tokio::test]
async fn several_pages_and_repeated_looks_use_one_connection_to_the_cluster() {
    let cluster = Cluster::start(Holds { tokens: vec!["t"], ..web() });
    let source = format!("kubernetes: {{ url: \"{}\", bearer: t, namespace: shop }}", cluster.url());
    let probing = Probing::new().sources(&source);
    for _ in 0..2 {
        assert_eq!(number(&probing.look("kubernetes", &[], "{ pods: app=web }").await, "count"), 3.0);
    }
    let agents: Vec<_> = cluster.asked().iter().map(|asked| asked.header("user-agent").map(str::to_owned)).collect();
    assert!(
        agents.iter().all(|agent| agent.as_deref().is_some_and(|agent| agent.starts_with("holdpoint/"))),
        "{agents:?}"
    );
}

#[test]
fn mistakes_are_said_with_their_codes() {
    let probing = Probing::new().sources("kubernetes: http://localhost:1");
    for (yaml, wants, code) in [
        ("{ pods: 'app==' }", "count", ""),
        ("{ pods: 'app=a b' }", "count", "bad-value"),
        ("{ pods: '' }", "count", "bad-value"),
        ("{ deployment: deployment/web }", "exists", "bad-value"),
        ("{ object: web }", "exists", "bad-value"),
        ("{ events: web }", "warnings", "bad-value"),
        ("{ namespace: shop }", "count", "missing-key"),
        ("{ pods: app=web, deployment: web }", "count", "bad-value"),
        ("{ pods: app=web, since: 5m }", "count", "unused-key"),
        ("{ deployment: web, api_version: v1 }", "exists", "unused-key"),
        ("{ events: '*', since: soon }", "warnings", "bad-duration"),
        ("{ pods: app=web }", "updated", "expect-unknown-measure"),
        ("{ job: migrate }", "rolled_out", "expect-unknown-measure"),
        ("{ deployment: web, source: eu }", "exists", "unknown-source"),
        ("{ deploymnt: web }", "exists", "unknown-key"),
        ("deployment/web", "exists", "wrong-type"),
    ] {
        let said = probing.compile("kubernetes", &[wants], yaml).err().unwrap_or_default();
        let codes: Vec<_> = said.iter().map(|said| said.split(':').next().unwrap_or_default()).collect();
        assert_eq!(codes.join(" "), code, "{yaml}: {said:?}");
    }
    // What the step names is meant, and must be a cluster.
    let two = "kubernetes: http://localhost:1\nprometheus: http://localhost:2\n";
    let of =
        |name: &str| Probing::new().sources(two).source(name).compile("kubernetes", &["count"], "{ pods: app=web }");
    assert!(of("kubernetes").is_ok());
    for name in ["prometheus", "eu"] {
        assert!(of(name).err().is_some_and(|said| said[0].starts_with("unknown-source")), "{name}");
    }
    let none = Probing::new().compile("kubernetes", &["count"], "{ pods: app=web }").err().expect("no cluster");
    assert!(none[0].starts_with("no-source"), "{none:?}");
    let (_, said) = declare("kubernetes: { context: c, url: \"http://k\" }", &holdpoint::template::Scope::default());
    assert!(said[0].starts_with("bad-value"), "{said:?}");
}

#[test]
fn the_examples_of_the_manual_pages_are_valid() {
    let env = TestEnv::new();
    let page = |name: &str| probe::find(name).expect("a kind").manual;
    let examples =
        |page: &'static str| page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(""));
    let whole = examples(page("kubernetes")).map(|example| format!("holdpoint: 1\nname: Example\n{example}"));
    let steps = examples(page("log")).filter(|example| example.contains("kubernetes:")).map(|example| {
        let steps: String = example.lines().map(|line| format!("      {line}\n")).collect();
        format!(
            "holdpoint: 1\nname: Example\nsources: {{ kubernetes: {{}} }}\nsections:\n  - name: A\n    steps:\n{steps}"
        )
    });
    let all: Vec<_> = whole.chain(steps).collect();
    assert_eq!(all.len(), 3, "{all:?}");
    for text in all {
        env.write("checklist.yaml", &text);
        let ran = env.run(&["check", "checklist.yaml"]);
        assert_eq!(ran.status, 0, "{text}\n{}", ran.stderr);
    }
}
