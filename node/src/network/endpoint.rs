//! The UDP socket and QUIC's settings: small limits before a peer has proved who it is, windows
//! that keep the lanes apart after that.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use chancery_ledger::hash::{sha256_concat, sha256_domain};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    AsyncUdpSocket, ClientConfig, Endpoint, EndpointConfig, IdleTimeout, Runtime as _,
    ServerConfig, TimeSource, TokioRuntime, TransportConfig, VarInt,
};
use quinn_proto::RandomConnectionIdGenerator;

use super::lane::Lane;
use super::tls::Identity;

/// A connection that is silent for so long is over.
const IDLE_TIMEOUT_MS: u32 = 10_000;
/// A live peer is heard at least this often, and a restarted one says so within this time.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Bounds how long a peer that has just come back waits for the next attempt to reach it.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Bytes that may be under way or unread on one lane: 20 MB/s at a round trip of 100 ms.
const LANE_WINDOW: u32 = 2 << 20;
/// More than both lanes' windows, so that a lane that nobody reads never takes the other one's
/// share of the connection's window.
const CONNECTION_WINDOW: u32 = 3 * LANE_WINDOW;

/// Connection attempts that quinn holds until they are looked at, and the bytes that come with
/// them. They are looked at immediately, so this is only what a burst may cost.
const INCOMING_MAX: usize = 64;
const INCOMING_BYTES_MAX: u64 = 16 << 10;

const CONNECTION_ID_BYTES: usize = 8;

/// Binds the socket and starts QUIC on it.
pub(super) fn listen(
    address: SocketAddr,
    identity: &Identity,
    tls: rustls::ServerConfig,
) -> io::Result<(Endpoint, Weak<dyn AsyncUdpSocket>)> {
    let runtime = Arc::new(TokioRuntime);
    let socket = runtime.wrap_udp_socket(UdpSocket::bind(address)?)?;
    let weak = Arc::downgrade(&socket);
    let endpoint = Endpoint::new_with_abstract_socket(
        endpoint_config(identity),
        Some(server_config(tls)),
        socket,
        runtime,
    )?;
    Ok((endpoint, weak))
}

/// The settings for dialling.
pub(super) fn client_config(tls: rustls::ClientConfig) -> ClientConfig {
    let tls = QuicClientConfig::try_from(tls).expect("the provider has TLS13_AES_128_GCM_SHA256");
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport_config()));
    config
}

fn server_config(tls: rustls::ServerConfig) -> ServerConfig {
    let tls = QuicServerConfig::try_from(tls).expect("the provider has TLS13_AES_128_GCM_SHA256");
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut no_tokens = quinn::ValidationTokenConfig::default();
    no_tokens.sent(0);
    config
        .transport_config(Arc::new(transport_config()))
        .validation_token_config(no_tokens)
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES_MAX)
        .incoming_buffer_size_total(INCOMING_BYTES_MAX * 8)
        .time_source(Arc::new(Monotonic(Instant::now())));
    config
}

fn transport_config() -> TransportConfig {
    let lanes = u8::try_from(Lane::ALL.len()).expect("two lanes");
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(lanes.into())
        .max_concurrent_bidi_streams(0_u8.into())
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .stream_receive_window(LANE_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(CONNECTION_WINDOW.into());
    config
}

/// The key comes from the node's own, so that after a restart it can tell peers at once that the
/// connections they still hold are gone (stateless reset, RFC 9000 section 10.3). For the same
/// reason connection ids are random: quinn's own ones are recognised only by the process that
/// made them.
fn endpoint_config(identity: &Identity) -> EndpointConfig {
    let seed = identity.secret().seed();
    let reset_key = sha256_domain("network-stateless-reset", seed.as_slice());
    let mut config = EndpointConfig::new(Arc::new(ResetKey(reset_key.0)));
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_BYTES)));
    config
}

/// HMAC-SHA256 (RFC 2104).
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            for (padded, key) in block.iter_mut().zip(&self.0) {
                *padded ^= key;
            }
            block
        };
        let inner = sha256_concat(&[&pad(0x36), data]);
        let outer = sha256_concat(&[&pad(0x5c), &inner.0]);
        signature_out.copy_from_slice(&outer.0);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let mut expected = [0; 32];
        self.sign(data, &mut expected);
        let differs = signature.len() != expected.len()
            || signature
                .iter()
                .zip(&expected)
                .fold(0, |all, (a, b)| all | (a ^ b))
                != 0;
        if differs { Err(CryptoError) } else { Ok(()) }
    }
}

/// Retry tokens have an age. It is measured on a clock that nobody sets.
struct Monotonic(Instant);

impl TimeSource for Monotonic {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.elapsed()
    }
}
