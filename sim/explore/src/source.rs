//! The kernel's text by place: which function a step stands in, which step of the protocol it is, and the line itself.

use std::panic::Location;

use include_dir::Dir;

/// A package whose steps are told: where its files were when it was compiled, and their text.
type Package = (&'static str, fn(&str) -> Option<&'static str>);

const PACKAGES: [Package; 6] = [
    (pagewalk_pagecache::SOURCE_ROOT, |file| text(&pagewalk_pagecache::SOURCE, file)),
    (pagewalk_kernel::SOURCE_ROOT, |file| text(&pagewalk_kernel::SOURCE, file)),
    (pagewalk_swap::SOURCE_ROOT, |file| text(&pagewalk_swap::SOURCE, file)),
    (pagewalk_pages::SOURCE_ROOT, |file| text(&pagewalk_pages::SOURCE, file)),
    (pagewalk_mmu::SOURCE_ROOT, |file| text(&pagewalk_mmu::SOURCE, file)),
    // What a scenario's operations do themselves, around the paths that they call.
    (file!(), |file| (file == "scenario/ops.rs").then_some(include_str!("scenario/ops.rs"))),
];

/// The functions whose numbers are those of a lookup: find, reference, compare. Everywhere else a number is one of the path's own list.
const LOOKUPS: [&str; 4] =
    ["find_get_page", "page_cache_get_speculative", "is_still_there", "get_speculative"];

fn text(source: &Dir<'static>, file: &str) -> Option<&'static str> {
    // Copied out of the borrow: what is included lives as long as the program.
    let file = source.get_file(file)?;
    std::str::from_utf8(file.contents()).ok()
}

/// Where a step stands in the kernel's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    /// The function: `__remove_mapping`.
    pub path: &'static str,
    /// The step of the protocol, if it is one: 1, 2 or 3 of a lookup, A, B or C of a removal.
    pub protocol: Option<&'static str>,
    /// The line, without indentation.
    pub line: &'static str,
}

/// The place of `location`; `None` if no package's text has it.
pub(crate) fn source_place(location: &Location<'_>) -> Option<SourcePlace> {
    let text = PACKAGES.iter().find_map(|(root, text)| {
        // `lib.rs` or this file: what stands before its name is the directory of the package's text.
        let directory = root.rfind(['/', '\\']).map_or("", |end| &root[..=end]);
        text(&location.file().strip_prefix(directory)?.replace('\\', "/"))
    })?;
    let lines: Vec<&str> = text.lines().collect();
    place(&lines, location.line() as usize)
}

/// The same in the lines of a file, counted from 1.
fn place(lines: &[&'static str], number: usize) -> Option<SourcePlace> {
    let line = lines.get(number.checked_sub(1)?)?.trim();
    let signature = (0..number).rev().find(|&n| function(lines[n]).is_some())?;
    let path = function(lines[signature])?;
    let label = labelled(lines, signature, number - 1).or_else(|| label_of_function(lines, signature));
    let protocol = label.and_then(|(number, letter)| letter.or(number.filter(|_| LOOKUPS.contains(&path))));
    Some(SourcePlace { path, protocol, line })
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let (before, after) = code.split_once("fn ")?;
    let qualifies = |word: &str| matches!(word, "async" | "const") || word.starts_with("pub");
    // `pub(in a path)` has words of its own, which nobody uses here.
    if !before.split_whitespace().all(qualifies) {
        return None;
    }
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&after[..end]).filter(|name| !name.is_empty())
}

/// A number of a list and a letter of a removal.
type Label<'t> = (Option<&'t str>, Option<&'t str>);

/// The label of the line at `at`, within a function that begins at `signature`: what stands behind it, or above the statement that it
/// belongs to.
fn labelled<'t>(lines: &[&'t str], signature: usize, at: usize) -> Option<Label<'t>> {
    if let Some((_, comment)) = lines[at].split_once("; // ") {
        return label(comment);
    }
    let begin = (signature + 1..=at).rev().find(|&n| lines[n].trim_start().starts_with("// "))?;
    // The first line of that comment has the label.
    let is_comment = |n: &usize| lines[*n].trim_start().starts_with("// ");
    let first = (signature + 1..=begin).rev().take_while(is_comment).last()?;
    let indent = indentation(lines[first]);
    // It belongs to one statement, and the next begins where a line is as far in that does not go on with this one.
    let goes_on = |n: usize| lines[n].trim_start().starts_with(['}', ')', ']', '.']);
    let over = (begin + 2..=at).any(|n| indentation(lines[n]) == indent && !goes_on(n));
    if over { None } else { label(lines[first].trim_start().trim_start_matches("// ")) }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The label with which the documentation of a function begins.
fn label_of_function<'t>(lines: &[&'t str], signature: usize) -> Option<Label<'t>> {
    let above = lines[..signature].iter().rev();
    let documentation = above.take_while(|line| line.trim_start().starts_with(['/', '#'])).last()?;
    label(documentation.trim_start().strip_prefix("/// ")?)
}

/// `3`, `3. A: …`, `B`, `2. A reference …`: what a comment begins with, if that is a label. "A page" begins many sentences and is none.
fn label(comment: &str) -> Option<Label<'_>> {
    let digits = comment.find(|c: char| !c.is_ascii_digit()).unwrap_or(comment.len());
    let (number, rest) = comment.split_at(digits);
    let (number, rest) = match (number, rest) {
        ("", rest) => (None, rest),
        (number, "") => return Some((Some(number), None)),
        (number, rest) => (Some(number), rest.strip_prefix(". ").or(rest.strip_prefix(", "))?),
    };
    let letter = ["A", "B", "C"].into_iter().find(|letter| {
        rest.strip_prefix(letter).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '.', ',']))
    });
    let letter = letter.map(|_| &rest[..1]);
    (number.is_some() || letter.is_some()).then_some((number, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
/// The page at an index.
pub async fn find_get_page<'a>(cx: &'a Context) {
    let slot = tree.lookup_slot(cx).await;
    let entry = slot.load(cx).await; // 1
    // 2. Not from 0.
    let got =
        count.inc_not_zero(cx).await;
    rcu.unlock().await;
}

/// A: freezes the count.
pub(crate) async fn freeze(cx: &Context) -> bool {
    count.cmpxchg(cx, 2, 0).await
}

/// A page is taken out.
///
///  1. lock the tree;
async fn remove(cx: &Context) {
    let tree = lock(cx).await; // 1
    // 2. B: from here on nobody finds it
    // without the lock.
    if slot.store(cx, 0).await {
        tree.unlock().await;
    }
    page.put(cx).await; // 3. C
}
";

    fn at(number: usize) -> Option<(&'static str, Option<&'static str>)> {
        let lines: Vec<&str> = TEXT.lines().collect();
        place(&lines, number).map(|place| (place.path, place.protocol))
    }

    #[test]
    fn a_step_has_the_label_behind_it_or_above_its_statement_or_of_its_function() {
        let find = |protocol| Some(("find_get_page", protocol));
        assert_eq!([at(3), at(4)], [find(None), find(Some("1"))]);
        assert_eq!([at(7), at(8)], [find(Some("2")), find(None)]);
        assert_eq!(at(13), Some(("freeze", Some("A"))));
    }

    #[test]
    fn a_number_is_a_step_of_the_protocol_in_a_lookup_alone() {
        let remove = |protocol| Some(("remove", protocol));
        assert_eq!(at(20), remove(None));
        assert_eq!([at(23), at(24), at(26)], [remove(Some("B")), remove(Some("B")), remove(Some("C"))]);
    }

    #[test]
    fn the_text_of_every_package_is_found_where_it_was_compiled() {
        for (root, text) in PACKAGES {
            let name = root.rsplit(['/', '\\']).next().unwrap_or(root);
            let name = if name == "source.rs" { "scenario/ops.rs" } else { name };
            assert!(text(name).is_some_and(|text| text.starts_with("//! ")), "{root}");
        }
        assert_eq!(source_place(Location::caller()), None, "this file is no kernel's text");
    }
}
