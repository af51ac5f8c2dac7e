//! `epsilon-lab serve`.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::signals::{self, Signals};
use super::store;
use crate::data::source::FASHION_DIR;
use crate::library::Library;
use crate::server::jobs::Quotas;
use crate::server::{self, AppState, Jobs, Limits, Site, log};

/// Serve the Lab over HTTP.
///
/// Serves the built page and computes batches for it, which outlive the page and the server. Needs nothing installed beside it, and asks no other host
/// for anything. Ctrl+C (or SIGTERM) stops it within a few seconds; batches go on when it is started again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Serve {
    /// Address to listen on; 0.0.0.0 or :: for every address of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Port to listen on; 0 lets the system choose a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Folder the server may write to, created when it is missing: batches with their results, and the instructor's key
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Folder of the built page
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,
    /// Folder of models and test pictures; by default, “assets” in the folder of the built page
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Folder of Fashion-MNIST's four files, which networks are trained with
    #[arg(long, value_name = "DIR", default_value = FASHION_DIR)]
    fashion: PathBuf,
    /// Form of the log on standard error; RUST_LOG sets how much is logged (default: info)
    #[arg(long, value_enum, default_value_t)]
    log: log::Form,
    /// Chunks of batches computed at once; one per core by default, 0 to leave it to workers that share the store
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1024))]
    threads: Option<u16>,
    /// Where batches lie: a Postgres to share with `epsilon-lab worker` (postgres://USER:PASSWORD@HOST/DATABASE); by default
    /// a file in the data folder
    #[arg(long, value_name = "ADDRESS", env = "EPSILON_LAB_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Days for which results of batches are kept
    #[arg(long, value_name = "DAYS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=36500))]
    keep: u32,
}

const EXAMPLES: &str = "\
Examples:
  epsilon-lab serve
  epsilon-lab serve --port 9000 --data-dir /var/lib/epsilon-lab
  epsilon-lab serve --bind 0.0.0.0 --log json --threads 8
  epsilon-lab serve --store postgres://lab:secret@db/lab --threads 0
  RUST_LOG=debug epsilon-lab serve";

impl Serve {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// If it cannot start: nothing built, a busy port, a folder that cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        log::start(self.log);
        let site = Site::open(&self.dist)?;
        let assets = self.assets.unwrap_or_else(|| self.dist.join("assets"));
        let library = Arc::new(Library::open(&assets)?.with_fashion(&self.fashion));
        writable(&self.data_dir)?;
        let key = store::key(&self.data_dir)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(async {
            let address = SocketAddr::new(self.bind, self.port);
            let listener = TcpListener::bind(address).await.map_err(|error| cannot_listen(address, &error))?;
            let opened = store::open(self.store.as_deref(), &self.data_dir).await?;
            let news = Arc::<Notify>::default();
            let jobs = Jobs::new(
                opened.store.clone(),
                library.clone(),
                news.clone(),
                Quotas::default(),
                Some(&key),
                &store::version(),
            );
            let state = AppState::new(site, jobs.clone(), Limits::default());
            let shutdown = state.shutdown().clone();
            tokio::spawn(signals::stop(Signals::new()?, shutdown.clone()));
            tokio::spawn(store::forget(opened.store.clone(), self.keep, shutdown.clone()));
            let threads = store::threads(self.threads);
            let computing = (threads > 0).then(|| {
                let runner =
                    store::runner(&opened.store, library, jobs.models.clone(), threads, jobs.work.clone(), news);
                tokio::spawn(runner.run(shutdown))
            });
            println!("Epsilon Lab is at {} — stop with Ctrl+C", shown(listener.local_addr()?));
            server::serve(listener, state).await;
            if let Some(computing) = computing {
                // It gives back what is not done.
                let _ = computing.await;
            }
            anyhow::Ok(())
        });
        // A chunk of pictures that is still being computed is not waited for.
        runtime.shutdown_timeout(Duration::from_millis(200));
        outcome
    }
}

/// Creates the folder if need be and writes a file into it, to learn now whether that works.
fn writable(folder: &Path) -> anyhow::Result<()> {
    let probe = folder.join(format!(".epsilon-lab-{}", std::process::id()));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe))
        .with_context(|| {
            format!("cannot write to the data folder “{}”; choose another with --data-dir", folder.display())
        })
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("port {port} of {ip} is in use by another program; stop that one or choose another with --port")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("not allowed to listen on port {port}; choose one of 1024 or more with --port")
        }
        ErrorKind::AddrNotAvailable => anyhow!("{ip} is not an address of this machine; choose another with --bind"),
        _ => anyhow!("cannot listen on {address}: {error}"),
    }
}

/// The address a person can open.
fn shown(listening: SocketAddr) -> String {
    if listening.ip().is_unspecified() {
        format!("http://localhost:{}, and at every address of this machine", listening.port())
    } else {
        format!("http://{listening}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_below_a_file_cannot_be_written_and_the_message_names_the_option() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = writable(&folder.path().join("file/data")).unwrap_err();
        assert!(error.to_string().contains("--data-dir"), "{error}");
        writable(&folder.path().join("new/data")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("new/data")).unwrap().count(), 0);
    }

    #[test]
    fn the_printed_address_can_be_opened() {
        assert_eq!(shown("127.0.0.1:8000".parse().unwrap()), "http://127.0.0.1:8000");
        assert_eq!(shown("[::1]:80".parse().unwrap()), "http://[::1]:80");
        assert!(shown("0.0.0.0:8000".parse().unwrap()).starts_with("http://localhost:8000"));
    }
}
