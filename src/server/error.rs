//! Everything a request can be refused with, as JSON: `{"error": "a sentence"}`.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::jobs::StoreError;
use crate::api::Problem;
use crate::job::Refusal;
use crate::job::kinds::KINDS;

/// After how long one that was refused for now should come again, in seconds.
const RETRY: u32 = 15;

/// Why a request has no other answer. The message is what the client is told: a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such address below `/api`.
    #[error("there is nothing at this address of the interface")]
    NoSuchAddress,
    /// The address exists, with another method.
    #[error("this address does not answer to this method")]
    Method,
    /// The body is not declared as JSON.
    #[error("send the request as JSON, with the header content-type: application/json")]
    NotJson,
    /// The body is not JSON.
    #[error("the request is not valid JSON: {0}")]
    Syntax(serde_json::Error),
    /// The body is JSON, and something else than what is asked for here.
    #[error("the request cannot be used: {0}")]
    Shape(serde_json::Error),
    /// The body is too large.
    #[error("the request is larger than {limit} bytes")]
    TooLarge {
        /// Bytes that are accepted.
        limit: usize,
    },
    /// The body did not arrive.
    #[error("the request did not arrive completely; send it again")]
    Incomplete,
    /// The body took too long.
    #[error("the request took longer than {0} s to arrive; send it again")]
    Slow(u64),
    /// The job is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such kind of work.
    #[error("there is no kind of work “{0}”: choose one of {known}", known = kinds())]
    Kind(String),
    /// Too many jobs wait or run already.
    #[error("{most} batches {what} are waiting or running, and no more are taken; try again when one has ended")]
    Quota {
        /// Whose.
        what: &'static str,
        /// How many there may be.
        most: u64,
    },
    /// No such job, or one that is forgotten.
    #[error("there is no batch of this name; results are kept for some weeks only")]
    NoSuchJob,
    /// The query of the address cannot be used.
    #[error("the number after “?table=” cannot be used: give a whole number from 0")]
    Query,
    /// No such trained model.
    #[error("there is no trained model of this name; it is forgotten with the batch that trained it")]
    NoSuchModel,
    /// No such table among the results.
    #[error("the batch has no table {0}; they are numbered from 0")]
    NoSuchTable(usize),
    /// Only the instructor may do this.
    #[error("this needs the instructor’s key: send it as the header authorization: Bearer KEY")]
    Key,
    /// The store of jobs does not answer. Why is in the log.
    #[error("the store of batches does not answer; try again in {RETRY} seconds")]
    Store(StoreError),
    /// The server has been told to stop.
    #[error("the server is shutting down; try again when it is back")]
    ShuttingDown,
    /// A mistake of ours. What happened is in the log, not in the answer.
    #[error("something went wrong in the server; its log says more")]
    Internal,
}

impl Error {
    /// The status of the answer.
    pub fn status_code(&self) -> StatusCode {
        match self {
            Self::NoSuchAddress | Self::NoSuchJob | Self::NoSuchModel | Self::NoSuchTable(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Syntax(_) | Self::Incomplete | Self::Query => StatusCode::BAD_REQUEST,
            Self::Shape(_) | Self::Refused(_) | Self::Kind(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Quota { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Key => StatusCode::FORBIDDEN,
            Self::Store(_) | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status_code(), Json(Problem { error: self.to_string() })).into_response();
        if let Self::Store(error) = &self {
            tracing::error!(%error, "the store does not answer");
        }
        if matches!(self, Self::Quota { .. } | Self::Store(_)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY));
        }
        response
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn kinds() -> String {
    KINDS.iter().map(|kind| kind.key).collect::<Vec<_>>().join(", ")
}

/// The answer to a request whose handler panicked.
pub fn panicked(reason: Box<dyn Any + Send>) -> Response {
    tracing::error!(reason = panic_message(&*reason), "a handler panicked");
    Error::Internal.into_response()
}

/// What a panic said, for the log.
pub fn panic_message(reason: &(dyn Any + Send)) -> &str {
    let text = reason.downcast_ref::<&str>().copied();
    text.or_else(|| reason.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}
