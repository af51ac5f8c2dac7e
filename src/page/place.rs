//! The address bar: which page is shown, and the experiment as a link.

use std::collections::BTreeMap;

use leptos::prelude::*;

use crate::experiment::{Broken, Experiment};
use crate::page::extra::Extra;
use crate::page::state::Lab;

/// The pages of the product. A page is chosen by the query (`?page=models`), so that every link works on any static
/// host, below any path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The Lab.
    #[default]
    Lab,
    /// The smallest perturbation that each attack finds.
    Smallest,
    /// Whether what fools one model fools another.
    Transfer,
    /// What models look at.
    Inside,
    /// How linear models are.
    Linearity,
    /// A task whose true boundary is known.
    Gap,
    /// Heavy batches.
    Batches,
    /// The models' cards.
    Models,
}

impl Place {
    /// All of them, in the order of the navigation.
    pub const ALL: [Self; 8] = [
        Self::Lab,
        Self::Smallest,
        Self::Transfer,
        Self::Inside,
        Self::Linearity,
        Self::Gap,
        Self::Batches,
        Self::Models,
    ];

    /// The name in links.
    pub fn key(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Smallest => "smallest",
            Self::Transfer => "transfer",
            Self::Inside => "inside",
            Self::Linearity => "linearity",
            Self::Gap => "gap",
            Self::Batches => "batches",
            Self::Models => "models",
        }
    }

    /// The name in the navigation.
    pub fn title(self) -> &'static str {
        match self {
            Self::Lab => "Lab",
            Self::Smallest => "Smallest δ",
            Self::Transfer => "Transfer",
            Self::Inside => "Inside",
            Self::Linearity => "Linearity",
            Self::Gap => "The gap",
            Self::Batches => "Batches",
            Self::Models => "Models",
        }
    }

    /// Reads the address: the page, the experiment, the settings of pages, and what could not be used.
    pub fn read() -> (Self, Experiment, BTreeMap<String, String>, Vec<Broken>) {
        let query = window().location().search().unwrap_or_default();
        let mut place = Self::Lab;
        let mut rest = form_urlencoded::Serializer::new(String::new());
        let (mut broken, mut extra) = (Vec::new(), BTreeMap::new());
        for (key, value) in form_urlencoded::parse(query.trim_start_matches('?').as_bytes()) {
            if key.split_once('.').is_some_and(|(page, _)| Self::ALL.iter().any(|place| place.key() == page)) {
                extra.insert(key.into_owned(), value.into_owned());
                continue;
            }
            if key != "page" {
                rest.append_pair(&key, &value);
                continue;
            }
            match Self::ALL.into_iter().find(|place| place.key() == value) {
                Some(there) => place = there,
                None => broken.push(Broken {
                    key: "page".into(),
                    message: format!(
                        "there is no page “{}”; this is the Lab",
                        value.chars().take(24).collect::<String>()
                    ),
                }),
            }
        }
        let mut parsed = Experiment::from_query(&rest.finish());
        broken.append(&mut parsed.broken);
        (place, parsed.experiment, extra, broken)
    }

    /// The query of this page with an experiment and its own settings, tracked.
    pub fn query(self, experiment: &Experiment, extra: Extra) -> String {
        let mut query = form_urlencoded::Serializer::new(match self {
            Self::Lab => experiment.to_query(),
            _ => format!("page={}&{}", self.key(), experiment.to_query()),
        });
        query.extend_pairs(extra.of(self.key()));
        format!("?{}", query.finish())
    }
}

/// The full link to what is on screen.
pub fn link(place: Place, experiment: &Experiment, extra: Extra) -> String {
    let location = window().location();
    let origin = location.origin().unwrap_or_default();
    let path = location.pathname().unwrap_or_default();
    format!("{origin}{path}{}", untrack(|| place.query(experiment, extra)))
}

/// Keeps the address in step with the state. Browsers limit how often the address may change, so it follows a pause.
pub fn follow(lab: Lab, place: RwSignal<Place>, extra: Extra) {
    let timer = StoredValue::new_local(None::<TimeoutHandle>);
    Effect::new(move |previous: Option<Place>| {
        let experiment = lab.experiment();
        let here = place.get();
        let query = here.query(&experiment, extra);
        timer.update_value(|timer| {
            if let Some(timer) = timer.take() {
                timer.clear();
            }
        });
        let moved = previous.is_some_and(|previous| previous != here);
        let write = move || {
            let Ok(history) = window().history() else { return };
            // A move between pages is a step that the browser's back button takes back; an edit is not.
            let _ = if moved {
                history.push_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&query))
            } else {
                history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&query))
            };
        };
        if moved {
            write();
        } else if previous.is_some() {
            let handle = set_timeout_with_handle(write, std::time::Duration::from_millis(300));
            timer.set_value(handle.ok());
        }
        here
    });
    let _ = window_event_listener(leptos::ev::popstate, move |_| {
        let (there, experiment, settings, _) = Place::read();
        lab.replace(experiment);
        extra.replace(settings);
        place.set(there);
    });
}
