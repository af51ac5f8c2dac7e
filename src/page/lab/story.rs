//! What makes an attack what it is, beyond its iterates: each kind of story has its own figure.

use leptos::prelude::*;

use super::subject::{Subject, Values};
use crate::attack::{Grid, Measure, Story};
use crate::data::{PIXELS, SIDE};
use crate::engine::protocol::AttackPart;
use crate::page::figure::{LineChart, Lines, Series, SignedPicture, Tone, format};

/// How long the longest arrow of a flow is drawn at least, in pixels.
const LONGEST: f32 = 2.0;

/// The figure of the present attack's story; nothing for attacks that have none.
pub fn story(subject: Subject) -> AnyView {
    let attack = subject.slot.attack;
    let kind = Memo::new(move |_| {
        attack.with(|attack| attack.as_ref().and_then(|attack| attack.story.as_ref()).map(std::mem::discriminant))
    });
    let view = move || {
        let _ = kind.get();
        attack.with_untracked(|attack| match attack.as_ref().and_then(|attack| attack.story.as_ref()) {
            Some(Story::Momentum { .. }) => momentum(subject),
            Some(Story::Pace { .. }) => pace(subject),
            Some(Story::Boundaries(_)) => boundaries(subject),
            Some(Story::Weights(_)) => weights(subject),
            Some(Story::Grid(_)) => grid(subject),
            Some(Story::Path(_)) => path(subject),
            Some(Story::Flow { .. }) => flow(subject),
            Some(Story::Queries { .. }) => queries(subject),
            None => ().into_any(),
        })
    };
    view.into_any()
}

/// Something about the story at the step on screen.
fn told<T: Clone + Send + Sync + 'static>(
    subject: Subject,
    of: impl Fn(&Story, usize) -> Option<T> + Send + Sync + 'static,
) -> Signal<Option<T>> {
    let told = subject.of(move |attack: &AttackPart, step| attack.story.as_ref().and_then(|story| of(story, step)));
    Signal::derive(move || told.get().flatten())
}

/// The step that leads away from an iterate; from the last one, the step that led there.
fn leading(step: usize, steps: usize) -> usize {
    step.min(steps.saturating_sub(1))
}

fn picture(values: &[f32], step: usize) -> Option<Values> {
    let steps = values.len() / PIXELS;
    values.get(leading(step, steps) * PIXELS..)?.get(..PIXELS).map(Into::into)
}

/// The accumulated direction beside the present gradient.
fn momentum(subject: Subject) -> AnyView {
    let gradient = told(subject, |story, step| match story {
        Story::Momentum { gradients, .. } => picture(gradients, step),
        _ => None,
    });
    let accumulated = told(subject, |story, step| match story {
        Story::Momentum { accumulated, .. } => picture(accumulated, step),
        _ => None,
    });
    let cosine = told(subject, |story, step| match story {
        Story::Momentum { cosines, .. } => cosines.get(leading(step, cosines.len())).copied(),
        _ => None,
    });
    let label = Signal::derive(move || {
        cosine
            .get()
            .map_or(String::new(), |cosine| format!("cosine to the present gradient {}", format::number(cosine, 2)))
    });
    view! {
        <div class="pair">
            <SignedPicture pixels=gradient caption=subject.caption("g / ‖g‖₁, the gradient at this step")
                name=subject.file("gradient-at-step") />
            <SignedPicture pixels=accumulated caption=subject.caption("m, the accumulated direction that is followed")
                name=subject.file("momentum") label=label />
        </div>
    }
    .into_any()
}

/// The step size that adapts itself.
fn pace(subject: Subject) -> AnyView {
    let lines = told(subject, |story, step| {
        let Story::Pace { alphas, checkpoints } = story else { return None };
        let points = alphas.iter().enumerate().map(|(step, alpha)| (step as f64 + 1.0, f64::from(*alpha)));
        let at = |halved: bool| {
            let of = checkpoints.iter().filter(move |checkpoint| checkpoint.halved == halved);
            let place =
                |step: u32| alphas.get((step as usize).saturating_sub(1)).map(|alpha| (step.into(), f64::from(*alpha)));
            of.filter_map(|checkpoint| place(checkpoint.step)).collect::<Vec<_>>()
        };
        let dots = |name: &str, tone, points| Series { name: name.into(), tone, points, dots: true };
        Some(Lines {
            series: vec![
                Series { name: "step size α".into(), tone: Tone::Accent, points: points.collect(), dots: false },
                dots("checkpoint: halved, back to the best", Tone::Danger, at(true)),
                dots("checkpoint: goes on", Tone::Ok, at(false)),
            ],
            x: "step".into(),
            y: "α".into(),
            logarithmic: true,
            now: Some(step as f64),
            ..Lines::default()
        })
    });
    view! { <LineChart lines=lines caption=subject.caption("The step size adapts itself") name=subject.file("step-size") /> }
        .into_any()
}

/// The linearised boundaries at the step on screen; they are also drawn on the plane.
fn boundaries(subject: Subject) -> AnyView {
    let linearised = told(subject, |story, step| match story {
        Story::Boundaries(steps) => steps.get(leading(step, steps.len())).cloned(),
        _ => None,
    });
    let rows = move || {
        let names = subject.dataset.get().classes();
        let step = linearised.get()?;
        let mut order: Vec<usize> = (0..step.margins.len()).filter(|class| step.slopes[*class] > 0.0).collect();
        let distance = |class: usize| step.margins[class].abs() / step.slopes[class];
        order.sort_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        let name = |class: usize| names.get(class).copied().unwrap_or("?");
        let rows = order.into_iter().map(|class| {
            let chosen = class == step.chosen as usize;
            view! {
                <tr class:limited=chosen>
                    <th scope="row">{name(class)}</th>
                    <td class="figure-value">{format::number(step.margins[class], 3)}</td>
                    <td class="figure-value">{format::number(step.slopes[class], 3)}</td>
                    <td class="figure-value">{format::number(distance(class), 3)}</td>
                    <td>{chosen.then_some("nearest")}</td>
                </tr>
            }
        });
        Some((name(step.from as usize).to_string(), rows.collect_view()))
    };
    let from = move || rows().map(|(from, _)| from).unwrap_or_default();
    view! {
        <div class="story panel-table" tabindex="0" role="region" aria-label="Linearised boundaries">
            <table class="boundaries">
                <caption>"Linearised boundaries of “" {from} "” at this step, the nearest first"</caption>
                <thead>
                    <tr>
                        <th scope="col">"to class"</th>
                        <th scope="col">"margin f"</th>
                        <th scope="col">"slope ‖∇f‖"</th>
                        <th scope="col">"distance |f| / ‖∇f‖"</th>
                        <th scope="col"><span class="visually-hidden">"choice"</span></th>
                    </tr>
                </thead>
                <tbody>{move || rows().map(|(_, rows)| rows)}</tbody>
            </table>
            <p class="help">"The dashed line on the plane is the nearest boundary as the network’s gradient at this step
                predicts it; where it parts from the real boundary the network is not linear, and another step is needed."</p>
        </div>
    }
    .into_any()
}

/// The search over the weight c.
fn weights(subject: Subject) -> AnyView {
    let series = |name: &str, tone, dots, points: Vec<(f64, f64)>| Series { name: name.into(), tone, points, dots };
    let of = move |c: bool| {
        told(subject, move |story, _| {
            let Story::Weights(tries) = story else { return None };
            let value = |weighing: &crate::attack::Weighing| f64::from(if c { weighing.c } else { weighing.length });
            let numbered = || tries.iter().enumerate().map(|(i, weighing)| (i as f64 + 1.0, weighing));
            let dots = |reached: bool| {
                numbered().filter(|(_, w)| w.reached == reached).map(|(i, w)| (i, value(w))).collect::<Vec<_>>()
            };
            let mut all = vec![
                series("goal reached", Tone::Danger, true, dots(true)),
                series("not reached", Tone::Soft, true, dots(false)),
            ];
            if !c {
                let smallest = numbered().map(|(i, w)| (i, w.smallest.map_or(f64::NAN, f64::from))).collect();
                all.insert(0, series("smallest δ so far", Tone::Accent, false, smallest));
            }
            Some(Lines {
                series: all,
                x: "try".into(),
                y: if c { "weight c of the goal" } else { "length of δ" }.into(),
                logarithmic: c,
                now: None,
                ..Lines::default()
            })
        })
    };
    view! {
        <LineChart lines=of(true) caption=subject.caption("The search over c: how much reaching the goal counts against the length of δ")
            name=subject.file("search-c") />
        <LineChart lines=of(false) caption=subject.caption("What each c led to") name=subject.file("search-length") />
    }
    .into_any()
}

/// The grid of rotations and shifts with the loss of each as a heat map.
fn grid(subject: Subject) -> AnyView {
    let grid = told(subject, |story, _| match story {
        Story::Grid(grid) => Some(grid.clone()),
        _ => None,
    });
    let maps = move || grid.get().map(|grid| heat_maps(&grid));
    let said = move || grid.get().map_or(String::new(), |grid| describe_grid(&grid));
    view! {
        <figure class="figure story">
            <div class="heat-maps" role="img" aria-label=said>{maps}</div>
            <figcaption class="figcaption-row"><span class="figure-caption">
                "Loss of every rotation with every shift: darker is higher, × fools the network, the frame is the result. "
                "Within a square shifts go down and to the right."
            </span></figcaption>
        </figure>
    }
    .into_any()
}

fn describe_grid(grid: &Grid) -> String {
    let fooled = grid.reached.iter().filter(|reached| **reached).count();
    let greatest = grid.losses.iter().copied().filter(|loss| loss.is_finite()).fold(0.0, f32::max);
    let chosen = grid.chosen;
    format!(
        "{fooled} of {} rotations and shifts fool the network. The greatest loss is {}. The result is turned by {}° and \
         moved {} pixels down and {} to the right.",
        grid.losses.len(),
        format::number(greatest, 3),
        format::signed(chosen.angle, 2),
        format::signed(chosen.down, 2),
        format::signed(chosen.right, 2)
    )
}

fn heat_maps(grid: &Grid) -> Vec<AnyView> {
    let greatest = grid.losses.iter().copied().filter(|loss| loss.is_finite()).fold(f32::MIN_POSITIVE, f32::max);
    let side = grid.shifts.len();
    let map = |(turn, &angle): (usize, &f32)| {
        let cells = (0..side * side)
            .map(|cell| {
                let index = turn * side * side + cell;
                let (row, column) = (cell / side, cell % side);
                let (down, right) = (grid.shifts[row], grid.shifts[column]);
                let share = (grid.losses[index] / greatest).clamp(0.0, 1.0);
                let chosen = (grid.chosen.angle, grid.chosen.down, grid.chosen.right) == (angle, down, right);
                view! {
                    <rect x=column y=row width="0.95" height="0.95" fill="currentColor" fill-opacity=format!("{share:.2}")
                        class:chosen=chosen />
                    {grid.reached[index].then(|| view! {
                        <text x=column as f32 + 0.475 y=row as f32 + 0.7 class:light=(share > 0.5)>"×"</text>
                    })}
                }
            })
            .collect_view();
        view! {
            <div class="heat-map">
                <svg viewBox=format!("-0.1 -0.1 {0} {0}", side as f32 + 0.15) aria-hidden="true">{cells}</svg>
                <p class="group-name">{format!("{}°", format::signed(angle, 3))}</p>
            </div>
        }
        .into_any()
    };
    grid.angles.iter().enumerate().map(map).collect()
}

/// Rotation and shift at each step of a search by gradient.
fn path(subject: Subject) -> AnyView {
    let lines = told(subject, |story, step| {
        let Story::Path(path) = story else { return None };
        let of = |name: &str, tone, value: fn(&crate::attack::Transform) -> f32| Series {
            name: name.into(),
            tone,
            points: path.iter().enumerate().map(|(step, at)| (step as f64, f64::from(value(at)))).collect(),
            dots: false,
        };
        Some(Lines {
            series: vec![
                of("rotation, degrees", Tone::Danger, |at| at.angle),
                of("shift down, pixels", Tone::Accent, |at| at.down),
                of("shift right, pixels", Tone::Ok, |at| at.right),
            ],
            x: "step".into(),
            y: "degrees, pixels".into(),
            logarithmic: false,
            now: Some(step as f64),
            ..Lines::default()
        })
    });
    view! { <LineChart lines=lines caption=subject.caption("Rotation and shift at each step") name=subject.file("path") /> }
        .into_any()
}

/// Where each pixel is looked up, as arrows.
fn flow(subject: Subject) -> AnyView {
    let field = told(subject, |story, _| match story {
        Story::Flow { field, .. } => Some(field.clone()),
        _ => None,
    });
    let longest = |field: &[f32]| {
        let (down, right) = field.split_at(field.len() / 2);
        down.iter().zip(right).map(|(d, r)| d.hypot(*r)).fold(0.0, f32::max)
    };
    let said = move || {
        field.get().map_or(String::new(), |field| {
            let longest = longest(&field);
            let times = match LONGEST / longest {
                times if times > 1.05 && times.is_finite() => {
                    format!("; drawn {} times as long", format::number(times, 2))
                }
                _ => String::new(),
            };
            format!(
                "The flow: each arrow points to where the pixel’s value comes from. The longest is {} pixels long{times}.",
                format::number(longest, 2)
            )
        })
    };
    let arrows = move || {
        let field = field.get()?;
        let (down, right) = field.split_at(PIXELS.min(field.len()));
        let times = (LONGEST / longest(&field)).max(1.0);
        let arrow = |i: usize| {
            let (dx, dy) = (times * *right.get(i)?, times * *down.get(i)?);
            // What is not a number is not drawn.
            if dx.hypot(dy).is_nan() || dx.hypot(dy) <= 0.1 {
                return None;
            }
            let (x, y) = ((i % SIDE) as f32 + 0.5, (i / SIDE) as f32 + 0.5);
            let (tip_x, tip_y) = (x + dx, y + dy);
            // A head a third as long as the arrow, to either side of its end.
            let (hx, hy) = (0.3 * dx, 0.3 * dy);
            Some(format!(
                "M{x:.2} {y:.2}L{tip_x:.2} {tip_y:.2}M{:.2} {:.2}L{tip_x:.2} {tip_y:.2}L{:.2} {:.2}",
                tip_x - hx - 0.6 * hy,
                tip_y - hy + 0.6 * hx,
                tip_x - hx + 0.6 * hy,
                tip_y - hy - 0.6 * hx
            ))
        };
        Some((0..PIXELS).filter_map(arrow).collect::<String>())
    };
    view! {
        <figure class="figure story">
            <svg class="flow" viewBox="0 0 28 28" role="img" aria-label=said>
                <path d=move || arrows().unwrap_or_default() fill="none" stroke="currentColor" stroke-width="0.1" />
            </svg>
            <figcaption class="figcaption-row"><span class="figure-caption">{said}</span></figcaption>
        </figure>
    }
    .into_any()
}

/// What was reached with how many queries.
fn queries(subject: Subject) -> AnyView {
    let threat = subject.lab.memo(|experiment| experiment.threat);
    let lines = told(subject, move |story, step| {
        let Story::Queries { measure, points, steps } = story else { return None };
        let (name, level) = match measure {
            Measure::Margin => ("margin of the logits".to_string(), (0.0, "the network is fooled above".to_string())),
            Measure::Length => {
                let threat = threat.get();
                (format!("length of δ, {}", threat.norm), (f64::from(threat.epsilon), "ε".to_string()))
            }
        };
        // What was reached holds until something better is found.
        let mut stairs: Vec<(f64, f64)> = Vec::new();
        for &(queries, value) in points {
            if let Some(&(_, before)) = stairs.last() {
                stairs.push((queries.into(), before));
            }
            stairs.push((queries.into(), value.into()));
        }
        Some(Lines {
            series: vec![Series { name: "best so far".into(), tone: Tone::Accent, points: stairs, dots: false }],
            x: "queries to the network".into(),
            y: name,
            logarithmic: false,
            now: steps.get(step).map(|queries| f64::from(*queries)),
            level: Some(level),
            ..Lines::default()
        })
    });
    view! {
        <LineChart lines=lines caption=subject.caption("Progress against queries: all that this attacker can see")
            name=subject.file("queries") />
    }
    .into_any()
}
