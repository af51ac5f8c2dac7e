use super::*;
use crate::data::{self, Dataset};
use crate::engine::explore::{self, Host, explore};
use crate::engine::protocol::{Part, PlanePart};
use crate::experiment::{OWN_ID, Picture, PlaneAxes};
use crate::job::boundary::BoundaryMap;
use crate::job::report::{Cell, Figure, Map};

fn question(picture: Picture, plane: PlaneAxes, side: u32) -> BoundaryMap {
    let mut experiment = Experiment { dataset: Dataset::Digits, model: "mlp".into(), picture, ..Experiment::default() };
    experiment.view.plane = plane;
    BoundaryMap { experiment, side }.tidy()
}

fn map(report: &Report) -> &Map {
    match &report.figures[..] {
        [Figure::Map(map)] => map,
        other => panic!("{other:?}"),
    }
}

/// Takes down the plane.
#[derive(Default)]
struct Clerk {
    plane: Option<PlanePart>,
}

impl Host for Clerk {
    fn say(&mut self, _: u8, part: Part) {
        if let Part::Plane(plane) = part {
            self.plane = Some(plane);
        }
    }

    fn now(&self) -> f64 {
        0.0
    }

    async fn go_on(&mut self) -> bool {
        true
    }
}

/// The finest plane that the Lab shows of an experiment.
fn lab(experiment: &Experiment) -> PlanePart {
    let unit = |index: u32| library().picture(experiment.dataset, index).0.to_vec();
    let (image, id, label) = match &experiment.picture {
        Picture::Test(index) => (unit(*index), *index, Some(library().picture(experiment.dataset, *index).1)),
        Picture::Own { pixels, label } => (data::to_unit(pixels), OWN_ID, *label),
    };
    let others = match experiment.view.plane {
        PlaneAxes::AttackAndRandom => None,
        PlaneAxes::Pictures(first, second) => Some([unit(first), unit(second)]),
    };
    let classifiers = vec![library().model(experiment.dataset, &experiment.model).unwrap()];
    let mut clerk = Clerk::default();
    let materials = explore::Materials { image, id, label, others, for_planes: classifiers.clone(), classifiers };
    assert!(futures::executor::block_on(explore(experiment, materials, &mut clerk)));
    clerk.plane.unwrap()
}

#[test]
fn the_map_is_the_plane_that_the_lab_shows() {
    let own = |label| Picture::Own { pixels: (0..784).map(|i| (i * i % 256) as u8).collect(), label };
    for (picture, plane) in [
        (Picture::Test(3), PlaneAxes::AttackAndRandom),
        (Picture::Test(3), PlaneAxes::Pictures(8, 9)),
        (own(Some(4)), PlaneAxes::AttackAndRandom),
        (own(None), PlaneAxes::AttackAndRandom),
    ] {
        // The Lab's finest grid has 96 cells on a side.
        let question = question(picture, plane, 96);
        let shown = lab(&question.experiment);
        let report = answer(&(Arc::new(question.clone()) as Arc<dyn Job>));
        let map = map(&report);
        assert_eq!((shown.side, shown.extent), (96, map.extent));
        assert!(shown.classes == map.classes && shown.confidence == map.confidence);
        assert_eq!(shown.ball[..], *map.ball.as_flattened());
        let [x, adversarial, landmarks @ ..] = &map.points[..] else { panic!("two points at least") };
        assert_eq!(x, &("x".to_string(), [0.0; 2]));
        assert_eq!(adversarial.1[..], shown.path[shown.path.len() - 2..], "the attack ends at x′");
        let at: Vec<f32> = landmarks.iter().flat_map(|(_, at)| *at).collect();
        assert_eq!(at, shown.landmarks[..]);
        if let PlaneAxes::Pictures(..) = plane {
            assert_eq!([landmarks[0].0.as_str(), landmarks[1].0.as_str()], ["picture 8", "picture 9"]);
        }
        let Cell::Lab(_, link) = &report.tables[0].rows[0][0] else { panic!("a link") };
        assert_eq!(Experiment::from_query(link).experiment, question.experiment);
        let cells: u64 = report.tables[1].rows.iter().map(|row| if let Cell::Count(n) = row[1] { n } else { 0 }).sum();
        assert_eq!(cells, 96 * 96);
    }
}

#[test]
fn bands_fill_the_map_from_the_top_and_what_is_missing_is_left_open() {
    let question = question(Picture::Test(0), PlaneAxes::AttackAndRandom, 150);
    let job: Arc<dyn Job> = Arc::new(question);
    assert_eq!((job.chunks().len(), job.order()), (6, Order::AfterFirst));
    assert!(compute(&job, 1, None, library()).unwrap_err().contains("missing"));
    let first = compute(&job, 0, None, library()).unwrap();
    let mut gather = job.clone().gather();
    gather.take(0, &first.part).unwrap();
    let open = |gather: &dyn Gather| map(&gather.report()).classes.iter().filter(|class| **class == 255).count();
    assert_eq!(open(&*gather), 150 * 150);
    for (chunk, left) in [(5, 150 * 150 - 22 * 150), (1, 150 * 150 - 54 * 150)] {
        let band = compute(&job, chunk, first.carry.as_deref(), library()).unwrap();
        gather.take(chunk, &band.part).unwrap();
        assert_eq!(open(&*gather), left);
    }
    let report = gather.report();
    assert!(map(&report).classes[..32 * 150].iter().all(|class| *class < 10));
    // Not before the plane is known is there a map.
    gather.forget(0);
    assert!(gather.report().figures.is_empty());
}

#[test]
fn refusals_say_what_is_allowed() {
    let check = |change: &dyn Fn(&mut BoundaryMap)| {
        let mut question = question(Picture::Test(0), PlaneAxes::AttackAndRandom, 64);
        change(&mut question);
        Work::check(&question, &Limits::PAGE).unwrap_err().to_string()
    };
    for side in [0, 63, 513, u32::MAX] {
        assert!(check(&|q| q.side = side).contains("choose 64 to 512"), "{side}");
    }
    assert!(check(&|q| q.experiment.picture = Picture::Test(500)).contains("choose 0 to 499"));
    assert!(check(&|q| q.experiment.picture = Picture::Own { pixels: vec![0; 9], label: None }).contains("784"));
    assert!(check(&|q| q.experiment.view.plane = PlaneAxes::Pictures(0, 900)).contains("choose 0 to 499"));
}
