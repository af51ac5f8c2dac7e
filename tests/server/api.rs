//! The interface below `/api`.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use epsilon_lab::api;
use epsilon_lab::server::app;

use crate::support::{Lab, built, state};

#[tokio::test]
async fn health_names_the_version_and_the_models() {
    let answer = Lab::new().get(api::HEALTH).await;
    assert_eq!(answer.status, StatusCode::OK);
    let health: api::Health = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(health.version, env!("CARGO_PKG_VERSION"));
    assert!(health.models.contains(&"fashion-standard".to_owned()), "{health:?}");
    assert!(health.uptime_seconds < 60);
}

#[tokio::test]
async fn the_server_is_ready_until_it_is_told_to_stop() {
    use tower::ServiceExt;

    let dist = built();
    let state = state(dist.path());
    let ready = || async {
        let request = Request::get(api::READY).body(Body::empty()).unwrap();
        app(state.clone()).oneshot(request).await.unwrap().status()
    };
    assert_eq!(ready().await, StatusCode::OK);
    state.shutdown().begin();
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_does_not_exist_is_refused_with_a_sentence() {
    let lab = Lab::new();
    for address in ["/api/none", "/api/", "/api", "/api/health/more"] {
        let answer = lab.get(address).await;
        assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (StatusCode::NOT_FOUND, "application/json"));
        assert!(answer.error().contains(' '), "{address}");
    }
    let answer = lab.ask(Request::delete(api::HEALTH).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD"));
    assert!(answer.error().contains(' '));
}
