//! What clients want of the store: jobs asked for, looked at, stopped.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::{Client, Dead, Dialect, JOB, NewJob, Part, Result, State, Store, Stored, chunk, now};
use crate::job::Order;

impl Store {
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
                     WHERE j.state IN ('queued', 'running') AND i.wanted = 1";
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
        let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM interests WHERE job = $1 AND wanted = 1");
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
                sqlx::query("UPDATE interests SET wanted = 0 WHERE job = $1 AND client = $2")
                    .bind(id.to_owned())
                    .bind(client.to_owned())
                    .execute(&mut *transaction)
                    .await?;
            }
            None => {
                sqlx::query("UPDATE interests SET wanted = 0 WHERE job = $1")
                    .bind(id.to_owned())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        let cancelled = sqlx::query(
            "UPDATE jobs SET state = 'cancelled', ended = $1, revision = revision + 1 WHERE id = $2 \
             AND state IN ('queued', 'running') AND NOT EXISTS (SELECT 1 FROM interests WHERE job = $3 AND wanted = 1)",
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
         ON CONFLICT (job, client) DO UPDATE SET created = excluded.created, wanted = 1",
    )
    .bind(id.to_owned())
    .bind(client.name.clone())
    .bind(client.address.clone())
    .bind(now() as i64)
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
