use super::*;
use crate::data::Dataset;
use crate::job::report::Figure;
use crate::job::training::{Network, Training};
use crate::nn::train::{Changed, clean, fit};
use crate::nn::weights::Dtype;
use crate::nn::{Arithmetic, Classifier, Executor, Weights, zoo};

fn question() -> Training {
    Training {
        network: Network::Mlp,
        epochs: 3,
        batch: 16,
        rate: 0.003,
        weight_decay: 0.01,
        pictures: 800,
        attack_steps: 0,
        ..Training::example()
    }
    .tidy()
}

#[test]
fn a_chain_of_chunks_gives_what_training_in_one_go_gives_to_the_bit() {
    // An epoch that is cut: the first chunk is short.
    let question = Training { epochs: 1, batch: 300, pictures: 2100, attack_steps: 5, ..question() };
    let job: Arc<dyn Job> = Arc::new(question.clone());
    assert_eq!((job.chunks().len(), job.order()), (3, Order::Chain));
    let (report, carried) = answered(&job);

    let recipe = question.recipe().unwrap();
    let mut plan = recipe.plan();
    plan.arithmetic = Arithmetic::Exact;
    let lessons = library().lessons(Dataset::Digits).unwrap();
    let lessons = lessons.select(&question.drawn(4500));
    let shown = Changed { examples: &lessons, augmentation: recipe.augmentation };
    let mut losses = Vec::new();
    let weights = fit(plan, shown, |step| losses.push(step.loss)).unwrap();
    assert!(carried[2].as_deref() == Some(&weights.write(Dtype::Float16).unwrap()), "other weights");
    let Figure::Lines(loss) = &report.figures[0] else { panic!("lines") };
    assert_eq!(loss.series[0].points.iter().map(|point| point[1]).collect::<Vec<_>>(), losses);

    // A worker that was killed has left nothing: its chunk is done again, and gives the same.
    let again = compute(&job, 1, carried[0].as_deref(), library()).unwrap();
    assert!(again.carry == carried[1], "another checkpoint");
}

#[test]
fn no_number_of_pictures_means_all_and_fewer_are_of_every_class() {
    assert_eq!(Training { pictures: 0, ..question() }.tidy(), Training { pictures: 4500, ..question() }.tidy());
    let lessons = library().lessons(Dataset::Digits).unwrap();
    let drawn = Training { pictures: 100, ..question() }.drawn(4500);
    assert_eq!(drawn.iter().collect::<std::collections::BTreeSet<_>>().len(), 100);
    let classes: std::collections::BTreeSet<u8> = drawn.iter().map(|&index| lessons.labels[index]).collect();
    assert_eq!(classes.len(), 10);
}

#[test]
fn what_is_trained_has_learnt_and_can_be_used_like_a_shipped_model() {
    let job: Arc<dyn Job> = Arc::new(question());
    let (report, carried) = answered(&job);
    let [Figure::Lines(loss), Figure::Lines(accuracy)] = &report.figures[..] else { panic!("lines") };
    let points = &loss.series[0].points;
    assert!(points.last().unwrap()[1] < 0.6 * points[0][1], "{points:?}");
    assert!(points.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    assert_eq!(points.last().unwrap()[0], 3.0);
    let [clean_curve, robust_curve] = [0, 1].map(|k| &accuracy.series[k].points);
    assert_eq!(clean_curve.iter().map(|point| point[0]).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    assert!(clean_curve[2][1] > 0.6 && clean_curve[2][1] > robust_curve[2][1], "{accuracy:?}");

    let card = *report.model.unwrap();
    let file = carried.last().unwrap().as_deref().unwrap();
    assert_eq!(
        (card.weights.bytes, card.weights.file.clone()),
        (file.len() as u64, format!("{}.safetensors", card.name))
    );
    let network = Executor::new(&card.architecture, &Weights::read(file).unwrap()).unwrap();
    let test = crate::data::test_pictures(&assets(), Dataset::Digits).unwrap();
    assert_eq!((card.results[0].correct, card.results[0].of), (clean(&network, &test), 500));
    assert!(card.results.iter().any(|result| result.what.starts_with("PGD-40")));
    let opened = Experiment { dataset: Dataset::Digits, model: card.name.clone(), ..Experiment::default() };
    assert!(opened.validate().is_err());
    library().add(card.clone(), file).unwrap();
    assert_eq!(opened.validate(), Ok(()));
    assert_eq!(zoo::find(Dataset::Digits, &card.name), Some(&card));
    let mut added = library().model(Dataset::Digits, &card.name).unwrap();
    assert_eq!(clean(&added, &test), card.results[0].correct);
    let outcome = library().attack(&opened, 0, crate::attack::Record::FirstSuccess);
    let mut logits = vec![0.0; 10];
    added.logits(library().picture(Dataset::Digits, 0).0, &mut logits);
    assert_eq!(outcome.logits, logits);
}

#[test]
fn the_card_says_what_was_asked_for() {
    let question = Training { epochs: 1, pictures: 16, batch: 16, attack_steps: 3, ..question() };
    let report = answer(&(Arc::new(question) as Arc<dyn Job>));
    let card = report.model.unwrap();
    assert!(card.name.starts_with("trained-") && card.weights.sha256.starts_with(&card.name[8..]));
    assert!(card.title.starts_with("Multilayer perceptron, adversarial training"), "{}", card.title);
    assert!(card.summary.contains("in 1 epoch on 16 pictures of Digits"), "{}", card.summary);
    assert_eq!((card.training.examples, card.training.epochs, card.training.batch), (16, 1, 16));
    assert_eq!(card.training.adversarial, Some(Training::example().experiment.threat));
    let method = &card.training.method;
    assert!(method.contains("PGD (3 steps") && method.contains("0.003") && method.contains("0.01"), "{method}");
}

#[test]
fn a_checkpoint_that_is_missing_or_of_another_training_is_refused_in_words() {
    let job: Arc<dyn Job> = Arc::new(Training { epochs: 2, pictures: 32, ..question() });
    let refusal = |carried: Option<&[u8]>| compute(&job, 1, carried, library()).unwrap_err();
    assert!(refusal(None).contains("missing"));
    assert!(refusal(Some(&[1, 2, 3])).contains("damaged"));
    let first = compute(&job, 0, None, library()).unwrap().carry;
    assert!(compute(&job, 2, first.as_deref(), library()).unwrap_err().contains("of step 2 instead of 4"));
    let other: Arc<dyn Job> = Arc::new(Training { network: Network::SmallCnn, epochs: 2, pictures: 32, ..question() });
    let carry = compute(&other, 0, None, library()).unwrap().carry;
    assert!(refusal(carry.as_deref()).contains("another training"));
}

#[test]
fn chunks_are_whole_steps_that_end_with_the_epochs_and_cost_seconds() {
    let question = Training { network: Network::SmallCnn, batch: 100, pictures: 1200, ..question() };
    let fashion = |attack_steps| {
        let experiment = Experiment { dataset: Dataset::Fashion, ..Experiment::default() };
        Training { experiment, pictures: 60_000, attack_steps, ..question.clone() }
    };
    for (question, learning) in
        [(question.clone(), 4 * 3 * 1200), (fashion(0), 4 * 180_000), (fashion(7), 11 * 180_000)]
    {
        let chunks = Work::chunks(&question);
        let (measuring, trained) = chunks.split_last().unwrap();
        let each = if question.attack_steps > 0 { 30 } else { 12 };
        assert_eq!(*measuring, u64::from(question.experiment.dataset.pictures()) * each);
        // Some pictures are measured after each epoch.
        assert_eq!(trained.iter().sum::<u64>(), learning + 3 * 200 * 11);
        assert!(trained.iter().all(|cost| *cost < 45_000) && trained[0] <= 2_000 + 200 * 11, "{trained:?}");
        assert_eq!(Work::check(&question, &Limits::USUAL), Ok(()));
    }
}

#[test]
fn refusals_say_what_is_allowed() {
    let check = |change: &dyn Fn(&mut Training)| {
        let mut question = question();
        change(&mut question);
        Work::check(&question, &Limits::USUAL).unwrap_err().to_string()
    };
    assert!(check(&|q| q.epochs = 61).contains("choose 1 to 60"));
    assert!(check(&|q| q.epochs = 0).contains("choose 1 to 60"));
    assert!(check(&|q| q.batch = 0).contains("choose 8 to 512"));
    assert!(check(&|q| q.batch = u32::MAX).contains("choose 8 to 512"));
    assert!(check(&|q| q.rate = f32::NAN).contains("learning rate"));
    assert!(check(&|q| q.rate = 0.2).contains("to 0.1"));
    assert!(check(&|q| q.weight_decay = -0.1).contains("weight decay"));
    assert!(check(&|q| q.attack_steps = 21).contains("choose 0 to 20"));
    assert!(check(&|q| q.pictures = 4501).contains("choose 8 to 4500"));
    assert!(check(&|q| q.experiment.threat.epsilon = 9.0).contains("ε"));
    let expensive = check(&|q| {
        (q.network, q.pictures, q.epochs, q.attack_steps) = (Network::ResidualCnn, 4500, 60, 20);
    });
    assert!(expensive.contains("gradients"), "{expensive}");
}

#[test]
fn too_great_a_learning_rate_is_an_error_in_words() {
    let mut question = Training { pictures: 64, batch: 8, ..question() };
    question.rate = 1e30;
    // Beyond what may be asked for, to see what happens if it is not enough to forbid that.
    let error = Compute::compute(&question, 0, None, library()).unwrap_err();
    assert!(error.contains("lower the learning rate"), "{error}");
}
