//! Jobs on the server: who may ask for what, the store, those who compute, and the news.

mod hub;
mod models;
mod routes;
mod runner;
pub mod store;

use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;

pub use hub::Hub;
pub use models::Models;
pub use routes::router;
pub use runner::Runner;
pub use store::{Client, Store, StoreError};

use self::store::NewJob;
use super::Error;
use crate::job::{Job, Limits};
use crate::library::Library;
use crate::nn::zoo::TRAINED;

/// Bytes of a key that a page makes for itself.
const NAME: std::ops::RangeInclusive<usize> = 8..=64;

/// How many jobs may wait or run at once.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Of one page.
    pub client: u64,
    /// Of one address: a lecture hall may have one.
    pub address: u64,
    /// Of all.
    pub all: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { client: 4, address: 400, all: 2000 }
    }
}

/// The jobs of the server.
#[derive(Clone)]
pub struct Jobs {
    /// Where they lie.
    pub store: Store,
    /// Who follows them.
    pub hub: Arc<Hub>,
    /// What they have trained.
    pub models: Arc<Models>,
    /// Rings when there is new work.
    pub work: Arc<Notify>,
    quotas: Quotas,
    /// SHA-256 of the instructor's key.
    key: Option<[u8; 32]>,
    /// Part of every digest: other models give other answers.
    version: Arc<str>,
}

impl Jobs {
    /// Jobs in a store; `news` rings when this process has written a result. `key` is the instructor's; without one nobody
    /// has it. `version` stands for everything that answers depend on beside the question.
    pub fn new(
        store: Store,
        library: Arc<Library>,
        news: Arc<Notify>,
        quotas: Quotas,
        key: Option<&str>,
        version: &str,
    ) -> Self {
        let hub = Arc::new(Hub::new(store.clone(), news));
        let models = Arc::new(Models::new(store.clone(), library));
        let key = key.map(|key| Sha256::digest(key.as_bytes()).into());
        Self { store, hub, models, work: Arc::default(), quotas, key, version: version.into() }
    }

    /// Whether this is the instructor's key.
    pub fn is_instructors(&self, key: &str) -> bool {
        // Digests are compared: how long that takes says nothing about the key.
        let given: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        self.key == Some(given)
    }

    /// Takes a job, or finds the one that answers the same already.
    ///
    /// # Errors
    /// If it is refused, or the store does not answer.
    pub async fn submit(&self, job: &Arc<dyn Job>, client: &Client, instructor: bool) -> Result<(String, bool), Error> {
        // A model that has just been trained is a model, whoever trained it.
        if job.question().to_string().contains(TRAINED) {
            self.models.refresh().await?;
        }
        job.check(if instructor { &Limits::RAISED } else { &Limits::USUAL })?;
        let question = job.question().to_string();
        let kind = job.kind().key;
        let digest = hex(&Sha256::digest(format!("{kind}\n{}\n{question}", self.version).as_bytes()));
        if self.store.same(&digest).await?.is_none() && !instructor {
            let [own, near, all] = self.store.active(client).await?;
            let Quotas { client, address, all: most } = self.quotas;
            let (what, most) = match () {
                () if own >= client => ("of yours", client),
                () if near >= address => ("from your network", address),
                () if all >= most => ("of everyone", most),
                () => ("", 0),
            };
            if most > 0 {
                return Err(Error::Quota { what, most });
            }
        }
        let new =
            NewJob { id: new_name(), kind: kind.into(), question, digest, costs: job.chunks(), order: job.order() };
        let submitted = self.store.submit(&new, client).await?;
        self.work.notify_waiters();
        Ok(submitted)
    }
}

/// A client from what it says of itself and where it is.
fn client(name: Option<&str>, address: IpAddr) -> Client {
    let plain = |name: &&str| NAME.contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let address = address.to_string();
    Client { name: name.filter(plain).map_or_else(|| format!("@{address}"), str::to_owned), address }
}

/// A name for a link, that nobody guesses.
fn new_name() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("every system that has sockets has random numbers");
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
