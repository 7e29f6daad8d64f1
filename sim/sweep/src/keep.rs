//! Conditions that drop points: two names or numbers, compared.

use std::cmp::Ordering;

use pagewalk_input::size;

use super::point::Values;

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    Above,
}

/// Longer signs first: `<` begins `<=`.
const SIGNS: [(&str, Relation); 6] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("!=", Relation::Unequal),
    ("==", Relation::Equal),
    ("<", Relation::Below),
    (">", Relation::Above),
];

/// A condition, as `tlb.l2[0].ways <= 8`.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    left: String,
    relation: Relation,
    right: String,
}

impl Condition {
    /// Reads one.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let found = SIGNS.iter().filter_map(|&(sign, relation)| Some((text.find(sign)?, sign, relation)));
        let (at, sign, relation) =
            found.min_by_key(|&(at, sign, _)| (at, std::cmp::Reverse(sign.len()))).ok_or_else(|| {
                format!("`{text}` compares nothing; expected <, <=, ==, !=, >= or > between two values")
            })?;
        let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
        if left.is_empty() || right.is_empty() {
            return Err(format!("`{text}` lacks a side"));
        }
        Ok(Self { left: left.to_owned(), relation, right: right.to_owned() })
    }

    /// Refuses what is neither a name nor a number where one has to be.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self, is_name: impl Fn(&str) -> bool) -> Result<(), String> {
        let sides = [&self.left, &self.right];
        let names = "the sweep neither sets nor varies";
        if let Some(odd) = sides.into_iter().find(|side| !is_name(side) && number(side).is_none())
            && (!matches!(self.relation, Relation::Equal | Relation::Unequal)
                || !sides.into_iter().any(|side| is_name(side)))
        {
            return Err(format!("`{odd}` is no number, and a name that {names}"));
        }
        match sides.into_iter().any(|side| is_name(side)) {
            true => Ok(()),
            false => Err(format!("`{}` and `{}`: the same for every point", self.left, self.right)),
        }
    }

    /// Whether a point meets it: a side that names one of its values stands for that. Where one of the values is no number, as `full`, it is
    /// neither above nor below, and every order holds.
    #[must_use]
    pub(crate) fn holds(&self, values: &Values) -> bool {
        let side = |word: &str| values.get(word).cloned().unwrap_or_else(|| word.into());
        let (left, right) = (side(&self.left), side(&self.right));
        let order = number(&left).zip(number(&right)).map(|(left, right)| left.cmp(&right));
        let same = order.map_or(left == right, Ordering::is_eq);
        match self.relation {
            Relation::Below => order.is_none_or(Ordering::is_lt),
            Relation::AtMost => order.is_none_or(Ordering::is_le),
            Relation::Equal => same,
            Relation::Unequal => !same,
            Relation::AtLeast => order.is_none_or(Ordering::is_ge),
            Relation::Above => order.is_none_or(Ordering::is_gt),
        }
    }
}

/// A number, a percentage or a size.
fn number(text: &str) -> Option<u64> {
    text.strip_suffix('%').unwrap_or(text).trim().parse().ok().or_else(|| size::parse(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_their_values_and_numbers_for_themselves() {
        let values: Values = [("a", "8"), ("b", "16"), ("m", "50%"), ("s", "64 MiB"), ("trace", "x.pwt")]
            .map(|(n, v)| (n.into(), v.into()))
            .into();
        let holds = |text: &str| Condition::parse(text).expect("right").holds(&values);
        for right in [
            "a < b",
            "a<=8",
            "b >= a",
            "m > 25",
            "s == 67108864",
            "trace == x.pwt",
            "trace != y.pwt",
            "9 > a",
            "trace > 3",
        ] {
            assert!(holds(right), "{right}");
        }
        for wrong in ["a > b", "b == a", "m < 25", "trace == y.pwt"] {
            assert!(!holds(wrong), "{wrong}");
        }
        let known = |name: &str| values.contains_key(name);
        for (text, right) in [
            ("a > b", true),
            ("trace == y.pwt", true),
            ("y.pwt != trace", true),
            ("9 >= a", true),
            ("a < c", false),
            ("c == d", false),
            ("1 < 2", false),
            ("m < lots", false),
        ] {
            assert_eq!(Condition::parse(text).expect("right").check(known).is_ok(), right, "{text}");
        }
        for broken in ["a", "", "a <", "== b", "a = b"] {
            assert!(Condition::parse(broken).is_err(), "{broken}");
        }
    }
}
