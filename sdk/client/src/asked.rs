//! What counts where one node after the other is asked.
//!
//! - A refusal in the API's own form is everybody's answer: nobody else is asked.
//! - That one node is out of service, says nothing, or says what is not of this API is its failure,
//!   and the next one is asked.
//! - `before_snapshot` says what one node lacks and others may have. It is the answer only if all say
//!   so.
//! - If nobody has the answer, the newest failure of those who said something is told.

use crate::client::Failure;
use crate::error::{ClientError, NodeFailure};

/// The code of a node that has not the blocks that are asked for.
pub(crate) const BEFORE_SNAPSHOT: &str = "before_snapshot";

/// Nodes that were asked and had no answer for all.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    tried: Vec<NodeFailure>,
    /// The newest that was out of service or spoke otherwise.
    answered: Option<ClientError>,
    /// The newest that lacks the blocks, and how many do.
    gone: Option<ClientError>,
    gone_count: usize,
}

impl Asked {
    /// Keeps one node's failure in mind.
    ///
    /// # Errors
    /// If it is a refusal that holds for all.
    pub(crate) fn note(&mut self, url: &str, failure: Failure) -> Result<(), ClientError> {
        let url = url.to_owned();
        let reason = match failure {
            Failure::NotSent(reason) | Failure::NoAnswer(reason) => reason,
            Failure::Api(status, error) => {
                let (reason, is_gone) = (error.message.clone(), error.code == BEFORE_SNAPSHOT);
                let url = url.clone();
                let refused = ClientError::Api { url, status, error };
                if is_gone {
                    self.gone = Some(refused);
                    self.gone_count += 1;
                } else if status < 500 {
                    return Err(refused);
                } else {
                    self.answered = Some(refused);
                }
                reason
            }
            Failure::BadAnswer(reason) => {
                self.answered = Some(ClientError::BadAnswer {
                    url: url.clone(),
                    reason: reason.clone(),
                });
                reason
            }
        };
        self.tried.push(NodeFailure { url, reason });
        Ok(())
    }

    /// Whether all who were asked lack the blocks.
    pub(crate) fn all_gone(&self) -> bool {
        self.gone_count > 0 && self.gone_count == self.tried.len()
    }

    /// What to tell.
    pub(crate) fn into_error(self) -> ClientError {
        let is_gone = self.all_gone();
        let told = self.answered.or(self.gone.filter(|_| is_gone));
        told.unwrap_or(ClientError::NoNode { tried: self.tried })
    }
}
