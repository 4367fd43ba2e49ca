//! Tests of a client whose broker answers for a moment that there are no brokers, as a starting
//! broker does.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::KafkaConfig;
use crate::native::{Client, Configuration, Kind};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// The broker's answer to a client that asks for metadata.
#[derive(Clone, Copy)]
enum Answers {
    /// The broker itself is the cluster.
    Itself,
    /// The broker itself is the cluster. The broker then closes the connection.
    ItselfAndCloses,
    /// There are no brokers, and the topic has no leader.
    Nobody,
}

/// A server that speaks as much of Kafka's protocol as a client needs to ask for metadata.
struct OneBroker {
    port: u16,
    answers: AtomicU8,
}

impl OneBroker {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Arc::new(Self { port, answers: AtomicU8::new(Answers::Itself as u8) });
        let served = broker.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let broker = served.clone();
                // Ends with an error when the client closes the connection.
                std::thread::spawn(move || broker.serve(stream).ok());
            }
        });
        broker
    }

    fn answers(&self, answers: Answers) {
        self.answers.store(answers as u8, Ordering::SeqCst);
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut request = vec![0; i32::from_be_bytes(length) as usize];
            stream.read_exact(&mut request)?;
            let api = i16::from_be_bytes([request[0], request[1]]);
            let answers = self.answers.load(Ordering::SeqCst);
            let mut answer = request[4..8].to_vec();
            answer.extend(match api {
                API_VERSIONS => versions(),
                _ => self.metadata(answers),
            });
            let length = (answer.len() as i32).to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat())?;
            if api == METADATA && answers == Answers::ItselfAndCloses as u8 {
                return Ok(());
            }
        }
    }

    /// Returns an answer of version 1, with one topic that has one partition.
    fn metadata(&self, answers: u8) -> Vec<u8> {
        let is_there = answers != Answers::Nobody as u8;
        let mut body = Vec::new();
        body.extend(i32::from(is_there).to_be_bytes());
        if is_there {
            body.extend(1_i32.to_be_bytes());
            body.extend(string("127.0.0.1"));
            body.extend(i32::from(self.port).to_be_bytes());
            body.extend((-1_i16).to_be_bytes()); // rack
        }
        body.extend((if is_there { 1_i32 } else { -1 }).to_be_bytes()); // controller id
        body.extend(1_i32.to_be_bytes());
        body.extend(0_i16.to_be_bytes());
        body.extend(string("events"));
        body.push(0); // is internal
        body.extend(1_i32.to_be_bytes());
        const LEADER_NOT_AVAILABLE: i16 = 5;
        body.extend((if is_there { 0 } else { LEADER_NOT_AVAILABLE }).to_be_bytes());
        body.extend(0_i32.to_be_bytes());
        body.extend((if is_there { 1_i32 } else { -1 }).to_be_bytes());
        body.extend([0; 8]); // replicas, in-sync replicas
        body
    }
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes(), text.as_bytes()].concat()
}

/// Returns an answer of version 3: metadata in version 1 at most, and the versions themselves.
fn versions() -> Vec<u8> {
    let mut body = vec![0, 0, 3];
    for (api, most) in [(METADATA, 1_i16), (API_VERSIONS, 3)] {
        body.extend([api.to_be_bytes(), 1_i16.to_be_bytes(), most.to_be_bytes()].concat());
        body.push(0);
    }
    body.extend([0; 5]); // throttle time, no tags
    body
}

/// Asks for metadata until it has `brokers` brokers. Asks as often as a busy machine may need.
fn asks_until(client: &Client, brokers: usize) {
    const EACH: Duration = Duration::from_millis(500);
    let mut last = None;
    for _ in 0..40 {
        match client.metadata(Some("events"), EACH) {
            Ok(metadata) if metadata.brokers.len() == brokers => return,
            other => last = Some(other.map(|metadata| metadata.brokers.len())),
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("the client does not find {brokers} brokers: {last:?}");
}

#[test]
fn n5_a_client_that_was_told_of_no_broker_finds_them_again() {
    let broker = OneBroker::start();
    let config = KafkaConfig::new(format!("127.0.0.1:{}", broker.port))
        .set("reconnect.backoff.ms", "1")
        .set("reconnect.backoff.max.ms", "10");
    for _ in 0..ROUNDS {
        broker.answers(Answers::Itself);
        let client = Client::new(Kind::Consumer, &Configuration::new(&config, &[])).unwrap();
        asks_until(&client, 1);
        // The answer arrives together with the end of the connection. librdkafka may not recover
        // from that.
        broker.answers(Answers::ItselfAndCloses);
        for _ in 0..10 {
            asks_until(&client, 1);
        }
        broker.answers(Answers::Nobody);
        asks_until(&client, 0);
        broker.answers(Answers::Itself);
        asks_until(&client, 1);
    }
}

const ROUNDS: usize = 5;
