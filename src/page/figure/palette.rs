//! Colours: ten for classes, one diverging scale for signed values, grey for pictures.
//!
//! The class colours were searched for the greatest least distance in OKLab, on light and on dark paper, to normal
//! sight and to protanopic, deuteranopic and tritanopic sight as simulated by Machado, Oliveira and Fernandes (2009).
//! A class is never told by its colour alone: it has a symbol and its name beside it.

use std::sync::OnceLock;

/// Where no class is known.
pub const UNKNOWN: u8 = 255;
/// How many classes have a colour of their own.
pub const CLASSES: usize = 10;

/// A colour in sRGB, 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

const fn hex(value: u32) -> Rgb {
    Rgb((value >> 16) as u8, (value >> 8) as u8, value as u8)
}

const LIGHT: [Rgb; CLASSES] = [
    hex(0x006caa),
    hex(0x745862),
    hex(0xba4b00),
    hex(0x701d70),
    hex(0x50bdbd),
    hex(0x9c8971),
    hex(0xc4aa04),
    hex(0x728be3),
    hex(0x342ab1),
    hex(0x8d000d),
];

const DARK: [Rgb; CLASSES] = [
    hex(0x4298d9),
    hex(0xa0828c),
    hex(0xeb773f),
    hex(0xa04b9e),
    hex(0x7de8e7),
    hex(0xc7b29a),
    hex(0xeed44e),
    hex(0xa1b8ff),
    hex(0x565de5),
    hex(0xc0413b),
];

const SYMBOLS: [&str; CLASSES] = ["●", "■", "▲", "◆", "▼", "○", "□", "△", "◇", "▽"];

/// The colour of a class on light or dark paper.
pub fn class(class: usize, dark: bool) -> Rgb {
    if dark { DARK[class % CLASSES] } else { LIGHT[class % CLASSES] }
}

/// The symbol of a class.
pub fn symbol(class: usize) -> &'static str {
    SYMBOLS[class % CLASSES]
}

impl Rgb {
    /// As CSS writes it: `#rrggbb`.
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// As CSS writes it, with an opacity from 0 to 1.
    pub fn css_alpha(self, alpha: f64) -> String {
        format!("rgb({} {} {} / {alpha:.2})", self.0, self.1, self.2)
    }

    /// Relative luminance as WCAG defines it, 0 to 1.
    pub fn luminance(self) -> f32 {
        let [r, g, b] = self.linear();
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// The mixture with another colour in OKLab: this one at 0, the other one at 1.
    pub fn mix(self, other: Self, share: f32) -> Self {
        let (a, b) = (self.oklab(), other.oklab());
        Self::from_oklab(std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share))
    }

    /// In linear light, 0 to 1.
    pub fn linear(self) -> [f32; 3] {
        [self.0, self.1, self.2].map(|value| {
            let value = f32::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { libm::powf((value + 0.055) / 1.055, 2.4) }
        })
    }

    /// From linear light; what lies outside sRGB is clipped.
    pub fn from_linear(linear: [f32; 3]) -> Self {
        let [r, g, b] = linear.map(|value| {
            let value = value.clamp(0.0, 1.0);
            let value = if value <= 0.003_130_8 { 12.92 * value } else { 1.055 * libm::powf(value, 1.0 / 2.4) - 0.055 };
            libm::roundf(255.0 * value) as u8
        });
        Self(r, g, b)
    }

    /// In OKLab (Ottosson 2020), where equal distances look about equally far.
    pub fn oklab(self) -> [f32; 3] {
        let [r, g, b] = self.linear();
        let l = libm::cbrtf(0.412_221_5 * r + 0.536_332_55 * g + 0.051_445_995 * b);
        let m = libm::cbrtf(0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b);
        let s = libm::cbrtf(0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b);
        [
            0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
            1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
            0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
        ]
    }

    fn from_oklab([lightness, a, b]: [f32; 3]) -> Self {
        let cube = |value: f32| value * value * value;
        let l = cube(lightness + 0.396_337_78 * a + 0.215_803_76 * b);
        let m = cube(lightness - 0.105_561_346 * a - 0.063_854_17 * b);
        let s = cube(lightness - 0.089_484_18 * a - 1.291_485_5 * b);
        Self::from_linear([
            4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
            -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
            -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
        ])
    }
}

/// The two ends of the diverging scale, equally dark and equally colourful in OKLab. White lies at zero in every theme.
const NEGATIVE: Rgb = hex(0x005bb3);
const POSITIVE: Rgb = hex(0xa23102);
const STEPS: usize = 128;

/// The colour of a signed value, −1 to 1: blue, white at zero, orange-red.
pub fn diverging(value: f32) -> Rgb {
    static TABLE: OnceLock<[Rgb; 2 * STEPS + 1]> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        std::array::from_fn(|i| {
            let share = (i as f32 - STEPS as f32) / STEPS as f32;
            Rgb(255, 255, 255).mix(if share < 0.0 { NEGATIVE } else { POSITIVE }, share.abs())
        })
    });
    let index = libm::roundf(value.clamp(-1.0, 1.0) * STEPS as f32) as i32 + STEPS as i32;
    table[index as usize]
}

/// Fills RGBA pixels with grey values from 0 (black) to 1 (white). What is not finite is left transparent.
pub fn paint_grey(values: &[f32], rgba: &mut [u8]) {
    for (&value, pixel) in values.iter().zip(rgba.chunks_exact_mut(4)) {
        let grey = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        pixel.copy_from_slice(&[grey, grey, grey, if value.is_finite() { 255 } else { 0 }]);
    }
}

/// Fills RGBA pixels with signed values from −`limit` to `limit`. What is not finite is left transparent.
pub fn paint_signed(values: &[f32], limit: f32, rgba: &mut [u8]) {
    let scale = if limit > 0.0 { 1.0 / limit } else { 0.0 };
    for (&value, pixel) in values.iter().zip(rgba.chunks_exact_mut(4)) {
        if value.is_finite() {
            let Rgb(r, g, b) = diverging(value * scale);
            pixel.copy_from_slice(&[r, g, b, 255]);
        } else {
            pixel.copy_from_slice(&[0; 4]);
        }
    }
}

/// The colour of a decision region on paper, for a probability from 0 to 1.
pub fn region(paper: Rgb, class: Rgb, probability: f32) -> Rgb {
    // Of ten classes none is predicted with less than a tenth.
    let certainty = ((probability - 0.1) / 0.9).clamp(0.0, 1.0);
    paper.mix(class, 0.12 + 0.68 * certainty)
}

/// The colours of decision regions: a class's colour, the paler the less certain the network is.
pub struct Regions {
    table: Vec<[u8; 4]>,
}

impl Regions {
    /// For one theme's paper.
    pub fn new(paper: Rgb, dark: bool) -> Self {
        let shade = |class: usize, confidence: usize| {
            let Rgb(r, g, b) = region(paper, self::class(class, dark), confidence as f32 / 255.0);
            [r, g, b, 255]
        };
        Self { table: (0..CLASSES * 256).map(|i| shade(i / 256, i % 256)).collect() }
    }

    /// The colour of a class at a confidence from 0 to 255; nothing where no class is known.
    pub fn colour(&self, class: u8, confidence: u8) -> [u8; 4] {
        if class == UNKNOWN {
            return [0; 4];
        }
        self.table[usize::from(class) % CLASSES * 256 + usize::from(confidence)]
    }
}
