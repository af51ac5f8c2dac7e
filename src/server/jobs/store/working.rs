//! What workers want of the store: chunks taken, computed, lost.

use sqlx::{Any, Row, Transaction};

use super::{Claim, Dialect, LEASE, Result, Store, chunk, now};
use crate::job::Order;

/// A chunk that was begun so often, and never ended, is given up: whoever computes it dies.
const ATTEMPTS: i64 = 20;
/// How far behind others a chunk is put whose worker died, in gradients: whatever kills workers does so last.
const BEHIND: i64 = 20_000;
/// A chunk that failed so often is given up.
const FAILURES: i64 = 3;

impl Store {
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
