//! A study that follows the experiment, and how it stands.

use leptos::prelude::*;

use crate::engine::study::{Lane, Part, Study};
use crate::experiment::Experiment;
use crate::page::figure::format;
use crate::page::live::{Live, News};

/// How a study stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stage {
    /// Nothing has been asked for.
    #[default]
    Idle,
    /// It is under way.
    Working,
    /// All of it is on screen; it took this many milliseconds.
    Done(f32),
    /// It was stopped.
    Stopped,
    /// It failed; the sentence says why.
    Failed(String),
}

/// A study of a page. It ends with the page.
#[derive(Clone, Copy)]
pub struct Work {
    live: Live,
    lane: Lane,
    /// The number of what was asked for last.
    asked: StoredValue<u32>,
    /// How it stands.
    pub stage: RwSignal<Stage>,
}

impl Work {
    /// Nothing yet, in this lane.
    pub fn new(lane: Lane) -> Self {
        let work = Self { live: Live::get(), lane, asked: StoredValue::new(0), stage: RwSignal::new(Stage::Idle) };
        on_cleanup(move || {
            if let Some(id) = work.asked.try_get_value() {
                work.live.stop(work.lane, id);
            }
        });
        work
    }

    /// Asks; `take` gets the parts.
    pub fn ask(&self, experiment: Experiment, study: Study, take: impl Fn(Part) + 'static) {
        let stage = self.stage;
        stage.set(Stage::Working);
        let id = self.live.study(experiment, study, move |news| match news {
            News::Part(part) => take(part),
            News::Done(milliseconds) => stage.set(Stage::Done(milliseconds)),
            News::Failed(sentence) => stage.set(Stage::Failed(sentence)),
        });
        self.asked.set_value(id);
    }

    /// Stops it; what has come stays.
    pub fn stop(&self) {
        self.live.stop(self.lane, self.asked.get_value());
        if self.stage.get_untracked() == Stage::Working {
            self.stage.set(Stage::Stopped);
        }
    }

    /// Whether something is still to come.
    pub fn is_busy(&self) -> bool {
        self.stage.get() == Stage::Working
    }
}

/// How a study stands, in a line.
#[component]
pub fn StageLine(
    /// The study.
    work: Work,
) -> impl IntoView {
    let stage = work.stage;
    let text = move || match stage.get() {
        Stage::Idle | Stage::Failed(_) => String::new(),
        Stage::Working => "Computing…".into(),
        Stage::Done(milliseconds) => format!("All computed on this device, in {}", format::milliseconds(milliseconds)),
        Stage::Stopped => "Stopped; what was computed stays".into(),
    };
    let failed = move || match stage.get() {
        Stage::Failed(sentence) => Some(format!("This could not be computed: {}.", sentence.trim_end_matches('.'))),
        _ => None,
    };
    let name = move || match stage.get() {
        Stage::Idle => "idle",
        Stage::Working => "working",
        Stage::Done(_) => "done",
        Stage::Stopped => "stopped",
        Stage::Failed(_) => "failed",
    };
    view! {
        <p class="status-line" role="status" data-state=name>{text}</p>
        <p class="failure" role="alert">{failed}</p>
    }
}
