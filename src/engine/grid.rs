//! The samples of the planes, coarse to fine, cut into bands that anybody may compute: who does, in which order and how
//! often changes nothing in the result.

use serde::{Deserialize, Serialize};

use crate::explain::{Plane, Sampled};
use crate::nn::Classifier;

/// Sides of the grid in cells, coarse to fine. Where a side is an odd multiple of the one before, as 96 is of 32, the
/// centres of the coarser cells are centres of finer ones, too, and are not sampled again.
const SIDES: [usize; 3] = [16, 32, 96];
/// Cells that a band has at least: a few milliseconds, after which whoever computes looks up.
const BAND: usize = 64;

/// A plane and the part of it that is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The plane.
    pub plane: Plane,
    /// Least and greatest a, then least and greatest b.
    pub extent: [f32; 4],
}

impl Section {
    /// Samples one band.
    ///
    /// # Panics
    /// If the plane's pictures are not the classifier's.
    pub fn sample(&self, classifier: &mut dyn Classifier, band: Band) -> Sampled {
        self.plane.sample(classifier, self.extent, SIDES[band.stage()], &band.cells())
    }
}

/// Some rows of the grid of one model's plane, at one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// The model's slot.
    pub slot: u8,
    stage: u8,
    row: u8,
}

impl Band {
    /// All bands of a stage, for all slots.
    fn all(slots: usize, stage: usize) -> impl Iterator<Item = Self> {
        (0..slots).flat_map(move |slot| {
            let rows = (0..SIDES[stage]).step_by(BAND.div_ceil(SIDES[stage]));
            rows.map(move |row| Self { slot: slot as u8, stage: stage as u8, row: row as u8 })
        })
    }

    fn stage(self) -> usize {
        // A message's number need not be one of ours.
        usize::from(self.stage).min(SIDES.len() - 1)
    }

    /// Row and column of each cell that the stage before does not know.
    fn cells(self) -> Vec<(usize, usize)> {
        let side = SIDES[self.stage()];
        let known = refined(self.stage());
        let first = usize::from(self.row);
        let last = (first + BAND.div_ceil(side)).min(side);
        let all = (first..last).flat_map(|row| (0..side).map(move |column| (row, column)));
        all.filter(|&(row, column)| !known.is_some_and(|n| row % n == n / 2 && column % n == n / 2)).collect()
    }
}

/// How many times finer a stage is than the one before it, if their centres coincide.
fn refined(stage: usize) -> Option<usize> {
    let coarser = SIDES[stage.checked_sub(1)?];
    let times = SIDES[stage] / coarser;
    (times * coarser == SIDES[stage] && times % 2 == 1).then_some(times)
}

/// Where a band is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nobody has it.
    Open,
    /// A helper has it; it may never come back.
    Lent,
    Done,
}

/// The grids of all slots while they are being filled.
pub struct Survey {
    slots: usize,
    /// In the order in which they are wanted.
    bands: Vec<(Band, Place)>,
    /// The grids of each stage, slot by slot.
    grids: Vec<Vec<Sampled>>,
    /// Grids that have been taken.
    taken: usize,
}

/// A grid that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The model's slot.
    pub slot: usize,
    /// It has side × side cells.
    pub side: usize,
    /// The decisions, row by row.
    pub sampled: Sampled,
    /// Whether it is the last one of its slot.
    pub finest: bool,
}

impl Survey {
    /// Nothing is known yet.
    pub fn new(slots: usize) -> Self {
        let bands = (0..SIDES.len()).flat_map(|stage| Band::all(slots, stage));
        let empty = |side| Sampled { classes: vec![0; side * side], confidence: vec![0; side * side] };
        Self {
            slots,
            bands: bands.map(|band| (band, Place::Open)).collect(),
            grids: SIDES.map(|side| vec![empty(side); slots]).into(),
            taken: 0,
        }
    }

    /// The next band that nobody has.
    pub fn open(&self) -> Option<Band> {
        self.bands.iter().find(|(_, place)| *place == Place::Open).map(|(band, _)| *band)
    }

    /// A helper has taken a band.
    pub fn lend(&mut self, band: Band) {
        self.set(band, Place::Lent);
    }

    /// What to do oneself: the next open band, or if there is none the one lent last, for who has it may be gone or has
    /// others to do before it.
    pub fn next(&self) -> Option<Band> {
        let lent = || self.bands.iter().rfind(|(_, place)| *place == Place::Lent).map(|(band, _)| *band);
        self.open().or_else(lent)
    }

    /// The next open band of the coarsest grids.
    pub fn next_coarse(&self) -> Option<Band> {
        self.open().filter(|band| band.stage() == 0)
    }

    /// Takes in a band. A second copy is the same to the bit.
    pub fn put(&mut self, band: Band, sampled: &Sampled) {
        let stage = band.stage();
        let Some(grid) = self.grids[stage].get_mut(usize::from(band.slot)) else { return };
        for ((row, column), (class, confidence)) in
            band.cells().into_iter().zip(sampled.classes.iter().zip(&sampled.confidence))
        {
            let at = row * SIDES[stage] + column;
            (grid.classes[at], grid.confidence[at]) = (*class, *confidence);
        }
        self.set(band, Place::Done);
    }

    fn set(&mut self, band: Band, place: Place) {
        if let Some(entry) = self.bands.iter_mut().find(|(other, _)| *other == band) {
            entry.1 = place;
        }
    }

    /// The next complete grid that has not been taken: coarse to fine, and slot by slot.
    pub fn take(&mut self) -> Option<Grid> {
        let (stage, slot) = (self.taken / self.slots, self.taken % self.slots);
        let mine = |band: Band| band.stage() == stage && usize::from(band.slot) == slot;
        if stage == SIDES.len() || self.bands.iter().any(|(band, place)| mine(*band) && *place != Place::Done) {
            return None;
        }
        self.taken += 1;
        let side = SIDES[stage];
        if let Some(times) = refined(stage) {
            let [.., coarse, fine] = &mut self.grids[..=stage] else { return None };
            for row in 0..side / times {
                for column in 0..side / times {
                    let from = row * (side / times) + column;
                    let to = (row * times + times / 2) * side + column * times + times / 2;
                    fine[slot].classes[to] = coarse[slot].classes[from];
                    fine[slot].confidence[to] = coarse[slot].confidence[from];
                }
            }
        }
        let sampled = self.grids[stage][slot].clone();
        Some(Grid { slot, side, sampled, finest: stage + 1 == SIDES.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up answer that tells cells apart, in place of a network's.
    fn sampled(band: Band) -> Sampled {
        let side = SIDES[band.stage()];
        let share = |i: usize| ((2 * i + 1) * 96 / side) as u8;
        let (classes, confidence) = band.cells().into_iter().map(|(row, column)| (share(row), share(column))).unzip();
        Sampled { classes, confidence }
    }

    fn grids(survey: &mut Survey) -> Vec<Grid> {
        std::iter::from_fn(|| survey.take()).collect()
    }

    #[test]
    fn every_cell_is_sampled_once_and_lands_in_its_place() {
        let mut survey = Survey::new(2);
        let mut cells = 0;
        while let Some(band) = survey.next() {
            cells += band.cells().len();
            survey.put(band, &sampled(band));
        }
        assert_eq!(cells, 2 * (16 * 16 + 96 * 96), "the grid of 32 × 32 is part of the finest");
        let grids = grids(&mut survey);
        assert_eq!(
            grids.iter().map(|grid| (grid.slot, grid.side)).collect::<Vec<_>>(),
            [(0, 16), (1, 16), (0, 32), (1, 32), (0, 96), (1, 96)]
        );
        for Grid { side, sampled, .. } in grids {
            let share = |i: usize| ((2 * i + 1) * 96 / side) as u8;
            for (at, (class, confidence)) in sampled.classes.iter().zip(&sampled.confidence).enumerate() {
                assert_eq!([*class, *confidence], [share(at / side), share(at % side)], "{at} of {side} × {side}");
            }
        }
    }

    #[test]
    fn a_lost_band_is_done_again() {
        let mut survey = Survey::new(1);
        let lost = survey.open().unwrap();
        survey.lend(lost);
        let mut order = Vec::new();
        while let Some(band) = survey.next() {
            order.push(band);
            survey.put(band, &sampled(band));
        }
        assert_eq!(order.last(), Some(&lost), "after everything that nobody had");
        assert_eq!(grids(&mut survey).len(), SIDES.len());
    }

    #[test]
    fn the_coarse_grid_comes_first() {
        let mut survey = Survey::new(1);
        while let Some(band) = survey.next_coarse() {
            survey.put(band, &sampled(band));
        }
        assert_eq!(survey.take().map(|grid| grid.side), Some(16));
        assert_eq!(survey.take(), None);
    }
}
