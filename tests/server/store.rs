//! What both stores promise. Every test here runs on SQLite, and all of them on Postgres.

use epsilon_lab::job::Order;
use epsilon_lab::server::jobs::store::{Client, NewJob, State, Store};

use crate::postgres;

/// Every promise, by name.
macro_rules! promises {
    ($($name:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            let folder = tempfile::tempdir().unwrap();
            promise::$name(Store::in_file(&folder.path().join("jobs.sqlite")).await.unwrap()).await;
        })+

        #[tokio::test]
        async fn postgres_keeps_every_promise() {
            let server = postgres::Server::start();
            $(promise::$name(Store::open(&server.database(stringify!($name))).await.unwrap()).await;)+
        }
    };
}

promises![
    a_job_is_done_when_its_chunks_are,
    a_result_counts_once_and_only_for_who_holds_the_chunk,
    first_chunks_of_all_come_before_the_second_of_any,
    a_client_who_asks_again_stands_behind_its_own,
    a_chunk_that_fails_three_times_is_given_up_and_can_be_tried_again,
    a_chunk_that_kills_its_workers_is_given_up,
    what_hangs_on_a_chunk_waits_for_it_and_gets_what_it_left,
    a_chain_goes_on_link_by_link_and_keeps_only_the_last,
    what_hangs_on_a_chunk_that_is_given_up_is_given_up,
    equal_questions_are_one_job_that_ends_when_nobody_wants_it,
    a_cancelled_chunk_brings_no_result,
    old_jobs_are_forgotten,
    workers_are_known_and_what_they_return_is_free_at_once,
    two_who_claim_at_once_get_different_chunks,
];

fn client(name: &str) -> Client {
    Client { name: name.into(), address: "10.0.0.1".into() }
}

fn job(id: &str, costs: &[u64], order: Order) -> NewJob {
    NewJob {
        id: id.into(),
        kind: "kind".into(),
        question: format!("{{\"of\":\"{id}\"}}"),
        digest: format!("digest of {id}"),
        costs: costs.into(),
        order,
    }
}

/// Submits and says that it was new.
async fn submit(store: &Store, job: &NewJob, by: &str) {
    assert_eq!(store.submit(job, &client(by)).await.unwrap(), (job.id.clone(), true));
}

async fn state(store: &Store, id: &str) -> (State, u32, u32) {
    let job = store.job(id).await.unwrap().unwrap();
    (job.state, job.done, job.dead)
}

/// The next chunks in turn, each completed at once.
async fn turns(store: &Store, most: usize) -> Vec<(String, u32)> {
    let mut turns = Vec::new();
    while turns.len() < most
        && let Some(claim) = store.claim("w").await.unwrap()
    {
        assert!(store.complete("w", &claim, Order::Free, vec![], None, 1).await.unwrap());
        turns.push((claim.job, claim.number));
    }
    turns
}

mod promise {
    use super::*;

    pub async fn a_job_is_done_when_its_chunks_are(store: Store) {
        assert_eq!(store.claim("w").await.unwrap(), None);
        submit(&store, &job("a", &[1, 2, 4], Order::Free), "x").await;
        assert_eq!(state(&store, "a").await, (State::Queued, 0, 0));
        for number in 0..3 {
            let claim = store.claim("w").await.unwrap().unwrap();
            assert_eq!(
                (claim.number, claim.kind.as_str(), claim.question.as_str()),
                (number, "kind", "{\"of\":\"a\"}")
            );
            assert_eq!(state(&store, "a").await, (State::Running, number, 0));
            assert!(store.complete("w", &claim, Order::Free, vec![number as u8; 3], None, 7).await.unwrap());
        }
        let done = store.job("a").await.unwrap().unwrap();
        assert_eq!((done.state, done.done, done.cost, done.done_cost), (State::Done, 3, 7, 7));
        assert!(done.started.unwrap() >= done.created && done.ended.unwrap() >= done.started.unwrap());
        let mut parts = store.parts("a", 0).await.unwrap();
        parts.sort_by_key(|part| part.number);
        let parts: Vec<_> = parts.into_iter().map(|part| (part.number, part.part)).collect();
        assert_eq!(parts, [(0, vec![0; 3]), (1, vec![1; 3]), (2, vec![2; 3])]);
        // Since the last change but one there is one part.
        assert_eq!(store.parts("a", done.revision - 1).await.unwrap().len(), 1);
        assert_eq!(store.parts("a", done.revision).await.unwrap(), []);
        assert_eq!(store.claim("w").await.unwrap(), None);
    }

    pub async fn a_result_counts_once_and_only_for_who_holds_the_chunk(store: Store) {
        submit(&store, &job("a", &[1], Order::Free), "x").await;
        let slow = store.claim("slow").await.unwrap().unwrap();
        assert_eq!(store.release(None).await.unwrap(), 1);
        let quick = store.claim("quick").await.unwrap().unwrap();
        assert_eq!(slow.number, quick.number);
        assert!(!store.complete("slow", &slow, Order::Free, vec![1], None, 1).await.unwrap());
        assert_eq!(state(&store, "a").await, (State::Running, 0, 0));
        assert!(store.complete("quick", &quick, Order::Free, vec![2], None, 1).await.unwrap());
        assert!(!store.complete("quick", &quick, Order::Free, vec![3], None, 1).await.unwrap());
        assert!(!store.complete("slow", &slow, Order::Free, vec![1], None, 1).await.unwrap());
        assert_eq!(state(&store, "a").await, (State::Done, 1, 0));
        assert_eq!(store.parts("a", 0).await.unwrap()[0].part, [2]);
        // A failure that is told too late changes nothing either.
        store.fail("slow", &slow, Order::Free, "late").await.unwrap();
        assert_eq!(state(&store, "a").await, (State::Done, 1, 0));
    }

    pub async fn first_chunks_of_all_come_before_the_second_of_any(store: Store) {
        submit(&store, &job("greedy", &[2; 50], Order::Free), "x").await;
        assert_eq!(turns(&store, 5).await.len(), 5);
        for name in ["a", "b", "c"] {
            submit(&store, &job(name, &[2, 2], Order::Free), name).await;
        }
        let next = turns(&store, 8).await;
        let of = |job: &str| next.iter().filter(|(of, _)| of == job).count();
        assert_eq!([of("a"), of("b"), of("c"), of("greedy")], [2; 4], "{next:?}");
        let first: Vec<_> = next[..4].iter().map(|(job, _)| job.as_str()).collect();
        assert!(["a", "b", "c"].iter().all(|job| first.contains(job)), "{next:?}");
    }

    pub async fn a_client_who_asks_again_stands_behind_its_own(store: Store) {
        submit(&store, &job("first", &[1; 4], Order::Free), "x").await;
        submit(&store, &job("second", &[1; 4], Order::Free), "x").await;
        submit(&store, &job("other", &[1; 4], Order::Free), "y").await;
        let turns = turns(&store, 12).await;
        let last = |job: &str| turns.iter().rposition(|(of, _)| of == job).unwrap();
        assert!(last("other") < last("second"), "{turns:?}");
        let (ahead, cost) = store.ahead("first").await.unwrap();
        assert_eq!((ahead, cost), (0, 0));
    }

    pub async fn a_chunk_that_fails_three_times_is_given_up_and_can_be_tried_again(store: Store) {
        submit(&store, &job("a", &[1, 1], Order::Free), "x").await;
        for attempt in 1..=3 {
            let claim = store.claim("w").await.unwrap().unwrap();
            assert_eq!(claim.number, 0);
            store.fail("w", &claim, Order::Free, &format!("reason {attempt}")).await.unwrap();
        }
        assert_eq!(state(&store, "a").await, (State::Running, 0, 1));
        assert_eq!(turns(&store, 9).await, [("a".into(), 1)]);
        assert_eq!(state(&store, "a").await, (State::Failed, 1, 1));
        let dead = store.dead(Some("a"), 9).await.unwrap();
        assert_eq!((dead.len(), dead[0].number, dead[0].error.as_str()), (1, 0, "reason 3"));
        assert_eq!(store.dead(None, 9).await.unwrap(), dead);
        assert_eq!(store.retry("a", Order::Free).await.unwrap(), 1);
        assert_eq!(turns(&store, 9).await, [("a".into(), 0)]);
        assert_eq!(state(&store, "a").await, (State::Done, 2, 0));
    }

    pub async fn a_chunk_that_kills_its_workers_is_given_up(store: Store) {
        submit(&store, &job("a", &[1], Order::Free), "x").await;
        let mut attempts = 0;
        while store.claim("w").await.unwrap().is_some() {
            attempts += 1;
            assert_eq!(store.release(None).await.unwrap(), 1);
        }
        assert_eq!(attempts, 20);
        assert_eq!(state(&store, "a").await, (State::Failed, 0, 1));
        assert!(store.dead(Some("a"), 9).await.unwrap()[0].error.contains("died"));
    }

    pub async fn what_hangs_on_a_chunk_waits_for_it_and_gets_what_it_left(store: Store) {
        submit(&store, &job("a", &[1; 3], Order::AfterFirst), "x").await;
        let first = store.claim("w").await.unwrap().unwrap();
        assert_eq!(store.claim("w").await.unwrap(), None);
        assert!(store.complete("w", &first, Order::AfterFirst, vec![], Some(vec![9; 5]), 1).await.unwrap());
        for number in 1..3 {
            let claim = store.claim("w").await.unwrap().unwrap();
            assert_eq!(claim.number, number);
            assert_eq!(store.carried("a", 0).await.unwrap(), Some(vec![9; 5]));
            assert!(store.complete("w", &claim, Order::AfterFirst, vec![], None, 1).await.unwrap());
        }
        assert_eq!(state(&store, "a").await, (State::Done, 3, 0));
    }

    pub async fn a_chain_goes_on_link_by_link_and_keeps_only_the_last(store: Store) {
        submit(&store, &job("a", &[1; 3], Order::Chain), "x").await;
        for number in 0..3u8 {
            let claim = store.claim("w").await.unwrap().unwrap();
            assert_eq!(claim.number, u32::from(number));
            assert_eq!(store.claim("w").await.unwrap(), None);
            assert!(store.complete("w", &claim, Order::Chain, vec![], Some(vec![number]), 1).await.unwrap());
            assert_eq!(store.carried("a", number.into()).await.unwrap(), Some(vec![number]));
        }
        assert_eq!(store.carried("a", 0).await.unwrap(), None);
        assert_eq!(store.left("a").await.unwrap(), Some(vec![2]));
    }

    pub async fn what_hangs_on_a_chunk_that_is_given_up_is_given_up(store: Store) {
        submit(&store, &job("a", &[1; 4], Order::Chain), "x").await;
        let first = store.claim("w").await.unwrap().unwrap();
        assert!(store.complete("w", &first, Order::Chain, vec![], None, 1).await.unwrap());
        for _ in 0..3 {
            let claim = store.claim("w").await.unwrap().unwrap();
            store.fail("w", &claim, Order::Chain, "reason").await.unwrap();
        }
        assert_eq!(state(&store, "a").await, (State::Failed, 1, 3));
        assert_eq!(store.retry("a", Order::Chain).await.unwrap(), 1);
        for number in 1..4 {
            let claim = store.claim("w").await.unwrap().unwrap();
            assert_eq!(claim.number, number);
            assert!(store.complete("w", &claim, Order::Chain, vec![], None, 1).await.unwrap());
        }
        assert_eq!(state(&store, "a").await, (State::Done, 4, 0));
    }

    pub async fn equal_questions_are_one_job_that_ends_when_nobody_wants_it(store: Store) {
        submit(&store, &job("a", &[1], Order::Free), "x").await;
        let same = NewJob { id: "b".into(), ..job("a", &[1], Order::Free) };
        assert_eq!(store.submit(&same, &client("y")).await.unwrap(), ("a".into(), false));
        assert_eq!(store.wanted_by("a").await.unwrap(), 2);
        assert!(store.same("digest of a").await.unwrap().is_some());
        assert_eq!(store.active(&client("y")).await.unwrap(), [1, 1, 1]);
        assert!(!store.cancel("a", Some("x")).await.unwrap());
        assert_eq!(state(&store, "a").await.0, State::Queued);
        assert!(store.cancel("a", Some("y")).await.unwrap());
        assert_eq!(state(&store, "a").await.0, State::Cancelled);
        assert_eq!(store.active(&client("y")).await.unwrap(), [0, 0, 0]);
        // What was cancelled answers nobody: the next one begins anew.
        assert_eq!(store.submit(&same, &client("y")).await.unwrap(), ("b".into(), true));
        // Who stopped it still finds it.
        assert_eq!(store.jobs(Some("y"), 9).await.unwrap().len(), 2);
        assert_eq!(store.wanted_by("a").await.unwrap(), 0);
        assert_eq!(store.jobs(None, 9).await.unwrap().len(), 2);
    }

    pub async fn a_cancelled_chunk_brings_no_result(store: Store) {
        submit(&store, &job("a", &[1, 1], Order::Free), "x").await;
        let claim = store.claim("w").await.unwrap().unwrap();
        assert!(store.cancel("a", None).await.unwrap());
        assert!(!store.complete("w", &claim, Order::Free, vec![1], None, 1).await.unwrap());
        assert_eq!(store.claim("w").await.unwrap(), None);
        assert_eq!(state(&store, "a").await, (State::Cancelled, 0, 0));
    }

    pub async fn old_jobs_are_forgotten(store: Store) {
        submit(&store, &job("a", &[1], Order::Free), "x").await;
        submit(&store, &job("b", &[1], Order::Free), "x").await;
        assert_eq!(turns(&store, 1).await.len(), 1);
        assert_eq!(store.forget(u64::MAX >> 1).await.unwrap(), 1);
        assert_eq!(store.job("a").await.unwrap(), None);
        assert_eq!(store.parts("a", 0).await.unwrap(), []);
        assert_eq!(turns(&store, 9).await, [("b".into(), 0)]);
    }

    pub async fn workers_are_known_and_what_they_return_is_free_at_once(store: Store) {
        store.renew("w", 3).await.unwrap();
        submit(&store, &job("a", &[1, 1], Order::Free), "x").await;
        let claim = store.claim("w").await.unwrap().unwrap();
        assert!(store.complete("w", &claim, Order::Free, vec![], None, 8).await.unwrap());
        let held = store.claim("w").await.unwrap().unwrap();
        let workers = store.workers().await.unwrap();
        assert_eq!((workers.len(), workers[0].threads, workers[0].chunks, workers[0].milliseconds), (1, 3, 1, 8));
        assert_eq!(store.counts().await.unwrap(), [0, 1, 1, 0, 0]);
        // A lease that has not ended is nobody else's.
        assert_eq!(store.expire().await.unwrap(), 0);
        assert_eq!(store.claim("other").await.unwrap(), None);
        assert_eq!(store.release(Some("w")).await.unwrap(), 1);
        assert_eq!(store.claim("other").await.unwrap().unwrap().number, held.number);
        assert_eq!(store.states().await.unwrap(), [(State::Running, 1)]);
    }

    pub async fn two_who_claim_at_once_get_different_chunks(store: Store) {
        submit(&store, &job("a", &[1; 60], Order::Free), "x").await;
        let claims = (0..6).map(|worker| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                while let Some(claim) = store.claim(&format!("w{worker}")).await.unwrap() {
                    assert!(store.complete(&format!("w{worker}"), &claim, Order::Free, vec![], None, 1).await.unwrap());
                    numbers.push(claim.number);
                }
                numbers
            })
        });
        let mut all: Vec<u32> = futures::future::join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
        assert_eq!(state(&store, "a").await, (State::Done, 60, 0));
    }
}
