//! One question to a DNS resolver, as RFC 1035 has it: over UDP, and over TCP when the answer does not fit (RFC 7766) or
//! that is asked for. Nothing is cached, no search list is applied, and the answer's code is handed on as it came.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout_at;

/// The port of DNS.
pub const PORT: u16 = 53;

/// How long to wait for an answer before the question is sent again: a datagram may get lost.
const AGAIN: Duration = Duration::from_secs(1);

/// How many names an answer may lead through.
const MOST_ALIASES: usize = 16;

/// The types of records that can be asked for.
pub const TYPES: &[&str] = &["A", "AAAA", "CNAME", "MX", "TXT", "NS", "SRV", "CAA", "PTR", "SOA"];

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    name: Name,
    kind: RecordType,
}

/// What a resolver answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL` …, as the registry of RCODEs writes them.
    pub rcode: String,
    /// The records of the type that was asked for, each as text with its time to live.
    pub records: Vec<(String, u32)>,
    /// The names that the question led through, each an alias of the next.
    pub aliases: Vec<String>,
    /// The lowest time to live of the records and of the aliases that led to them, in seconds.
    pub ttl: Option<u32>,
    /// Who answered.
    pub server: SocketAddr,
    /// Whether the answer came over TCP.
    pub tcp: bool,
    /// Whether it was too long for UDP.
    pub truncated: bool,
    /// From the question until the answer.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

impl Question {
    /// Makes a question of a name and one of [`TYPES`]. The name is taken as a whole one, whether it ends with a dot or
    /// not; an address is turned into the name under which its PTR record stands (RFC 1035 section 3.5, RFC 3596).
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn new(name: &str, kind: &str) -> Result<Self, String> {
        let kind = kind.parse::<RecordType>().map_err(|_| format!("{kind:?} is not a type of records"))?;
        let text = name.trim();
        let text = match text.parse::<IpAddr>() {
            Ok(ip) if kind == RecordType::PTR => reverse(ip),
            Ok(_) => return Err(format!("{text} is an address; only PTR records are asked for by address")),
            Err(_) => text.to_owned(),
        };
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '/' || c == ':') {
            return Err(format!("{text:?} is not a name"));
        }
        let mut name = Name::from_utf8(&text).map_err(|e| format!("{text:?} is not a name: {e}"))?;
        name.set_fqdn(true);
        Ok(Self { name, kind })
    }
}

/// Lists the resolvers of the system, as `/etc/resolv.conf` names them. Blocks.
///
/// # Errors
/// Says that the file cannot be read, or names none.
pub fn system() -> Result<Vec<SocketAddr>, NoAnswer> {
    let (config, _) = read_system_conf().map_err(|e| NoAnswer(format!("the system's resolvers are not known: {e}")))?;
    let port =
        |connections: &[hickory_resolver::config::ConnectionConfig]| connections.first().map_or(PORT, |c| c.port);
    let mut all: Vec<SocketAddr> = Vec::new();
    for server in config.name_servers() {
        let address = SocketAddr::new(server.ip, port(&server.connections));
        if !all.contains(&address) {
            all.push(address);
        }
    }
    match all.is_empty() {
        true => Err(NoAnswer("the system names no resolver".to_owned())),
        false => Ok(all),
    }
}

/// Asks resolvers in turn until one answers, within `timeout` for all.
///
/// # Errors
/// Says why none did. An answer that says that the resolver itself failed is an answer.
pub async fn ask(
    resolvers: &[SocketAddr],
    question: &Question,
    tcp: bool,
    timeout: Duration,
) -> Result<Answer, NoAnswer> {
    let until = tokio::time::Instant::now() + timeout.min(Duration::from_secs(31_536_000));
    let mut first = None;
    for (n, server) in resolvers.iter().enumerate() {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        // Each gets its share of what is left, the last one all of it.
        let share = tokio::time::Instant::now() + left / u32::try_from(resolvers.len() - n).unwrap_or(1);
        match ask_one(*server, question, tcp, share).await {
            Ok(answer) => return Ok(answer),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| NoAnswer("there is no resolver to ask".to_owned())))
}

async fn ask_one(
    server: SocketAddr,
    question: &Question,
    tcp: bool,
    until: tokio::time::Instant,
) -> Result<Answer, NoAnswer> {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(question.name.clone(), question.kind));
    let bytes = message.to_vec().map_err(|e| NoAnswer(format!("the question cannot be written: {e}")))?;
    let begun = Instant::now();
    let silent = || NoAnswer(format!("no answer from the resolver {server}"));
    let mut truncated = false;
    let mut over_tcp = tcp;
    let answer = loop {
        let asked = match over_tcp {
            true => timeout_at(until, by_tcp(server, &bytes, &message)).await,
            false => timeout_at(until, by_udp(server, &bytes, &message)).await,
        };
        let answer = asked.map_err(|_| silent())??;
        if !answer.metadata.truncation {
            break answer;
        }
        if over_tcp {
            return Err(NoAnswer(format!("the resolver {server} cut its answer even over TCP")));
        }
        (truncated, over_tcp) = (true, true);
    };
    let (records, aliases, ttl) = gather(&answer, question)?;
    let rcode = code(answer.metadata.response_code);
    Ok(Answer { rcode, records, aliases, ttl, server, tcp: over_tcp, truncated, took: begun.elapsed() })
}

/// Asks over UDP until an answer to just this question comes. What else comes is not from whom was asked, or late.
async fn by_udp(server: SocketAddr, bytes: &[u8], message: &Message) -> Result<Message, NoAnswer> {
    let fault = |e: std::io::Error| NoAnswer(format!("the resolver {server} cannot be asked: {}", plain(&e)));
    let own: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0)).await.map_err(fault)?;
    // A connected socket hears nobody but the resolver, and hears of a port where nobody listens.
    socket.connect(server).await.map_err(fault)?;
    let mut buffer = vec![0; 65_535];
    loop {
        socket.send(bytes).await.map_err(fault)?;
        let again = tokio::time::Instant::now() + AGAIN;
        while let Ok(received) = timeout_at(again, socket.recv(&mut buffer)).await {
            let datagram = &buffer[..received.map_err(fault)?];
            if let Some(answer) = read(server, datagram, message)? {
                return Ok(answer);
            }
        }
    }
}

async fn by_tcp(server: SocketAddr, bytes: &[u8], message: &Message) -> Result<Message, NoAnswer> {
    let fault = |e: std::io::Error| NoAnswer(format!("the resolver {server} cannot be asked over TCP: {}", plain(&e)));
    let mut stream = TcpStream::connect(server).await.map_err(fault)?;
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await.map_err(fault)?;
    let length = stream.read_u16().await.map_err(fault)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(fault)?;
    let foreign = || NoAnswer(format!("the resolver {server} answered another question"));
    read(server, &answer, message)?.ok_or_else(foreign)
}

/// Reads an answer; nothing when it is none to this question.
fn read(server: SocketAddr, bytes: &[u8], asked: &Message) -> Result<Option<Message>, NoAnswer> {
    if bytes.get(..2) != Some(&asked.metadata.id.to_be_bytes()) {
        return Ok(None);
    }
    let nonsense = |cause: String| NoAnswer(format!("the resolver {server} answered nonsense: {cause}"));
    let answer = Message::from_vec(bytes).map_err(|e| nonsense(e.to_string()))?;
    if answer.metadata.message_type != MessageType::Response {
        return Err(nonsense("a question instead of an answer".to_owned()));
    }
    let same = |(a, b): (&Query, &Query)| {
        a.query_type() == b.query_type() && a.name().to_lowercase() == b.name().to_lowercase()
    };
    let echoed = answer.queries.len() == asked.queries.len() && answer.queries.iter().zip(&asked.queries).all(same);
    // A resolver that could not even read the question may leave it out of its answer.
    let unread = answer.queries.is_empty() && answer.metadata.response_code != ResponseCode::NoError;
    Ok((echoed || unread).then_some(answer))
}

type Gathered = (Vec<(String, u32)>, Vec<String>, Option<u32>);

/// Takes the records that were asked for out of an answer, along its aliases: what else stands in it answers nothing.
fn gather(answer: &Message, question: &Question) -> Result<Gathered, NoAnswer> {
    let mut name = question.name.to_lowercase();
    let mut aliases = Vec::new();
    let mut ttls = Vec::new();
    let of = |name: &Name| answer.answers.iter().filter(|r| r.name.to_lowercase() == *name).collect::<Vec<&Record>>();
    while question.kind != RecordType::CNAME && aliases.len() <= MOST_ALIASES {
        let alias = of(&name).into_iter().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.to_lowercase(), record.ttl)),
            _ => None,
        });
        let Some((target, ttl)) = alias else { break };
        aliases.push(words(&name));
        ttls.push(ttl);
        name = target;
    }
    if aliases.len() > MOST_ALIASES {
        return Err(NoAnswer(format!("the answer leads through more than {MOST_ALIASES} names")));
    }
    let found = of(&name).into_iter().filter(|record| record.record_type() == question.kind);
    let mut records: Vec<(String, u32)> = found.map(|record| (text(&record.data), record.ttl)).collect();
    records.sort();
    ttls.extend(records.iter().map(|(_, ttl)| *ttl));
    let ttl = if records.is_empty() { None } else { ttls.into_iter().min() };
    Ok((records, aliases, ttl))
}

/// Writes the content of a record: as in a zone file, names without their last dot.
fn text(data: &RData) -> String {
    match data {
        RData::CNAME(name) => words(&name.0),
        RData::NS(name) => words(&name.0),
        RData::PTR(name) => words(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, words(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, words(&srv.target)),
        // The parts of one record belong together: each holds 255 bytes at most.
        RData::TXT(txt) => txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect(),
        RData::CAA(caa) => format!("{} {} \"{}\"", caa.flags(), caa.tag, String::from_utf8_lossy(&caa.value)),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            words(&soa.mname),
            words(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        other => other.to_string(),
    }
}

/// Writes a name without its last dot; the root is a dot alone.
fn words(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(bare) => bare.to_owned(),
    }
}

/// Writes an answer's code as the registry does.
fn code(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

fn reverse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(six) => {
            let digits = six.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            digits.map(|digit| format!("{digit:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

fn plain(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_make_questions() {
        let name = |name: &str, kind: &str| Question::new(name, kind).map(|q| q.name.to_ascii());
        assert_eq!(name("example.com", "A").as_deref(), Ok("example.com."));
        assert_eq!(name("_dmarc.example.com.", "TXT").as_deref(), Ok("_dmarc.example.com."));
        assert_eq!(name("10.0.0.1", "PTR").as_deref(), Ok("1.0.0.10.in-addr.arpa."));
        let six = name("2001:db8::1", "PTR").expect("an address");
        assert!(six.starts_with("1.0.0.0.") && six.ends_with("8.b.d.0.1.0.0.2.ip6.arpa."), "{six}");
        for (bad, kind) in [("10.0.0.1", "A"), ("", "A"), ("a b", "A"), ("http://x", "A"), ("x..y", "A"), ("x", "ZZ")] {
            assert!(Question::new(bad, kind).is_err(), "{bad} {kind}");
        }
        assert!(TYPES.iter().all(|kind| Question::new("x.test", kind).is_ok()));
    }
}
