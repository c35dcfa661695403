//! Creates metrics and adds them to the registry.

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, Opts, Registry, Result,
};

use super::Side;
use crate::units::{PerPool, PoolSlot};

/// Makes a group of metrics, each made by a function of [`Make`].
macro_rules! figures {
    ($(#[$about:meta])* $group:ident {
        $($figure:ident: $type:ty = $make:ident($($argument:expr),*);)*
    }) => {
        $(#[$about])*
        pub(super) struct $group {
            $(pub(super) $figure: $type,)*
        }

        impl $group {
            pub(super) fn new(make: &Make<'_>) -> Result<Self> {
                Ok(Self { $($figure: make.$make($($argument),*)?,)* })
            }
        }
    };
}
pub(super) use figures;

/// One counter for each side of the proxy.
pub(super) struct PerSide {
    downstream: IntCounter,
    upstream: IntCounter,
}

impl PerSide {
    fn new(counts: &IntCounterVec) -> Self {
        let of = |side: Side| counts.with_label_values(&[side.name()]);
        Self {
            downstream: of(Side::Downstream),
            upstream: of(Side::Upstream),
        }
    }

    pub(super) fn of(&self, side: Side) -> &IntCounter {
        match side {
            Side::Downstream => &self.downstream,
            Side::Upstream => &self.upstream,
        }
    }
}

/// The registry in which metrics are made.
pub(super) struct Make<'a>(pub(super) &'a Registry);

impl Make<'_> {
    pub(super) fn count(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.enter(IntCounter::new(name, help)?)
    }

    pub(super) fn counts_by_side(&self, name: &str, help: &str) -> Result<PerSide> {
        Ok(PerSide::new(&self.counts(name, help, &["side"])?))
    }

    pub(super) fn counts(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.enter(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// With a series for each of the values from the start.
    pub(super) fn counts_by<const N: usize>(
        &self,
        label: &str,
        name: &str,
        help: &str,
        values: [&str; N],
    ) -> Result<IntCounterVec> {
        let counts = self.counts(name, help, &[label])?;
        for value in values {
            counts.with_label_values(&[value]);
        }
        Ok(counts)
    }

    /// With a series for each pool and each of the values from the start.
    pub(super) fn counts_by_pool_and<const N: usize>(
        &self,
        label: &str,
        name: &str,
        help: &str,
        values: [&str; N],
    ) -> Result<IntCounterVec> {
        let counts = self.counts(name, help, &["pool", label])?;
        for value in values {
            by_pool(|pool| counts.with_label_values(&[pool, value]));
        }
        Ok(counts)
    }

    pub(super) fn counts_by_pool(&self, name: &str, help: &str) -> Result<PerPool<IntCounter>> {
        let counts = self.counts(name, help, &["pool"])?;
        Ok(by_pool(|pool| counts.with_label_values(&[pool])))
    }

    pub(super) fn sums_by_pool(&self, name: &str, help: &str) -> Result<PerPool<Counter>> {
        let sums = self.enter(CounterVec::new(Opts::new(name, help), &["pool"])?)?;
        Ok(by_pool(|pool| sums.with_label_values(&[pool])))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<Gauge> {
        self.enter(Gauge::new(name, help)?)
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        self.enter(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauges_by_pool(&self, name: &str, help: &str) -> Result<PerPool<Gauge>> {
        let gauges = self.gauges(name, help, &["pool"])?;
        Ok(by_pool(|pool| gauges.with_label_values(&[pool])))
    }

    pub(super) fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram> {
        self.enter(Histogram::with_opts(options(name, help, bounds))?)
    }

    pub(super) fn histograms_by_pool(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<PerPool<Histogram>> {
        let histograms = self.enter(HistogramVec::new(options(name, help, bounds), &["pool"])?)?;
        Ok(by_pool(|pool| histograms.with_label_values(&[pool])))
    }

    fn enter<C: Collector + Clone + 'static>(&self, figure: C) -> Result<C> {
        self.0.register(Box::new(figure.clone()))?;
        Ok(figure)
    }
}

fn options(name: &str, help: &str, bounds: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(bounds.to_vec())
}

/// Looks up both pools' metrics once, so that counting is just an addition.
fn by_pool<T>(find: impl Fn(&str) -> T) -> PerPool<T> {
    PerPool::from_fn(|slot: PoolSlot| find(slot.name()))
}
