//! The decision boundary on a plane through the picture.

use leptos::prelude::*;

use super::subject::Subject;

/// x
pub fn plane(_subject: Subject) -> AnyView {
    ().into_any()
}
