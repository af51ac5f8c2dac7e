//! Whatever comes from outside is read or refused: no panic, and no memory beyond what was sent.

#![cfg(not(target_arch = "wasm32"))]

use epsilon_lab::api::JobRequest;
use epsilon_lab::data::sheet;
use epsilon_lab::experiment::Experiment;
use epsilon_lab::job::kinds::KINDS;
use epsilon_lab::job::{Kind, Limits};
use epsilon_lab::nn::{Architecture, Executor, Weights, zoo};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// A valid file with some bytes changed and its end cut off.
fn damaged(file: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    (vec((any::<Index>(), any::<u8>()), 0..6), any::<Index>(), any::<bool>()).prop_map(move |(changes, end, cut)| {
        let mut bytes = file.to_vec();
        for (place, byte) in changes {
            // Heads matter most.
            let place = place.index(bytes.len().min(600));
            bytes[place] = byte;
        }
        if cut {
            bytes.truncate(end.index(file.len()));
        }
        bytes
    })
}

/// JSON of any shape, with the names that questions have.
fn any_json() -> impl Strategy<Value = Value> {
    let name = select(vec![
        "experiment",
        "models",
        "attacks",
        "epsilons",
        "pictures",
        "attack",
        "threat",
        "norm",
        "epsilon",
        "values",
        "seed",
        "picture",
        "own",
        "test",
        "pixels",
        "label",
        "dataset",
        "model",
        "steps",
        "restarts",
        "method",
        "side",
        "sources",
        "targets",
        "epochs",
        "batch",
        "view",
        "plane",
    ]);
    let word = select(vec!["linf", "pgd", "fashion", "digits", "standard", "l2", "cw", ""]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![0u32, 1, 10, 28, 100, 784, u32::MAX]).prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            vec((name.clone(), inner), 0..8)
                .prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// The example of a kind with a value somewhere replaced.
fn changed() -> impl Strategy<Value = (usize, Value)> {
    let pointers = |value: &Value| {
        let (mut all, mut open) = (Vec::new(), vec![(String::new(), value.clone())]);
        while let Some((at, value)) = open.pop() {
            match value {
                Value::Object(map) => open.extend(map.into_iter().map(|(key, value)| (format!("{at}/{key}"), value))),
                Value::Array(list) => open.extend((0..).zip(list).map(|(i, value)| (format!("{at}/{i}"), value))),
                _ => {}
            }
            all.push(at);
        }
        all
    };
    (0..KINDS.len(), any::<Index>(), any_json()).prop_map(move |(kind, place, value)| {
        let mut question = (KINDS[kind].example)();
        let places = pointers(&question);
        *question.pointer_mut(&places[place.index(places.len())]).unwrap() = value;
        (kind, question)
    })
}

/// A question that is allowed can be cut up and put together; one that is not is refused with a sentence.
fn read_or_refused(kind: &'static Kind, question: Value) {
    let Ok(job) = kind.read(question) else { return };
    if let Err(refusal) = job.check(&Limits::USUAL) {
        assert!(!refusal.to_string().is_empty());
        return;
    }
    let chunks = job.chunks();
    assert!(!chunks.is_empty() && chunks.len() < 100_000);
    assert!(chunks.iter().sum::<u64>() <= Limits::USUAL.gradients);
    assert!(!job.gather().report().summary.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn weights_are_read_or_refused(bytes in damaged(include_bytes!("../assets/models/digits-residual.safetensors"))) {
        if let Ok(weights) = Weights::read(&bytes) {
            let _ = Executor::new(&zoo::find(epsilon_lab::data::Dataset::Digits, "residual").unwrap().architecture, &weights);
        }
    }

    #[test]
    fn what_is_no_file_of_weights_is_refused(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(Weights::read(&bytes).is_err());
    }

    #[test]
    fn pictures_are_read_or_refused(bytes in damaged(include_bytes!("../assets/data/digits/test-0.png"))) {
        if let Ok(pictures) = sheet::decode(&bytes) {
            prop_assert!(pictures.len() <= 1 << 22);
        }
    }

    #[test]
    fn any_link_gives_an_experiment_and_says_what_it_could_not_use(query in "[?&=%a-z0-9.,_+-]{0,200}|\\PC{0,80}") {
        let parsed = Experiment::from_query(&query);
        prop_assert_eq!(parsed.experiment.validate(), Ok(()));
    }

    #[test]
    fn a_link_with_known_names_and_any_values_gives_a_valid_experiment(
        pairs in vec((select(vec!["data", "model", "compare", "picture", "own", "norm", "eps", "epsilon", "attack", "alpha",
            "steps", "start", "restarts", "target", "seed", "step", "plane", "scale", "kappa"]), "\\PC{0,20}|-?[0-9.e]{1,9}"), 0..8)
    ) {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        prop_assert_eq!(Experiment::from_query(&query.finish()).experiment.validate(), Ok(()));
    }

    #[test]
    fn questions_of_any_shape_are_read_or_refused((kind, question) in changed()) {
        read_or_refused(&KINDS[kind], question);
    }

    #[test]
    fn json_of_any_shape_is_a_question_or_is_refused(value in any_json(), kind in 0..KINDS.len()) {
        read_or_refused(&KINDS[kind], value.clone());
        let _ = serde_json::from_value::<JobRequest>(json!({ "kind": value, "question": null }));
    }

    #[test]
    fn architectures_of_any_shape_are_read_or_refused(value in any_json()) {
        if let Ok(architecture) = serde_json::from_value::<Architecture>(value) {
            let _ = architecture.costs();
        }
    }
}
