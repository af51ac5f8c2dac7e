use super::*;
use crate::attack::{Item, Method};
use crate::data::Dataset;
use crate::evaluate::smallest;
use crate::experiment::AttackSettings;
use crate::job::report::{Cell, Figure};
use crate::job::smallest::SmallestPerturbation;
use crate::nn::{Classifier, softmax};
use crate::threat::{Norm, Threat};

fn attack(key: &str) -> AttackSettings {
    AttackSettings { method: Method::from_key(key).unwrap(), steps: 5, ..AttackSettings::default() }
}

fn question() -> SmallestPerturbation {
    let threat = Threat { norm: Norm::L2, epsilon: 1.0 };
    let (dataset, model) = (Dataset::Fashion, "mlp".to_string());
    SmallestPerturbation {
        experiment: Experiment { dataset, model, threat, ..Experiment::default() },
        models: vec![],
        attacks: vec![attack("deepfool"), attack("pgd")],
        pictures: 30,
    }
    .tidy()
}

#[test]
fn every_picture_has_the_norm_that_the_search_alone_finds() {
    let question = question();
    let parts = parts(&question);
    let report = question.report(&parts);
    let (images, labels) = library().pictures(Dataset::Fashion, 0..30).unwrap();
    let mut model = library().model(Dataset::Fashion, "mlp").unwrap();
    let mut rows = report.tables[1].rows.iter();
    for (k, settings) in question.attacks.iter().enumerate() {
        let (mut norms, mut correct) = (Vec::new(), 0);
        for ((image, &label), id) in images.chunks(784).zip(&labels).zip(0..) {
            let mut logits = vec![0.0; 10];
            model.logits(image, &mut logits);
            let row = rows.next().unwrap();
            let Cell::Lab(_, link) = &row[0] else { panic!("{row:?}") };
            let opened = Experiment::from_query(link);
            assert_eq!((opened.broken, &opened.experiment.attack.method), (vec![], &settings.method));
            if softmax::predicted(&logits) != usize::from(label) {
                assert_eq!(row[5], "misclassified without an attack".into());
                continue;
            }
            correct += 1;
            let item = Item { id, label, target: None, epsilon: 0.0 };
            let found = smallest(&mut model, image, item, Norm::L2, settings, 0).found.unwrap();
            assert_eq!(row[4], Cell::number(found.norms.l2));
            norms.push(found.norms.l2);
            // The link shows the success: its ε is enough.
            let outcome = library().attack(&opened.experiment, id, crate::attack::Record::Strongest);
            assert!(outcome.success, "{:?}", opened.experiment);
        }
        norms.sort_by(f32::total_cmp);
        let row = &report.tables[0].rows[k];
        assert_eq!(row[2..4], [Cell::Count(30), Cell::Count(correct)]);
        let rank = |share: f64| Cell::number(norms[(share * norms.len() as f64).ceil() as usize - 1]);
        assert_eq!(row[4..7], [rank(0.25), rank(0.5), rank(0.75)]);
        assert_eq!(row[8], Cell::Share(0.0));
        let Figure::Lines(lines) = &report.figures[0] else { panic!("lines") };
        let points = &lines.series[k].points;
        assert_eq!((points[0], points.last().unwrap()[1]), ([0.0, 0.0], 1.0));
        assert!(points.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1]), "{points:?}");
        let median = points.iter().find(|point| point[1] >= 0.5).unwrap();
        assert_eq!(Cell::number(median[0]), rank(0.5));
    }
    assert!(rows.next().is_none());
}

#[test]
fn what_withstands_counts_as_larger_than_everything() {
    let fate = |id, norm: Option<f32>| crate::job::smallest::Fate {
        id,
        label: 0,
        clean: true,
        found: norm.map(|norm| crate::job::smallest::Found { norm, epsilon: norm, class: 1 }),
    };
    let pictures = vec![fate(0, Some(0.5)), fate(1, None), fate(2, Some(0.5)), fate(3, None), fate(4, None)];
    let question = SmallestPerturbation { attacks: vec![attack("deepfool")], ..question() };
    let mut parts: Vec<_> = Work::chunks(&question).iter().map(|_| None).collect();
    parts[0] = Some(crate::job::smallest::Part { pictures, ..Default::default() });
    let report = question.report(&parts);
    let row = &report.tables[0].rows[0];
    assert_eq!(row[4..9], [Cell::Number(0.5), Cell::Empty, Cell::Empty, Cell::Number(0.5), Cell::Share(0.6)]);
    let Figure::Lines(lines) = &report.figures[0] else { panic!("lines") };
    assert_eq!(lines.series[0].points, [[0.0, 0.0], [0.5, 0.4]]);
    assert!(report.summary.contains("fewer than half"), "{}", report.summary);
}

#[test]
fn what_a_chunk_costs_is_estimated_within_a_factor_of_two() {
    for model in ["standard", "adversarial"] {
        for key in ["fgsm", "pgd"] {
            let experiment = Experiment { model: model.into(), ..Experiment::default() };
            let question =
                SmallestPerturbation { experiment, models: vec![], attacks: vec![attack(key)], pictures: 4 }.tidy();
            let parts = parts(&question);
            let (mut estimate, mut used) = (0.0, 0.0);
            for (cost, part) in Work::chunks(&question).into_iter().zip(parts.iter().flatten()) {
                // Pictures that are misclassified as they are cost nothing.
                let clean = part.pictures.iter().filter(|fate| fate.clean).count();
                estimate += cost as f64 * clean as f64 / part.pictures.len() as f64;
                used += part.gradients as f64 + 0.5 * part.forwards as f64;
            }
            assert!((0.5..2.0).contains(&(used / estimate)), "{model}, {key}: {used} gradients, {estimate} estimated");
        }
    }
}

#[test]
fn questions_that_mean_the_same_are_the_same() {
    let plain = question();
    let mut other = plain.clone();
    other.experiment.threat.epsilon = 3.0;
    other.attacks[1].alpha = Some(0.5);
    assert_eq!(other.tidy(), plain);
}

#[test]
fn refusals_say_what_is_allowed() {
    let check = |change: &dyn Fn(&mut SmallestPerturbation)| {
        let mut question = question();
        change(&mut question);
        Work::check(&question, &Limits::PAGE).unwrap_err().to_string()
    };
    assert!(check(&|q| q.pictures = 1001).contains("choose 1 to 1000"));
    assert!(check(&|q| q.models.push("nobody".into())).contains("nobody"));
    assert!(check(&|q| q.attacks.push(attack("pgd"))).contains("twice"));
    assert!(check(&|q| q.attacks.push(attack("spatial"))).contains("no norm measures"));
    let expensive = check(&|q| {
        (q.models, q.pictures) = (vec!["standard".into()], 1000);
        q.attacks[1] = AttackSettings { steps: 100, ..attack("pgd") };
    });
    assert!(expensive.contains("gradients"), "{expensive}");
}
