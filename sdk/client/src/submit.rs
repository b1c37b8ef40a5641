//! Hands a signed transaction in and follows it to finality, through whichever nodes answer.
//!
//! The same signed bytes may be handed in as often as one likes: a ledger admits an id once. So
//! whenever a node falls silent, forgets the transaction or does not bring it further, the same
//! bytes go to the next one.
//!
//! One client has a bounded number of transactions under way, and the others wait here for their
//! turn: more would only take connections and patience from each other, and a network that is
//! offered more than it can order would order less and less of it.

use std::time::{Duration, Instant};

use chancery_ledger::TransactionId;
use chancery_ledger::transaction::SignedTransaction;
use parity_scale_codec::Encode as _;
use tokio::sync::SemaphorePermit;

use crate::api::{ApiError, Bytes, SubmitRequest, Submitted, TransactionInfo, TransactionState};
use crate::asked::Asked;
use crate::client::{ANSWER_TIMEOUT, Client, Failure};
use crate::error::{ClientError, NodeFailure, NotFinal};

/// Transactions that one client has under way at once: a quarter of what a node lets wait.
pub const UNDER_WAY_MAX: usize = 96;
/// One long poll.
const POLL: Duration = Duration::from_secs(2);
/// A node that has the transaction for so long and brings it no further gets company.
const NODE_PATIENCE: Duration = Duration::from_secs(6);
/// Between two rounds over all nodes.
const ROUND_PAUSE: Duration = Duration::from_millis(250);
/// A poll that ends earlier than asked is not repeated faster than this.
const POLL_PAUSE: Duration = Duration::from_millis(50);

/// What is known while a transaction is on its way.
struct Progress {
    /// Whether some node may have it.
    handed_in: bool,
    state: TransactionState,
    refusal: Option<ClientError>,
    tried: Vec<NodeFailure>,
    trouble: Option<String>,
}

impl Client {
    /// Hands a transaction in at the first node that takes it.
    ///
    /// # Errors
    /// The refusal, or why nobody took it. Whatever it is, the transaction may be on its way
    /// nevertheless if a node gave no answer, or one that cannot be read.
    pub async fn submit(&self, signed: &SignedTransaction) -> Result<TransactionId, ClientError> {
        let request = request_for(signed);
        let mut asked = Asked::default();
        for index in self.order() {
            match self.hand_in(index, &request, ANSWER_TIMEOUT).await {
                Ok(_) => {
                    self.prefer(index);
                    return Ok(signed.id());
                }
                Err(Failure::Api(_, error)) if is_repeated(&error) => return Ok(signed.id()),
                Err(failure) => asked.note(&self.urls()[index], failure)?,
            }
        }
        Err(asked.into_error())
    }

    /// Hands a transaction in and waits until it is final, at most for `timeout`. Of those that
    /// the tasks of one client want to hand in at the same time some wait for their turn first, for
    /// at most half of it: with less time left, handing it in would mostly be in vain.
    ///
    /// # Errors
    /// The refusal, [`ClientError::NoNode`] or [`ClientError::NoTurn`] if certainly nobody took it;
    /// [`ClientError::NotFinal`] if somebody may have.
    pub async fn submit_and_wait(
        &self,
        signed: &SignedTransaction,
        timeout: Duration,
    ) -> Result<TransactionInfo, ClientError> {
        let deadline = Instant::now() + timeout;
        let _turn = self.turn(timeout / 2).await?;
        let request = request_for(signed);
        let mut progress = Progress {
            handed_in: false,
            state: TransactionState::Unknown,
            refusal: None,
            tried: Vec::new(),
            trouble: None,
        };
        loop {
            progress.tried.clear();
            let mut retry = false;
            for index in self.order() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                match self
                    .hand_in(index, &request, ANSWER_TIMEOUT.min(left))
                    .await
                {
                    Ok(_) => self.prefer(index),
                    Err(Failure::Api(_, error)) if is_repeated(&error) => self.prefer(index),
                    Err(failure) => {
                        // Who has answered, if not in words of this API, may have it as well.
                        let is_lost = !matches!(failure, Failure::BadAnswer(_));
                        retry |= progress.note(&self.urls()[index], failure);
                        if is_lost {
                            continue;
                        }
                    }
                }
                progress.handed_in = true;
                let found = self
                    .follow(index, signed.id(), deadline, &mut progress)
                    .await;
                if let Some(info) = found {
                    return Ok(info);
                }
            }
            let in_time = Instant::now() + ROUND_PAUSE < deadline;
            if !in_time || !(progress.handed_in || retry) {
                return Err(progress.into_error(signed));
            }
            tokio::time::sleep(ROUND_PAUSE).await;
            // The next round begins with somebody else.
            let next = self.order().nth(1).unwrap_or_default();
            self.prefer(next);
        }
    }

    async fn turn(&self, wait: Duration) -> Result<SemaphorePermit<'_>, ClientError> {
        match tokio::time::timeout(wait, self.under_way.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(ClientError::NoTurn {
                under_way: UNDER_WAY_MAX,
                waited: wait,
            }),
        }
    }

    async fn hand_in(
        &self,
        index: usize,
        request: &SubmitRequest,
        timeout: Duration,
    ) -> Result<Submitted, Failure> {
        self.ask(index, "/v1/transactions", Some(request), timeout)
            .await
    }

    /// Polls one node until the transaction is final, or the node is no help any more.
    async fn follow(
        &self,
        index: usize,
        id: TransactionId,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Option<TransactionInfo> {
        let give_up = Instant::now() + NODE_PATIENCE;
        let mut poll = POLL;
        loop {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() || (now >= give_up && self.urls().len() > 1) {
                return None;
            }
            let wait = poll.min(left);
            let path = format!("/v1/transactions/{id}?wait_ms={}", wait.as_millis());
            let answer = self
                .ask::<(), TransactionInfo>(index, &path, None, wait + ANSWER_TIMEOUT.min(left))
                .await;
            match answer {
                Ok(info) => {
                    progress.state = info.state;
                    match info.state {
                        TransactionState::Final => return Some(info),
                        TransactionState::Unknown => return None,
                        TransactionState::Pending | TransactionState::Committed => {}
                    }
                }
                Err(Failure::Api(_, error)) if error.code == "too_many_waiting" => {
                    // The node follows it all the same; it is only asked now and then.
                    poll = Duration::ZERO;
                }
                Err(failure) => {
                    progress.note(&self.urls()[index], failure);
                    return None;
                }
            }
            let pause = if poll.is_zero() {
                ROUND_PAUSE
            } else {
                POLL_PAUSE
            };
            if now.elapsed() < pause {
                tokio::time::sleep(pause).await;
            }
        }
    }
}

impl Progress {
    /// Keeps a failure in mind; says whether the same request may succeed later.
    fn note(&mut self, url: &str, failure: Failure) -> bool {
        let url = url.to_owned();
        let (reason, retry) = match failure {
            Failure::NotSent(reason) => (reason, false),
            // What cannot be read may come from something in between that has passed it on.
            Failure::NoAnswer(reason) | Failure::BadAnswer(reason) => {
                self.handed_in = true;
                (reason, true)
            }
            Failure::Api(status, error) => {
                let reason = error.message.clone();
                self.refusal = Some(ClientError::Api {
                    url: url.clone(),
                    status,
                    error,
                });
                (reason, status >= 500 || status == 429)
            }
        };
        self.trouble = Some(format!("{url}: {reason}"));
        self.tried.push(NodeFailure { url, reason });
        retry
    }

    fn into_error(self, signed: &SignedTransaction) -> ClientError {
        if self.handed_in {
            // A refusal says more than that somebody else could not be understood.
            let refusal = self.refusal.map(|refusal| refusal.to_string());
            let refusal = refusal.filter(|_| self.state == TransactionState::Unknown);
            return ClientError::NotFinal(Box::new(NotFinal {
                id: signed.id(),
                valid_until: signed.transaction.valid_until,
                state: self.state,
                trouble: refusal.or(self.trouble),
            }));
        }
        self.refusal
            .unwrap_or(ClientError::NoNode { tried: self.tried })
    }
}

fn request_for(signed: &SignedTransaction) -> SubmitRequest {
    SubmitRequest {
        transaction: Bytes(signed.encode()),
    }
}

/// The ledger has it already: it need only be followed.
fn is_repeated(error: &ApiError) -> bool {
    error.code == "repeated_transaction"
}
