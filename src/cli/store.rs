//! What `serve` and `worker` have in common: the store, the threads, the key.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::sync::Notify;

use crate::library::Library;
use crate::nn::zoo;
use crate::server::Shutdown;
use crate::server::jobs::{Models, Runner, Store};

/// The file of jobs in the data folder.
const JOBS_FILE: &str = "jobs.sqlite";
/// The file that one process holds while it uses the file of jobs.
const LOCK_FILE: &str = "jobs.lock";
/// The file of the instructor's key in the data folder.
const KEY_FILE: &str = "instructor-key";

/// An open store, and what keeps others from it.
pub struct Opened {
    /// The store.
    pub store: Store,
    _lock: Option<fs::File>,
}

/// Opens the store at an address, or the file in the data folder.
///
/// # Errors
/// If it cannot be opened, or another process uses the file.
pub async fn open(address: Option<&str>, data_dir: &Path) -> anyhow::Result<Opened> {
    if let Some(address) = address.filter(|address| !address.starts_with("sqlite:")) {
        return Ok(Opened { store: Store::open(address).await?, _lock: None });
    }
    let file = match address.and_then(|address| address.strip_prefix("sqlite:")) {
        Some(file) => file.into(),
        None => data_dir.join(JOBS_FILE),
    };
    let lock = file.with_file_name(LOCK_FILE);
    let lock = fs::File::create(&lock).with_context(|| format!("cannot write to “{}”", lock.display()))?;
    lock.try_lock().map_err(|_| {
        anyhow!(
            "another process uses the batches in “{}”: stop it, choose another --data-dir, or share a Postgres with \
             --store postgres://USER:PASSWORD@HOST/DATABASE",
            file.display()
        )
    })?;
    let store = Store::in_file(&file).await?;
    // Nobody else has it: what is marked as running is what a killed process left.
    store.release(None).await?;
    Ok(Opened { store, _lock: Some(lock) })
}

/// One who computes. The name must be another for every process.
pub fn runner(
    store: &Store,
    library: Arc<Library>,
    models: Arc<Models>,
    threads: usize,
    work: Arc<Notify>,
    news: Arc<Notify>,
) -> Runner {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("every system that has sockets has random numbers");
    let name = format!("{}-{:08x}", std::process::id(), u32::from_le_bytes(bytes));
    Runner { name, threads, store: store.clone(), models, materials: library, work, news }
}

/// Threads to compute with.
pub fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// The instructor's key: what is in its file in the data folder, which is made with a new key if it is not there.
///
/// # Errors
/// If it can be neither read nor written, or is too short to be one.
pub fn key(data_dir: &Path) -> anyhow::Result<String> {
    let file = data_dir.join(KEY_FILE);
    if let Ok(key) = fs::read_to_string(&file) {
        let key = key.trim().to_owned();
        if key.len() < 16 {
            return Err(anyhow!("the key in “{}” is too short: write at least 16 characters", file.display()));
        }
        return Ok(key);
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("every system that has sockets has random numbers");
    let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&file).and_then(|mut open| std::io::Write::write_all(&mut open, key.as_bytes()));
    written.with_context(|| format!("cannot write the instructor’s key to “{}”", file.display()))?;
    Ok(key)
}

/// What answers depend on beside the question: the program and its models.
pub fn version() -> String {
    let models: String = zoo::all().iter().map(|card| card.weights.sha256.as_str()).collect();
    format!("{} {models}", env!("CARGO_PKG_VERSION"))
}

/// Forgets old results now and then, until the server is told to stop.
pub async fn forget(store: Store, days: u32, shutdown: Shutdown) {
    let mut beat = tokio::time::interval(std::time::Duration::from_secs(3600));
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = shutdown.begun() => return,
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let before = now.as_millis() as u64 - u64::from(days) * 24 * 3600 * 1000;
        match store.forget(before).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, days, "forgot old batches"),
            Err(error) => tracing::warn!(%error, "cannot forget old batches"),
        }
    }
}
