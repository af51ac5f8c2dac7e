//! What whoever watches over the store wants to know.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Result, State, Store, Worker, now};

impl Store {
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
