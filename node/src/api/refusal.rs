//! Refusals: an HTTP status, a code for programs, words for people and what to do about it.

use std::fmt;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chancery_client::api::{ApiError, ErrorBody};
use chancery_genesis::time;
use chancery_ledger::transaction::TransactionError;
use chancery_ledger::{ChainLimits, CodecError, Height, Millis};
use chancery_runtime::{DropReason, ModuleError};
use serde::de::DeserializeOwned;

use crate::intake::SubmitError;
use crate::pool::PoolError;

/// A refusal or a failure, on its way to whoever asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    error: ApiError,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl fmt::Display,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error: ApiError {
                code: code.to_owned(),
                message: message.to_string(),
                hint: Some(hint.into()),
            },
        }
    }

    /// A value in the path, the query or the body that is none of its kind.
    pub(super) fn bad_request(message: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message, hint)
    }

    /// The process is about to end.
    pub(super) fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            "this node is stopping",
            "ask another validator",
        )
    }

    /// A cursor that is none, or one of something else.
    pub(super) fn bad_cursor(message: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_cursor", message, hint)
    }

    /// A block that this ledger does not have because it goes on from a later one.
    pub(super) fn before_snapshot(height: Height, base: Height) -> Self {
        Self::new(
            StatusCode::GONE,
            "before_snapshot",
            format!(
                "block {height} is not here: this validator joined by a snapshot at height {base}"
            ),
            "ask another validator, one that has executed the block itself",
        )
    }

    /// The same, where what comes from a height on was asked for.
    pub(super) fn history_before_snapshot(height: Height, base: Height) -> Self {
        let mut refusal = Self::before_snapshot(height, base);
        refusal.error.hint = Some(format!(
            "ask another validator, one that has executed the block itself; from={} begins with what is here",
            base.next()
        ));
        refusal
    }

    /// The validator does not take part any more.
    pub(super) fn halted(reason: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            format!("this validator has stopped taking part: {reason}"),
            "ask another validator; the operator of this one finds the evidence in its log",
        )
    }

    /// Something longer than its limit.
    pub(super) fn too_large(message: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, hint)
    }

    pub(super) fn of_transaction(error: &TransactionError, limits: &ChainLimits) -> Self {
        let rejected = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            TransactionError::Codec(CodecError::TooLong { len, .. }) => Self::too_large(
                format!(
                    "the transaction has {len} bytes, at most {} are allowed (transaction_bytes_max)",
                    limits.transaction_bytes_max
                ),
                "split what it carries; the limits are in GET /v1/chain",
            ),
            TransactionError::PartTooLong { .. } => {
                Self::too_large(error, "the limits are in GET /v1/chain")
            }
            TransactionError::Codec(_) | TransactionError::RolesNotSorted => Self::new(
                StatusCode::BAD_REQUEST,
                "malformed_transaction",
                error,
                "send base64 of the canonical SCALE encoding of a SignedTransaction",
            ),
            TransactionError::Upgraders(_) => Self::new(
                rejected,
                "wrong_upgraders",
                error,
                "name at most upgraders_max accounts (GET /v1/chain), and as quorum a number of them",
            ),
            TransactionError::WrongChain { .. } => Self::new(
                rejected,
                "wrong_chain",
                error,
                "sign it for this ledger; its chain id is in GET /v1/chain",
            ),
            TransactionError::WrongSignature { .. } => Self::new(
                rejected,
                "wrong_signature",
                error,
                "sign the transaction's own bytes with the sender's key",
            ),
            TransactionError::TooMuchFuel { .. } => Self::new(
                rejected,
                "too_much_fuel",
                error,
                "declare no more than transaction_fuel_max in GET /v1/chain",
            ),
        }
    }

    pub(super) fn of_admission(reason: DropReason, limits: &ChainLimits) -> Self {
        let moment = |at: Millis| format!("{} ({at} ms)", time::format(at));
        match reason {
            DropReason::Expired {
                valid_until,
                block_time,
            } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "expired",
                format!(
                    "the transaction was valid until {}, block time is {}",
                    moment(valid_until),
                    moment(block_time)
                ),
                "sign it again with a later valid_until, and check this machine's clock",
            ),
            DropReason::ValidForTooLong {
                valid_until,
                latest,
            } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "valid_for_too_long",
                format!(
                    "the transaction is valid until {}, at most {} is allowed now",
                    moment(valid_until),
                    moment(latest)
                ),
                format!(
                    "valid_until may lie {} ms after block time (valid_for_ms_max); check this machine's clock",
                    limits.valid_for_ms_max
                ),
            ),
            DropReason::Repeated => Self::new(
                StatusCode::CONFLICT,
                "repeated_transaction",
                reason,
                "GET /v1/transactions/{id} shows what became of it; sign another one with a new salt to repeat the request",
            ),
            DropReason::TooLittleFuel { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too_little_fuel",
                reason,
                "declare more: what is not burnt costs nothing, unless it traps",
            ),
            DropReason::UnknownSender => Self::new(
                StatusCode::FORBIDDEN,
                "unknown_account",
                reason,
                "an account with the role registrar must admit it first",
            ),
        }
    }

    /// A pool that has no room; a repetition is no refusal.
    pub(super) fn of_submission(error: SubmitError, limits: &ChainLimits) -> Option<Self> {
        match error {
            SubmitError::NotAdmissible(reason) => Some(Self::of_admission(reason, limits)),
            SubmitError::Pool(PoolError::Repeated) => None,
            SubmitError::Pool(error @ PoolError::Full { .. }) => Some(Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "pool_full",
                error,
                "try again later, or at another validator",
            )),
            SubmitError::Pool(
                error @ (PoolError::SenderFull { .. }
                | PoolError::SenderBurnsTooMuch { .. }
                | PoolError::SenderCodeFull),
            ) => Some(Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "sender_full",
                error,
                "wait until some of them are final, or declare less fuel where less will do",
            )),
        }
    }

    /// As the API writes it.
    pub(super) fn body(self) -> ErrorBody {
        ErrorBody { error: self.error }
    }

    pub(super) fn of_module(error: &ModuleError) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "module_refused",
            error,
            "`chancery contract check FILE.wasm` applies the same rules without a network",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: self.error };
        (self.status, Json(body)).into_response()
    }
}

/// The variable segment of a path, or several of them.
#[derive(Debug)]
pub(super) struct Segment<T = String>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(rejection) => Err(Refusal::bad_request(
                rejection.body_text(),
                "the path must be UTF-8 once it is decoded",
            )),
        }
    }
}

/// A JSON body, read whole and refused in the API's own words.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let kind = request.headers().get(CONTENT_TYPE);
        let is_json = kind
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "the body must be JSON, and say so",
                "send the header Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| of_body(&rejection))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Refusal::bad_request(
                format!("the body is not what was expected: {error}"),
                "the shapes are those of chancery_client::api",
            )
        })
    }
}

fn of_body(rejection: &BytesRejection) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::too_large(
            "the body is longer than the greatest one that can be asked with here",
            "the limits are in GET /v1/chain: transaction_bytes_max, args_bytes_max, key_bytes_max",
        )
    } else {
        Refusal::bad_request("the body did not arrive whole", "send it again")
    }
}

pub(super) async fn no_such_path(uri: Uri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    Refusal::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        format!("there is nothing at {path}"),
        "the API's paths begin with /v1/, /health/ or /metrics",
    )
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not possible at {path}"),
        "reads are GET; transactions, queries and proofs of the state are POST",
    )
}
