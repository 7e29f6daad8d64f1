//! How values become heights and shades, and the numbers beside them.
//!
//! Logarithms and powers of the host's own library differ from host to host in their last digit: none are used here.

use super::cells::{Cell, Panel};
use super::number;

/// From 0 to a round number; or around the values, where they hardly differ; or by their logarithm, where the largest would hide all others.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    bottom: f64,
    top: f64,
    logarithmic: bool,
    /// Where lines behind the plot are.
    pub(super) ticks: Vec<f64>,
}

/// The largest is so many times the smallest: then logarithms.
const LARGE_RATIO: f64 = 50.0;
/// All values are within so small a part of the largest: then only what is around them.
const SMALL_SPREAD: f64 = 0.1;

impl Scale {
    /// The scale on which all values of some panels can be compared.
    pub(super) fn of<'a>(panels: impl Iterator<Item = &'a Panel>) -> Self {
        let ranges = panels.flat_map(|panel| panel.cells.iter().flatten()).filter_map(Cell::range);
        let (least, largest) =
            ranges.fold((f64::MAX, 0.0_f64), |(least, most), (low, high)| (least.min(low), most.max(high)));
        if least > 0.0 && largest / least > LARGE_RATIO {
            let (bottom, top) = (power(least), power(largest));
            let top = if power_of_ten(top) < largest { top + 1 } else { top };
            let ticks = (bottom..=top).map(power_of_ten).collect();
            return Self { bottom: f64::from(bottom), top: f64::from(top), logarithmic: true, ticks };
        }
        let spread = largest - least;
        if spread > 0.0 && spread < SMALL_SPREAD * largest {
            let step = round_up(spread / 3.0);
            let (first, last) = ((least / step).floor(), (largest / step).ceil());
            let ticks = (0..=(last - first) as u32).map(|tick| (first + f64::from(tick)) * step).collect();
            return Self { bottom: first * step, top: last * step, logarithmic: false, ticks };
        }
        let top = if largest > 0.0 { round_up(largest) } else { 1.0 };
        let ticks = (0..=4).map(|step| top * f64::from(step) / 4.0).collect();
        Self { bottom: 0.0, top, logarithmic: false, ticks }
    }

    /// Whether it leaves out 0 and yet is no logarithm, which is easily overlooked.
    pub(super) fn is_cut(&self) -> bool {
        self.bottom != 0.0 && !self.logarithmic
    }

    /// 0 at the bottom, 1 at the top.
    pub(super) fn part(&self, value: f64) -> f64 {
        let value = if self.logarithmic { libm::log10(value) } else { value };
        ((value - self.bottom) / (self.top - self.bottom)).clamp(0.0, 1.0)
    }
}

/// The next round number.
fn round_up(value: f64) -> f64 {
    let unit = power_of_ten(power(value));
    let round = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|step| step * unit);
    round.into_iter().find(|&round| round >= value).unwrap_or(value)
}

/// The power of ten at or below a value above 0.
fn power(value: f64) -> i32 {
    let text = format!("{value:e}");
    text.rsplit('e').next().and_then(|power| power.parse().ok()).expect("such a number has an exponent")
}

fn power_of_ten(power: i32) -> f64 {
    format!("1e{power}").parse().expect("a number")
}

/// A number in few characters: `16.6 M`.
pub(super) fn compact(value: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")];
    match units.into_iter().find(|&(from, _)| value.abs() >= from) {
        Some((1e4, unit)) => format!("{} {unit}", number(value / 1e3)),
        Some((from, unit)) => format!("{} {unit}", number(value / from)),
        None => number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64]) -> Scale {
        let cell = |&value: &f64| Cell { values: vec![value], ..Cell::default() };
        let cells = vec![values.iter().map(cell).collect()];
        let panel = Panel { title: String::new(), metric: 0, inputs: vec![], along: 0, lines: None, cells };
        Scale::of([&panel].into_iter())
    }

    #[test]
    fn scales_show_what_there_is_to_see() {
        assert_eq!(scale(&[3.0, 70.0]).ticks, [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(scale(&[2.0, 1000.0]).ticks, [1.0, 10.0, 100.0, 1000.0]);
        let close = scale(&[6.48, 6.51]);
        assert!(close.is_cut() && close.part(6.48) < 0.1 && close.part(6.51) > 0.9, "{close:?}");
        for (nothing, top) in [(scale(&[]), 1.0), (scale(&[0.0, 0.0]), 1.0), (scale(&[5.0]), 5.0)] {
            assert_eq!((nothing.ticks[0], nothing.ticks[4], nothing.is_cut()), (0.0, top, false));
        }
        assert_eq!([9000.0, 16_640_000.0, 20_000.0, 0.5].map(compact), ["9 000", "16.64 M", "20 k", "0.5"]);
    }
}
