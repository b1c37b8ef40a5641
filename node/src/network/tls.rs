//! Who may talk to whom: TLS 1.3 with raw Ed25519 keys (RFC 7250), pinned to the peers' keys.
//!
//! A peer's "certificate" is the 44 bytes of its SubjectPublicKeyInfo, compared as a whole. No
//! clock is consulted, no session is resumed, nothing is sent before the handshake is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_ledger::{ChainId, PublicKey, SecretKey, Signature, ValidatorIndex};
use quinn::crypto::rustls::HandshakeData;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName,
    SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime, alg_id,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, Signer, SigningKey, public_key_to_spki};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureAlgorithm, SignatureScheme,
};

use super::PeerConfig;

/// rustls wants a name for the one it dials. Names mean nothing here, and none is sent.
pub(super) const SERVER_NAME: &str = "validator";

/// The application protocol: its version and the ledger it serves.
pub(super) fn application_protocol(chain: ChainId) -> Vec<u8> {
    format!("chancery-peer/1/{chain}").into_bytes()
}

/// A node's own key, able to sign handshakes.
#[derive(Debug, Clone)]
pub(super) struct Identity(Arc<SecretKey>);

impl Identity {
    pub(super) fn new(key: SecretKey) -> Self {
        Self(Arc::new(key))
    }

    pub(super) fn secret(&self) -> &SecretKey {
        &self.0
    }

    fn certified_key(&self) -> Arc<CertifiedKey> {
        let spki = CertificateDer::from(spki(&self.0.public()).to_vec());
        Arc::new(CertifiedKey::new(vec![spki], Arc::new(self.clone())))
    }
}

impl SigningKey for Identity {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ED25519)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(spki(&self.0.public()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Identity {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).0.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The settings for accepting connections from `peers` and nobody else.
pub(super) fn server_config<'a>(
    identity: &Identity,
    chain: ChainId,
    peers: impl Iterator<Item = &'a PeerConfig>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(NoClock))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(PeerVerifier::of(peers)))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(
            identity.certified_key(),
        )));
    config.alpn_protocols = vec![application_protocol(chain)];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The settings for dialling `peer`, so that nobody else can answer.
pub(super) fn client_config(
    identity: &Identity,
    chain: ChainId,
    peer: &PeerConfig,
) -> Result<ClientConfig, Error> {
    let verifier = PeerVerifier::of(core::iter::once(peer));
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(NoClock))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
            identity.certified_key(),
        )));
    config.alpn_protocols = vec![application_protocol(chain)];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(config)
}

/// What a finished handshake has settled.
pub(super) struct Handshake {
    /// The one key the peer proved to hold, as a SubjectPublicKeyInfo.
    spki: CertificateDer<'static>,
    /// The name of the key exchange group, such as `X25519MLKEM768`.
    pub(super) key_exchange: String,
}

impl Handshake {
    /// Reads it from a connection. `None` if anything is not as our configurations demand.
    pub(super) fn of(connection: &quinn::Connection, chain: ChainId) -> Option<Self> {
        let identity = connection.peer_identity()?;
        let mut chain_of_keys = *identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let spki = chain_of_keys.pop()?;
        let data = connection
            .handshake_data()?
            .downcast::<HandshakeData>()
            .ok()?;
        let as_demanded = chain_of_keys.is_empty()
            && data.protocol.as_deref() == Some(application_protocol(chain).as_slice());
        as_demanded.then(|| Self {
            spki,
            key_exchange: format!("{:?}", data.negotiated_key_exchange_group),
        })
    }

    /// Whether the peer proved to hold `key`.
    pub(super) fn proves(&self, key: &PublicKey) -> bool {
        self.spki.as_ref() == spki(key).as_ref()
    }
}

fn spki(key: &PublicKey) -> SubjectPublicKeyInfoDer<'static> {
    public_key_to_spki(&alg_id::ED25519, key.as_bytes())
}

/// TLS 1.3's cipher suites, the hybrid key exchange first and X25519 as its only alternative.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_some());
    provider.kx_groups = vec![
        aws_lc_rs::kx_group::X25519MLKEM768,
        aws_lc_rs::kx_group::X25519,
    ];
    Arc::new(provider)
}

/// Stands where rustls reads the time: no date decides who may connect.
#[derive(Debug)]
struct NoClock;

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(core::time::Duration::ZERO))
    }
}

/// Accepts the raw public keys of some peers.
#[derive(Debug)]
struct PeerVerifier {
    members: BTreeMap<Vec<u8>, ValidatorIndex>,
}

impl PeerVerifier {
    fn of<'a>(peers: impl Iterator<Item = &'a PeerConfig>) -> Self {
        Self {
            members: peers
                .map(|peer| (spki(&peer.network_key).to_vec(), peer.index))
                .collect(),
        }
    }

    fn check(&self, key: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<(), Error> {
        if more.is_empty() && self.members.contains_key(key.as_ref()) {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }
}

/// How a peer's signature is checked: the same on both sides, though rustls has two traits for it.
macro_rules! verify_signatures_strictly {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(PeerIncompatible::Tls12NotOffered.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_handshake_signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    verify_signatures_strictly!();
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    verify_signatures_strictly!();
}

fn verify_handshake_signature(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    static STRICT: StrictEd25519 = StrictEd25519;
    static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
        all: &[&STRICT],
        mapping: &[(SignatureScheme::ED25519, &[&STRICT])],
    };
    let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
    verify_tls13_signature_with_raw_key(message, &key, dss, &ALGORITHMS)
}

/// The ledger's strict rule for signatures, as rustls wants to call it.
#[derive(Debug)]
struct StrictEd25519;

impl SignatureVerificationAlgorithm for StrictEd25519 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key: [u8; 32] = public_key.try_into().map_err(|_| InvalidSignature)?;
        let key = PublicKey::try_from(key).map_err(|_| InvalidSignature)?;
        let signature: [u8; 64] = signature.try_into().map_err(|_| InvalidSignature)?;
        key.verify_strict(message, &Signature(signature))
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ED25519
    }
}
