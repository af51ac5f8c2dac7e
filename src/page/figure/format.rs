//! Numbers as the page writes them: one place, so that a number looks the same wherever it stands.

use crate::threat::Norm;

/// Joins a number and its unit without a line break between them.
const SPACE: char = '\u{a0}';
/// The sign of negative numbers.
const MINUS: char = '\u{2212}';
/// What stands for a number that is not there or not finite.
const NOTHING: &str = "–";

/// A number with so many significant digits and no trailing zeros: 0.0345, 12.3, 1234.
pub fn number(value: f32, digits: usize) -> String {
    if !value.is_finite() {
        return NOTHING.into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let value = f64::from(value);
    let exponent = libm::floor(libm::log10(libm::fabs(value))) as i32;
    if exponent < -4 {
        return format!(
            "{:.1}{SPACE}·{SPACE}10{}",
            value / libm::pow(10.0, f64::from(exponent)),
            superscript(exponent)
        )
        .replace('-', "\u{2212}");
    }
    let decimals = (digits as i32 - 1 - exponent).clamp(0, 9) as usize;
    let mut text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    with_minus(text)
}

/// A number with its sign, for the ends of a diverging scale: +0.1, −0.1.
pub fn signed(value: f32, digits: usize) -> String {
    let text = number(value, digits);
    if value > 0.0 && value.is_finite() { format!("+{text}") } else { text }
}

/// A number with exactly so many decimals, for columns that are read downwards: 0.70, 12.00.
pub fn fixed(value: f32, decimals: usize) -> String {
    if value.is_finite() { with_minus(format!("{value:.decimals$}")) } else { NOTHING.into() }
}

/// A probability as a percentage with one decimal. What is not quite certain is never written as 0 or 100.
pub fn percent(probability: f32) -> String {
    let value = probability * 100.0;
    match value {
        v if !v.is_finite() => NOTHING.into(),
        v if v > 0.0 && v < 0.05 => format!("<0.1{SPACE}%"),
        v if (99.95..100.0).contains(&v) => format!(">99.9{SPACE}%"),
        v => format!("{v:.1}{SPACE}%"),
    }
}

/// A probability as a percentage without decimals, where space is short.
pub fn percent_short(probability: f32) -> String {
    let value = probability * 100.0;
    match value {
        v if !v.is_finite() => NOTHING.into(),
        v if v > 0.0 && v < 0.5 => format!("<1{SPACE}%"),
        v if (99.5..100.0).contains(&v) => format!(">99{SPACE}%"),
        v => format!("{v:.0}{SPACE}%"),
    }
}

/// ε in the unit of pixels in [0, 1].
pub fn epsilon(value: f32) -> String {
    number(value, 3)
}

/// ε of a norm with its second unit where that means something: "0.1 (25.5/255)" for L∞, "1.5" for L2.
pub fn epsilon_in_units(value: f32, norm: Norm) -> String {
    match norm {
        Norm::Linf => format!("{} ({})", epsilon(value), in_255ths(value)),
        Norm::L1 | Norm::L2 => epsilon(value),
    }
}

/// A change of a pixel in grey levels: 0.1 is "25.5/255".
pub fn in_255ths(value: f32) -> String {
    if !value.is_finite() {
        return NOTHING.into();
    }
    format!("{}/255", number(libm::roundf(value * 2550.0) / 10.0, 4))
}

/// A duration: "0.8 ms", "12 ms", "1.4 s".
pub fn milliseconds(value: f32) -> String {
    match value {
        v if !v.is_finite() => NOTHING.into(),
        v if v < 9.95 => format!("{v:.1}{SPACE}ms"),
        v if v < 1000.0 => format!("{v:.0}{SPACE}ms"),
        v => format!("{:.1}{SPACE}s", v / 1000.0),
    }
}

/// A number as CSV programs read it: point, ASCII minus, as many digits as tell it from its neighbours.
pub fn csv(value: f32) -> String {
    if value.is_finite() { format!("{value}") } else { String::new() }
}

fn with_minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|b| b == b'0' || b == b'.') => digits.into(),
        Some(digits) => format!("{MINUS}{digits}"),
        None => text,
    }
}

fn superscript(exponent: i32) -> String {
    let digit = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32('⁰' as u32 + c as u32 - '0' as u32).unwrap_or(c),
    };
    exponent.to_string().chars().map(digit).collect()
}
