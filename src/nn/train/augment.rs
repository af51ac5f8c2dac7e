//! Random changes of training pictures.

use super::recipe::Augmentation;
use crate::data::{PIXELS, SIDE};
use crate::random::Random;

impl Augmentation {
    /// Writes a randomly changed copy of `picture`, in [0, 1]. What comes in from outside is black.
    pub(super) fn apply(&self, picture: &[u8], random: &mut Random, changed: &mut [f32]) {
        let flip = self.flip && random.uniform() < 0.5;
        let moves = self.rotate > 0.0 || self.scale > 0.0;
        let mut shift = [random.uniform_in(-1.0, 1.0), random.uniform_in(-1.0, 1.0)].map(|share| share * self.shift);
        if !moves {
            // Each whole shift is as likely as any other.
            shift = [0, 1].map(|_| random.below(2 * self.shift as usize + 1) as f32 - self.shift);
        }
        let angle = random.uniform_in(-1.0, 1.0) * self.rotate.to_radians();
        let size = 1.0 + random.uniform_in(-1.0, 1.0) * self.scale;
        let at = |x: isize, y: isize| {
            let inside = (0..SIDE as isize).contains(&x) && (0..SIDE as isize).contains(&y);
            if inside { picture[y as usize * SIDE + x as usize] as f32 / 255.0 } else { 0.0 }
        };
        let mirror = |x: usize| if flip { SIDE - 1 - x } else { x };
        if !moves {
            for (index, value) in changed.iter_mut().enumerate().take(PIXELS) {
                let (x, y) = (mirror(index % SIDE) as isize, (index / SIDE) as isize);
                *value = at(x - shift[0] as isize, y - shift[1] as isize);
            }
            return;
        }
        let centre = (SIDE as f32 - 1.0) / 2.0;
        let (sine, cosine) = (libm::sinf(angle) / size, libm::cosf(angle) / size);
        for (index, value) in changed.iter_mut().enumerate().take(PIXELS) {
            let (x, y) = (mirror(index % SIDE) as f32 - centre - shift[0], (index / SIDE) as f32 - centre - shift[1]);
            let (x, y) = (cosine * x + sine * y + centre, cosine * y - sine * x + centre);
            let (left, top) = (x.floor(), y.floor());
            let (right_share, bottom_share) = (x - left, y - top);
            let (left, top) = (left as isize, top as isize);
            let upper = at(left, top) * (1.0 - right_share) + at(left + 1, top) * right_share;
            let lower = at(left, top + 1) * (1.0 - right_share) + at(left + 1, top + 1) * right_share;
            *value = upper * (1.0 - bottom_share) + lower * bottom_share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn changed(augmentation: Augmentation, picture: &[u8], item: u64) -> Vec<f32> {
        let mut result = vec![9.0; PIXELS];
        augmentation.apply(picture, &mut Random::new(0, Stream::Augmentation, item), &mut result);
        result
    }

    #[test]
    fn without_changes_a_picture_stays_as_it_is() {
        let picture: Vec<u8> = (0..PIXELS).map(|i| (i % 256) as u8).collect();
        assert_eq!(changed(Augmentation::default(), &picture, 0), crate::data::to_unit(&picture));
    }

    #[test]
    fn whole_shifts_of_every_size_are_drawn_and_move_the_picture() {
        let mut picture = vec![0u8; PIXELS];
        picture[14 * SIDE + 14] = 255;
        let mut seen = std::collections::HashSet::new();
        for item in 0..200 {
            let moved = changed(Augmentation { shift: 1.0, ..Default::default() }, &picture, item);
            assert_eq!(moved.iter().sum::<f32>(), 1.0);
            seen.insert(moved.iter().position(|&value| value == 1.0).unwrap());
        }
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn flips_mirror_about_half_of_the_pictures() {
        let mut picture = vec![0u8; PIXELS];
        picture[3] = 255;
        let flip = Augmentation { flip: true, ..Default::default() };
        let flipped = (0..400).filter(|&item| changed(flip, &picture, item)[SIDE - 1 - 3] == 1.0).count();
        assert!((150..250).contains(&flipped), "{flipped}");
    }

    #[test]
    fn rotations_and_scalings_keep_the_centre_and_stay_in_range() {
        let picture = vec![255u8; PIXELS];
        let turn = Augmentation { rotate: 20.0, scale: 0.2, ..Default::default() };
        for item in 0..50 {
            let turned = changed(turn, &picture, item);
            assert!(turned.iter().all(|value| (0.0..=1.0001).contains(value)));
            assert!((turned[14 * SIDE + 14] - 1.0).abs() < 1e-5);
        }
    }
}
