//! Figures, drawn in a real browser from data made for the purpose, and looked at pixel by pixel.
#![cfg(target_arch = "wasm32")]

use std::sync::Arc;

use epsilon_lab::data::{Dataset, PIXELS};
use epsilon_lab::engine::protocol::{AttackPart, CurvePart, PlanePart};
use epsilon_lab::page::figure::palette::{self, CLASSES, Regions, Rgb};
use epsilon_lab::page::figure::*;
use epsilon_lab::threat::{Norm, Norms};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement};

wasm_bindgen_test_configure!(run_in_browser);

const SIZE: Size = Size { width: 520.0, height: 340.0, ratio: 1.0 };

fn document() -> web_sys::Document {
    web_sys::window().unwrap().document().unwrap()
}

fn canvas() -> HtmlCanvasElement {
    document().create_element("canvas").unwrap().unchecked_into()
}

/// The colour and opacity of one pixel of a canvas.
fn pixel(canvas: &HtmlCanvasElement, x: f64, y: f64) -> (Rgb, u8) {
    let context: CanvasRenderingContext2d = canvas.get_context("2d").unwrap().unwrap().unchecked_into();
    let data = context.get_image_data(x.floor(), y.floor(), 1.0, 1.0).unwrap().data();
    (Rgb(data[0], data[1], data[2]), data[3])
}

/// Whether a colour is found within `reach` pixels of a point.
fn found(canvas: &HtmlCanvasElement, (x, y): (f64, f64), reach: i32, wanted: Rgb) -> bool {
    let close = |a: u8, b: u8| a.abs_diff(b) < 12;
    (-reach..=reach).any(|dy| {
        (-reach..=reach).any(|dx| {
            let (Rgb(r, g, b), opacity) = pixel(canvas, x + f64::from(dx), y + f64::from(dy));
            opacity > 100 && close(r, wanted.0) && close(g, wanted.1) && close(b, wanted.2)
        })
    })
}

/// Waits until the page has drawn so many frames.
async fn frames(count: u32) {
    for _ in 0..count {
        let frame = js_sys::Promise::new(&mut |resolve, _| {
            web_sys::window().unwrap().request_animation_frame(&resolve).unwrap();
        });
        JsFuture::from(frame).await.unwrap();
    }
}

/// An element of the page for a component to stand in.
fn place() -> HtmlElement {
    let place: HtmlElement = document().create_element("div").unwrap().unchecked_into();
    place.style().set_property("width", "500px").unwrap();
    document().body().unwrap().append_child(&place).unwrap();
    place
}

fn find<T: JsCast>(place: &HtmlElement, selector: &str) -> T {
    place.query_selector(selector).unwrap().unwrap_or_else(|| panic!("no {selector}")).unchecked_into()
}

fn classes() -> Classes {
    Dataset::Fashion.classes()
}

/// A curve on which class 0 falls evenly from 1 to 0 and class 4 rises.
fn curve() -> CurvePart {
    let epsilon: Vec<f32> = (0..=40).map(|i| i as f32 / 100.0).collect();
    let row = |e: &f32| {
        let mut row = [0.0; 10];
        (row[0], row[4]) = (1.0 - e / 0.4, e / 0.4);
        row
    };
    let probabilities: Vec<f32> = epsilon.iter().flat_map(row).collect();
    CurvePart { epsilon: epsilon.into(), probabilities: probabilities.into(), smallest: Some(0.2), along: false }
}

/// An attack of 10 steps from class 0 to class 4.
fn attack() -> AttackPart {
    let row = |step: usize| {
        let mut row = [0.0; 10];
        (row[0], row[4]) = (1.0 - step as f32 / 10.0, step as f32 / 10.0);
        row
    };
    AttackPart {
        label: 0,
        losses: (0..=10).map(|step| step as f32).collect::<Vec<_>>().into(),
        step_probabilities: (0..=10).flat_map(row).collect::<Vec<_>>().into(),
        step_norms: vec![Norms::default(); 11],
        best_step: 10,
        ..Default::default()
    }
}

/// A plane from −2 to 2 with class 0 on its left half and class 4 on its right, and a ball of radius 1.
fn plane(side: usize) -> PlanePart {
    let ball = (0..360).flat_map(|degree| {
        let angle = (degree as f32).to_radians();
        [angle.cos(), angle.sin()]
    });
    PlanePart {
        side: side as u16,
        extent: [-2.0, 2.0, -2.0, 2.0],
        classes: (0..side * side).map(|i| if i % side < side / 2 { 0 } else { 4 }).collect(),
        confidence: vec![255; side * side],
        ball: ball.collect::<Vec<_>>().into(),
        path: vec![0.0, 0.0, 0.5, 0.5, 1.0, 0.0].into(),
        off_plane: vec![0.0; 3].into(),
        landmarks: Vec::new().into(),
        finest: true,
        lines: Vec::new().into(),
        line_classes: Vec::new(),
    }
}

fn plane_drawing(side: usize) -> PlaneDrawing {
    PlaneDrawing {
        part: Arc::new(plane(side)),
        classes: classes(),
        step: None,
        landmarks: Vec::new(),
        axes: ["across".into(), "upwards".into()],
    }
}

#[wasm_bindgen_test]
fn a_grey_picture_has_its_values_as_pixels() {
    let canvas = canvas();
    let mut values = vec![0.0; PIXELS];
    (values[0], values[1], values[28 * 27 + 27]) = (1.0, 0.5, f32::NAN);
    draw_grey(&canvas, &values);
    assert_eq!((canvas.width(), canvas.height()), (28, 28));
    assert_eq!(pixel(&canvas, 0.0, 0.0), (Rgb(255, 255, 255), 255));
    assert_eq!(pixel(&canvas, 1.0, 0.0), (Rgb(128, 128, 128), 255));
    assert_eq!(pixel(&canvas, 2.0, 0.0), (Rgb(0, 0, 0), 255));
    assert_eq!(pixel(&canvas, 27.0, 27.0).1, 0, "what is not a number is not drawn");
}

#[wasm_bindgen_test]
fn a_signed_picture_is_white_at_zero_and_keeps_its_scale() {
    let canvas = canvas();
    let mut values = vec![0.0; PIXELS];
    (values[1], values[2], values[3], values[4]) = (-0.2, 0.2, 0.1, f32::INFINITY);
    draw_signed(&canvas, &values, 0.2);
    assert_eq!(pixel(&canvas, 0.0, 0.0).0, Rgb(255, 255, 255));
    let (Rgb(r, _, b), _) = pixel(&canvas, 1.0, 0.0);
    assert!(b > 2 * r, "negative is blue");
    let (Rgb(r, _, b), _) = pixel(&canvas, 2.0, 0.0);
    assert!(r > 2 * b, "positive is orange-red");
    assert_eq!(pixel(&canvas, 3.0, 0.0).0, palette::diverging(0.5));
    assert_eq!(pixel(&canvas, 4.0, 0.0).1, 0, "what is not finite is not drawn");
    draw_signed(&canvas, &[0.0; PIXELS], 0.0);
    assert_eq!(pixel(&canvas, 9.0, 9.0), (Rgb(255, 255, 255), 255), "nothing is white on any scale");
}

#[wasm_bindgen_test]
fn curves_pass_through_their_values() {
    let canvas = canvas();
    let theme = Theme::default();
    let data =
        CurveDrawing { part: Arc::new(curve()), classes: classes(), norm: Norm::Linf, epsilon: 0.1, cursor: None };
    let mapping = draw_curve(&canvas, SIZE, &theme, &data).unwrap();
    for epsilon in [0.04, 0.3, 0.36] {
        let at = |value: f64| (mapping.across(epsilon), mapping.down(value));
        assert!(found(&canvas, at(1.0 - epsilon / 0.4), 1, theme.class(0)), "class 0 at {epsilon}");
        assert!(found(&canvas, at(epsilon / 0.4), 1, theme.class(4)), "class 4 at {epsilon}");
    }
    assert!(found(&canvas, (mapping.across(0.1), mapping.down(0.5)), 1, theme.accent), "the present ε");
    let dashes =
        (0..20).any(|i| found(&canvas, (mapping.across(0.2), mapping.down(0.6) + f64::from(i)), 1, theme.danger));
    assert!(dashes, "the smallest ε that succeeds");
}

#[wasm_bindgen_test]
fn a_trace_passes_through_its_values_and_marks_the_step() {
    let canvas = canvas();
    let theme = Theme::default();
    let data = TraceDrawing { part: Arc::new(attack()), classes: classes(), step: 4 };
    let mapping = draw_trace(&canvas, SIZE, &theme, &data).unwrap();
    let at = |step: f64, value: f64| (mapping.across(step), mapping.down(value));
    assert!(found(&canvas, at(2.0, 0.8), 1, theme.class(0)));
    assert!(found(&canvas, at(8.0, 0.8), 1, theme.class(4)));
    assert!(found(&canvas, at(4.0, 0.9), 1, theme.accent), "the step on screen");
}

#[wasm_bindgen_test]
fn a_plane_shows_regions_and_the_ball_where_they_are() {
    let theme = Theme::default();
    let colours = Regions::new(theme.paper, theme.dark);
    let colour = |class: u8| {
        let [r, g, b, _] = colours.colour(class, 255);
        Rgb(r, g, b)
    };
    for side in [16, 96] {
        let canvas = canvas();
        let size = Size { width: 400.0, height: 400.0, ratio: 1.0 };
        let mapping = PlanePainter::default().draw(&canvas, size, &theme, &plane_drawing(side)).unwrap();
        let at = |a: f64, b: f64| (mapping.across(a), mapping.down(b));
        assert!(found(&canvas, at(-1.7, 1.7), 0, colour(0)), "class 0 on the left at {side}");
        assert!(found(&canvas, at(1.7, -1.7), 0, colour(4)), "class 4 on the right at {side}");
        let (x, y) = at(0.0, 1.7);
        let darkest = (-2..=2).map(|dx| pixel(&canvas, x + f64::from(dx), y).0.luminance()).fold(1.0, f32::min);
        let regions = colour(0).luminance().min(colour(4).luminance());
        assert!(darkest < 0.6 * regions, "a line parts the regions at x = 0: {darkest} against {regions}");
        for (a, b) in [(-0.707, 0.707), (0.707, -0.707), (-1.0, 0.0)] {
            let (x, y) = at(a, b);
            let around =
                (0..25).map(|i| pixel(&canvas, x + f64::from(i % 5 - 2), y + f64::from(i / 5 - 2)).0.luminance());
            assert!(around.fold(1.0, f32::min) < 0.04, "the ball's outline at {a}, {b}");
        }
    }
}

#[wasm_bindgen_test]
fn parts_that_do_not_fit_are_not_drawn() {
    let theme = Theme::default();
    let mut broken = plane_drawing(8);
    Arc::make_mut(&mut broken.part).classes.pop();
    assert!(PlanePainter::default().draw(&canvas(), SIZE, &theme, &broken).is_none());
    let empty = CurveDrawing { part: Arc::default(), classes: classes(), norm: Norm::L2, epsilon: 1.0, cursor: None };
    assert!(draw_curve(&canvas(), SIZE, &theme, &empty).is_none());
    let nothing = TraceDrawing { part: Arc::default(), classes: classes(), step: 0 };
    assert!(draw_trace(&canvas(), Size { width: 9.0, ..SIZE }, &theme, &nothing).is_none());
}

#[wasm_bindgen_test]
fn colour_blind_eyes_tell_the_classes_apart() {
    // Machado, Oliveira and Fernandes (2009), full severity, in linear light.
    let sights: [[[f32; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.152_286, 1.052_583, -0.204_868], [0.114_503, 0.786_281, 0.099_216], [-0.003_882, -0.048_116, 1.051_998]],
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_82, 0.042_94, 0.968_881]],
        [[1.255_528, -0.076_749, -0.178_779], [-0.078_411, 0.930_809, 0.147_602], [0.004_733, 0.691_367, 0.3039]],
    ];
    for dark in [false, true] {
        for sight in sights {
            let seen = |class: usize| {
                let light = palette::class(class, dark).linear();
                let row = |row: [f32; 3]| row[0] * light[0] + row[1] * light[1] + row[2] * light[2];
                Rgb::from_linear(sight.map(row)).oklab()
            };
            for one in 0..CLASSES {
                for other in 0..one {
                    let (a, b) = (seen(one), seen(other));
                    let distance = (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>().sqrt();
                    assert!(distance > 0.09, "classes {one} and {other} are {distance} apart (dark: {dark})");
                }
            }
        }
    }
}

#[wasm_bindgen_test]
fn the_diverging_scale_is_even() {
    let lightness = |value: f32| palette::diverging(value).oklab()[0];
    for i in 1..=8 {
        let value = i as f32 / 8.0;
        assert!((lightness(value) - lightness(-value)).abs() < 0.02, "both ends are equally dark");
        let step = lightness(value - 0.125) - lightness(value);
        assert!((0.05..0.09).contains(&step), "steps are even: {step}");
    }
}

#[wasm_bindgen_test]
fn numbers_are_written_as_a_reader_expects() {
    assert_eq!(format::epsilon(0.1), "0.1");
    assert_eq!(format::epsilon_in_units(0.1, Norm::Linf), "0.1 (25.5/255)");
    assert_eq!(format::epsilon_in_units(1.5, Norm::L2), "1.5");
    assert_eq!(format::percent(0.9213), "92.1\u{a0}%");
    assert_eq!(format::percent(0.0), "0.0\u{a0}%");
    assert_eq!(format::percent(1e-5), "<0.1\u{a0}%");
    assert_eq!(format::percent(0.99996), ">99.9\u{a0}%");
    assert_eq!(format::percent(1.0), "100.0\u{a0}%");
    assert_eq!(format::percent(f32::NAN), "–");
    assert_eq!(format::number(1234.0, 2), "1234");
    assert_eq!(format::number(-0.034_56, 3), "\u{2212}0.0346");
    assert_eq!(format::number(2.5e-7, 2), "2.5\u{a0}·\u{a0}10⁻⁷");
    assert_eq!(format::signed(0.1, 2), "+0.1");
    assert_eq!(format::fixed(-0.001, 2), "0.00");
    assert_eq!(format::milliseconds(0.84), "0.8\u{a0}ms");
    assert_eq!(format::milliseconds(1440.0), "1.4\u{a0}s");
}

#[wasm_bindgen_test]
async fn a_component_draws_and_follows_its_signal() {
    let place = place();
    let pixels = RwSignal::new(None::<Pixels>);
    let mounted = leptos::mount::mount_to(place.clone(), move || {
        view! { <Picture pixels=pixels caption="x, the picture" name="x" label="Shirt" /> }
    });
    frames(3).await;
    let canvas: HtmlCanvasElement = find(&place, "canvas.pixels");
    assert_eq!(pixel(&canvas, 3.0, 3.0).1, 0, "nothing yet");
    pixels.set(Some(vec![1.0; PIXELS].into()));
    frames(3).await;
    assert_eq!(pixel(&canvas, 3.0, 3.0), (Rgb(255, 255, 255), 255));
    assert!(canvas.get_attribute("aria-label").unwrap().starts_with("x, the picture: Shirt"));
    drop(mounted);
    place.remove();
}

#[wasm_bindgen_test]
async fn what_is_not_on_screen_is_drawn_when_it_comes_into_view() {
    let place = place();
    place.style().set_property("margin-top", "6000px").unwrap();
    let pixels: Pixels = vec![1.0; PIXELS].into();
    let pixels = RwSignal::new(Some(pixels));
    let mounted = leptos::mount::mount_to(place.clone(), move || {
        view! { <Picture pixels=pixels caption="x" name="x" /> }
    });
    frames(5).await;
    pixels.set(Some(vec![0.5; PIXELS].into()));
    frames(5).await;
    let canvas: HtmlCanvasElement = find(&place, "canvas.pixels");
    assert_ne!(pixel(&canvas, 3.0, 3.0).0, Rgb(128, 128, 128), "it is out of sight");
    place.scroll_into_view();
    frames(10).await;
    assert_eq!(pixel(&canvas, 3.0, 3.0).0, Rgb(128, 128, 128));
    drop(mounted);
    place.remove();
}

#[wasm_bindgen_test]
async fn bars_are_a_table_that_says_and_shows_the_probabilities() {
    let place = place();
    let mut values = vec![0.0_f32; 10];
    (values[6], values[2]) = (0.75, 0.25);
    let after = RwSignal::new(None::<Probabilities>);
    let before: Probabilities = values.into();
    let mounted = leptos::mount::mount_to(place.clone(), move || {
        view! {
            <ClassBars classes=Signal::derive(classes) before=Signal::stored(Some(before.clone())) after=after
                truth=Signal::stored(Some(6)) target=Signal::stored(Some(2)) caption="Class probabilities" name="p" />
        }
    });
    after.set(Some(vec![0.1; 10].into()));
    frames(4).await;
    let row: HtmlElement = find(&place, "tbody tr:nth-child(7)");
    assert_eq!(row.text_content().unwrap(), "□Shirttrue75.0\u{a0}%10.0\u{a0}%");
    let bar: HtmlElement = find(&row, ".bar.before");
    assert_eq!(bar.style().get_property_value("transform").unwrap(), "scaleX(0.75)");
    let target: HtmlElement = find(&place, "tbody tr:nth-child(3) .class-mark");
    assert_eq!(target.text_content().unwrap(), "target");
    drop(mounted);
    place.remove();
}

#[wasm_bindgen_test]
async fn keys_choose_a_step_on_the_trace() {
    let place = place();
    let step = RwSignal::new(Some(3_u32));
    let part = Arc::new(attack());
    let mounted = leptos::mount::mount_to(place.clone(), move || {
        view! {
            <TraceChart part=Signal::stored(Some(part.clone())) classes=Signal::derive(classes) step=step
                on_pick=Callback::new(move |chosen| step.set(Some(chosen))) caption="Steps" name="steps" />
        }
    });
    frames(2).await;
    let slider: HtmlElement = find(&place, "[role=slider]");
    let press = |key: &str| {
        let options = web_sys::KeyboardEventInit::new();
        options.set_key(key);
        options.set_bubbles(true);
        let event = web_sys::KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &options).unwrap();
        slider.dispatch_event(&event).unwrap();
    };
    press("ArrowRight");
    assert_eq!(step.get_untracked(), Some(4));
    frames(1).await;
    press("Home");
    assert_eq!(step.get_untracked(), Some(0));
    frames(1).await;
    press("End");
    assert_eq!(step.get_untracked(), Some(10));
    frames(2).await;
    let said = slider.get_attribute("aria-valuetext").unwrap();
    assert_eq!(said, "step 10 of 10, the result: loss 10, T-shirt 0.0\u{a0}%, Coat 100.0\u{a0}%");
    drop(mounted);
    place.remove();
}

#[wasm_bindgen_test]
async fn drawings_follow_the_style_sheet() {
    let root: HtmlElement = document().document_element().unwrap().unchecked_into();
    let theme = theme();
    root.style().set_property("--paper", "#101214").unwrap();
    root.set_attribute("data-theme", "dark").unwrap();
    frames(2).await;
    assert_eq!(theme.get_untracked().paper, Rgb(0x10, 0x12, 0x14));
    assert!(theme.get_untracked().dark);
    let published = root.style().get_property_value("--class-0").unwrap();
    assert_eq!(published, palette::class(0, true).css());
    root.style().remove_property("--paper").unwrap();
    root.set_attribute("data-theme", "projector").unwrap();
    frames(2).await;
    assert!(theme.get_untracked().projector && !theme.get_untracked().dark);
    root.remove_attribute("data-theme").unwrap();
}
