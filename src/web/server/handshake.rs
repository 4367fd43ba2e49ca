//! The TLS handshake at the beginning of a connection.

use std::io;

use axum::http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Completes the handshake with a client. A client that speaks plain HTTP gets an answer that says
/// so.
pub(crate) async fn begin(acceptor: TlsAcceptor, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
        stream.write_all(plain_answer().as_bytes()).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"));
    }
    acceptor.accept(stream).await
}

/// Returns the answer to a client that speaks plain HTTP.
fn plain_answer() -> String {
    let status = StatusCode::BAD_REQUEST;
    let body = "{\"error\":\"this web server speaks HTTPS: ask it at https://, and trust its certificate (commands: --web-tls-cert or --web-tls-ca)\"}";
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
