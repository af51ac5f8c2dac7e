//! Settings of a page that are not part of the experiment: they stand in the link after it (`&gap.scene=island`), and are
//! kept while other pages are shown.

use std::collections::BTreeMap;

use leptos::prelude::*;

use crate::page::notice::Notices;

/// All of them by their keys: the page's key, a point, the setting's own.
#[derive(Clone, Copy)]
pub struct Extra(RwSignal<BTreeMap<String, String>>);

impl Extra {
    /// Those of a link.
    pub fn new(read: BTreeMap<String, String>) -> Self {
        Self(RwSignal::new(read))
    }

    /// Those of the page.
    pub fn get() -> Self {
        expect_context()
    }

    /// Replaces all, as when a link is opened.
    pub fn replace(&self, read: BTreeMap<String, String>) {
        if self.0.with_untracked(|now| *now != read) {
            self.0.set(read);
        }
    }

    /// Those of one page, tracked.
    pub fn of(&self, page: &str) -> Vec<(String, String)> {
        let belongs = |key: &str| key.split_once('.').is_some_and(|(of, _)| of == page);
        self.0.with(|all| {
            all.iter().filter(|(key, _)| belongs(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
        })
    }

    /// Sets one, for a page that is to be opened.
    pub fn put(&self, key: &str, text: String) {
        self.0.update(|all| drop(all.insert(key.into(), text)));
    }

    /// Keeps a signal of a page and its setting in step. `write` gives none for what need not stand in the link; `read`
    /// gives none for what makes no sense, and then the signal keeps its value.
    pub fn bind<T: Clone + Send + Sync + 'static>(
        &self,
        key: &'static str,
        signal: RwSignal<T>,
        write: impl Fn(&T) -> Option<String> + 'static,
        read: impl Fn(&str) -> Option<T>,
    ) {
        let all = self.0;
        if let Some(text) = all.with_untracked(|all| all.get(key).cloned()) {
            match read(&text) {
                Some(value) => signal.set(value),
                None => Notices::get().warn(format!(
                    "The link’s “{key}” was not used: “{}” makes no sense there.",
                    text.chars().take(24).collect::<String>()
                )),
            }
        }
        Effect::new(move || {
            let text = signal.with(&write);
            if all.with_untracked(|all| all.get(key) != text.as_ref()) {
                all.update(|all| match text {
                    Some(text) => drop(all.insert(key.into(), text)),
                    None => drop(all.remove(key)),
                });
            }
        });
    }

    /// A number that stands in the link unless it is `usual`; what lies beyond its range makes no sense.
    pub fn number(&self, key: &'static str, signal: RwSignal<f64>, usual: f64, (least, greatest): (f64, f64)) {
        self.bind(
            key,
            signal,
            move |value| (*value != usual).then(|| value.to_string()),
            move |text| text.parse().ok().filter(|value| (least..=greatest).contains(value)),
        );
    }

    /// A whole number, as [`Self::number`].
    pub fn whole(&self, key: &'static str, signal: RwSignal<u32>, usual: u32, (least, greatest): (u32, u32)) {
        self.bind(
            key,
            signal,
            move |value| (*value != usual).then(|| value.to_string()),
            move |text| text.parse().ok().filter(|value| (least..=greatest).contains(value)),
        );
    }

    /// On or off.
    pub fn switch(&self, key: &'static str, signal: RwSignal<bool>, usual: bool) {
        let word = |on: bool| if on { "on" } else { "off" };
        self.bind(
            key,
            signal,
            move |value| (*value != usual).then(|| word(*value).into()),
            move |text| [true, false].into_iter().find(|on| word(*on) == text),
        );
    }
}
