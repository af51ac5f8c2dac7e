//! The interface below `/api`.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use epsilon_lab::api;

use crate::support::Lab;

#[tokio::test]
async fn health_names_the_version_and_the_models() {
    let answer = Lab::open().await.get(api::HEALTH).await;
    assert_eq!(answer.status, StatusCode::OK);
    let health: api::Health = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(health.version, env!("CARGO_PKG_VERSION"));
    assert!(health.models.contains(&"fashion-standard".to_owned()), "{health:?}");
    assert!(health.uptime_seconds < 60);
}

#[tokio::test]
async fn the_server_is_ready_until_it_is_told_to_stop() {
    let lab = Lab::open().await;
    assert_eq!(lab.get(api::READY).await.json(), serde_json::json!({ "ready": true }));
    lab.state.shutdown().begin();
    let answer = lab.get(api::READY).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.error().contains("shutting down"));
}

#[tokio::test]
async fn what_does_not_exist_is_refused_with_a_sentence() {
    let lab = Lab::open().await;
    for address in ["/api/none", "/api/", "/api", "/api/health/more"] {
        let answer = lab.get(address).await;
        assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (StatusCode::NOT_FOUND, "application/json"));
        assert!(answer.error().contains(' '), "{address}");
    }
    for (method, address, allowed) in [("DELETE", api::HEALTH, "GET,HEAD"), ("PUT", api::JOBS, "POST,GET,HEAD")] {
        let answer = lab.ask(Request::builder().method(method).uri(address).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, allowed));
        assert!(answer.error().contains(' '), "{address}");
    }
}
