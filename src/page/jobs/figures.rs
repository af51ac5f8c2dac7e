//! Figures of answers, drawn by the components that every page uses.

use std::sync::Arc;

use leptos::prelude::*;

use crate::engine::protocol::PlanePart;
use crate::job::report::{Figure, Lines, Map, Matrix};
use crate::page::figure::{self, LineChart, MatrixFigure, PlaneFigure, Series, Tone};

/// A figure of a kind that stays, with numbers that change.
pub fn figure(kind: &'static str, figure: Memo<Option<Figure>>, name: Signal<String>) -> AnyView {
    match kind {
        "lines" => {
            let lines = Memo::new(move |_| match figure.get() {
                Some(Figure::Lines(lines)) => lines,
                _ => Lines::default(),
            });
            let drawn = Signal::derive(move || lines.with(chart));
            let caption = Signal::derive(move || lines.with(|lines| lines.caption.clone()));
            view! { <LineChart lines=drawn caption=caption name=name /> }.into_any()
        }
        "matrix" => {
            let matrix = Memo::new(move |_| match figure.get() {
                Some(Figure::Matrix(matrix)) => matrix,
                _ => Matrix::default(),
            });
            view! { <MatrixFigure matrix=matrix name=name /> }.into_any()
        }
        _ => {
            let map = Memo::new(move |_| match figure.get() {
                Some(Figure::Map(map)) => map,
                _ => Map::default(),
            });
            let part = Signal::derive(move || map.with(|map| Some(Arc::new(plane(map)))));
            // The names of a data set's classes live as long as the page; those of an answer are matched to them.
            let classes = Signal::derive(move || map.with(names));
            let landmarks =
                Signal::derive(move || map.with(|map| others(map).map(|(name, _)| name.clone()).collect::<Vec<_>>()));
            let caption = Signal::derive(move || map.with(|map| map.caption.clone()));
            let step = Signal::derive(|| None);
            view! { <PlaneFigure part=part classes=classes step=step landmarks=landmarks caption=caption name=name /> }
                .into_any()
        }
    }
}

fn chart(lines: &Lines) -> Option<figure::Lines> {
    let series = lines.series.iter().enumerate().map(|(k, series)| Series {
        name: series.name.clone(),
        tone: Tone::Nth(k),
        points: series.points.iter().map(|[x, y]| (f64::from(*x), f64::from(*y))).collect(),
        dots: false,
    });
    let range = |axis: &crate::job::report::Axis| {
        (axis.greatest > axis.least).then(|| [f64::from(axis.least), f64::from(axis.greatest)])
    };
    Some(figure::Lines {
        series: series.collect(),
        x: lines.x.label.clone(),
        y: lines.y.label.clone(),
        x_range: range(&lines.x),
        y_range: range(&lines.y),
        share: lines.y.share,
        ..Default::default()
    })
}

fn names(map: &Map) -> figure::Classes {
    let known = crate::data::Dataset::ALL.into_iter().map(crate::data::Dataset::classes);
    known.into_iter().find(|classes| classes.iter().eq(map.names.iter())).unwrap_or(&[])
}

/// The points but x itself, which is drawn anyway.
fn others(map: &Map) -> impl Iterator<Item = &(String, [f32; 2])> {
    map.points.iter().filter(|(_, at)| *at != [0.0, 0.0])
}

fn plane(map: &Map) -> PlanePart {
    PlanePart {
        side: map.side as u16,
        extent: map.extent,
        classes: map.classes.clone(),
        confidence: map.confidence.clone(),
        ball: map.ball.concat().into(),
        landmarks: others(map).flat_map(|(_, at)| *at).collect::<Vec<f32>>().into(),
        finest: true,
        ..PlanePart::default()
    }
}
