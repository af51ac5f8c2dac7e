use super::*;
use crate::attack::Method;
use crate::data::Dataset;
use crate::evaluate::Pictures;
use crate::evaluate::transfer::{Plan, transfer};
use crate::experiment::AttackSettings;
use crate::job::report::{Cell, Figure};
use crate::job::transfer::Transfer;
use crate::nn::{Classifier, zoo};

fn question() -> Transfer {
    let attack = AttackSettings { method: Method::FGSM, ..AttackSettings::default() };
    let experiment = Experiment { dataset: Dataset::Digits, attack, ..Experiment::default() };
    let models = |names: [&str; 2]| names.map(String::from).to_vec();
    Transfer { experiment, sources: models(["mlp", "half-a"]), targets: models(["half-a", "standard"]), pictures: 45 }
        .tidy()
}

#[test]
fn the_parts_of_chunks_add_up_to_the_matrix_of_all_pictures() {
    let question = question();
    let parts = parts(&question);
    assert!(parts.len() > 10);
    for part in &parts {
        let bytes = postcard::to_allocvec(part).unwrap();
        assert!(bytes.len() < 300, "{} bytes of a part", bytes.len());
    }
    let Experiment { dataset, threat, attack, seed, .. } = &question.experiment;
    let (images, labels) = library().pictures(*dataset, 0..45).unwrap();
    let mut models = ["half-a", "standard", "mlp"].map(|name| library().model(*dataset, name).unwrap());
    let (input, classes) = (models[0].input(), models[0].classes());
    let plan = Plan {
        sources: vec![2, 0],
        targets: vec![0, 1],
        pictures: Pictures { images: &images, labels: &labels, first: 0 },
        threat: *threat,
        attack,
        seed: *seed,
        keep: 2,
    };
    let whole = transfer(&mut models, input, classes, plan);
    let report = question.report(&parts);
    let [successes, transfers] = [0, 1].map(|figure| match &report.figures[figure] {
        Figure::Matrix(matrix) => matrix,
        other => panic!("{other:?}"),
    });
    let mut examples = report.tables[1].rows.iter();
    for (place, cell) in whole.cells.iter().enumerate() {
        assert_eq!((successes.values[place], transfers.values[place]), (cell.success(), cell.transfer()));
        let counts = [cell.correct, cell.fooled, cell.source_fooled, cell.both].map(|count| Cell::Count(count.into()));
        let row = &report.tables[0].rows[place];
        assert_eq!([&row[2], &row[3], &row[5], &row[6]], counts.each_ref());
        for example in &cell.examples {
            let row = examples.next().unwrap();
            let Cell::Lab(words, link) = &row[0] else { panic!("{row:?}") };
            assert_eq!(words, &format!("picture {}", example.id));
            let opened = Experiment::from_query(link);
            assert_eq!(opened.broken, []);
            assert_eq!(opened.experiment.model, question.sources[place / 2]);
            let target = &question.targets[place % 2];
            assert_eq!(opened.experiment.compare.as_ref(), (*target != question.sources[place / 2]).then_some(target));
            assert_eq!(row[7], (if example.fooled { "fooled" } else { "not fooled" }).into());
        }
    }
    assert!(examples.next().is_none());
    assert_eq!(parts.iter().flatten().map(|part| part.gradients).sum::<u64>(), whole.gradients);
    assert!(report.summary.contains("fool another one, too"), "{}", report.summary);
}

#[test]
fn without_names_the_matrix_is_of_all_shipped_models() {
    let all = Transfer { sources: vec![], targets: vec![], ..question() }.tidy();
    let shipped: Vec<&String> =
        zoo::all().iter().filter(|card| card.dataset == Dataset::Digits).map(|card| &card.name).collect();
    assert_eq!(all.sources.iter().collect::<Vec<_>>(), shipped);
    assert_eq!(all.targets, all.sources);
    assert_eq!(Work::check(&all, &Limits::USUAL), Ok(()));
}

#[test]
fn refusals_say_what_is_allowed() {
    let check = |change: &dyn Fn(&mut Transfer)| {
        let mut question = question();
        change(&mut question);
        Work::check(&question, &Limits::PAGE).unwrap_err().to_string()
    };
    assert!(check(&|q| q.pictures = 501).contains("choose 1 to 500"));
    assert!(check(&|q| q.sources.push("nobody".into())).contains("nobody"));
    assert!(check(&|q| q.targets.push("standard".into())).contains("twice"));
    assert!(check(&|q| q.experiment.threat.epsilon = -1.0).contains("out of range"));
    let expensive = check(&|q| {
        (q.sources, q.pictures) = (vec!["standard".into(), "half-a".into()], 500);
        q.experiment.attack = AttackSettings { steps: 100, restarts: 20, ..AttackSettings::default() };
    });
    assert!(expensive.contains("gradients"), "{expensive}");
}
