//! Several processes under the same loads by turns: the machine's speed drifts by a third within minutes,
//! so only what was measured side by side is compared, and the median of the ratios counts.

use crate::{
    drive::{Lane, Load, Sample},
    report::Row,
    server::Kind,
    stats::{median, milliseconds},
};

/// One process in the race; the first of all is the bound.
pub(crate) struct Entrant {
    /// Nothing for the bound.
    pub(crate) kind: Option<Kind>,
    pub(crate) who: &'static str,
    lane: Lane,
    /// Its runs under each load.
    pub(crate) runs: Vec<Vec<Sample>>,
}

impl Entrant {
    pub(crate) fn new(kind: Kind, who: &'static str, lane: Lane) -> Self {
        Self {
            kind: Some(kind),
            who,
            lane,
            runs: Vec::new(),
        }
    }

    pub(crate) fn bound(lane: Lane) -> Self {
        Self {
            kind: None,
            who: "bound",
            lane,
            runs: Vec::new(),
        }
    }
}

/// Gives every load to everybody in turn, `rounds` times.
pub(crate) fn race(entrants: &mut [Entrant], loads: &[Load], rounds: usize) -> anyhow::Result<()> {
    for entrant in &mut *entrants {
        entrant.runs.resize_with(loads.len(), Vec::new);
    }
    for round in 0..rounds {
        for (number, load) in loads.iter().enumerate() {
            for place in 0..entrants.len() {
                // Whoever was last is first next time; neighbours stay neighbours.
                let turn = if round % 2 == 0 {
                    place
                } else {
                    entrants.len() - 1 - place
                };
                let entrant = &mut entrants[turn];
                let run = entrant.lane.run(*load)?;
                entrant.runs[number].push(run);
            }
        }
    }
    Ok(())
}

/// How a figure stands to the bound's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ratio {
    BoundToOurs,
    OursToBound,
}

/// `cost`, in microseconds, beside the bound's of the same rounds.
pub(crate) fn row(
    (who, figure): (&'static str, &str),
    ours: &[Sample],
    bounds: &[Sample],
    ratio: Ratio,
    cost: fn(&Sample) -> f64,
) -> Row {
    let ratios =
        ours.iter()
            .map(cost)
            .zip(bounds.iter().map(cost))
            .map(|(ours, bound)| match ratio {
                Ratio::BoundToOurs => bound / ours,
                Ratio::OursToBound => ours / bound,
            });
    let ratio = median(ratios);
    let measured = median(ours.iter().map(cost));
    Row::lone(who, figure, "us", measured).beside(median(bounds.iter().map(cost)), ratio)
}

/// Deliveries per CPU-second and the time that they were under way.
pub(crate) fn delivery_note(runs: &mut [Sample]) -> String {
    let cost = median(runs.iter().map(Sample::cpu_per_delivery));
    let mut percentile = |percent| {
        median(
            runs.iter_mut()
                .map(|run| milliseconds(run.latencies.percentile(percent))),
        )
    };
    let (p50, p99) = (percentile(50), percentile(99));
    let rate = 1e6 / cost;
    format!("{rate:.0} deliveries per CPU-s, p50 {p50:.2} p99 {p99:.2} ms")
}
