//! Laying out text answers: headed sections, aligned rows, remarks that wrap.

use crate::style::{Paint, WIDTH, bar, fit, percent};

/// Columns of a row's label, margin included.
const LABEL: usize = 22;

/// A text answer under construction.
pub(crate) struct Lines {
    text: String,
    /// How to colour.
    pub(crate) paint: Paint,
}

impl Lines {
    pub(crate) fn new(paint: Paint) -> Self {
        Self { text: String::new(), paint }
    }

    /// The text, without spaces at line ends.
    pub(crate) fn finish(self) -> String {
        self.text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A heading after an empty line, with a remark at the right margin.
    pub(crate) fn section(&mut self, heading: &str, remark: &str) {
        let gap = WIDTH.saturating_sub(3 + width(heading) + width(remark)).max(2);
        let heading = self.paint.strong(heading);
        self.line("");
        self.line(&format!("  {heading}{}{}", " ".repeat(gap), self.paint.dim(remark)));
    }

    /// Two texts at the two margins; on two lines if they do not fit on one.
    pub(crate) fn ends(&mut self, left: &str, right: &str) {
        let (left, right) = (fit(left, WIDTH - 3), fit(right, WIDTH - 3));
        let used = 3 + width(&left) + width(&right);
        if used + 2 <= WIDTH {
            self.line(&format!("  {}{}{right}", self.paint.strong(&left), " ".repeat(WIDTH - used)));
        } else {
            let left = self.paint.strong(&left);
            self.line(&format!("  {left}"));
            self.line(&format!("  {right}"));
        }
    }

    pub(crate) fn rule(&mut self) {
        let rule = self.paint.dim(&"─".repeat(WIDTH - 3));
        self.line(&format!("  {rule}"));
    }

    /// `label   number   remark · remark`, the remarks wrapped under each other.
    pub(crate) fn row(&mut self, label: &str, number: &str, number_width: usize, remarks: &[String]) {
        let label = fit(label, LABEL - 1);
        let lead = format!("    {label:<LABEL$}{number:>number_width$}");
        let indent = 4 + LABEL + number_width.max(width(number)) + 3;
        self.wrapped(&format!("{lead}   "), indent, remarks);
    }

    /// Remarks joined by ` · ` after a lead, wrapped to the width with an indent.
    pub(crate) fn wrapped(&mut self, lead: &str, indent: usize, remarks: &[String]) {
        let mut line = lead.to_owned();
        let mut at_start = true;
        for remark in remarks {
            let remark = fit(remark, WIDTH - indent);
            let separator = if at_start { "" } else { " · " };
            if !at_start && width(&line) + width(separator) + width(&remark) > WIDTH {
                self.line(&line);
                line = " ".repeat(indent);
            } else {
                line.push_str(separator);
            }
            line.push_str(&remark);
            at_start = false;
        }
        self.line(&line);
    }

    /// `label   number   share   bar`, the bar as wide as the page allows.
    pub(crate) fn share(&mut self, label: &str, number: &str, number_width: usize, part: u128, whole: u128) {
        let lead = format!("    {label:<LABEL$}{number:>number_width$}   {:>7}   ", percent(part, whole));
        let drawn = bar(part, whole, (WIDTH - 1).saturating_sub(width(&lead)).min(48));
        let drawn = self.paint.accent(&drawn);
        self.line(&format!("{lead}{drawn}"));
    }
}

/// Columns a plain text takes: its characters; nothing here is wider.
pub(crate) fn width(text: &str) -> usize {
    text.chars().count()
}

/// `1 CPU`, `2 CPUs`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", crate::style::group(number), if number == 1 { one } else { many })
}
