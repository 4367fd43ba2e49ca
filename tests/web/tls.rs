//! Tests of HTTPS: the certificate that a worker shows, and clients that do not speak HTTPS.

use std::net::TcpStream;
use std::time::Duration;

use marlowe::config::{WebTls, WebToken};
use marlowe::{Config, Running};
use rustls::version::{TLS12, TLS13};

use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::certificates::{Authority, Issued};
use crate::common::https::{ask, connect};
use crate::common::worker;
use crate::program::program;

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS12, &TLS13];

fn tls(issued: &Issued) -> WebTls {
    WebTls::new(&issued.certificate, &issued.key)
}

async fn start(config: Config) -> TestResult<Running> {
    Ok(worker::start(program().app, config.web(any_port())).await?)
}

#[tokio::test]
async fn a_worker_with_a_certificate_speaks_https_and_tells_others_so() -> TestResult {
    let (authority, other) = (Authority::new(), Authority::new());
    let issued = authority.issue("worker", "127.0.0.1");
    let config = Config::default().web_tls(tls(&issued)).web_token(WebToken::write("open-sesame"));
    let running = start(config).await?;
    let address = running.web_addresses()[0];
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let answer = ask(connect(address, "127.0.0.1", &authority.path(), versions)?, "GET", "/healthz", "", "");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"app\""), "{answer}");
    }
    // A client does not accept the certificate under another name, or if it trusts another
    // authority.
    assert!(connect(address, "localhost", &authority.path(), BOTH).is_err());
    assert!(connect(address, "127.0.0.1", &other.path(), BOTH).is_err());
    // The cookie of a browser's session is sent over TLS only.
    let connection = connect(address, "127.0.0.1", &authority.path(), BOTH)?;
    let form = "content-type: application/x-www-form-urlencoded\r\norigin: https://127.0.0.1\r\n";
    let login = ask(connection, "POST", "/login", form, "token=open-sesame");
    assert!(login.starts_with("HTTP/1.1 303 ") && login.contains("; Secure"), "{login}");
    // A client that speaks plain HTTP is told so, whatever its request is.
    for method in ["GET", "POST", "OPTIONS"] {
        let plain = ask(TcpStream::connect(address)?, method, "/healthz", "", "");
        assert!(plain.starts_with("HTTP/1.1 400 ") && plain.contains("speaks HTTPS"), "{plain}");
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_client_without_a_handshake_counts_and_is_cut_off() -> TestResult {
    let authority = Authority::new();
    let mut config = Config::default().web_tls(tls(&authority.issue("worker", "127.0.0.1"))).web_connections(2);
    config.web_limits.headers = Duration::from_millis(500);
    let running = start(config).await?;
    let address = running.web_addresses()[0];
    let silent = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    // Connections beyond the cap may still ask for the worker's health, over TLS.
    let healthy = |path: &str| {
        let connection = connect(address, "127.0.0.1", &authority.path(), BOTH)?;
        Ok::<_, std::io::Error>(ask(connection, "GET", path, "", ""))
    };
    assert!(healthy("/tables")?.starts_with("HTTP/1.1 503 "));
    assert!(healthy("/healthz")?.starts_with("HTTP/1.1 200 "));
    for mut connection in silent {
        connection.set_read_timeout(Some(Duration::from_secs(20)))?;
        assert_eq!(std::io::Read::read(&mut connection, &mut [0; 1])?, 0, "it is closed");
    }
    assert!(healthy("/tables")?.starts_with("HTTP/1.1 200 "));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let authority = Authority::new();
    let (one, two) = (authority.issue("one", "127.0.0.1"), authority.issue("two", "127.0.0.1"));
    let (empty, missing) = (authority.folder().join("empty.pem"), authority.folder().join("missing.pem"));
    std::fs::write(&empty, "nothing\n").unwrap();
    let cut = authority.folder().join("cut.pem");
    let whole = std::fs::read_to_string(&one.certificate).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let wrong = [
        (WebTls::new(&missing, &one.key), "missing.pem"),
        (WebTls::new(&empty, &one.key), "empty.pem"),
        (WebTls::new(&cut, &one.key), "cut.pem"),
        (WebTls::new(&one.certificate, &missing), "missing.pem"),
        (WebTls::new(&one.certificate, &one.certificate), "one.pem"),
        (WebTls::new(&one.certificate, &two.key), "two.key"),
        (tls(&one).and_trust(&missing), "missing.pem"),
        (WebTls::trusting(&empty), "empty.pem"),
    ];
    for (tls, named) in wrong {
        let shown = format!("{tls:?}");
        let error = program().app.start(Config::default().web(any_port()).web_tls(tls)).await.err();
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(named), "{shown}: {error}");
    }
    let advertised = Config::default().web(any_port()).web_tls(tls(&one)).advertise("http://h:1");
    let error = program().app.start(advertised).await.err().unwrap().to_string();
    assert!(error.contains("http://h:1") && error.contains("speaks HTTPS"), "{error}");
}
