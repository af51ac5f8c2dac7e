//! Makes the shipped test pictures: sheets, labels and hashes below the assets. Same input, same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::source::{self, SourceError};
use super::{Dataset, PIXELS, SHEET, sheet};

/// Why the test pictures cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A data set cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A sheet cannot be encoded.
    #[error("cannot encode a sheet of pictures: {0}")]
    Encode(String),
}

/// Options of `epsilon-lab prepare-data`: make the shipped test pictures from the complete data sets.
#[derive(Clone, Debug, clap::Args)]
pub struct PrepareData {
    /// The folder of Fashion-MNIST's four files
    #[arg(long, value_name = "DIR", default_value = source::FASHION_DIR)]
    pub data: PathBuf,
    /// The assets folder; it holds data/digits/digits.png and takes what is made
    #[arg(long, value_name = "DIR", default_value = "assets")]
    pub assets: PathBuf,
}

impl PrepareData {
    /// Does it, telling `wrote` of each file and its size in bytes.
    ///
    /// # Errors
    /// If a data set cannot be read or a file not be written.
    pub fn run(&self, mut wrote: impl FnMut(&Path, usize)) -> Result<(), PublishError> {
        let mut hashes = String::new();
        for dataset in Dataset::ALL {
            let shipped = source::load(dataset, &self.data, &self.assets)?.test.first(dataset.pictures() as usize);
            for (k, pictures) in shipped.pixels.chunks(SHEET * PIXELS).enumerate() {
                let name = sheet::file(dataset, k);
                let file = encode(pictures)?;
                hashes += &format!("{name} {}\n", short_hash(&file));
                self.write(&name, &file, &mut wrote)?;
            }
            let digits: Vec<u8> = shipped.labels.iter().map(|label| b'0' + label).collect();
            let lines: Vec<u8> = digits.chunks(100).flat_map(|line| [line, b"\n"].concat()).collect();
            self.write(&format!("data/{}/labels.txt", dataset.key()), &lines, &mut wrote)?;
        }
        self.write("data/sheets.txt", hashes.as_bytes(), &mut wrote)
    }

    fn write(&self, name: &str, bytes: &[u8], wrote: &mut impl FnMut(&Path, usize)) -> Result<(), PublishError> {
        let path = self.assets.join(name);
        let folder = path.parent().unwrap_or(&self.assets);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|source| PublishError::Write { path: path.clone(), source })?;
        wrote(&path, bytes.len());
        Ok(())
    }
}

/// The first 12 hexadecimal digits of the bytes' SHA-256.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// A sheet as a PNG file, as small as Zopfli makes it; always 8-bit grey, so that every reader gets the same bytes.
fn encode(pictures: &[u8]) -> Result<Vec<u8>, PublishError> {
    let (pixels, width, height) = sheet::lay_out(pictures);
    let encode = |error: oxipng::PngError| PublishError::Encode(error.to_string());
    let color = oxipng::ColorType::Grayscale { transparent_shade: None };
    let image =
        oxipng::RawImage::new(width as u32, height as u32, color, oxipng::BitDepth::Eight, pixels).map_err(encode)?;
    let mut options = oxipng::Options::max_compression();
    options.deflater = oxipng::Deflater::Zopfli(Default::default());
    (options.bit_depth_reduction, options.color_type_reduction) = (false, false);
    (options.palette_reduction, options.grayscale_reduction) = (false, false);
    options.interlace = Some(false);
    image.create_optimized_png(&options).map_err(encode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_hashes_are_those_of_the_shipped_sheets() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        for dataset in Dataset::ALL {
            for k in 0..sheet::count(dataset) {
                let file = fs::read(assets.join(sheet::file(dataset, k))).unwrap();
                assert_eq!(sheet::hash(dataset, k), Some(short_hash(&file).as_str()), "{dataset} {k}");
            }
        }
    }

    #[test]
    fn an_encoded_sheet_reads_back() {
        let pictures: Vec<u8> = (0..sheet::COLUMNS * PIXELS).map(|i| (i / 40 % 256) as u8).collect();
        let file = encode(&pictures).unwrap();
        assert_eq!(sheet::decode(&file).unwrap(), pictures);
    }
}
