//! `epsilon-lab worker`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{signals, store};
use crate::data::source::FASHION_DIR;
use crate::library::Library;
use crate::server::jobs::Models;
use crate::server::{Shutdown, log};

/// Compute batches for a server, on this machine or another.
///
/// Server and workers share a Postgres; each takes the chunk whose turn it is, so that a batch is spread over all of them.
/// A worker may be started, stopped or killed at any time: what it had begun is another's after a few seconds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Worker {
    /// The store that the server uses: postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, value_name = "ADDRESS", env = "EPSILON_LAB_STORE", hide_env_values = true)]
    store: String,
    /// Folder of models and test pictures
    #[arg(long, value_name = "DIR", default_value = "assets")]
    assets: PathBuf,
    /// Folder of Fashion-MNIST's four files, which networks are trained with
    #[arg(long, value_name = "DIR", default_value = FASHION_DIR)]
    fashion: PathBuf,
    /// Chunks computed at once; one per core by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Form of the log on standard error; RUST_LOG sets how much is logged (default: info)
    #[arg(long, value_enum, default_value_t)]
    log: log::Form,
}

const EXAMPLES: &str = "\
Examples:
  epsilon-lab serve --store postgres://lab:secret@db/lab --threads 0     the server, computing nothing itself
  epsilon-lab worker --store postgres://lab:secret@db/lab                on as many machines as there are";

impl Worker {
    /// Computes until it is told to stop.
    ///
    /// # Errors
    /// If the store or the assets cannot be opened.
    pub fn run(self) -> anyhow::Result<()> {
        log::start(self.log);
        let library = Arc::new(Library::open(&self.assets)?.with_fashion(&self.fashion));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(async {
            let opened = store::open(Some(&self.store), std::path::Path::new(".")).await?;
            let shutdown = Shutdown::default();
            tokio::spawn(signals::stop(signals::Signals::new()?, shutdown.clone()));
            let threads = store::threads(self.threads);
            let models = Arc::new(Models::new(opened.store.clone(), library.clone()));
            let runner = store::runner(&opened.store, library, models, threads, Arc::default(), Arc::default());
            println!("Worker {} computes {threads} chunks at once — stop with Ctrl+C", runner.name);
            runner.run(shutdown).await;
            anyhow::Ok(())
        });
        // A chunk that is still being computed is not waited for: it has been given back.
        runtime.shutdown_timeout(Duration::from_millis(200));
        outcome
    }
}
