//! Numbers as they are written, and as they are printed.

use super::form::Kind;

/// Reads `12`, `-1.5e3`, `0x1F`, `2r101`, `017`, `1/2`, `10N` and `1.5M`. Whole numbers beyond 64 bits and ratios become
/// floats, as in ClojureScript.
pub(super) fn read(word: &str) -> Option<Kind> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let whole = |digits: &str, radix: u32| {
        let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        valid.then(|| match i64::from_str_radix(digits, radix) {
            Ok(number) => Kind::Int(if negative { -number } else { number }),
            Err(_) => {
                // Decimal digits are rounded once; summing them up would round at each.
                let number = match (radix, digits.parse()) {
                    (10, Ok(number)) => number,
                    _ => digits
                        .chars()
                        .filter_map(|c| c.to_digit(radix))
                        .fold(0.0, |sum: f64, digit| sum * f64::from(radix) + f64::from(digit)),
                };
                Kind::Float(if negative { -number } else { number })
            }
        })
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return whole(hex.strip_suffix('N').unwrap_or(hex), 16);
    }
    if let Some((radix, rest)) = digits.split_once(['r', 'R']) {
        let radix = radix.parse().ok().filter(|radix| (2..=36).contains(radix))?;
        return whole(rest, radix);
    }
    if let Some((over, under)) = digits.split_once('/') {
        let part = |text: &str| {
            let valid = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
            valid.then(|| text.parse::<f64>().ok()).flatten()
        };
        let (over, under) = (part(over)?, part(under)?);
        let ratio = if negative { -over / under } else { over / under };
        return (under != 0.0).then(|| from_float(ratio));
    }
    let plain = digits.strip_suffix('N').unwrap_or(digits);
    if plain.chars().all(|c| c.is_ascii_digit()) {
        let octal = plain.len() > 1 && plain.starts_with('0');
        return whole(plain, if octal { 8 } else { 10 });
    }
    let decimal = digits.strip_suffix('M').unwrap_or(digits);
    // `parse` takes words such as "1inf" for no number, and nothing else that starts with a digit is one.
    let number: f64 = decimal.parse().ok()?;
    Some(Kind::Float(if negative { -number } else { number }))
}

/// A float as a whole number, where it is one.
pub(super) fn from_float(number: f64) -> Kind {
    match whole(number) {
        Some(whole) => Kind::Int(whole),
        None => Kind::Float(number),
    }
}

/// The whole number that a float is exactly, within the range in which floats are exact.
pub(super) fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range and the fraction were checked")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A float as JavaScript writes it.
pub(super) fn print(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    match whole(number) {
        Some(whole) => whole.to_string(),
        None if number.abs() >= 1e21 || number.abs() < 1e-6 => {
            let text = format!("{number:e}");
            if text.contains("e-") { text } else { text.replacen('e', "e+", 1) }
        }
        None => number.to_string(),
    }
}
