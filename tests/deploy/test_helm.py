import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deployment import DEPLOY, ROOT, command_problem, documents, known_settings, settings_problem
from heliograph.app import product
from support import settings_in

HELM = DEPLOY / "helm"
CHART = HELM / "heliograph"
EXAMPLES = sorted(path.name for path in (HELM / "examples").iterdir())
KUBERNETES = ("1.27", "1.30", "1.34")
GIVEN = {"HELIOGRAPH_LISTEN", "HELIOGRAPH_DATABASE_URL", "HELIOGRAPH_MASTER_KEY"} | {
    "HELIOGRAPH_ADMIN_TOKEN",
    "HELIOGRAPH_QUEUE_URL",
}
"""What the chart sets itself."""


def rendered(example: str) -> list[dict[str, Any]]:
    return documents(HELM / "rendered" / example)


def pods(example: str) -> list[dict[str, Any]]:
    """What each workload of an example runs, its specification of a pod."""
    return [
        each["spec"]["template"]["spec"]
        for each in rendered(example)
        if each["kind"] in ("Deployment", "Job")
    ]


def digest_of(example: str) -> str:
    """As ``render.sh`` reckons it: of what decides over the result, each file with its name."""
    files = [*CHART.rglob("*"), HELM / "examples" / example]
    left_out = ("README.md", "values.schema.json")
    names = sorted(
        str(path.relative_to(HELM))
        for path in files
        if path.is_file() and path.name not in left_out
    )
    lines = (f"{hashlib.sha256((HELM / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def merged(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Values with others above them, as Helm lays them."""
    both = {
        name: merged(values[name], others[name])
        for name in values.keys() & others.keys()
        if isinstance(values[name], dict) and isinstance(others[name], dict)
    }
    return values | others | both


def refused(changes: dict[str, Any]) -> list[str]:
    """What the chart's schema says against its values with some changed."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    errors = jsonschema.Draft7Validator(schema).iter_errors(merged(values, changes))
    return [error.json_path for error in errors]


def leaves(values: dict[str, Any], above: str = "") -> set[str]:
    """The paths of values, down to what has no names of the chart below it."""
    whole = {"resources", "autoscaling", "disruptionBudget", "settings"}
    found: set[str] = set()
    for name, value in values.items():
        path = f"{above}{name}"
        goes_on = isinstance(value, dict) and value and name not in whole
        found |= leaves(value, f"{path}.") if goes_on else {path}
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_helm_made_is_of_this_chart(example: str) -> None:
    """Whoever changes the chart or an example renders it anew: ``make helm``."""
    first = (HELM / "rendered" / example).read_text().splitlines()[0]

    assert first == f"# Made by deploy/helm/render.sh of {digest_of(example)}"


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("example", EXAMPLES)
def test_kubernetes_knows_every_field(example: str, version: str) -> None:
    """Each object is valid for Kubernetes, with no field that it would ignore."""
    checked = [
        each["kind"]
        for each in rendered(example)
        if each["kind"] != "ServiceMonitor"  # the Prometheus operator's, not Kubernetes'
        and kubernetes_validate.validate(each, version, strict=True)
    ]

    assert {"Deployment", "Job", "PodDisruptionBudget", "Service"} <= set(checked)


@pytest.mark.parametrize("example", EXAMPLES)
def test_pods_have_settings_that_the_server_takes(example: str, tmp_path: Path) -> None:
    """The server would start with the environment of each pod."""
    problems = [
        settings_problem({each["name"]: each["value"] for each in container["env"]}, tmp_path)
        for pod in pods(example)
        for container in pod["containers"]
    ]

    assert [None, None, None] == problems


@pytest.mark.parametrize("example", EXAMPLES)
def test_pods_run_commands_that_exist(example: str) -> None:
    """What each container runs is a command of ``heliograph``."""
    run = [container["args"] for pod in pods(example) for container in pod["containers"]]

    assert [None] * 3 == [command_problem(arguments) for arguments in run]
    assert ["serve", "--role", "api"] in run
    assert ["serve", "--role", "worker"] in run


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_secret_that_is_read_is_mounted(example: str) -> None:
    """The files that settings name are those of the mounted Secret."""
    for pod in pods(example):
        (container,) = pod["containers"]
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounted = {
            f"{mounts['secrets']}/{item['path']}" for item in volumes["secrets"]["secret"]["items"]
        }
        read = {each["value"] for each in container["env"] if each["name"].endswith("_FILE")}

        assert mounted == read
        assert set(mounts) == set(volumes)


@pytest.mark.parametrize("example", EXAMPLES)
def test_pods_may_do_little(example: str) -> None:
    """Pods meet Kubernetes' "restricted" standard, and write to their temporary folder only."""
    for pod in pods(example):
        (container,) = pod["containers"]

        assert pod["securityContext"]["runAsNonRoot"] is True
        assert "RuntimeDefault" == pod["securityContext"]["seccompProfile"]["type"]
        assert pod["automountServiceAccountToken"] is False
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_servers_have_time_to_end(example: str) -> None:
    """A pod is not killed in the 15 seconds in which the server ends by itself."""
    times = [
        each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for each in rendered(example)
        if each["kind"] == "Deployment"
    ]

    assert 2 == len([seconds for seconds in times if seconds > 15])


@pytest.mark.parametrize("example, drain", [("small.yaml", "5"), ("large.yaml", "8")])
def test_servers_leave_to_others_what_is_theirs(example: str, drain: str) -> None:
    """Pods leave migrating to the Job; an API gives load balancers time, as the values say."""
    names = ("HELIOGRAPH_MIGRATE_AT_START", "HELIOGRAPH_DRAIN_SECONDS")
    found = {
        container["args"][-1]: [
            (e["name"], e["value"]) for e in container["env"] if e["name"] in names
        ]
        for pod in pods(example)
        for container in pod["containers"]
    }

    migrates = ("HELIOGRAPH_MIGRATE_AT_START", "false")
    drains = ("HELIOGRAPH_DRAIN_SECONDS", drain)
    assert sorted(found["api"]) == [drains, migrates]
    assert migrates in found["worker"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_selectors_find_their_pods(example: str) -> None:
    """What a Service, a budget or a Deployment selects are the labels of just one workload."""
    objects = rendered(example)
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for each in objects
        if each["kind"] in ("Deployment", "Job")
    ]
    selectors = [
        selector.get("matchLabels", selector)
        for each in objects
        if each["kind"] in ("Deployment", "Service", "PodDisruptionBudget")
        for selector in [each["spec"]["selector"]]
    ]

    found = [sum(wanted.items() <= have.items() for have in labels) for wanted in selectors]

    assert [1] * 6 == found


async def test_the_ingress_lets_through_what_apps_need(tmp_path: Path) -> None:
    """Each API for apps and back ends is on the Ingress; the operator's are not."""
    (ingress,) = (each for each in rendered("large.yaml") if each["kind"] == "Ingress")
    (rule,) = ingress["spec"]["rules"]
    async with product(settings_in(tmp_path)) as built:
        served = {
            f"/{getattr(route, 'path', '').split('/')[1]}"
            # behind the doorkeeper, and what goes first
            for route in built.app.app.app.routes  # type: ignore[attr-defined]
        }
    inside = {"/admin", "/docs", "/healthz", "/readyz", "/metrics"}

    assert served - inside == {each["path"] for each in rule["http"]["paths"]}


def test_the_schema_knows_every_setting() -> None:
    """Values may name each setting that the chart does not give itself, and no other."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    own = {name for name in known_settings() if name.removesuffix("_FILE") in GIVEN}

    assert known_settings() - own == set(schema["properties"]["settings"]["propertyNames"]["enum"])


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_schema_takes_the_examples(example: str) -> None:
    """Nothing that the examples say is refused."""
    assert [] == refused(documents(HELM / "examples" / example)[0])


@pytest.mark.parametrize(
    "changes, where",
    [
        ({"worker": {"replica": 3}}, "$.worker"),
        ({"settings": {"HELIOGRAPH_LISTEN": "0.0.0.0:1"}}, "$.settings"),
        ({"settings": {"HELIOGRAPH_VAPID_SUBJECT": "you"}}, "$.settings.HELIOGRAPH_VAPID_SUBJECT"),
        ({"terminationGracePeriodSeconds": 10}, "$.terminationGracePeriodSeconds"),
    ],
)
def test_the_schema_refuses_what_is_wrong(changes: dict[str, Any], where: str) -> None:
    """A value that does not exist, or cannot work, is refused where it stands."""
    assert [where] == refused(changes)


def test_every_value_is_documented() -> None:
    """The README's table has each value of the chart."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    page = (CHART / "README.md").read_text()
    among_others = {"tolerations", "affinity", "topologySpreadConstraints"}

    missing = [
        path
        for path in leaves(values)
        if f"`{path}`" not in page and path.split(".")[-1] not in among_others
    ]

    assert [] == missing


def test_the_version_is_ours() -> None:
    """The image that the chart asks for is of the version that it stands beside."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    source = (ROOT / "src" / "heliograph" / "__init__.py").read_text()

    assert f'__version__ = "{chart["appVersion"]}"' in source
