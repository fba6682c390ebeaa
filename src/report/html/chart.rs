//! Stacked bars by year, as SVG that stands in the page itself.

use std::fmt::Display;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::gather::{ByYear, Year};

/// In the units of the picture; the page scales it.
const WIDTH: u32 = 720;
const HEIGHT: u32 = 270;
/// Wide enough for a year.
const LABEL_WIDTH: usize = 44;
/// More series than these are drawn as one.
pub(super) const SERIES: usize = 6;

/// Colours of the series, from the bottom up; the page's style has the same as `.k0` ….
const COLORS: [RGBColor; SERIES + 1] = [
    RGBColor(0x2f, 0x6f, 0xb3),
    RGBColor(0xd9, 0x82, 0x2b),
    RGBColor(0x7b, 0x5a, 0xa6),
    RGBColor(0x3c, 0x91, 0x82),
    RGBColor(0xb8, 0x4a, 0x62),
    RGBColor(0x8a, 0x8f, 0x3c),
    RGBColor(0x80, 0x86, 0x8d),
];
/// The page's style gives text and lines other colours in the dark.
const INK: RGBColor = RGBColor(0x44, 0x4b, 0x54);
const GRID: RGBColor = RGBColor(0xdd, 0xe1, 0xe6);

/// What is drawn: columns of years, and a stack in each.
pub(super) struct Chart {
    /// What the picture is called, for those who cannot see it.
    pub(super) title: String,
    /// Each year, `None` last; none in between is missing.
    pub(super) years: Vec<Year>,
    /// The series, from the bottom up: its name, its colour's number and a number a year.
    pub(super) series: Vec<(String, usize, Vec<u64>)>,
}

impl Chart {
    /// The named series in this order, each in the colour beside it.
    pub(super) fn of(title: &str, numbers: &ByYear, series: &[(&str, usize)]) -> Self {
        let chosen: Vec<_> = series
            .iter()
            .filter_map(|(name, color)| Some((*name, *color, numbers.get(*name)?)))
            .collect();
        let years = years(chosen.iter().flat_map(|(_, _, by_year)| by_year.keys()));
        let series = chosen
            .into_iter()
            .map(|(name, color, by_year)| {
                let values = years
                    .iter()
                    .map(|year| by_year.get(year).copied().unwrap_or(0));
                (name.to_owned(), color, values.collect())
            })
            .collect();
        Self {
            title: title.to_owned(),
            years,
            series,
        }
    }

    /// The most frequent series, and all others as one.
    pub(super) fn most(title: &str, numbers: &ByYear) -> Self {
        let mut ranked: Vec<(&String, u64)> = numbers
            .iter()
            .map(|(name, by_year)| (name, by_year.values().sum()))
            .collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let names: Vec<_> = ranked
            .iter()
            .take(SERIES)
            .enumerate()
            .map(|(color, (name, _))| (name.as_str(), color))
            .collect();
        let years = years(numbers.values().flat_map(|by_year| by_year.keys()));
        let mut chart = Self {
            title: title.to_owned(),
            years,
            series: Vec::new(),
        };
        let values = |by_year: &std::collections::BTreeMap<Year, u64>| -> Vec<u64> {
            chart
                .years
                .iter()
                .map(|year| by_year.get(year).copied().unwrap_or(0))
                .collect()
        };
        let mut series: Vec<_> = names
            .iter()
            .filter_map(|(name, color)| {
                Some(((*name).to_owned(), *color, values(numbers.get(*name)?)))
            })
            .collect();
        let rest: Vec<Vec<u64>> = ranked
            .iter()
            .skip(SERIES)
            .filter_map(|(name, _)| numbers.get(*name).map(&values))
            .collect();
        if !rest.is_empty() {
            let sum = (0..chart.years.len())
                .map(|at| rest.iter().filter_map(|numbers| numbers.get(at)).sum())
                .collect();
            series.push((format!("{} others", rest.len()), SERIES, sum));
        }
        chart.series = series;
        chart
    }

    /// Whether there is nothing to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The picture; empty where it cannot be drawn.
    pub(super) fn svg(&self) -> String {
        // What draws is not ours: the page must come to be whatever becomes of a picture.
        let drawn = std::panic::catch_unwind(|| {
            let mut svg = String::new();
            self.draw(&mut svg).map(|()| svg)
        });
        let Ok(Ok(svg)) = drawn else {
            return String::new();
        };
        // The page says what it is, and needs no name space.
        svg.find('>')
            .and_then(|at| svg.get(at + 1..))
            .and_then(|rest| rest.trim_end().strip_suffix("</svg>"))
            .unwrap_or_default()
            .to_owned()
    }

    fn draw(&self, svg: &mut String) -> Result<(), Failed> {
        let root = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
        let columns = self.years.len();
        let top = (0..columns)
            .map(|at| {
                self.series
                    .iter()
                    .filter_map(|(_, _, values)| values.get(at))
                    .sum::<u64>()
            })
            .max()
            .unwrap_or(0)
            .max(1);
        let longest = number(nice_top(top)).chars().count();
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .margin_top(12)
            .margin_right(10)
            .x_label_area_size(26)
            .y_label_area_size(u32::try_from(14 + 9 * longest).unwrap_or(120))
            .build_cartesian_2d(0_f64..as_f64(columns as u64), 0_f64..as_f64(nice_top(top)))
            .map_err(|_| Failed)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .y_max_light_lines(0)
            .y_labels(usize::try_from(top.min(5)).unwrap_or(5) + 1)
            .y_label_formatter(&|value| tick(*value))
            .y_label_style((FontFamily::SansSerif, 15).into_font().color(&INK))
            .bold_line_style(GRID)
            .axis_style(GRID)
            .draw()
            .map_err(|_| Failed)?;
        let mut below = vec![0_u64; columns];
        for (_, color, values) in &self.series {
            let color = COLORS.get(*color).unwrap_or(&COLORS[SERIES]);
            let bars = values.iter().zip(&mut below).enumerate();
            let bars: Vec<_> = bars
                .filter(|(_, (value, _))| **value > 0)
                .map(|(at, (value, below))| {
                    let bottom = *below;
                    *below += value;
                    let left = as_f64(at as u64);
                    let half = (0.36 * as_f64(columns as u64) / 12.0).min(0.36);
                    Rectangle::new(
                        [
                            (left + 0.5 - half, as_f64(bottom)),
                            (left + 0.5 + half, as_f64(*below)),
                        ],
                        color.filled(),
                    )
                })
                .collect();
            chart.draw_series(bars).map_err(|_| Failed)?;
        }
        let step = (columns * LABEL_WIDTH).div_ceil(WIDTH as usize - 90).max(1);
        let style = (FontFamily::SansSerif, 15)
            .into_font()
            .color(&INK)
            .pos(Pos::new(HPos::Center, VPos::Top));
        for (at, year) in self.years.iter().enumerate() {
            if at % step != 0 && year.is_some() {
                continue;
            }
            let (x, y) = chart
                .plotting_area()
                .map_coordinate(&(as_f64(at as u64) + 0.5, 0.0));
            let label = year.map_or_else(|| "no date".to_owned(), |year| year.to_string());
            root.draw(&Text::new(label, (x, y + 8), style.clone()))
                .map_err(|_| Failed)?;
        }
        root.present().map_err(|_| Failed)
    }
}

/// A place on the axis; there are no halves of a message.
fn tick(value: f64) -> String {
    if (value - value.round()).abs() > 1e-6 {
        return String::new();
    }
    number(format!("{value:.0}"))
}

/// A picture that cannot be drawn.
struct Failed;

/// The years from the first to the last, then those without one.
fn years<'a>(known: impl Iterator<Item = &'a Year>) -> Vec<Year> {
    let known: std::collections::BTreeSet<Year> = known.copied().collect();
    let mut dated = known.iter().flatten();
    let mut years: Vec<Year> = match (dated.next(), dated.next_back()) {
        (Some(first), Some(last)) => (*first..=*last).map(Some).collect(),
        (Some(only), None) => vec![Some(*only)],
        _ => Vec::new(),
    };
    if known.contains(&None) {
        years.push(None);
    }
    years
}

/// The end of an axis that reaches `top`: two digits and zeros.
fn nice_top(top: u64) -> u64 {
    let mut unit = 1_u64;
    while top / unit >= 100 {
        unit = unit.saturating_mul(10);
    }
    top.div_ceil(unit).saturating_mul(unit)
}

#[expect(clippy::cast_precision_loss, reason = "for a picture")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// A number with its thousands apart.
pub(super) fn number(value: impl Display) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(number(7_u64), "7");
        assert_eq!(number(1_234_567_u64), "1,234,567");
        assert_eq!(nice_top(99), 99);
        assert_eq!(nice_top(10_001), 11_000);
        assert_eq!(nice_top(1), 1);
    }

    #[test]
    fn no_year_is_left_out_and_none_is_hidden_among_others() {
        let mut numbers = ByYear::new();
        for at in 0..9_u64 {
            let years = BTreeMap::from([(Some(2001), 9 - at), (Some(2004), 1), (None, 1)]);
            numbers.insert(format!("a{at}"), years);
        }
        let chart = Chart::most("t", &numbers);
        assert_eq!(
            chart.years,
            [Some(2001), Some(2002), Some(2003), Some(2004), None]
        );
        assert_eq!(chart.series.len(), SERIES + 1);
        assert_eq!(chart.series[SERIES].0, "3 others");
        let drawn: u64 = chart.series.iter().flat_map(|(_, _, values)| values).sum();
        let counted: u64 = numbers.values().flat_map(BTreeMap::values).sum();
        assert_eq!(drawn, counted);
        let svg = chart.svg();
        assert!(
            svg.contains("<rect") && svg.contains("no date") && !svg.contains("style="),
            "{svg}"
        );
    }
}
