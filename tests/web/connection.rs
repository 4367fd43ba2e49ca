//! Tests of a connection that a client keeps open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use marlowe::axum::{Router, routing::post};

use crate::common::TestResult;
use crate::common::wait::pause;
use crate::program::program;

/// A connection on which a body comes some time after its headers, as from most clients over a
/// network.
struct Slow(BufReader<TcpStream>);

impl Slow {
    async fn ask(&mut self, head: &str, body: &[u8]) -> std::io::Result<u16> {
        write!(self.0.get_mut(), "{head}\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len())?;
        pause(50).await;
        self.0.get_mut().write_all(body)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{head}: no status in `{line}`"));
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                Some((name, value)) => assert!(!name.eq_ignore_ascii_case("connection"), "{head}: {name}: {value}"),
                None => break,
            }
        }
        self.0.read_exact(&mut vec![0; length])?;
        Ok(status)
    }
}

#[tokio::test]
async fn a_connection_is_kept_if_the_answer_does_not_need_the_body() -> TestResult {
    let mut program = program();
    program.app.web(|_| Router::new().route("/bodiless", post(async || "done")));
    let (running, _clients) = program.start(1).await?;
    let stream = TcpStream::connect(running.web_addresses()[0])?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut connection = Slow(BufReader::new(stream));
    let large = vec![b'1'; 3 << 20];
    for (head, body, status) in [
        ("POST /tables/pages/home HTTP/1.1\r\norigin: http://elsewhere.example", &b"1"[..], 403),
        ("POST /nothing HTTP/1.1", b"1", 404),
        ("POST /tables/nope/home HTTP/1.1", b"1", 404),
        ("PUT /metrics HTTP/1.1", b"1", 405),
        ("POST /tables/pages/home HTTP/1.1", &large, 413),
        ("POST /bodiless HTTP/1.1", &large, 200),
        ("POST /tables/pages/home HTTP/1.1", b"1", 202),
    ] {
        assert_eq!(connection.ask(head, body).await?, status, "{head}");
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_ends_if_the_rest_of_a_body_does_not_come() -> TestResult {
    let (running, _clients) = program().start(1).await?;
    let mut stream = TcpStream::connect(running.web_addresses()[0])?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(b"POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n1")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
    running.stop().await?;
    Ok(())
}
