//! The HTTP API of one or several nodes, with failover ([`crate::asked`]): whoever answers is asked
//! first next time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chancery_ledger::proof::Bundle;
use chancery_ledger::state_bundle::StateBundle;
use chancery_ledger::{AccountId, ContractId, Hash, TransactionId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::api::{
    AccountInfo, ApiError, BlockInfo, Bytes, ChainInfo, ContractInfo, ErrorBody, EvidenceList,
    QueryInfo, QueryRequest, ReadyInfo, StateProofRequest, StatusInfo, TransactionInfo,
    VersionDetails,
};
use crate::asked::Asked;
use crate::error::ClientError;
use crate::submit::UNDER_WAY_MAX;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a node may take for what it can answer at once; a stopped process takes connections
/// and never answers.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest answer that is read; a proof has at most 64 MiB.
const ANSWER_BYTES_MAX: usize = 72 << 20;

/// How one exchange with one node failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request cannot have arrived.
    NotSent(String),
    /// The request may have arrived, no answer did.
    NoAnswer(String),
    /// A refusal in the API's own form.
    Api(u16, ApiError),
    /// Some other answer.
    BadAnswer(String),
}

/// A connection to a ledger through any of its nodes.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    preferred: AtomicUsize,
    /// Turns of the transactions under way.
    pub(crate) under_way: Semaphore,
}

impl Client {
    /// A client of the nodes with these base addresses (`http://HOST:PORT`). Nothing is sent yet.
    ///
    /// # Errors
    /// If there is no address, or one is not such an address.
    pub fn new(urls: impl IntoIterator<Item = String>) -> Result<Self, ClientError> {
        let urls = urls
            .into_iter()
            .map(|url| base_url(&url))
            .collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(ClientError::NoAddress);
        }
        // Nodes are reached directly: a proxy meant for the web cannot know them.
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| ClientError::BadUrl {
                url: urls.join(", "),
                reason: error.to_string(),
            })?;
        Ok(Self {
            http,
            urls,
            preferred: AtomicUsize::new(0),
            under_way: Semaphore::new(UNDER_WAY_MAX),
        })
    }

    /// The base addresses, in the order given.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Which addresses to try in which order: the one that answered last comes first.
    pub(crate) fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.preferred.load(Ordering::Relaxed), self.urls.len());
        (0..count).map(move |step| (first + step) % count)
    }

    pub(crate) fn prefer(&self, index: usize) {
        self.preferred.store(index, Ordering::Relaxed);
    }

    /// What never changes about the chain.
    ///
    /// # Errors
    /// [`ClientError`], as for every read below.
    pub async fn chain(&self) -> Result<ChainInfo, ClientError> {
        self.get("/v1/chain").await
    }

    /// How the first node that answers sees the network.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<StatusInfo, ClientError> {
        self.get("/v1/status").await
    }

    /// What is known of a transaction now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transaction(&self, id: TransactionId) -> Result<TransactionInfo, ClientError> {
        self.get(&format!("/v1/transactions/{id}")).await
    }

    /// A block by height, or the newest with `latest`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn block(&self, which: &str) -> Result<BlockInfo, ClientError> {
        self.get(&format!("/v1/blocks/{which}")).await
    }

    /// A contract with its schema.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn contract(&self, id: ContractId) -> Result<ContractInfo, ClientError> {
        let path = format!("/v1/contracts/{id}");
        self.on_any::<(), _>(&path, None, |bytes| {
            let info: ContractInfo = parse(&bytes)?;
            if info.contract == id {
                return Ok(info);
            }
            Err(format!(
                "asked for {id}, it answered with {}",
                info.contract
            ))
        })
        .await
    }

    /// A version of a contract with its schema, also one that was replaced. What is answered never
    /// changes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn contract_version(
        &self,
        id: ContractId,
        version: u32,
    ) -> Result<VersionDetails, ClientError> {
        let path = format!("/v1/contracts/{id}/versions/{version}");
        self.on_any::<(), _>(&path, None, |bytes| {
            let details: VersionDetails = parse(&bytes)?;
            if (details.contract, details.info.version) == (id, version) {
                return Ok(details);
            }
            Err(format!(
                "asked for version {version} of {id}, it answered with version {} of {}",
                details.info.version, details.contract
            ))
        })
        .await
    }

    /// An admitted account.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account(&self, id: AccountId) -> Result<AccountInfo, ClientError> {
        self.get(&format!("/v1/accounts/{id}")).await
    }

    /// Runs a view on the newest state of one node; `args` is SCALE in schema order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn query(
        &self,
        contract: ContractId,
        method: &str,
        args: Vec<u8>,
    ) -> Result<QueryInfo, ClientError> {
        let request = QueryRequest {
            contract,
            method: method.to_owned(),
            args: Bytes(args),
        };
        let path = "/v1/query";
        self.on_any(path, Some(&request), |bytes| parse(&bytes))
            .await
    }

    /// The proof bundle of a final transaction, the very bytes of the file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transaction_proof(&self, id: TransactionId) -> Result<Vec<u8>, ClientError> {
        let path = format!("/v1/proofs/transactions/{id}");
        self.on_any::<(), _>(&path, None, |bytes| {
            let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
            Bundle::from_json(text).map_err(|error| error.to_string())?;
            Ok(bytes)
        })
        .await
    }

    /// The proof of what stands under these keys of the state, or that nothing does, all right after
    /// one block; the very bytes of the file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn state_proof(&self, keys: Vec<Vec<u8>>) -> Result<Vec<u8>, ClientError> {
        let request = StateProofRequest {
            keys: keys.into_iter().map(Bytes).collect(),
        };
        let path = "/v1/proofs/state";
        self.on_any(path, Some(&request), |bytes| {
            let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
            StateBundle::from_json(text).map_err(|error| error.to_string())?;
            Ok(bytes)
        })
        .await
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.on_any::<(), T>(path, None, |bytes| parse(&bytes))
            .await
    }

    /// Asks one node after the other until one answers for good, in bytes that `read` can make
    /// something of.
    pub(crate) async fn on_any<B: Serialize, T>(
        &self,
        path: &str,
        body: Option<&B>,
        read: impl Fn(Vec<u8>) -> Result<T, String>,
    ) -> Result<T, ClientError> {
        let mut asked = Asked::default();
        for index in self.order() {
            let answer = self.exchange(index, path, body, ANSWER_TIMEOUT).await;
            match answer.and_then(|bytes| read(bytes).map_err(Failure::BadAnswer)) {
                Ok(answer) => {
                    self.prefer(index);
                    return Ok(answer);
                }
                Err(failure) => asked.note(&self.urls[index], failure)?,
            }
        }
        Err(asked.into_error())
    }

    /// One request to one node, typed.
    pub(crate) async fn ask<B: Serialize, T: DeserializeOwned>(
        &self,
        index: usize,
        path: &str,
        body: Option<&B>,
        timeout: Duration,
    ) -> Result<T, Failure> {
        let bytes = self.exchange(index, path, body, timeout).await?;
        parse(&bytes).map_err(Failure::BadAnswer)
    }

    /// Whether one node is ready to serve, and if not, why.
    ///
    /// # Errors
    /// Why it does not say.
    pub async fn ready(&self, index: usize) -> Result<ReadyInfo, String> {
        let answer = self
            .raw::<()>(index, "/health/ready", None, ANSWER_TIMEOUT)
            .await;
        match answer {
            // Not being ready is said with status 503.
            Ok((_, bytes)) => parse(&bytes),
            Err(
                Failure::NotSent(reason) | Failure::NoAnswer(reason) | Failure::BadAnswer(reason),
            ) => Err(reason),
            Err(Failure::Api(_, error)) => Err(error.message),
        }
    }

    /// The evidence that one node keeps.
    ///
    /// # Errors
    /// Why it does not say.
    pub async fn evidence(&self, index: usize) -> Result<EvidenceList, String> {
        self.ask::<(), _>(index, "/v1/evidence", None, ANSWER_TIMEOUT)
            .await
            .map_err(in_words)
    }

    /// One evidence file of a node, as it gives it out.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn evidence_file(&self, index: usize, hash: Hash) -> Result<Vec<u8>, String> {
        self.exchange::<()>(index, &format!("/v1/evidence/{hash}"), None, ANSWER_TIMEOUT)
            .await
            .map_err(in_words)
    }

    async fn exchange<B: Serialize>(
        &self,
        index: usize,
        path: &str,
        body: Option<&B>,
        timeout: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let (status, bytes) = self.raw(index, path, body, timeout).await?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(body) => Err(Failure::Api(status, body.error)),
            Err(_) => Err(Failure::BadAnswer(format!("HTTP status {status}"))),
        }
    }

    /// One request to one node: the HTTP status and the bytes of the answer.
    async fn raw<B: Serialize>(
        &self,
        index: usize,
        path: &str,
        body: Option<&B>,
        timeout: Duration,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let url = match self.urls.get(index) {
            Some(base) => format!("{base}{path}"),
            None => return Err(Failure::NotSent(format!("there is no node {index}"))),
        };
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        let mut response = request.timeout(timeout).send().await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                Failure::NotSent(innermost(&error))
            } else if error.is_timeout() {
                Failure::NoAnswer(format!("no answer within {timeout:?}"))
            } else {
                Failure::NoAnswer(innermost(&error))
            }
        })?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| Failure::NoAnswer(innermost(&error)))?
        {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!("longer than {ANSWER_BYTES_MAX} bytes");
                return Err(Failure::BadAnswer(reason));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, bytes))
    }
}

fn in_words(failure: Failure) -> String {
    match failure {
        Failure::NotSent(reason) | Failure::NoAnswer(reason) | Failure::BadAnswer(reason) => reason,
        Failure::Api(_, error) => error.message,
    }
}

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// The last cause: reqwest's own words only repeat the address.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn base_url(url: &str) -> Result<String, ClientError> {
    let bad = |reason: &str| ClientError::BadUrl {
        url: url.chars().take(200).collect(),
        reason: reason.to_owned(),
    };
    let host = url
        .strip_prefix("http://")
        .ok_or_else(|| bad("it must begin with http://"))?
        .trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '#', '@']) {
        return Err(bad("expected http://HOST:PORT and nothing more"));
    }
    let parsed =
        reqwest::Url::parse(&format!("http://{host}")).map_err(|error| bad(&error.to_string()))?;
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base_addresses_are_taken() {
        for (url, expected) in [
            ("http://127.0.0.1:7000", Some("http://127.0.0.1:7000")),
            ("http://node.example:80/", Some("http://node.example")),
            ("http://[::1]:7000", Some("http://[::1]:7000")),
            ("https://node.example", None),
            ("127.0.0.1:7000", None),
            ("http://", None),
            ("http://host/path", None),
            ("http://user@host", None),
            ("http://host:99999", None),
        ] {
            assert_eq!(base_url(url).ok().as_deref(), expected, "{url}");
        }
    }
}
