//! Who computes when: how many batches run at once, how many wait, how many chunks are computed at the same time.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::{Error, Limits};

/// After how long one that finds no place should come again, in seconds.
const RETRY: u32 = 15;

/// The places there are.
#[derive(Debug)]
pub struct Batches {
    /// For running and for waiting batches.
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    /// How many of each there are.
    of: (usize, usize, usize),
}

/// The right to run or to wait, until it is dropped.
#[derive(Debug)]
pub struct Place {
    /// How many batches must end before this one begins; `None` if it can run at once.
    pub ahead: Option<NonZero<usize>>,
    _place: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
}

impl Batches {
    /// Nothing runs yet.
    pub fn new(limits: &Limits) -> Self {
        let &Limits { threads, running, waiting, .. } = limits;
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits));
        Self {
            places: semaphore(running + waiting),
            running: semaphore(running),
            threads: semaphore(threads),
            of: (running, waiting, threads),
        }
    }

    /// Chunks that are computed at the same time.
    pub fn threads(&self) -> usize {
        self.of.2
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is none.
    pub fn enter(&self) -> Result<Place, Error> {
        let (running, waiting, _) = self.of;
        let place = self.places.clone().try_acquire_owned().map_err(|_| Error::Busy { waiting, seconds: RETRY })?;
        let taken = running + waiting - self.places.available_permits();
        let ahead = NonZero::new(taken.saturating_sub(running));
        Ok(Place { ahead, _place: place, running: self.running.clone() })
    }

    /// Computes something on a thread of its own, as soon as one is free. If the caller goes away before, it is not
    /// computed at all.
    ///
    /// # Errors
    /// [`Error::Internal`] if it panicked.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let thread = acquire(&self.threads).await;
        let computed = spawn_blocking(move || {
            let _thread = thread;
            work()
        });
        computed.await.map_err(|error| {
            tracing::error!(%error, "a computation panicked");
            Error::Internal
        })
    }
}

impl Place {
    /// Waits until this batch may run; it may for as long as the permit is kept. First come, first served.
    pub async fn turn(&self) -> OwnedSemaphorePermit {
        acquire(&self.running).await
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    semaphore.clone().acquire_owned().await.expect("no semaphore of these is ever closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_for_those_that_run_and_those_that_wait_and_then_there_are_none() {
        let batches = Batches::new(&Limits { running: 2, waiting: 2, ..Limits::default() });
        let places: Vec<Place> = (0..4).map(|_| batches.enter().unwrap()).collect();
        assert_eq!(
            places.iter().map(|place| place.ahead).collect::<Vec<_>>(),
            [None, None, NonZero::new(1), NonZero::new(2)]
        );
        assert!(matches!(batches.enter(), Err(Error::Busy { waiting: 2, .. })));
        drop(places);
        assert_eq!(batches.enter().unwrap().ahead, None);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_gives_its_thread_back() {
        let batches = Batches::new(&Limits { threads: 1, ..Limits::default() });
        assert!(matches!(batches.compute(|| panic!("on purpose")).await, Err::<(), _>(Error::Internal)));
        assert_eq!(batches.compute(|| 7).await.unwrap(), 7);
    }
}
