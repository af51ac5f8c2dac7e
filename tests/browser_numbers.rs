//! The same seed draws the same numbers everywhere: these tests run natively and in the browser, against the same bits.

use epsilon_lab::experiment::Experiment;
use epsilon_lab::random::{Random, Stream};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// FNV-1a over the bits of a thousand draws.
fn fingerprint(draw: impl Fn(&mut Random) -> f32) -> u32 {
    let mut random = Random::new(7, Stream::Start, 3);
    (0..1000).fold(0x811c_9dc5, |hash: u32, _| (hash ^ draw(&mut random).to_bits()).wrapping_mul(0x0100_0193))
}

#[test]
fn uniform_numbers_are_the_same_on_every_platform() {
    assert_eq!(fingerprint(Random::uniform), 0x5c58_e064);
}

#[test]
fn normal_numbers_are_the_same_on_every_platform() {
    assert_eq!(fingerprint(Random::normal), 0x174a_14e9);
}

#[test]
fn exponential_numbers_are_the_same_on_every_platform() {
    assert_eq!(fingerprint(Random::exponential), 0x335f_76df);
}

#[test]
fn a_link_says_the_same_on_every_platform() {
    let mut experiment = Experiment::default();
    experiment.threat.epsilon = 0.1;
    experiment.attack.alpha = Some(1.0 / 3.0);
    let query = experiment.to_query();
    assert!(query.contains("eps=0.1&") && query.contains("alpha=0.33333334&"), "{query}");
    assert_eq!(Experiment::from_query(&query).experiment, experiment);
}
