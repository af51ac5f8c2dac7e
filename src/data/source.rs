//! The complete data sets, from which models are trained and the shipped test pictures are taken.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Dataset, Examples, PIXELS, SIDE, sheet};
use crate::random::{Random, Stream};

/// Where Debian's package `dataset-fashion-mnist` puts its files.
pub const FASHION_DIR: &str = "/usr/share/datasets/fashion-mnist";

/// Where the digits lie below the assets.
pub const DIGITS_FILE: &str = "data/digits/digits.png";

/// Test digits of each class.
const DIGITS_HELD_OUT: usize = 50;
/// The seed of the split of the digits. Every model and every shipped sheet rests on it.
const SPLIT_SEED: u64 = 0;

/// A data set, split for training and testing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What a model may learn from.
    pub train: Examples,
    /// What it never sees. The shipped test pictures are the first of these, in this order.
    pub test: Examples,
}

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}. {}", path.display(), hint(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} is not {expected}: get the file again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A sheet of shipped pictures is damaged.
    #[error("{}: {source}", path.display())]
    Sheet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: sheet::SheetError,
    },
}

fn hint(path: &Path) -> &'static str {
    if path.extension().is_some_and(|extension| extension == "gz") {
        "Install the Debian package dataset-fashion-mnist, or name the folder of its four files with --data"
    } else {
        "Run from the project's folder, or name its assets folder"
    }
}

fn read(path: PathBuf) -> Result<(PathBuf, Vec<u8>), SourceError> {
    match fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(source) => Err(SourceError::Io { path, source }),
    }
}

/// The complete data set: Fashion-MNIST from the four files in `fashion`, the digits from their sheet below `assets`.
///
/// # Errors
/// If a file is missing or damaged.
pub fn load(dataset: Dataset, fashion: &Path, assets: &Path) -> Result<Split, SourceError> {
    match dataset {
        Dataset::Fashion => Ok(Split { train: lessons(dataset, fashion, assets)?, test: idx_pair(fashion, "t10k")? }),
        Dataset::Digits => digits(assets),
    }
}

/// The part of [`load`] that a model may learn from.
///
/// # Errors
/// If a file is missing or damaged.
pub fn lessons(dataset: Dataset, fashion: &Path, assets: &Path) -> Result<Examples, SourceError> {
    match dataset {
        Dataset::Fashion => idx_pair(fashion, "train"),
        Dataset::Digits => Ok(digits(assets)?.train),
    }
}

/// The test pictures as they are shipped, read from their sheets below `assets`.
///
/// # Errors
/// If a sheet is missing or damaged.
pub fn test_pictures(assets: &Path, dataset: Dataset) -> Result<Examples, SourceError> {
    let mut pixels = Vec::with_capacity(dataset.pictures() as usize * PIXELS);
    for k in 0..sheet::count(dataset) {
        let (path, bytes) = read(assets.join(sheet::file(dataset, k)))?;
        let pictures = sheet::decode(&bytes).map_err(|source| SourceError::Sheet { path: path.clone(), source })?;
        let wanted = sheet::pictures(dataset, k) * PIXELS;
        let Some(pictures) = pictures.get(..wanted) else {
            return Err(SourceError::Format { path, expected: "a full sheet of test pictures" });
        };
        pixels.extend_from_slice(pictures);
    }
    Ok(Examples { pixels, labels: sheet::labels(dataset).to_vec() })
}

/// Pictures and labels in MNIST's IDX format, gzipped: big-endian magic number and sizes, then bytes.
fn idx_pair(folder: &Path, part: &str) -> Result<Examples, SourceError> {
    let pictures = folder.join(format!("{part}-images-idx3-ubyte.gz"));
    let labels = folder.join(format!("{part}-labels-idx1-ubyte.gz"));
    let pixels = idx(pictures, 2051, &[SIDE, SIDE], "a gzipped IDX file of 28 × 28 pictures")?;
    let labels_of = "a gzipped IDX file with one label, 0 to 9, for each picture";
    let examples = Examples { pixels, labels: idx(labels.clone(), 2049, &[], labels_of)? };
    if examples.labels.len() * PIXELS != examples.pixels.len() || examples.labels.iter().any(|&label| label > 9) {
        return Err(SourceError::Format { path: labels, expected: labels_of });
    }
    Ok(examples)
}

fn idx(path: PathBuf, magic: u32, item: &[usize], expected: &'static str) -> Result<Vec<u8>, SourceError> {
    let (path, packed) = read(path)?;
    let mut bytes = Vec::new();
    if let Err(source) = flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes) {
        return Err(SourceError::Io { path, source });
    }
    let word =
        |k: usize| bytes.get(4 * k..4 * k + 4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    let header = 4 * (2 + item.len());
    let sizes_fit = (0..item.len()).all(|k| word(2 + k) == Some(item[k] as u32));
    let length = word(1).map(|n| n as usize * item.iter().product::<usize>());
    if word(0) != Some(magic) || !sizes_fit || length.map(|length| length + header) != Some(bytes.len()) {
        return Err(SourceError::Format { path, expected });
    }
    Ok(bytes.split_off(header))
}

/// The digits: five rows of a hundred cells for each class, of which a seeded choice of 50 is held out.
fn digits(assets: &Path) -> Result<Split, SourceError> {
    const CELL: usize = 20;
    const OF_CLASS: usize = 500;
    let expected = "the 2000 × 1000 grey sheet of digits";
    let (path, bytes) = read(assets.join(DIGITS_FILE))?;
    let mut image = vec![0; 2_000_000];
    let decoded = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().and_then(|mut reader| {
        let fits = reader.output_buffer_size() == Some(image.len()) && reader.info().width == 2000;
        if fits { reader.next_frame(&mut image).map(|_| true) } else { Ok(false) }
    });
    if !matches!(decoded, Ok(true)) {
        return Err(SourceError::Format { path, expected });
    }
    let cells = sheet::cut(&image, 2000, CELL, CELL);
    let mut all = Examples { pixels: vec![0; cells.len() / (CELL * CELL) * PIXELS], labels: Vec::new() };
    let margin = (SIDE - CELL) / 2;
    for (index, cell) in cells.chunks_exact(CELL * CELL).enumerate() {
        all.labels.push((index / OF_CLASS) as u8);
        for (row, line) in cell.chunks_exact(CELL).enumerate() {
            all.pixels[index * PIXELS + (row + margin) * SIDE + margin..][..CELL].copy_from_slice(line);
        }
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for class in 0..10 {
        let mut order: Vec<usize> = (class * OF_CLASS..(class + 1) * OF_CLASS).collect();
        Random::new(SPLIT_SEED, Stream::Split, class as u64).shuffle(&mut order);
        test.extend_from_slice(&order[..DIGITS_HELD_OUT]);
        train.extend_from_slice(&order[DIGITS_HELD_OUT..]);
    }
    train.sort_unstable();
    Random::new(SPLIT_SEED, Stream::Split, 10).shuffle(&mut test);
    Ok(Split { train: all.select(&train), test: all.select(&test) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn assets() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")
    }

    #[test]
    fn fifty_digits_of_each_class_are_held_out_and_none_of_them_is_trained_on() {
        let split = digits(&assets()).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (4500, 500));
        assert_eq!(Dataset::Digits.lessons(), 4500);
        for class in 0..10 {
            assert_eq!(split.test.labels.iter().filter(|&&label| label == class).count(), 50);
        }
        let trained: std::collections::HashSet<_> = split.train.pixels.chunks_exact(PIXELS).collect();
        assert!(split.test.pixels.chunks_exact(PIXELS).all(|picture| !trained.contains(picture)));
    }

    #[test]
    fn the_shipped_digits_are_the_held_out_ones() {
        assert_eq!(test_pictures(&assets(), Dataset::Digits).unwrap(), digits(&assets()).unwrap().test);
    }

    #[test]
    fn a_missing_folder_is_named_with_what_to_do() {
        let error = load(Dataset::Fashion, Path::new("nowhere"), &assets()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("nowhere") && message.contains("dataset-fashion-mnist"), "{message}");
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.gz");
        let write = |bytes: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), Default::default());
            packed.write_all(bytes).unwrap();
            packed.finish().unwrap();
        };
        write(&[0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3]);
        assert_eq!(idx(path.clone(), 2049, &[], "labels").unwrap(), [1, 2, 3]);
        write(&[0, 0, 8, 1, 0, 0, 0, 3, 1, 2]);
        assert!(matches!(idx(path.clone(), 2049, &[], "labels"), Err(SourceError::Format { .. })));
        write(&[0, 0]);
        assert!(matches!(idx(path.clone(), 2049, &[], "labels"), Err(SourceError::Format { .. })));
    }
}
