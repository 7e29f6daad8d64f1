//! Words of a command line, as a shell takes them.

/// The word, quoted so that it stands for itself.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The same, as it is where nothing in it means anything to a shell.
#[must_use]
pub fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { quoted(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_a_shell_is_quoted() {
        assert_eq!(word("--set"), "--set");
        assert_eq!(word("memory.frames=64 MiB"), "'memory.frames=64 MiB'");
        assert_eq!((word(""), word("it's")), ("''".into(), r"'it'\''s'".into()));
        assert_eq!(quoted("a"), "'a'");
    }
}
