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
    /// Tells how all services do.
    HEALTH = GET "/api/v1/health";
    /// Tells whether the process works.
    LIVENESS = GET "/api/v1/health/liveness";
    /// Tells whether the instance takes traffic.
    READINESS = GET "/api/v1/health/readiness";
    /// Closes the circuit by hand.
    RESET = POST "/api/v1/metrics/backpressure/reset";
    /// Tells the metrics to Prometheus.
    PROMETHEUS = GET "/api/v1/metrics/prometheus";
    /// Tells everything about queue, workers and circuit.
    QUEUE = GET "/api/v1/metrics/queue";
    /// Tells the same in five lines.
    SUMMARY = GET "/api/v1/metrics/queue/summary";
    /// Has all of this as an OpenAPI document.
    OPENAPI = GET "/api/v1/openapi.json";
}
