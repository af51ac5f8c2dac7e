//! Attacks beside the best of three libraries: at least as strong, and never outside the ball or the box. Over all the
//! pictures it takes minutes: `cargo test --release --test attacks -- --ignored`, or the bench of this name, which prints
//! the numbers.

#[path = "reference/bar.rs"]
mod bar;

use bar::{Contestant, Measured};

fn contestant(name: &str) -> Contestant {
    bar::contestants().into_iter().find(|contestant| contestant.name == name).unwrap()
}

fn measured(name: &str, pictures: usize) -> Measured {
    bar::measure("std", &contestant(name), pictures)
}

#[test]
#[ignore = "takes minutes"]
fn attacks_are_as_strong_as_the_best_of_three_libraries() {
    for reference in bar::references() {
        let measured = bar::measure(&reference.network, &contestant(&reference.attack), reference.pictures);
        let name = format!("{} on {} beside {}", reference.attack, reference.network, reference.library);
        assert_eq!(measured.wrong, 0, "{name}");
        if let Some(robust) = reference.robust {
            assert!(measured.robust <= robust + 0.5, "{name}: {} against {robust}", measured.robust);
        }
        if let Some(median) = reference.median {
            assert_eq!(measured.flipped, 100.0, "{name}");
            let found = measured.median.unwrap();
            assert!(found <= 1.02 * median, "{name}: {found} against {median}");
        }
    }
}

/// The same over few pictures: in the order of strength that the libraries have over all of them.
#[test]
fn stronger_attacks_flip_more_pictures() {
    let names = ["noise", "fgsm", "mifgsm10", "pgd40_linf", "apgd_ce_100"];
    let robust = names.map(|name| measured(name, 60).robust);
    assert!(robust.is_sorted_by(|weaker, stronger| weaker >= stronger), "{robust:?}");
    assert!(robust[0] > robust[1] + 40.0 && robust[1] > robust[4] && robust[4] < 2.0, "{robust:?}");
}

#[test]
fn more_costly_attacks_find_smaller_perturbations() {
    // A tenth of the steps for each c that the libraries take to get as near.
    let mut modest = contestant("cw_l2_9x100");
    modest.settings = modest.settings.with("searches", 5.0).with("iterations", 50.0);
    let modest = bar::measure("std", &modest, 12);
    let [deepfool, lbfgs] = ["deepfool", "lbfgs"].map(|name| measured(name, 12));
    let lengths = [&deepfool, &lbfgs, &modest].map(|measured| measured.median.unwrap());
    assert!(lengths.is_sorted_by(|farther, nearer| farther > nearer), "{lengths:?}");
    assert!([deepfool, lbfgs, modest].iter().all(|measured| measured.flipped == 100.0 && measured.wrong == 0));
}

#[test]
fn every_attack_stays_in_the_ball_and_the_box() {
    for mut contestant in bar::contestants() {
        let settings = contestant.settings.clone();
        let declares = |key: &str| settings.method.parameters().iter().any(|parameter| parameter.key == key);
        for (key, little) in [("queries", 200.0), ("searches", 3.0), ("iterations", 20.0)] {
            if declares(key) {
                contestant.settings = contestant.settings.with(key, little);
            }
        }
        let measured = bar::measure("std", &contestant, 6);
        assert_eq!(measured.wrong, 0, "{}", contestant.name);
        assert!(measured.evaluations >= 2.0);
    }
}
