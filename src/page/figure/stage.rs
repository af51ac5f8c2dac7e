//! When drawings are drawn: at most once per frame, only what has changed; pictures only while they are on screen.
//!
//! A [`Stage`] is one canvas with its paint function. Its size comes from a `ResizeObserver`, whether it is on screen
//! from an `IntersectionObserver`; no drawing ever asks the page for its layout.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// The size of a canvas on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    /// In CSS pixels.
    pub width: f64,
    /// In CSS pixels.
    pub height: f64,
    /// Device pixels per CSS pixel.
    pub ratio: f64,
}

type Paint = Box<dyn Fn(&HtmlCanvasElement, Size)>;

struct Inner {
    paint: Paint,
    /// Whether painting changes the page instead of drawing on the canvas.
    writes: bool,
    canvas: RefCell<Option<HtmlCanvasElement>>,
    size: Cell<Size>,
    on_screen: Cell<bool>,
    /// Something changed since the last painting.
    stale: Cell<bool>,
    /// The queue of the next frame holds it.
    queued: Cell<bool>,
    watch: RefCell<Option<Watch>>,
}

/// A canvas and how it is painted. Goes away with the component that made it.
#[derive(Clone, Copy)]
pub struct Stage(StoredValue<Rc<Inner>, LocalStorage>);

impl Stage {
    /// A stage for the canvas at `node`, painted when it appears, when its size changes, and on [`Stage::request`].
    pub fn new(node: NodeRef<Canvas>, paint: impl Fn(&HtmlCanvasElement, Size) + 'static) -> Self {
        Self::start(node, Box::new(paint), false)
    }

    /// A stage whose `write` changes elements of the page around the canvas. It comes after all drawings of a frame:
    /// text on a canvas needs the page's styles, and they need not be computed twice.
    pub fn writing(node: NodeRef<Canvas>, write: impl Fn() + 'static) -> Self {
        Self::start(node, Box::new(move |_, _| write()), true)
    }

    fn start(node: NodeRef<Canvas>, paint: Paint, writes: bool) -> Self {
        let inner = Rc::new(Inner {
            paint,
            writes,
            canvas: RefCell::new(None),
            size: Cell::new(Size::default()),
            on_screen: Cell::new(true),
            stale: Cell::new(true),
            queued: Cell::new(false),
            watch: RefCell::new(None),
        });
        let stage = Self(StoredValue::new_local(inner));
        Effect::new(move || {
            if let Some(canvas) = node.get()
                && let Some(inner) = stage.0.try_get_value()
            {
                inner.watch.replace(Watch::start(&canvas, Rc::downgrade(&inner)));
                inner.canvas.replace(Some(canvas));
                request(&inner);
            }
        });
        stage
    }

    /// Asks for a painting in the next frame in which the canvas is on screen.
    pub fn request(self) {
        if let Some(inner) = self.0.try_get_value() {
            request(&inner);
        }
    }
}

/// The observers of one canvas.
struct Watch {
    resize: web_sys::ResizeObserver,
    intersection: web_sys::IntersectionObserver,
    _resized: Closure<dyn FnMut(js_sys::Array)>,
    _seen: Closure<dyn FnMut(js_sys::Array)>,
}

impl Watch {
    fn start(canvas: &HtmlCanvasElement, inner: Weak<Inner>) -> Option<Self> {
        let weak = inner.clone();
        let resized = Closure::<dyn FnMut(js_sys::Array)>::new(move |entries: js_sys::Array| {
            let Some(inner) = weak.upgrade() else { return };
            let Ok(entry) = entries.pop().dyn_into::<web_sys::ResizeObserverEntry>() else { return };
            let rect = entry.content_rect();
            let ratio = web_sys::window().map_or(1.0, |window| window.device_pixel_ratio());
            let size = Size { width: rect.width(), height: rect.height(), ratio };
            if inner.size.replace(size) != size {
                request(&inner);
            }
        });
        let seen = Closure::<dyn FnMut(js_sys::Array)>::new(move |entries: js_sys::Array| {
            let Some(inner) = inner.upgrade() else { return };
            let Ok(entry) = entries.pop().dyn_into::<web_sys::IntersectionObserverEntry>() else { return };
            inner.on_screen.set(entry.is_intersecting());
            if entry.is_intersecting() && inner.stale.get() {
                request(&inner);
            }
        });
        let resize = web_sys::ResizeObserver::new(resized.as_ref().unchecked_ref()).ok()?;
        resize.observe(canvas);
        let options = web_sys::IntersectionObserverInit::new();
        // Painted a little before it is scrolled into view.
        options.set_root_margin("160px");
        let intersection =
            web_sys::IntersectionObserver::new_with_options(seen.as_ref().unchecked_ref(), &options).ok()?;
        intersection.observe(canvas);
        Some(Self { resize, intersection, _resized: resized, _seen: seen })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.resize.disconnect();
        self.intersection.disconnect();
    }
}

thread_local! {
    static QUEUE: RefCell<Vec<Weak<Inner>>> = const { RefCell::new(Vec::new()) };
    static FRAME: RefCell<Option<Closure<dyn FnMut()>>> = const { RefCell::new(None) };
}

fn request(inner: &Rc<Inner>) {
    inner.stale.set(true);
    // What is written is read aloud, too, wherever the page is scrolled to.
    if inner.queued.get() || !(inner.on_screen.get() || inner.writes) {
        return;
    }
    inner.queued.set(true);
    let first = QUEUE.with_borrow_mut(|queue| {
        queue.push(Rc::downgrade(inner));
        queue.len() == 1
    });
    if first {
        FRAME.with_borrow_mut(|frame| {
            let frame = frame.get_or_insert_with(|| Closure::new(paint_all));
            if let Some(window) = web_sys::window() {
                let _ = window.request_animation_frame(frame.as_ref().unchecked_ref());
            }
        });
    }
}

fn paint_all() {
    let (writing, drawing): (Vec<_>, Vec<_>) =
        QUEUE.take().into_iter().filter_map(|inner| inner.upgrade()).partition(|inner| inner.writes);
    for inner in drawing.into_iter().chain(writing) {
        inner.queued.set(false);
        // A canvas whose size is not known yet is painted when its observer has told it.
        if inner.size.get().width > 0.0
            && let Some(canvas) = inner.canvas.borrow().as_ref()
        {
            inner.stale.set(false);
            (inner.paint)(canvas, inner.size.get());
        }
    }
}

/// The context of a canvas.
pub fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}

/// Clears a canvas, gives it one pixel per device pixel, and measures in CSS pixels from here on.
pub fn prepare(canvas: &HtmlCanvasElement, size: Size) -> Option<CanvasRenderingContext2d> {
    let context = context(canvas)?;
    let width = (size.width * size.ratio).round().max(1.0) as u32;
    let height = (size.height * size.ratio).round().max(1.0) as u32;
    // Setting a size, even the same, throws away the canvas's memory.
    if (canvas.width(), canvas.height()) != (width, height) {
        canvas.set_width(width);
        canvas.set_height(height);
    }
    let _ = context.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);
    context.clear_rect(0.0, 0.0, f64::from(width), f64::from(height));
    let _ = context.scale(size.ratio, size.ratio);
    Some(context)
}

/// Puts RGBA pixels on a canvas of exactly that many pixels; the style sheet scales it.
pub fn put_pixels(canvas: &HtmlCanvasElement, rgba: &[u8], width: u32, height: u32) {
    if (canvas.width(), canvas.height()) != (width, height) {
        canvas.set_width(width);
        canvas.set_height(height);
    }
    if let Some(context) = context(canvas)
        && let Ok(image) =
            web_sys::ImageData::new_with_u8_clamped_array_and_sh(wasm_bindgen::Clamped(rgba), width, height)
    {
        let _ = context.put_image_data(&image, 0.0, 0.0);
    }
}

/// A canvas that is not on the page.
pub fn new_canvas() -> Option<HtmlCanvasElement> {
    web_sys::window()?.document()?.create_element("canvas").ok()?.dyn_into().ok()
}

/// A text that follows what it describes at its leisure: at most twice a second, never while painting.
///
/// `track` reads the signals it depends on; `describe` makes the text.
pub fn calm(track: impl Fn() + 'static, describe: impl Fn() -> String + 'static) -> ReadSignal<String> {
    let (text, set_text) = signal(String::new());
    let describe = StoredValue::new_local(describe);
    let waiting = StoredValue::new(false);
    Effect::new(move |first: Option<()>| {
        track();
        if first.is_none() {
            // The first text stands at once.
            if let Some(new) = describe.try_with_value(|describe| untrack(describe)) {
                set_text.set(new);
            }
            return;
        }
        if waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        set_timeout(
            move || {
                let _ = waiting.try_update_value(|waiting| *waiting = false);
                if let Some(new) = describe.try_with_value(|describe| untrack(describe))
                    && text.try_with_untracked(|old| *old != new) == Some(true)
                {
                    set_text.set(new);
                }
            },
            std::time::Duration::from_millis(500),
        );
    });
    text
}
