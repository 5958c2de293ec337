//! The endpoints of the gateway, under the paths of the specification.

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

macro_rules! endpoints {
    ($( #[doc = $meaning:literal] $name:ident = $method:ident $path:literal; )*) => {
        $(
            #[doc = $meaning]
            pub const $name: Endpoint =
                Endpoint { method: stringify!($method), path: $path, meaning: $meaning.trim_ascii() };
        )*
        /// All of them.
        pub const ALL: &[Endpoint] = &[$($name),*];
    };
}

endpoints! {
    /// Takes events.
    EVENTS = POST "/api/v1/datastreams";
    /// Reports the health of all services.
    HEALTH = GET "/api/v1/health";
    /// Reports whether the process is alive.
    LIVENESS = GET "/api/v1/health/liveness";
    /// Reports whether the instance should receive traffic.
    READINESS = GET "/api/v1/health/readiness";
    /// Closes the circuit by hand.
    RESET = POST "/api/v1/metrics/backpressure/reset";
    /// Exports the metrics for Prometheus.
    PROMETHEUS = GET "/api/v1/metrics/prometheus";
    /// Reports queue, workers and circuit in detail.
    QUEUE = GET "/api/v1/metrics/queue";
    /// Reports them in five lines.
    SUMMARY = GET "/api/v1/metrics/queue/summary";
    /// Returns the OpenAPI document.
    OPENAPI = GET "/api/v1/openapi.json";
}
