//! Numbers as OPA adds and multiplies decimals: binary, with more digits than a double has.
//!
//! To OPA 0.1 and 0.2 are 0.3 together, because it calculates with mantissas of 64 bits (Go's `big.Float`) and prints the
//! shortest decimal. Here it is the same, and what comes out is the nearest double: numbers between two calls have no more
//! digits than that. It deliberately knows no infinity and no zero below zero.

/// `mantissa * 2^exponent`; the highest bit of a mantissa is set, unless it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide {
    is_negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// What a mantissa of OPA's has.
pub(super) const BITS: u32 = 64;
/// What a double's has.
pub(super) const DOUBLE: u32 = 53;

impl Wide {
    pub(super) const ZERO: Self = Self {
        is_negative: false,
        mantissa: 0,
        exponent: 0,
    };
    pub(super) const ONE: Self = Self {
        is_negative: false,
        mantissa: 1 << (BITS - 1),
        exponent: 1 - BITS.cast_signed(),
    };

    /// Reads a plain decimal such as `-12.5`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-');
        let is_negative = digits.is_some();
        let (whole, fraction) = match digits.unwrap_or(text).split_once('.') {
            Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
            None => (digits.unwrap_or(text), ""),
        };
        let mut words = Vec::new();
        for digit in whole.chars().chain(fraction.chars()) {
            multiply(&mut words, 10, digit.to_digit(10)?);
        }
        // So many bits more that what remains of the division does not count.
        let places = fraction.len();
        let shifted = if places == 0 { 0 } else { 4 + places / 8 };
        words.splice(0..0, std::iter::repeat_n(0, shifted));
        let mut is_more = false;
        for _ in 0..places {
            is_more |= divide(&mut words, 10) != 0;
        }
        let exponent = i32::try_from(shifted).ok()?.checked_mul(-32)?;
        rounded(is_negative, &words, exponent, is_more)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        if self.mantissa == 0 || other.mantissa == 0 {
            return if self.mantissa == 0 { other } else { self };
        }
        let (large, small) = match self.exponent < other.exponent {
            true => (other, self),
            false => (self, other),
        };
        let one = u128::from(large.mantissa) << 63;
        let two = u128::from(small.mantissa) << 63;
        let apart = large.exponent.abs_diff(small.exponent);
        let moved = two.checked_shr(apart).unwrap_or(0);
        let is_more = moved.checked_shl(apart).unwrap_or(0) != two;
        let exponent = large.exponent - 63;
        let (is_negative, bits) = if large.is_negative == small.is_negative {
            (large.is_negative, one + moved)
        } else if one >= moved {
            // What was cut off the one that is taken away is missing from the rest.
            (large.is_negative, one - moved - u128::from(is_more))
        } else {
            (small.is_negative, moved - one)
        };
        round(is_negative, bits, exponent, is_more, BITS)
    }

    /// The product, with that many bits.
    pub(super) fn times(self, other: Self, bits: u32) -> Self {
        let product = u128::from(self.mantissa) * u128::from(other.mantissa);
        let is_negative = self.is_negative != other.is_negative;
        let exponent = self.exponent.saturating_add(other.exponent);
        round(is_negative, product, exponent, false, bits)
    }

    /// The quotient; none of nothing.
    pub(super) fn over(self, other: Self) -> Option<Self> {
        let (from, by) = (u128::from(self.mantissa) << 64, u128::from(other.mantissa));
        let (whole, rest) = (from.checked_div(by)?, from.checked_rem(by)?);
        // So many bits more that what remains does not count.
        let (more, rest) = ((rest << 62) / by, (rest << 62) % by);
        let exponent = self.exponent.saturating_sub(other.exponent);
        let exponent = exponent.saturating_sub(64 + 62);
        let is_negative = self.is_negative != other.is_negative;
        Some(round(
            is_negative,
            (whole << 62) + more,
            exponent,
            rest != 0,
            BITS,
        ))
    }

    /// The same below zero where it is above.
    pub(super) fn negated(self) -> Self {
        Self {
            is_negative: !self.is_negative && self.mantissa != 0,
            ..self
        }
    }

    /// The nearest double; none where it is beyond all of them.
    pub(super) fn as_double(self) -> Option<f64> {
        // In two steps, because half of the powers that are needed are none of a double's.
        let half = self.exponent / 2;
        let double = self.mantissa as f64 * 2_f64.powi(half) * 2_f64.powi(self.exponent - half);
        let signed = if self.is_negative { -double } else { double };
        signed.is_finite().then_some(signed)
    }
}

/// The number that is nearest to `bits * 2^exponent`, to the even one of two; `is_more` where it is a little more.
fn round(is_negative: bool, bits: u128, exponent: i32, is_more: bool, places: u32) -> Wide {
    let length = u128::BITS - bits.leading_zeros();
    if length == 0 {
        return Wide::ZERO;
    }
    let cut = length.saturating_sub(places);
    let kept = bits >> cut;
    let rest = bits - (kept << cut);
    let half = if cut == 0 { 1 } else { 1 << (cut - 1) };
    let is_up = rest > half || rest == half && cut > 0 && (is_more || kept & 1 == 1);
    let kept = kept + u128::from(is_up);
    // Rounding may have made it one bit longer.
    let length = u128::BITS - kept.leading_zeros();
    let (mantissa, moved) = match length.checked_sub(BITS) {
        Some(over) => (kept >> over, over.cast_signed()),
        None => (
            kept << (BITS - length),
            length.cast_signed() - BITS.cast_signed(),
        ),
    };
    Wide {
        is_negative,
        mantissa: u64::try_from(mantissa).unwrap_or(u64::MAX),
        exponent: exponent
            .saturating_add(cut.cast_signed())
            .saturating_add(moved),
    }
}

/// The same of a number of any length, its lowest word first.
fn rounded(is_negative: bool, words: &[u32], exponent: i32, is_more: bool) -> Option<Wide> {
    let length = words
        .iter()
        .rposition(|word| *word != 0)
        .map_or(0, |at| at + 1);
    let below = length.saturating_sub(4);
    let (low, high) = words.get(..length)?.split_at_checked(below)?;
    let bits = high
        .iter()
        .rev()
        .fold(0_u128, |bits, word| bits << 32 | u128::from(*word));
    let is_more = is_more || low.iter().any(|word| *word != 0);
    let exponent = exponent.checked_add(i32::try_from(below).ok()?.checked_mul(32)?)?;
    Some(round(is_negative, bits, exponent, is_more, BITS))
}

/// `words * by + add`.
fn multiply(words: &mut Vec<u32>, by: u32, add: u32) {
    let mut carried = u64::from(add);
    for word in words.iter_mut() {
        let product = u64::from(*word) * u64::from(by) + carried;
        *word = u32::try_from(product & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        carried = product >> 32;
    }
    if carried != 0 {
        words.push(u32::try_from(carried).unwrap_or(u32::MAX));
    }
}

/// Divides, and says what remains.
fn divide(words: &mut [u32], by: u32) -> u32 {
    let mut rest = 0_u64;
    for word in words.iter_mut().rev() {
        let part = rest << 32 | u64::from(*word);
        *word = u32::try_from(part / u64::from(by)).unwrap_or(u32::MAX);
        rest = part % u64::from(by);
    }
    u32::try_from(rest).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Wide {
        Wide::read(text).unwrap()
    }

    #[test]
    fn what_is_read_is_the_nearest_double() {
        for text in [
            "0",
            "1",
            "-2.5",
            "0.1",
            "123456789.123456",
            "0.000000000123",
            "1e0",
        ] {
            let want: Option<f64> = text.parse().ok().filter(|_| !text.contains('e'));
            let told = Wide::read(text).and_then(Wide::as_double);
            assert_eq!(told, want, "{text}");
        }
        for double in [f64::MAX, 1e300, 1e-300, 5e-300, f64::MIN_POSITIVE] {
            assert_eq!(read(&double.to_string()).as_double(), Some(double));
        }
    }

    #[test]
    fn decimals_add_up_to_decimals() {
        let sum = read("0.1").plus(read("0.2"));
        assert_eq!(sum.as_double(), Some(0.3));
        assert_eq!(sum.plus(read("-0.3")), Wide::ZERO);
        assert_eq!(read("0.7").plus(read("0.1")).as_double(), Some(0.8));
        assert_eq!(read("1").plus(read("-0.9")).as_double(), Some(0.1));
        let sum = read("100000000000000000000").plus(read("-1"));
        assert_eq!(sum.as_double(), Some(1e20));
        assert_eq!(read("-1").plus(read("3")).as_double(), Some(2.0));
    }

    #[test]
    fn a_quotient_is_as_near_as_can_be() {
        let over = |one, two| read(one).over(read(two)).and_then(Wide::as_double);
        assert_eq!(over("0.3", "3"), Some(0.1));
        assert_eq!(over("1", "3"), Some(1.0 / 3.0));
        assert_eq!(over("-7", "2"), Some(-3.5));
        assert_eq!(over("0", "2"), Some(0.0));
        assert_eq!(over("1", "0"), None);
        assert_eq!(read("2").negated().plus(read("2")), Wide::ZERO);
    }

    #[test]
    fn a_product_is_as_wide_as_is_asked() {
        let wide = Wide::ONE.times(read("0.1"), BITS).times(read("3"), BITS);
        assert_eq!(wide.as_double(), Some(0.3));
        let narrow = Wide::ONE
            .times(read("0.1"), DOUBLE)
            .times(read("3"), DOUBLE);
        assert_eq!(narrow.as_double(), Some(0.300_000_000_000_000_04));
        assert_eq!(read("-2").times(read("0"), BITS), Wide::ZERO);
    }
}
