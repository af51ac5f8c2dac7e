//! The decision boundary on a plane through the picture.

use leptos::prelude::*;

use super::subject::Subject;
use crate::data::{self, Dataset};
use crate::experiment::PlaneAxes;
use crate::page::control::{Choice, NumberControl};
use crate::page::figure::PlaneFigure;
use crate::page::notice::Notices;
use crate::page::state::Lab;

/// The plane of one model.
pub fn plane(subject: Subject) -> AnyView {
    let lab = subject.lab;
    let axes = lab.memo(|experiment| experiment.view.plane);
    let classes = Signal::derive(move || subject.dataset.get().classes());
    let step = Signal::derive(move || Some(subject.step.get() as u32));
    let named = move |index: u32| {
        let dataset = subject.dataset.get();
        let class = data::labels(dataset).get(index as usize).map_or("?", |label| dataset.classes()[*label as usize]);
        format!("picture {index}, {class}")
    };
    let across = Signal::derive(move || match axes.get() {
        PlaneAxes::AttackAndRandom => "along the attack, L2 distance from x".into(),
        PlaneAxes::Pictures(first, _) => format!("towards {}, L2 distance from x", named(first)),
    });
    let upwards = Signal::derive(move || match axes.get() {
        PlaneAxes::AttackAndRandom => "along a random direction, L2".into(),
        PlaneAxes::Pictures(_, second) => format!("towards the side of {}, L2", named(second)),
    });
    let landmarks = Signal::derive(move || match axes.get() {
        PlaneAxes::AttackAndRandom => Vec::new(),
        PlaneAxes::Pictures(first, second) => vec![named(first), named(second)],
    });
    let caption = "Decisions of this network on a plane through x; the path is projected onto it, the outline is the ball’s section";
    view! {
        <PlaneFigure part=subject.slot.plane classes=classes step=step across=across upwards=upwards
            landmarks=landmarks caption=subject.caption(caption) name=subject.file("plane") />
    }
    .into_any()
}

/// What spans the plane.
pub fn axes(lab: Lab) -> AnyView {
    let axes = lab.memo(|experiment| experiment.view.plane);
    let notices = Notices::get();
    let options = vec![("attack", "attack, random".to_string()), ("pictures", "two pictures".to_string())];
    let value = Signal::derive(move || match axes.get() {
        PlaneAxes::AttackAndRandom => "attack".to_string(),
        PlaneAxes::Pictures(..) => "pictures".to_string(),
    });
    let set = Callback::new(move |key: String| {
        notices.check(lab.edit("plane", |experiment| {
            experiment.view.plane = match key.as_str() {
                "pictures" => other_classes(experiment.dataset, super::picker::true_class(experiment)),
                _ => PlaneAxes::AttackAndRandom,
            };
        }));
    });
    let field = move |id: &'static str, label: &'static str, second: bool| {
        let value = Signal::derive(move || match axes.get() {
            PlaneAxes::Pictures(_, index) if second => index as f64,
            PlaneAxes::Pictures(index, _) => index as f64,
            PlaneAxes::AttackAndRandom => 0.0,
        });
        let max = lab.memo(|experiment| experiment.dataset.pictures() as f64 - 1.0);
        let set = Callback::new(move |number: f64| {
            if number < 0.0 {
                return Err("Pictures are numbered from 0.".into());
            }
            lab.edit(id, |experiment| {
                if let PlaneAxes::Pictures(first, other) = &mut experiment.view.plane {
                    *(if second { other } else { first }) = number as u32;
                }
            })
        });
        view! {
            <NumberControl id=id label=label value=value min=0.0 max=max.into() step=Signal::derive(|| 1.0) whole=true set=set />
        }
    };
    view! {
        <div class="plane-axes">
            <Choice name="plane" label="Plane through x along" options=options value=value set=set />
            <Show when=move || matches!(axes.get(), PlaneAxes::Pictures(..))>
                {field("plane-first", "First picture", false)}
                {field("plane-second", "Second picture", true)}
            </Show>
        </div>
    }
    .into_any()
}

/// The first pictures of two classes that the picture is not of.
fn other_classes(dataset: Dataset, class: Option<u8>) -> PlaneAxes {
    let labels = data::labels(dataset);
    let first = labels.iter().position(|label| Some(*label) != class).unwrap_or(0);
    let second = labels.iter().position(|label| Some(*label) != class && *label != labels[first]).unwrap_or(1);
    PlaneAxes::Pictures(first as u32, second as u32)
}
