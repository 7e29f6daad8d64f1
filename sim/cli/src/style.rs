//! How text answers look: two hues, grouped numbers, percentages, bars, durations.

pub use pagewalk_input::{group, group_wide, visible};

use std::io::IsTerminal;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};

/// The width every text answer fits in, in columns.
pub const WIDTH: usize = 100;

/// The fewest columns that a text is fitted to: a narrower terminal breaks lines itself.
const LEAST_WIDTH: usize = 60;

/// The columns for a text answer: those of the terminal on standard output, if there is one, but at most [`WIDTH`].
#[must_use]
pub fn columns() -> usize {
    terminal_columns().map_or(WIDTH, |columns| columns.clamp(LEAST_WIDTH, WIDTH))
}

#[cfg(unix)]
fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

#[cfg(not(unix))]
fn terminal_columns() -> Option<usize> {
    None
}

/// When to colour: the value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// Colour on a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Always colour.
    Always,
    /// Never colour.
    Never,
}

impl ColorChoice {
    /// Decides for standard output.
    #[must_use]
    pub fn for_stdout(self) -> Paint {
        self.decide(std::io::stdout().is_terminal())
    }

    /// Decides for standard error.
    #[must_use]
    pub fn for_stderr(self) -> Paint {
        self.decide(std::io::stderr().is_terminal())
    }

    fn decide(self, terminal: bool) -> Paint {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced =
            std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Paint {
            on: match self {
                Self::Always => true,
                Self::Never => false,
                Self::Auto => !set("NO_COLOR") && (forced || (terminal && !dumb)),
            },
        }
    }
}

/// Paints pieces of text, or leaves them plain. Colour never carries a meaning that the words do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// No escape sequences at all.
    pub const PLAIN: Self = Self { on: false };
    /// Escape sequences whatever the terminal.
    pub const COLOR: Self = Self { on: true };

    /// Whether anything is painted.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.on
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// The accent hue: bars and names that matter.
    #[must_use]
    pub fn accent(self, text: &str) -> String {
        self.with(AnsiColor::Cyan.on_default(), text)
    }

    /// The alarm hue: what is broken.
    #[must_use]
    pub fn alarm(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    /// A heading.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What may be skipped when reading.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }
}

/// The share of `part` in `whole` with one decimal: `96.2 %`.
///
/// Rounds to nearest, but neither calls something nothing (`<0.1 %`) nor most everything (`99.9 %`).
#[must_use]
pub fn percent(part: u128, whole: u128) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let tenths = part.saturating_mul(1000).saturating_add(whole / 2) / whole;
    match tenths {
        0 if part > 0 => "<0.1 %".to_owned(),
        1000.. if part < whole => "99.9 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// A bar of `part` in `whole`, at most `width` columns, drawn in eighths of a column.
///
/// Anything above zero draws at least one eighth.
#[must_use]
pub fn bar(part: u128, whole: u128, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if whole == 0 || part == 0 || width == 0 {
        return String::new();
    }
    let full = width * 8;
    // Both are shifted alike until the product fits, which costs less than an eighth of precision.
    let excess = 32u32.saturating_sub(part.max(whole).leading_zeros());
    let (part, whole) = (part >> excess, (whole >> excess).max(1));
    let eighths = usize::try_from(part * full as u128 / whole).unwrap_or(full).clamp(1, full);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// A series in at most `width` columns, each as high as its share of the largest: a row of eighth blocks, bottom up.
///
/// Of values that share a column, the largest counts if they are levels (`gauge`), otherwise their mean, so that peaks of
/// different series of one length stand above each other. What is not zero is never drawn as nothing.
#[must_use]
pub fn sparkline(values: &[u64], width: usize, gauge: bool) -> String {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = values.len().min(width);
    let column = |at: usize| {
        let part = &values[at * values.len() / columns..(at + 1) * values.len() / columns];
        let sum: u128 = part.iter().copied().map(u128::from).sum();
        if gauge {
            u128::from(part.iter().copied().max().unwrap_or(0)) * 64
        } else {
            sum * 64 / part.len() as u128
        }
    };
    let heights: Vec<u128> = (0..columns).map(column).collect();
    let most = heights.iter().copied().max().unwrap_or(0).max(1);
    heights.iter().map(|&height| LEVELS[(height * 8).div_ceil(most) as usize]).collect()
}

/// Simulated time in nanoseconds of `cycles` at `mhz` (clamped to at least 1), rounded down.
#[must_use]
pub fn nanoseconds(cycles: u64, mhz: u64) -> u128 {
    u128::from(cycles) * 1000 / u128::from(mhz.max(1))
}

/// A duration with four significant digits or fewer: `812 ns`, `3.204 ms`, `12.50 s`.
#[must_use]
pub fn duration(nanoseconds: u128) -> String {
    let (unit, scale) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (whole, thousandths) = (nanoseconds / scale, nanoseconds % scale * 1000 / scale);
    match whole {
        0..10 => format!("{whole}.{thousandths:03} {unit}"),
        10..100 => format!("{whole}.{:02} {unit}", thousandths / 10),
        100..1000 => format!("{whole}.{} {unit}", thousandths / 100),
        _ => format!("{} {unit}", group_wide(whole)),
    }
}

/// Cuts a text to `width` columns (counted in characters), marking the cut with `…`.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Words in lines of at most `width` columns, as far as single words allow; at least one line.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let columns = word.chars().count();
        let line = lines.last_mut().expect("there is always a line");
        if used == 0 || used + 1 + columns <= width {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += columns;
        } else {
            lines.push(word.to_owned());
            used = columns;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let samples = [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")];
        for (number, text) in samples {
            assert_eq!(group(number), text);
        }
        assert_eq!(group(u64::MAX), "18 446 744 073 709 551 615");
    }

    #[test]
    fn percentages_never_lie_at_the_ends() {
        assert_eq!(percent(0, 10), "0.0 %");
        assert_eq!(percent(1, 1_000_000), "<0.1 %");
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
        assert_eq!(percent(10, 10), "100.0 %");
        assert_eq!(percent(962, 1000), "96.2 %");
        assert_eq!(percent(0, 0), "-");
        assert_eq!(percent(u128::from(u64::MAX), u128::from(u64::MAX)), "100.0 %");
    }

    #[test]
    fn bars_fill_their_width_and_show_the_smallest_part() {
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(1, 2, 3), "█▌");
        assert_eq!(bar(1, u128::MAX, 4), "▏");
        assert_eq!(bar(u128::MAX, u128::MAX, 2), "██");
        assert_eq!(bar(0, 10, 4), "");
        let most = u128::from(u64::MAX);
        assert_eq!(bar(most * 4, most * 5, 30), "█".repeat(24));
        assert_eq!(bar(20, 10, 2), "██");
    }

    #[test]
    fn sparklines_show_the_shape_of_a_series() {
        assert_eq!(sparkline(&[0, 1, 4, 8], 10, false), " ▁▄█");
        assert_eq!(sparkline(&[1, 1000], 10, true), "▁█");
        assert_eq!(sparkline(&[4, 0, 2, 2, 8, 0], 3, false), "▄▄█");
        assert_eq!(sparkline(&[4, 0, 2, 2, 8, 0], 3, true), "▄▂█");
        assert_eq!(sparkline(&[], 10, true), "");
        assert_eq!(sparkline(&[0, 0], 10, true), "  ");
        assert_eq!(sparkline(&[u64::MAX; 3], 2, false), "██");
    }

    #[test]
    fn durations_keep_their_magnitude() {
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_500), "1.500 µs");
        assert_eq!(duration(12_345_678), "12.34 ms");
        assert_eq!(duration(123_456_789_012), "123.4 s");
        assert_eq!(duration(1_234_000_000_000), "1 234 s");
        assert_eq!(nanoseconds(3000, 3000), 1000);
    }

    #[test]
    fn plain_paint_adds_nothing_and_cuts_are_marked() {
        assert_eq!(Paint::PLAIN.alarm("x"), "x");
        assert!(Paint::COLOR.alarm("x").starts_with('\u{1b}'));
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(wrap("aa bb cc dddddd", 5), ["aa bb", "cc", "dddddd"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(visible("a\u{1b}[31m"), "a\u{fffd}[31m");
    }
}
