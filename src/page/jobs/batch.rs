//! One batch, wherever it is computed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::follow::{Following, News};
use super::pool::{self, Pool};
use super::server::{self, Trouble};
use crate::api::{JobRequest, JobState, JobView};
use crate::job::{Job, Kind, Limits};

/// After how long a server that was lost for good is asked again.
const AGAIN: Duration = Duration::from_secs(3);

/// Where a batch is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Not known yet.
    Asking,
    /// On the server.
    Server,
    /// In so many workers of the page.
    Page(usize),
}

/// How a batch stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// As the server says it, or the page's own pool. Its id is empty unless it is on the server.
    pub view: JobView,
    /// Where it is computed.
    pub place: Where,
    /// Whether it was begun on the server and went on in the page.
    pub moved: bool,
    /// Whether the connection to the server is lost; it is tried again.
    pub lost: bool,
    /// Whether this page has let go of it while others still want it.
    pub left: bool,
    /// Why it was not begun, or why nothing more is heard of it.
    pub refused: Option<String>,
}

impl Standing {
    /// Whether more is to come.
    pub fn runs(&self) -> bool {
        self.refused.is_none() && !self.left && !self.view.state.has_ended()
    }
}

/// A batch. It goes on as long as somebody holds it; on the server it goes on by itself.
#[derive(Clone)]
pub struct Batch(Rc<Inner>);

struct Inner {
    standing: ArcRwSignal<Standing>,
    following: RefCell<Option<Following>>,
    pool: RefCell<Option<Pool>>,
    /// Whether the person has stopped it, or it was refused.
    over: Cell<bool>,
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Batch {
    fn new(view: JobView) -> Self {
        let standing = Standing { view, place: Where::Asking, moved: false, lost: false, left: false, refused: None };
        Self(Rc::new(Inner {
            standing: ArcRwSignal::new(standing),
            following: RefCell::default(),
            pool: RefCell::default(),
            over: Cell::new(false),
        }))
    }

    /// Asks the server, and if there is none the page's own workers.
    pub fn ask(job: &Arc<dyn Job>) -> Self {
        let batch = Self::new(unasked(job));
        let (asking, job) = (batch.clone(), job.clone());
        spawn_local(async move {
            let request = JobRequest { kind: job.kind().key.into(), question: job.question() };
            match server::submit(&request).await {
                // It was stopped before the answer came.
                Ok(link) if asking.0.over.get() => drop(server::cancel(&link.id).await),
                Ok(link) => {
                    asking.change(|standing| {
                        standing.place = Where::Server;
                        standing.view.id = link.id.clone();
                    });
                    asking.follow(&link.id);
                }
                Err(Trouble::NoServer) => asking.compute(job, false),
                Err(trouble) => asking.refuse(trouble.sentence()),
            }
        });
        batch
    }

    /// Opens a job of the server.
    pub fn open(id: String) -> Self {
        let batch = Self::new(JobView { id: id.clone(), ..nothing() });
        batch.look(id);
        batch
    }

    /// How it stands, tracked.
    pub fn standing(&self) -> ArcRwSignal<Standing> {
        self.0.standing.clone()
    }

    /// Its name on the server, if it is there.
    pub fn id(&self) -> Option<String> {
        self.0.standing.with_untracked(|standing| (!standing.view.id.is_empty()).then(|| standing.view.id.clone()))
    }

    /// Its name on the server, tracked.
    pub fn tracked_id(&self) -> Option<String> {
        self.0.standing.with(|standing| (!standing.view.id.is_empty()).then(|| standing.view.id.clone()))
    }

    /// Stops it; what was computed stays. On the server it goes on if others want it.
    pub fn stop(&self) {
        if let Some(pool) = &*self.0.pool.borrow() {
            return pool.stop();
        }
        let Some(id) = self.id() else {
            self.0.over.set(true);
            return self.0.standing.update(|standing| standing.view.state = JobState::Cancelled);
        };
        let batch = self.clone();
        spawn_local(async move {
            match server::cancel(&id).await {
                Ok(view) => {
                    let left = !view.state.has_ended();
                    batch.change(|standing| {
                        standing.view = view;
                        standing.left = left;
                    });
                    batch.0.following.take();
                }
                Err(Trouble::NoServer) => batch.change(|standing| standing.lost = true),
                Err(trouble) => batch.refuse(trouble.sentence()),
            }
        });
    }

    /// Tries again what could not be computed.
    pub fn retry(&self) {
        if let Some(pool) = &*self.0.pool.borrow() {
            return pool.retry();
        }
        let Some(id) = self.id() else { return };
        let batch = self.clone();
        spawn_local(async move {
            match server::retry(&id).await {
                Ok(view) => {
                    batch.change(|standing| standing.view = view);
                    batch.follow(&id);
                }
                Err(Trouble::NoServer) => batch.change(|standing| standing.lost = true),
                Err(trouble) => batch.refuse(trouble.sentence()),
            }
        });
    }

    /// Leaves the server and computes it in the page. Says why not, if it is too much for a page.
    pub fn move_here(&self) {
        let (kind, question) =
            self.0.standing.with_untracked(|standing| (standing.view.kind.clone(), standing.view.question.clone()));
        match Kind::find(&kind).map(|kind| kind.read(question)) {
            Some(Ok(job)) => {
                self.0.following.take();
                self.compute(job, true);
            }
            _ => self.refuse("this batch cannot be read: reload the page".into()),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        if !self.0.over.get() {
            self.0.standing.update(change);
        }
    }

    fn refuse(&self, sentence: String) {
        self.change(|standing| {
            standing.lost = false;
            standing.refused = Some(sentence);
        });
        self.0.following.take();
    }

    /// Asks how a job of the server stands, and follows it if more is to come.
    fn look(&self, id: String) {
        let weak = Rc::downgrade(&self.0);
        spawn_local(async move {
            let answer = server::job(&id).await;
            let Some(batch) = weak.upgrade().map(Self) else { return };
            // Meanwhile it may have been moved into the page.
            if batch.0.pool.borrow().is_some() {
                return;
            }
            match answer {
                Ok(view) => {
                    let runs = !view.state.has_ended();
                    batch.change(|standing| {
                        standing.place = Where::Server;
                        standing.lost = false;
                        standing.view = view;
                    });
                    if runs {
                        batch.follow(&id);
                    }
                }
                Err(Trouble::NoServer) => {
                    batch.change(|standing| {
                        standing.place = Where::Server;
                        standing.lost = true;
                    });
                    batch.look_again(id);
                }
                Err(trouble) => batch.refuse(trouble.sentence()),
            }
        });
    }

    fn look_again(&self, id: String) {
        let weak = Rc::downgrade(&self.0);
        set_timeout(
            move || {
                if let Some(batch) = weak.upgrade().map(Self).filter(|batch| batch.waits()) {
                    batch.look(id);
                }
            },
            AGAIN,
        );
    }

    /// Whether anything is still to be heard of the server.
    fn waits(&self) -> bool {
        self.0.pool.borrow().is_none() && self.0.standing.with_untracked(Standing::runs)
    }

    fn follow(&self, id: &str) {
        let weak = Rc::downgrade(&self.0);
        let name = id.to_string();
        let following = Following::start(id, move |news| {
            let Some(batch) = weak.upgrade().map(Self).filter(Self::waits) else { return };
            match news {
                News::Stands(view, last) => {
                    batch.change(|standing| {
                        standing.lost = false;
                        standing.view = *view;
                    });
                    if last {
                        batch.dismiss();
                    }
                }
                News::Lost => batch.change(|standing| standing.lost = true),
                News::Closed => {
                    batch.change(|standing| standing.lost = true);
                    batch.dismiss();
                    batch.look_again(name.clone());
                }
            }
        });
        *self.0.following.borrow_mut() = following;
    }

    /// Closes the connection, after the event that is just being heard.
    fn dismiss(&self) {
        let following = self.0.following.take();
        set_timeout(move || drop(following), Duration::ZERO);
    }

    fn compute(&self, job: Arc<dyn Job>, moved: bool) {
        if let Err(refusal) = job.check(&Limits::PAGE) {
            return self.refuse(format!("in this page, without a server: {refusal}"));
        }
        let old = self.0.standing.get_untracked().view;
        self.change(|standing| {
            standing.place = Where::Page(pool::workers());
            standing.moved = moved;
            standing.lost = false;
            standing.view.id = String::new();
            standing.view.state = JobState::Running;
        });
        let weak = Rc::downgrade(&self.0);
        let pool = Pool::start(job, move |mut view| {
            let Some(batch) = weak.upgrade().map(Self) else { return };
            // What the server had found stays on screen until there is more.
            if moved && view.share < old.share && !view.state.has_ended() {
                view.report = old.report.clone();
            }
            batch.change(|standing| standing.view = view);
        });
        *self.0.pool.borrow_mut() = Some(pool);
    }
}

/// A job before anybody has answered.
fn unasked(job: &Arc<dyn Job>) -> JobView {
    JobView {
        kind: job.kind().key.into(),
        title: job.kind().title.into(),
        question: job.question(),
        chunks: job.chunks().len() as u32,
        created: js_sys::Date::now() as u64,
        report: job.clone().gather().report(),
        ..nothing()
    }
}

fn nothing() -> JobView {
    JobView {
        id: String::new(),
        kind: String::new(),
        title: "Batch".into(),
        question: serde_json::Value::Null,
        state: JobState::Queued,
        chunks: 0,
        done: 0,
        share: 0.0,
        errors: Vec::new(),
        ahead: 0,
        wanted_by: 1,
        created: 0,
        started: None,
        elapsed: None,
        remaining: None,
        revision: 0,
        report: Default::default(),
    }
}
