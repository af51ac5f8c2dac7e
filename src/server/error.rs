//! Everything a request can be refused with, as JSON: `{"error": "a sentence"}`.

use std::any::Any;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::Problem;
use crate::data::Dataset;
use crate::experiment::Invalid;

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
    /// The experiment has a number out of range.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Too few or too many pictures.
    #[error("{asked} pictures are out of range: {dataset} has {most} test pictures, choose 1 to {most}")]
    Pictures {
        /// What was asked for.
        asked: u32,
        /// The data set.
        dataset: Dataset,
        /// How many there are.
        most: u32,
    },
    /// Too many wait already.
    #[error("the server is busy with other batches and {waiting} are waiting; try again in {seconds} seconds")]
    Busy {
        /// How many wait.
        waiting: usize,
        /// When to try again.
        seconds: u32,
    },
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
            Self::NoSuchAddress => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Syntax(_) | Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Shape(_) | Self::Invalid(_) | Self::Pictures { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Busy { .. } | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status_code(), Json(Problem { error: self.to_string() })).into_response();
        if let Self::Busy { seconds, .. } = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
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
