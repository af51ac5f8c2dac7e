//! `/api/openapi.json` and the readable page of it, `/api/docs/`.

use axum::Router;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, openapi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::AppState;

/// Where the description is.
const DESCRIPTION: &str = "/api/openapi.json";

/// What all addresses have in common.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Epsilon Lab",
        description = "What the page asks its server, for everyone who wants to ask the same from a program. Every \
                       refusal is a sentence in `error` that says what is allowed."
    ),
    servers((url = "/")),
    modifiers(&Key)
)]
pub struct Description;

struct Key;

impl Modify for Key {
    fn modify(&self, description: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The instructor’s key, which raises the limits"))
            .build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("instructor", SecurityScheme::Http(scheme));
    }
}

/// Both addresses.
pub fn router(description: openapi::OpenApi) -> Router<AppState> {
    let config = Config::new([DESCRIPTION]).try_it_out_enabled(true);
    SwaggerUi::new("/api/docs").url(DESCRIPTION, description).config(config).into()
}
