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

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyPool, AssertSqlSafe, Row, Transaction};

use crate::job::Order;

/// A chunk that was begun so often, and never ended, is given up: whoever computes it dies.
const ATTEMPTS: i64 = 20;
/// How far behind others a chunk is put whose worker died, in gradients: whatever kills workers does so last.
const BEHIND: i64 = 20_000;
/// A chunk that failed so often is given up.
const FAILURES: i64 = 3;
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

    // ── Asking ──

    /// The job that answers this digest already, or will; not one that was cancelled or failed.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn same(&self, digest: &str) -> Result<Option<Stored>> {
        let sql = format!(
            "SELECT {JOB} FROM jobs WHERE digest = $1 AND state IN ('queued', 'running', 'done') ORDER BY created LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(digest.to_owned()).fetch_optional(&self.pool).await?;
        row.map(|row| stored(&row)).transpose()
    }

    /// Stores a job for a client, or adds the client to those who want the same; says which job it is, and whether it is
    /// new.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn submit(&self, job: &NewJob, client: &Client) -> Result<(String, bool)> {
        let mut transaction = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            // Equal questions asked at the same moment must find one another.
            sqlx::query("SELECT CAST(pg_advisory_xact_lock(314159265) AS TEXT)").fetch_one(&mut *transaction).await?;
        }
        let same = sqlx::query(
            "SELECT id FROM jobs WHERE digest = $1 AND state IN ('queued', 'running', 'done') ORDER BY created LIMIT 1",
        )
        .bind(job.digest.clone())
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(row) = same {
            let id: String = row.try_get(0)?;
            want(&mut transaction, &id, client).await?;
            transaction.commit().await?;
            return Ok((id, false));
        }
        let cost = job.costs.iter().sum::<u64>() as i64;
        sqlx::query(
            "INSERT INTO jobs (id, kind, question, digest, state, chunks, cost, created) \
             VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7)",
        )
        .bind(job.id.clone())
        .bind(job.kind.clone())
        .bind(job.question.clone())
        .bind(job.digest.clone())
        .bind(job.costs.len() as i64)
        .bind(cost)
        .bind(now() as i64)
        .execute(&mut *transaction)
        .await?;
        want(&mut transaction, &job.id, client).await?;
        let mut tag = start_tag(&mut transaction, &client.name).await?;
        for (k, costs) in job.costs.chunks(1000).enumerate() {
            let rows = costs.iter().enumerate().map(|(i, &cost)| {
                let number = (k * 1000 + i) as u32;
                let state = if job.order.needs(number).is_some() { chunk::BLOCKED } else { chunk::WAITING };
                // The tag is where the chunk ends in virtual time, so that cheap first chunks come before dear ones.
                tag += cost.max(1) as i64;
                format!("($1, {number}, {state}, {tag}, {cost})")
            });
            // Numbers only: written out, a thousand rows are one statement on either store.
            let rows = rows.collect::<Vec<_>>().join(", ");
            let sql = format!("INSERT INTO chunks (job, number, state, tag, cost) VALUES {rows}");
            sqlx::query(AssertSqlSafe(sql)).bind(job.id.clone()).execute(&mut *transaction).await?;
        }
        sqlx::query(
            "INSERT INTO clients (client, tag) VALUES ($1, $2) ON CONFLICT (client) DO UPDATE SET tag = excluded.tag",
        )
        .bind(client.name.clone())
        .bind(tag)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((job.id.clone(), true))
    }

    /// The jobs that have not ended: of this client, of its address, and of everyone.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn active(&self, client: &Client) -> Result<[u64; 3]> {
        let count = "SELECT COUNT(DISTINCT j.id) FROM jobs j JOIN interests i ON i.job = j.id \
                     WHERE j.state IN ('queued', 'running')";
        let own = sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!("{count} AND i.client = $1")))
            .bind(client.name.clone())
            .fetch_one(&self.pool)
            .await?;
        let near = sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!("{count} AND i.address = $1")))
            .bind(client.address.clone())
            .fetch_one(&self.pool)
            .await?;
        let all = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'running')")
            .fetch_one(&self.pool)
            .await?;
        Ok([own, near, all].map(|count| count as u64))
    }

    /// A job.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn job(&self, id: &str) -> Result<Option<Stored>> {
        let sql = format!("SELECT {JOB} FROM jobs WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool).await?;
        row.map(|row| stored(&row)).transpose()
    }

    /// The newest jobs of a client, or of everyone.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn jobs(&self, client: Option<&str>, most: u32) -> Result<Vec<Stored>> {
        let sql = match client {
            Some(_) => format!(
                "SELECT {JOB} FROM jobs WHERE id IN (SELECT job FROM interests WHERE client = $1) \
                 ORDER BY created DESC LIMIT $2"
            ),
            None => format!("SELECT {JOB} FROM jobs WHERE $1 = '' ORDER BY created DESC LIMIT $2"),
        };
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(client.unwrap_or_default().to_owned())
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(stored).collect()
    }

    /// How many want a job.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn wanted_by(&self, id: &str) -> Result<u64> {
        let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM interests WHERE job = $1");
        Ok(count.bind(id.to_owned()).fetch_one(&self.pool).await? as u64)
    }

    /// How many jobs, and what cost, come before the next chunk of this one.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn ahead(&self, id: &str) -> Result<(u64, u64)> {
        let row = sqlx::query(
            "SELECT COUNT(DISTINCT job), CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM chunks \
             WHERE state IN (0, 1) AND job <> $1 \
             AND tag < COALESCE((SELECT MIN(tag) FROM chunks WHERE job = $2 AND state = 0), 0)",
        )
        .bind(id.to_owned())
        .bind(id.to_owned())
        .fetch_one(&self.pool)
        .await?;
        Ok((row.try_get::<i64, _>(0)? as u64, row.try_get::<i64, _>(1)? as u64))
    }

    /// The parts of a job that are newer than a revision.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn parts(&self, id: &str, since: u64) -> Result<Vec<Part>> {
        let rows = sqlx::query("SELECT number, part FROM chunks WHERE job = $1 AND state = 2 AND revision > $2")
            .bind(id.to_owned())
            .bind(since as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(Part { number: row.try_get::<i64, _>(0)? as u32, part: row.try_get(1)? })).collect()
    }

    /// The jobs of a kind that are done.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn ended(&self, kind: &str) -> Result<Vec<String>> {
        let done = sqlx::query_scalar("SELECT id FROM jobs WHERE state = 'done' AND kind = $1 ORDER BY ended");
        Ok(done.bind(kind.to_owned()).fetch_all(&self.pool).await?)
    }

    /// What the last chunk of a job has left.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn left(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query(
            "SELECT carry FROM chunks WHERE job = $1 AND state = 2 AND number = \
             (SELECT chunks - 1 FROM jobs WHERE id = $2)",
        )
        .bind(id.to_owned())
        .bind(id.to_owned())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
    }

    /// The chunks that were given up, of a job or of all, the first of them.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn dead(&self, id: Option<&str>, most: u32) -> Result<Vec<Dead>> {
        let sql = match id {
            Some(_) => "SELECT job, number, error FROM chunks WHERE state = 3 AND job = $1 ORDER BY number LIMIT $2",
            None => "SELECT job, number, error FROM chunks WHERE state = 3 AND $1 = '' ORDER BY job, number LIMIT $2",
        };
        let rows = sqlx::query(sql)
            .bind(id.unwrap_or_default().to_owned())
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await?;
        let dead = |row: &AnyRow| {
            let error: Option<String> = row.try_get(2)?;
            let number = row.try_get::<i64, _>(1)? as u32;
            Ok(Dead { job: row.try_get(0)?, number, error: error.unwrap_or_default() })
        };
        rows.iter().map(dead).collect()
    }

    /// A client does not want a job any more; if nobody else does, it is cancelled. Says whether it was.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn cancel(&self, id: &str, client: Option<&str>) -> Result<bool> {
        let mut transaction = self.begin().await?;
        match client {
            Some(client) => {
                sqlx::query("DELETE FROM interests WHERE job = $1 AND client = $2")
                    .bind(id.to_owned())
                    .bind(client.to_owned())
                    .execute(&mut *transaction)
                    .await?;
            }
            None => {
                sqlx::query("DELETE FROM interests WHERE job = $1")
                    .bind(id.to_owned())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        let cancelled = sqlx::query(
            "UPDATE jobs SET state = 'cancelled', ended = $1, revision = revision + 1 WHERE id = $2 \
             AND state IN ('queued', 'running') AND NOT EXISTS (SELECT 1 FROM interests WHERE job = $3)",
        )
        .bind(now() as i64)
        .bind(id.to_owned())
        .bind(id.to_owned())
        .execute(&mut *transaction)
        .await?
        .rows_affected()
            > 0;
        if cancelled {
            sqlx::query("UPDATE chunks SET state = $1, worker = NULL WHERE job = $2 AND state IN (0, 1, 4)")
                .bind(chunk::DROPPED)
                .bind(id.to_owned())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(cancelled)
    }

    /// Begins the chunks of a job anew that were given up. Says how many.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn retry(&self, id: &str, order: Order) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let again = sqlx::query(
            "UPDATE chunks SET state = 0, attempts = 0, failures = 0, error = NULL WHERE job = $1 AND state = 3 \
             AND failures > 0 OR job = $2 AND state = 3 AND attempts > 0",
        )
        .bind(id.to_owned())
        .bind(id.to_owned())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if order != Order::Free {
            sqlx::query("UPDATE chunks SET state = 4, error = NULL WHERE job = $1 AND state = 3")
                .bind(id.to_owned())
                .execute(&mut *transaction)
                .await?;
        }
        if again > 0 {
            sqlx::query(
                "UPDATE jobs SET state = 'queued', ended = NULL, dead = 0, revision = revision + 1 WHERE id = $1",
            )
            .bind(id.to_owned())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(again)
    }

    /// Forgets jobs that ended before a moment, in milliseconds since 1970. Says how many.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn forget(&self, before: u64) -> Result<u64> {
        let mut transaction = self.begin().await?;
        for table in ["chunks", "interests"] {
            let sql = format!("DELETE FROM {table} WHERE job IN (SELECT id FROM jobs WHERE ended < $1)");
            sqlx::query(AssertSqlSafe(sql)).bind(before as i64).execute(&mut *transaction).await?;
        }
        let jobs =
            sqlx::query("DELETE FROM jobs WHERE ended < $1").bind(before as i64).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM workers WHERE seen < $1").bind(before as i64).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(jobs.rows_affected())
    }

    // ── Working ──

    /// Takes the chunk whose turn it is.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn claim(&self, worker: &str) -> Result<Option<Claim>> {
        // `FOR UPDATE SKIP LOCKED` lets several workers claim at the same moment; SQLite has one writer anyway.
        let sql = match self.dialect {
            Dialect::Sqlite => {
                "UPDATE chunks SET state = 1, worker = $1, lease = $2, attempts = attempts + 1 WHERE (job, number) = \
                 (SELECT job, number FROM chunks WHERE state = 0 ORDER BY tag LIMIT 1) RETURNING job, number, cost, tag"
            }
            Dialect::Postgres => {
                "UPDATE chunks SET state = 1, worker = $1, lease = $2, attempts = attempts + 1 WHERE (job, number) = \
                 (SELECT job, number FROM chunks WHERE state = 0 ORDER BY tag LIMIT 1 FOR UPDATE SKIP LOCKED) \
                 RETURNING job, number, cost, tag"
            }
        };
        let mut transaction = self.begin().await?;
        let claimed = sqlx::query(sql)
            .bind(worker.to_owned())
            .bind((now() + LEASE.as_millis() as u64) as i64)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = claimed else { return Ok(None) };
        let (job, number, cost, tag) = (
            row.try_get::<String, _>(0)?,
            row.try_get::<i64, _>(1)?,
            row.try_get::<i64, _>(2)?,
            row.try_get::<i64, _>(3)?,
        );
        sqlx::query("UPDATE clock SET tag = $1 WHERE tag < $2").bind(tag).bind(tag).execute(&mut *transaction).await?;
        sqlx::query(
            "UPDATE jobs SET state = 'running', started = COALESCE(started, $1), revision = revision + 1 \
             WHERE id = $2 AND state = 'queued'",
        )
        .bind(now() as i64)
        .bind(job.clone())
        .execute(&mut *transaction)
        .await?;
        let asked = sqlx::query("SELECT kind, question FROM jobs WHERE id = $1")
            .bind(job.clone())
            .fetch_one(&mut *transaction)
            .await?;
        let (kind, question) = (asked.try_get(0)?, asked.try_get(1)?);
        transaction.commit().await?;
        Ok(Some(Claim { job, number: number as u32, cost: cost as u64, kind, question }))
    }

    /// What a chunk left for others.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn carried(&self, job: &str, number: u32) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query("SELECT carry FROM chunks WHERE job = $1 AND number = $2 AND state = 2")
            .bind(job.to_owned())
            .bind(i64::from(number))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
    }

    /// Writes down a chunk's result and counts it, once: not if the worker has lost the chunk. Says whether it did.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn complete(
        &self,
        worker: &str,
        claim: &Claim,
        order: Order,
        part: Vec<u8>,
        carry: Option<Vec<u8>>,
        milliseconds: u64,
    ) -> Result<bool> {
        let (job, number) = (&claim.job, i64::from(claim.number));
        let mut transaction = self.begin().await?;
        let revision = sqlx::query_scalar::<_, i64>(
            "UPDATE jobs SET done = done + 1, done_cost = done_cost + $1, revision = revision + 1 \
             WHERE id = $2 AND state = 'running' RETURNING revision",
        )
        .bind(claim.cost as i64)
        .bind(job.clone())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(revision) = revision else { return Ok(false) };
        let written = sqlx::query(
            "UPDATE chunks SET state = 2, worker = NULL, lease = NULL, error = NULL, part = $1, carry = $2, \
             milliseconds = $3, revision = $4 WHERE job = $5 AND number = $6 AND state = 1 AND worker = $7",
        )
        .bind(part)
        .bind(carry)
        .bind(milliseconds as i64)
        .bind(revision)
        .bind(job.clone())
        .bind(number)
        .bind(worker.to_owned())
        .execute(&mut *transaction)
        .await?;
        if written.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        match order {
            Order::Free => {}
            Order::AfterFirst => {
                if number == 0 {
                    sqlx::query("UPDATE chunks SET state = 0 WHERE job = $1 AND state = 4")
                        .bind(job.clone())
                        .execute(&mut *transaction)
                        .await?;
                }
            }
            Order::Chain => {
                sqlx::query("UPDATE chunks SET state = 0 WHERE job = $1 AND number = $2 AND state = 4")
                    .bind(job.clone())
                    .bind(number + 1)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query("UPDATE chunks SET carry = NULL WHERE job = $1 AND number = $2")
                    .bind(job.clone())
                    .bind(number - 1)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        sqlx::query("UPDATE workers SET chunks = chunks + 1, milliseconds = milliseconds + $1 WHERE id = $2")
            .bind(milliseconds as i64)
            .bind(worker.to_owned())
            .execute(&mut *transaction)
            .await?;
        end(&mut transaction, job).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A chunk could not be computed: it is tried again, or given up after the third time.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn fail(&self, worker: &str, claim: &Claim, order: Order, error: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        let state = sqlx::query_scalar::<_, i64>(
            "UPDATE chunks SET worker = NULL, lease = NULL, failures = failures + 1, error = $1, \
             state = CASE WHEN failures + 1 >= $2 THEN 3 ELSE 0 END \
             WHERE job = $3 AND number = $4 AND state = 1 AND worker = $5 RETURNING state",
        )
        .bind(error.to_owned())
        .bind(FAILURES)
        .bind(claim.job.clone())
        .bind(i64::from(claim.number))
        .bind(worker.to_owned())
        .fetch_optional(&mut *transaction)
        .await?;
        if state == Some(chunk::DEAD) {
            bury(&mut transaction, &claim.job, claim.number, order).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Says that a worker lives and renews what it holds; false if it was not known, as after a long sleep.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn renew(&self, worker: &str, threads: usize) -> Result<()> {
        let now = now();
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO workers (id, threads, started, seen) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
        )
        .bind(worker.to_owned())
        .bind(threads as i64)
        .bind(now as i64)
        .bind(now as i64)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE chunks SET lease = $1 WHERE worker = $2 AND state = 1")
            .bind((now + LEASE.as_millis() as u64) as i64)
            .bind(worker.to_owned())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives back what a worker holds, because it stops; with none, what anyone holds: for a store that belongs to this
    /// process alone and has just been opened.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn release(&self, worker: Option<&str>) -> Result<u64> {
        let sql = match worker {
            Some(_) => {
                "UPDATE chunks SET state = 0, worker = NULL, attempts = attempts - 1 WHERE state = 1 AND worker = $1"
            }
            None => "UPDATE chunks SET lease = 0 WHERE state = 1 AND $1 = ''",
        };
        let released = sqlx::query(sql).bind(worker.unwrap_or_default().to_owned()).execute(&self.pool).await?;
        if worker.is_none() { self.expire().await } else { Ok(released.rows_affected()) }
    }

    /// Takes chunks from workers that have not renewed them. Says how many.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn expire(&self) -> Result<u64> {
        let now = now() as i64;
        let lost = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM chunks WHERE state = 1 AND lease < $1")
            .bind(now)
            .fetch_one(&self.pool)
            .await?;
        if lost == 0 {
            return Ok(0);
        }
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(
            "UPDATE chunks SET worker = NULL, lease = NULL, state = CASE WHEN attempts >= $1 THEN 3 ELSE 0 END, \
             error = CASE WHEN attempts >= $2 THEN 'every worker that began it died' ELSE error END, tag = tag + $3 \
             WHERE state = 1 AND lease < $4 RETURNING job, number, state",
        )
        .bind(ATTEMPTS)
        .bind(ATTEMPTS)
        .bind(BEHIND)
        .bind(now)
        .fetch_all(&mut *transaction)
        .await?;
        for row in &rows {
            if row.try_get::<i64, _>(2)? == chunk::DEAD {
                // What needs it can never be computed, whatever the order.
                bury(&mut transaction, &row.try_get::<String, _>(0)?, row.try_get::<i64, _>(1)? as u32, Order::Chain)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(rows.len() as u64)
    }

    /// The workers that were heard of lately.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn workers(&self) -> Result<Vec<Worker>> {
        let now = now();
        let since = now.saturating_sub(10 * 60 * 1000);
        let rows = sqlx::query(
            "SELECT id, threads, started, seen, chunks, milliseconds FROM workers WHERE seen > $1 ORDER BY started",
        )
        .bind(since as i64)
        .fetch_all(&self.pool)
        .await?;
        let worker = |row: &AnyRow| {
            let number = |column: usize| row.try_get::<i64, _>(column).map(|number| number.max(0) as u64);
            Ok(Worker {
                id: row.try_get(0)?,
                threads: number(1)? as u32,
                age: now.saturating_sub(number(2)?),
                silent: now.saturating_sub(number(3)?),
                chunks: number(4)?,
                milliseconds: number(5)?,
            })
        };
        rows.iter().map(worker).collect()
    }

    /// How many chunks wait, run, are done, were given up, and wait for others.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn counts(&self) -> Result<[u64; 5]> {
        let rows = sqlx::query("SELECT state, COUNT(*) FROM chunks GROUP BY state").fetch_all(&self.pool).await?;
        let mut counts = [0; 5];
        for row in rows {
            let (state, count) = (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?);
            if let Some(place) = counts.get_mut(state as usize) {
                *place = count as u64;
            }
        }
        Ok(counts)
    }

    /// How many jobs are in each state.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn states(&self) -> Result<Vec<(State, u64)>> {
        let rows = sqlx::query("SELECT state, COUNT(*) FROM jobs GROUP BY state").fetch_all(&self.pool).await?;
        let state = |row: &AnyRow| Ok((State::of(&row.try_get::<String, _>(0)?), row.try_get::<i64, _>(1)? as u64));
        rows.iter().map(state).collect()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
}

/// Where a client's next job begins in virtual time: now, or where its last one ends.
async fn start_tag(transaction: &mut Transaction<'static, Any>, client: &str) -> Result<i64> {
    let now = sqlx::query_scalar::<_, i64>("SELECT tag FROM clock WHERE id = 0").fetch_one(&mut **transaction).await?;
    let own = sqlx::query_scalar::<_, i64>("SELECT tag FROM clients WHERE client = $1")
        .bind(client.to_owned())
        .fetch_optional(&mut **transaction)
        .await?;
    Ok(now.max(own.unwrap_or(0)))
}

async fn want(transaction: &mut Transaction<'static, Any>, id: &str, client: &Client) -> Result<()> {
    sqlx::query(
        "INSERT INTO interests (job, client, address, created) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (job, client) DO UPDATE SET created = excluded.created",
    )
    .bind(id.to_owned())
    .bind(client.name.clone())
    .bind(client.address.clone())
    .bind(now() as i64)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A chunk has been given up, and with it those that need it.
async fn bury(transaction: &mut Transaction<'static, Any>, job: &str, number: u32, order: Order) -> Result<()> {
    let mut dead = 1;
    if order != Order::Free {
        let others = sqlx::query("UPDATE chunks SET state = 3, error = $1 WHERE job = $2 AND state = 4")
            .bind(format!("it needs chunk {number}, which was given up"))
            .bind(job.to_owned())
            .execute(&mut **transaction)
            .await?;
        dead += others.rows_affected() as i64;
    }
    sqlx::query("UPDATE jobs SET dead = dead + $1, revision = revision + 1 WHERE id = $2")
        .bind(dead)
        .bind(job.to_owned())
        .execute(&mut **transaction)
        .await?;
    end(transaction, job).await
}

/// Ends a job that has nothing left to do.
async fn end(transaction: &mut Transaction<'static, Any>, job: &str) -> Result<()> {
    sqlx::query(
        "UPDATE jobs SET state = CASE WHEN dead > 0 THEN 'failed' ELSE 'done' END, ended = $1 \
         WHERE id = $2 AND state = 'running' AND done + dead >= chunks",
    )
    .bind(now() as i64)
    .bind(job.to_owned())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn stored(row: &AnyRow) -> Result<Stored> {
    let number = |column: usize| row.try_get::<i64, _>(column).map(|number| number.max(0) as u64);
    let moment = |column: usize| row.try_get::<Option<i64>, _>(column).map(|number| number.map(|n| n.max(0) as u64));
    Ok(Stored {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        question: row.try_get(2)?,
        state: State::of(&row.try_get::<String, _>(3)?),
        chunks: number(4)? as u32,
        done: number(5)? as u32,
        dead: number(6)? as u32,
        cost: number(7)?,
        done_cost: number(8)?,
        created: number(9)?,
        started: moment(10)?,
        ended: moment(11)?,
        revision: number(12)?,
    })
}
