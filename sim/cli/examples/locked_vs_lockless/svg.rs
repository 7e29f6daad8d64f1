//! The figure: reads per microsecond over the number of CPUs.

use std::fmt::Write;

use crate::study::Point;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

struct Line {
    name: &'static str,
    color: &'static str,
    dash: &'static str,
    points: Vec<(u64, f64)>,
}

fn pick(points: &[(u64, [Point; 2])], which: usize) -> Vec<(u64, f64)> {
    points.iter().map(|(cpus, pair)| (*cpus, pair[which].rate)).collect()
}

/// Both kernels on both patterns; both axes are logarithmic, so that perfect scaling is a straight line.
pub(crate) fn figure(own: &[(u64, [Point; 2])], same: &[(u64, [Point; 2])]) -> String {
    let lines = [
        Line { name: "lockless, own pages", color: "#0a7d4b", dash: "", points: pick(own, 1) },
        Line { name: "lockless, same pages", color: "#0a7d4b", dash: "6 4", points: pick(same, 1) },
        Line { name: "locked, own pages", color: "#c0392b", dash: "", points: pick(own, 0) },
        Line { name: "locked, same pages", color: "#c0392b", dash: "6 4", points: pick(same, 0) },
    ];
    let most = lines.iter().flat_map(|line| &line.points).fold(1.0_f64, |most, point| most.max(point.1));
    let decades = most.log10().ceil().max(1.0);
    let x = |cpus: u64| LEFT + (cpus as f64).log2() / 6.0 * (WIDTH - LEFT - RIGHT);
    let y = |rate: f64| HEIGHT - BOTTOM - rate.max(1.0).log10() / decades * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n<text x=\"{LEFT}\" y=\"22\" \
         font-size=\"14\">Reads of a cached file per µs, by number of CPUs</text>\n"
    );
    for cpus in [1, 2, 4, 8, 16, 32, 64] {
        let at = x(cpus);
        let (top, bottom, label) = (TOP, HEIGHT - BOTTOM, HEIGHT - BOTTOM + 18.0);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#eee\"/>");
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{label}\" text-anchor=\"middle\">{cpus}</text>");
    }
    for decade in 0..=decades as u32 {
        for step in [1, 2, 5] {
            let rate = f64::from(step) * 10_f64.powi(decade as i32);
            if rate.log10() > decades {
                continue;
            }
            let (at, end) = (y(rate), WIDTH - RIGHT);
            let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#eee\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{rate}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">CPUs</text>", HEIGHT - 12.0);
    let mut labels: Vec<(f64, &Line)> =
        lines.iter().map(|line| (y(line.points.last().expect("measured").1), line)).collect();
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = 0.0_f64;
    for (at, line) in labels {
        let points: Vec<String> =
            line.points.iter().map(|&(cpus, rate)| format!("{:.1},{:.1}", x(cpus), y(rate))).collect();
        let (color, dash) = (line.color, line.dash);
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>",
            points.join(" ")
        );
        lowest = at.max(lowest + 15.0);
        let (left, down) = (WIDTH - RIGHT + 8.0, lowest + 4.0);
        let _ = writeln!(svg, "<text x=\"{left}\" y=\"{down:.1}\" fill=\"{color}\">{}</text>", line.name);
    }
    svg + "</svg>\n"
}
