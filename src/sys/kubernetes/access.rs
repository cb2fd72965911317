//! How a cluster is reached: what a kubeconfig says of a context, the account that a pod is given, or a plain URL.
//!
//! A kubeconfig is found and merged as kubectl does it: the file that is named, else those of `KUBECONFIG`, else
//! `~/.kube/config`; where there is none, the account of the pod. Proxies are those that the kubeconfig names, never
//! those of the environment.
//!
//! Sources: <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>,
//! <https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Cluster, ExecInteractiveMode, Kubeconfig, KubeconfigError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::plugin::Exec;
use crate::sys::env::Env;
use crate::sys::http::{Connection, Fault, HttpError};

/// Where a pod finds its account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// How a cluster is reached.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Access {
    /// As a kubeconfig says.
    Kubeconfig {
        /// The file; those that kubectl takes when none is named.
        file: Option<String>,
        /// The context; the current one when none is named.
        context: Option<String>,
    },
    /// As the account of the pod that this runs in.
    Account {
        /// The folder where the account is mounted; the usual one when none is named.
        folder: Option<String>,
    },
    /// At a URL.
    Direct {
        /// The URL of the API.
        url: String,
        /// Headers sent with every request, authorization among them.
        headers: Vec<(String, String)>,
        /// Whom to trust, and who we are.
        connection: Connection,
    },
}

/// What is needed to ask a cluster, but for what a command has yet to give.
pub(super) struct Configured {
    pub(super) config: kube::Config,
    pub(super) context: Option<String>,
    pub(super) namespace: Option<String>,
    /// The command that gives the credentials.
    pub(super) exec: Option<Exec>,
}

impl Configured {
    fn new(config: kube::Config) -> Self {
        Self { config, context: None, namespace: None, exec: None }
    }
}

/// Finds out how to ask. Reads files: call it where blocking is allowed.
///
/// # Errors
/// Says what is missing, damaged or not understood.
pub(super) fn configure(access: &Access, env: &Env) -> Result<Configured, HttpError> {
    match access {
        Access::Kubeconfig { file, context } => kubeconfig(file.as_deref(), context.as_deref(), env),
        Access::Account { folder } => account(Path::new(folder.as_deref().unwrap_or(ACCOUNT)), env),
        Access::Direct { url, headers, connection } => direct(url, headers, connection),
    }
}

fn wrong(message: impl Into<String>) -> HttpError {
    HttpError::new(Fault::Request, message)
}

fn kubeconfig(file: Option<&str>, context: Option<&str>, env: &Env) -> Result<Configured, HttpError> {
    let files = match file {
        Some(file) => vec![at_home(file, env)],
        None => usual_files(env),
    };
    let there: Vec<_> = files.iter().filter(|path| file.is_some() || path.exists()).collect();
    if there.is_empty() {
        if context.is_none() && env.get("KUBERNETES_SERVICE_HOST").is_some() {
            return account(Path::new(ACCOUNT), env);
        }
        let looked: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
        return Err(wrong(format!("there is no kubeconfig: {} does not exist", looked.join(", "))));
    }
    let mut all = Kubeconfig::default();
    for path in &there {
        let read = read(path)?;
        all = all.merge(read).map_err(|error| unreadable(path, &error))?;
    }
    let names: Vec<_> = there.iter().map(|path| path.display().to_string()).collect();
    of_context(&all, context, &names.join(", "))
}

/// Lists the files that kubectl would take.
fn usual_files(env: &Env) -> Vec<PathBuf> {
    if let Some(list) = env.get("KUBECONFIG") {
        return std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect();
    }
    vec![at_home("~/.kube/config", env)]
}

fn at_home(path: &str, env: &Env) -> PathBuf {
    match (path.strip_prefix("~/"), env.get("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// Reads a kubeconfig. Paths in it are taken from its own folder.
fn read(path: &Path) -> Result<Kubeconfig, HttpError> {
    usable(path)?;
    Kubeconfig::read_from(path).map_err(|error| unreadable(path, &error))
}

/// Makes sure that a file can be read and ends.
fn usable(path: &Path) -> Result<(), HttpError> {
    let facts =
        fs::metadata(path).map_err(|error| wrong(format!("cannot read {}: {}", path.display(), plain(&error))))?;
    match (facts.is_file(), facts.len() > LARGEST) {
        (false, _) => Err(wrong(format!("{} is not a regular file", path.display()))),
        (true, true) => Err(wrong(format!("{} is larger than {} MiB", path.display(), LARGEST >> 20))),
        (true, false) => Ok(()),
    }
}

fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// Words why a kubeconfig cannot be read, without a word of what stands in it: that may be secret.
fn unreadable(path: &Path, error: &KubeconfigError) -> HttpError {
    let path = path.display();
    wrong(match error {
        KubeconfigError::ReadConfig(error, _) => format!("cannot read {path}: {}", plain(error)),
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("{path} is not a kubeconfig: line {}, column {}", at.line(), at.column()),
            None => format!("{path} is not a kubeconfig"),
        },
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            format!("{path} cannot be merged with the other kubeconfigs: its kind is another")
        }
        _ => format!("{path} is not a kubeconfig"),
    })
}

fn of_context(all: &Kubeconfig, wanted: Option<&str>, file: &str) -> Result<Configured, HttpError> {
    let names = || {
        let names: Vec<_> = all.contexts.iter().map(|context| context.name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let name = match wanted.or(all.current_context.as_deref()).filter(|name| !name.is_empty()) {
        Some(name) => name,
        None => {
            let message = format!("{file} has no current context; name one with `context`: {}", names());
            return Err(wrong(message));
        }
    };
    let context = all.contexts.iter().find(|context| context.name == name).and_then(|named| named.context.as_ref());
    let Some(context) = context else {
        return Err(wrong(format!("there is no context {name:?} in {file}; there is {}", names())));
    };
    let cluster = all.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let Some(cluster) = cluster.and_then(|named| named.cluster.as_ref()) else {
        let cluster = &context.cluster;
        return Err(wrong(format!("the context {name:?} names the cluster {cluster:?}, which is not in {file}")));
    };
    let mut config = of_cluster(cluster, file)?;
    if let Some(user) = context.user.as_ref().filter(|user| !user.is_empty()) {
        let found = all.auth_infos.iter().find(|named| named.name == *user);
        let Some(found) = found else {
            return Err(wrong(format!("the context {name:?} names the user {user:?}, which is not in {file}")));
        };
        config.auth_info = found.auth_info.clone().unwrap_or_default();
    }
    let exec = credentials(&mut config.auth_info, cluster, file)?;
    let namespace = context.namespace.clone().filter(|namespace| !namespace.is_empty());
    Ok(Configured { context: Some(name.to_owned()), namespace, exec, ..Configured::new(config) })
}

fn of_cluster(cluster: &Cluster, file: &str) -> Result<kube::Config, HttpError> {
    let server = cluster.server.as_deref().unwrap_or_default();
    let mut config = at(server).map_err(|why| wrong(format!("the cluster's server in {file}: {why}")))?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    let data = cluster.certificate_authority_data.as_deref().filter(|data| !data.is_empty());
    let path = cluster.certificate_authority.as_deref().filter(|path| !path.is_empty());
    if let Some(data) = data {
        let bytes = STANDARD.decode(data.trim());
        let bytes = bytes.map_err(|_| wrong(format!("certificate-authority-data in {file} is not base64")))?;
        config.root_cert = Some(authorities(&bytes, &format!("certificate-authority-data of {file}"))?);
    } else if let Some(path) = path {
        config.root_cert = Some(authorities(&contents(Path::new(path))?, path)?);
    }
    if let Some(proxy) = cluster.proxy_url.as_deref().filter(|proxy| !proxy.is_empty()) {
        let bad = |_| wrong(format!("the proxy-url in {file} is not a URL"));
        config.proxy_url = Some(proxy.parse::<::http::Uri>().map_err(bad)?);
    }
    Ok(config)
}

/// Takes the command out that gives the credentials, and refuses what cannot be had without a person or a library.
fn credentials(user: &mut AuthInfo, cluster: &Cluster, file: &str) -> Result<Option<Exec>, HttpError> {
    if let Some(provider) = &user.auth_provider {
        let name = &provider.name;
        return Err(wrong(format!(
            "the user in {file} has the auth-provider {name:?}, which Kubernetes no longer knows since 1.26; use an exec \
             plugin"
        )));
    }
    for path in [&user.client_certificate, &user.client_key, &user.token_file].into_iter().flatten() {
        usable(Path::new(path))?;
    }
    let Some(exec) = user.exec.take() else { return Ok(None) };
    // As kubectl has it: credentials that stand in the file itself come first.
    if user.token.is_some() || user.token_file.is_some() || user.username.is_some() {
        return Ok(None);
    }
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        let command = exec.command.as_deref().unwrap_or_default();
        return Err(wrong(format!("{command} in {file} asks a person for the credentials: interactiveMode is Always")));
    }
    Exec::new(&exec, cluster).map(Some).map_err(|why| wrong(format!("{file}: {why}")))
}

fn account(folder: &Path, env: &Env) -> Result<Configured, HttpError> {
    let host = env.get("KUBERNETES_SERVICE_HOST");
    let port = env.get("KUBERNETES_SERVICE_PORT");
    let (Some(host), Some(port)) = (host, port) else {
        let message = "this does not run in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set";
        return Err(wrong(message));
    };
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let mut config = at(&format!("https://{host}:{port}")).map_err(wrong)?;
    let (token, ca) = (folder.join("token"), folder.join("ca.crt"));
    usable(&token)?;
    config.root_cert = Some(authorities(&contents(&ca)?, &ca.display().to_string())?);
    // Both are read anew while they are used: they rotate.
    config.root_cert_file = Some(ca);
    config.auth_info.token_file = Some(token.display().to_string());
    let namespace = contents(&folder.join("namespace")).ok();
    let namespace = namespace.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Ok(Configured { namespace: namespace.filter(|name| !name.is_empty()), ..Configured::new(config) })
}

fn direct(url: &str, headers: &[(String, String)], connection: &Connection) -> Result<Configured, HttpError> {
    let mut config = at(url).map_err(wrong)?;
    for (name, value) in headers {
        let bad = || wrong(format!("the header {name} cannot be sent"));
        let value = ::http::HeaderValue::from_str(value).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let name = ::http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        config.headers.push((name, value.map_err(|_| bad())?));
    }
    config.accept_invalid_certs = connection.insecure;
    if let Some(path) = &connection.ca_file {
        config.root_cert = Some(authorities(&contents(Path::new(path))?, path)?);
    }
    if let Some(path) = &connection.client_cert {
        let (certificates, key) = sections(&String::from_utf8_lossy(&contents(Path::new(path))?));
        if certificates.is_empty() || key.is_empty() {
            return Err(wrong(format!("{path} must hold the client's certificate and its key (PEM)")));
        }
        put_identity(&mut config.auth_info, &certificates, &key)?;
    }
    Ok(Configured::new(config))
}

/// Makes settings for a server.
fn at(server: &str) -> Result<kube::Config, String> {
    let url: ::http::Uri = server.trim_end_matches('/').parse().map_err(|_| format!("{server:?} is not a URL"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
        return Err(format!("{server:?} is not a URL; it begins with https:// or http://"));
    }
    let plain = url.scheme_str() == Some("http");
    let mut config = kube::Config::new(url);
    // Without TLS nobody has to be trusted, and the system's authorities need not be read.
    config.root_cert = plain.then(Vec::new);
    // Retries are the step's affair, which says how often.
    config.default_retry = false;
    Ok(config)
}

fn contents(path: &Path) -> Result<Vec<u8>, HttpError> {
    usable(path)?;
    fs::read(path).map_err(|error| wrong(format!("cannot read {}: {}", path.display(), plain(&error))))
}

/// Reads certificate authorities in PEM.
fn authorities(pem: &[u8], whence: &str) -> Result<Vec<Vec<u8>>, HttpError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).map(|c| c.map(|c| c.to_vec())).collect();
    match all {
        Ok(all) if all.is_empty() => Err(wrong(format!("there is no certificate in {whence}"))),
        Ok(all) => Ok(all),
        Err(error) => Err(wrong(format!("cannot read certificates from {whence}: {error}"))),
    }
}

/// Takes certificates and keys of a PEM text apart.
fn sections(pem: &str) -> (String, String) {
    let (mut certificates, mut keys) = (String::new(), String::new());
    for section in pem.split("-----BEGIN ").skip(1) {
        let into = if section.starts_with("CERTIFICATE-----") { &mut certificates } else { &mut keys };
        into.push_str("-----BEGIN ");
        into.push_str(section.trim_end());
        into.push('\n');
    }
    (certificates, keys)
}

/// Puts a certificate and its key in PEM into the credentials.
pub(super) fn put_identity(user: &mut AuthInfo, certificates: &str, key: &str) -> Result<(), HttpError> {
    let data = serde_json::json!({
        "client-certificate-data": STANDARD.encode(certificates),
        "client-key-data": STANDARD.encode(key),
    });
    let made: AuthInfo = serde_json::from_value(data).map_err(|error| wrong(error.to_string()))?;
    user.client_certificate_data = made.client_certificate_data;
    user.client_key_data = made.client_key_data;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: staging
clusters:
- { name: one, cluster: { server: \"http://127.0.0.1:1\" } }
- { name: two, cluster: { server: \"https://two.test:6443\", insecure-skip-tls-verify: true } }
contexts:
- { name: staging, context: { cluster: one, user: ann, namespace: shop } }
- { name: prod, context: { cluster: two, user: bob } }
- { name: lost, context: { cluster: three, user: ann } }
- { name: nobody, context: { cluster: one, user: carl } }
users:
- { name: ann, user: { token: t0ken } }
- { name: bob, user: { auth-provider: { name: gcp } } }
";

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn said(result: Result<Configured, HttpError>) -> String {
        result.err().expect("cannot be configured").message
    }

    #[test]
    fn a_context_names_cluster_user_and_namespace() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config");
        fs::write(&file, CONFIG).expect("written");
        let path = file.to_str().expect("text");
        let of = |context: Option<&str>| kubeconfig(Some(path), context, &Env::default());
        let found = of(None).expect("configured");
        assert_eq!((found.context.as_deref(), found.namespace.as_deref()), (Some("staging"), Some("shop")));
        assert_eq!(found.config.cluster_url.to_string(), "http://127.0.0.1:1/");
        assert!(found.config.auth_info.token.is_some() && !found.config.default_retry);
        let message = said(of(Some("stagin")));
        assert!(message.contains("there is no context \"stagin\"") && message.contains("staging, prod"), "{message}");
        assert!(said(of(Some("prod"))).contains("auth-provider"));
        assert!(said(of(Some("lost"))).contains("the cluster \"three\""));
        assert!(said(of(Some("nobody"))).contains("the user \"carl\""));
    }

    #[test]
    fn the_usual_files_are_merged_and_the_first_word_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("a"), CONFIG).expect("written");
        let other =
            CONFIG.replace("current-context: staging", "current-context: nobody").replace("name: lost", "name: b");
        fs::write(at("b"), other).expect("written");
        let list = format!("{}:{}::{}", at("a"), at("b"), at("missing"));
        let found = kubeconfig(None, None, &env(&[("KUBECONFIG", &list)])).expect("configured");
        assert_eq!(found.context.as_deref(), Some("staging"));
        assert!(said(kubeconfig(None, Some("b"), &env(&[("KUBECONFIG", &list)]))).contains("three"));
        let message = said(kubeconfig(None, None, &env(&[("HOME", &at(""))])));
        assert!(message.contains(".kube/config does not exist"), "{message}");
    }

    #[test]
    fn what_is_wrong_with_a_kubeconfig_is_said_without_what_stands_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config");
        fs::write(&file, "users:\n- name: a\n  user: { token: s3cret, [ }\n").expect("written");
        let message = said(kubeconfig(file.to_str(), None, &Env::default()));
        assert!(message.contains("is not a kubeconfig") && !message.contains("s3cret"), "{message}");
        assert!(said(kubeconfig(Some("/no/such"), None, &Env::default())).contains("it does not exist"));
        assert!(said(kubeconfig(Some("/dev/zero"), None, &Env::default())).contains("not a regular file"));
    }

    #[test]
    fn the_account_of_a_pod_is_read_from_its_folder_and_the_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).expect("a certificate");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        let inside = env(&[("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "443")]);
        assert!(said(account(folder.path(), &Env::default())).contains("does not run in a cluster"));
        assert!(said(account(folder.path(), &inside)).contains("token: it does not exist"));
        write("token", "t0ken");
        write("ca.crt", "nothing");
        assert!(said(account(folder.path(), &inside)).contains("no certificate"));
        write("ca.crt", &authority.cert.pem());
        write("namespace", "shop\n");
        let found = account(folder.path(), &inside).expect("configured");
        assert_eq!(found.config.cluster_url.to_string(), "https://[fd00::1]:443/");
        assert_eq!(found.namespace.as_deref(), Some("shop"));
        assert_eq!(found.config.auth_info.token_file.as_deref(), folder.path().join("token").to_str());
    }

    #[test]
    fn certificate_and_key_of_one_file_are_taken_apart() {
        let pem = "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n";
        let (certificates, key) = sections(pem);
        assert_eq!(certificates, "-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n");
        assert_eq!(key, "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n");
    }
}
