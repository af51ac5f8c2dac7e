//! Test pictures in slices that grow: the first is seen at once, the last ones waste little on being handed around.

use std::ops::Range;

use crate::attack::{Aim, Method};

/// Most pictures in a slice: as many as the executor takes at a time, a few times over.
const PICTURES: u32 = 64;
/// Gradients of a slice that are aimed at: a fraction of a second, so that progress is seen and a stop is prompt.
const GRADIENTS: u64 = 2400;

/// The pictures 0 to `pictures`, which is left out, in slices of 1, 2, 4 … pictures, for work that costs so many gradients
/// for each.
pub fn slices(pictures: u32, cost: u64) -> Vec<Range<u32>> {
    let most = (GRADIENTS / cost.max(1)).clamp(1, PICTURES.into()) as u32;
    let (mut slices, mut from, mut size) = (Vec::new(), 0, 1);
    while from < pictures {
        let to = pictures.min(from + size);
        slices.push(from..to);
        (from, size) = (to, (size * 2).min(most));
    }
    slices
}

/// Whether an attack's result is the same for every ε.
pub fn runs_once(method: Method) -> bool {
    method.aim() != Aim::Strongest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_hold_every_picture_once_begin_small_and_are_smaller_for_longer_attacks() {
        let mut longest = Vec::new();
        for cost in [1, 20, 400, 1_000_000] {
            let slices = slices(303, cost);
            assert_eq!(slices.iter().cloned().flatten().collect::<Vec<_>>(), (0..303).collect::<Vec<_>>());
            assert_eq!(slices[0], 0..1);
            longest.push(slices.iter().map(ExactSizeIterator::len).max().unwrap());
        }
        assert_eq!(longest, [64, 64, 6, 1]);
        assert!(slices(0, 1).is_empty());
    }
}
