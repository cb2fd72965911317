//! The shipped checklists, run against a service behind nginx and the Prometheus that scrapes it: nothing is red when
//! all is well, and what is broken is red and says why.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use holdpoint::demo::Flaws;

use crate::support::env::{Ran, TestEnv, steps};
use crate::support::nginx::Nginx;
use crate::support::prometheus::Prometheus;
use crate::support::world::World;

/// A service behind nginx, scraped by Prometheus for as long as the longest range that is asked about.
struct Site {
    world: World,
    prometheus: Prometheus,
    proxy: Nginx,
}

/// The rules that are loaded: one alert that does not fire.
const RULES: &str = "groups:\n- name: service\n  rules:\n  - { alert: ServiceDown, expr: 'up == 0', for: 5m }\n";

/// One run of a shipped checklist.
struct Run {
    env: TestEnv,
    ran: Ran,
    steps: BTreeMap<String, (String, String)>,
}

impl Site {
    fn start(flaws: Flaws) -> Self {
        let world = World::start("service");
        world.service().set_flaws(flaws);
        let service = world.service().base_url();
        let proxy = Nginx::start(&format!("location / {{ proxy_pass {service}; }}")).expect("nginx is installed");
        let prometheus = Prometheus::with_rules(&[world.service().address().to_string()], RULES, None);
        prometheus.wait_until("count_over_time(up[1m]) >= 11");
        Self { world, prometheus, proxy }
    }

    /// Runs a checklist with further inputs.
    fn run(&self, name: &str, inputs: &[&str], more: &[&str]) -> Run {
        self.run_in(TestEnv::new(), name, inputs, more)
    }

    fn run_in(&self, env: TestEnv, name: &str, inputs: &[&str], more: &[&str]) -> Run {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("checklists").join(name);
        let text = std::fs::read_to_string(&path).expect("a checklist");
        let path = path.display().to_string();
        let mut args: Vec<String> = ["run", &path, "--report", "json=report.json"].map(str::to_owned).to_vec();
        args.extend(self.world.inputs_for(&text));
        let here = [("base_url", self.proxy.url.clone()), ("prometheus_url", self.prometheus.url())];
        let here = here.iter().filter(|(name, _)| text.contains(&format!("\n  {name}:")));
        let here: Vec<String> = here.map(|(name, value)| format!("{name}={value}")).collect();
        for input in inputs.iter().copied().chain(here.iter().map(String::as_str)) {
            args.extend(["--set".to_owned(), input.to_owned()]);
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let begun = Instant::now();
        let ran = env.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(begun.elapsed() < Duration::from_secs(60), "{name} took {:?}", begun.elapsed());
        assert!(env.path("report.json").exists(), "{name}: {ran:?}");
        let steps =
            steps(&env.json("report.json")).into_iter().map(|(id, outcome, why)| (id, (outcome, why))).collect();
        Run { env, ran, steps }
    }
}

impl Run {
    /// Says yes at the hold point and goes on, until the run ends or waits for something else.
    fn released(self, more: &[&str]) -> Self {
        assert_eq!(self.ran.status, 4, "it waits at the hold point\n{}", self.table());
        let released = self.env.run(&["release", "last", "--note", "all is well"]);
        assert!([0, 4].contains(&released.status), "{released:?}");
        let args = ["resume", "last", "--report", "json=report.json"];
        let ran = self.env.run(&[&args, more].concat());
        let steps = steps(&self.env.json("report.json"));
        let steps = steps.into_iter().map(|(id, outcome, why)| (id, (outcome, why))).collect();
        Run { env: self.env, ran, steps }
    }

    fn outcome(&self, id: &str) -> &str {
        &self.steps.get(id).unwrap_or_else(|| panic!("no step {id}: {}", self.table())).0
    }

    fn waits_for_a_person(&self, id: &str) -> bool {
        let report = self.env.json("report.json");
        let sections = report["sections"].as_array().expect("sections");
        let mut steps = sections.iter().flat_map(|section| section["steps"].as_array().expect("steps"));
        steps.any(|step| step["id"] == id && step["probe"] == "manual")
    }

    fn table(&self) -> String {
        let lines = self.steps.iter().map(|(id, (outcome, why))| format!("{outcome:12} {id}: {why}\n"));
        format!("exit {}\n{}\n{}", self.ran.status, lines.collect::<String>(), self.ran.stderr)
    }

    /// Nothing is red: what is not green waits for a person or was not asked for, and only `skipped` was not.
    fn is_well(&self, exit: i32, skipped: &[&str]) {
        let odd = self.steps.iter().filter(|(id, (outcome, _))| match outcome.as_str() {
            "pass" => false,
            "pending" => !self.waits_for_a_person(id),
            "skipped" => !skipped.contains(&id.as_str()),
            _ => true,
        });
        assert_eq!(odd.count(), 0, "{}", self.table());
        assert_eq!(self.ran.status, exit, "{}", self.table());
    }

    /// These steps, and no others, failed, each saying this; the run is a no-go.
    fn is_broken(&self, failed: &[(&str, &str)]) {
        for (id, why) in failed {
            let (outcome, reason) = &self.steps.get(*id).unwrap_or_else(|| panic!("no step {id}: {}", self.table()));
            assert!(outcome == "fail" && reason.contains(why), "{id} should fail with {why:?}\n{}", self.table());
        }
        let red = self.steps.iter().filter(|(_, (outcome, _))| outcome == "fail").count();
        assert_eq!(red, failed.len(), "{}", self.table());
        assert_eq!(self.ran.status, 1, "{}", self.table());
    }
}

const STAGING: &[&str] = &[
    "version=1.4.2",
    "job=service",
    "window=5s",
    "freshness_metric=app_last_successful_sync_timestamp_seconds",
    "max_staleness=30s",
    "log_since=1m",
    "up_within=2s",
];

const PROMOTION: &[&str] = &[
    "version=1.4.2",
    "job=service",
    "canary=test",
    "window=4s",
    "before=6s",
    "watch_for=3s",
    "watch_every=1s",
    "watch_tolerate=1s",
    "rollout_within=5s",
    "rollback_command=touch rolled-back",
    "log_path=",
    // How fast a busy machine answers is not what is tested here.
    "normal_p99=30s",
    "max_p99=30s",
    "soft_p95_growth=1000",
    "max_p95_growth=1000",
];

const STABILITY: &[&str] = &[
    "job=service",
    "duration=5s",
    "interval=2s",
    "grace=1900ms",
    "window=4s",
    "step=1s",
    "min_updates=4",
    "freshness_metric=app_last_successful_sync_timestamp_seconds",
    "max_staleness=30s",
];

const PRE_DEPLOY: &[&str] = &[
    "version=1.4.2",
    "job=service",
    "min_json_share=1%",
    "test_command=true",
    "build_command=test -d /",
    "source_files=src",
    "data_files=data",
    "env_file=.env.example",
    "dockerfile=Dockerfile",
    "lint_command=true",
    "scan_command=true",
    "compose_file=compose.yaml",
    "prometheus_config=prometheus.yml",
    "requirements_file=requirements.txt",
];

const READINESS: &[&str] = &["tree=src", "load_command=true", "outdated_command=true"];

const POST_DEPLOY: &[&str] = &[
    "version=1.4.2",
    "job=service",
    "window=4s",
    "settle=1s",
    "up_within=5s",
    "watch_for=3s",
    "watch_every=1s",
    "watch_tolerate=1s",
    "before=6s",
    "log_since=1m",
    "smoke_command=true",
    "rollback_command=touch rolled-back",
    // How fast a busy machine answers is not what is tested here.
    "normal_p99=30s",
    "max_p99_growth=1000",
    // The guard is not what is tested here either: it would hide what the smoke tests find.
    "guard_error_rate=90%",
];

/// A working tree with its documents.
fn documented() -> TestEnv {
    let env = tree("jinja2==3.1.4", "print('hello')\n");
    for name in ["runbook", "incidents", "architecture", "deployment"] {
        env.write(&format!("docs/{name}.md"), &"What to do, and in which order.\n".repeat(20));
    }
    env
}

/// A working tree to be deployed.
fn tree(requirement: &str, source: &str) -> TestEnv {
    let env = TestEnv::new();
    env.write("src/main.py", source);
    env.write("data/people.csv", "id,name\n1,Jane\n");
    env.write(".env.example", "METRICS_PORT=8002\nLOG_LEVEL=info\n");
    env.write("Dockerfile", "FROM python:3.13-slim\nUSER app\nHEALTHCHECK CMD true\n");
    let services =
        "services:\n  orders:\n    image: orders:1.4.2\n    depends_on: [cache]\n  cache:\n    image: cache:7\n";
    env.write("compose.yaml", services);
    env.write("prometheus.yml", "scrape_configs:\n  - job_name: service\n");
    env.write("requirements.txt", &format!("# pinned\nflask==3.0.0\n{requirement}\n"));
    env
}

fn free_address() -> String {
    format!("free_address=127.0.0.1:{}", crate::support::nginx::free_port())
}

#[test]
fn all_is_well() {
    let site = Site::start(Flaws::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let env = TestEnv::new();
            env.write("rules.yml", RULES);
            let skipped = [
                "the-cpu-is-hardly-used",
                "the-workflow-of-this-version-succeeded",
                "the-container-runs-and-is-healthy",
                "the-pods-are-ready",
                "the-alert-rules-are-loaded",
                "alerts-have-somebody-to-go-to",
                "every-panel-of-the-dashboard-shows-data",
                "the-row-of-the-dashboard-is-there",
                "status-panel",
            ];
            let inputs = [STAGING, &["rules_file=rules.yml"]].concat();
            site.run_in(env, "staging.yaml", &inputs, &[]).is_well(4, &skipped);
        });
        scope.spawn(|| {
            let free = free_address();
            let inputs = [PRE_DEPLOY, &[&free]].concat();
            let env = tree("jinja2==3.1.4", "print('hello')\n");
            let skipped = [
                "security-headers-are-set",
                "the-security-scans-were-looked-at",
                "the-services-of-the-compose-file-run",
                "the-checkout-is-clean-and-pushed",
            ];
            site.run_in(env, "pre-deploy.yaml", &inputs, &[]).is_well(4, &skipped);
        });
        scope.spawn(|| {
            site.run("stability-24h.yaml", STABILITY, &[])
                .is_well(4, &["the-cpu-stays-hardly-used", "every-panel-of-the-dashboard-shows-data"]);
        });
        scope.spawn(|| {
            let canary = format!("canary_url={}", site.world.service().base_url());
            let inputs = [PROMOTION, &[&canary, "deploy_command=touch deployed"]].concat();
            let run = site.run("promotion.yaml", &inputs, &["--allow-changes"]);
            assert!(!run.env.path("deployed").exists(), "{}", run.table());
            let run = run.released(&["--allow-changes"]);
            run.is_well(
                4,
                &[
                    "production-was-set-to-the-version-by-hand",
                    "production-is-rolled-back",
                    "production-answers-after-the-rollback",
                    "no-error-is-in-the-production-log",
                    "the-pods-of-the-canary-are-ready",
                    "the-rollout-is-complete",
                    "the-pods-of-production-are-ready",
                    "no-error-is-in-the-logs-of-the-pods",
                    "the-tag-of-the-version-is-pushed",
                    "the-release-is-published-with-notes",
                ],
            );
            assert!(run.env.path("deployed").exists() && !run.env.path("rolled-back").exists());
        });
        scope.spawn(|| {
            site.run("demo.yaml", &[], &[]).is_well(4, &["the-proxy-names-itself"]);
        });
        scope.spawn(|| {
            let skipped = [
                "a-protected-path-asks-for-credentials",
                "too-many-requests-are-turned-away",
                "old-dependencies-are-accepted",
                "every-container-has-its-probes",
                "staging-went-well",
                "the-api-is-described",
            ];
            site.run_in(documented(), "production-readiness.yaml", READINESS, &[]).is_well(4, &skipped);
        });
        scope.spawn(|| {
            let skipped = [
                "the-api-answers",
                "the-login-answers",
                "the-cpu-is-within-its-limit",
                "memory-is-within-its-limit",
                "the-pods-are-ready",
                "no-error-is-in-the-logs-of-the-pods",
                "every-panel-of-the-dashboard-shows-data",
                "no-new-issue-is-in-the-tracker-receives",
                "no-new-issue-is-in-the-tracker-issues",
                "the-deployment-is-rolled-back",
                "the-service-answers-after-the-rollback",
            ];
            let run = site.run("post-deploy.yaml", POST_DEPLOY, &["--allow-changes"]);
            run.is_well(0, &skipped);
            assert!(!run.env.path("rolled-back").exists());
        });
    });
}

#[test]
fn what_is_broken_is_red_and_says_why() {
    let flaws = Flaws {
        errors: true,
        error_lines: true,
        stale_version: true,
        cache_unset: true,
        leak: true,
        slow: true,
        ..Flaws::default()
    };
    let site = Site::start(flaws);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let inputs = [STAGING, &["max_memory=49MiB", "max_p99=300ms"]].concat();
            site.run("staging.yaml", &inputs, &[]).is_broken(&[
                ("the-readiness-endpoint-reports-every-dependency", "503"),
                ("the-deployed-version-answers", "1.4.1"),
                ("the-error-rate-is-low", "%"),
                ("the-99th-percentile-of-latency-is-low", "s"),
                ("memory-is-within-its-limit", "MiB"),
                ("no-error-is-in-the-log", "error"),
            ]);
        });
        scope.spawn(|| {
            let busy = format!("free_address={}", site.world.service().address());
            let inputs = [&PRE_DEPLOY[3..], &["version=1.4.2", "job=orders", "up_within=2s", &busy]].concat();
            let env = tree("jinja2>=3", "password = 's3cr3t!pw'\n");
            let run = site.run_in(env, "pre-deploy.yaml", &inputs, &[]);
            run.is_broken(&[
                ("python-dependencies-are-pinned", "jinja2>=3"),
                ("the-sources-hold-no-secret", "src/main.py:1: password (s3…, 9 characters)"),
                ("the-port-of-the-deployment-is-free", "open"),
                ("the-readiness-endpoint-reports-every-dependency", "503"),
                ("the-version-is-the-one-that-is-going-out", "1.4.1"),
                ("prometheus-scrapes-the-service", "series"),
                ("the-log-is-structured", "%"),
            ]);
            assert_eq!(run.outcome("the-request-counter-has-arrived-in-prometheus"), "inconclusive");
        });
        scope.spawn(|| {
            let inputs = [STABILITY, &["max_growth=1.02"]].concat();
            site.run("stability-24h.yaml", &inputs, &[]).is_broken(&[
                ("the-error-rate-stays-low", "%"),
                ("there-were-hardly-any-errors", "5"),
                ("memory-did-not-grow", "1.0"),
            ]);
        });
        scope.spawn(|| {
            let run = site.run("demo.yaml", &[], &[]);
            run.is_broken(&[
                ("every-dependency-is-ready", "503"),
                ("every-dependency-is-up", "cache"),
                ("less-than-1-of-the-requests-fail", "expected < 1%"),
                ("warnings-in-the-log-are-few", "error"),
            ]);
            assert_eq!(run.outcome("orders-are-listed-quickly"), "warn");
        });
    });
    let run = site.run("post-deploy.yaml", POST_DEPLOY, &["--allow-changes"]);
    run.is_broken(&[("the-service-is-ready", "503"), ("the-deployed-version-answers", "1.4.1")]);
    assert!(run.env.path("rolled-back").exists(), "{}", run.table());
    let run = site.run_in(TestEnv::new(), "production-readiness.yaml", READINESS, &["--only", "documents"]);
    assert_eq!(run.outcome("the-runbook-is-there"), "fail", "{}", run.table());
    site.world.service().set_flaws(Flaws { unhealthy: true, ..Flaws::default() });
    let run = site.run("staging.yaml", STAGING, &["--only", "connectivity"]);
    run.is_broken(&[("the-liveness-endpoint-answers", "503")]);
}

#[test]
fn a_promotion_that_breaks_production_is_rolled_back() {
    let site = Site::start(Flaws::default());
    let env = TestEnv::new();
    let deployed = env.path("deployed");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The deployment brings the errors with it.
            while !deployed.exists() && !done.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            site.world.service().set_flaws(Flaws { errors: true, error_lines: true, ..Flaws::default() });
        });
        let canary = format!("canary_url={}", site.proxy.url);
        let inputs = [PROMOTION, &[&canary, "deploy_command=touch deployed"]].concat();
        let run = site.run_in(env, "promotion.yaml", &inputs, &["--allow-changes"]).released(&["--allow-changes"]);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        run.is_broken(&[("the-error-rate-stays-low", "%"), ("the-success-rate-stays-high", "%")]);
        assert_eq!(run.outcome("production-is-rolled-back"), "pass", "{}", run.table());
        assert_eq!(run.outcome("production-answers-after-the-rollback"), "pass", "{}", run.table());
        assert!(run.env.path("rolled-back").exists());
    });
}

#[test]
fn without_consent_nothing_is_promoted() {
    let site = Site::start(Flaws::default());
    let canary = format!("canary_url={}", site.proxy.url);
    let inputs = [PROMOTION, &[&canary, "deploy_command=touch deployed"]].concat();
    let run = site.run("promotion.yaml", &inputs, &[]).released(&[]);
    assert_eq!(run.outcome("production-is-set-to-the-version"), "pending", "{}", run.table());
    assert_eq!(run.ran.status, 4, "{}", run.table());
    assert!(!run.env.path("deployed").exists() && !run.env.path("rolled-back").exists());
}
