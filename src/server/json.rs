//! Bodies of requests.

use std::error::Error as _;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use super::{AppState, Error};

/// A JSON body: declared as such, within the limits of size and time, refused with a sentence that says where it is
/// wrong.
///
/// That it must be declared also keeps other sites from sending requests through a person's browser: they would have to
/// ask first, and nothing here answers that.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Error> {
        let limits = &state.0.limits;
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Error::NotJson);
        }
        let arriving = timeout(limits.body_time, to_bytes(request.into_body(), limits.body));
        let bytes = arriving.await.map_err(|_| Error::Slow(limits.body_time.as_secs()))?.map_err(|error| {
            if error.source().is_some_and(|source| source.is::<LengthLimitError>()) {
                Error::TooLarge { limit: limits.body }
            } else {
                Error::Incomplete
            }
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| match error.classify() {
            Category::Data => Error::Shape(error),
            Category::Io | Category::Syntax | Category::Eof => Error::Syntax(error),
        })
    }
}
