//! What the script of a page needs to know of a chart: where its plots are, what their axes mean, and the values drawn.
//!
//! The chart is complete without it. It is compact JSON: values in the unit of their axis with four significant
//! digits, and no more of them than are drawn; moments at equal distances as first, step and count.

use std::fmt::Write;

use super::axis::Axis;
use super::palette::Colour;

/// The plots and values of one picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    plots: Vec<LivePlot>,
    readings: Vec<Reading>,
}

/// What a group of shapes is to the script of a page. Without the script it means nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Role {
    /// The entry of a series in the key: it shows and hides the series.
    Key(String),
    /// What shows a series in the plot of that number.
    Series(usize, String),
    /// What else stands at a place of the x axis of the plot of that number.
    Moving(usize),
    /// The numbers and grid lines of that x axis.
    Ticks(usize),
}

/// Where a plot is, and its axes.
#[derive(Clone, Debug)]
struct LivePlot {
    /// Plots whose x axes have the same name share cursor and zoom.
    name: &'static str,
    title: String,
    edges: [f64; 4],
    x: Axis,
    y: Axis,
}

/// The values of a series in one plot.
#[derive(Clone, Debug)]
struct Reading {
    plot: usize,
    name: String,
    colour: Colour,
    xs: Vec<f64>,
    ys: Vec<Option<f64>>,
    /// The upper end, where the series is a range.
    to: Option<Vec<f64>>,
    /// Whether the values are heights of a layer, which stands on others.
    is_layer: bool,
}

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Each at its own height.
    Line,
    /// Each as the height of a layer on others.
    Layer,
}

impl Live {
    /// Adds a plot with its left, right, top and bottom, and returns its number.
    pub(crate) fn plot(
        &mut self,
        name: &'static str,
        title: &str,
        edges: [f64; 4],
        x: &Axis,
        y: &Axis,
    ) -> usize {
        self.plots.push(LivePlot { name, title: title.to_owned(), edges, x: x.clone(), y: y.clone() });
        self.plots.len() - 1
    }

    /// Adds a series of single values.
    pub(crate) fn values(
        &mut self,
        plot: usize,
        (name, colour): (&str, Colour),
        xs: &[f64],
        ys: Vec<Option<f64>>,
        course: Course,
    ) {
        let is_layer = course == Course::Layer;
        let name = name.to_owned();
        self.readings.push(Reading { plot, name, colour, xs: xs.to_vec(), ys, to: None, is_layer });
    }

    /// Adds a series of ranges.
    pub(crate) fn ranges(
        &mut self,
        plot: usize,
        (name, colour): (&str, Colour),
        xs: &[f64],
        low: &[f64],
        high: &[f64],
    ) {
        let ys = low.iter().copied().map(Some).collect();
        let (name, to) = (name.to_owned(), Some(high.to_vec()));
        self.readings.push(Reading { plot, name, colour, xs: xs.to_vec(), ys, to, is_layer: false });
    }

    /// The names of the series, each once.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for reading in &self.readings {
            if !names.contains(&reading.name.as_str()) {
                names.push(&reading.name);
            }
        }
        names
    }

    /// The opening tag of a group.
    pub(super) fn group(&self, role: &Role) -> String {
        let place = |name: &String| self.names().iter().position(|other| other == name);
        match role {
            Role::Key(name) => match place(name) {
                Some(series) => format!("<g class=\"key\" data-series=\"{series}\">\n"),
                // Nothing to show or hide.
                None => "<g>\n".to_owned(),
            },
            Role::Series(plot, name) => match place(name) {
                Some(series) => {
                    format!("<g class=\"series\" data-plot=\"{plot}\" data-series=\"{series}\">\n")
                }
                None => format!("<g class=\"moving\" data-plot=\"{plot}\">\n"),
            },
            Role::Moving(plot) => format!("<g class=\"moving\" data-plot=\"{plot}\">\n"),
            Role::Ticks(plot) => format!("<g class=\"ticks\" data-plot=\"{plot}\">\n"),
        }
    }
}

/// The JSON of a chart that is drawn on two sheets, each with its scale; `None` if no plot of it is live. It can stand in
/// a page as it is: no text in it closes an element.
pub(super) fn json(sheets: [(&Live, f64); 2]) -> Option<String> {
    let live = sheets[0].0;
    if live.plots.is_empty() || live.readings.is_empty() {
        return None;
    }
    let mut courses: Vec<&Vec<f64>> = Vec::new();
    let mut readings = Vec::new();
    let names = live.names();
    for reading in &live.readings {
        let course = courses.iter().position(|xs| **xs == reading.xs).unwrap_or_else(|| {
            courses.push(&reading.xs);
            courses.len() - 1
        });
        readings.push(reading.json(course, &names, &live.plots[reading.plot].y));
    }
    let courses = joined(courses.iter().map(|xs| course(xs)));
    let plots = joined(live.plots.iter().map(LivePlot::json));
    let edges = sheets.map(|(live, scale)| {
        let of = |plot: &LivePlot| format!("[{}]", joined(plot.edges.map(|edge| number(edge * scale, 6))));
        format!("[{}]", joined(live.plots.iter().map(of)))
    });
    let names = joined(names.iter().map(|name| text(name)));
    let readings = joined(readings);
    Some(format!(
        "{{\"plots\":[{plots}],\"edges\":[{}],\"names\":[{names}],\"xs\":[{courses}],\"series\":[{readings}]}}",
        edges.join(",")
    ))
}

impl LivePlot {
    fn json(&self) -> String {
        format!(
            "{{\"axis\":{},\"title\":{},\"x\":{},\"y\":{}}}",
            text(self.name),
            text(&self.title),
            axis(&self.x),
            axis(&self.y)
        )
    }
}

impl Reading {
    fn json(&self, course: usize, names: &[&str], y: &Axis) -> String {
        let shown = |value: Option<f64>| match value.filter(|value| value.is_finite()) {
            Some(value) => number(value / y.divisor(), DIGITS),
            None => "null".to_owned(),
        };
        let name = names.iter().position(|name| *name == self.name).unwrap_or_default();
        let mut json = format!(
            "{{\"plot\":{},\"name\":{name},\"colour\":\"#{:06X}\",\"x\":{course},\"y\":[{}]",
            self.plot,
            self.colour.light(),
            joined(self.ys.iter().map(|value| shown(*value)))
        );
        if let Some(to) = &self.to {
            let _ = write!(json, ",\"to\":[{}]", joined(to.iter().map(|value| shown(Some(*value)))));
        }
        if self.is_layer {
            json += ",\"layer\":true";
        }
        json + "}"
    }
}

fn axis(axis: &Axis) -> String {
    let divisor = axis.divisor();
    let (low, high) = axis.range();
    let kind = axis.spacing();
    let end = |value: f64| number(value / divisor, 6);
    format!(
        "{{\"from\":{},\"to\":{},\"kind\":{},\"linear\":{},\"size\":{},\"unit\":{}}}",
        end(low),
        end(high),
        text(kind),
        end(axis.linear_to()),
        number(divisor, 9),
        text(axis.suffix())
    )
}

/// `[first, step, count]` in an object, if the values are at equal distances, else all values.
fn course(xs: &[f64]) -> String {
    if let [first, second, ..] = xs {
        let step = second - first;
        let last = first + step * (xs.len() - 1) as f64;
        let is_even = xs
            .iter()
            .enumerate()
            .all(|(index, x)| (x - (first + step * index as f64)).abs() < last.abs() * 1e-9);
        if is_even {
            return format!(
                "{{\"first\":{},\"step\":{},\"count\":{}}}",
                number(*first, 9),
                number(step, 9),
                xs.len()
            );
        }
    }
    format!("[{}]", joined(xs.iter().map(|x| number(*x, 6))))
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(",")
}

/// A number with so many significant digits, as short as JSON allows.
fn number(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let rounded: f64 = format!("{value:.*e}", digits - 1).parse().expect("a number that was just written");
    format!("{rounded}")
}

/// A text in quotes. `<` is escaped, so that neither `</script>` nor `<!--` can stand in it.
fn text(text: &str) -> String {
    serde_json::to_string(text).expect("a text has a place in JSON").replace('<', "\\u003c")
}

/// Of each value.
const DIGITS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_no_text_ends_the_element() {
        let shown = [0.0, 50_034.0, 1.0 / 3.0, 1e-7, -2.5].map(|value| number(value, 4));
        assert_eq!(shown, ["0", "50030", "0.3333", "0.0000001", "-2.5"]);
        assert_eq!(text("</script><!--\""), "\"\\u003c/script>\\u003c!--\\\"\"");
    }

    #[test]
    fn moments_at_equal_distances_take_no_room() {
        assert_eq!(course(&[0.5, 1.0, 1.5]), "{\"first\":0.5,\"step\":0.5,\"count\":3}");
        assert_eq!(course(&[0.5, 1.0, 2.5]), "[0.5,1,2.5]");
        assert_eq!(course(&[2.0]), "[2]");
    }
}
