//! "Did you mean": the candidate nearest to what was typed, by edit distance.

/// Longest word compared, in characters: keeps the cost bounded whatever is typed.
const LONGEST: usize = 80;

/// The number of single-character insertions, removals and replacements that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The candidate nearest to `word`, if one is near enough to be a slip; the first of equals.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |text: &str| -> Vec<char> { text.to_lowercase().chars().take(LONGEST).collect() };
    let typed = letters(word);
    let scored = candidates.into_iter().map(|candidate| {
        let known = letters(candidate);
        (distance(&typed, &known), known.len().max(typed.len()), candidate)
    });
    let near = scored.filter(|(distance, length, _)| *distance <= (length / 3).max(1) && distance < length);
    near.min_by_key(|(distance, ..)| *distance).map(|(.., candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let words = ["entries", "ways", "page_sizes", "replacement"];
        assert_eq!(nearest("entires", words), Some("entries"));
        assert_eq!(nearest("Ways", words), Some("ways"));
        assert_eq!(nearest("pagesizes", words), Some("page_sizes"));
        assert_eq!(nearest("xyzzy", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"e".repeat(1_000_000), words), None);
    }

    #[test]
    fn distances_are_those_of_the_definition() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, steps) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ab", "ba", 2)] {
            assert_eq!(distance(&chars(a), &chars(b)), steps, "{a} {b}");
            assert_eq!(distance(&chars(b), &chars(a)), steps, "{b} {a}");
        }
    }
}
