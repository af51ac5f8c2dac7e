//! The built page.

use std::io::Read;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use crate::support::{HASHED, Lab, SCRIPT};

#[tokio::test]
async fn every_file_has_its_type() {
    let lab = Lab::open().await;
    for (address, kind) in [
        ("/", "text/html; charset=utf-8"),
        (HASHED, "text/javascript; charset=utf-8"),
        ("/page-0123456789abcdef_bg.wasm", "application/wasm"),
        ("/style-0123456789abcdef.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/site.webmanifest", "application/manifest+json; charset=utf-8"),
        ("/assets/models/some.safetensors", "application/octet-stream"),
        ("/assets/models/some.json", "application/json"),
        ("/assets/data/test-0.png", "image/png"),
    ] {
        let answer = lab.get(address).await;
        assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (StatusCode::OK, kind), "{address}");
    }
}

#[tokio::test]
async fn the_smallest_form_that_the_browser_takes_is_sent() {
    let lab = Lab::open().await;
    let plain = lab.get(HASHED).await;
    assert_eq!(plain.header(header::CONTENT_ENCODING), "");
    for (accepts, sent) in [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", "")] {
        let answer = lab.get_with(HASHED, "accept-encoding", accepts).await;
        assert_eq!(answer.header(header::CONTENT_ENCODING), sent, "{accepts}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(answer.header(header::VARY), "accept-encoding");
        assert_eq!(answer.header(header::CONTENT_LENGTH), answer.body.len().to_string());
        let mut unpacked = Vec::new();
        match sent {
            "br" => brotli::Decompressor::new(&answer.body[..], 4096).read_to_end(&mut unpacked).unwrap(),
            "gzip" => flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked).unwrap(),
            _ => (&answer.body[..]).read_to_end(&mut unpacked).unwrap(),
        };
        assert!(unpacked == plain.body, "{accepts}");
    }
}

#[tokio::test]
async fn places_within_the_page_are_the_page_and_missing_files_are_missing() {
    let lab = Lab::open().await;
    let page = lab.get("/").await.body;
    for address in ["/lab", "/lab?data=digits&eps=0.3", "/course/chapter-2", "/course/", "/assets"] {
        let answer = lab.get(address).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &page), "{address}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    }
    for address in ["/missing.js", "/assets/models/none.safetensors", "/..%2f..%2fetc/passwd", "/a/../../x.js"] {
        let answer = lab.get(address).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    }
    assert_eq!(lab.get_with("/assets/models/none", "sec-fetch-mode", "cors").await.status, StatusCode::NOT_FOUND);
    assert_eq!(lab.get_with("/lab", "sec-fetch-mode", "navigate").await.status, StatusCode::OK);
}

#[tokio::test]
async fn addresses_with_a_hash_are_kept_for_ever_and_others_are_asked_for_again() {
    let lab = Lab::open().await;
    for address in [HASHED, "/page-0123456789abcdef_bg.wasm", "/engine_loader.js?v=89abcdef"] {
        assert_eq!(lab.get(address).await.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
    }
    for address in ["/", "/lab", "/lab?v=89abcdef", "/engine_loader.js", "/assets/data/test-0.png"] {
        assert_eq!(lab.get(address).await.header(header::CACHE_CONTROL), "no-cache", "{address}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let lab = Lab::open().await;
    for address in ["/", "/lab", HASHED, "/assets/data/test-0.png"] {
        let first = lab.get(address).await;
        let tag = first.header(header::ETAG);
        assert!(!tag.is_empty(), "{address}");
        let again = lab.get_with(address, "if-none-match", tag).await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{address}");
        assert_eq!(again.header(header::CACHE_CONTROL), first.header(header::CACHE_CONTROL));
        assert_eq!(again.header(header::ETAG), tag);
        let dated = lab.get_with(address, "if-modified-since", first.header(header::LAST_MODIFIED)).await;
        assert_eq!(dated.status, StatusCode::NOT_MODIFIED, "{address}");
        assert_eq!(lab.get_with(address, "if-none-match", "\"other\"").await.status, StatusCode::OK);
    }
    let plain = lab.get(HASHED).await;
    let brotli = lab.get_with(HASHED, "accept-encoding", "br").await;
    assert_ne!(plain.header(header::ETAG), brotli.header(header::ETAG), "two contents share a tag");
}

#[tokio::test]
async fn head_says_what_get_would() {
    let lab = Lab::open().await;
    for address in ["/", "/lab", HASHED, "/api/health"] {
        let get = lab.get(address).await;
        let head = lab.ask(Request::head(address).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{address}");
        for name in [header::CONTENT_TYPE, header::CACHE_CONTROL, header::ETAG] {
            assert_eq!(head.headers.get(&name), get.headers.get(&name), "{address} {name}");
        }
    }
}

#[tokio::test]
async fn the_page_answers_only_to_reading() {
    let lab = Lab::open().await;
    for address in ["/", HASHED] {
        let answer = lab.ask(Request::post(address).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    }
}

#[tokio::test]
async fn every_answer_forbids_what_the_page_does_not_need() {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};

    let lab = Lab::open().await;
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT));
    for address in ["/", "/lab", HASHED, "/missing.js", "/api/health", "/api/none"] {
        let answer = lab.get(address).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none';"), "{address}: {policy}");
        assert!(policy.contains(&format!("script-src 'self' 'wasm-unsafe-eval' 'sha256-{hash}';")), "{policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(header::REFERRER_POLICY), "no-referrer");
        assert!(answer.header("permissions-policy").starts_with("camera=(self), "));
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(answer.header("cross-origin-embedder-policy"), "require-corp");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert!(answer.header("x-request-id").parse::<u64>().is_ok());
    }
}
