//! Test pictures as they are shipped: sheets of [`SHEET`] pictures, 20 to a row, in one 8-bit grey PNG file each.
//!
//! Sheets are `data/<data set>/test-<k>.png` below the assets; the last one of a data set may be shorter. Their labels
//! and content hashes are embedded in the program.

use std::sync::LazyLock;

use super::{Dataset, SHEET, SIDE};

/// Pictures in a row of a sheet.
pub const COLUMNS: usize = 20;

/// Why bytes are not a sheet of pictures.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// The bytes are not a readable PNG file.
    #[error("the sheet of test pictures is damaged ({0}): load it again")]
    Png(#[from] png::DecodingError),
    /// A PNG file, but not of the kind that sheets are.
    #[error(
        "a sheet of test pictures is 8-bit grey, {} pixels wide and 1 to 10 rows of {SIDE} pixels high, not {width} × \
         {height} {color:?} with {depth:?} bits: load it again",
        COLUMNS * SIDE
    )]
    Kind {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
        /// Its colours.
        color: png::ColorType,
        /// Its bits per sample.
        depth: png::BitDepth,
    },
}

/// How many sheets a data set has.
pub fn count(dataset: Dataset) -> usize {
    (dataset.pictures() as usize).div_ceil(SHEET)
}

/// How many pictures are on sheet `k`.
pub fn pictures(dataset: Dataset, k: usize) -> usize {
    (dataset.pictures() as usize).saturating_sub(k * SHEET).min(SHEET)
}

/// Where sheet `k` lies below the assets: `data/fashion/test-0.png`.
pub fn file(dataset: Dataset, k: usize) -> String {
    format!("data/{}/test-{k}.png", dataset.key())
}

/// The content hash of sheet `k`, the first 12 hexadecimal digits of its SHA-256; `None` if there is no such sheet.
///
/// Asked for with its hash (`?v=`), a sheet can be cached for ever.
pub fn hash(dataset: Dataset, k: usize) -> Option<&'static str> {
    static HASHES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
        include_str!("../../assets/data/sheets.txt").lines().filter_map(|line| line.split_once(' ')).collect()
    });
    let file = file(dataset, k);
    HASHES.iter().find(|(name, _)| *name == file).map(|(_, hash)| *hash)
}

/// The labels of all shipped test pictures of a data set, one class index each.
pub fn labels(dataset: Dataset) -> &'static [u8] {
    static LABELS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [include_str!("../../assets/data/fashion/labels.txt"), include_str!("../../assets/data/digits/labels.txt")]
            .map(|text| text.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect())
    });
    &LABELS[match dataset {
        Dataset::Fashion => 0,
        Dataset::Digits => 1,
    }]
}

/// Reads the PNG file of a sheet: its pictures one after the other, [`super::PIXELS`] grey values each, in the sheet's order.
///
/// # Errors
/// If the bytes are not such a file.
pub fn decode(file: &[u8]) -> Result<Vec<u8>, SheetError> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info()?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    let grey = info.color_type == png::ColorType::Grayscale && info.bit_depth == png::BitDepth::Eight;
    if !grey || width != COLUMNS * SIDE || height == 0 || height % SIDE != 0 || height > SHEET / COLUMNS * SIDE {
        return Err(SheetError::Kind {
            width: info.width,
            height: info.height,
            color: info.color_type,
            depth: info.bit_depth,
        });
    }
    let mut sheet = vec![0; width * height];
    reader.next_frame(&mut sheet)?;
    Ok(cut(&sheet, width, SIDE, SIDE))
}

/// Cuts a picture of `width` columns into cells of `cell_width` × `cell_height`, row of cells by row of cells.
pub(super) fn cut(sheet: &[u8], width: usize, cell_width: usize, cell_height: usize) -> Vec<u8> {
    let mut cells = Vec::with_capacity(sheet.len());
    for band in sheet.chunks_exact(width * cell_height) {
        for column in (0..width).step_by(cell_width) {
            for line in band.chunks_exact(width) {
                cells.extend_from_slice(&line[column..column + cell_width]);
            }
        }
    }
    cells
}

/// Lays pictures out as [`decode`] reads them; the last row is filled up with black.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn lay_out(pictures: &[u8]) -> (Vec<u8>, usize, usize) {
    let (width, height) = (COLUMNS * SIDE, (pictures.len() / (SIDE * SIDE)).div_ceil(COLUMNS) * SIDE);
    let mut sheet = vec![0; width * height];
    for (index, picture) in pictures.chunks_exact(SIDE * SIDE).enumerate() {
        let corner = index / COLUMNS * SIDE * width + index % COLUMNS * SIDE;
        for (row, line) in picture.chunks_exact(SIDE).enumerate() {
            sheet[corner + row * width..][..SIDE].copy_from_slice(line);
        }
    }
    (sheet, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::PIXELS;

    fn png(width: usize, height: usize, color: png::ColorType, bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        file
    }

    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn pictures_come_out_of_a_sheet_as_they_went_in() {
        let pictures: Vec<u8> = (0..3 * COLUMNS * PIXELS).map(|i| (i * 7 % 251) as u8).collect();
        let (sheet, width, height) = lay_out(&pictures);
        assert_eq!((width, height), (560, 84));
        assert_eq!(decode(&png(width, height, png::ColorType::Grayscale, &sheet)).unwrap(), pictures);
    }

    #[test]
    fn what_is_not_a_sheet_is_refused() {
        assert!(matches!(decode(b"a text file"), Err(SheetError::Png(_))));
        let small = png(28, 28, png::ColorType::Grayscale, &[0; PIXELS]);
        assert!(matches!(decode(&small), Err(SheetError::Kind { width: 28, .. })));
        let coloured = png(560, 28, png::ColorType::Rgb, &[0; 560 * 28 * 3]);
        assert!(matches!(decode(&coloured), Err(SheetError::Kind { .. })));
        let whole = png(560, 280, png::ColorType::Grayscale, &[9; 560 * 280]);
        assert!(matches!(decode(&whole[..whole.len() / 2]), Err(SheetError::Png(_))));
    }

    #[test]
    fn every_picture_has_a_label_and_every_sheet_a_hash() {
        for dataset in Dataset::ALL {
            assert_eq!(labels(dataset).len(), dataset.pictures() as usize);
            assert!(labels(dataset).iter().all(|&label| (label as usize) < dataset.classes().len()));
            assert_eq!((0..count(dataset)).map(|k| pictures(dataset, k)).sum::<usize>(), labels(dataset).len());
            assert!((0..count(dataset)).all(|k| hash(dataset, k).is_some_and(|hash| hash.len() == 12)));
            assert_eq!(hash(dataset, count(dataset)), None);
        }
    }
}
