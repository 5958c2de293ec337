//! What the charts over the axes show: recovery, rejections, and the first objective about anything else.

use crate::experiment::summary::Estimate;
use crate::model::metric::{Metric, Unit};
use crate::report::sweep::view::View;
use crate::study::VariantResult;

/// A figure that each variant has.
pub(super) struct Measure {
    /// Name of the chart's files.
    pub(super) file: &'static str,
    /// What it is, as a title.
    pub(super) title: String,
    pub(super) unit: Unit,
    /// The value that an objective allows, if it is about just this figure.
    pub(super) limit: Option<f64>,
    figure: Figure,
}

enum Figure {
    Mean(Metric),
    Observed(usize),
}

impl Measure {
    pub(super) fn of(&self, result: &VariantResult) -> Option<f64> {
        let value = match self.figure {
            Figure::Mean(metric) => result.metric(metric).mean,
            Figure::Observed(objective) => result.slo[objective].0,
        };
        value.filter(|value| value.is_finite())
    }

    /// Half the interval around the value, where there is one.
    pub(super) fn half_width(&self, result: &VariantResult) -> Option<f64> {
        match self.figure {
            Figure::Mean(metric) => result.metric(metric).half_width,
            Figure::Observed(_) => None,
        }
    }

    /// Whether the value is only a bound.
    pub(super) fn is_censored(&self, result: &VariantResult) -> bool {
        matches!(self.figure, Figure::Mean(metric) if is_censored(result.metric(metric)))
    }
}

fn is_censored(estimate: &Estimate) -> bool {
    estimate.censored > 0
}

pub(super) fn all(view: &View<'_>) -> Vec<Measure> {
    let slo = &view.grid().scenario().slo;
    let mean = |file, title: &str, metric: Metric| Measure {
        file,
        title: title.to_owned(),
        unit: metric.unit(),
        limit: None,
        figure: Figure::Mean(metric),
    };
    let mut measures = vec![
        mean("map-recovery", "Recovery time", Metric::Recovery),
        mean("map-rejection", "Rejected share of offered jobs", Metric::RejectionProbability),
    ];
    let is_shown = |metric: Metric| matches!(metric, Metric::Recovery | Metric::RejectionProbability);
    let other =
        slo.iter().position(|slo| slo.class.is_some() || slo.metric().is_none_or(|metric| !is_shown(metric)));
    measures.extend(other.map(|index| Measure {
        file: "map-objective",
        title: format!("Objective {}", slo[index].expression),
        unit: slo[index].subject.unit(),
        limit: Some(slo[index].limit),
        figure: Figure::Observed(index),
    }));
    measures
}
