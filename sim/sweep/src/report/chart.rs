//! A panel as SVG: lines with bands over seeds, or a heat map where lines have no order along the axis.

use std::fmt::Write;

use super::cells::Panel;
use super::number;
use super::scale::{Scale, compact};
use crate::plan::Plan;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 256.0;
/// Around the plot: left, top, right, bottom.
const MARGIN: [f64; 4] = [56.0, 58.0, 12.0, 44.0];
/// Of what stands on its own: the page has its own colours.
const STYLE: &str = "<style>svg{font:12px system-ui,sans-serif;background:#fff;color:#222}.grid{stroke:#ddd}.title{font-weight:600}\
.s0{color:#0072b2}.s1{color:#d55e00}.s2{color:#009e73}.s3{color:#cc79a7}.s4{color:#b58900}.s5{color:#56b4e9}.s6{color:#777}.s7{color:#000}\
.band{opacity:.18}</style>";

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Its file's name.
    pub file: String,
    /// The picture.
    pub svg: String,
}

/// Text for XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\n', "&#10;")
}

/// Paths without their directories, shortened to what fits.
fn short(text: &str, most: usize) -> String {
    let name = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or(word);
        name.trim_end_matches(".pwt").trim_end_matches(".ron").to_owned()
    };
    cut(&text.split_whitespace().map(name).collect::<Vec<_>>().join(" "), most)
}

/// The last part of a parameter's path.
fn own_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

struct Plot<'a> {
    plan: &'a Plan,
    panel: &'a Panel,
    scale: &'a Scale,
}

impl Plot<'_> {
    fn x(&self, at: usize) -> f64 {
        let steps = self.panel.cells[0].len().max(2) as f64 - 1.0;
        MARGIN[0] + 10.0 + (WIDTH - MARGIN[0] - MARGIN[2] - 20.0) * at as f64 / steps
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - MARGIN[3] - (HEIGHT - MARGIN[1] - MARGIN[3]) * self.scale.part(value)
    }

    /// What is shown, and under it what is the same in all of it.
    fn title(&self, out: &mut String) {
        let metric = &self.plan.metrics[self.panel.metric];
        let unit = if metric.unit.is_empty() { String::new() } else { format!(", {}", metric.unit) };
        let heading = cut(&format!("{}{unit}", metric.name()), 48);
        let lines = self.panel.lines.map(|axis| format!("lines: {}", own_name(&self.plan.axes[axis].path)));
        let same = Some(short_words(&self.panel.title)).filter(|words| !words.is_empty());
        let context = cut(&lines.into_iter().chain(same).collect::<Vec<_>>().join(" · "), 58);
        let _ = write!(
            out,
            "<text class=\"title\" x=\"8\" y=\"15\" fill=\"currentColor\">{}</text>\
             <text class=\"label\" x=\"8\" y=\"31\" fill=\"currentColor\">{}</text>",
            escape(&heading),
            escape(&context)
        );
        if self.panel.cells.iter().flatten().all(|cell| cell.values.is_empty()) {
            let _ = write!(
                out,
                "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"currentColor\">no data</text>",
                WIDTH / 2.0,
                HEIGHT / 2.0
            );
        }
    }

    fn frame(&self, out: &mut String) {
        self.title(out);
        for &value in &self.scale.ticks {
            let y = self.y(value);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"currentColor\"/>\
                 <text class=\"axis\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"currentColor\">{}</text>",
                MARGIN[0],
                WIDTH - MARGIN[2],
                MARGIN[0] - 6.0,
                y + 4.0,
                escape(&compact(value))
            );
        }
        if self.scale.is_cut() {
            let _ = write!(
                out,
                "<text class=\"axis\" x=\"8\" y=\"{}\" fill=\"currentColor\">not from 0</text>",
                HEIGHT - 8.0
            );
        }
        self.along(out, |at| self.x(at));
    }

    /// The axis along the picture: its values, as far as there is room for them, and its name.
    fn along(&self, out: &mut String, x: impl Fn(usize) -> f64) {
        let axis = &self.plan.axes[self.panel.along];
        let y = HEIGHT - MARGIN[3] + 16.0;
        let (short_enough, few) =
            (axis.shown.iter().all(|value| short(value, 8).len() < 7), axis.values.len() <= 12);
        // Long words stand aslant.
        let aslant = !short_enough && few && axis.values.len() > 4;
        let every = if aslant { 1 } else { axis.values.len().div_ceil(8) };
        for (at, value) in axis.shown.iter().enumerate().filter(|(at, _)| at % every == 0) {
            let x = x(at);
            let place = match aslant {
                true => format!(
                    "x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"end\" transform=\"rotate(-24 {x:.1} {y})\"",
                    y - 4.0
                ),
                false => format!("x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\""),
            };
            let name = escape(&short(value, if aslant { 10 } else { 320 / (6 * axis.values.len().min(8)) }));
            let _ = write!(out, "<text class=\"axis\" {place} fill=\"currentColor\">{name}</text>");
        }
        let _ = write!(
            out,
            "<text class=\"label\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"currentColor\">{}</text>",
            WIDTH / 2.0 + 20.0,
            HEIGHT - 8.0,
            escape(&axis.path)
        );
    }

    fn series(&self, out: &mut String, line: usize) {
        let cells = &self.panel.cells[line];
        let there: Vec<(usize, f64, (f64, f64))> = cells
            .iter()
            .enumerate()
            .filter_map(|(at, cell)| Some((at, cell.mean()?, cell.range()?)))
            .collect();
        if there.is_empty() {
            return;
        }
        let _ = write!(out, "<g class=\"s{}\">", line % 8);
        let place = |at: usize, value: f64| format!("{:.1},{:.1}", self.x(at), self.y(value));
        // Where nothing was measured the line has a gap.
        for part in there.chunk_by(|one, other| one.0 + 1 == other.0) {
            let upper = part.iter().map(|&(at, _, (_, high))| place(at, high));
            let lower = part.iter().rev().map(|&(at, _, (low, _))| place(at, low));
            let band: Vec<String> = upper.chain(lower).collect();
            let path: Vec<String> = part.iter().map(|&(at, mean, _)| place(at, mean)).collect();
            // A line on another stays to be seen.
            let dashes = if line % 2 == 1 { " stroke-dasharray=\"6 4\"" } else { "" };
            let _ = write!(
                out,
                "<polygon class=\"band s{}\" fill=\"currentColor\" points=\"{}\"/>\
                 <polyline fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.8\"{dashes} points=\"{}\"/>",
                line % 8,
                band.join(" "),
                path.join(" ")
            );
        }
        for &(at, mean, _) in &there {
            let points: Vec<String> = cells[at].points.iter().map(usize::to_string).collect();
            let _ = write!(
                out,
                "<circle class=\"mark\" r=\"3\" cx=\"{:.1}\" cy=\"{:.1}\" fill=\"currentColor\" data-tip=\"{}\" data-points=\"{}\"/>",
                self.x(at),
                self.y(mean),
                escape(&self.tip(line, at)),
                points.join(",")
            );
        }
        let name = self.panel.line(self.plan, line);
        if !name.is_empty() {
            // Names in a row above the plot, each in its colour.
            let step = (WIDTH - 16.0) / self.panel.cells.len() as f64;
            let _ = write!(
                out,
                "<circle r=\"4\" cx=\"{:.1}\" cy=\"44\" fill=\"currentColor\"/>\
                 <text class=\"legend\" x=\"{:.1}\" y=\"48\" fill=\"currentColor\">{}</text>",
                12.0 + step * line as f64,
                20.0 + step * line as f64,
                escape(&short(name, (step / 8.0) as usize))
            );
        }
        out.push_str("</g>");
    }

    fn tip(&self, line: usize, at: usize) -> String {
        let cell = &self.panel.cells[line][at];
        let metric = &self.plan.metrics[self.panel.metric];
        let along = &self.plan.axes[self.panel.along];
        let mut lines = vec![format!("{} {}", along.path, along.shown[at])];
        if let Some(axis) = self.panel.lines {
            lines.push(format!("{} {}", self.plan.axes[axis].path, self.panel.line(self.plan, line)));
        }
        if let (Some(mean), Some((low, high))) = (cell.mean(), cell.range()) {
            let seeds = match cell.values.len() {
                1 => String::new(),
                count => format!(" ({} to {}, {count} points)", number(low), number(high)),
            };
            lines.push(format!("{} {}{seeds}", number(mean), metric.unit));
        }
        if cell.unmeasured > 0 {
            lines.push(format!("{} points without a value", cell.unmeasured));
        }
        lines.join("\n")
    }

    /// A cell for each value of the two axes, its colour the part of the largest.
    fn heat(&self, out: &mut String) {
        let (columns, rows) = (self.panel.cells[0].len() as f64, self.panel.cells.len() as f64);
        let (width, height) = ((WIDTH - 90.0 - MARGIN[2]) / columns, (HEIGHT - MARGIN[1] - MARGIN[3]) / rows);
        for (line, cells) in self.panel.cells.iter().enumerate() {
            let y = MARGIN[1] + height * line as f64;
            let name = short(self.panel.line(self.plan, line), 12);
            let _ = write!(
                out,
                "<text class=\"axis\" x=\"84\" y=\"{:.1}\" text-anchor=\"end\" fill=\"currentColor\">{}</text>",
                y + height / 2.0 + 4.0,
                escape(&name)
            );
            for (at, cell) in cells.iter().enumerate() {
                let Some(mean) = cell.mean() else { continue };
                let part = self.scale.part(mean);
                let points: Vec<String> = cell.points.iter().map(usize::to_string).collect();
                let x = 90.0 + width * at as f64;
                let _ = write!(
                    out,
                    "<rect class=\"cell mark\" style=\"--v:{part:.3}\" fill=\"#0072b2\" fill-opacity=\"{:.3}\" x=\"{x:.1}\" y=\"{y:.1}\" \
                     width=\"{:.1}\" height=\"{:.1}\" data-tip=\"{}\" data-points=\"{}\"/>",
                    0.08 + 0.9 * part,
                    (width - 1.0).max(0.5),
                    (height - 1.0).max(0.5),
                    escape(&self.tip(line, at)),
                    points.join(",")
                );
                if width >= 30.0 && height >= 14.0 {
                    let _ = write!(
                        out,
                        "<text class=\"value\" style=\"--v:{part:.3}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"9\" fill=\"{}\">{}</text>",
                        x + width / 2.0,
                        y + height / 2.0 + 3.0,
                        if part > 0.5 { "#fff" } else { "currentColor" },
                        escape(&compact(mean))
                    );
                }
            }
        }
        self.along(out, |at| 90.0 + width * (at as f64 + 0.5));
    }
}

/// The charts of a panel: its lines, and where two axes have three values or more each, the same as a heat map.
#[must_use]
pub(super) fn charts(plan: &Plan, panel: &Panel, scale: &Scale, number: usize) -> Vec<(&'static str, Chart)> {
    let metric = plan.metrics[panel.metric].name();
    let title =
        if panel.title.is_empty() { metric.to_owned() } else { format!("{metric} · {}", panel.title) };
    let plot = Plot { plan, panel, scale };
    let svg = |body: &dyn Fn(&mut String)| {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{STYLE}",
            escape(&title)
        );
        body(&mut out);
        out.push_str("</svg>");
        out
    };
    let lines = svg(&|out: &mut String| {
        plot.frame(out);
        (0..panel.cells.len()).for_each(|line| plot.series(out, line));
    });
    let mut charts =
        vec![("lines", Chart { title: title.clone(), file: format!("chart-{number}.svg"), svg: lines })];
    if panel.cells.len() >= 3 && panel.cells[0].len() >= 3 {
        let heat = svg(&|out: &mut String| {
            plot.title(out);
            plot.heat(out);
        });
        charts.push(("heat", Chart { title, file: format!("chart-{number}-heat.svg"), svg: heat }));
    }
    charts
}

/// The words of a context, paths cut to what tells them apart.
fn short_words(text: &str) -> String {
    let word = |word: &str| match word.contains('/') {
        true => short(word.trim_end_matches(','), 24),
        false => own_name(word).to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() > most {
        text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
    } else {
        text.to_owned()
    }
}
