//! A test of SASL PLAIN on the listener for clients.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use kafka_cluster::{Cluster, ClusterConfig, Error};

/// Sends a request of Kafka's protocol without a client id. Returns the answer after the
/// correlation id.
fn ask(stream: &mut TcpStream, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = [api.to_be_bytes(), version.to_be_bytes()].concat();
    request.extend(7_i32.to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend(body);
    stream.write_all(&(request.len() as i32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

/// Tries to log in, and returns the error code of the answer.
fn log_in(cluster: &Cluster, user: &str, password: &str) -> io::Result<i16> {
    const HANDSHAKE: i16 = 17;
    const AUTHENTICATE: i16 = 36;
    let mut stream = TcpStream::connect(cluster.broker(1).address())?;
    let accepted = ask(&mut stream, HANDSHAKE, 1, b"\0\x05PLAIN")?;
    assert_eq!(accepted[..2], [0, 0], "PLAIN is offered");
    let login = format!("\0{user}\0{password}");
    let body = [&(login.len() as i32).to_be_bytes(), login.as_bytes()].concat();
    let answer = ask(&mut stream, AUTHENTICATE, 0, &body)?;
    Ok(i16::from_be_bytes([answer[0], answer[1]]))
}

#[test]
fn a_cluster_with_users_lets_only_them_in() -> Result<(), Error> {
    let cluster = Cluster::start(ClusterConfig::one().sasl_plain("ada", "a \"quoted\\ one").sasl_plain("bob", "b"))?;
    const AUTHENTICATION_FAILED: i16 = 58;
    let code = |user, password| log_in(&cluster, user, password).expect("an answer");
    assert_eq!(code("ada", "a \"quoted\\ one"), 0);
    assert_eq!(code("bob", "b"), 0);
    assert_eq!(code("ada", "b"), AUTHENTICATION_FAILED);

    // Without a login, the broker does not answer a request for metadata.
    const METADATA: i16 = 3;
    let mut stream = TcpStream::connect(cluster.broker(1).address()).expect("connects");
    assert!(ask(&mut stream, METADATA, 4, &[0, 0, 0, 0, 0]).is_err());
    Ok(())
}
