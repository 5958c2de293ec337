//! Costs as text: an amount in the scenario's currency, or a number of worker processes if nothing has a
//! price.

use super::number;
use crate::experiment::summary::Estimate;
use crate::model::metric::Unit;
use crate::scenario::Prices;

/// `$310`, or `3` if the cost is a number of processes.
pub(crate) fn amount(prices: &Prices, cost: f64) -> String {
    with_currency(prices, &number::value(Unit::Count, cost))
}

/// A cost with its half-width.
pub(crate) fn estimate(prices: &Prices, cost: &Estimate) -> String {
    with_currency(prices, &number::estimate(Unit::Count, cost))
}

/// `$310 a month`, `3 worker processes`.
pub(crate) fn in_words(prices: &Prices, cost: &Estimate) -> String {
    let amount = estimate(prices, cost);
    match (has_prices(prices), amount.as_str()) {
        (true, _) => format!("{amount} a month"),
        (false, "1") => "1 worker process".to_owned(),
        (false, _) => format!("{amount} worker processes"),
    }
}

/// What the cost measures: `cost a month`, or `worker processes` if nothing has a price.
pub(crate) fn name(prices: &Prices) -> &'static str {
    if has_prices(prices) { "cost a month" } else { "worker processes" }
}

/// Whether the scenario has prices; without any, the cost is the number of worker processes.
pub(crate) fn has_prices(prices: &Prices) -> bool {
    let others = [prices.slot, prices.gateway, prices.redis_gib, prices.rejected_job, prices.lost_job];
    let is_plain = prices.currency.is_empty() && (prices.worker - 1.0).abs() < 1e-12;
    !(is_plain && others.iter().all(|price| *price <= 0.0))
}

fn with_currency(prices: &Prices, amount: &str) -> String {
    let gap = if prices.currency.ends_with(char::is_alphanumeric) { " " } else { "" };
    format!("{}{gap}{amount}", prices.currency)
}
