//! Attacks that move pixels instead of changing their values: [`affine`] turns and shifts the whole picture, [`flow`] bends
//! it. Both look the new pixels up between the old ones ([`sample`]).

pub(super) mod affine;
pub(super) mod flow;

use crate::nn::Shape;

/// The value of a channel at a place between its pixels, bilinear, with zeros around it; and its slopes down and to the
/// right. At a pixel the slopes are those towards the next one.
fn sample(channel: &[f32], shape: Shape, (y, x): (f64, f64)) -> (f64, [f64; 2]) {
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let at = |row: f64, column: f64| {
        let inside = row >= 0.0 && column >= 0.0 && row < shape.height as f64 && column < shape.width as f64;
        if inside { channel[row as usize * shape.width + column as usize] as f64 } else { 0.0 }
    };
    let [a, b] = [at(top, left), at(top, left + 1.0)];
    let [c, d] = [at(top + 1.0, left), at(top + 1.0, left + 1.0)];
    let (upper, lower) = (a + right * (b - a), c + right * (d - c));
    (upper + down * (lower - upper), [lower - upper, (b - a) + down * ((d - c) - (b - a))])
}

/// The picture whose pixel at each position is looked up at `place(row, column)`.
fn warped(image: &[f32], shape: Shape, place: impl Fn(usize, usize) -> (f64, f64)) -> Vec<f32> {
    let mut picture = Vec::with_capacity(image.len());
    for channel in image.chunks_exact(shape.height * shape.width) {
        for row in 0..shape.height {
            for column in 0..shape.width {
                // Between values of the box there is no other; rounding may leave it by a hair.
                picture.push((sample(channel, shape, place(row, column)).0 as f32).clamp(0.0, 1.0));
            }
        }
    }
    picture
}

/// Given the gradient of an objective with respect to such a picture: that with respect to each place, (H · W) pairs.
fn place_gradient(
    image: &[f32],
    shape: Shape,
    place: impl Fn(usize, usize) -> (f64, f64),
    gradient: &[f32],
) -> Vec<[f64; 2]> {
    let pixels = shape.height * shape.width;
    let mut places = vec![[0.0; 2]; pixels];
    for (channel, gradient) in image.chunks_exact(pixels).zip(gradient.chunks_exact(pixels)) {
        for (i, &g) in gradient.iter().enumerate() {
            let (_, [down, right]) = sample(channel, shape, place(i / shape.width, i % shape.width));
            places[i][0] += g as f64 * down;
            places[i][1] += g as f64 * right;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, Stream};

    const SHAPE: Shape = Shape { channels: 2, height: 6, width: 5 };

    fn image() -> Vec<f32> {
        let mut random = Random::new(2, Stream::Start, 0);
        (0..SHAPE.len()).map(|_| random.uniform()).collect()
    }

    #[test]
    fn pixels_looked_up_at_their_own_places_are_the_picture_and_outside_is_black() {
        let image = image();
        assert_eq!(warped(&image, SHAPE, |row, column| (row as f64, column as f64)), image);
        let right = warped(&image, SHAPE, |row, column| (row as f64, column as f64 - 1.0));
        assert_eq!((right[0], &right[1..5]), (0.0, &image[..4]));
        let half = warped(&image, SHAPE, |row, column| (row as f64 + 0.5, column as f64));
        assert!((half[0] - 0.5 * (image[0] + image[5])).abs() < 1e-6);
    }

    #[test]
    fn the_gradient_of_the_places_is_that_of_finite_differences() {
        let image = image();
        let mut random = Random::new(3, Stream::Start, 0);
        // Off the grid of pixels, where slopes are continuous; some places lie outside.
        let places: Vec<[f64; 2]> =
            (0..30).map(|i| [i as f64 / 5.0 - 0.613 + 0.01 * (i % 7) as f64, 1.1 * (i % 5) as f64 - 0.37]).collect();
        let weights: Vec<f32> = (0..SHAPE.len()).map(|_| random.normal()).collect();
        let objective = |places: &[[f64; 2]]| -> f64 {
            let mut sum = 0.0;
            for (channel, weights) in image.chunks(30).zip(weights.chunks(30)) {
                for (place, &w) in places.iter().zip(weights) {
                    sum += w as f64 * sample(channel, SHAPE, (place[0], place[1])).0;
                }
            }
            sum
        };
        let at = |row: usize, column: usize| (places[row * 5 + column][0], places[row * 5 + column][1]);
        let gradient = place_gradient(&image, SHAPE, at, &weights);
        assert!(gradient.iter().flatten().filter(|g| **g != 0.0).count() > 40);
        for i in 0..30 {
            for axis in 0..2 {
                let moved = |h: f64| {
                    let mut moved = places.clone();
                    moved[i][axis] += h;
                    objective(&moved)
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((slope - gradient[i][axis]).abs() < 1e-6, "{i} {axis}: {slope} {:?}", gradient[i]);
            }
        }
    }
}
