//! Light, dark, projector: chosen by the person, remembered, and set on the root element as `data-theme`.

use leptos::prelude::*;

const STORAGE_KEY: &str = "epsilon-lab.theme";

/// How the page looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
    /// Large and of high contrast, for the back row.
    Projector,
}

impl Theme {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Light, Self::Dark, Self::Projector];

    /// The name in the attribute and in storage.
    pub fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Projector => "projector",
        }
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
            Self::Projector => "Projector",
        }
    }

    /// The inverse of [`Self::key`].
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.key() == key)
    }
}

/// The chosen theme; setting it changes the page and is remembered.
pub fn theme() -> RwSignal<Theme> {
    let storage = || window().local_storage().ok().flatten();
    let remembered = storage().and_then(|storage| storage.get_item(STORAGE_KEY).ok().flatten());
    let theme = RwSignal::new(remembered.as_deref().and_then(Theme::from_key).unwrap_or_default());
    Effect::new(move |_| {
        let theme = theme.get();
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-theme", theme.key());
        }
        if let Some(storage) = storage() {
            // A full or forbidden storage only means that the choice is not remembered.
            let _ = storage.set_item(STORAGE_KEY, theme.key());
        }
    });
    theme
}
