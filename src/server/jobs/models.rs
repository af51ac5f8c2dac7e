//! Models that batches have trained: they are used like those that are shipped, as long as their batch is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::hub::Seen;
use super::store::{Store, StoreError};
use crate::job::Work;
use crate::job::training::Training;
use crate::library::Library;
use crate::nn::zoo::{self, ModelCard};

/// The trained models of a store, and the library that takes them in.
pub struct Models {
    store: Store,
    library: Arc<Library>,
    /// The model of each job; none where there is something wrong with it.
    known: RwLock<BTreeMap<String, Option<String>>>,
}

impl Models {
    /// None is known before [`Self::refresh`].
    pub fn new(store: Store, library: Arc<Library>) -> Self {
        Self { store, library, known: RwLock::default() }
    }

    /// Takes in what has been trained since, by this process or another.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        for id in self.store.ended(Training::KIND).await? {
            if self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id) {
                continue;
            }
            let name = self.take_in(&id).await?;
            if name.is_none() {
                tracing::warn!(id, "the model of a batch cannot be used");
            }
            self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, name);
        }
        Ok(())
    }

    async fn take_in(&self, id: &str) -> Result<Option<String>, StoreError> {
        let (Some(job), Some(weights)) = (self.store.job(id).await?, self.store.left(id).await?) else {
            return Ok(None);
        };
        let mut seen = Seen::new(&job);
        let view = seen.look(&self.store, job).await?;
        let Some(card) = view.report.model else { return Ok(None) };
        let library = self.library.clone();
        // It is measured against its card and laid out for the processor.
        let added =
            tokio::task::spawn_blocking(move || library.add(*card, &weights).map(|card| card.name.clone())).await;
        Ok(added.ok().and_then(Result::ok))
    }

    /// The cards of all that are known.
    pub fn cards(&self) -> Vec<&'static ModelCard> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        zoo::added().into_iter().filter(|card| known.values().flatten().any(|name| *name == card.name)).collect()
    }

    /// The file of weights of a model; none if it is not known.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn weights(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let id = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.iter().find(|(_, model)| model.as_deref() == Some(name)).map(|(id, _)| id.clone())
        };
        match id {
            Some(id) => self.store.left(&id).await,
            None => Ok(None),
        }
    }
}
