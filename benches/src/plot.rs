//! The plot: a panel of bars for each workload, on a scale of its own, as SVG.

use crate::measure::{Figures, Results};
use crate::report::milliseconds;
use crate::runtime::Kind;
use crate::workload::Workload;
use std::time::Duration;

const WIDTH: u32 = 860;
const LABEL: u32 = 160;
const BARS: u32 = 560;
const ROW: u32 = 22;
const HEAD: u32 = 34;
const TOP: u32 = 56;

const STYLE: &str = "\
<style>text{font:13px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}.head{font-weight:bold}\
.note{fill:#666}.ours{fill:#c2410c}.peer{fill:#64748b}.floor{fill:#a8b5a2}.whisker{stroke:#222;stroke-width:1}\
</style>\n";

/// The plot of all workloads that at least one entrant could do.
pub fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for &workload in &results.workloads {
        let bars = bars(results, workload);
        if !bars.is_empty() {
            body += &panel(workload, &bars, y);
            y += HEAD + ROW * bars.len() as u32;
        }
    }
    let height = y + 16;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"median wall times\">\n"
    );
    text += STYLE;
    text += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    text +=
        "<text class=\"title\" x=\"16\" y=\"26\">Median wall time, milliseconds: shorter is better</text>\n";
    text += "<text class=\"note\" x=\"16\" y=\"46\">each panel has its own scale; the thin line ends at the 95th \
             percentile</text>\n";
    text + &body + "</svg>\n"
}

struct Bar<'a> {
    name: &'a str,
    class: &'static str,
    figures: &'a Figures,
}

fn bars(results: &Results, workload: Workload) -> Vec<Bar<'_>> {
    let bar = |entrant: &'_ crate::runtime::Entrant| {
        let class = match entrant.kind {
            Kind::Floor { .. } | Kind::Cat { .. } => "floor",
            Kind::Oci { .. } | Kind::Engine(_) if entrant.name == results.group.ours() => "ours",
            Kind::Oci { .. } | Kind::Engine(_) => "peer",
        };
        // Where only a peak was looked at there is nothing to draw.
        let figures = results.figures(workload, &entrant.name).filter(|figures| !figures.median.is_zero());
        figures.map(|figures| (class, figures))
    };
    let entrants = results.entrants.iter();
    entrants
        .filter_map(|entrant| {
            bar(entrant).map(|(class, figures)| Bar { name: &entrant.name, class, figures })
        })
        .collect()
}

fn panel(workload: Workload, bars: &[Bar<'_>], y: u32) -> String {
    let longest = bars.iter().map(|bar| bar.figures.p95).max().unwrap_or_default();
    let mut text =
        format!("<text class=\"head\" x=\"16\" y=\"{}\">{}</text>\n", y + 20, escaped(workload.title()));
    for (index, bar) in bars.iter().enumerate() {
        text += &line(bar, longest, y + HEAD - 6 + ROW * index as u32);
    }
    text
}

fn line(bar: &Bar<'_>, longest: Duration, y: u32) -> String {
    let scale = |time: Duration| {
        let share = time.as_secs_f64() / longest.as_secs_f64().max(f64::MIN_POSITIVE);
        (share * f64::from(BARS)).round() as u32
    };
    let (length, whisker) = (scale(bar.figures.median).max(1), scale(bar.figures.p95));
    let (middle, base) = (y + 8, y + 13);
    let name = escaped(bar.name);
    let class = bar.class;
    let time = milliseconds(bar.figures.median);
    let value = LABEL + length.max(whisker) + 8;
    format!(
        "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{name}</text>\
         <rect class=\"{class}\" x=\"{LABEL}\" y=\"{y}\" width=\"{length}\" height=\"16\"/>\
         <line class=\"whisker\" x1=\"{}\" x2=\"{}\" y1=\"{middle}\" y2=\"{middle}\"/>\
         <text x=\"{value}\" y=\"{base}\">{time}</text>\n",
        LABEL - 8,
        LABEL + length,
        LABEL + whisker,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::results;

    #[test]
    fn each_entrant_that_worked_has_a_bar_in_proportion() {
        let text = svg(&results());
        assert_eq!(text.matches("<rect class=").count(), 2);
        // Both share the scale of the longest whisker, 11 ms.
        assert!(text.contains("class=\"ours\" x=\"160\" y=\"84\" width=\"204\""), "{text}");
        assert!(text.contains("class=\"peer\" x=\"160\" y=\"106\" width=\"509\""), "{text}");
        assert!(!text.contains("runc<"), "a failed entrant has no bar");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("a<b>&c"), "a&lt;b&gt;&amp;c");
    }
}
