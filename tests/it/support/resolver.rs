//! A DNS server on loopback that answers as a test tells it to, over UDP and TCP on one port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record};

/// How the server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It answers what it knows, and NXDOMAIN otherwise; an answer over UDP has 512 bytes at most.
    Honest,
    /// It answers only the second time that it is asked over UDP.
    Forgetful,
    /// It never answers.
    Silent,
    /// It says this code.
    Says(ResponseCode),
    /// It answers with the right number and nonsense behind it.
    Malformed,
    /// It answers another question first, then with another number, and then never.
    Foreign,
    /// It cuts its answers even over TCP.
    AlwaysCut,
}

/// A running server.
pub(crate) struct Resolver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<&'static str>>>,
    stop: Arc<AtomicBool>,
}

struct Zone {
    records: Vec<Record>,
    manner: Manner,
    asked: Arc<Mutex<Vec<&'static str>>>,
}

/// Makes a record of a name.
pub(crate) fn record(name: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(fqdn(name), ttl, data)
}

/// Makes a whole name.
pub(crate) fn fqdn(name: &str) -> Name {
    let mut name = Name::from_ascii(name).expect("a name");
    name.set_fqdn(true);
    name
}

impl Resolver {
    /// Starts a server that knows these records.
    pub(crate) fn start(manner: Manner, records: Vec<Record>) -> Self {
        let (udp, tcp) = pair();
        let address = udp.local_addr().expect("an address");
        let resolver = Self { address, asked: Arc::default(), stop: Arc::default() };
        let zone = Arc::new(Zone { records, manner, asked: Arc::clone(&resolver.asked) });
        let (stop, shared) = (Arc::clone(&resolver.stop), Arc::clone(&zone));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                for answer in shared.by_udp(&buffer[..length]) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let stop = Arc::clone(&resolver.stop);
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let zone = Arc::clone(&zone);
                thread::spawn(move || zone.by_tcp(stream));
            }
        });
        resolver
    }

    /// Tells how it was asked so far: `udp`, `tcp`.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"", self.address));
        let _ = TcpStream::connect(self.address);
    }
}

/// Finds a port that is free over both.
fn pair() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")) {
            return (udp, tcp);
        }
    }
    panic!("no port is free over both");
}

impl Zone {
    fn note(&self, how: &'static str) -> usize {
        let mut asked = self.asked.lock().expect("no panic");
        asked.push(how);
        asked.len()
    }

    fn by_udp(&self, question: &[u8]) -> Vec<Vec<u8>> {
        let Ok(question) = Message::from_vec(question) else { return Vec::new() };
        let times = self.note("udp");
        let whole = |message: &Message| message.to_vec().expect("a message");
        match self.manner {
            Manner::Silent => Vec::new(),
            Manner::Forgetful if times == 1 => Vec::new(),
            Manner::Malformed => {
                let mut bytes = question.metadata.id.to_be_bytes().to_vec();
                bytes.extend([0x81, 0x80, 0, 9, 0, 9, 0, 0, 0, 0, 0xff]);
                vec![bytes]
            }
            Manner::Foreign => {
                let mut other = self.answer(&question);
                other.queries[0].set_name(fqdn("other.test"));
                let mut late = self.answer(&question);
                late.metadata.id = late.metadata.id.wrapping_add(1);
                vec![b"?".to_vec(), whole(&other), whole(&late)]
            }
            Manner::Honest | Manner::Forgetful | Manner::Says(_) | Manner::AlwaysCut => {
                let answer = self.answer(&question);
                let bytes = whole(&answer);
                match bytes.len() > 512 || self.manner == Manner::AlwaysCut {
                    true => vec![whole(&answer.truncate())],
                    false => vec![bytes],
                }
            }
        }
    }

    fn by_tcp(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut question).is_err() {
            return;
        }
        let Ok(question) = Message::from_vec(&question) else { return };
        self.note("tcp");
        let answer = match self.manner {
            Manner::Silent => {
                let _ = stream.read(&mut length);
                return;
            }
            Manner::AlwaysCut => self.answer(&question).truncate(),
            _ => self.answer(&question),
        };
        let bytes = answer.to_vec().expect("a message");
        let length = u16::try_from(bytes.len()).expect("a short answer");
        let _ = stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat());
    }

    fn answer(&self, question: &Message) -> Message {
        let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.add_queries(question.queries.clone());
        if let Manner::Says(code) = self.manner {
            answer.metadata.response_code = code;
            return answer;
        }
        let query = &question.queries[0];
        let mut name = query.name().to_lowercase();
        let mut known = false;
        loop {
            let of_name: Vec<&Record> = self.records.iter().filter(|r| r.name.to_lowercase() == name).collect();
            known |= !of_name.is_empty();
            answer.add_answers(of_name.iter().filter(|r| r.record_type() == query.query_type()).copied().cloned());
            let alias = of_name.iter().find_map(|r| match &r.data {
                RData::CNAME(target) if r.record_type() != query.query_type() => Some(((*r).clone(), target.0.clone())),
                _ => None,
            });
            let Some((record, target)) = alias else { break };
            answer.add_answer(record);
            name = target.to_lowercase();
        }
        if !known {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        answer
    }
}
