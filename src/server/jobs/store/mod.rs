//! Where jobs, their chunks and the results lie: SQLite in the data folder, or a Postgres that several machines share.
//!
//! Everything that must not be lost or counted twice is one transaction here: a chunk's result and the job's count change
//! together, and only for the worker that holds the chunk. A worker holds a chunk by a lease that it renews; when it dies,
//! the lease ends and the chunk is another's. Whoever comes late with a result has lost the chunk, and nothing is written.
//!
//! Turns between clients are taken by start-time fair queueing (Goyal, Vin, Cheng 1996): every chunk has a tag, the
//! client's own virtual time when the chunk begins, and the least tag is computed next. A client who asks for a lot is as
//! far ahead of others in virtual time as in what was computed for it, so that everyone's first chunks come before
//! anyone's hundredth.

mod asking;
mod watching;
mod working;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyPool, AssertSqlSafe, Transaction};

use crate::job::Order;

/// For how long a worker holds a chunk without renewing it.
pub const LEASE: Duration = Duration::from_secs(10);
/// Readers and writers at once.
const CONNECTIONS: u32 = 8;

/// States of a chunk; the schema lists all of them, and statements that are written once name them by number.
mod chunk {
    pub const WAITING: i64 = 0;
    pub const DEAD: i64 = 3;
    pub const BLOCKED: i64 = 4;
    pub const DROPPED: i64 = 5;
}

/// Why the store does not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address of the store is none of those that can be used.
    #[error("“{0}” is no store: give sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE")]
    Address(String),
    /// The database refuses.
    #[error("the store of jobs does not answer: {0}")]
    Database(#[from] sqlx::Error),
}

type Result<T> = std::result::Result<T, StoreError>;

/// Which database it is; they differ in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// A store of jobs. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No chunk has been begun.
    Queued,
    /// Some chunks have been begun.
    Running,
    /// All chunks are there.
    Done,
    /// Some chunks had to be given up.
    Failed,
    /// Nobody wants it any more.
    Cancelled,
}

impl State {
    /// The name in the store and in answers.
    pub fn key(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(key: &str) -> Self {
        [Self::Queued, Self::Running, Self::Done, Self::Failed]
            .into_iter()
            .find(|state| state.key() == key)
            .unwrap_or(Self::Cancelled)
    }

    /// Whether nothing more will come.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A job to be stored.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its name in links.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The tidied question, as JSON.
    pub question: String,
    /// What equal questions have in common.
    pub digest: String,
    /// What each chunk costs.
    pub costs: Vec<u64>,
    /// Which chunks need which.
    pub order: Order,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The name that the page gave itself, or the address.
    pub name: String,
    /// Where it is.
    pub address: String,
}

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name in links.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The tidied question, as JSON.
    pub question: String,
    /// How it stands.
    pub state: State,
    /// Chunks in all.
    pub chunks: u32,
    /// Chunks that are there.
    pub done: u32,
    /// Chunks that had to be given up.
    pub dead: u32,
    /// What it costs in all.
    pub cost: u64,
    /// What the chunks that are there cost.
    pub done_cost: u64,
    /// Milliseconds since 1970 when it was asked for, begun and ended.
    pub created: u64,
    /// When its first chunk was begun.
    pub started: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// Grows with every change.
    pub revision: u64,
}

/// A chunk that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The job.
    pub job: String,
    /// The chunk.
    pub number: u32,
    /// What it costs.
    pub cost: u64,
    /// The job's kind.
    pub kind: String,
    /// The job's question.
    pub question: String,
}

/// A part that has come since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The chunk.
    pub number: u32,
    /// The bytes that computing gave.
    pub part: Vec<u8>,
}

/// A chunk that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The job.
    pub job: String,
    /// The chunk.
    pub number: u32,
    /// Why.
    pub error: String,
}

/// A worker that is or was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub id: String,
    /// Chunks that it computes at once.
    pub threads: u32,
    /// Milliseconds since it started.
    pub age: u64,
    /// Milliseconds since it was last heard of.
    pub silent: u64,
    /// Chunks that it has computed.
    pub chunks: u64,
    /// Milliseconds that took.
    pub milliseconds: u64,
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

const JOB: &str = "id, kind, question, state, chunks, done, dead, cost, done_cost, created, started, ended, revision";

impl Store {
    /// Opens SQLite in a file, which is created if need be.
    ///
    /// # Errors
    /// If it cannot be opened or is no such store.
    pub async fn in_file(file: &Path) -> Result<Self> {
        Self::open(&format!("sqlite:{}", file.display())).await
    }

    /// Opens `sqlite:FILE` or `postgres://…`.
    ///
    /// # Errors
    /// If the address is neither, or the database does not answer.
    pub async fn open(address: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let dialect = if address.starts_with("sqlite:") {
            Dialect::Sqlite
        } else if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            Dialect::Postgres
        } else {
            return Err(StoreError::Address(address.into()));
        };
        let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(Duration::from_secs(10));
        let pool = match dialect {
            Dialect::Sqlite => {
                let options = options.after_connect(|connection, _| {
                    Box::pin(async move {
                        // The log survives a killed process; a power cut may cost the last moments, never the rest.
                        sqlx::raw_sql(
                            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 10000;",
                        )
                        .execute(&mut *connection)
                        .await?;
                        Ok(())
                    })
                });
                options.connect(&format!("{address}?mode=rwc")).await?
            }
            Dialect::Postgres => options.connect(address).await?,
        };
        let store = Self { pool, dialect };
        store.prepare().await?;
        Ok(store)
    }

    /// Whether other processes may work on it.
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    async fn prepare(&self) -> Result<()> {
        let bytes = match self.dialect {
            Dialect::Sqlite => "BLOB",
            Dialect::Postgres => "BYTEA",
        };
        let schema = include_str!("schema.sql").replace("BYTES,", &format!("{bytes},"));
        let mut transaction = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            // Processes that start together must not make the same table twice.
            sqlx::query("SELECT CAST(pg_advisory_xact_lock(718281828) AS TEXT)").fetch_one(&mut *transaction).await?;
        }
        sqlx::raw_sql(AssertSqlSafe(schema)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// A transaction that writes. SQLite has one writer: it waits for its turn here rather than in the middle.
    async fn begin(&self) -> Result<Transaction<'static, Any>> {
        Ok(match self.dialect {
            Dialect::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await?,
            Dialect::Postgres => self.pool.begin().await?,
        })
    }
}
