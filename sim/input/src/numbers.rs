//! Numbers as people read them.

/// A number in groups of three digits: `1 000 000`.
#[must_use]
pub fn group(number: u64) -> String {
    group_wide(u128::from(number))
}

/// As [`group`], for sums that may exceed 64 bits.
#[must_use]
pub fn group_wide(number: u128) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}
