//! What holds for every kind of work, and what the kinds come to.

mod boundary;
mod smallest;
mod training;
mod transfer;

use std::path::Path;

use super::compute::compute;
use super::kinds::KINDS;
use super::*;
use crate::library::Library;

fn assets() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")
}

fn library() -> &'static Library {
    static LIBRARY: std::sync::LazyLock<Library> = std::sync::LazyLock::new(|| Library::open(&assets()).unwrap());
    &LIBRARY
}

fn read(kind: &Kind, question: Value) -> Arc<dyn Job> {
    kind.read(question).unwrap()
}

/// Computes a whole job in the order that its kind asks for.
fn answer(job: &Arc<dyn Job>) -> Report {
    answered(job).0
}

/// The same, with what each chunk left.
fn answered(job: &Arc<dyn Job>) -> (Report, Vec<Option<Vec<u8>>>) {
    let mut gather = job.clone().gather();
    let mut carried: Vec<Option<Vec<u8>>> = Vec::new();
    for chunk in 0..job.chunks().len() as u32 {
        let needed = job.order().needs(chunk).and_then(|needed| carried[needed as usize].as_deref());
        let computed = compute(job, chunk, needed, library()).unwrap();
        gather.take(chunk, &computed.part).unwrap();
        carried.push(computed.carry);
    }
    (gather.report(), carried)
}

/// The parts of a job whose chunks need nothing of one another.
fn parts<W: Compute>(work: &W) -> Vec<Option<W::Part>> {
    let chunks = 0..Work::chunks(work).len() as u32;
    chunks.map(|chunk| Some(work.compute(chunk, None, library()).unwrap().part)).collect()
}

#[test]
fn every_kind_has_an_example_that_is_allowed_and_that_reads_as_itself() {
    for kind in KINDS {
        let job = read(kind, (kind.example)());
        job.check(&Limits::USUAL).unwrap_or_else(|refusal| panic!("{}: {refusal}", kind.key));
        assert_eq!(read(kind, job.question()).question(), job.question(), "{}", kind.key);
        assert_eq!(job.kind().key, kind.key);
        assert!(!job.chunks().is_empty() && job.chunks().iter().all(|cost| *cost > 0), "{}", kind.key);
    }
}

#[test]
fn every_kind_is_told_apart_by_its_key() {
    let keys: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.key).collect();
    assert_eq!(keys.len(), KINDS.len());
}

#[test]
fn models_are_weighed_by_what_their_gradients_cost() {
    let tenths = |model| limits::tenths(crate::data::Dataset::Fashion, model);
    assert_eq!(["standard", "adversarial", "half-a", "half-b"].map(tenths), [10; 4]);
    assert_eq!(["tanh", "residual", "mlp", "nobody"].map(tenths), [17, 70, 1, 10]);
}

#[test]
fn a_report_of_no_parts_is_a_report() {
    for kind in KINDS {
        let job = read(kind, (kind.example)());
        let report = job.gather().report();
        assert!(!report.summary.is_empty(), "{}", kind.key);
        for table in &report.tables {
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}: {}", kind.key, table.title);
        }
    }
}

#[test]
fn what_is_no_part_is_refused() {
    for kind in KINDS {
        let job = read(kind, (kind.example)());
        let chunks = job.chunks().len() as u32;
        let mut gather = job.gather();
        assert_eq!(gather.take(0, &[0xff; 3]), Err(NotAPart), "{}", kind.key);
        assert_eq!(gather.take(chunks, &[]), Err(NotAPart), "{}", kind.key);
    }
}

mod robust_accuracy {
    use super::*;
    use crate::evaluate::Tally;
    use crate::experiment::{AttackSettings, Experiment};
    use crate::job::report::{Cell, Table};
    use crate::job::robust_accuracy::RobustAccuracy;
    use crate::threat::Threat;

    fn question() -> RobustAccuracy {
        let fgsm = AttackSettings { method: crate::attack::Method::FGSM, ..Default::default() };
        let pgd = AttackSettings { steps: 5, ..Default::default() };
        let deepfool = crate::attack::Method::from_key("deepfool").unwrap();
        let deepfool = AttackSettings { method: deepfool, ..Default::default() };
        RobustAccuracy {
            models: vec!["standard".into(), "adversarial".into()],
            attacks: vec![fgsm, pgd, deepfool],
            epsilons: vec![0.08, 0.02],
            ..RobustAccuracy::of(&Experiment::default(), 16)
        }
        .tidy()
    }

    fn counts(table: &Table, row: usize) -> [u64; 3] {
        [3, 4, 5].map(|column| match table.rows[row][column] {
            Cell::Count(count) => count,
            ref cell => panic!("{cell:?}"),
        })
    }

    #[test]
    fn each_attack_is_counted_as_alone_and_the_worst_is_at_most_the_least() {
        let question = question();
        let job: Arc<dyn Job> = Arc::new(question.clone());
        let report = answer(&job);
        let table = &report.tables[0];
        let (attacks, epsilons) = (question.attacks.len(), question.epsilons.len());
        assert_eq!(table.rows.len(), 2 * (attacks + 1) * epsilons);
        assert_eq!(question.epsilons, [0.02, 0.08]);
        let mut row = 0;
        for model in &question.models {
            let mut least = vec![u64::MAX; epsilons];
            for attack in &question.attacks {
                for (k, &epsilon) in question.epsilons.iter().enumerate() {
                    let threat = Threat { epsilon, ..question.experiment.threat };
                    let (model, attack) = (model.clone(), attack.clone());
                    let alone = Experiment { model, attack, threat, ..question.experiment.clone() };
                    let tally: Tally = library().count(&alone, 0..16);
                    let total = tally.total();
                    assert_eq!(counts(table, row), [16, total.clean.into(), total.robust.into()], "{alone:?}");
                    least[k] = least[k].min(total.robust.into());
                    row += 1;
                }
            }
            for least in least {
                assert!(counts(table, row)[2] <= least);
                row += 1;
            }
        }
    }

    #[test]
    fn chunks_may_come_in_any_order_and_twice() {
        let job: Arc<dyn Job> = Arc::new(RobustAccuracy { attacks: vec![], ..question() }.tidy());
        let mut gather = job.clone().gather();
        for chunk in (0..job.chunks().len() as u32).rev().chain(0..3) {
            gather.take(chunk, &compute(&job, chunk, None, library()).unwrap().part).unwrap();
        }
        assert_eq!(gather.report(), answer(&job));
    }

    #[test]
    fn questions_that_mean_the_same_are_the_same() {
        let plain = RobustAccuracy::of(&Experiment::default(), 10);
        let spelt = RobustAccuracy {
            models: vec!["standard".into()],
            epsilons: vec![plain.experiment.threat.epsilon],
            experiment: Experiment { picture: crate::experiment::Picture::Test(7), ..Experiment::default() },
            ..plain.clone()
        };
        assert_eq!(spelt.tidy(), plain);
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let check = |change: &dyn Fn(&mut RobustAccuracy)| {
            let mut question = question();
            change(&mut question);
            Work::check(&question, &Limits::USUAL).unwrap_err().to_string()
        };
        assert!(check(&|q| q.pictures = 1_000_000).contains("choose 1 to 1000"));
        assert!(check(&|q| q.pictures = 0).contains("choose 1 to 1000"));
        assert!(check(&|q| q.models.push("nobody".into())).contains("nobody"));
        assert!(check(&|q| q.models.push("standard".into())).contains("twice"));
        assert!(check(&|q| q.epsilons = vec![f32::NAN]).contains("out of range"));
        assert!(check(&|q| q.epsilons = vec![0.9]).contains("out of range"));
        assert!(check(&|q| q.epsilons = (0..17).map(|k| 0.01 * k as f32).collect()).contains("at most 16"));
        let expensive = check(&|q| {
            q.pictures = 1000;
            q.attacks[1].steps = 100;
            q.attacks[1].restarts = 20;
        });
        assert!(expensive.contains("gradients"), "{expensive}");
    }
}
