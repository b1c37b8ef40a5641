//! Who is let in, and whom a dialler takes for its peer: every way to be somebody else is refused
//! before a byte of the protocol above.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use super::super::tls::{Identity, application_protocol};
use super::rogue::{self, alert_from_peer, client_tls, intrude, quic};
use super::*;

const HANDSHAKE_FAILURE: u64 = 40;
const ACCESS_DENIED: u64 = 49;
const DECRYPT_ERROR: u64 = 51;
const CERTIFICATE_REQUIRED: u64 = 116;
const NO_APPLICATION_PROTOCOL: u64 = 120;

/// Validator 2 of 0, 1, 2, 3: it accepts from 0 and 1 and dials 3, which is not there.
fn validator_2() -> Node {
    let peers = [0, 1, 3].map(|other| peer(other, free_address()));
    Node::start(config(2, any_port(), peers.into()))
}

async fn check_refused(config: quinn::ClientConfig, expected_alert: u64) {
    let mut node = validator_2();
    let error = within(PATIENCE, intrude(config, node.network.local_address())).await;
    assert_eq!(alert_from_peer(&error), Some(expected_alert), "{error:?}");
    until("the refusal is counted", || node.network.refused() == 1).await;
    for peer in node.network.peers() {
        assert_eq!((peer.connected, peer.frames_in), (false, 0), "{peer:?}");
        assert_eq!(peer.last_heard, None);
    }
    assert!(node.inbox.votes.try_recv().is_err() && node.inbox.bulk.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_is_let_in() {
    let node = validator_2();
    let endpoint = rogue::endpoint();
    let connection = rogue::connect(&endpoint, 1, 2, node.network.local_address())
        .await
        .expect("validator 1 is a peer");
    let mut stream = connection.accept_uni().await.expect("lanes");
    stream.read_exact(&mut [0]).await.expect("its name");
}

#[tokio::test]
async fn a_strangers_key_is_refused() {
    check_refused(quic(client_tls(9, 2)), ACCESS_DENIED).await;
}

#[tokio::test]
async fn a_validator_that_is_to_be_dialled_may_not_dial() {
    check_refused(quic(client_tls(3, 2)), ACCESS_DENIED).await;
}

#[tokio::test]
async fn the_nodes_own_key_is_refused() {
    check_refused(quic(client_tls(2, 2)), ACCESS_DENIED).await;
}

#[tokio::test]
async fn a_peers_key_without_its_secret_is_refused() {
    let mut config = client_tls(1, 2);
    config.client_auth_cert_resolver = Arc::new(Presents {
        certified: CertifiedKey::new(vec![spki(1)], Arc::new(Identity::new(key(9)))).into(),
        as_raw_key: true,
    });
    check_refused(quic(config), DECRYPT_ERROR).await;
}

#[tokio::test]
async fn no_client_certificate_is_refused() {
    let mut config = client_tls(1, 2);
    config.client_auth_cert_resolver = Arc::new(PresentsNothing { raw_keys: true });
    check_refused(quic(config), CERTIFICATE_REQUIRED).await;
}

#[tokio::test]
async fn a_client_without_raw_keys_is_refused() {
    let mut config = client_tls(1, 2);
    config.client_auth_cert_resolver = Arc::new(PresentsNothing { raw_keys: false });
    check_refused(quic(config), HANDSHAKE_FAILURE).await;
}

#[tokio::test]
async fn an_x509_certificate_is_refused_even_over_a_peers_key() {
    // Said to be X.509: the handshake ends before it is looked at. Said to be a raw key: it is
    // none of the peers'. Either way what stands in the certificate, dates included, is never read.
    for (as_raw_key, expected) in [(false, HANDSHAKE_FAILURE), (true, ACCESS_DENIED)] {
        let mut certificate = b"\x30\x82\x01\x00 a certificate of validator 1 ".to_vec();
        certificate.extend_from_slice(&spki(1));
        let mut config = client_tls(1, 2);
        config.client_auth_cert_resolver = Arc::new(Presents {
            certified: CertifiedKey::new(vec![certificate.into()], Arc::new(Identity::new(key(1))))
                .into(),
            as_raw_key,
        });
        check_refused(quic(config), expected).await;
    }
}

#[tokio::test]
async fn a_chain_of_keys_is_refused() {
    let mut config = client_tls(1, 2);
    config.client_auth_cert_resolver = Arc::new(Presents {
        certified: CertifiedKey::new(vec![spki(1), spki(0)], Arc::new(Identity::new(key(1))))
            .into(),
        as_raw_key: true,
    });
    let node = validator_2();
    let error = within(
        PATIENCE,
        intrude(quic(config), node.network.local_address()),
    )
    .await;
    assert!(alert_from_peer(&error).is_some(), "{error:?}");
}

#[tokio::test]
async fn another_ledger_and_another_protocol_are_refused() {
    let of_another_ledger = application_protocol(ChainId([8; 32]));
    for protocols in [vec![of_another_ledger], vec![b"h3".to_vec()], vec![]] {
        let mut config = client_tls(1, 2);
        config.alpn_protocols = protocols;
        check_refused(quic(config), NO_APPLICATION_PROTOCOL).await;
    }
}

#[test]
fn tls_1_2_is_refused() {
    let offer = |versions: &[u8; 7]| {
        let name = rustls::pki_types::ServerName::try_from("validator").expect("a name");
        let mut client =
            rustls::ClientConnection::new(client_tls(1, 2).into(), name).expect("a client");
        let mut hello = Vec::new();
        client.write_tls(&mut hello).expect("into memory");
        // The extension supported_versions (43) with its one entry, TLS 1.3.
        let entry = b"\x00\x2b\x00\x03\x02\x03\x04";
        let at = hello
            .windows(entry.len())
            .position(|window| window == entry)
            .expect("only TLS 1.3 is offered");
        hello[at..at + entry.len()].copy_from_slice(versions);
        let mut server =
            rustls::ServerConnection::new(rogue::server_tls(2, 1).into()).expect("a server");
        server.read_tls(&mut hello.as_slice()).expect("from memory");
        server.process_new_packets().map(|_| ())
    };
    assert_eq!(offer(b"\x00\x2b\x00\x03\x02\x03\x04"), Ok(()));
    for (what, versions) in [
        ("TLS 1.2", b"\x00\x2b\x00\x03\x02\x03\x03"),
        // An unknown extension in its place: what a client of TLS 1.2 looks like.
        ("no versions", b"\xff\x2b\x00\x03\x02\x03\x04"),
    ] {
        let error = offer(versions).expect_err(what);
        assert!(
            matches!(error, rustls::Error::PeerIncompatible(_)),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_dialler_wants_the_validator_it_dialled_and_not_another_member() {
    let three = Node::start(config(3, any_port(), vec![peer(0, free_address())]));
    // What validator 0 believes to be validator 1's address is validator 3's.
    let at_three = three.network.local_address();
    let zero = Node::start(config(0, any_port(), vec![peer(1, at_three)]));
    until("the dialler has noticed", || {
        zero.peer(1).last_error.is_some()
    })
    .await;
    let told = zero.peer(1).last_error.expect("just seen");
    assert_eq!(
        told,
        "this validator refused the peer: the network key is not the one in genesis"
    );
    assert!(!zero.is_connected(1) && !three.is_connected(0));
}

#[tokio::test]
async fn a_stranger_that_answers_is_refused() {
    let stranger = rogue::server(rogue::server_tls(9, 0));
    let address = stranger.local_addr().expect("bound");
    let zero = Node::start(config(0, any_port(), vec![peer(1, address)]));
    let connecting = within(PATIENCE, stranger.accept()).await.expect("dialled");
    let error = within(PATIENCE, connecting.into_future())
        .await
        .expect_err("refused");
    assert_eq!(alert_from_peer(&error), Some(ACCESS_DENIED), "{error:?}");
    assert!(!zero.is_connected(1));
}

#[tokio::test]
async fn a_dialler_that_was_refused_does_not_think_it_is_connected() {
    // To its peer this validator is a stranger, which a TLS 1.3 client learns late.
    let three = Node::start(config(3, any_port(), vec![peer(1, free_address())]));
    let at_three = three.network.local_address();
    let zero = Node::start(config(0, any_port(), vec![peer(3, at_three)]));
    until("the dialler has been told", || {
        zero.peer(3).last_error.is_some()
    })
    .await;
    assert_eq!(
        zero.peer(3).last_error.as_deref(),
        Some("the peer refused: the network key is not the one in genesis")
    );
    let status = zero.peer(3);
    assert_eq!((status.connected, status.last_heard), (false, None));
}

#[tokio::test]
async fn a_change_of_the_clock_changes_nothing() {
    // rustls is given no clock, so there is nothing that a date could be compared with.
    let client = client_tls(0, 1);
    let server = rogue::server_tls(1, 0);
    for time in [client.time_provider, server.time_provider] {
        let now = time.current_time().expect("constant");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(Some(now), time.current_time());
        assert_eq!(now.as_secs(), 0);
    }
}

fn spki(of: u8) -> CertificateDer<'static> {
    let spki = rustls::sign::public_key_to_spki(
        &rustls::pki_types::alg_id::ED25519,
        key(of).public().as_bytes(),
    );
    CertificateDer::from(spki.to_vec())
}

#[derive(Debug)]
struct Presents {
    certified: Arc<CertifiedKey>,
    as_raw_key: bool,
}

impl rustls::client::ResolvesClientCert for Presents {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.certified.clone())
    }

    fn only_raw_public_keys(&self) -> bool {
        self.as_raw_key
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct PresentsNothing {
    raw_keys: bool,
}

impl rustls::client::ResolvesClientCert for PresentsNothing {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn only_raw_public_keys(&self) -> bool {
        self.raw_keys
    }

    fn has_certs(&self) -> bool {
        true
    }
}
