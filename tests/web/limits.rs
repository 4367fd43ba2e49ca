//! Tests of clients that are slow, idle, many, or never read. Limits bound them, and the worker
//! still answers for its health.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use marlowe::axum::{Router, routing::get, routing::post};
use marlowe::{Config, Running};
use parking_lot::{Condvar, Mutex};

use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::wait::{eventually, holds_within, pause};
use crate::common::worker;
use crate::program::{Program, program};

/// The longest time that a test waits for an answer, which is longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest time after which connections that ended make room for others. It is shorter than the
/// time after which the server itself closes slow and idle connections.
const ROOM_WITHIN: Duration = Duration::from_secs(15);

/// A request that only a connection within the cap may make.
const TABLES: &str = "GET /tables HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A connection that sends what it is told to, and no more.
struct Raw(TcpStream);

impl Raw {
    fn open(address: SocketAddr, text: &str) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(text.as_bytes())?;
        Ok(Self(stream))
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    /// Returns all that comes until the server closes the connection.
    fn rest(&mut self) -> String {
        let mut all = Vec::new();
        // A connection that is reset is closed too.
        let _ = self.0.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Returns the head of an answer, and the part of its body that came with it.
    fn answer(&mut self) -> std::io::Result<String> {
        let (mut all, mut some) = (Vec::new(), [0; 4096]);
        loop {
            let count = self.0.read(&mut some)?;
            all.extend_from_slice(&some[..count]);
            let text = String::from_utf8_lossy(&all).into_owned();
            if count == 0 || text.contains("\r\n\r\n") {
                return Ok(text);
            }
        }
    }
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The head of a change whose body is still to come.
const CHANGE: &str = "POST /tables/pages/home HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n";

async fn start(program: Program, limit: impl FnOnce(&mut Config)) -> TestResult<(Running, SocketAddr)> {
    let mut config = Config::default().web(any_port());
    limit(&mut config);
    let running = worker::start(program.app, config).await?;
    let address = running.web_addresses()[0];
    Ok((running, address))
}

#[tokio::test]
async fn an_unfinished_head_is_closed_sooner_than_an_idle_connection() -> TestResult {
    let (running, address) = start(program(), |config| {
        config.web_limits.headers = Duration::from_millis(300);
        config.web_limits.idle = Duration::from_millis(2500);
    })
    .await?;
    let mut idle = Raw::open(address, "")?;
    let mut kept = Raw::open(address, HEALTH)?;
    assert!(kept.answer()?.starts_with("HTTP/1.1 200"));
    let mut slow = Raw::open(address, "GET /healthz HTTP/1.1\r\nhost: loc")?;
    assert_eq!(slow.rest(), "", "it is closed");
    // Connections that have begun no request are still open. The first one begins a request now, is
    // slow, and is then closed.
    idle.say("GET /heal")?;
    assert_eq!(idle.rest(), "");
    kept.say(HEALTH)?;
    assert!(kept.answer()?.starts_with("HTTP/1.1 200"));
    assert_eq!(kept.rest(), "", "an idle one is closed in the end");
    assert!(Raw::open(address, HEALTH)?.answer()?.starts_with("HTTP/1.1 200"));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_body_without_progress_gets_408_and_a_slow_one_is_read() -> TestResult {
    let mut program = program();
    program.app.web(|_| Router::new().route("/own", post(async |body: String| body)));
    let (running, address) = start(program, |config| config.web_limits.body = Duration::from_millis(600)).await?;
    for path in ["/tables/pages/home", "/own"] {
        let head = CHANGE.replace("/tables/pages/home", path);
        let answer = Raw::open(address, &format!("{head}1"))?.rest();
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{path}: {answer}");
        assert!(answer.contains("made no progress") || answer.contains("nothing of the request's body"), "{answer}");
    }
    let mut slow = Raw::open(address, &CHANGE.replace("100", "6"))?;
    for digit in 0..6 {
        pause(200).await;
        slow.say(&format!("{}", digit + 1))?;
    }
    assert!(slow.answer()?.starts_with("HTTP/1.1 202"));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() -> TestResult {
    let mut program = program();
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let tell = Arc::new(Mutex::new(Some(tell)));
    // The body holds the sender, so the receiver learns when the body is dropped.
    program.app.web(move |_| {
        let tell = tell.clone();
        Router::new().route(
            "/large",
            get(move || {
                let held = tell.lock().take();
                async move {
                    let pieces = futures_util::stream::repeat_with(move || {
                        let _held = &held;
                        Ok::<_, std::convert::Infallible>(vec![b'x'; 1 << 16])
                    });
                    marlowe::axum::body::Body::from_stream(pieces)
                }
            }),
        )
    });
    let (running, address) = start(program, |config| config.web_limits.write = Duration::from_millis(300)).await?;
    let _silent = Raw::open(address, "GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    // The answer has no end, so only the server can end it.
    assert!(tokio::time::timeout(PATIENCE, told).await?.is_err(), "the body is dropped");
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn beyond_the_cap_only_health_is_answered_until_others_end() -> TestResult {
    let (running, address) = start(program(), |config| config.web_limits.connections = Some(3)).await?;
    let mut held: Vec<Raw> = (0..3).map(|_| Raw::open(address, HEALTH)).collect::<Result<_, _>>()?;
    for connection in &mut held {
        assert!(connection.answer()?.starts_with("HTTP/1.1 200"));
    }
    // Many connections that ask for nothing do not hold up a request for the worker's health.
    let _silent: Vec<Raw> = (0..200).map(|_| Raw::open(address, "")).collect::<Result<_, _>>()?;
    for _ in 0..3 {
        for path in ["/healthz", "/readyz"] {
            let answer = Raw::open(address, &HEALTH.replace("/healthz", path))?.rest();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{path}: {answer}");
        }
        let answer = Raw::open(address, TABLES)?.rest();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("which is its limit"), "{answer}");
    }
    drop(held);
    let answers = async || {
        let answer = Raw::open(address, TABLES).and_then(|mut connection| connection.answer());
        answer.unwrap().starts_with("HTTP/1.1 200")
    };
    assert!(holds_within(ROOM_WITHIN, answers).await, "the connections that ended make no room");
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn slow_and_idle_clients_hold_up_neither_health_nor_events() -> TestResult {
    let program = program();
    let visits = program.visits;
    let (mut running, address) = start(program, |config| config.web_limits.connections = Some(400)).await?;
    let slow: Vec<Raw> = (0..300).map(|_| Raw::open(address, &format!("{CHANGE}1"))).collect::<Result<_, _>>()?;
    let idle: Vec<Raw> = (0..200).map(|_| Raw::open(address, "")).collect::<Result<_, _>>()?;
    let to_topic = running.open(visits);
    for number in 0..50u64 {
        assert!(Raw::open(address, HEALTH)?.answer()?.starts_with("HTTP/1.1 200"), "number {number}");
        to_topic.send(&format!("page-{number:04}"), &number).await?;
    }
    running.drain().await?;
    drop((slow, idle));
    let client = Client::new(address);
    let answers = async || client.get("/tables/totals/visits").status == 200;
    assert!(holds_within(ROOM_WITHIN, answers).await, "the connections that ended make no room");
    assert_eq!(client.get("/tables/totals/visits").expect(200)["value"], 50);
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_route_that_blocks_holds_up_neither_health_nor_tables() -> TestResult {
    let mut program = program();
    let blocked = Arc::new((Mutex::new(true), Condvar::new()));
    let (in_route, entered) = (blocked.clone(), Arc::new(Mutex::new(false)));
    let enter = entered.clone();
    program.app.web(move |_| {
        let (blocked, enter) = (in_route.clone(), enter.clone());
        let route = move || async move {
            *enter.lock() = true;
            let mut is_blocked = blocked.0.lock();
            while *is_blocked {
                blocked.1.wait(&mut is_blocked);
            }
            "done"
        };
        Router::new().route("/blocks", get(route))
    });
    let (running, address) = start(program, |_| {}).await?;
    let mut waits = Raw::open(address, "GET /blocks HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    eventually("the route is entered", async || *entered.lock()).await;
    let client = Client::new(address);
    client.get("/healthz").expect(200);
    client.get("/readyz").expect(200);
    client.post("/tables/pages/home?wait=5000", "1").expect(200);
    client.get("/tables/pages/home").expect(200);
    assert_eq!(client.get("/metrics").status, 200);
    *blocked.0.lock() = false;
    blocked.1.notify_all();
    let answer = waits.rest();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_of_the_programs_routes_comes_as_it_was_made() -> TestResult {
    let mut program = program();
    program.app.web(|_| {
        let pieces = async || {
            let pieces = futures_util::stream::iter(0..50).then(async |number| {
                tokio::task::yield_now().await;
                Ok::<_, std::convert::Infallible>(format!("{number} "))
            });
            marlowe::axum::body::Body::from_stream(pieces)
        };
        use futures_util::StreamExt;
        let broken = async || {
            let pieces = futures_util::stream::iter(0..2).then(async |number| {
                if number == 0 {
                    return Ok("begun".to_owned());
                }
                pause(100).await;
                Err(std::io::Error::other("no more"))
            });
            marlowe::axum::body::Body::from_stream(pieces)
        };
        Router::new()
            .route("/pieces", get(pieces))
            .route("/broken", get(broken))
            .route("/length", get(async || "four"))
            .route("/none", get(async || ()))
    });
    let (running, address) = start(program, |_| {}).await?;
    let client = Client::new(address);
    assert_eq!(client.get("/pieces").text, (0..50).map(|number| format!("{number} ")).collect::<String>());
    let length = client.get("/length");
    assert_eq!((length.text.as_str(), length.header("content-length")), ("four", "4"));
    assert_eq!((client.get("/none").status, client.get("/none").header("content-length")), (200, "0"));
    assert_eq!(client.ask("HEAD", "/length", &[], "").header("content-length"), "4");
    let broken = Raw::open(address, "GET /broken HTTP/1.1\r\nhost: localhost\r\n\r\n")?.rest();
    assert!(broken.contains("begun") && !broken.ends_with("0\r\n\r\n"), "{broken}");
    client.get("/healthz").expect(200);
    running.stop().await?;
    Ok(())
}
