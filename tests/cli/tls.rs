//! Tests of HTTPS on the command line: a worker with a certificate, commands that ask it, and a
//! certificate that is renewed.

use rustix::process::Signal;

use crate::common::TestResult;
use crate::common::certificates::Authority;
use crate::common::https::connect;
use crate::program::{Worker, comes, run, run_with, succeed};

#[test]
fn commands_speak_https_and_a_hangup_renews_the_certificate() -> TestResult {
    let (authority, next) = (Authority::new(), Authority::new());
    let issued = authority.issue("worker", "127.0.0.1");
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (certificate, key, ca) = (path(&issued.certificate), path(&issued.key), path(&authority.path()));
    let worker = Worker::start(&["--web-tls-cert", &certificate, "--web-tls-key", &key]);
    let web = worker.web();
    let address: std::net::SocketAddr = web.parse()?;

    let sent = succeed(&["send", "words", "tea", "--web", &web, "--web-tls-ca", &ca]);
    assert!(sent.out.contains("sent to topic words"), "{sent:?}");
    let environment = [("MARLOWE_WEB_TLS_CERT", certificate.as_str())];
    let rows = || run_with(&["table", "counts", "tea", "--json", "--web", &web], &environment);
    assert!(comes(|| rows().out.contains("\"value\":1")), "{:?}", rows());
    run(&["table", "counts", "--web", &web]).fails(1, &["speaks HTTPS", "--web-tls-cert"]);
    let other = path(&next.path());
    run(&["table", "counts", "--web", &web, "--web-tls-ca", &other]).fails(1, &["certificate"]);

    // The same files get a certificate and a key that another authority signed.
    let shakes_hands =
        |authority: &Authority| connect(address, "127.0.0.1", &authority.path(), &[&rustls::version::TLS13]).is_ok();
    assert!(shakes_hands(&authority) && !shakes_hands(&next));
    let renewed = next.issue("worker", "127.0.0.1");
    std::fs::copy(&renewed.certificate, &issued.certificate)?;
    // The new key is not in its file yet.
    worker.signal(Signal::HUP);
    assert!(comes(|| worker.err().contains("stay as they were")), "{}", worker.err());
    assert!(shakes_hands(&authority) && !shakes_hands(&next), "what was read before stays");
    std::fs::copy(&renewed.key, &issued.key)?;
    worker.signal(Signal::HUP);
    assert!(comes(|| shakes_hands(&next)), "{}", worker.err());
    assert!(!shakes_hands(&authority));
    assert!(rows().out.contains("\"value\":1"), "commands read the file each time");
    let said = worker.stop();
    assert!(said.err.contains("read again"), "{said:?}");
    Ok(())
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    for (given, missing) in [("--web-tls-cert", "--web-tls-key"), ("--web-tls-key", "--web-tls-cert")] {
        run(&["worker", given, "x.pem"]).fails(1, &[given, missing]);
    }
    run(&["worker", "--web-tls-cert", "no-such.pem", "--web-tls-key", "no-such.key"]).fails(1, &["no-such.pem"]);
}
