//! Attacks beside the best of torchattacks 3.5.1, foolbox 3.3.4 and ART 1.20.1 (attacks.json): the same networks, pictures
//! and budgets. Used by the test and by the bench.

use epsilon_lab::attack::{self, Aim, Item, Method, Record, Task};
use epsilon_lab::data::{self, Dataset};
use epsilon_lab::experiment::AttackSettings;
use epsilon_lab::nn::{Architecture, Executor, Weights};
use epsilon_lab::threat::{Norm, rounding_slack};
use rayon::prelude::*;
use serde::Deserialize;

/// What the libraries reached.
#[derive(Deserialize)]
pub struct Reference {
    /// `std` or `adv`.
    pub network: String,
    /// Which of [`contestants`].
    pub attack: String,
    /// The best library.
    pub library: String,
    /// How many pictures it was run on, the first of the test set.
    pub pictures: usize,
    /// Robust accuracy, in per cent.
    pub robust: Option<f64>,
    /// Median length of δ over the flipped pictures.
    pub median: Option<f64>,
}

/// All of attacks.json.
pub fn references() -> Vec<Reference> {
    serde_json::from_slice(&reference("attacks.json")).unwrap()
}

/// A way to attack.
pub struct Contestant {
    /// The name in attacks.json.
    pub name: &'static str,
    /// How the attack is set.
    pub settings: AttackSettings,
    /// How δ is measured.
    pub norm: Norm,
    /// The greatest ‖δ‖; infinite where the smallest is sought.
    pub epsilon: f32,
}

/// Everything that is measured, those with a reference and those without.
pub fn contestants() -> Vec<Contestant> {
    let with = |name, key: &str, norm, epsilon, set: &[(&str, f32)], common: AttackSettings| {
        let settings = AttackSettings { method: Method::from_key(key).unwrap(), ..common };
        let settings = set.iter().fold(settings, |settings, (key, value)| settings.with(key, *value));
        Contestant { name, settings, norm, epsilon }
    };
    let steps = |steps, alpha| AttackSettings { steps, alpha, ..Default::default() };
    let plain = AttackSettings::default;
    let any = f32::INFINITY;
    vec![
        with("noise", "noise", Norm::Linf, 0.1, &[], AttackSettings { restarts: 10, ..plain() }),
        with("fgsm", "fgsm", Norm::Linf, 0.1, &[], plain()),
        with("pgd40_linf", "pgd", Norm::Linf, 0.1, &[], steps(40, Some(0.01))),
        with("pgd40_l2", "pgd", Norm::L2, 1.5, &[], steps(40, None)),
        with("pgd40_l1_eps10", "pgd", Norm::L1, 10.0, &[], steps(40, None)),
        with("mifgsm10", "mi-fgsm", Norm::Linf, 0.1, &[], steps(10, Some(0.01))),
        with("apgd_ce_100", "apgd", Norm::Linf, 0.1, &[], AttackSettings { random_start: true, ..steps(100, None) }),
        with(
            "apgd_dlr_100",
            "apgd",
            Norm::Linf,
            0.1,
            &[("objective", 2.0)],
            AttackSettings { random_start: true, ..steps(100, None) },
        ),
        with("deepfool", "deepfool", Norm::L2, any, &[], plain()),
        with("cw_l2_9x100", "cw", Norm::L2, any, &[], plain()),
        with("cw_l2_9x1000", "cw", Norm::L2, any, &[("iterations", 1000.0)], plain()),
        with("cw_linf", "cw", Norm::Linf, any, &[], plain()),
        with("lbfgs", "lbfgs", Norm::L2, any, &[], plain()),
        with("square_linf_1000q", "square", Norm::Linf, 0.1, &[], plain()),
        with("square_l2_1000q", "square", Norm::L2, 1.5, &[], plain()),
        with("boundary_2500q", "boundary", Norm::L2, any, &[], plain()),
        with("spatial", "spatial", Norm::Linf, any, &[], plain()),
        with(
            "spatial_gradient",
            "spatial",
            Norm::Linf,
            any,
            &[("search", 1.0)],
            AttackSettings { restarts: 5, ..plain() },
        ),
        with("flow", "flow", Norm::Linf, any, &[], plain()),
        with("deepfool_linf", "deepfool", Norm::Linf, any, &[], plain()),
    ]
}

/// What an attack reached.
pub struct Measured {
    /// Robust accuracy, in per cent.
    pub robust: f64,
    /// Median length of δ over the flipped pictures; none if there is none.
    pub median: Option<f64>,
    /// The share of the correctly classified pictures that were flipped, in per cent.
    pub flipped: f64,
    /// Results that leave the ball or the box, or say of themselves what is not so.
    pub wrong: usize,
    /// Gradients and forward evaluations for a picture, on average.
    pub evaluations: f64,
}

fn reference(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/reference/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Attacks the first pictures of Fashion-MNIST's test set, on all cores.
pub fn measure(network: &str, contestant: &Contestant, pictures: usize) -> Measured {
    let weights = Weights::read(&reference(&format!("{network}.safetensors"))).unwrap();
    let executor = Executor::new(&Architecture::small_cnn(), &weights).unwrap();
    let test = data::test_pictures(concat!(env!("CARGO_MANIFEST_DIR"), "/assets").as_ref(), Dataset::Fashion).unwrap();
    let Contestant { settings, norm, epsilon, .. } = contestant;
    let indices: Vec<usize> = (0..pictures).collect();
    let smallest = settings.method.aim() == Aim::Smallest;
    let record = if smallest { Record::Strongest } else { Record::FirstSuccess };
    let outcomes: Vec<_> = indices
        .par_chunks(25)
        .flat_map_iter(|chunk| {
            let images: Vec<f32> = chunk.iter().flat_map(|&i| data::to_unit(test.picture(i))).collect();
            let item = |&i: &usize| Item { id: i as u32, label: test.labels[i], target: None, epsilon: *epsilon };
            let items = chunk.iter().map(item).collect();
            let task = Task { images, items, norm: *norm, settings: settings.clone(), seed: 0, others: Vec::new() };
            attack::run(&mut executor.clone(), task, record)
        })
        .collect();
    let n = outcomes.len() as f64;
    let right: Vec<_> = outcomes.iter().filter(|outcome| !outcome.already_wrong).collect();
    let mut lengths: Vec<f64> =
        right.iter().filter(|outcome| outcome.success).map(|outcome| outcome.norms.of(*norm) as f64).collect();
    lengths.sort_by(f64::total_cmp);
    let measured = settings.method.aim() != Aim::Transformation;
    let most = epsilon + rounding_slack(*norm, *epsilon, 784);
    let wrong = outcomes.iter().filter(|outcome| {
        let outside = measured && outcome.norms.of(*norm) > most;
        outside || !outcome.adversarial.iter().all(|pixel| (0.0..=1.0).contains(pixel))
    });
    Measured {
        robust: 100.0 * right.iter().filter(|outcome| !outcome.success).count() as f64 / n,
        median: (!lengths.is_empty()).then(|| 0.5 * (lengths[(lengths.len() - 1) / 2] + lengths[lengths.len() / 2])),
        flipped: 100.0 * lengths.len() as f64 / right.len() as f64,
        wrong: wrong.count(),
        evaluations: outcomes.iter().map(|o| (o.gradients + o.forwards) as f64).sum::<f64>() / n,
    }
}
