//! `epsilon-lab pack`: compresses the files of a built page once, so that the server sends them as they are.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use clap::Args;
use rayon::prelude::*;

/// Compress the files of a built page.
///
/// Writes FILE.br (brotli, level 11) and FILE.gz (gzip, level 9) beside every file of at least 1 kB that gets at least
/// 3 % smaller. What is up to date is left alone.
#[derive(Debug, Args)]
pub struct Pack {
    /// Folder of the built page
    #[arg(value_name = "DIST", default_value = "dist")]
    dist: PathBuf,
}

/// Smaller files are sent as they are: they fit in one packet anyway.
const SMALLEST: u64 = 1000;
/// What is compressed already, or is our own output.
const COMPRESSED: [&str; 9] = ["br", "gz", "png", "jpg", "jpeg", "webp", "avif", "woff2", "zip"];

/// What was done to a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Files looked at.
    pub files: usize,
    /// Of those, files that had been compressed before and have not changed since.
    pub up_to_date: usize,
    /// Bytes of all files.
    pub plain: u64,
    /// Bytes that a browser with brotli loads for them.
    pub brotli: u64,
    /// Bytes that a browser with only gzip loads for them.
    pub gzip: u64,
}

impl Pack {
    /// Compresses and says how much it gained.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn run(self) -> anyhow::Result<()> {
        let Packed { files, up_to_date, plain, brotli, gzip } = pack(&self.dist)?;
        let kb = |bytes: u64| bytes as f64 / 1000.0;
        println!(
            "{files} files ({up_to_date} up to date): {:.1} kB, {:.1} kB as brotli, {:.1} kB as gzip",
            kb(plain),
            kb(brotli),
            kb(gzip)
        );
        Ok(())
    }
}

/// Compresses every file below a folder that is worth it.
///
/// # Errors
/// If a file cannot be read or written.
pub fn pack(folder: &Path) -> anyhow::Result<Packed> {
    let mut files = Vec::new();
    list(folder, &mut files).with_context(|| format!("cannot read the folder “{}”", folder.display()))?;
    files
        .par_iter()
        .map(|file| pack_file(file).with_context(|| format!("cannot compress “{}”", file.display())))
        .try_reduce(Packed::default, |a, b| {
            Ok(Packed {
                files: a.files + b.files,
                up_to_date: a.up_to_date + b.up_to_date,
                plain: a.plain + b.plain,
                brotli: a.brotli + b.brotli,
                gzip: a.gzip + b.gzip,
            })
        })
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if !path.extension().is_some_and(|end| matches!(end.to_str(), Some("br" | "gz"))) {
            files.push(path);
        }
    }
    Ok(())
}

fn pack_file(file: &Path) -> io::Result<Packed> {
    let about = fs::metadata(file)?;
    let (plain, changed) = (about.len(), about.modified()?);
    let mut packed = Packed { files: 1, plain, brotli: plain, gzip: plain, up_to_date: 0 };
    let compressed = file.extension().and_then(|end| end.to_str()).is_some_and(|end| COMPRESSED.contains(&end));
    if plain < SMALLEST || compressed {
        return Ok(packed);
    }
    let brotli_file = beside(file, "br");
    let gzip_file = beside(file, "gz");
    if let (Some(brotli), Some(gzip)) = (size_if_of(&brotli_file, changed), size_if_of(&gzip_file, changed)) {
        return Ok(Packed { brotli, gzip, up_to_date: 1, ..packed });
    }
    let content = fs::read(file)?;
    packed.brotli = keep(&brotli_file, &content, brotli(&content)?, changed)?;
    packed.gzip = keep(&gzip_file, &content, gzip(&content)?, changed)?;
    Ok(packed)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// The size of a compressed file, if it was made of the original as it is now: it carries the original's time.
fn size_if_of(file: &Path, changed: SystemTime) -> Option<u64> {
    let about = fs::metadata(file).ok()?;
    (about.modified().ok()? == changed).then_some(about.len())
}

/// Keeps a compressed form if it is at least 3 % smaller, and removes an older one if not. Returns the bytes to load.
fn keep(file: &Path, content: &[u8], compressed: Vec<u8>, changed: SystemTime) -> io::Result<u64> {
    if compressed.len() * 100 > content.len() * 97 {
        return match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(content.len() as u64),
        };
    }
    // Written beside and renamed: a server that is running never sends half a file.
    let unfinished = beside(file, "new");
    let mut out = fs::File::create(&unfinished)?;
    out.write_all(&compressed)?;
    out.set_modified(changed)?;
    drop(out);
    fs::rename(&unfinished, file)?;
    Ok(compressed.len() as u64)
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 24,
        size_hint: content.len(),
        ..brotli::enc::BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &content[..], &mut compressed, &params)?;
    Ok(compressed)
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::random::{Random, Stream};

    fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn text() -> Vec<u8> {
        "the same line again and again\n".repeat(200).into_bytes()
    }

    #[test]
    fn both_compressed_forms_unpack_to_the_file() {
        let folder = folder_with(&[("deep/page.js", &text())]);
        let packed = pack(folder.path()).unwrap();
        let (mut brotli, mut gzip) = (Vec::new(), Vec::new());
        let open = |name| fs::File::open(folder.path().join(name)).unwrap();
        brotli::Decompressor::new(open("deep/page.js.br"), 4096).read_to_end(&mut brotli).unwrap();
        flate2::read::GzDecoder::new(open("deep/page.js.gz")).read_to_end(&mut gzip).unwrap();
        assert_eq!(brotli, text());
        assert_eq!(gzip, text());
        assert!(packed.brotli < packed.plain / 10 && packed.gzip < packed.plain / 10, "{packed:?}");
    }

    #[test]
    fn small_files_pictures_and_noise_are_left_alone() {
        let mut random = Random::new(0, Stream::Order, 0);
        let noise: Vec<u8> = (0..5000).map(|_| random.below(256) as u8).collect();
        let folder =
            folder_with(&[("small.js", &text()[..900]), ("picture.png", &text()), ("weights.safetensors", &noise)]);
        let packed = pack(folder.path()).unwrap();
        assert_eq!((packed.files, packed.brotli, packed.gzip), (3, packed.plain, packed.plain));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_has_not_changed_is_not_compressed_again_and_what_has_is() {
        let folder = folder_with(&[("page.js", &text())]);
        let first = pack(folder.path()).unwrap();
        assert_eq!(first.up_to_date, 0);
        assert_eq!(pack(folder.path()).unwrap(), Packed { up_to_date: 1, ..first });
        // Older than before, as when an earlier build is put back.
        let page = fs::File::create(folder.path().join("page.js")).unwrap();
        (&page).write_all(&text()[..4000]).unwrap();
        page.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let second = pack(folder.path()).unwrap();
        assert_eq!((second.up_to_date, second.plain), (0, 4000));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(fs::File::open(folder.path().join("page.js.gz")).unwrap())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text()[..4000]);
    }

    #[test]
    fn a_compressed_form_that_no_longer_pays_is_removed() {
        let folder = folder_with(&[("data.bin", &text())]);
        pack(folder.path()).unwrap();
        let mut random = Random::new(1, Stream::Order, 0);
        let noise: Vec<u8> = (0..5000).map(|_| random.below(256) as u8).collect();
        fs::write(folder.path().join("data.bin"), noise).unwrap();
        pack(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
