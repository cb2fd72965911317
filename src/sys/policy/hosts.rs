//! Which hosts may be reached: by name before any address is known, and by address at the moment of connecting.

use std::net::IpAddr;

use globset::{GlobBuilder, GlobMatcher};

use super::address::{self, Guarded, Net};
use super::listed::{Listed, Refusal};

/// Names under which clouds answer with their metadata: where a proxy asks for the address, only the name is seen.
const METADATA_NAMES: &[&str] = &["metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"];

/// Hosts as a policy writes them: a name, a name with `*`, an address or a range, each with a port or ports if wanted.
#[derive(Clone, Debug)]
pub struct HostPattern {
    target: Target,
    ports: Option<(u16, u16)>,
}

#[derive(Clone, Debug)]
enum Target {
    Any,
    Name(String),
    Glob(GlobMatcher),
    Net(Net),
}

impl HostPattern {
    /// Reads `db.internal`, `*.internal:443`, `10.0.0.0/8:8000-8100`, `[fd00::/8]:443`, `*`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("this is a URL; a host is a name, an address or a range".to_owned());
        }
        let (host, ports) = split(text)?;
        let host = normal(host);
        let ports = ports.map(parse_ports).transpose()?;
        Ok(Self { target: target(&host)?, ports })
    }

    fn takes(&self, port: Option<u16>) -> bool {
        match (self.ports, port) {
            (None, _) | (_, None) => true,
            (Some((low, high)), Some(port)) => (low..=high).contains(&port),
        }
    }

    /// Tells whether it names a host, addresses apart.
    fn names(&self, host: &str, port: Option<u16>) -> bool {
        self.takes(port)
            && match &self.target {
                Target::Any => true,
                Target::Name(name) => name == host,
                Target::Glob(glob) => host.parse::<IpAddr>().is_err() && glob.is_match(host),
                Target::Net(_) => false,
            }
    }

    fn holds(&self, ip: IpAddr, port: Option<u16>) -> bool {
        self.takes(port) && matches!(&self.target, Target::Net(net) if net.contains(ip))
    }

    fn means(&self, ip: IpAddr, port: Option<u16>, kind: Guarded) -> bool {
        self.holds(ip, port) && matches!(&self.target, Target::Net(net) if net.means(kind))
    }
}

/// Takes the ports off: they stand behind the last colon, and an IPv6 address with ports stands in brackets.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((host, Some(ports))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(format!("{rest:?} behind the bracket is no port")),
        };
    }
    match text.matches(':').count() {
        1 => Ok(text.split_once(':').map_or((text, None), |(host, ports)| (host, Some(ports)))),
        _ => Ok((text, None)),
    }
}

fn parse_ports(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("{text:?} is no port, nor ports such as 8000-8100");
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (port(low)?, port(high)?);
    if low <= high { Ok((low, high)) } else { Err(wrong()) }
}

fn target(host: &str) -> Result<Target, String> {
    if host == "*" {
        return Ok(Target::Any);
    }
    if let Some(net) = Net::parse(host) {
        return Ok(Target::Net(net));
    }
    if host.contains('*') && host.chars().all(|c| c.is_ascii_digit() || ".*".contains(c)) {
        return Err("a range of addresses is written 10.0.0.0/8".to_owned());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    if host.is_empty() || !host.chars().all(fits) {
        return Err(format!("{host:?} is no name, no address and no range"));
    }
    if !host.contains('*') {
        return Ok(Target::Name(host.to_owned()));
    }
    let glob = GlobBuilder::new(host).build().map_err(|e| e.kind().to_string())?;
    Ok(Target::Glob(glob.compile_matcher()))
}

/// Writes a host in the one form in which hosts are compared: no brackets, no last dot, lower case.
fn normal(host: &str) -> String {
    let bare = host.trim().trim_start_matches('[').trim_end_matches(']');
    bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()
}

fn shown(host: &str, port: Option<u16>) -> String {
    match port {
        None => host.to_owned(),
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
    }
}

/// Judges a host by what is known before its address is.
///
/// # Errors
/// Says by which rule it is refused.
pub(super) fn by_name(hosts: &Listed<HostPattern>, host: &str, port: Option<u16>) -> Result<(), Refusal> {
    let host = normal(host);
    if let Ok(ip) = host.parse::<IpAddr>() {
        return by_ip(hosts, &host, ip, port);
    }
    let what = shown(&host, port);
    if let Some((rule, _)) = hosts.deny.iter().find(|(_, pattern)| pattern.names(&host, port)) {
        return Err(rule.denies(&what));
    }
    let allowed = hosts.allow.as_ref().map(|(_, patterns)| patterns.as_slice()).unwrap_or_default();
    let exactly = |p: &HostPattern| p.takes(port) && matches!(&p.target, Target::Name(name) if *name == host);
    if METADATA_NAMES.contains(&host.as_str()) && !allowed.iter().any(exactly) {
        return Err(Refusal::of_guarded(&what, Guarded::Metadata.words()));
    }
    let Some((rule, patterns)) = &hosts.allow else { return Ok(()) };
    // Whether an address is listed is told when it is known.
    let may_be = |p: &HostPattern| p.names(&host, port) || (p.takes(port) && matches!(p.target, Target::Net(_)));
    if patterns.iter().any(may_be) { Ok(()) } else { Err(rule.lacks(&what)) }
}

/// Judges an address that a host turned out to have, at the moment of connecting.
///
/// # Errors
/// Says by which rule it is refused.
pub(super) fn by_address(
    hosts: &Listed<HostPattern>,
    host: &str,
    ip: IpAddr,
    port: Option<u16>,
) -> Result<(), Refusal> {
    by_ip(hosts, &normal(host), ip, port)
}

/// Judges an address. A port that is not known yet is taken for one that fits.
fn by_ip(hosts: &Listed<HostPattern>, host: &str, ip: IpAddr, port: Option<u16>) -> Result<(), Refusal> {
    let written = match host.parse::<IpAddr>().is_ok_and(|literal| literal == ip) {
        true => shown(host, port),
        false => format!("{ip}, the address of {}", shown(host, port)),
    };
    for ip in address::forms(ip) {
        let denied = hosts.deny.iter().find(|(_, pattern)| pattern.holds(ip, port) || pattern.names(host, port));
        if let Some((rule, _)) = denied {
            return Err(rule.denies(&written));
        }
        let kind = address::guarded(ip);
        match (&hosts.allow, kind) {
            (None, None | Some(Guarded::Loopback)) => {}
            (None, Some(kind)) => return Err(Refusal::of_guarded(&written, kind.words())),
            (Some((rule, patterns)), Some(Guarded::Loopback)) => {
                let listed = |p: &HostPattern| p.means(ip, port, Guarded::Loopback) || p.is_localhost(host, port);
                if !patterns.iter().any(listed) {
                    return Err(rule.lacks(&format!("{written}, which is this machine itself,")));
                }
            }
            (Some((_, patterns)), Some(kind)) => {
                if !patterns.iter().any(|p| p.means(ip, port, kind)) {
                    return Err(Refusal::of_guarded(&written, kind.words()));
                }
            }
            (Some((rule, patterns)), None) => {
                if !patterns.iter().any(|p| p.names(host, port) || p.holds(ip, port)) {
                    return Err(rule.lacks(&written));
                }
            }
        }
    }
    Ok(())
}

impl HostPattern {
    /// Tells whether it lists `localhost`, and the host is that.
    fn is_localhost(&self, host: &str, port: Option<u16>) -> bool {
        host == "localhost" && self.takes(port) && matches!(&self.target, Target::Name(name) if name == host)
    }
}

#[cfg(test)]
mod tests {
    use super::super::listed::tests::rule;
    use super::*;

    fn listed(allow: Option<&[&str]>, deny: &[&str]) -> Listed<HostPattern> {
        let parse = |text: &&str| HostPattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        Listed {
            allow: allow.map(|all| (rule("hosts.allow"), all.iter().map(parse).collect())),
            deny: deny.iter().map(|text| (rule(text), parse(text))).collect(),
        }
    }

    fn address(hosts: &Listed<HostPattern>, host: &str, address: &str) -> Result<(), String> {
        let address: std::net::SocketAddr = address.parse().expect("an address");
        by_address(hosts, host, address.ip(), Some(address.port())).map_err(|refusal| refusal.message)
    }

    fn name(hosts: &Listed<HostPattern>, host: &str, port: u16) -> Result<(), String> {
        by_name(hosts, host, Some(port)).map_err(|refusal| refusal.message)
    }

    #[test]
    fn without_a_list_only_what_is_guarded_is_refused() {
        let open = listed(None, &[]);
        for good in ["localhost", "127.0.0.1", "db.internal", "10.0.0.1", "[::1]"] {
            assert_eq!(name(&open, good, 80), Ok(()), "{good}");
        }
        for bad in ["169.254.169.254", "[fe80::1]", "::ffff:169.254.169.254", "Metadata.Google.Internal."] {
            let said = name(&open, bad, 80).expect_err(bad);
            assert!(said.contains("credentials") && said.contains("hosts.allow"), "{said}");
        }
        assert_eq!(address(&open, "evil.test", "127.0.0.1:80"), Ok(()));
        let said = address(&open, "evil.test", "169.254.169.254:80").expect_err("refused");
        assert!(said.contains("169.254.169.254, the address of evil.test:80"), "{said}");
    }

    #[test]
    fn a_list_allows_what_it_lists_and_nothing_else() {
        let hosts = listed(Some(&["*.shop.test:443", "db.internal", "10.1.0.0/16:8000-8100"]), &["bad.shop.test"]);
        assert_eq!(name(&hosts, "api.shop.test", 443), Ok(()));
        assert_eq!(name(&hosts, "API.Shop.Test.", 443), Ok(()));
        assert_eq!(name(&hosts, "db.internal", 5432), Ok(()));
        assert_eq!(name(&hosts, "10.1.2.3", 8080), Ok(()));
        let said = name(&hosts, "api.shop.test", 80).expect_err("another port");
        assert!(said.contains("policy.yaml:3") && said.contains("hosts.allow"), "{said}");
        assert!(name(&hosts, "bad.shop.test", 443).expect_err("denied").contains("bad.shop.test"));
        assert!(name(&hosts, "10.1.2.3", 22).is_err() && name(&hosts, "10.2.0.1", 8080).is_err());
        // Of a name that no pattern names, the address decides, once it is known.
        assert_eq!(name(&hosts, "other.test", 8080), Ok(()));
        assert_eq!(address(&hosts, "other.test", "10.1.9.9:8080"), Ok(()));
        assert!(address(&hosts, "other.test", "10.9.9.9:8080").is_err());
        assert!(name(&hosts, "other.test", 443).is_err(), "no range takes this port");
    }

    #[test]
    fn a_name_that_is_allowed_does_not_lead_to_what_is_guarded() {
        let hosts = listed(Some(&["*.shop.test", "*"]), &[]);
        assert_eq!(address(&hosts, "api.shop.test", "10.0.0.1:80"), Ok(()));
        for inside in ["127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "169.254.169.254:80", "[::ffff:127.0.0.1]:80"] {
            assert!(address(&hosts, "api.shop.test", inside).is_err(), "{inside}");
        }
        let here = listed(Some(&["localhost:9090", "127.0.0.0/8:80", "169.254.169.254"]), &[]);
        assert_eq!(address(&here, "localhost", "127.0.0.1:9090"), Ok(()));
        assert_eq!(address(&here, "localhost", "[::1]:9090"), Ok(()));
        assert!(address(&here, "localhost", "127.0.0.1:9091").is_err());
        assert!(address(&here, "other.test", "127.0.0.1:9090").is_err(), "only the name localhost was listed");
        assert_eq!(address(&here, "other.test", "127.0.0.1:80"), Ok(()));
        assert_eq!(address(&here, "169.254.169.254", "169.254.169.254:80"), Ok(()));
        let wide = listed(Some(&["0.0.0.0/0", "::/0"]), &[]);
        assert_eq!(address(&wide, "8.8.8.8", "8.8.8.8:53"), Ok(()));
        assert!(address(&wide, "x.test", "169.254.169.254:80").is_err(), "a wide range does not mean it");
    }

    #[test]
    fn what_is_denied_is_denied_by_address_too() {
        let hosts = listed(None, &["10.0.0.0/8", "*.evil.test"]);
        assert!(address(&hosts, "fine.test", "10.2.3.4:80").is_err());
        assert!(address(&hosts, "fine.test", "[64:ff9b::a02:304]:80").is_err());
        assert!(name(&hosts, "a.evil.test", 80).is_err() && address(&hosts, "a.evil.test", "9.9.9.9:1").is_err());
        assert_eq!(address(&hosts, "fine.test", "9.9.9.9:80"), Ok(()));
    }

    #[test]
    fn patterns_that_match_nothing_are_mistakes() {
        for bad in ["http://x", "10.*", "h:0", "h:http", "h:9-1", "", "a b", "[::1", "10.0.0.0/40", "[::1]x"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
