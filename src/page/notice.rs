//! Sentences that tell a person what happened: a broken link, a picture that cannot be read, a lost server.

use leptos::prelude::*;

/// The notices on screen.
#[derive(Clone, Copy)]
pub struct Notices(RwSignal<Vec<Notice>>);

#[derive(Clone, PartialEq)]
struct Notice {
    id: u32,
    urgent: bool,
    text: String,
}

impl Notices {
    /// None so far.
    pub fn new() -> Self {
        Self(RwSignal::new(Vec::new()))
    }

    /// The notices of the page.
    pub fn get() -> Self {
        expect_context()
    }

    /// Says something that goes away by itself.
    pub fn tell(&self, text: impl Into<String>) {
        let id = self.push(text.into(), false);
        let notices = *self;
        set_timeout(move || notices.dismiss(id), std::time::Duration::from_secs(5));
    }

    /// Says something that went wrong; it stays until it is dismissed.
    pub fn warn(&self, text: impl Into<String>) {
        self.push(text.into(), true);
    }

    /// Says an error, if there is one.
    pub fn check(&self, result: Result<(), String>) {
        if let Err(text) = result {
            self.warn(capitalised(&text));
        }
    }

    fn push(&self, text: String, urgent: bool) -> u32 {
        let mut id = 0;
        self.0.update(|notices| {
            id = notices.last().map_or(0, |notice| notice.id + 1);
            // The same sentence twice helps nobody, nor does a wall of them.
            notices.retain(|notice| notice.text != text);
            if notices.len() >= 4 {
                notices.remove(0);
            }
            notices.push(Notice { id, urgent, text });
        });
        id
    }

    fn dismiss(&self, id: u32) {
        self.0.try_update(|notices| notices.retain(|notice| notice.id != id));
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    sentence.extend(letters);
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// Shows the notices.
#[component]
pub fn NoticeList() -> impl IntoView {
    let notices = Notices::get();
    view! {
        <div class="notices" role="status" aria-live="polite">
            <For each=move || notices.0.get() key=|notice| notice.id let:notice>
                <div class="notice" class:urgent=notice.urgent>
                    <p>{notice.text.clone()}</p>
                    <button type="button" aria-label="Dismiss" on:click=move |_| notices.dismiss(notice.id)>
                        "×"
                    </button>
                </div>
            </For>
        </div>
    }
}
