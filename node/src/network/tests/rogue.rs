//! Endpoints that are not ours: a bare QUIC endpoint with any TLS configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime};

use super::super::tls::{self, Identity, SERVER_NAME};
use super::{CHAIN, any_port, key, peer};

/// What a validator `of` would use to dial `to`.
pub(super) fn client_tls(of: u8, to: u8) -> rustls::ClientConfig {
    let identity = Identity::new(key(of));
    tls::client_config(&identity, CHAIN, &peer(to, any_port())).expect("valid")
}

/// What a validator `of` would use to accept `from`.
pub(super) fn server_tls(of: u8, from: u8) -> rustls::ServerConfig {
    let identity = Identity::new(key(of));
    let from = peer(from, any_port());
    tls::server_config(&identity, CHAIN, core::iter::once(&from)).expect("valid")
}

pub(super) fn quic(tls: rustls::ClientConfig) -> quinn::ClientConfig {
    let tls = QuicClientConfig::try_from(tls).expect("has the initial suite");
    quinn::ClientConfig::new(Arc::new(tls))
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::client(any_port()).expect("a socket")
}

pub(super) fn server(tls: rustls::ServerConfig) -> Endpoint {
    let tls = QuicServerConfig::try_from(tls).expect("has the initial suite");
    let socket = std::net::UdpSocket::bind(any_port()).expect("a socket");
    Endpoint::new(
        EndpointConfig::default(),
        Some(quinn::ServerConfig::with_crypto(Arc::new(tls))),
        socket,
        Arc::new(TokioRuntime),
    )
    .expect("an endpoint")
}

/// Dials and, if that seems to work, behaves like a peer that is connected: opens lanes, sends
/// a frame. Returns how it was thrown out.
pub(super) async fn intrude(config: quinn::ClientConfig, to: SocketAddr) -> ConnectionError {
    let endpoint = endpoint();
    let connecting = endpoint
        .connect_with(config, to, SERVER_NAME)
        .expect("dials");
    let connection = match connecting.await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    for lane in [1, 2] {
        if let Ok(mut stream) = connection.open_uni().await {
            let _ = stream.write_all(&[lane, 0, 0, 0, 1, 42]).await;
        }
    }
    match connection.accept_uni().await {
        Ok(mut stream) => {
            let read = stream.read(&mut [0; 8]).await;
            panic!("an intruder was given a stream, and read {read:?}");
        }
        Err(error) => error,
    }
}

/// A connection of validator `of` to `to`, with no lanes yet.
pub(super) async fn connect(
    endpoint: &Endpoint,
    of: u8,
    to: u8,
    at: SocketAddr,
) -> Result<Connection, ConnectionError> {
    endpoint
        .connect_with(quic(client_tls(of, to)), at, SERVER_NAME)
        .expect("dials")
        .await
}

/// The TLS alert by which the other side ended the handshake.
pub(super) fn alert_from_peer(error: &ConnectionError) -> Option<u64> {
    match error {
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code).checked_sub(0x100),
        _ => None,
    }
}
