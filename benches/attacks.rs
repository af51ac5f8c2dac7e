//! Attacks beside the best of three libraries, over the first 1,000 test pictures: `cargo bench --bench attacks`, with
//! names of attacks to run only those, and `-n 100` for fewer pictures.

#[path = "../tests/reference/bar.rs"]
mod bar;

use std::time::Instant;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = words.iter().position(|word| word == "-n").and_then(|at| words.get(at + 1)?.parse().ok());
    let names: Vec<&String> = words.iter().take_while(|word| *word != "-n").collect();
    println!(
        "network attack            pictures  robust %   (library)  flipped %  median ‖δ‖  (library)  outside  evaluations  seconds  best library"
    );
    let references = bar::references();
    for contestant in bar::contestants() {
        if !names.is_empty() && !names.iter().any(|name| contestant.name.contains(name.as_str())) {
            continue;
        }
        for network in ["std", "adv"] {
            let reference =
                references.iter().find(|reference| reference.network == network && reference.attack == contestant.name);
            // As many as the libraries had, fewer where an attack takes long.
            let most = match contestant.settings.method.cost(&contestant.settings) {
                0..=150 => 1000,
                _ => 100,
            };
            let pictures = number.unwrap_or(1000).min(reference.map_or(most, |reference| reference.pictures));
            let began = Instant::now();
            let measured = bar::measure(network, &contestant, pictures);
            let shown =
                |value: Option<f64>, digits: usize| value.map_or("–".into(), |value| format!("{value:.digits$}"));
            println!(
                "{network:<7} {:<17} {pictures:>8} {:>9.1} {:>11} {:>10.1} {:>11} {:>10} {:>8} {:>12.0} {:>8.1}  {}",
                contestant.name,
                measured.robust,
                shown(reference.and_then(|reference| reference.robust), 1),
                measured.flipped,
                shown(measured.median, 4),
                shown(reference.and_then(|reference| reference.median), 4),
                measured.wrong,
                measured.evaluations,
                began.elapsed().as_secs_f64(),
                reference.map_or("", |reference| &reference.library),
            );
        }
    }
}
