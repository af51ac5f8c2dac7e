//! The composer: what to compute, what it costs, and the button that starts it.

use leptos::prelude::*;
use serde_json::Value;

use super::batch::Batch;
use super::draft::Draft;
use super::room::Reach;
use super::{Batches, server, words};
use crate::attack::Method;
use crate::experiment::AttackSettings;
use crate::job::Limits;
use crate::job::kinds::KINDS;
use crate::job::training::Network;
use crate::nn::zoo;
use crate::page::control::{NumberControl, Pick, Toggle};
use crate::page::figure::format;
use crate::page::state::Lab;
use crate::page::study::{Offers, SubjectBar};

/// The composer. `reach` says whether a server answers; `start` gets what is begun.
pub fn composer(draft: Draft, reach: RwSignal<Reach>, start: Callback<Batch>) -> AnyView {
    let kinds = Signal::derive(|| KINDS.iter().map(|kind| (kind.key.to_string(), kind.title.to_string())).collect());
    let choose = Callback::new(move |key: String| {
        draft.others.set(Default::default());
        draft.kind.set(key);
        // As many as its example has: a test of models and a training are of different sizes.
        let fields = untrack(|| draft.fields());
        let pictures = fields.iter().find(|(field, _)| field == "pictures").and_then(|(_, value)| value.as_u64());
        if let Some(pictures) = pictures {
            draft.pictures.set(pictures as u32);
        }
    });
    let field = move |name: &'static str| Memo::new(move |_| draft.has(name));
    let [models, sources, targets, attacks, epsilons, pictures, trains] =
        ["models", "sources", "targets", "attacks", "epsilons", "pictures", "network"].map(field);
    view! {
        <section class="panel compose" aria-labelledby="compose-title">
            <h2 id="compose-title">"Compose a batch"</h2>
            <Pick id="batch-kind" label="Question" options=kinds value=draft.kind.into() set=choose />
            <p class="soft">{move || draft.kind().summary}</p>
            {move || {
                // Without a grid of them, ε is the Lab's.
                let (epsilon, attack) = (!epsilons.get(), !trains.get());
                let offers = Offers { norm: true, attack, goal: attack, epsilon, ..Default::default() };
                view! { <SubjectBar offers=offers /> }
            }}
            <Show when=move || !trains.get()>
                <p class="soft">"The attack has the parameters that it has in the Lab."</p>
            </Show>
            <Show when=move || attacks.get()>{attack_list(draft)}</Show>
            <Show when=move || models.get()>{model_list(draft.models, "Models")}</Show>
            <Show when=move || sources.get()>{model_list(draft.models, "Sources, which are attacked")}</Show>
            <Show when=move || targets.get()>{model_list(draft.targets, "Targets, which see the result (none: all)")}</Show>
            <Show when=move || epsilons.get()>{grid(draft)}</Show>
            <Show when=move || pictures.get()>{picture_count(draft)}</Show>
            {move || others(draft)}
            {price(draft, reach, start)}
        </section>
    }
    .into_any()
}

fn model_list(chosen: RwSignal<Vec<String>>, legend: &'static str) -> AnyView {
    let lab = Lab::get();
    let dataset = lab.memo(|experiment| experiment.dataset);
    let present = lab.memo(|experiment| experiment.model.clone());
    let batches = Batches::get();
    let is_target = legend.starts_with("Targets");
    let toggles = move || {
        let toggle = |name: &'static str, title: &'static str| {
            let value = Signal::derive(move || {
                let chosen = chosen.read();
                // Where none is chosen it is the Lab's, and for targets all.
                if chosen.is_empty() {
                    !is_target && *present.read() == name
                } else {
                    chosen.iter().any(|one| one == name)
                }
            });
            let set = Callback::new(move |on: bool| {
                let present = present.get_untracked();
                chosen.update(|chosen| {
                    if chosen.is_empty() && !is_target {
                        chosen.push(present);
                    }
                    chosen.retain(|one| one != name);
                    if on {
                        chosen.push(name.to_string());
                    }
                });
            });
            view! { <Toggle label=title value=value set=set /> }
        };
        batches.models.track();
        zoo::of(dataset.get()).map(|card| toggle(&card.name, &card.title)).collect_view()
    };
    // Names of another data set's models mean nothing here.
    Effect::new(move |before: Option<crate::data::Dataset>| {
        let now = dataset.get();
        if before.is_some_and(|before| before != now) {
            chosen.update(|chosen| chosen.retain(|name| zoo::find(now, name).is_some()));
        }
        now
    });
    view! {
        <fieldset class="many">
            <legend>{legend}</legend>
            <div class="many-options">{toggles}</div>
        </fieldset>
    }
    .into_any()
}

fn attack_name(settings: &AttackSettings) -> String {
    let steps = if settings.method.uses().steps { format!("-{}", settings.steps) } else { String::new() };
    let restarts = if settings.restarts > 1 { format!(", {} restarts", settings.restarts) } else { String::new() };
    let own = settings.values.iter().map(|(key, value)| format!(", {key} = {value}")).collect::<String>();
    format!("{}{steps}{restarts}{own}", settings.method)
}

fn attack_list(draft: Draft) -> AnyView {
    let lab = Lab::get();
    let present = lab.memo(|experiment| attack_name(&experiment.attack));
    let norm = lab.memo(|experiment| experiment.threat.norm);
    let options = Signal::derive(move || {
        let fits = |method: &Method| method.norms().is_empty() || method.norms().contains(&norm.get());
        let all = Method::all().filter(fits).map(|method| (method.key().to_string(), method.to_string()));
        std::iter::once((String::new(), "choose an attack…".to_string())).chain(all).collect::<Vec<_>>()
    });
    // An attack that is added has the Lab's steps and goal, and its own parameters as they are by default.
    let add = move |settings: AttackSettings| {
        draft.attacks.update(|attacks| {
            if !attacks.contains(&settings) {
                attacks.push(settings);
            }
        });
    };
    let chosen = RwSignal::new(String::new());
    let pick = Callback::new(move |key: String| {
        if let Some(method) = Method::from_key(&key) {
            let AttackSettings { steps, target, .. } = lab.now().attack;
            add(AttackSettings { method, steps, target, ..AttackSettings::default() });
        }
        // Back to the invitation.
        chosen.set(key);
        chosen.set(String::new());
    });
    let freeze = move |_| add(lab.now().attack);
    let entries = move || {
        let entry = |(place, settings): (usize, AttackSettings)| {
            let name = attack_name(&settings);
            let remove = move |_| draft.attacks.update(|attacks| drop(attacks.remove(place)));
            view! {
                <li>
                    <span>{name.clone()}</span>
                    <button type="button" class="quiet" aria-label=format!("Remove {name}") on:click=remove>"Remove"</button>
                </li>
            }
        };
        draft.attacks.get().into_iter().enumerate().map(entry).collect_view()
    };
    let label = Signal::derive(move || format!("the Lab’s present attack: {}", present.get()));
    let value = Signal::derive(move || draft.present.get());
    view! {
        <fieldset class="many attacks-list">
            <legend>"Attacks; with several, also the worst of them"</legend>
            <label class="toggle">
                <input type="checkbox" prop:checked=value on:change=move |event| draft.present.set(event_target_checked(&event)) />
                <span>{label}</span>
            </label>
            <ul>{entries}</ul>
            <Pick id="batch-attack" label="Add" options=options value=chosen.into() set=pick />
            <button type="button" on:click=freeze>"Keep the Lab’s attack as it is now"</button>
        </fieldset>
    }
    .into_any()
}

fn grid(draft: Draft) -> AnyView {
    let lab = Lab::get();
    let greatest = lab.memo(|experiment| f64::from(experiment.threat.norm.greatest_epsilon()));
    let norm = lab.memo(|experiment| experiment.threat.norm);
    let max = Signal::derive(move || greatest.get());
    let step = Signal::derive(move || match norm.get() {
        crate::threat::Norm::Linf => 0.005,
        crate::threat::Norm::L2 => 0.1,
        crate::threat::Norm::L1 => 0.5,
    });
    // Ends that were chosen for another norm mean nothing under this one.
    Effect::new(move |before: Option<crate::threat::Norm>| {
        let now = norm.get();
        if before.is_some_and(|before| before != now) {
            draft.from.set(None);
            draft.to.set(None);
        }
        now
    });
    let end = move |id: &'static str, label: &'static str, side: usize, signal: RwSignal<Option<f64>>| {
        let value = Signal::derive(move || draft.ends()[side]);
        let set = Callback::new(move |number: f64| {
            let greatest = greatest.get_untracked();
            if !(0.0..=greatest).contains(&number) {
                return Err(format!("ε = {number} is out of range: choose 0 to {greatest}."));
            }
            signal.set(Some(number));
            Ok(())
        });
        let note = Signal::derive(move || match norm.get() {
            crate::threat::Norm::Linf => format!("= {}", format::in_255ths(value.get() as f32)),
            norm => format!("{norm} length of δ"),
        });
        view! { <NumberControl id=id label=label value=value min=0.0 max=max step=step note=note set=set /> }
    };
    let count =
        whole("batch-epsilons", "Values of ε", draft.values, 1, Signal::derive(|| crate::job::limits::EPSILONS as u32));
    let list = move || {
        let values: Vec<String> = draft.epsilons().into_iter().map(format::epsilon).collect();
        format!("ε = {}", values.join(", "))
    };
    view! {
        {end("batch-from", "ε from", 0, draft.from)}
        {end("batch-to", "ε to", 1, draft.to)}
        {count}
        <p class="soft">{list}</p>
    }
    .into_any()
}

fn picture_count(draft: Draft) -> AnyView {
    let lab = Lab::get();
    let tests = lab.memo(|experiment| experiment.dataset.pictures());
    // What has no model to be tested is trained.
    let trains = Memo::new(move |_| !(draft.has("models") || draft.has("sources")));
    let lessons = lab.memo(|experiment| experiment.dataset.lessons());
    let most = Signal::derive(move || if trains.get() { lessons.get() } else { tests.get() });
    let control = move || {
        let (label, least) = if trains.get() { ("Training pictures (0: all)", 0) } else { ("Test pictures", 1) };
        whole("batch-pictures", label, draft.pictures, least, most)
    };
    control.into_any()
}

fn whole(id: &'static str, label: &'static str, signal: RwSignal<u32>, least: u32, most: Signal<u32>) -> AnyView {
    let set = Callback::new(move |number: f64| {
        let most = most.get_untracked();
        if !(f64::from(least)..=f64::from(most)).contains(&number) {
            return Err(format!("{number} is out of range: choose {least} to {most}."));
        }
        signal.set(number as u32);
        Ok(())
    });
    let value = Signal::derive(move || f64::from(signal.get()));
    let max = Signal::derive(move || f64::from(most.get()));
    let step = Signal::derive(move || if most.get() > 50 { 10.0 } else { 1.0 });
    view! { <NumberControl id=id label=label value=value min=f64::from(least) max=max step=step whole=true set=set /> }
        .into_any()
}

/// Fields that only this kind has.
fn others(draft: Draft) -> AnyView {
    const COMMON: [&str; 7] = ["experiment", "models", "sources", "targets", "attacks", "epsilons", "pictures"];
    let fields = draft.fields().into_iter().filter(|(field, _)| !COMMON.contains(&field.as_str()));
    let fields = fields.filter_map(|(field, example)| {
        let label = words_of(&field);
        let id = format!("batch-{field}");
        let (name, usual) = (field.clone(), example.clone());
        let now = move || draft.others.read().get(&name).cloned().unwrap_or_else(|| usual.clone());
        let shown = {
            let now = now.clone();
            move || match now() {
                Value::String(text) => text,
                // A float32 as a person wrote it.
                Value::Number(number) if number.is_f64() => (number.as_f64().unwrap_or_default() as f32).to_string(),
                value => value.to_string(),
            }
        };
        let key = field.clone();
        let put = move |value: Value| {
            draft.others.update(|others| drop(others.insert(key.clone(), value)));
        };
        match example {
            Value::Bool(_) => {
                let value = Signal::derive(move || now() == Value::Bool(true));
                let set = Callback::new(move |on: bool| put(Value::Bool(on)));
                Some(view! { <Toggle label=label value=value set=set /> }.into_any())
            }
            Value::Number(_) => {
                let set = move |event| {
                    let text = event_target_value(&event).replace(',', ".");
                    // What is no number is sent as it is: the answer says what is allowed.
                    let whole = text.trim().parse::<u64>().map(Value::from);
                    put(whole.or_else(|_| text.trim().parse::<f64>().map(Value::from)).unwrap_or(Value::String(text)));
                };
                Some(
                    view! {
                        <div class="pick">
                            <label for=id.clone()>{label}</label>
                            <input type="text" inputmode="decimal" class="field" id=id prop:value=shown on:change=set />
                        </div>
                    }
                    .into_any(),
                )
            }
            Value::String(_) if field == "network" => {
                let network = |network: &Network| {
                    let key = serde_json::to_value(network).ok()?.as_str()?.to_string();
                    Some((key, network.title().to_string()))
                };
                let options = Signal::derive(move || Network::ALL.iter().filter_map(network).collect());
                let (value, set) = (Signal::derive(shown), Callback::new(move |key: String| put(Value::String(key))));
                Some(view! { <Pick id="batch-network" label=label options=options value=value set=set /> }.into_any())
            }
            Value::String(_) => {
                let set = move |event| put(Value::String(event_target_value(&event)));
                Some(
                    view! {
                        <div class="pick">
                            <label for=id.clone()>{label}</label>
                            <input type="text" class="field wide" id=id prop:value=shown on:change=set />
                        </div>
                    }
                    .into_any(),
                )
            }
            _ => None,
        }
    });
    fields.collect_view().into_any()
}

/// A field as people call it: `weight_decay` is “Weight decay”.
fn words_of(field: &str) -> String {
    let known = match field {
        "rate" => "Learning rate",
        "batch" => "Pictures in a step",
        "attack_steps" => "PGD steps that it learns against (0: none)",
        "side" => "Cells on a side",
        _ => "",
    };
    if !known.is_empty() {
        return known.into();
    }
    let mut letters = field.replace('_', " ");
    if let Some(first) = letters.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    letters
}

/// What it costs, and the button.
fn price(draft: Draft, reach: RwSignal<Reach>, start: Callback<Batch>) -> AnyView {
    let limits = move || match reach.get() {
        Reach::Missing => (Limits::PAGE, "in this page, without a server"),
        _ if reach.get() == Reach::Instructor || server::key().is_some() => {
            (Limits::RAISED, "with the instructor’s key")
        }
        _ => (Limits::USUAL, "on the server"),
    };
    let estimate = Memo::new(move |_| {
        let job = draft.job()?;
        let chunks = job.chunks();
        let cost = chunks.iter().fold(0u64, |sum, cost| sum.saturating_add(*cost));
        let (limits, place) = limits();
        let (cost_words, limit) = (words::gradients(cost), words::gradients(limits.gradients));
        let many = if chunks.len() == 1 { "1 chunk".into() } else { format!("{} chunks", chunks.len()) };
        let sentence = format!("About {cost_words} gradients in {many}; {limit} are allowed {place}.");
        let problem = job.check(&limits).err().map(|refusal| format!("{refusal}."));
        Ok::<_, String>((sentence, (cost as f64 / limits.gradients as f64).min(1.0), problem))
    });
    let sentence = move || estimate.get().map_or_else(|problem| problem, |(sentence, ..)| sentence);
    let share = move || estimate.get().map_or(0.0, |(_, share, _)| share).to_string();
    let problem = move || estimate.get().map_or_else(Some, |(_, _, problem)| problem);
    let begin = move |_| {
        if let Ok(job) = untrack(|| draft.job()) {
            start.run(Batch::ask(&job));
        }
    };
    view! {
        <div class="price">
            <p id="batch-price">{sentence}</p>
            <meter min="0" max="1" high="0.999" prop:value=share value=share aria-labelledby="batch-price"></meter>
            <p class="problem" id="batch-problem">{problem}</p>
            <button type="button" class="primary" aria-describedby="batch-price batch-problem" on:click=begin>"Start the batch"</button>
        </div>
    }
    .into_any()
}
