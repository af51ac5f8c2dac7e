//! What the browser is told to forbid.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::AppState;

/// Headers that are the same on every response. The embedder and opener policies isolate the page from other sites.
const FIXED: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The camera is for own pictures. Full screen and writing to the clipboard keep their default, this page alone.
const PERMISSIONS: &str = "camera=(self), accelerometer=(), autoplay=(), display-capture=(), \
    encrypted-media=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), local-fonts=(), \
    magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    publickey-credentials-get=(), serial=(), usb=(), xr-spatial-tracking=()";

/// Adds the headers to every response.
pub async fn headers(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, state.0.site.policy().header());
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The Content-Security-Policy, which names the inline scripts and styles of `index.html` by their hashes.
///
/// It follows the file: a page that is built again while the server runs gets the policy of its new scripts.
pub struct Policy {
    index: PathBuf,
    current: Mutex<(SystemTime, HeaderValue)>,
}

impl Policy {
    /// The policy for this page.
    ///
    /// # Errors
    /// If the page cannot be read.
    pub fn of(index: &Path) -> io::Result<Self> {
        Ok(Self { index: index.to_owned(), current: Mutex::new(read(index)?) })
    }

    /// The policy as it is now.
    pub fn header(&self) -> HeaderValue {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = fs::metadata(&self.index).and_then(|about| about.modified());
        // While the page is being replaced it cannot be read, and is not served either.
        if changed.is_ok_and(|changed| changed != current.0)
            && let Ok(new) = read(&self.index)
        {
            *current = new;
        }
        current.1.clone()
    }
}

fn read(index: &Path) -> io::Result<(SystemTime, HeaderValue)> {
    let changed = fs::metadata(index)?.modified()?;
    let policy = policy(&fs::read_to_string(index)?);
    Ok((changed, HeaderValue::try_from(policy).map_err(io::Error::other)?))
}

fn policy(html: &str) -> String {
    let hashes = |tag| {
        inline(html, tag).map(|text| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(text)))).collect::<String>()
    };
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{}; style-src 'self'{}; img-src 'self' blob: data:; \
         connect-src 'self'; worker-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'none'",
        hashes("script"),
        hashes("style"),
    )
}

/// The texts of all elements of this name that do not name a file.
fn inline<'a>(html: &'a str, tag: &'a str) -> impl Iterator<Item = &'a str> {
    let (opening, closing) = (format!("<{tag}"), format!("</{tag}>"));
    html.match_indices(&opening).map(|(at, _)| at).collect::<Vec<_>>().into_iter().filter_map(move |at| {
        let (attributes, rest) = html[at + opening.len()..].split_once('>')?;
        let is_this = attributes.is_empty() || attributes.starts_with(|c: char| c.is_ascii_whitespace());
        let text = &rest[..rest.find(&closing)?];
        (is_this && !attributes.contains(" src=")).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_scripts_and_styles_are_allowed_by_their_hashes_and_nothing_else_is() {
        let html = "<html><head><style>p{}</style><script src=\"/a.js\"></script><scripted>no</scripted>\
                    <script type=\"module\">alert(1)</script></head></html>";
        assert_eq!(inline(html, "script").collect::<Vec<_>>(), ["alert(1)"]);
        assert_eq!(inline(html, "style").collect::<Vec<_>>(), ["p{}"]);
        let policy = policy(html);
        // printf 'alert(1)' | openssl dgst -sha256 -binary | base64
        assert!(
            policy.contains("'wasm-unsafe-eval' 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
    }

    #[test]
    fn a_page_that_is_built_again_gets_its_new_policy() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.html");
        fs::write(&index, "<script>1</script>").unwrap();
        let kept = Policy::of(&index).unwrap();
        let before = kept.header();
        assert_eq!(kept.header(), before);
        fs::write(&index, "<script>2</script>").unwrap();
        fs::File::open(&index).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(kept.header(), before);
    }
}
