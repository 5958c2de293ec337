"""Checks of deploy/gateway that neither Kubernetes' schemas nor promtool can make.

    check.py DIRECTORY

Prints every problem and fails if there is one. The directory has contract.json, the contract of the code: which variables the
gateway has, which metrics, and whether all gateways share a metric or each has its own. The numbers and names of the
specification stand here literally.

Two files for promtool go into the directory: queries.yaml, every query of the dashboard as a recording rule, and
queries-test.yaml, the results that the queries of the specification and of the autoscaler must have. They are taken from the
files under test, so that no test passes for a query that is gone.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
KIT = ROOT / "deploy/gateway"
GATEWAY = "backpressure-gateway"

# The specification's probes: kind, path, initialDelaySeconds, periodSeconds; all on the admin port, which no load starves.
PORT, ADMIN_PORT = 3000, 3001
PROBES = [
    ("livenessProbe", "/api/v1/health/liveness", 30, 10),
    ("readinessProbe", "/api/v1/health/readiness", 10, 5),
]
METRICS_PATH = "/api/v1/metrics/prometheus"

# The specification's alerts: what the expression ends with, for, severity, action.
ALERTS = {
    "CircuitBreakerOpen": ("rule_engine_backpressure_circuit_state == 2", "5m", "critical",
                           ["Scale workers", "investigate traffic source"]),
    "QueueDepthCritical": ("rule_engine_queue_total_pending) > 50000", "2m", "critical",
                           ["Scale workers immediately"]),
    "HighRejectionRate": ("sum(rate(rule_engine_backpressure_rejected_total[5m])) > 100", "5m", "critical",
                          ["Investigate traffic spike", "scale infrastructure"]),
    "QueueDepthWarning": ("rule_engine_queue_total_pending) > 10000", "5m", "warning", ["Monitor", "prepare to scale"]),
    "WorkerCountLow": ("rule_engine_workers) < 3", None, "warning", ["Restart worker processes"]),
}

# The specification's dashboard queries, word for word, the unit of their panel, and what SAMPLE makes of them.
QUERIES = [
    ("rule_engine_queue_waiting + rule_engine_queue_active", "short", 945),
    ("((rule_engine_queue_waiting + rule_engine_queue_active) / rule_engine_backpressure_threshold_critical) * 100",
     "percent", 945 / 50000 * 100),
    ("rate(rule_engine_backpressure_rejected_total[1m])", "eps", 37),
    ("rate(rule_engine_queue_completed[1m])", "eps", 400),
    ("rule_engine_queue_active / (rule_engine_workers * 20)", "percentunit", 0.75),
]

# One queue and three gateways that tell of it, one of them a little late; two classes rejected for two reasons, at
# 10 + 20 + 5 + 2 a second. The last gateway is of another environment.
SHARED = {"active": "45x60", "completed": "0+6000x60", "total_pending": "945x60"}
SAMPLE = {
    **{f'rule_engine_queue_{name}{{namespace="a",pod="{pod}"}}': values
       for name, values in SHARED.items() for pod in (0, 1, 2)},
    'rule_engine_queue_waiting{namespace="a",pod="0"}': "900x60",
    'rule_engine_queue_waiting{namespace="a",pod="1"}': "900x60",
    'rule_engine_queue_waiting{namespace="a",pod="2"}': "880x60",
    **{f'rule_engine_workers{{namespace="a",pod="{pod}"}}': "3x60" for pod in (0, 1, 2)},
    **{f'rule_engine_backpressure_threshold_critical{{namespace="a",pod="{pod}"}}': "50000x60" for pod in (0, 1, 2)},
    'rule_engine_backpressure_rejected_total{namespace="a",pod="0",class="batch",reason="x"}': "0+150x60",
    'rule_engine_backpressure_rejected_total{namespace="a",pod="0",class="telemetry",reason="y"}': "0+300x60",
    'rule_engine_backpressure_rejected_total{namespace="a",pod="1",class="batch",reason="x"}': "0+75x60",
    'rule_engine_backpressure_rejected_total{namespace="a",pod="2",class="batch",reason="x"}': "0+30x60",
    'rule_engine_queue_total_pending{namespace="b",pod="0"}': "99999x60",
}

# Not on the dashboard: what the autoscaler and the alerts use, and what other panels say already.
NOT_SHOWN = {
    "rule_engine_queue_total_pending", "rule_engine_queue_utilization_ratio", "rule_engine_queue_paused",
    "rule_engine_queue_completed_total", "rule_engine_worker_concurrency", "rule_engine_backpressure_enabled",
    "rule_engine_backpressure_openings_total",
    "rule_engine_gateway_emit_seconds", "rule_engine_gateway_build_info",
    "rule_engine_spill_replayed_total", "rule_engine_spill_damaged_total",
    # Repetitions make no job, and nobody acts on them.
    "rule_engine_backpressure_repeated_total",
    # Of the process, as every service has them: dashboards for these exist.
    "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
    "process_max_fds",
}

problems = []


def expect(truth, problem):
    if not truth:
        problems.append(problem)


def load(path):
    return yaml.safe_load((KIT / path).read_text())


def seconds(duration):
    return sum(int(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)([smh])", duration))


def mebibytes(quantity):
    """Of Kubernetes (2Gi) or Redis (1gb), which mean the same powers of two."""
    number, unit = re.fullmatch(r"(\d+)([a-zA-Z]+)", quantity).groups()
    return int(number) * {"mi": 1, "mb": 1, "gi": 1024, "gb": 1024}[unit.lower()]


# Kubernetes


def workloads(objects):
    return [item for item in objects if item["kind"] in ("Deployment", "StatefulSet")]


def matches(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def check_kubernetes(objects):
    names = set()
    for item in objects:
        kind, name = item["kind"], item["metadata"]["name"]
        expect((kind, name) not in names, f"{kind} {name} is there twice")
        names.add((kind, name))
        expect("namespace" not in item["metadata"], f"{kind} {name} names a namespace: it belongs to kubectl -n")

    for item in workloads(objects):
        name, pod = item["metadata"]["name"], item["spec"]["template"]
        labels = pod["metadata"]["labels"]
        expect(matches(item["spec"]["selector"]["matchLabels"], labels), f"{name}: its selector does not match its own pods")
        for spread in pod["spec"].get("topologySpreadConstraints", []):
            expect(matches(spread["labelSelector"]["matchLabels"], labels), f"{name}: its pods are spread by other labels")
        if item["kind"] == "StatefulSet":
            expect(("Service", item["spec"]["serviceName"]) in names, f"{name}: no Service {item['spec']['serviceName']}")
        for volume in pod["spec"].get("volumes", []):
            if "configMap" in volume:
                expect(("ConfigMap", volume["configMap"]["name"]) in names, f"{name}: no ConfigMap {volume['configMap']['name']}")
        for container in pod["spec"]["containers"]:
            check_container(name, item, container)

    for item in objects:
        kind, name = item["kind"], item["metadata"]["name"]
        if kind == "Service":
            selected = [w for w in workloads(objects)
                        if matches(item["spec"]["selector"], w["spec"]["template"]["metadata"]["labels"])]
            expect(selected, f"Service {name} selects no pod")
            ports = {port for w in selected for c in w["spec"]["template"]["spec"]["containers"]
                     for p in c.get("ports", []) for port in (p["name"], p["containerPort"])}
            for port in item["spec"]["ports"]:
                target = port.get("targetPort", port["port"])
                expect(target in ports, f"Service {name}: no container has a port {target}")
        if kind == "PodDisruptionBudget":
            selected = [w for w in workloads(objects)
                        if matches(item["spec"]["selector"]["matchLabels"], w["spec"]["template"]["metadata"]["labels"])]
            expect(selected, f"PodDisruptionBudget {name} selects no pod")
            for workload in selected:
                expect(1 <= item["spec"]["maxUnavailable"] < workload["spec"]["replicas"],
                       f"PodDisruptionBudget {name}: all pods may go at a time, or none")


def check_container(name, item, container):
    pod = item["spec"]["template"]["spec"]
    check_image(name, container["image"])
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    expect(security.get("runAsNonRoot") and security.get("runAsUser"), f"{name}: may run as root")
    expect(security.get("readOnlyRootFilesystem"), f"{name}: its root file system can be written")
    volumes = {volume["name"] for volume in pod.get("volumes", []) + [
        {"name": claim["metadata"]["name"]} for claim in item["spec"].get("volumeClaimTemplates", [])]}
    for mount in container.get("volumeMounts", []):
        expect(mount["name"] in volumes, f"{name}: no volume {mount['name']}")
    ports = {port for p in container.get("ports", []) for port in (p["name"], p["containerPort"])}
    for kind in ("livenessProbe", "readinessProbe"):
        probe = container.get(kind) or {}
        expect(probe, f"{name}: no {kind}")
        for how in ("httpGet", "tcpSocket"):
            if how in probe:
                expect(probe[how]["port"] in ports, f"{name}: {kind} asks port {probe[how]['port']}, which it does not have")


def check_image(where, image):
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    expect(tag or "@sha256:" in image, f"{where}: the image {image} has no tag")
    expect(tag != "latest", f"{where}: the image {image} is another one tomorrow")


def check_gateway(objects):
    """Returns the settings that the manifest makes."""
    item = next((w for w in workloads(objects) if w["metadata"]["name"] == GATEWAY), None)
    if item is None:
        problems.append(f"no {GATEWAY}")
        return {}
    pod = item["spec"]["template"]["spec"]
    container = pod["containers"][0]
    expect(item["spec"]["replicas"] == 3, "gateway: not 3 replicas")
    for kind, path, delay, period in PROBES:
        probe = container.get(kind, {})
        expect(probe.get("httpGet") == {"path": path, "port": ADMIN_PORT}, f"gateway: {kind} is not of {path} on {ADMIN_PORT}")
        expect((probe.get("initialDelaySeconds"), probe.get("periodSeconds")) == (delay, period),
               f"gateway: {kind} is not after {delay} s and every {period} s")
    variables = container.get("env", [])
    settings = {variable["name"]: variable.get("value") for variable in variables}
    expect(len(settings) == len(variables), "gateway: a variable is set twice")
    for variable, port, name in ("PORT", PORT, "http"), ("ADMIN_PORT", ADMIN_PORT, "admin"):
        expect(settings.get(variable) == str(port), f"gateway: {variable} is not {port}")
        expect({"containerPort": port, "name": name} in container["ports"], f"gateway: no port {port} named {name}")

    stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    stop += int(settings.get("DRAIN_DELAY_MS") or 0) / 1000
    expect(stop >= 5, f"gateway: balancers that are {stop:g} s late send to a port that is closed")
    drain = int(settings.get("SHUTDOWN_TIMEOUT_MS") or 25000) / 1000
    expect(pod.get("terminationGracePeriodSeconds", 30) > stop + drain,
           f"gateway: killed before its {stop:g} + {drain:g} s of ending are over")

    claims = {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
    spill = settings.get("SPILL_DIR") or ""
    expect(any(spill == mount["mountPath"] and mount["name"] in claims and not mount.get("readOnly")
               for mount in container.get("volumeMounts", [])),
           f"gateway: SPILL_DIR {spill} is not a claim of its own that outlives the pod")
    checks = (settings.get("READINESS_CHECKS") or "").split(",")
    expect("READINESS_CHECKS" in settings and "backpressure" not in checks,
           "gateway: not ready while the circuit is open, so that nobody gets priority 1")

    readme = (KIT / "README.md").read_text()
    for variable in variables:
        secret = variable.get("valueFrom", {}).get("secretKeyRef")
        if secret:
            expect(f"secret generic {secret['name']} --from-literal={secret['key']}=" in readme,
                   f"gateway: README.md does not tell how to make the Secret {secret['name']} with {secret['key']}")
    expect(not settings.get("RESET_TOKEN"), "gateway: the token is written in the manifest")

    host = re.fullmatch(r"rediss?://(?:[^@/]*@)?([^:/]+)(?::(\d+))?(?:/\d*)?", settings.get("REDIS_URL") or "")
    services = {s["metadata"]["name"]: [p["port"] for p in s["spec"]["ports"]] for s in objects if s["kind"] == "Service"}
    expect(host and int(host[2] or 6379) in services.get(host[1], []), "gateway: REDIS_URL leads to no Service")
    return settings


def check_settings(settings, contract):
    """The manifest sets nothing that the gateway does not know."""
    known = {variable["name"] for variable in contract["variables"]}
    for name in settings:
        expect(name in known, f"gateway: there is no variable {name}")
    print(f"{len(settings)} settings held against the contract")


def check_endpoints(contract):
    """The probes and the scrape are of paths that the gateway has."""
    paths = {endpoint["path"] for endpoint in contract["endpoints"] if endpoint["method"] == "GET"}
    for path in [path for _, path, _, _ in PROBES] + [METRICS_PATH]:
        expect(path in paths, f"gateway: there is no endpoint {path}")


def check_redis(objects):
    item = next(w for w in workloads(objects) if w["metadata"]["name"] == "rule-engine-redis")
    expect(item["spec"]["replicas"] == 1, "redis: more than one would be more than one queue")
    text = next(o for o in objects if o["kind"] == "ConfigMap")["data"]["redis.conf"]
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    conf = {line[0]: " ".join(line[1:]) for line in lines}
    for key, value in (("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "always")):
        expect(conf.get(key) == value, f"redis: {key} is not {value}")
    limit = item["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    expect(mebibytes(conf["maxmemory"]) * 2 <= mebibytes(limit),
           "redis: maxmemory is more than half of the container's, so a rewrite of the log may end it")
    mounts = {mount["mountPath"]: mount["name"] for mount in
              item["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
    expect(mounts.get(conf.get("dir")) in claims, "redis: its log is not on a claim")


def check_autoscaler(objects):
    """Returns the adapter's query."""
    scaler = next(o for o in objects if o["kind"] == "HorizontalPodAutoscaler")
    spec = scaler["spec"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "aemos-worker"}
    expect(scaler["metadata"]["name"] == "aemos-worker" and spec["scaleTargetRef"] == target,
           "autoscaler: not of the Deployment aemos-worker")
    expect((spec["minReplicas"], spec["maxReplicas"]) == (3, 20), "autoscaler: not 3 to 20 workers")
    external = [metric["external"] for metric in spec["metrics"] if metric["type"] == "External"]
    names = [metric["metric"]["name"] for metric in external]
    expect(names == ["rule_engine_queue_total_pending"], "autoscaler: its target is not rule_engine_queue_total_pending")
    expect([metric["target"] for metric in external] == [{"type": "AverageValue", "averageValue": "5000"}],
           "autoscaler: not 5000 jobs a worker")
    rules = load("prometheus/adapter-values.yaml")["rules"]["external"]
    for name in names:
        served = [rule for rule in rules if re.match(rf"{re.escape(name)}\b", rule["seriesQuery"])
                  and rule.get("name", {}).get("as", name) == name]
        expect(len(served) == 1, f"autoscaler: the adapter does not serve {name}")
    query = rules[0]["metricsQuery"]
    expect(re.match(r"max\(", query) and " by " not in query,
           "autoscaler: the adapter must give one series, the largest, since the autoscaler adds them up")
    return query.replace("<<.Series>>", "rule_engine_queue_total_pending").replace("<<.LabelMatchers>>", 'namespace="a"')


# Prometheus and Grafana


def names_in(query):
    """The metrics of a query; of a histogram the one that its series are of."""
    return {re.sub("_seconds_(bucket|count|sum)$", "_seconds", name) for name in re.findall(r"rule_engine_\w+", query)}


def check_query(where, query, metrics):
    for name in names_in(query):
        metric = metrics.get(name)
        expect(metric, f"{where}: there is no metric {name}")
        if not metric:
            continue
        if metric["scope"] == "queue":
            expect(not re.search(r"\b(sum|avg|count)\b", query),
                   f"{where}: every gateway reports the same {name}, so take the max and not the sum")
        elif metric["type"] == "counter":
            expect(re.search(rf"sum( by \([\w, ]+\))? ?\(rate\({name}\[", query), f"{where}: {name} without sum(rate())")


def check_alerts(settings, metrics):
    rules = [rule for group in load("prometheus/alerts.yaml")["groups"] for rule in group["rules"]]
    expect([rule["alert"] for rule in rules][:len(ALERTS)] == list(ALERTS), "alerts: the first are not the specification's five")
    for rule in rules:
        name = rule["alert"]
        check_query(f"alert {name}", rule["expr"], metrics)
        check_runbook(name, rule["annotations"])
        expect(rule["labels"].get("severity") in ("critical", "warning"), f"alert {name}: no severity")
        if name not in ALERTS:
            continue
        ends, wait, severity, action = ALERTS[name]
        expect(rule["expr"].endswith(ends), f"alert {name}: {rule['expr']} is not the specification's")
        expect(rule.get("for") == wait, f"alert {name}: for is {rule.get('for')}, not {wait}")
        expect(rule["labels"] == {"severity": severity}, f"alert {name}: not {severity}")
        expect(rule["annotations"].get("summary"), f"alert {name}: no summary")
        for part in action:
            expect(part in rule["annotations"].get("description", ""), f"alert {name}: does not say: {part}")
        level = re.search(r"total_pending\) > (\d+)", rule["expr"])
        if level and settings:
            variable = f"QUEUE_{name.removeprefix('QueueDepth').upper()}_THRESHOLD"
            expect(settings.get(variable) == level[1], f"alert {name}: {variable} is {settings.get(variable)}")
    tested = (KIT / "prometheus/alerts-test.yaml").read_text()
    tests = [case for test in yaml.safe_load(tested)["tests"] for case in test["alert_rule_test"]]
    for rule in rules:
        found = {bool(case["exp_alerts"]) for case in tests if case["alertname"] == rule["alert"]}
        expect(found == {True, False}, f"alert {rule['alert']}: not tested both firing and silent")


def check_runbook(name, annotations):
    """Each alert says where to read what to do, and that is there."""
    page, _, anchor = annotations.get("runbook", "").partition("#")
    expect(page == "docs/guide/runbook.md" and anchor == name.lower(), f"alert {name}: no runbook")
    if (ROOT / page).is_file():
        sections = re.split(r"^## ", (ROOT / page).read_text(), flags=re.MULTILINE)
        found = [section for section in sections if section.startswith(f"{name}\n")]
        expect(len(found) == 1, f"alert {name}: {page} has {len(found)} sections about it")
        for section in found:
            expect("scenarios/" in section, f"alert {name}: {page} names no scenario")
            for scenario in re.findall(r"scenarios/([\w-]+)\.toml", section):
                expect((ROOT / f"scenarios/{scenario}.toml").is_file(), f"alert {name}: {page}: no scenario {scenario}")


def check_scrape(objects, queries):
    config = load("prometheus/prometheus.yaml")
    job = next(job for job in config["scrape_configs"] if job["job_name"] == GATEWAY)
    expect(job["metrics_path"] == METRICS_PATH, f"prometheus: not from {METRICS_PATH}")
    target = re.fullmatch(r"_(\w+)\._tcp\.([\w-]+)\.([\w-]+)\.svc\..+", job["dns_sd_configs"][0]["names"][0])
    service = next((o for o in objects if o["kind"] == "Service" and target and o["metadata"]["name"] == target[2]), None)
    expect(service and service["spec"].get("clusterIP") == "None"
           and (target[1], ADMIN_PORT) in [(p["name"], p["port"]) for p in service["spec"]["ports"]],
           "prometheus: its targets are not the admin port of a headless Service of ours")
    # The labels by which the alert names a pod and the adapter finds a namespace.
    labels, address = {}, "gateway-0.gateways.production.svc.cluster.local:3001"
    for rule in job["relabel_configs"]:
        found = re.fullmatch(rule["regex"], address) if rule["source_labels"] == ["__address__"] else None
        if found:
            labels[rule["target_label"]] = found.expand(rule["replacement"].replace("$", "\\"))
    expect(labels == {"pod": "gateway-0", "namespace": "production"}, f"prometheus: the labels are {labels}")
    shortest = min(seconds(window) for query in queries for window in re.findall(r"\[(\w+)\]", query))
    interval = seconds(job.get("scrape_interval", config["global"]["scrape_interval"]))
    expect(4 * interval <= shortest, f"prometheus: a rate over {shortest} s needs a scrape more often than every {interval} s")


def check_dashboard(metrics):
    """Returns the panels that have queries."""
    dashboard = json.loads((KIT / "grafana/dashboard.json").read_text())
    expect(dashboard["schemaVersion"] >= 39, "dashboard: an old schemaVersion")
    variables = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource" and v["query"] == "prometheus"]
    expect(len(variables) == 1, "dashboard: no variable for the data source")
    source = {"type": "prometheus", "uid": "${" + variables[0]["name"] + "}"} if variables else None
    ids = [panel["id"] for panel in dashboard["panels"]]
    expect(len(ids) == len(set(ids)), "dashboard: two panels have one id")
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        expect(not cells & taken and place["x"] + place["w"] <= 24, f"panel {panel['title']}: does not fit in its place")
        taken |= cells
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    for panel in panels:
        where = f"panel {panel['title']}"
        expect(panel["fieldConfig"]["defaults"].get("unit"), f"{where}: no unit")
        expect(panel["targets"], f"{where}: no query")
        for part in [panel, *panel["targets"]]:
            expect(part["datasource"] == source, f"{where}: not from the variable's data source")
        for target in panel["targets"]:
            check_query(where, target["expr"], metrics)
    circuit = [panel for panel in panels if panel["type"] == "state-timeline"
               and "circuit_state" in panel["targets"][0]["expr"]]
    states = {key: value["text"] for panel in circuit for mapping in panel["fieldConfig"]["defaults"]["mappings"]
              for key, value in mapping["options"].items()}
    expect(states == {"0": "CLOSED", "1": "HALF_OPEN", "2": "OPEN"}, "dashboard: the circuit's states have other names")
    shown = {name for panel in panels for target in panel["targets"] for name in names_in(target["expr"])}
    for name in sorted(metrics.keys() - NOT_SHOWN - shown):
        problems.append(f"dashboard: {name} is not on it")
    for name in sorted(NOT_SHOWN - (metrics.keys() - shown)):
        problems.append(f"dashboard: {name} is on it, or no metric any more, so it does not belong to NOT_SHOWN")
    return panels


def write_queries(directory, panels, adapter):
    queries = [(panel, target["expr"]) for panel in panels for target in panel["targets"]]
    rules = [{"record": f"dashboard:query{number}", "expr": query} for number, (_, query) in enumerate(queries)]
    rules.append({"record": "adapter:query", "expr": adapter})
    (directory / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    cases = [{"expr": adapter, "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": 945}]}]
    for query, unit, value in QUERIES:
        found = [(panel, expression) for panel, expression in queries
                 if expression in (query, f"max({query})", f"sum({query})")]
        expect(len(found) == 1, f"dashboard: {len(found)} panels show the specification's {query}")
        for panel, expression in found:
            expect(panel["fieldConfig"]["defaults"].get("unit") == unit, f"panel {panel['title']}: its unit is not {unit}")
            cases.append({"expr": expression, "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": value}]})
    inputs = [{"series": series, "values": values} for series, values in SAMPLE.items()]
    test = {"rule_files": [], "evaluation_interval": "15s",
            "tests": [{"interval": "15s", "input_series": inputs, "promql_expr_test": cases}]}
    (directory / "queries-test.yaml").write_text(yaml.safe_dump(test, sort_keys=False))
    print(f"{len(queries)} queries in {len(panels)} panels")
    return [query for _, query in queries]


def check_dockerfile():
    text = (KIT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    images = [line.split()[1] for line in lines if line.startswith("FROM ")]
    for image in images:
        check_image("Dockerfile", image)
    expect(len(images) > 1, "Dockerfile: the compiler is in the image")
    expect("RUN cargo build --release --locked -p backpressure-gateway" in lines, "Dockerfile: does not build the gateway")
    last = lines[len(lines) - 1 - [line.startswith("FROM ") for line in reversed(lines)].index(True):]
    expect(any(re.fullmatch(r"USER [1-9]\d*(:[1-9]\d*)?", line) for line in last), "Dockerfile: runs as root, or as a name")
    manifest = ROOT / "crates/gateway/Cargo.toml"
    if manifest.exists():
        package = tomllib.loads(manifest.read_text())
        built = package.get("bin", [{}])[0].get("name", package["package"]["name"])
        copies = [line.split()[2] for line in last if line.startswith("COPY --from=builder ")]
        expect(copies == [f"/src/target/release/{built}"], f"Dockerfile: the program that is built is {built}")
    expect(f"EXPOSE {PORT} {ADMIN_PORT}" in last, f"Dockerfile: does not expose {PORT} and {ADMIN_PORT}")


def main(directory):
    objects = [item for path in sorted((KIT / "kubernetes").glob("*.yaml"))
               for item in yaml.safe_load_all(path.read_text()) if item]
    check_kubernetes(objects)
    contract = json.loads((directory / "contract.json").read_text())
    metrics = {metric["name"]: metric for metric in contract["metrics"]}
    settings = check_gateway(objects)
    check_settings(settings, contract)
    check_endpoints(contract)
    check_redis(objects)
    adapter = check_autoscaler(objects)
    check_alerts(settings, metrics)
    queries = write_queries(directory, check_dashboard(metrics), adapter)
    check_scrape(objects, queries)
    check_dockerfile()
    for problem in problems:
        print(f"deploy: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
