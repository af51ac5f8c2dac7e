//! The worker's loop: the newest experiment wins, work on an older one is dropped between two pieces.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Blob, DedicatedWorkerGlobalScope, ImageBitmap, ImageData, MessageEvent, OffscreenCanvas,
    OffscreenCanvasRenderingContext2d, Response,
};

use super::chunk::{Lack, Shelf};
use super::crew::Crew;
use super::explore::{self, Host, Materials};
use super::grid::{Band, Section};
use super::protocol::{self, Part, Reply, Request};
use super::study::{self, Lane, Network, Study};
use super::turn::breathe;
use crate::asset;
use crate::data::prepare::{self, Prepared};
use crate::data::{self, Dataset, PIXELS, SHEET, sheet};
use crate::experiment::{Experiment, OWN_ID, Picture, PlaneAxes};
use crate::explain::Sampled;
use crate::job::compute::Asked;
use crate::job::{Computed, Limits};
use crate::nn::{Arithmetic, Executor, Weights, zoo};

/// Side that a larger picture is scaled down to before it is prepared.
const LARGEST_SIDE: u32 = 512;

/// The plane of a model of this name.
type Named = (String, Section);

/// A study that waits.
type Waiting = (u32, Box<Experiment>, Box<Study>);

/// What is waiting to be done, and what has been loaded.
#[derive(Default)]
struct Desk {
    explore: Option<(u32, Box<Experiment>)>,
    chunks: VecDeque<(u32, Asked)>,
    prepare: VecDeque<(u32, Dataset, JsValue)>,
    planes: Option<(u32, Dataset, Vec<Named>)>,
    bands: VecDeque<(u32, Band)>,
    /// For each lane, the study that is wanted, and what of it has not been taken up.
    wanted: [Option<u32>; Lane::ALL.len()],
    studies: [Option<Waiting>; Lane::ALL.len()],
    busy: bool,
    models: HashMap<(Dataset, String), Loaded>,
    sheets: HashMap<(Dataset, usize), Rc<Vec<u8>>>,
    /// How many helpers this engine may have, and those it has.
    helpers: usize,
    crew: Option<Rc<Crew>>,
    /// Cards of models that were trained, for helpers that are still to be started.
    cards: Vec<String>,
    /// What this engine helps another with.
    site: Option<Site>,
}

/// A model, and the same for planes: with the fastest arithmetic, for nothing goes on from what it says there.
#[derive(Clone)]
struct Loaded {
    network: Network,
    for_planes: Executor,
}

/// Planes that bands are sampled of.
struct Site {
    id: u32,
    slots: Vec<(Executor, Section)>,
}

type Shared = Rc<RefCell<Desk>>;

/// Listens for requests until the page ends the worker.
pub fn start() {
    console_error_panic_hook::set_once();
    let desk = Shared::default();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event| receive(&desk, &event));
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    say(&Reply::Ready { arithmetic: Arithmetic::fastest() });
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn say(reply: &Reply) {
    let buffer = Uint8Array::from(protocol::encode(reply).as_slice()).buffer();
    // Posting fails only for what cannot be transferred; a fresh buffer can.
    let _ = scope().post_message_with_transfer(&buffer, &js_sys::Array::of1(&buffer));
}

fn receive(desk: &Shared, event: &MessageEvent) {
    let envelope: js_sys::Array = event.data().unchecked_into();
    let bytes = Uint8Array::new(&envelope.get(0)).to_vec();
    let request = match protocol::decode(&bytes) {
        Ok(request) => request,
        Err(_) => {
            let message = "page and engine are of different versions: reload the page".into();
            return say(&Reply::Failed { id: 0, message });
        }
    };
    let mut waiting = desk.borrow_mut();
    match request {
        Request::Explore { id, experiment } => waiting.explore = Some((id, experiment)),
        Request::Models { cards } => {
            // A card that makes no sense is no model; whoever asks for it is told so.
            for card in serde_json::from_str::<Vec<zoo::ModelCard>>(&cards).unwrap_or_default() {
                let _ = zoo::add(card);
            }
            if let Some(crew) = &waiting.crew {
                crew.tell(&Request::Models { cards: cards.clone() });
            }
            waiting.cards.push(cards);
        }
        Request::Chunk { id, kind, question, chunk, carried } => {
            waiting.chunks.push_back((id, Asked { kind, question, chunk, carried }));
        }
        Request::Study { id, experiment, study } => {
            let lane = study.lane() as usize;
            waiting.wanted[lane] = Some(id);
            waiting.studies[lane] = Some((id, experiment, study));
        }
        Request::Stop { lane } => {
            waiting.wanted[lane as usize] = None;
            waiting.studies[lane as usize] = None;
        }
        Request::Prepare { id, dataset } => waiting.prepare.push_back((id, dataset, envelope.get(1))),
        Request::Helpers { count } => waiting.helpers = count.into(),
        Request::Planes { id, dataset, planes } => {
            waiting.bands.clear();
            waiting.planes = Some((id, dataset, planes));
        }
        Request::Sample { id, band } => waiting.bands.push_back((id, band)),
    }
    if !waiting.busy {
        waiting.busy = true;
        spawn_local(work(desk.clone()));
    }
}

async fn work(desk: Shared) {
    while errand(&desk).await || short(&desk).await || computed(&desk).await || studied(&desk, Lane::Long).await {}
    desk.borrow_mut().busy = false;
}

/// Does the most urgent of what is short or live; says whether there was anything.
async fn errand(desk: &Shared) -> bool {
    // A picture of one's own is waited for by a person, and short.
    let prepare = desk.borrow_mut().prepare.pop_front();
    if let Some((id, dataset, source)) = prepare {
        say(&match prepared(dataset, source).await {
            Ok(Prepared { pixels, remarks }) => Reply::Prepared { id, pixels, remarks },
            Err(message) => Reply::Failed { id, message },
        });
        return true;
    }
    let planes = desk.borrow_mut().planes.take();
    if let Some((id, dataset, planes)) = planes {
        match site(desk, id, dataset, planes).await {
            Ok(site) => desk.borrow_mut().site = Some(site),
            Err(message) => say(&Reply::Failed { id, message }),
        }
        return true;
    }
    let band = desk.borrow_mut().bands.pop_front();
    if let Some((id, band)) = band {
        if let Some(sampled) = sampled(desk, id, band) {
            say(&Reply::Sampled { id, band, sampled });
            breathe().await;
        }
        return true;
    }
    let explore = desk.borrow_mut().explore.take();
    if let Some((id, experiment)) = explore {
        if let Err(message) = explored(desk, id, &experiment).await {
            say(&Reply::Failed { id, message });
        }
        return true;
    }
    false
}

/// Computes a chunk of a job, if one waits; says whether one did.
async fn computed(desk: &Shared) -> bool {
    let waiting = desk.borrow_mut().chunks.pop_front();
    let Some((id, asked)) = waiting else { return false };
    say(&match chunk(desk, &asked).await {
        Ok(Computed { part, carry }) => Reply::Computed { id, part, carry },
        Err(message) => Reply::Failed { id, message },
    });
    true
}

/// Computes a chunk; what it lacks is loaded, and then it is computed again.
async fn chunk(desk: &Shared, asked: &Asked) -> Result<Computed<Vec<u8>>, String> {
    loop {
        let (answer, lacks) = {
            let desk = desk.borrow();
            let shelf = Shelf::new(
                |dataset, name| desk.models.get(&(dataset, name.into())).map(|loaded| loaded.network.executor.clone()),
                |dataset, k| desk.sheets.get(&(dataset, k)).cloned(),
            );
            let answer = asked.compute(&Limits::PAGE, &shelf);
            (answer, shelf.lacks())
        };
        if lacks.is_empty() {
            return answer;
        }
        for lack in lacks {
            match lack {
                Lack::Model(dataset, name) => drop(network(desk, dataset, &name).await?),
                Lack::Sheet(dataset, k) => drop(pictures(desk, dataset, k).await?),
            }
        }
    }
}

/// Does a short study, if one waits.
async fn short(desk: &Shared) -> bool {
    studied(desk, Lane::Live).await || studied(desk, Lane::Aside).await
}

/// Does the study that waits in a lane; says whether there was one.
async fn studied(desk: &Shared, lane: Lane) -> bool {
    let waiting = desk.borrow_mut().studies[lane as usize].take();
    let Some((id, experiment, study)) = waiting else { return false };
    let started = now();
    let mut desktop = Desktop { desk: desk.clone(), id, lane, dataset: experiment.dataset };
    let outcome = match experiment.validate() {
        Ok(()) => study::run(&study, &experiment, &mut desktop).await,
        Err(invalid) => Err(invalid.to_string()),
    };
    match outcome {
        Ok(true) => say(&Reply::Done { id, milliseconds: (now() - started) as f32 }),
        // Nobody waits for it any more.
        Ok(false) => {}
        Err(message) => say(&Reply::Failed { id, message }),
    }
    true
}

/// The browser as the host of a study.
struct Desktop {
    desk: Shared,
    id: u32,
    lane: Lane,
    dataset: Dataset,
}

impl study::Host for Desktop {
    fn say(&mut self, part: study::Part) {
        say(&Reply::Studied { id: self.id, part: Box::new(part) });
    }

    fn now(&self) -> f64 {
        now()
    }

    async fn go_on(&mut self) -> bool {
        breathe().await;
        while errand(&self.desk).await || (self.lane == Lane::Long && meanwhile(self.desk.clone()).await) {}
        self.desk.borrow().wanted[self.lane as usize] == Some(self.id)
    }

    async fn model(&mut self, name: &str) -> Result<Network, String> {
        network(&self.desk, self.dataset, name).await
    }

    async fn picture(&mut self, index: u32) -> Result<Vec<f32>, String> {
        picture(&self.desk, self.dataset, index).await
    }
}

/// A short study in the middle of a long one. Boxed, for it is of the same type.
fn meanwhile(desk: Shared) -> Pin<Box<dyn Future<Output = bool>>> {
    Box::pin(async move { short(&desk).await })
}

/// The browser as the host of an answer.
struct Browser<'a> {
    desk: Shared,
    id: u32,
    experiment: &'a Experiment,
    /// None until there are planes to share.
    crew: Option<Rc<Crew>>,
}

impl Host for Browser<'_> {
    fn say(&mut self, slot: u8, part: Part) {
        say(&Reply::Part { id: self.id, slot, part: Box::new(part) });
    }

    fn now(&self) -> f64 {
        now()
    }

    async fn go_on(&mut self) -> bool {
        breathe().await;
        let desk = self.desk.borrow();
        desk.explore.is_none() && desk.prepare.is_empty()
    }

    fn share(&mut self, sections: &[Section]) {
        let crew = {
            let mut desk = self.desk.borrow_mut();
            let helpers = desk.helpers;
            if desk.crew.is_none() {
                let crew = Crew::start(&scope().location().href(), helpers);
                desk.cards.iter().for_each(|cards| crew.tell(&Request::Models { cards: cards.clone() }));
                desk.crew = Some(Rc::new(crew));
            }
            desk.crew.clone()
        };
        let Experiment { dataset, model, compare, .. } = self.experiment;
        let names = std::iter::once(model).chain(compare).cloned();
        let planes = names.zip(sections.iter().cloned()).collect();
        if let Some(crew) = &crew {
            crew.share(self.id, &Request::Planes { id: self.id, dataset: *dataset, planes });
        }
        self.crew = crew;
    }

    fn give(&mut self, band: Band) -> bool {
        self.crew.as_ref().is_some_and(|crew| crew.give(band))
    }

    fn take(&mut self) -> Option<(Band, Sampled)> {
        self.crew.as_ref().and_then(|crew| crew.take())
    }
}

fn now() -> f64 {
    scope().performance().map_or(0.0, |performance| performance.now())
}

async fn explored(desk: &Shared, id: u32, experiment: &Experiment) -> Result<(), String> {
    experiment.validate().map_err(|invalid| invalid.to_string())?;
    let started = now();
    let dataset = experiment.dataset;
    let (image, picture_id, label) = match &experiment.picture {
        Picture::Test(index) => {
            let label = data::labels(dataset).get(*index as usize).copied();
            (picture(desk, dataset, *index).await?, *index, label)
        }
        Picture::Own { pixels, label } => (data::to_unit(pixels), OWN_ID, *label),
    };
    let others = match experiment.view.plane {
        PlaneAxes::AttackAndRandom => None,
        PlaneAxes::Pictures(first, second) => {
            Some([picture(desk, dataset, first).await?, picture(desk, dataset, second).await?])
        }
    };
    let (mut classifiers, mut for_planes) = (Vec::new(), Vec::new());
    for name in std::iter::once(&experiment.model).chain(&experiment.compare) {
        let model = loaded(desk, dataset, name).await?;
        classifiers.push(model.network.executor);
        for_planes.push(model.for_planes);
    }
    let materials = Materials { image, id: picture_id, label, others, classifiers, for_planes };
    let mut host = Browser { desk: desk.clone(), id, experiment, crew: None };
    if explore::explore(experiment, materials, &mut host).await {
        say(&Reply::Explored { id, milliseconds: (now() - started) as f32 });
    } else if desk.borrow().explore.is_none() {
        // It gave way to something short; nobody has asked for anything newer, so it starts again.
        desk.borrow_mut().explore = Some((id, Box::new(experiment.clone())));
    }
    Ok(())
}

/// Makes what is needed to sample planes ready.
async fn site(desk: &Shared, id: u32, dataset: Dataset, planes: Vec<Named>) -> Result<Site, String> {
    let mut slots = Vec::with_capacity(planes.len());
    for (name, section) in planes {
        slots.push((loaded(desk, dataset, &name).await?.for_planes, section));
    }
    Ok(Site { id, slots })
}

/// Samples a band, if it is of the present planes.
fn sampled(desk: &Shared, id: u32, band: Band) -> Option<Sampled> {
    let mut desk = desk.borrow_mut();
    let site = desk.site.as_mut().filter(|site| site.id == id)?;
    let (classifier, section) = site.slots.get_mut(usize::from(band.slot))?;
    Some(section.sample(classifier, band))
}

async fn network(desk: &Shared, dataset: Dataset, name: &str) -> Result<Network, String> {
    loaded(desk, dataset, name).await.map(|loaded| loaded.network)
}

/// A model, loaded when it is first asked for. Clones share their weights.
async fn loaded(desk: &Shared, dataset: Dataset, name: &str) -> Result<Loaded, String> {
    let key = (dataset, name.to_string());
    if let Some(loaded) = desk.borrow().models.get(&key) {
        return Ok(loaded.clone());
    }
    let card = zoo::find(dataset, name).ok_or_else(|| format!("there is no model “{name}” for {dataset}"))?;
    let bytes = load(&asset::weights(card)).await?;
    let weights = Weights::read(&bytes).map_err(|error| format!("{}: {error}", card.weights.file))?;
    let ready = |arithmetic| {
        Executor::with(&card.architecture, &weights, arithmetic)
            .map_err(|error| format!("{}: {error}", card.weights.file))
    };
    let executor = ready(Arithmetic::Exact)?;
    let for_planes = match Arithmetic::fastest() {
        Arithmetic::Exact => executor.clone(),
        fused => ready(fused)?,
    };
    let loaded = Loaded { network: Network { card, executor, weights: Rc::new(weights) }, for_planes };
    desk.borrow_mut().models.insert(key, loaded.clone());
    Ok(loaded)
}

/// A test picture, its sheet loaded when it is first asked for.
async fn picture(desk: &Shared, dataset: Dataset, index: u32) -> Result<Vec<f32>, String> {
    let (k, within) = (index as usize / SHEET, index as usize % SHEET);
    let pictures = pictures(desk, dataset, k).await?;
    let pixels = pictures
        .get(within * PIXELS..(within + 1) * PIXELS)
        .ok_or_else(|| format!("{dataset} has no test picture {index}"))?;
    Ok(data::to_unit(pixels))
}

/// A sheet of test pictures, loaded when it is first asked for.
async fn pictures(desk: &Shared, dataset: Dataset, k: usize) -> Result<Rc<Vec<u8>>, String> {
    if let Some(pictures) = desk.borrow().sheets.get(&(dataset, k)) {
        return Ok(pictures.clone());
    }
    let bytes = load(&asset::sheet(dataset, k)).await?;
    let pictures = sheet::decode(&bytes).map_err(|error| format!("{}: {error}", sheet::file(dataset, k)))?;
    let pictures = Rc::new(pictures);
    desk.borrow_mut().sheets.insert((dataset, k), pictures.clone());
    Ok(pictures)
}

async fn load(address: &str) -> Result<Vec<u8>, String> {
    let unreachable = || format!("{address} could not be loaded: check the connection and reload the page");
    let answer = JsFuture::from(scope().fetch_with_str(address)).await.map_err(|_| unreachable())?;
    let response: Response = answer.dyn_into().map_err(|_| unreachable())?;
    if !response.ok() {
        return Err(format!("{address} could not be loaded ({}): reload the page", response.status()));
    }
    let buffer =
        JsFuture::from(response.array_buffer().map_err(|_| unreachable())?).await.map_err(|_| unreachable())?;
    Ok(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec())
}

/// Makes a picture of the data set's kind from a file (decoded by the browser) or a drawing.
async fn prepared(dataset: Dataset, source: JsValue) -> Result<Prepared, String> {
    let (width, height, rgba) = match source.dyn_into::<ImageData>() {
        Ok(drawing) => (drawing.width(), drawing.height(), drawing.data().0),
        Err(source) => decoded(source.dyn_into().map_err(|_| "there is no picture to open".to_string())?).await?,
    };
    prepare::prepare(dataset, width as usize, height as usize, &rgba).map_err(|error| error.to_string())
}

async fn decoded(file: Blob) -> Result<(u32, u32, Vec<u8>), String> {
    let unreadable =
        |_: JsValue| "this file is not a picture that the browser can read: choose a PNG, JPEG or WebP".to_string();
    let bitmap = scope().create_image_bitmap_with_blob(&file).map_err(unreadable)?;
    let bitmap: ImageBitmap = JsFuture::from(bitmap).await.map_err(unreadable)?.unchecked_into();
    let (width, height) = (bitmap.width(), bitmap.height());
    if width == 0 || height == 0 {
        return Err("this picture is empty (0 × 0 pixels): choose another".into());
    }
    // 28 × 28 pixels will be left: a photograph need not be read at its full size.
    let scale = (LARGEST_SIDE as f64 / width.max(height) as f64).min(1.0);
    let side = |n: u32| ((n as f64 * scale).round() as u32).max(1);
    let (width, height) = (side(width), side(height));
    let canvas = OffscreenCanvas::new(width, height).map_err(unreadable)?;
    let context = canvas.get_context("2d").map_err(unreadable)?.ok_or("this browser cannot draw in a worker")?;
    let context: OffscreenCanvasRenderingContext2d = context.unchecked_into();
    context
        .draw_image_with_image_bitmap_and_dw_and_dh(&bitmap, 0.0, 0.0, width as f64, height as f64)
        .map_err(unreadable)?;
    let pixels = context.get_image_data(0.0, 0.0, width as f64, height as f64).map_err(unreadable)?;
    Ok((width, height, pixels.data().0))
}
