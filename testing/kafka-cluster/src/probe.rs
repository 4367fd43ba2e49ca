//! The few requests of Kafka's protocol that tell whether a broker answers and what it knows. They
//! use old versions, which Kafka has supported for a long time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const API_VERSIONS: i16 = 18;

const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the listener for clients for its API versions. They are the one thing that a broker tells
/// before a login.
pub(crate) fn api_versions(address: SocketAddr) -> io::Result<()> {
    let mut answer = Answer(ask(address, API_VERSIONS, 0, &[])?);
    match answer.int16()? {
        0 => Ok(()),
        error => Err(io::Error::other(format!("answers with error {error}"))),
    }
}

/// The state of the cluster as one broker knows it.
pub(crate) struct Metadata {
    /// The ids of the brokers that are alive, in ascending order.
    pub(crate) brokers: Vec<i32>,
    /// The leader of the partition that was asked for, if it has one.
    pub(crate) leader: Option<i32>,
}

/// Asks a broker for the brokers that it knows, and for the leader of `partition` if one is given.
pub(crate) fn metadata(address: SocketAddr, partition: Option<(&str, i32)>) -> io::Result<Metadata> {
    let mut body = Vec::new();
    body.extend(i32::from(partition.is_some() as i16).to_be_bytes());
    if let Some((topic, _)) = partition {
        put_string(&mut body, topic);
    }
    body.push(0); // do not create the topic
    let mut answer = Answer(ask(address, METADATA, 4, &body)?);
    answer.int32()?; // throttle time
    let mut brokers = Vec::new();
    for _ in 0..answer.int32()? {
        brokers.push(answer.int32()?);
        answer.string()?; // host
        answer.int32()?; // port
        answer.string()?; // rack
    }
    brokers.sort_unstable();
    answer.string()?; // cluster id
    answer.int32()?; // controller id
    let mut leader = None;
    for _ in 0..answer.int32()? {
        answer.int16()?; // error code
        answer.string()?; // name
        answer.take(1)?; // is internal
        for _ in 0..answer.int32()? {
            answer.int16()?; // error code
            let (number, of) = (answer.int32()?, answer.int32()?);
            if partition.is_some_and(|(_, wanted)| wanted == number) && of >= 0 {
                leader = Some(of);
            }
            for _replicas_and_in_sync in 0..2 {
                for _ in 0..answer.int32()? {
                    answer.int32()?;
                }
            }
        }
    }
    Ok(Metadata { brokers, leader })
}

/// The kind of coordinator, with its number in the protocol.
#[derive(Clone, Copy)]
pub(crate) enum Coordinates {
    Group = 0,
    Transaction = 1,
}

/// Asks a broker which broker coordinates a group or a transactional id. Returns `None` while none
/// does.
pub(crate) fn coordinator(address: SocketAddr, of: Coordinates, key: &str) -> io::Result<Option<i32>> {
    let mut body = Vec::new();
    put_string(&mut body, key);
    body.push(of as u8);
    let mut answer = Answer(ask(address, FIND_COORDINATOR, 1, &body)?);
    answer.int32()?; // throttle time
    let error = answer.int16()?;
    answer.string()?; // message
    let node = answer.int32()?;
    Ok((error == 0 && node >= 0).then_some(node))
}

/// Sends a request on a connection of its own, and returns the body of the answer.
fn ask(address: SocketAddr, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = vec![0; 4];
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(1_i32.to_be_bytes()); // correlation id
    put_string(&mut request, "kafka-cluster");
    request.extend(body);
    let length = (request.len() - 4) as i32;
    request[..4].copy_from_slice(&length.to_be_bytes());

    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?];
    stream.read_exact(&mut answer)?;
    answer.drain(..answer.len().min(4)); // correlation id
    Ok(answer)
}

fn put_string(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as i16).to_be_bytes());
    to.extend(text.as_bytes());
}

struct Answer(Vec<u8>);

impl Answer {
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        if count > self.0.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.0.drain(..count).collect())
    }

    fn int16(&mut self) -> io::Result<i16> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int32(&mut self) -> io::Result<i32> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Skips a string. The length -1 means that there is none.
    fn string(&mut self) -> io::Result<()> {
        let length = self.int16()?;
        self.take(usize::try_from(length).unwrap_or(0))?;
        Ok(())
    }
}
