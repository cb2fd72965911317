//! The worlds that checklists are run in: the sample service, a real Prometheus that scrapes it, one that also
//! evaluates rules and tells a real Alertmanager, an nginx.

use holdpoint::demo::{self, Flaws};

use super::monitored::Monitored;
use super::nginx::Nginx;
use super::prometheus::Prometheus;
use super::recorded;
use super::resolver::{Manner, Resolver};
use super::secure::{Secure, Shows};
use crate::probe_dns;

/// What nginx answers: what it was sent, a redirect, a login, bytes that are no JSON.
const LOCATIONS: &str = r#"
location /echo { default_type application/json; add_header X-Method $request_method;
 return 200 '{"method":"$request_method","query":"$args","type":"$content_type","check":"$http_x_check","auth":"$http_authorization","length":"$content_length","agent":"$http_user_agent"}'; }
location /moved { return 302 /echo; }
location /loop { return 302 /loop; }
location /broken { default_type application/json; return 200 '{"status": '; }
location /teapot { return 418 'short and stout'; }
"#;

/// What a run stands in. Everything ends with it.
pub(crate) struct World {
    service: Option<Served>,
    prometheus: Option<Prometheus>,
    monitored: Option<Monitored>,
    nginx: Option<Nginx>,
    resolver: Option<Resolver>,
    secure: Option<Chains>,
}

/// TLS servers on a runtime of their own.
struct Chains {
    good: Secure,
    expired: Secure,
    _runtime: tokio::runtime::Runtime,
}

/// The sample service on a runtime of its own.
struct Served {
    service: demo::Service,
    _runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl World {
    /// Starts what the lines of `kind` name.
    pub(crate) fn start(kind: &str) -> Self {
        let wants = |word: &str| kind.lines().any(|line| line.trim() == word);
        let flaws = if wants("service broken") { broken() } else { Flaws::default() };
        let service = ["service", "service broken", "prometheus", "monitored"]
            .iter()
            .any(|w| wants(w))
            .then(|| Served::start(flaws));
        let prometheus = wants("prometheus").then(|| {
            let service = service.as_ref().expect("Prometheus scrapes the service");
            let prometheus = Prometheus::start("# EOF\n", &[service.service.address().to_string()]);
            prometheus.wait_until("count_over_time(app_queue_length[1m]) >= 3");
            prometheus
        });
        let prometheus = prometheus.or_else(|| wants("recorded").then(|| Prometheus::start(&recorded::day(), &[])));
        let monitored = wants("monitored").then(|| {
            let service = service.as_ref().expect("the service is watched");
            Monitored::start(&service.service.address().to_string())
        });
        let nginx = wants("nginx").then(|| Nginx::start(LOCATIONS).expect("nginx is installed"));
        let resolver = wants("resolver").then(|| Resolver::start(Manner::Honest, probe_dns::zone()));
        let secure = wants("secure").then(Chains::start);
        Self { service, prometheus, monitored, nginx, resolver, secure }
    }

    /// Returns `--set` for those inputs that a checklist declares and this world knows.
    pub(crate) fn inputs_for(&self, checklist: &str) -> Vec<String> {
        let mut known = Vec::new();
        if let Some(Served { service, .. }) = &self.service {
            known.push(("base_url", service.base_url()));
            known.push(("address", service.address().to_string()));
            known.push(("log_path", service.log_path().display().to_string()));
        }
        if let Some(prometheus) = &self.prometheus {
            known.push(("prometheus_url", prometheus.url()));
        }
        if let Some(Monitored { prometheus, alertmanager }) = &self.monitored {
            known.push(("prometheus_url", prometheus.url()));
            known.push(("alertmanager_url", alertmanager.url()));
        }
        if let Some(nginx) = &self.nginx {
            known.push(("nginx_url", nginx.url.clone()));
        }
        if let Some(resolver) = &self.resolver {
            known.push(("resolver", resolver.address.to_string()));
        }
        if let Some(Chains { good, expired, .. }) = &self.secure {
            known.push(("tls_address", format!("localhost:{}", good.address.port())));
            known.push(("tls_ca", good.ca().display().to_string()));
            known.push(("expired_address", format!("localhost:{}", expired.address.port())));
        }
        let declared = |name: &str| checklist.lines().any(|line| line.trim_start().starts_with(&format!("{name}:")));
        let known = known.into_iter().filter(|(name, _)| declared(name));
        known.flat_map(|(name, value)| ["--set".to_owned(), format!("{name}={value}")]).collect()
    }

    /// The sample service, where there is one.
    pub(crate) fn service(&self) -> &demo::Service {
        &self.service.as_ref().expect("a world with the service").service
    }
}

impl Chains {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (good, expired) =
            runtime.block_on(async { (Secure::start(Shows::Good).await, Secure::start(Shows::Expired).await) });
        Self { good, expired, _runtime: runtime }
    }
}

impl Served {
    fn start(flaws: Flaws) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let service = runtime.block_on(demo::Service::start(flaws, Some(folder.path()))).expect("the service starts");
        Self { service, _runtime: runtime, _folder: folder }
    }
}

/// Everything wrong that can be wrong.
pub(crate) fn broken() -> Flaws {
    Flaws {
        cache_unset: true,
        slow: true,
        unhealthy: true,
        stale_version: true,
        errors: true,
        error_lines: true,
        stale_sync: true,
        leak: true,
    }
}
