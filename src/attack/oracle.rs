//! How a search asks the classifier: it puts a question and waits. Between question and answer the search is suspended,
//! so that questions about many pictures are answered in one batch.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

/// Writes ∂objective/∂logits for the `n`-th picture of a question: given `n` and its logits.
pub(super) type Cotangent = Box<dyn FnMut(usize, &[f32], &mut [f32]) + Send>;

/// A question about some pictures.
pub(super) struct Question {
    /// (N, C, H, W).
    pub(super) pictures: Vec<f32>,
    /// If gradients are asked for, too.
    pub(super) cotangent: Option<Cotangent>,
}

/// The answer to a question about N pictures.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// (N, K).
    pub logits: Vec<f32>,
    /// ∂objective/∂picture, (N, C, H, W); empty if it was not asked for.
    pub gradient: Vec<f32>,
}

#[derive(Default)]
struct Desk {
    question: Option<Question>,
    answer: Option<Answer>,
}

/// A search's way to the classifier.
///
/// ```
/// # use epsilon_lab::attack::{Goal, Objective, Oracle};
/// async fn slope_at(x: &[f32], oracle: &Oracle) -> Vec<f32> {
///     let objective = move |_: usize, logits: &[f32], cotangent: &mut [f32]| {
///         Objective::CrossEntropy.cotangent(Goal::Leave(3), logits, cotangent);
///     };
///     oracle.gradient(x, objective).await.gradient
/// }
/// ```
pub struct Oracle(Arc<Mutex<Desk>>);

impl Oracle {
    /// Two ends of one desk: a search's, and that of whoever answers.
    pub(super) fn pair() -> (Self, Self) {
        let desk = Arc::<Mutex<Desk>>::default();
        (Self(desk.clone()), Self(desk))
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        // A search that panicked has left no question half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The logits of one or more pictures, (N, C, H, W).
    pub async fn logits(&self, pictures: &[f32]) -> Vec<f32> {
        self.ask(Question { pictures: pictures.to_vec(), cotangent: None }).await.logits
    }

    /// Logits of one or more pictures and the gradient of an objective with respect to each. `cotangent` is given a
    /// picture's place in the question and its logits, and writes ∂objective/∂logits.
    pub async fn gradient(
        &self,
        pictures: &[f32],
        cotangent: impl FnMut(usize, &[f32], &mut [f32]) + Send + 'static,
    ) -> Answer {
        self.ask(Question { pictures: pictures.to_vec(), cotangent: Some(Box::new(cotangent)) }).await
    }

    async fn ask(&self, question: Question) -> Answer {
        if question.pictures.is_empty() {
            return Answer::default();
        }
        self.desk().question = Some(question);
        poll_fn(|_| match self.desk().answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    /// Takes the question that waits.
    pub(super) fn take(&self) -> Option<Question> {
        self.desk().question.take()
    }

    /// Answers the question that was taken.
    pub(super) fn answer(&self, answer: Answer) {
        self.desk().answer = Some(answer);
    }
}
