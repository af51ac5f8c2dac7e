//! What is said about batches: states, where they are computed, what they ask.

use serde_json::Value;

use super::batch::{Standing, Where};
use crate::api::JobState;
use crate::attack::Method;
use crate::data::Dataset;
use crate::job::training::Network;
use crate::nn::zoo;
use crate::page::figure::format;
use crate::threat::Norm;

/// A state in a word or two.
pub fn state(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "waits",
        JobState::Running => "runs",
        JobState::Done => "done",
        JobState::Failed => "incomplete",
        JobState::Cancelled => "stopped",
    }
}

/// How a batch stands, and where. `progress` says how far it is: "12 of 100 pictures".
pub fn status(standing: &Standing, progress: &str) -> String {
    let view = &standing.view;
    if let Some(sentence) = &standing.refused {
        return format!("Not computed: {}.", sentence.trim_end_matches('.'));
    }
    let place = place(standing.place);
    let time = view.elapsed.map_or(String::new(), |elapsed| format!(", {}", duration(elapsed)));
    if standing.left {
        return format!("Left{place}: {progress}{time}. Others want this batch, too, so it goes on.");
    }
    match view.state {
        JobState::Queued if standing.place == Where::Asking => "Asking for a server…".into(),
        JobState::Queued => match view.ahead {
            0 => format!("Waiting{place}: it is the next in turn."),
            1 => format!("Waiting{place}: 1 batch comes first."),
            ahead => format!("Waiting{place}: {ahead} batches come first."),
        },
        JobState::Running => {
            let left = view.remaining.map_or(String::new(), |left| format!(", about {} left", duration(left)));
            format!("Computing{place}: {progress}{time}{left}.")
        }
        JobState::Done => format!("Done{place}: {progress}{time}."),
        JobState::Failed => format!("Incomplete{place}: {progress}{time}. The rest could not be computed."),
        JobState::Cancelled => format!("Stopped; what was computed stays{place}: {progress}{time}."),
    }
}

/// What else should be known of where it is computed.
pub fn remark(standing: &Standing) -> Option<&'static str> {
    match standing.place {
        Where::Page(_) if standing.moved => Some(
            "The server was lost: this page computes the batch anew. What the server had found stays until there is more.",
        ),
        Where::Page(_) => {
            Some("No server answers, so this page’s own workers compute it. It ends when the page is closed.")
        }
        _ if standing.lost && !standing.view.state.has_ended() => {
            Some("The connection to the server is lost; trying again. A batch that it has goes on when it comes back.")
        }
        _ => None,
    }
}

fn place(place: Where) -> String {
    match place {
        Where::Asking => String::new(),
        Where::Server => ", on the server".into(),
        Where::Page(1) => ", in this page, in one worker".into(),
        Where::Page(workers) => format!(", in this page, in {workers} workers"),
    }
}

/// Milliseconds as people say them.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..=9 => format!("{:.1}\u{a0}s", milliseconds as f64 / 1e3),
        10..=119 => format!("{seconds}\u{a0}s"),
        120..=7199 => format!("{}\u{a0}min", (seconds + 30) / 60),
        _ => format!("{:.1}\u{a0}h", seconds as f64 / 3600.0),
    }
}

/// A number of gradients, roughly.
pub fn gradients(count: u64) -> String {
    match count {
        0..=9_999 => count.to_string(),
        10_000..=999_999 => format!("{} thousand", count / 1000),
        _ => format!("{:.1} million", count as f64 / 1e6),
    }
}

/// What a question asks, in a line.
pub fn question(question: &Value) -> String {
    let experiment = &question["experiment"];
    let dataset = experiment["dataset"].as_str().and_then(Dataset::from_key);
    let norm = experiment["threat"]["norm"].as_str().and_then(|norm| Norm::ALL.into_iter().find(|n| n.key() == norm));
    let mut parts: Vec<String> = dataset.map(|dataset| dataset.title().to_string()).into_iter().collect();
    let title = |name: &str| {
        let card = dataset.and_then(|dataset| zoo::find(dataset, name));
        card.map_or_else(|| name.to_string(), |card| card.title.clone())
    };
    let names = |key: &str| -> Vec<String> {
        question[key].as_array().into_iter().flatten().filter_map(|name| name.as_str().map(title)).collect()
    };
    for key in ["models", "sources", "targets"] {
        let names = names(key);
        match names.len() {
            0 => {}
            1 | 2 if key != "targets" => parts.push(names.join(" and ")),
            count => parts.push(format!("{count} {key}")),
        }
    }
    let count = |key: &str| question[key].as_u64().filter(|count| *count > 0);
    let trains = serde_json::from_value::<Network>(question["network"].clone()).ok();
    if let Some(network) = trains {
        parts.push(network.title().into());
        parts.extend(
            count("epochs").map(|epochs| if epochs == 1 { "1 epoch".into() } else { format!("{epochs} epochs") }),
        );
        parts.extend(count("attack_steps").map(|steps| format!("against PGD-{steps}")));
    } else if !["models", "sources"].iter().any(|key| question[*key].is_array()) {
        parts.extend(experiment["model"].as_str().map(title));
        parts.extend(experiment["picture"]["test"].as_u64().map(|picture| format!("picture {picture}")));
        parts.extend(count("side").map(|side| format!("{side} × {side} cells")));
    }
    let attack = |settings: &Value| {
        let method = settings["method"].as_str().and_then(Method::from_key)?;
        let steps = method.uses().steps.then(|| settings["steps"].as_u64()).flatten();
        Some(steps.map_or_else(|| method.title().to_string(), |steps| format!("{}-{steps}", method.title())))
    };
    match question["attacks"].as_array() {
        Some(attacks) => parts.push(attacks.iter().filter_map(attack).collect::<Vec<_>>().join(", ")),
        None if trains.is_some() => {}
        None => parts.extend(attack(&experiment["attack"])),
    }
    if let Some(epsilons) = question["epsilons"].as_array() {
        let number = |value: Option<&Value>| value.and_then(Value::as_f64).map(|value| format::epsilon(value as f32));
        let norm = norm.map_or(String::new(), |norm| format!("{norm} "));
        match (number(epsilons.first()), number(epsilons.last())) {
            (Some(from), Some(to)) if epsilons.len() > 1 => {
                parts.push(format!("{norm}ε {from} to {to} in {} values", epsilons.len()));
            }
            (Some(only), _) => parts.push(format!("{norm}ε = {only}")),
            _ => {}
        }
    }
    if let Some(pictures) = question["pictures"].as_u64().filter(|pictures| *pictures > 0) {
        parts.push(if pictures == 1 { "1 picture".into() } else { format!("{pictures} pictures") });
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}
