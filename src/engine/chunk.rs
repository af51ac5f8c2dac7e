//! A chunk of a job, computed with what an engine has loaded.
//!
//! Jobs ask for models and pictures as they go, and an engine loads both only when they are asked for, which takes turns
//! of its event loop. So a chunk is first tried with what is there; [`Shelf`] notes what is lacking, the engine loads it,
//! and the chunk is tried again.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::data::{self, Dataset, Examples, PIXELS, SHEET};
use crate::job::Materials;
use crate::nn::Executor;

/// Something that has to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A model.
    Model(Dataset, String),
    /// A sheet of test pictures.
    Sheet(Dataset, usize),
}

/// What is loaded, for a job to take; and a note of what it wanted and was not there.
pub struct Shelf<M, S> {
    model: M,
    sheet: S,
    lacks: RefCell<Vec<Lack>>,
}

impl<M, S> Shelf<M, S>
where
    M: Fn(Dataset, &str) -> Option<Executor>,
    S: Fn(Dataset, usize) -> Option<Rc<Vec<u8>>>,
{
    /// A shelf with these models, and sheets of grey values.
    pub fn new(model: M, sheet: S) -> Self {
        Self { model, sheet, lacks: RefCell::default() }
    }

    /// What was wanted and not there.
    pub fn lacks(self) -> Vec<Lack> {
        self.lacks.into_inner()
    }

    fn lack(&self, lack: Lack) -> String {
        let sentence = format!("{lack:?} is not loaded yet");
        self.lacks.borrow_mut().push(lack);
        sentence
    }
}

impl<M, S> Materials for Shelf<M, S>
where
    M: Fn(Dataset, &str) -> Option<Executor>,
    S: Fn(Dataset, usize) -> Option<Rc<Vec<u8>>>,
{
    fn model(&self, dataset: Dataset, name: &str) -> Result<Executor, String> {
        (self.model)(dataset, name).ok_or_else(|| self.lack(Lack::Model(dataset, name.into())))
    }

    fn pictures(&self, dataset: Dataset, range: Range<u32>) -> Result<(Vec<f32>, Vec<u8>), String> {
        let labels = data::labels(dataset);
        let missing = || format!("{dataset} has no test pictures {} to {}", range.start, range.end);
        let labels = labels.get(range.start as usize..range.end as usize).ok_or_else(missing)?;
        let mut images = Vec::with_capacity(labels.len() * PIXELS);
        let mut lacks = None;
        for index in range.clone().map(|index| index as usize) {
            match (self.sheet)(dataset, index / SHEET) {
                Some(sheet) => {
                    let within = index % SHEET;
                    let pixels = sheet.get(within * PIXELS..(within + 1) * PIXELS).ok_or_else(missing)?;
                    images.extend(data::to_unit(pixels));
                }
                None => {
                    let lack = Lack::Sheet(dataset, index / SHEET);
                    if lacks.as_ref() != Some(&lack) {
                        lacks = Some(lack.clone());
                        self.lack(lack);
                    }
                }
            }
        }
        match lacks {
            Some(_) => Err("pictures are not loaded yet".into()),
            None => Ok((images, labels.to_vec())),
        }
    }

    fn lessons(&self, dataset: Dataset) -> Result<Arc<Examples>, String> {
        Err(format!("the training pictures of {dataset} are on a server only: training needs `epsilon-lab serve`"))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use super::*;
    use crate::experiment::Experiment;
    use crate::job::compute::{Asked, compute};
    use crate::job::robust_accuracy::RobustAccuracy;
    use crate::job::{Job, Limits};
    use crate::library::Library;

    fn asked(chunk: u32) -> Asked {
        let question = RobustAccuracy::of(&Experiment::default(), 3);
        Asked {
            kind: "robust-accuracy".into(),
            question: serde_json::to_string(&question).unwrap(),
            chunk,
            carried: None,
        }
    }

    #[test]
    fn a_chunk_says_what_it_lacks_and_is_what_the_server_computes_once_it_is_there() {
        let library = Library::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap();
        let (asked, loaded) = (asked(1), [Cell::new(false), Cell::new(false)]);
        let sheet = |_, k: usize| {
            let (pixels, _) = Materials::pictures(&library, Dataset::Fashion, 0..SHEET as u32).unwrap();
            (k == 0 && loaded[1].get())
                .then(|| Rc::new(pixels.iter().map(|grey| (grey * 255.0).round() as u8).collect()))
        };
        let model = |dataset, name: &str| loaded[0].get().then(|| Materials::model(&library, dataset, name).unwrap());
        let mut lacked = Vec::new();
        let computed = loop {
            let shelf = Shelf::new(model, sheet);
            let answer = asked.compute(&Limits::PAGE, &shelf);
            let lacks = shelf.lacks();
            if lacks.is_empty() {
                break answer.unwrap();
            }
            lacked.extend(lacks.clone());
            for lack in lacks {
                loaded[usize::from(matches!(lack, Lack::Sheet(..)))].set(true);
            }
        };
        let model = Lack::Model(Dataset::Fashion, "standard".into());
        assert_eq!(lacked, [model, Lack::Sheet(Dataset::Fashion, 0)]);
        let job: Arc<dyn Job> = Arc::new(RobustAccuracy::of(&Experiment::default(), 3));
        assert_eq!(computed, compute(&job, 1, None, &library).unwrap());
    }

    #[test]
    fn what_is_no_chunk_of_an_allowed_job_is_refused() {
        let library = Library::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")).unwrap();
        let refused = |asked: Asked| asked.compute(&Limits::PAGE, &library).unwrap_err();
        assert!(asked(0).compute(&Limits::PAGE, &library).is_ok());
        assert!(refused(asked(99)).contains("none of number 99"));
        let wrong = |kind: &str, question: &str| {
            refused(Asked { kind: kind.into(), question: question.into(), chunk: 0, carried: None })
        };
        assert!(wrong("nothing", "{}").contains("nothing"));
        assert!(!wrong("robust-accuracy", "{").is_empty());
        let too_much = asked(0).question.replace("\"pictures\":3", "\"pictures\":99999");
        assert!(wrong("robust-accuracy", &too_much).contains("choose 1 to 1000"));
    }
}
