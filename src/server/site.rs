//! The built page: its files as they are, and `index.html` for the addresses that are places within the page.

use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::handler::HandlerWithoutStateExt;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use super::AppState;
use super::security::Policy;

/// The built page.
pub struct Site {
    dist: PathBuf,
    policy: Policy,
}

/// There is no built page.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no built page in “{}” ({reason}): build it first (`make serve` does), or name its folder with --dist",
    dist.display()
)]
pub struct NoPage {
    dist: PathBuf,
    reason: io::Error,
}

impl Site {
    /// Reads the page's `index.html`.
    ///
    /// # Errors
    /// If it is not there.
    pub fn open(dist: &Path) -> Result<Self, NoPage> {
        let dist = dist.to_owned();
        match Policy::of(&dist.join("index.html")) {
            Ok(policy) => Ok(Self { dist, policy }),
            Err(reason) => Err(NoPage { dist, reason }),
        }
    }

    /// The Content-Security-Policy of the page.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Every address that nothing else answers.
pub fn router(state: &AppState) -> Router<AppState> {
    let dist = &state.0.site.dist;
    let index = ServeFile::new(dist.join("index.html")).precompressed_br().precompressed_gzip();
    let place = move |request: Request| {
        let index = index.clone();
        async move {
            if is_place(&request) {
                index.oneshot(request).await.into_response()
            } else {
                (StatusCode::NOT_FOUND, "There is no such file.\n").into_response()
            }
        }
    };
    let files = ServeDir::new(dist)
        .precompressed_br()
        .precompressed_gzip()
        .redirect_to_trailing_slash(false)
        .fallback(place.into_service());
    Router::new().fallback_service(files).layer(from_fn(finish))
}

/// Whether a person opens a place within the page, not a program a file that is missing.
fn is_place(request: &Request) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
    let mode = request.headers().get("sec-fetch-mode");
    request.uri().path().chars().all(plain) && mode.is_none_or(|mode| mode == "navigate")
}

/// Says how long a file may be kept, and that text is UTF-8.
async fn finish(request: Request, next: Next) -> Response<Body> {
    let fixed = is_fixed(request.uri());
    let mut response = next.run(request).await;
    let keep = match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED if fixed => {
            "public, max-age=31536000, immutable"
        }
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => "no-cache",
        _ => "no-store",
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok())
        && (kind.starts_with("text/") || kind == "application/manifest+json")
        && !kind.contains("charset")
        && let Ok(kind) = HeaderValue::try_from(format!("{kind}; charset=utf-8"))
    {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Whether an address stands for one content for ever: a file with a hash in its name, as Trunk writes it, or asked for
/// with one (`?v=`). Never `index.html`, which names the others.
fn is_fixed(uri: &Uri) -> bool {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let is_hash = |text: &str| text.len() >= 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let stem = stem.split_once('_').map_or(stem, |(name, _)| name);
    // Trunk writes 64 bits without leading zeros.
    let named = stem.rsplit_once('-').is_some_and(|(_, last)| last.len() >= 12 && is_hash(last));
    let asked =
        uri.query().is_some_and(|query| query.split('&').any(|pair| pair.strip_prefix("v=").is_some_and(is_hash)));
    ending != "html" && (named || asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_a_hash_are_fixed() {
        for (address, fixed) in [
            ("/page-0123456789abcdef.js", true),
            ("/page-0123456789abcdef_bg.wasm", true),
            ("/engine-123456789abcdef_start.js", true),
            ("/assets/models/digits.safetensors?v=0123abcd", true),
            ("/engine.js?x=1&v=0123456789abcdef", true),
            ("/engine.js", false),
            ("/engine.js?v=2", false),
            ("/assets/data/test-0.png", false),
            ("/assets/models/fashion-standard.safetensors", false),
            ("/", false),
            ("/?v=0123456789abcdef", false),
            ("/index.html?v=0123456789abcdef", false),
            ("/lab-0123456789abcdef", false),
        ] {
            assert_eq!(is_fixed(&address.parse().unwrap()), fixed, "{address}");
        }
    }

    #[test]
    fn places_have_plain_names_and_are_navigated_to() {
        let asks = |address: &str, mode: Option<&str>| {
            let request = Request::builder().uri(address);
            let request = match mode {
                Some(mode) => request.header("sec-fetch-mode", mode),
                None => request,
            };
            is_place(&request.body(Body::empty()).unwrap())
        };
        assert!(asks("/lab?data=digits&own=a.b", Some("navigate")));
        assert!(asks("/course/chapter-1/", None));
        assert!(!asks("/missing.js", None));
        assert!(!asks("/%2e%2e/etc/passwd", None));
        assert!(!asks("/models/missing", Some("cors")));
    }
}
