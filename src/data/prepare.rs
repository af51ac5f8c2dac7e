//! A person's own picture, made into one of the data set's kind.
//!
//! Both data sets are bright on black, cut to their content, scaled and centred. The digits follow MNIST (LeCun et al.
//! 1998): the longest side of the digit becomes 20 pixels, smoothed, and its centre of mass goes to the centre. Clothes
//! follow Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): what differs from the background is scaled so that its longest side
//! fills the picture, and centred.

use resize::{PixelFormat, Type};

use super::{Dataset, PIXELS, SIDE};

/// The greatest width or height that is taken, in pixels.
pub const GREATEST_SIDE: usize = 4096;

/// Side of the square that the longest side of a digit is scaled to.
const DIGIT_SIDE: usize = 20;
/// A digit is first brought to this multiple of its final size, where its strokes are measured and thickened.
const FINE: usize = 4;
/// Strokes of MNIST are about this wide in the final picture.
const STROKE: f32 = 2.4;
/// Strokes thinner than this are thickened: scaled down they would be a faint line.
const THIN: f32 = 1.6;

/// A picture of the data set's kind, and what was done to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// [`PIXELS`] grey values, row by row, 0 (black) to 255 (white).
    pub pixels: Vec<u8>,
    /// What was done, in words, in order: "turned to white on black".
    pub remarks: Vec<String>,
}

/// Why a picture cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// It has no pixels.
    #[error("this picture has no pixels ({width} × {height}): choose another")]
    Empty {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// It has too many pixels.
    #[error("this picture is {width} × {height} pixels: choose one of at most {GREATEST_SIDE} × {GREATEST_SIDE}")]
    TooLarge {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// The number of bytes does not belong to the size.
    #[error("a picture of {width} × {height} pixels has {} bytes, not {bytes}: load it again", width * height * 4)]
    Length {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// How many bytes were given.
        bytes: usize,
    },
    /// Nothing in it is visible.
    #[error("this picture is wholly transparent: draw something, or choose another")]
    Transparent,
    /// It shows nothing that stands out from its background.
    #[error(
        "this picture has one colour only: draw something, or choose a picture with an object on a plain background"
    )]
    Uniform,
}

/// Makes a picture of the data set's kind from `rgba`: rows of red, green, blue and alpha, 0 to 255, not premultiplied.
///
/// The same picture gives the same result on every platform.
///
/// # Errors
/// If the picture has no pixels, too many, or nothing to see.
pub fn prepare(dataset: Dataset, width: usize, height: usize, rgba: &[u8]) -> Result<Prepared, PrepareError> {
    if width == 0 || height == 0 {
        return Err(PrepareError::Empty { width, height });
    }
    if width > GREATEST_SIDE || height > GREATEST_SIDE {
        return Err(PrepareError::TooLarge { width, height });
    }
    if rgba.len() != width * height * 4 {
        return Err(PrepareError::Length { width, height, bytes: rgba.len() });
    }
    let mut remarks = Vec::new();
    let mut grey = flatten(width, height, rgba, &mut remarks)?;
    lighten(&mut grey, &mut remarks)?;
    let content = grey.content(match dataset {
        Dataset::Digits => 0.25,
        Dataset::Fashion => 0.05,
    });
    if (content.width, content.height) != (width, height) {
        remarks
            .push(format!("cut to its content, {} × {} of {width} × {height} pixels", content.width, content.height));
    }
    let picture = match dataset {
        Dataset::Digits => digit(&content, &mut remarks),
        Dataset::Fashion => {
            let scaled = content.fit(SIDE, &mut remarks);
            let (left, top) = ((SIDE - scaled.width) / 2, (SIDE - scaled.height) / 2);
            scaled.placed(left, top)
        }
    };
    Ok(Prepared { pixels: picture.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect(), remarks })
}

/// A grey picture; values from 0 (black) to 1 (white).
struct Grey {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// Removes colour and transparency. What is transparent becomes white behind dark strokes and black behind light ones.
fn flatten(width: usize, height: usize, rgba: &[u8], remarks: &mut Vec<String>) -> Result<Grey, PrepareError> {
    // Luma of ITU-R BT.601, as image libraries turn colour to grey.
    let luma = |p: &[u8]| (0.299 * p[0] as f32 + 0.587 * p[1] as f32 + 0.114 * p[2] as f32) / 255.0;
    let (mut visible, mut brightness) = (0u64, 0.0f64);
    let mut colour = false;
    for pixel in rgba.chunks_exact(4) {
        visible += pixel[3] as u64;
        brightness += (pixel[3] as f32 * luma(pixel)) as f64;
        colour |= pixel[3] > 0 && pixel[..3].iter().any(|&c| c.abs_diff(pixel[0]) > 8);
    }
    if visible == 0 {
        return Err(PrepareError::Transparent);
    }
    if colour {
        remarks.push("turned to grey".into());
    }
    let mut behind = 0.0;
    if visible < 255 * (width * height) as u64 {
        let dark = brightness < 0.5 * visible as f64;
        behind = if dark { 1.0 } else { 0.0 };
        remarks.push(format!("laid on {}", if dark { "white" } else { "black" }));
    }
    let values = rgba.chunks_exact(4).map(|pixel| {
        let alpha = pixel[3] as f32 / 255.0;
        alpha * luma(pixel) + (1.0 - alpha) * behind
    });
    Ok(Grey { width, height, values: values.collect() })
}

/// Makes the background black, judging it by the picture's border, and what stands out from it bright.
fn lighten(grey: &mut Grey, remarks: &mut Vec<String>) -> Result<(), PrepareError> {
    let (low, high) = range(&grey.values);
    if high - low < 8.0 / 255.0 {
        return Err(PrepareError::Uniform);
    }
    let mut border: Vec<f32> = grey.values[..grey.width].to_vec();
    border.extend_from_slice(&grey.values[grey.values.len() - grey.width..]);
    border.extend(grey.values.chunks_exact(grey.width).flat_map(|row| [row[0], row[grey.width - 1]]));
    let middle = border.len() / 2;
    let mut background = *border.select_nth_unstable_by(middle, f32::total_cmp).1;
    if background > (low + high) / 2.0 {
        grey.values.iter_mut().for_each(|value| *value = 1.0 - *value);
        background = 1.0 - background;
        remarks.push("turned to white on black".into());
    }
    if background > 0.0 {
        let scale = 1.0 / (1.0 - background);
        grey.values.iter_mut().for_each(|value| *value = ((*value - background) * scale).max(0.0));
        if background > 0.02 {
            remarks.push("background made black".into());
        }
    }
    Ok(())
}

/// Scales a digit into the square of [`DIGIT_SIDE`], with strokes as wide as MNIST's if they were much thinner, and puts
/// its centre of mass into the centre.
fn digit(content: &Grey, remarks: &mut Vec<String>) -> Vec<f32> {
    let (_, peak) = range(&content.values);
    let mut fine = content.fit(DIGIT_SIDE * FINE, &mut Vec::new());
    fine.stretch();
    let width = fine.stroke_width() / FINE as f32;
    if width < THIN {
        fine.even_out();
        fine = fine.dilated((STROKE - width) / 2.0 * FINE as f32);
        remarks.push("thin strokes made thicker".into());
    }
    let mut scaled = fine.fit(DIGIT_SIDE, &mut Vec::new());
    scaled.stretch();
    if peak < 0.9 {
        remarks.push("contrast stretched".into());
    }
    remarks.push(format!("scaled to {} × {} pixels and centred by mass", scaled.width, scaled.height));
    let (mut mass, mut moment) = (0.0f64, [0.0f64; 2]);
    for (index, &value) in scaled.values.iter().enumerate() {
        mass += value as f64;
        moment[0] += value as f64 * ((index % scaled.width) as f64 + 0.5);
        moment[1] += value as f64 * ((index / scaled.width) as f64 + 0.5);
    }
    let corner = |moment: f64, side: usize| {
        let corner = libm::round(SIDE as f64 / 2.0 - moment / mass);
        corner.clamp(0.0, (SIDE - side) as f64) as usize
    };
    scaled.placed(corner(moment[0], scaled.width), corner(moment[1], scaled.height))
}

impl Grey {
    /// The smallest part that holds every value above `share` of the greatest.
    fn content(&self, share: f32) -> Self {
        let threshold = share * range(&self.values).1;
        let (mut left, mut right, mut top, mut bottom) = (self.width - 1, 0, self.height - 1, 0);
        for (y, row) in self.values.chunks_exact(self.width).enumerate() {
            for (x, &value) in row.iter().enumerate() {
                if value > threshold {
                    (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
                }
            }
        }
        let rows = self.values.chunks_exact(self.width).skip(top).take(bottom + 1 - top);
        let values = rows.flat_map(|row| &row[left..=right]).copied().collect();
        Self { width: right + 1 - left, height: bottom + 1 - top, values }
    }

    /// Scaled so that the longest side is `side`; every pixel is a triangle-weighted mean of those it stands for.
    fn fit(&self, side: usize, remarks: &mut Vec<String>) -> Self {
        let longest = self.width.max(self.height);
        if longest == side {
            return Self { width: self.width, height: self.height, values: self.values.clone() };
        }
        let scaled = |n: usize| ((n * side + longest / 2) / longest).max(1);
        let (width, height) = (scaled(self.width), scaled(self.height));
        let mut values = vec![0.0; width * height];
        resize::new(self.width, self.height, width, height, Values, Type::Triangle)
            .and_then(|mut resizer| resizer.resize(&self.values, &mut values))
            .expect("both sizes are at least 1 × 1");
        remarks.push(format!("scaled to {width} × {height} pixels"));
        Self { width, height, values }
    }

    /// Multiplied so that the greatest value is 1.
    fn stretch(&mut self) {
        let (_, peak) = range(&self.values);
        if peak > 0.0 {
            self.values.iter_mut().for_each(|value| *value /= peak);
        }
    }

    /// Raises the strokes to an even brightness: scaled down, thin lines differ with their direction.
    fn even_out(&mut self) {
        let bright = self.values.iter().filter(|&&value| value > 0.25);
        let mean = bright.clone().sum::<f32>() / bright.count().max(1) as f32;
        let half = mean / 2.0;
        self.values.iter_mut().for_each(|value| *value = (*value / half).min(1.0));
    }

    /// How wide the strokes are: twice the area over the length of the outline, which is the total variation.
    fn stroke_width(&self) -> f32 {
        let at =
            |x: usize, y: usize| if x < self.width && y < self.height { self.values[y * self.width + x] } else { 0.0 };
        let (mut area, mut outline) = (0.0f32, 0.0f32);
        // From one before the picture (wrapped, so outside) to its last row and column.
        for y in (0..=self.height).map(|y| y.wrapping_sub(1)) {
            for x in (0..=self.width).map(|x| x.wrapping_sub(1)) {
                let here = at(x, y);
                let (dx, dy) = (at(x.wrapping_add(1), y) - here, at(x, y.wrapping_add(1)) - here);
                area += here;
                outline += (dx * dx + dy * dy).sqrt();
            }
        }
        2.0 * area / outline
    }

    /// Each value is the greatest within `radius`, beyond which it fades out over one pixel; grows by that on each side.
    fn dilated(&self, radius: f32) -> Self {
        let reach = radius as usize + 1;
        let (width, height) = (self.width + 2 * reach, self.height + 2 * reach);
        let mut values = vec![0.0f32; width * height];
        for dy in 0..=2 * reach {
            for dx in 0..=2 * reach {
                let distance = |d: usize| d as f32 - reach as f32;
                let weight = (radius + 1.0 - (distance(dx).powi(2) + distance(dy).powi(2)).sqrt()).clamp(0.0, 1.0);
                if weight == 0.0 {
                    continue;
                }
                for (y, row) in self.values.chunks_exact(self.width).enumerate() {
                    let target = &mut values[(y + dy) * width + dx..][..self.width];
                    for (target, &value) in target.iter_mut().zip(row) {
                        *target = target.max(weight * value);
                    }
                }
            }
        }
        Self { width, height, values }
    }

    /// On a black picture of the data sets' size, its corner at column `left` and row `top`.
    fn placed(&self, left: usize, top: usize) -> Vec<f32> {
        let mut picture = vec![0.0; PIXELS];
        for (y, row) in self.values.chunks_exact(self.width).enumerate() {
            picture[(top + y) * SIDE + left..][..self.width].copy_from_slice(row);
        }
        picture
    }
}

fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
}

/// Tells `resize` that pixels are plain numbers.
struct Values;

impl PixelFormat for Values {
    type InputPixel = f32;
    type OutputPixel = f32;
    type Accumulator = f32;

    fn new() -> f32 {
        0.0
    }

    fn add(&self, sum: &mut f32, pixel: f32, weight: f32) {
        *sum += pixel * weight;
    }

    fn add_acc(sum: &mut f32, part: f32, weight: f32) {
        *sum += part * weight;
    }

    fn into_pixel(&self, sum: f32) -> f32 {
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A "7" of strokes `thick` wide on a square canvas, its box `size` wide at (`left`, `top`).
    fn seven(canvas: usize, left: f32, top: f32, size: f32, thick: f32, ink: [u8; 4], paper: [u8; 4]) -> Vec<u8> {
        let to_segment = |x: f32, y: f32, (ax, ay): (f32, f32), (bx, by): (f32, f32)| {
            let t = (((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax).powi(2) + (by - ay).powi(2)))
                .clamp(0.0, 1.0);
            ((x - ax - t * (bx - ax)).powi(2) + (y - ay - t * (by - ay)).powi(2)).sqrt()
        };
        let corners = [(left, top), (left + 0.7 * size, top), (left + 0.3 * size, top + size)];
        let pixels = (0..canvas * canvas).flat_map(|i| {
            let (x, y) = ((i % canvas) as f32, (i / canvas) as f32);
            let distance = to_segment(x, y, corners[0], corners[1]).min(to_segment(x, y, corners[1], corners[2]));
            if distance <= thick / 2.0 { ink } else { paper }
        });
        pixels.collect()
    }

    const BLACK: [u8; 4] = [0, 0, 0, 255];
    const WHITE: [u8; 4] = [255, 255, 255, 255];

    fn mean_distance(a: &[u8], b: &[u8]) -> f32 {
        a.iter().zip(b).map(|(&a, &b)| a.abs_diff(b) as f32).sum::<f32>() / a.len() as f32
    }

    fn box_of(pixels: &[u8]) -> (usize, usize, usize, usize) {
        let inked = |i: &usize| pixels[*i] > 40;
        let xs = (0..PIXELS).filter(inked).map(|i| i % SIDE);
        let ys = (0..PIXELS).filter(inked).map(|i| i / SIDE);
        (xs.clone().min().unwrap(), xs.max().unwrap(), ys.clone().min().unwrap(), ys.max().unwrap())
    }

    #[test]
    fn the_same_seven_drawn_in_many_ways_becomes_the_same_picture() {
        let reference = prepare(Dataset::Digits, 280, 280, &seven(280, 70.0, 60.0, 160.0, 20.0, BLACK, WHITE)).unwrap();
        let (_, _, top, bottom) = box_of(&reference.pixels);
        assert!((18..=20).contains(&(bottom + 1 - top)), "rows {top} to {bottom}");
        let mean = |place: fn(usize) -> usize| {
            let weighted =
                reference.pixels.iter().enumerate().map(|(i, &p)| p as f32 * (place(i) as f32 + 0.5)).sum::<f32>();
            weighted / reference.pixels.iter().map(|&p| p as f32).sum::<f32>()
        };
        let centre = (mean(|i| i % SIDE), mean(|i| i / SIDE));
        assert!((centre.0 - 14.0).abs() < 0.6 && (centre.1 - 14.0).abs() < 0.6, "{centre:?}");
        assert!(reference.remarks.iter().any(|remark| remark.contains("white on black")), "{:?}", reference.remarks);
        let drawings = [
            ("white on black", seven(280, 70.0, 60.0, 160.0, 20.0, WHITE, BLACK)),
            ("in a corner", seven(280, 12.0, 110.0, 160.0, 20.0, BLACK, WHITE)),
            ("small", seven(280, 200.0, 30.0, 48.0, 6.0, BLACK, WHITE)),
            ("large", seven(280, 60.0, 20.0, 232.0, 29.0, BLACK, WHITE)),
            ("blue on yellow", seven(280, 70.0, 60.0, 160.0, 20.0, [30, 40, 160, 255], [255, 250, 180, 255])),
            ("black on nothing", seven(280, 70.0, 60.0, 160.0, 20.0, BLACK, [0; 4])),
            ("white on nothing", seven(280, 70.0, 60.0, 160.0, 20.0, WHITE, [0; 4])),
        ];
        for (what, drawing) in drawings {
            let prepared = prepare(Dataset::Digits, 280, 280, &drawing).unwrap();
            let distance = mean_distance(&prepared.pixels, &reference.pixels);
            assert!(distance < 6.0, "{what}: {distance}, {:?}", prepared.remarks);
        }
    }

    #[test]
    fn thin_strokes_become_as_wide_and_bright_as_those_of_the_data_set() {
        let thick = prepare(Dataset::Digits, 400, 400, &seven(400, 90.0, 60.0, 260.0, 31.0, BLACK, WHITE)).unwrap();
        for thin in [1.5, 4.0, 8.0] {
            let drawing = seven(400, 90.0, 60.0, 260.0, thin, WHITE, BLACK);
            let prepared = prepare(Dataset::Digits, 400, 400, &drawing).unwrap();
            assert!(prepared.remarks.iter().any(|remark| remark.contains("thicker")), "{:?}", prepared.remarks);
            let ink = |pixels: &[u8]| pixels.iter().map(|&p| p as f32).sum::<f32>();
            let ratio = ink(&prepared.pixels) / ink(&thick.pixels);
            assert!((0.7..1.4).contains(&ratio), "strokes of {thin}: ink {ratio} of the thick one's");
        }
    }

    #[test]
    fn a_picture_of_the_data_set_stays_what_it_is() {
        let mut pixels = [0u8; PIXELS];
        for y in 4..24 {
            for x in 9..19 {
                pixels[y * SIDE + x] = if (y / 3 + x / 3) % 2 == 0 { 255 } else { 90 };
            }
        }
        let rgba: Vec<u8> = pixels.iter().flat_map(|&p| [p, p, p, 255]).collect();
        let prepared = prepare(Dataset::Digits, SIDE, SIDE, &rgba).unwrap();
        let distance = mean_distance(&prepared.pixels, &pixels);
        assert!(distance < 12.0, "{distance}");
        let mut coat = pixels;
        coat.iter_mut()
            .enumerate()
            .for_each(|(i, p)| *p = if (6..22).contains(&(i % SIDE)) { 100 + (i % 97) as u8 } else { 0 });
        let rgba: Vec<u8> = coat.iter().flat_map(|&p| [p, p, p, 255]).collect();
        assert_eq!(prepare(Dataset::Fashion, SIDE, SIDE, &rgba).unwrap().pixels, coat);
    }

    #[test]
    fn clothes_on_white_fill_the_picture_white_on_black() {
        let (width, height) = (300, 200);
        let rgba: Vec<u8> = (0..width * height)
            .flat_map(|i| {
                let inside = (100..140).contains(&(i % width)) && (50..130).contains(&(i / width));
                if inside { [60, 60, 60, 255] } else { [250, 250, 250, 255] }
            })
            .collect();
        let prepared = prepare(Dataset::Fashion, width, height, &rgba).unwrap();
        assert_eq!(box_of(&prepared.pixels), (7, 20, 0, 27));
        assert!(prepared.pixels[14 * SIDE + 14].abs_diff(194) <= 2, "190 of 250 levels below the background");
        assert_eq!(prepared.pixels[14 * SIDE + 2], 0);
    }

    #[test]
    fn what_shows_nothing_is_refused_with_a_reason() {
        assert_eq!(prepare(Dataset::Digits, 0, 0, &[]), Err(PrepareError::Empty { width: 0, height: 0 }));
        assert_eq!(prepare(Dataset::Digits, 2, 2, &[0; 16]), Err(PrepareError::Transparent));
        assert_eq!(prepare(Dataset::Fashion, 2, 2, &[255; 16]), Err(PrepareError::Uniform));
        assert_eq!(prepare(Dataset::Fashion, 1, 1, &[9, 9, 9, 255]), Err(PrepareError::Uniform));
        assert!(matches!(prepare(Dataset::Fashion, 2, 2, &[255; 15]), Err(PrepareError::Length { bytes: 15, .. })));
        assert!(matches!(prepare(Dataset::Fashion, 5000, 2, &[]), Err(PrepareError::TooLarge { .. })));
    }

    #[test]
    fn odd_shapes_are_taken() {
        for (width, height) in [(1, 2), (2, 1), (4096, 1), (1, 300), (3, 3)] {
            let rgba: Vec<u8> = (0..width * height).flat_map(|i| if i == 0 { WHITE } else { BLACK }).collect();
            for dataset in Dataset::ALL {
                match prepare(dataset, width, height, &rgba) {
                    Ok(prepared) => assert!(prepared.pixels.contains(&255), "{width} × {height}"),
                    Err(error) => panic!("{width} × {height}: {error}"),
                }
            }
        }
    }
}
